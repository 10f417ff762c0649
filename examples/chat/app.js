// @ts-check
/**
 * A chat with rooms. A room is a namespace; its one topic carries what happens there: lines, who joined, who left.
 *
 * Every lane imports this file for itself, and people in one room may live on different lanes. What they send each
 * other goes through the topic, which spans all lanes; what was said before stands in a map that all lanes share.
 *
 * From the client: { type: 'line', id?, text } · { type: 'room' }
 * To the client:   welcome · joined · left · room · line · error
 */
import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { FullError, sharedMap } from 'threadgate/sync';

/** @typedef {import('threadgate').Peer} Peer */
/** @typedef {{ type: 'line', id: string, name: string, text: string, time: number }} Line */

const TOPIC = 'room';
const LINES_KEPT = 50; // per room
const TEXT_LIMIT = 2000; // characters of one line
const NAME_LIMIT = 40;

// ---- The history ------------------------------------------------------------------------------------------------

/** The last lines of each room, oldest first, as JSON. What does not fit drives out the room that was silent longest. */
const history = sharedMap('chat history', { bytes: 4 * 2 ** 20, entries: 256 });

/** @param {Uint8Array | undefined} bytes @returns {Line[]} */
const linesIn = bytes => (bytes === undefined ? [] : JSON.parse(Buffer.from(bytes).toString()));

/**
 * Keeps a line, under the lock of its room's entry: so the lines of a room have one order, and each has a time of its own.
 * @param {string} room @param {Omit<Line, 'time'>} said
 * @returns {Line} the line as it is kept; the one from before, where it comes for the second time
 */
function keep(room, said) {
  /** @type {Line | undefined} */
  let kept;
  for (;;) {
    try {
      history.update(room, old => {
        const lines = linesIn(old);
        kept = lines.find(line => line.id === said.id);
        if (kept !== undefined) return old;
        kept = { ...said, time: Math.max(Date.now(), (lines.at(-1)?.time ?? 0) + 1) };
        return Buffer.from(JSON.stringify([...lines, kept].slice(-LINES_KEPT)));
      });
      return /** @type {Line} */ (/** @type {unknown} */ (kept));
    } catch (error) {
      if (!(error instanceof FullError) || !forgetARoom(room)) throw error;
    }
  }
}

/** Forgets the room that was silent longest, but not `but`. @param {string} but @returns whether there was one */
function forgetARoom(but) {
  const [oldest] = [...history]
    .filter(([room]) => room !== but)
    .map(([room, lines]) => ({ room, since: linesIn(lines).at(-1)?.time ?? 0 }))
    .sort((a, b) => a.since - b.since);
  return oldest !== undefined && history.delete(oldest.room);
}

// ---- The room ---------------------------------------------------------------------------------------------------

/** @param {Peer} peer */
const nameOf = peer => String(peer.context.name);

/** @param {Peer} peer */
const roomOf = peer => String(peer.context.room);

/** Tells everybody in the peer's room, the peer itself included. @param {Peer} peer @param {object} event */
function broadcast(peer, event) {
  peer.gateway.publish(TOPIC, event, { namespace: peer.namespace });
}

/** @param {Peer} peer */
function register(peer) {
  peer.subscribe(TOPIC);
  peer.send({ type: 'welcome', id: peer.id });
  broadcast(peer, { type: 'joined', id: peer.id, name: nameOf(peer), time: Date.now() });
}

/** @param {Peer} peer */
function unregister(peer) {
  broadcast(peer, { type: 'left', id: peer.id, name: nameOf(peer), time: Date.now() });
}

/** @param {Peer} peer @param {Record<string, unknown>} event */
function takeLine(peer, { id: given, text }) {
  // The client names its lines, so that it may send one again when it cannot know whether it arrived.
  const id = typeof given === 'string' && /^[\w-]{8,64}$/.test(given) ? given : randomUUID();
  if (typeof text !== 'string' || text.trim() === '' || text.length > TEXT_LIMIT) {
    peer.send({ type: 'error', id, message: `A line has 1 to ${TEXT_LIMIT} characters.` });
    return;
  }
  // Kept first: who asks for the room after it was published finds it there.
  broadcast(peer, keep(roomOf(peer), { type: 'line', id, name: nameOf(peer), text: text.trim() }));
}

/**
 * A client asks for this once it has seen its own `joined`, so its subscription is in force: what is said from now on
 * reaches it, and what was said before is in the history. What is in both it drops by id.
 * @param {Peer} peer
 */
function sendRoom(peer) {
  const people = [...peer.peers].map(other => ({ id: other.id, name: nameOf(other) }));
  peer.send({ type: 'room', people, lines: linesIn(history.get(roomOf(peer))) });
}

/** Only what can be seen, single spaces, and the joiner that emoji need. @param {string} name */
function isName(name) {
  return (
    [...name].length <= NAME_LIMIT &&
    /^[\p{L}\p{M}\p{N}\p{P}\p{S}\u200d]+(?: [\p{L}\p{M}\p{N}\p{P}\p{S}\u200d]+)*$/u.test(name) &&
    /[\p{L}\p{N}\p{P}\p{S}]/u.test(name)
  );
}

// ---- The page ---------------------------------------------------------------------------------------------------

/** What is served: the page, and the modules of threadgate/client, which it imports as they are. */
const files = new Map([['/', new URL('index.html', import.meta.url)]]);
const modules = new URL('.', import.meta.resolve('threadgate/client'));
for (const name of readdirSync(modules)) {
  if (name.endsWith('.js')) files.set(`/client/${name}`, new URL(name, modules));
}

/** @type {import('threadgate').App} */
export default {
  websocket: {
    upgrade(request) {
      const url = new URL(request.url);
      const room = /^\/rooms\/([a-z0-9-]{1,40})$/.exec(url.pathname)?.[1];
      const name = url.searchParams.get('name') ?? '';
      if (!room) return new Response('A room has 1 to 40 of a-z, 0-9 and -.', { status: 400 });
      if (!isName(name)) return new Response('A name has 1 to 40 visible characters.', { status: 400 });
      return { namespace: `room:${room}`, context: { name, room } };
    },

    open: register,
    close: unregister,

    message(peer, message) {
      /** @type {unknown} */
      let event;
      try {
        event = message.json();
      } catch {
        // Answered below, like everything else that is no event.
      }
      const { type, ...rest } = /** @type {Record<string, unknown>} */ (Object(event));
      if (type === 'line') return takeLine(peer, rest);
      if (type === 'room') return sendRoom(peer);
      peer.send({ type: 'error', message: 'Expected a line or a question for the room, as JSON.' });
    },
  },

  async fetch(request) {
    const { pathname } = new URL(request.url);
    const file = files.get(pathname);
    if (file === undefined) return new Response('Not found', { status: 404 });
    const type = pathname === '/' ? 'text/html; charset=utf-8' : 'text/javascript; charset=utf-8';
    return new Response(await readFile(file), {
      headers: { 'content-type': type, 'cache-control': 'no-cache' },
    });
  },
};
