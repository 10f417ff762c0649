/** Runs the app's hooks for one record, and sees to what they throw. */
import type { HookError, Hooks, Log, PeerContext } from '../src/app.js';
import { HookFailure } from '../src/errors.js';
import { BINARY, hookName, Inbound, REDELIVERED, SUBSCRIBED } from '../src/wire/records.js';
import { topicOf } from '../src/wire/topics.js';
import { runHandling } from './handling.js';
import type { HttpHandler } from './http.js';
import { GuaranteedMessage, LaneMessage } from './message.js';
import type { LanePeer } from './peer.js';

export class HookRunner {
  constructor(
    private readonly hooks: Partial<Hooks>,
    private readonly http: HttpHandler,
    private readonly log: Log,
  ) {}

  /** Runs one hook. @returns a promise that never rejects, or undefined when the hook is done */
  run(
    peer: LanePeer,
    type: number,
    flags: number,
    aux: number,
    block: Buffer,
    offset: number,
    length: number,
  ): Promise<void> | undefined {
    if (peer.givenUp && type !== Inbound.close) return undefined;
    const { hooks } = this;
    try {
      switch (type) {
        case Inbound.message: {
          const message = new LaneMessage(peer, block, offset, length, (flags & BINARY) !== 0);
          return this.guard(peer, 'message', hooks.message?.(peer, message));
        }
        case Inbound.guaranteed: {
          const binary = (flags & BINARY) !== 0;
          const redelivered = (flags & REDELIVERED) !== 0;
          const message = new GuaranteedMessage(peer, block, offset, length, binary, redelivered);
          const handling = peer.beginHandling(message.numberBytes);
          const result = runHandling(handling, () => hooks.message?.(peer, message));
          return this.guard(peer, 'message', result);
        }
        case Inbound.open: {
          const context = this.http.takeContext(block.readInt32LE(offset));
          if (context !== undefined) peer.setContext(context as PeerContext);
          return this.guard(peer, 'open', hooks.open?.(peer));
        }
        case Inbound.leave:
        case Inbound.finish:
          return undefined; // see Dispatcher.finish
        case Inbound.resume:
          return this.guard(peer, 'resume', hooks.resume?.(peer));
        case Inbound.close: {
          peer.closing();
          const reason = block.toString('utf8', offset, offset + length);
          return this.guard(peer, 'close', hooks.close?.(peer, { code: aux, reason }));
        }
        case Inbound.drain:
          return this.guard(peer, 'drain', hooks.drain?.(peer));
        case Inbound.ping:
          return this.guard(peer, 'ping', hooks.ping?.(peer, bytesAt(block, offset, length)));
        case Inbound.pong:
          return this.guard(peer, 'pong', hooks.pong?.(peer, bytesAt(block, offset, length)));
        case Inbound.topic:
          peer.noteTopic(topicOf(block.toString('utf8', offset, offset + length)), flags === SUBSCRIBED);
          return undefined;
        default:
          throw new Error(`a record of unknown type ${type}`);
      }
    } catch (error) {
      return this.failed(peer, hookName(type), error);
    }
  }

  private guard(peer: LanePeer, hook: string, result: unknown): Promise<void> | undefined {
    if (result === undefined || result === null || typeof (result as Promise<void>).then !== 'function')
      return undefined;
    return Promise.resolve(result as Promise<void>).then(nothing, error => this.failed(peer, hook, error));
  }

  /**
   * Hands what a hook threw to the app's `error` hook, else to the log. The connection stays.
   * @returns a promise that never rejects, or undefined when there is nothing to wait for
   */
  failed(peer: LanePeer, hook: string, cause: unknown): Promise<void> | undefined {
    const { error: errorHook } = this.hooks;
    if (errorHook === undefined || hook === 'error') {
      this.report(peer, hook, cause);
      return undefined;
    }
    try {
      const result = errorHook.call(this.hooks, peer, new HookFailure(hook, cause) as HookError);
      return this.guard(peer, 'error', result);
    } catch (error) {
      this.report(peer, 'error', error);
      return undefined;
    }
  }

  private report(peer: LanePeer, hook: string, cause: unknown): void {
    this.log.error(`the ${hook} hook failed`, { connection: peer.id, hook, err: cause });
  }
}

function nothing(): void {}

function bytesAt(block: Buffer, offset: number, length: number): Uint8Array {
  return new Uint8Array(block.buffer, block.byteOffset + offset, length);
}
