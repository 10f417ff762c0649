/** Finds the app's module and says in one sentence what is wrong where it cannot be one. Lanes import it. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { AppError } from './errors.js';

const TYPESCRIPT = /\.[cm]?tsx?$/;

/** @returns the module as a file: URL @throws {AppError} */
export function locateApp(app: string | URL): string {
  const path = toPath(app);
  let isFile = false;
  try {
    isFile = statSync(path).isFile();
  } catch {
    // told below, whatever the reason
  }
  if (!isFile) throw new AppError(`the app '${path}' does not exist or is not a file`);
  if (TYPESCRIPT.test(path) && !stripsTypes()) {
    throw new AppError(
      `Node ${process.versions.node} does not run TypeScript: compile '${path}' to JavaScript, ` +
        'or use Node 22.18 or later',
    );
  }
  return pathToFileURL(path).href;
}

function toPath(app: string | URL): string {
  if (app instanceof URL || app.startsWith('file:')) {
    try {
      return fileURLToPath(app);
    } catch {
      throw new AppError(`the app '${app}' is not a file: URL`);
    }
  }
  return resolve(app);
}

function stripsTypes(): boolean {
  const { typescript } = process.features as { typescript?: false | 'strip' | 'transform' };
  return Boolean(typescript);
}
