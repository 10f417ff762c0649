// @ts-check
/** Parses, validates and publishes to a room. */

import { chatLine } from '../work/chat.js';
import { subscribeByQuery } from './topics.js';

/** @type {import('../../dist/src/index.js').App} */
export default {
  websocket: {
    open: subscribeByQuery,
    message(peer, message) {
      const chat = chatLine(message.text());
      if (chat) peer.publish(chat.room, chat.line);
    },
  },
};
