/** What went wrong with an app on a lane, as the main thread tells it. */
import { AppError } from '../errors.js';
import type { LaneMessage, WireError } from '../wire/messages.js';

export function appError(message: Extract<LaneMessage, { type: 'failed' }>): AppError {
  const cause = new Error(message.error.message);
  cause.name = message.error.name;
  if (message.error.stack !== undefined) cause.stack = message.error.stack;
  return new AppError(sentence(message), { cause });
}

function sentence({ reason, error }: Extract<LaneMessage, { type: 'failed' }>): string {
  switch (reason) {
    case 'import':
      return `the app failed while it was imported: ${error.name}: ${inOneLine(error)}`;
    case 'start':
      return `the app's 'start' failed: ${error.name}: ${inOneLine(error)}`;
    case 'exports':
      return error.message;
  }
}

/** The message's first line, and where it came from. The rest is in the cause. */
function inOneLine({ message, stack = '' }: WireError): string {
  const first = message.split('\n', 1)[0] as string;
  const place = /\(?(file:\/\/[^\s)]+:\d+(?::\d+)?)/.exec(stack.replace(message, ''))?.[1];
  return place === undefined ? first : `${first} (${place.replace('file://', '')})`;
}
