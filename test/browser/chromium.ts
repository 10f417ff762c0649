/** Debian's Chromium, driven by playwright-core, which brings no browser of its own. */
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Where Chromium is, or undefined. */
export const chromiumPath = PATHS.find(path => existsSync(path));

/** Whether browser tests run. On CI they always do, and fail in {@link launchChromium} where there is no browser. */
export const runsBrowserTests = chromiumPath !== undefined || process.env.CI === 'true';

if (!runsBrowserTests) {
  console.warn(
    `Browser tests are skipped: no Chromium at ${PATHS.join(', ')}. On Debian: apt-get install chromium`,
  );
}

export async function launchChromium(): Promise<Browser> {
  if (chromiumPath === undefined) {
    throw new Error(`no Chromium at ${PATHS.join(', ')}; on Debian: apt-get install chromium`);
  }
  return chromium.launch({
    executablePath: chromiumPath,
    args: [
      '--no-sandbox', // it cannot work as root in a container
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
