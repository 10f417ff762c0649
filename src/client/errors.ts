/**
 * One class per cause of an error in threadgate/client, each with a stable code. They stand alone: the package's other
 * errors need Node, and this folder runs in browsers.
 */

export class ClientError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** An option has a value that it cannot have. */
export class OptionError extends ClientError {
  declare readonly code: 'ERR_THREADGATE_CLIENT_OPTION';

  constructor(message: string) {
    super('ERR_THREADGATE_CLIENT_OPTION', message);
  }
}

/** There is no WebSocket class here: Node 20 without the package `ws`. */
export class PlatformError extends ClientError {
  declare readonly code: 'ERR_THREADGATE_CLIENT_PLATFORM';

  constructor(options: ErrorOptions) {
    super(
      'ERR_THREADGATE_CLIENT_PLATFORM',
      'there is no WebSocket here: run `npm install ws`, use Node 22, or give a class as the option WebSocket',
      options,
    );
  }
}

/** An attempt to connect failed. `cause` is why, where the platform tells. */
export class ConnectError extends ClientError {
  declare readonly code: 'ERR_THREADGATE_CLIENT_CONNECT';

  constructor(message: string, options?: ErrorOptions) {
    super('ERR_THREADGATE_CLIENT_CONNECT', message, options);
  }
}

/** An open connection ended. `closeCode` is 1006 where there was no close frame. */
export class LostError extends ClientError {
  declare readonly code: 'ERR_THREADGATE_CLIENT_LOST';
  readonly closeCode: number;
  readonly reason: string;

  constructor(closeCode: number, reason: string, options?: ErrorOptions) {
    super('ERR_THREADGATE_CLIENT_LOST', `the connection ended with ${closeCode} '${reason}'`, options);
    this.closeCode = closeCode;
    this.reason = reason;
  }
}

/** The server closed the connection with a code that says not to come back. */
export class RefusedError extends ClientError {
  declare readonly code: 'ERR_THREADGATE_CLIENT_REFUSED';
  readonly closeCode: number;
  readonly reason: string;

  constructor(closeCode: number, reason: string) {
    super(
      'ERR_THREADGATE_CLIENT_REFUSED',
      `the server does not want us: it closed with ${closeCode} '${reason}'`,
    );
    this.closeCode = closeCode;
    this.reason = reason;
  }
}

/** As many attempts as there may be have failed in a row. `cause` is the last failure. */
export class GaveUpError extends ClientError {
  declare readonly code: 'ERR_THREADGATE_CLIENT_GAVE_UP';

  constructor(attempts: number, cause: ClientError) {
    super('ERR_THREADGATE_CLIENT_GAVE_UP', `gave up after ${attempts} attempts: ${cause.message}`, { cause });
  }
}

/** The client's signal was aborted. `cause` is the signal's reason. */
export class AbortedError extends ClientError {
  declare readonly code: 'ERR_THREADGATE_CLIENT_ABORTED';

  constructor(reason: unknown) {
    super('ERR_THREADGATE_CLIENT_ABORTED', 'the client was aborted', { cause: reason });
  }
}

/** The client is closed, so nothing can be sent any more. `cause` is what closed it, if it was an error. */
export class ClosedError extends ClientError {
  declare readonly code: 'ERR_THREADGATE_CLIENT_CLOSED';

  constructor(options?: ErrorOptions) {
    super('ERR_THREADGATE_CLIENT_CLOSED', 'the client is closed', options);
  }
}

/** A message could not be written in its time. */
export class ExpiredError extends ClientError {
  declare readonly code: 'ERR_THREADGATE_CLIENT_EXPIRED';

  constructor(within: number) {
    super('ERR_THREADGATE_CLIENT_EXPIRED', `the message could not be written within ${within} ms`);
  }
}

/** A message did not fit into the buffer. */
export class BufferFullError extends ClientError {
  declare readonly code: 'ERR_THREADGATE_CLIENT_BUFFER_FULL';

  constructor(bytes: number, maxBuffered: number) {
    super(
      'ERR_THREADGATE_CLIENT_BUFFER_FULL',
      `a message of ${bytes} bytes does not fit: the buffer holds ${maxBuffered} bytes and messages wait in it`,
    );
  }
}

/** There is no session with this server, and so no guarantee. */
export class NoSessionError extends ClientError {
  declare readonly code: 'ERR_THREADGATE_CLIENT_NO_SESSION';

  constructor(message: string, options?: ErrorOptions) {
    super('ERR_THREADGATE_CLIENT_NO_SESSION', message, options);
  }
}

/** The gateway will not handle a guaranteed message: it ended its handler too often. `reason` is the gateway's. */
export class RefusedMessageError extends ClientError {
  declare readonly code: 'ERR_THREADGATE_CLIENT_REFUSED_MESSAGE';
  readonly reason: string;

  constructor(number: number, reason: string) {
    super('ERR_THREADGATE_CLIENT_REFUSED_MESSAGE', `the server refused message ${number}: ${reason}`);
    this.reason = reason;
  }
}

/** A guaranteed message is larger than what the gateway takes. */
export class TooLargeError extends ClientError {
  declare readonly code: 'ERR_THREADGATE_CLIENT_TOO_LARGE';

  constructor(bytes: number, largest: number) {
    super(
      'ERR_THREADGATE_CLIENT_TOO_LARGE',
      `a message of ${bytes} bytes is too large: this server takes ${largest} bytes with guarantee`,
    );
  }
}

/** The server said something that `threadgate.v1` does not have. The `cause` of a lost connection or a failed attempt. */
export class ProtocolError extends ClientError {
  declare readonly code: 'ERR_THREADGATE_CLIENT_PROTOCOL';

  constructor(message: string) {
    super('ERR_THREADGATE_CLIENT_PROTOCOL', message);
  }
}

/** Something was to be sent that is neither a string nor bytes. */
export class DataError extends ClientError {
  declare readonly code: 'ERR_THREADGATE_CLIENT_DATA';

  constructor(message: string) {
    super('ERR_THREADGATE_CLIENT_DATA', message);
  }
}

/** Messages came faster than a `for await` loop took them. */
export class UnreadError extends ClientError {
  declare readonly code: 'ERR_THREADGATE_CLIENT_UNREAD';

  constructor(maxUnread: number) {
    super(
      'ERR_THREADGATE_CLIENT_UNREAD',
      `more than ${maxUnread} bytes waited for this loop to read them; read faster, or listen to 'message'`,
    );
  }
}
