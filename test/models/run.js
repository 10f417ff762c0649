// @ts-check
/**
 * Checks the models in this folder with Spin: every state that threads can get into, one by one. Each must be without
 * error, and each with its BUG must not be: a model that finds nothing proves nothing.
 *
 *   npm run models        needs Debian's `spin` and `gcc`
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const here = import.meta.dirname;
const DEEPEST = 10_000_000;

/**
 * @param {string} model
 * @param {string[]} defines
 * @returns {{ errors: number, states: number, output: string }}
 */
function check(model, defines) {
  const folder = mkdtempSync(join(tmpdir(), 'threadgate-model-'));
  try {
    const run = (/** @type {string} */ command, /** @type {string[]} */ args) =>
      execFileSync(command, args, { cwd: folder, encoding: 'utf8' });
    run('spin', [...defines.map(name => `-D${name}`), '-a', join(here, model)]);
    // Assertions and states in which nobody can go on; states are kept whole, not as hashes.
    run('gcc', ['-O2', '-w', '-DSAFETY', '-DCOLLAPSE', '-o', 'pan', 'pan.c']);
    const output = run('./pan', [`-m${DEEPEST}`]);
    const errors = Number(/errors: (\d+)/.exec(output)?.[1] ?? Number.NaN);
    const states = Number(/([\d.e+]+) states, stored/.exec(output)?.[1] ?? Number.NaN);
    if (Number.isNaN(errors + states)) throw new Error(`pan said:\n${output}`);
    if (/search depth too small|out of memory/.test(output))
      throw new Error(`not all was searched:\n${output}`);
    return { errors, states, output };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

let failed = false;
/** @param {boolean} ok @param {string} line @param {string} output */
function report(ok, line, output) {
  console.log(`${ok ? 'ok    ' : 'FAILED'}  ${line}`);
  if (ok) return;
  failed = true;
  console.log(output);
}

for (const model of readdirSync(here).filter(name => name.endsWith('.pml') && name !== 'futex.pml')) {
  const right = check(model, []);
  report(
    right.errors === 0,
    `${model}: ${right.states.toLocaleString('en')} states, ${right.errors} errors`,
    right.output,
  );
  const wrong = check(model, ['BUG']);
  report(wrong.errors > 0, `${model} with its bug: ${wrong.errors} errors`, wrong.output);
}
process.exitCode = failed ? 1 : 0;
