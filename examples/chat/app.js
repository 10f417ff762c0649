// @ts-check
/**
 * A chat with rooms. A room is a namespace; its one topic carries what happens there: lines, who joined, who left.
 *
 * Every lane imports this file for itself, and people in one room may live on different lanes. What they send each
 * other goes through the topic, which spans all lanes; the history is the only thing that lanes tell each other.
 *
 * From the client: { type: 'line', id?, text } · { type: 'history' }
 * To the client:   welcome · joined · left · here · line · history · error
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { BroadcastChannel } from 'node:worker_threads';

/** @typedef {import('threadgate').Peer} Peer */
/** @typedef {{ type: 'line', id: string, name: string, text: string, time: number }} Line */

const TOPIC = 'room';
const LINES_KEPT = 50; // per room
const ROOMS_KEPT = 200; // at most 200 rooms of 50 lines of 2,000 characters: 20 million characters
const TEXT_LIMIT = 2000; // characters of one line
const NAME_LIMIT = 40;

const page = readFileSync(new URL('index.html', import.meta.url), 'utf8');

/**
 * The last lines of each room. Every lane holds them all: a lane tells the others what it adds, and a lane that starts
 * later (the replacement of one that crashed, say) asks the others for what they know.
 */
class History {
  #channel = new BroadcastChannel('threadgate-chat');

  /** Each room's lines, oldest first. The room that was written to last stands last. @type {Map<string, Line[]>} */
  #rooms = new Map();

  /** Ends the wait for an answer. @type {(value?: unknown) => void} */
  #answered = () => {};

  /** Settles when another lane has answered, or after 200 ms: the first lanes of all have nobody to ask. */
  ready = Promise.race([
    new Promise(resolve => {
      this.#answered = resolve;
    }),
    sleep(200, undefined, { ref: false }),
  ]);

  constructor() {
    this.#channel.onmessage = event => this.#hear(/** @type {any} */ (event).data);
    this.#channel.unref(); // an idle channel must not keep the lane's thread alive
    this.#channel.postMessage({ type: 'ask' });
  }

  /** @param {string} room */
  lines(room) {
    return this.#rooms.get(room) ?? [];
  }

  /** Keeps a line here and on all other lanes. @param {string} room @param {Line} line */
  add(room, line) {
    this.#channel.postMessage({ type: 'add', room, line });
    this.#keep(room, line);
  }

  /** @param {any} news what another lane posted */
  #hear(news) {
    if (news.type === 'add') {
      this.#keep(news.room, news.line);
    } else if (news.type === 'ask') {
      this.#channel.postMessage({ type: 'answer', rooms: this.#rooms });
    } else if (news.type === 'answer') {
      for (const [room, lines] of news.rooms) for (const line of lines) this.#keep(room, line);
      this.#answered();
    }
  }

  /** @param {string} room @param {Line} line */
  #keep(room, line) {
    const lines = this.lines(room);
    if (lines.some(known => known.id === line.id)) return;
    // By time, as other lanes' lines may come late; a sender's own lines stay in order even within one millisecond.
    lines.splice(lines.findLastIndex(known => known.time <= line.time) + 1, 0, line);
    if (lines.length > LINES_KEPT) lines.shift();
    this.#rooms.delete(room);
    this.#rooms.set(room, lines);
    const [oldest] = this.#rooms.keys();
    if (this.#rooms.size > ROOMS_KEPT && oldest !== undefined) this.#rooms.delete(oldest);
  }
}

const history = new History();

/** @param {Peer} peer */
const nameOf = peer => String(peer.context.name);

/** @param {Peer} peer */
const roomOf = peer => String(peer.context.room);

/** Tells everybody in the peer's room, the peer itself included. @param {Peer} peer @param {object} event */
function tell(peer, event) {
  peer.gateway.publish(TOPIC, event, { namespace: peer.namespace });
}

/** Only what can be seen, single spaces, and the joiner that emoji need. @param {string} name */
function isName(name) {
  return (
    [...name].length <= NAME_LIMIT &&
    /^[\p{L}\p{M}\p{N}\p{P}\p{S}\u200d]+(?: [\p{L}\p{M}\p{N}\p{P}\p{S}\u200d]+)*$/u.test(name) &&
    /[\p{L}\p{N}\p{P}\p{S}]/u.test(name)
  );
}

/** @param {Peer} peer @param {Record<string, unknown>} event */
function takeLine(peer, { id, text }) {
  // The client names its lines, so that it may send one again when it cannot know whether it arrived.
  const lineId = typeof id === 'string' && /^[\w-]{8,64}$/.test(id) ? id : randomUUID();
  if (typeof text !== 'string' || text.trim() === '' || text.length > TEXT_LIMIT) {
    peer.send({ type: 'error', id: lineId, message: `A line has 1 to ${TEXT_LIMIT} characters.` });
    return;
  }
  const known = history.lines(roomOf(peer)).find(line => line.id === lineId);
  if (known) {
    peer.send(known);
    return;
  }
  /** @type {Line} */
  const line = { type: 'line', id: lineId, name: nameOf(peer), text: text.trim(), time: Date.now() };
  history.add(roomOf(peer), line); // before it is published: see sendHistory
  tell(peer, line);
}

/**
 * A client asks for this once it has seen its own `joined`, so its subscription is in force: what is said from now on
 * reaches it, and what was said before is in the history. What is in both it drops by id.
 * @param {Peer} peer
 */
async function sendHistory(peer) {
  await history.ready;
  // Lines that other lanes published before may still wait in this lane's event loop: a full turn lets them in. The
  // first `await` may end in the middle of a turn, the second cannot.
  await turn();
  await turn();
  const people = [...peer.peers].map(other => ({ id: other.id, name: nameOf(other) }));
  peer.send({ type: 'here', people });
  peer.send({ type: 'history', lines: history.lines(roomOf(peer)) });
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

    open(peer) {
      peer.subscribe(TOPIC);
      peer.send({ type: 'welcome', id: peer.id });
      tell(peer, { type: 'joined', id: peer.id, name: nameOf(peer), time: Date.now() });
    },

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
      if (type === 'history') return sendHistory(peer);
      peer.send({ type: 'error', message: 'Expected a line or a request for history, as JSON.' });
    },

    close(peer) {
      tell(peer, { type: 'left', id: peer.id, name: nameOf(peer), time: Date.now() });
    },
  },

  fetch(request) {
    if (new URL(request.url).pathname !== '/') return new Response('Not found', { status: 404 });
    return new Response(page, {
      headers: { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-cache' },
    });
  },
};
