/** What became of a message that was sent. */
export type Delivery =
  | {
      /** It was handed to the WebSocket, in time. Whether it arrived only the other side knows. */
      readonly outcome: 'written';
      /** Milliseconds that it waited in the buffer. */
      readonly waited: number;
    }
  | {
      /** A guaranteed message was handled to its end. */
      readonly outcome: 'acknowledged';
      /** Milliseconds from `send` to the acknowledgement. */
      readonly waited: number;
      /** Its number in the session. */
      readonly number: number;
      /** How often it was written: more than once where a connection or a lane ended before it was acknowledged. */
      readonly attempts: number;
    };

/** Nobody has to wait for what becomes of a message: a rejection alone does not end the process. */
export function forgive<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
