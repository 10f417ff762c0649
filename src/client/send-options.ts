/** How one message is to be sent. */
import { OptionError } from './errors.js';

export interface SendOptions {
  /**
   * Whether to keep the message over reconnects until the gateway acknowledged it, in order, handled once. Needs the client's
   * option `guaranteed`, and goes without `within`. @default false
   */
  guaranteed?: boolean;
  /**
   * Milliseconds after which the message is given up if it was not written by then; 0: if it cannot be written at once,
   * Infinity: never. @default the client's option `within`, 50
   */
  within?: number;
}

/** @throws {OptionError} */
export function isGuaranteed({ guaranteed, within }: SendOptions): boolean {
  if (guaranteed === undefined || guaranteed === false) return false;
  if (guaranteed !== true)
    throw new OptionError(`guaranteed must be true or false, not '${String(guaranteed)}'`);
  if (within !== undefined)
    throw new OptionError('a guaranteed message has no deadline: guaranteed goes without within');
  return true;
}
