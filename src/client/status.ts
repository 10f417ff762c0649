/** What a client is doing. */
import type { ClientError, ConnectError, LostError } from './errors.js';

export type Status =
  /** Made, and has not begun to connect. */
  | { readonly state: 'idle' }
  /** `attempt`: 1 for the first since the last connection that lasted. */
  | { readonly state: 'connecting'; readonly attempt: number }
  | {
      readonly state: 'open';
      readonly url: string;
      /** The subprotocol that the server chose; empty for none. */
      readonly protocol: string;
      /** Whether a server that is gone is noticed by pings; false where the WebSocket has none: browsers, Node's own. */
      readonly pings: boolean;
    }
  /** Until the next attempt, in `delay` milliseconds at most. `error`: why the last connection or attempt ended. */
  | {
      readonly state: 'waiting';
      readonly attempt: number;
      readonly delay: number;
      readonly error: ConnectError | LostError;
    }
  /** For good. `error`: why, unless `close()` was called. */
  | { readonly state: 'closed'; readonly error: ClientError | undefined };
