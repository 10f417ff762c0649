/** Agrees to an upgrade after a while. */
import { setTimeout as delay } from 'node:timers/promises';

export default { websocket: { upgrade: () => delay(300) } };
