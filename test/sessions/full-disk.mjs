/** A script of its own: a journal in a process whose files may not grow beyond a bound. */
import { execFileSync } from 'node:child_process';
import { Journal } from '../../dist/src/sessions/journal.js';

const [, , directory] = process.argv;
execFileSync('prlimit', [`--pid=${process.pid}`, '--fsize=65536']);
process.on('SIGXFSZ', () => {});
let failure;
const journal = new Journal(directory, error => {
  failure = error;
});
journal.load();
const name = Buffer.alloc(16, 1);
journal.began({ name, mark: Buffer.alloc(8), handled: 0, lastNumber: 0, frames: [] });
for (let number = 1; failure === undefined && number < 10_000; number++) {
  journal.handled(name, number);
  journal.write();
}
// It must stay usable, and do nothing.
journal.handled(name, 1);
journal.write();
journal.close();
console.log(`failed: ${failure?.code}`);
