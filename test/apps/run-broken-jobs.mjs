/** run.mjs with jobs whose module cannot be imported. */
import run from './run.mjs';

export default { ...run, jobs: new URL('./jobs/broken.mjs', import.meta.url) };
