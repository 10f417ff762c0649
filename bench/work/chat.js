// @ts-check
/** The JSON chat's handler, the same for every contender in JavaScript: parse, validate, make the line for the room. */

const LONGEST_TEXT = 1000;
const NAME = /^[\w-]{1,32}$/;

/**
 * @param {string} message of a client: `{"text":…,"user":…,"room":…}`
 * @returns {{ room: string, line: string } | undefined} what to publish, and where; undefined when it is not valid
 */
export function chatLine(message) {
  const chat = checkedChat(JSON.parse(message));
  return chat && { room: chat.room, line: JSON.stringify(chat) };
}

/**
 * For contenders that have parsed the message already.
 *
 * @param {any} chat
 * @returns {{ text: string, user: string, room: string, at: number } | undefined}
 */
export function checkedChat(chat) {
  const { text, user, room } = chat;
  if (typeof text !== 'string' || text.length === 0 || text.length > LONGEST_TEXT) return undefined;
  if (typeof user !== 'string' || !NAME.test(user)) return undefined;
  if (typeof room !== 'string' || !NAME.test(room)) return undefined;
  return { text, user, room, at: Date.now() };
}
