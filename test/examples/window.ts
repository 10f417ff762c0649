/** A page of an example in Chromium, and its picture for the example's README: SCREENSHOTS=1 npx vitest run test/examples */
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest';
import { launchChromium } from '../browser/chromium.js';
import { ROOT } from '../support/child.js';

export interface LookOptions {
  width?: number;
  height?: number;
  colorScheme?: 'light' | 'dark';
}

/** One browser for the tests of a describe block; each page that it opens is a person's own, and has thrown nothing in the end. */
export function sharedChromium(): (url: string, options?: LookOptions) => Promise<Page> {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  }, 60_000);
  afterAll(() => browser?.close());
  return async (url, { width = 1000, height = 640, colorScheme = 'light' } = {}) => {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme });
    const page = await context.newPage();
    const troubles: string[] = [];
    page.on('pageerror', error => troubles.push(String(error)));
    onTestFinished(async () => {
      await context.close();
      expect(troubles).toEqual([]);
    });
    await page.goto(url);
    return page;
  };
}

/** What a page shows in the end: `await eventually(() => …).toBe(…)`. */
export const eventually = <T>(look: () => T) => expect.poll(look, { timeout: 15_000 });

/** Takes the picture that the example's README shows, where SCREENSHOTS asks for it. */
export async function picture(page: Page, example: string): Promise<void> {
  if (process.env.SCREENSHOTS === undefined) return;
  await page.screenshot({ path: join(ROOT, 'examples', example, 'screenshot.png'), animations: 'disabled' });
}
