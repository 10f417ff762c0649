import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chart } from '../../bench/chart/chart.js';
import { apart, linear, logarithmic } from '../../bench/chart/scale.js';
import { element } from '../../bench/chart/svg.js';
import { contenderNames, contenders } from '../../bench/contenders.js';
import { environment } from '../../bench/report/environment.js';
import { withTables } from '../../bench/report/files.js';
import { compact } from '../../bench/report/format.js';
import { markdown, type Result, summary } from '../../bench/report/markdown.js';
import { verdicts } from '../../bench/statistics.js';
import { workloads } from '../../bench/workloads.js';
import { launchChromium, runsBrowserTests } from '../browser/chromium.js';

/** A result with figures for everything; `&<` stands in every title, and one contender has failed throughout. */
function everything(): Result {
  const sample = {
    value: 1000,
    p50: 1,
    p99: 2,
    p999: 3,
    serverCpu: 0.9,
    generatorCpu: 0.5,
    busiestThread: 0.9,
  };
  const failure = { value: Number.NaN, failure: 'it ended' };
  const titles = contenderNames.map(name => [name, { title: `${contenders[name].title}&<`, settings: '' }]);
  return {
    environment: environment(),
    method: { rounds: 2, seconds: 1, tries: 1 },
    command: 'npm run bench',
    contenders: Object.fromEntries(titles),
    skipped: { nchan: 'nginx' },
    workloads: workloads.map(workload => {
      const samples = Object.fromEntries(
        workload.contenders.map((name, i) => [
          name,
          name === 'ws' ? [failure, failure] : [sample, { ...sample, value: 1000 + i }],
        ]),
      );
      const measured = { date: '2026-01-01T00:00:00Z', rounds: 2, seconds: 1 };
      return { workload, measured, samples, verdicts: verdicts(workload, samples) };
    }),
  };
}

describe('a scale', () => {
  test('begins at nothing and ends at a round number', () => {
    const { place, ticks } = linear(870_000, 100);
    expect(ticks).toEqual([0, 250_000, 500_000, 750_000, 1_000_000]);
    expect(place(500_000)).toBe(50);
  });

  test('has powers of ten where it is logarithmic', () => {
    const { place, ticks } = logarithmic(0.3, 42, 90);
    expect(ticks).toEqual([0.1, 1, 10, 100]);
    expect(place(1)).toBeCloseTo(30);
  });

  test('stands even when there is nothing to show', () => {
    expect(linear(0, 100).place(0)).toBe(0);
  });
});

describe('labels', () => {
  test('that would overlap are moved apart, and keep their order', () => {
    expect(apart([50, 52, 10], 10, 100)).toEqual([50, 60, 10]);
  });

  test('stay inside', () => {
    expect(apart([98, 99, 100], 10, 100)).toEqual([80, 90, 100]);
  });
});

test.each([
  [1_234_567, '1.23M'],
  [12_345, '12.3k'],
  [1234, '1,234'],
  [0.12345, '0.123'],
  [Number.NaN, '–'],
])('%d is written as %s', (value, text) => {
  expect(compact(value)).toBe(text);
});

test('text in SVG cannot break out of it', () => {
  expect(element('a', { b: '"<' })).toBe('<a b="&quot;&lt;"/>');
});

test('the report says what failed, and what was skipped', () => {
  const text = markdown(everything());
  expect(text).toContain('failed: it ended');
  expect(text).toContain('nginx with nchan&< was skipped: it needs nginx');
  expect(text).not.toContain('undefined');
});

test("the README's tables are replaced, and nothing else", () => {
  const markers = (name: string) => `<!-- ${name} -->\nold\n<!-- /${name} -->`;
  const readme = `before\n${markers('bench:table')}\nbetween\n${markers('bench:floors')}\nafter\n`;
  const text = withTables(readme, everything());
  expect(text).toMatch(/^before\n<!-- bench:table -->\n\| /);
  expect(text).not.toContain('old');
  expect(text).toContain('\n<!-- /bench:table -->\nbetween\n<!-- bench:floors -->\n| ');
  expect(text.endsWith('\n<!-- /bench:floors -->\nafter\n')).toBe(true);
  expect(() => withTables('no markers', everything())).toThrow('bench:table');
});

test('the summary marks what something else than the server has limited', () => {
  const result = everything();
  for (const { samples } of result.workloads) {
    for (const sample of Object.values(samples).flat()) sample.generatorCpu = 0.99;
  }
  expect(summary(result)).toMatch(/\| 1,000\\\* · 1\.00 \|[\s\S]*limited by the load generator/);
  expect(summary(everything())).not.toContain('limited by');
});

describe.runIf(runsBrowserTests)('the picture', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser.close());

  test('is XML that a browser draws, with every text inside it', async () => {
    const page = await browser.newPage();
    await page.goto(`data:image/svg+xml;base64,${Buffer.from(chart(everything())).toString('base64')}`);
    const outside = await page.evaluate(`(() => {
      const { width, height } = document.documentElement.getBoundingClientRect();
      return [...document.querySelectorAll('text')]
        .filter(text => {
          const box = text.getBoundingClientRect();
          return box.left < 0 || box.right > width || box.top < 0 || box.bottom > height;
        })
        .map(text => text.textContent);
    })()`);
    expect(await page.evaluate("document.querySelectorAll('rect').length")).toBeGreaterThan(40);
    expect(outside).toEqual([]);
  });

  test.each(['light', 'dark'] as const)('can be read on a %s page', async colorScheme => {
    const page = await browser.newPage({ colorScheme });
    await page.goto(`data:image/svg+xml;base64,${Buffer.from(chart(everything())).toString('base64')}`);
    const colours = (await page.evaluate(
      "['.page', '.title', '.muted'].map(name => getComputedStyle(document.querySelector(name)).fill)",
    )) as string[];
    const [page_ = 0, ...texts] = colours.map(brightness);
    for (const text of texts) expect(Math.abs(text - page_)).toBeGreaterThan(0.4);
    expect(page_ > 0.5).toBe(colorScheme === 'light');
  });
});

/** From 0 to 1. */
function brightness(colour: string): number {
  const [red = 0, green = 0, blue = 0] = colour.match(/\d+/g)?.map(Number) ?? [];
  return (0.299 * red + 0.587 * green + 0.114 * blue) / 255;
}
