/** The short form of kill.mjs. */
import { test } from 'vitest';
import { chooseSeed } from '../support/random.js';
import { kill } from './kill.mjs';
import { scenarios } from './workers/kill-scenarios.mjs';

const seed = chooseSeed();

test.each(Object.keys(scenarios))(
  `%s: threads die, the others go on (TEST_SEED=${seed})`,
  async primitive => {
    await kill(primitive, 15, seed);
  },
);
