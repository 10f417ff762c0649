/** The close hook keeps its thread busy for 8 ms, and then waits for what is there already. A line in TEST_TRACE tells of each. */
import { appendFileSync } from 'node:fs';

export default {
  websocket: {
    async close() {
      const end = performance.now() + 8;
      while (performance.now() < end);
      await undefined;
      appendFileSync(process.env.TEST_TRACE, 'closed\n');
    },
  },
};
