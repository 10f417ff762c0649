/** Takes its time to be imported, and says when it has begun. */
import { writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

writeSync(1, 'importing\n');
await delay(300);

export default { fetch: () => new Response('here') };
