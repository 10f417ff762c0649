/** run.mjs with jobs. */
import run from './run.mjs';

export default { ...run, jobs: './jobs/work.mjs' };
