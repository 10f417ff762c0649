// @ts-check
/**
 * Colours, for light and dark pages: the picture follows what the reader's browser prefers, and brings its own
 * background, so that it can be read on any page.
 */

const light = {
  background: '#ffffff',
  frame: '#d1d9e0',
  text: '#1f2328',
  muted: '#59636e',
  grid: '#e4e8ec',
  bar: '#b6bfc9',
  ours: '#0969da',
  'ours-2': '#54a3f5',
  baseline: '#59636e',
};

const dark = {
  background: '#0d1117',
  frame: '#3d444d',
  text: '#f0f6fc',
  muted: '#9198a1',
  grid: '#262c36',
  bar: '#484f58',
  ours: '#4493f8',
  'ours-2': '#1f5fb8',
  baseline: '#8b949e',
};

/** Lines need a colour each: [light, dark]. @type {Record<string, [string, string]>} */
const lines = {
  threadgate: [light.ours, dark.ours],
  'threadgate-2': [light['ours-2'], dark['ours-2']],
  uws: [light.baseline, dark.baseline],
  ws: ['#bc4c00', '#f0883e'],
  socketio: ['#57068c', '#d2a8ff'],
  cluster: ['#8250df', '#a371f7'],
  postmessage: ['#9a6700', '#d29922'],
  piscina: ['#cf222e', '#f85149'],
  bun: ['#bf3989', '#f778ba'],
  go: ['#0e7f86', '#39c5cf'],
  nchan: ['#1a7f37', '#3fb950'],
};

/** The colour class of a contender's line. @param {string} name */
export function lineClass(name) {
  return name in lines ? `line-${name}` : 'line-uws';
}

/** The colour class of a contender's bar: ours stand out, the others are grey. @param {string} name */
export function barClass(name) {
  if (name === 'threadgate') return 'fill-ours';
  if (name === 'threadgate-2') return 'fill-ours-2';
  return name === 'uws' ? 'fill-baseline' : 'fill-bar';
}

export function stylesheet() {
  return `
:root { ${variables(light, 0)} }
@media (prefers-color-scheme: dark) { :root { ${variables(dark, 1)} } }
text { font: 12px -apple-system, BlinkMacSystemFont, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; fill: var(--text); }
.title { font-size: 20px; font-weight: 600; }
.heading { font-size: 14px; font-weight: 600; }
.muted { fill: var(--muted); }
.small { font-size: 11px; }
.strong { font-weight: 600; }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
.page { fill: var(--background); stroke: var(--frame); }
.grid { stroke: var(--grid); stroke-width: 1; fill: none; }
.axis { stroke: var(--frame); stroke-width: 1; fill: none; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
${Object.keys(light)
  .map(name => `.fill-${name} { fill: var(--${name}); } .stroke-${name} { stroke: var(--${name}); }`)
  .join('\n')}
${Object.keys(lines)
  .map(name => `.line-${name} { stroke: var(--line-${name}); fill: var(--line-${name}); }`)
  .join('\n')}
.hollow { fill: var(--background); stroke-width: 1.5; }
path.line { fill: none; }
text.label { stroke: none; }
`;
}

/** @param {Record<string, string>} colours @param {0 | 1} mode */
function variables(colours, mode) {
  return [
    ...Object.entries(colours).map(([name, colour]) => `--${name}: ${colour};`),
    ...Object.entries(lines).map(([name, pair]) => `--line-${name}: ${pair[mode]};`),
  ].join(' ');
}
