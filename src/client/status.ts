/** What a client is doing. */
import type { ClientError, ConnectError, LostError, NoSessionError } from './errors.js';

export type Status =
  /** Made, and has not begun to connect. */
  | { readonly state: 'idle' }
  /** `attempt`: 1 for the first since the last connection that lasted. */
  | { readonly state: 'connecting'; readonly attempt: number }
  | {
      readonly state: 'open';
      readonly url: string;
      /** The app's subprotocol that the server chose; empty for none. */
      readonly protocol: string;
      /** The session's name, `peer.session` of the gateway's hooks; undefined where nothing is guaranteed. */
      readonly session: string | undefined;
      /** Whether a server that is gone is noticed by pings. Without a session only where the WebSocket has them (`ws`). */
      readonly pings: boolean;
    }
  /** Until the next attempt, in `delay` milliseconds at most. `error`: why the last connection or attempt ended. */
  | {
      readonly state: 'waiting';
      readonly attempt: number;
      readonly delay: number;
      readonly error: ConnectError | LostError | NoSessionError;
    }
  /** For good. `error`: why, unless `close()` was called. */
  | { readonly state: 'closed'; readonly error: ClientError | undefined };
