/** Watches an app's code and reloads it when it changes: for development. */
import { watch as watchFiles } from 'node:fs';
import { dirname, extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What a module graph is made of. */
const CODE = new Set(['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts', '.json', '.wasm', '.node']);

/** Milliseconds without another change before a change counts: editors write a file in several steps. */
const QUIET_MS = 30;

/**
 * Calls `changed` after a code file in the app's folder, or below it, has changed; not for `node_modules` and names that
 * begin with a dot. While a call is under way changes add up to one more.
 * @param app the app's file: URL
 * @returns a function that ends it
 */
export function watchApp(app: string, changed: () => Promise<void>): () => void {
  const folder = dirname(fileURLToPath(app));
  let quiet: NodeJS.Timeout | undefined;
  let running = false;
  let again = false;
  const run = async (): Promise<void> => {
    if (running) {
      again = true;
      return;
    }
    running = true;
    do {
      again = false;
      await changed();
    } while (again);
    running = false;
  };
  const watcher = watchFiles(folder, { recursive: true }, (_event, name) => {
    if (name === null || !isCode(name)) return;
    clearTimeout(quiet);
    quiet = setTimeout(run, QUIET_MS);
  });
  return () => {
    clearTimeout(quiet);
    watcher.close();
  };
}

function isCode(name: string): boolean {
  const parts = name.split(/[\\/]/);
  return CODE.has(extname(name)) && !parts.some(part => part === 'node_modules' || part.startsWith('.'));
}
