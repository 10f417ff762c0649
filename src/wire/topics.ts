/** Names of topics and namespaces. */
import { TopicError } from '../errors.js';
import { TOPIC_SEPARATOR } from './records.js';

/** A record counts a topic's bytes in 16 bits. Together with its namespace a name must stay within them. */
const LONGEST_NAME_BYTES = 16 * 1024;

/** @throws {TopicError} `ERR_THREADGATE_TOPIC` */
export function checkName(what: 'topic' | 'namespace', name: string): void {
  if (typeof name !== 'string') throw new TopicError(`a ${what} must be a string, not ${typeof name}`);
  if (name.length * 3 > LONGEST_NAME_BYTES && Buffer.byteLength(name) > LONGEST_NAME_BYTES) {
    throw new TopicError(
      `a ${what} can have at most ${LONGEST_NAME_BYTES} bytes, not ${Buffer.byteLength(name)}`,
    );
  }
  if (name.includes(TOPIC_SEPARATOR)) throw new TopicError(`a ${what} cannot contain a NUL character`);
}

/** The topic's own name, out of its name with the namespace. */
export function topicOf(name: string): string {
  return name.slice(name.indexOf(TOPIC_SEPARATOR) + 1);
}
