// @ts-check
/**
 * Stands in for real cameras: a small HTTP server that draws four pictures, with ETags, each at its own pace. The one in
 * the greenhouse is old and answers with 503 now and then. With cameras of your own you do not need this file.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';

const WIDTH = 480;
const HEIGHT = 300;

/** From 0 to 1 and round again, once in so many seconds. @param {number} time @param {number} seconds */
const turn = (time, seconds) => (time / 1000 / seconds) % 1;

/** The same for the same number, and else anything from 0 to 1. @param {number} number */
const chance = number => Math.abs(Math.sin(number * 12.9898) * 43758.5453) % 1;

/** @param {number} count @param {(i: number) => string} draw */
const each = (count, draw) => Array.from({ length: count }, (_, i) => draw(i)).join('');

/** Night, dawn, day, dusk: the top of the sky, its lower end, and how dark it is. @param {number} time */
function sky(time) {
  const light = (1 - Math.cos(turn(time, 90) * 2 * Math.PI)) / 2;
  const colour = (/** @type {number} */ hue, /** @type {number} */ least, /** @type {number} */ most) =>
    `hsl(${hue} ${35 + 25 * light}% ${least + (most - least) * light}%)`;
  const dusk = Math.max(0, 1 - Math.abs(light - 0.35) * 4);
  return { light, top: colour(218, 10, 62), low: colour(dusk > 0.2 ? 22 : 205, 20 + 30 * dusk, 84) };
}

/** @type {Record<string, (time: number) => string>} */
const scenes = {
  harbour(time) {
    const { light, top, low } = sky(time);
    const x = turn(time, 60) * 620 - 70;
    const y = 216 + 3 * Math.sin(time / 900);
    const beam = 40 * Math.sin(time / 2500);
    return `${backdrop(top, low)}
      <path d="M396 112 0 ${70 + beam} 0 ${130 + beam}Z" fill="#fff6c8" opacity="${0.5 * (1 - light)}"/>
      <path d="M388 205 392 120h12l4 85z" fill="#f2f2ee"/><path d="M390 165h16l2 22h-20z" fill="#c8402f"/>
      <path d="M390 120h16v-14h-16z" fill="#ffe680"/><path d="m386 106 12-14 12 14z" fill="#8d2f24"/>
      <path d="M340 212q50-22 140-12v20H340z" fill="#4b5a4a"/>
      <path d="M0 208h${WIDTH}v92H0z" fill="hsl(205 45% ${14 + 26 * light}%)"/>
      ${each(26, i => `<path d="M${(chance(i) * 520 + time / 400) % 520} ${222 + chance(i + 50) * 70}h${14 + 26 * chance(i + 90)}" stroke="#fff" stroke-width="1.5" opacity="0.18"/>`)}
      <g transform="translate(${x} ${y}) rotate(${2 * Math.sin(time / 1100)})">
        <path d="M-34 0h72l-12 16h-48z" fill="#8a3324"/><path d="M0-4v-62l36 56z" fill="#fbfaf4"/><path d="M-4-4v-50l-26 46z" fill="#e9e4d4"/>
      </g>`;
  },
  street(time) {
    const { light, top, low } = sky(time + 30_000);
    const lit = (/** @type {number} */ i) => (1 - light) * 1.4 > chance(i + Math.floor(time / 15_000)) + 0.2;
    const house = (/** @type {number} */ i) => {
      const tall = 96 + 60 * chance(i + 7);
      const left = i * 82 - 8;
      return `<path d="M${left} ${236 - tall}h80v${tall}h-80z" fill="hsl(${15 + 40 * chance(i)} 28% ${24 + 34 * light}%)"/>
        ${each(6, w => `<path d="M${left + 12 + (w % 2) * 36} ${236 - tall + 16 + Math.floor(w / 2) * 32}h20v20h-20z" fill="${lit(i * 6 + w) ? '#ffd76a' : `hsl(210 25% ${16 + 40 * light}%)`}"/>`)}`;
    };
    const x = 540 - turn(time, 18) * 620;
    return `${backdrop(top, low)}${each(6, house)}
      <path d="M0 236h${WIDTH}v64H0z" fill="hsl(220 8% ${16 + 16 * light}%)"/>
      <path d="M0 268h${WIDTH}" stroke="#e8e4d0" stroke-width="3" stroke-dasharray="26 22" opacity="0.7"/>
      <g transform="translate(${x} 244)"><path d="M0 18q2-14 18-14l8-14h34l12 14q14 1 14 14z" fill="#2f6f9f"/>
        <path d="M29-6h12v10H22zm16 0h12l9 10H45z" fill="#cfe5f2"/><circle cx="20" cy="19" r="8" fill="#16181d"/><circle cx="66" cy="19" r="8" fill="#16181d"/></g>`;
  },
  summit(time) {
    const { light, top, low } = sky(time + 60_000);
    const cloud = (/** @type {number} */ i) =>
      `<ellipse cx="${((chance(i) + turn(time, 120 + 40 * i)) % 1) * 640 - 80}" cy="${70 + 44 * i}" rx="${60 + 20 * i}" ry="${11 + 3 * i}" fill="#fff" opacity="${0.16 + 0.5 * light}"/>`;
    return `${backdrop(top, low)}
      <circle cx="${90 + 300 * turn(time, 90)}" cy="64" r="20" fill="${light > 0.4 ? '#fff3b8' : '#eef1f8'}" opacity="0.9"/>
      <path d="m-20 300 110-120 60 50 90-150 80 110 50-46 130 156z" fill="hsl(222 18% ${18 + 26 * light}%)"/>
      <path d="m240 80 40 55-22-6-16 16-18-14-20 16z" fill="#f7f9fc"/><path d="m370 144 28 34-18-4-16 10-12-24z" fill="#e6ecf4"/>
      ${each(3, cloud)}<path d="M0 300v-34q120-30 240-8t240-14v56z" fill="hsl(150 20% ${12 + 20 * light}%)"/>`;
  },
  greenhouse(time) {
    const plant = (/** @type {number} */ i) => {
      const x = 50 + i * 76;
      const tall = 50 + 55 * chance(i + 3) + 2 * Math.sin(time / 1500 + i);
      return `<path d="M${x} 250q4-${tall / 2} 0-${tall}" stroke="#3f7d3a" stroke-width="4" fill="none"/>
        ${each(4, l => `<ellipse cx="${x + (l % 2 ? 14 : -14)}" cy="${246 - (tall / 4) * (l + 0.6)}" rx="15" ry="6" fill="#5c9c4e" transform="rotate(${l % 2 ? -24 : 24} ${x} ${246 - (tall / 4) * (l + 0.6)})"/>`)}
        ${chance(i + 9) > 0.35 ? `<circle cx="${x + 9}" cy="${250 - tall * 0.45}" r="8" fill="#d2402e"/>` : ''}
        <path d="M${x - 20} 250h40l-6 34h-28z" fill="#b06a42"/>`;
    };
    return `<path d="M0 0h${WIDTH}v${HEIGHT}H0z" fill="#dcebe2"/>
      ${each(9, i => `<path d="M${i * 60} 0v${HEIGHT}M0 ${i * 60}h${WIDTH}" stroke="#fff" stroke-width="5"/>`)}
      ${each(6, plant)}<path d="M0 284h${WIDTH}v16H0z" fill="#8a7a66"/>`;
  },
};

/** @param {string} top @param {string} low */
function backdrop(top, low) {
  return `<defs><linearGradient id="sky" x2="0" y2="1"><stop stop-color="${top}"/><stop offset="0.8" stop-color="${low}"/></linearGradient></defs>
    <path d="M0 0h${WIDTH}v${HEIGHT}H0z" fill="url(#sky)"/>`;
}

export const demoCameras = [
  { name: 'Harbour', url: '/harbour.svg' },
  { name: 'Market street', url: '/street.svg' },
  { name: 'Summit', url: '/summit.svg' },
  { name: 'Greenhouse', url: '/greenhouse.svg' },
];

/** How often each picture changes, in milliseconds. @type {Record<string, number>} */
const PACES = { harbour: 1000, street: 3000, summit: 8000, greenhouse: 30_000 };

/** Serves the pictures until the signal is aborted. @param {AbortSignal} signal @returns their base URL */
export async function serveDemo(signal) {
  const began = Date.now();
  const server = createServer(({ url = '', headers }, response) => {
    const name = url.slice(1, -'.svg'.length);
    const pace = PACES[name];
    const draw = scenes[name];
    if (pace === undefined || draw === undefined) return void response.writeHead(404).end();
    const now = Date.now();
    if (name === 'greenhouse' && (now - began) % 40_000 > 25_000) return void response.writeHead(503).end();
    const frame = Math.floor(now / pace);
    const etag = `"${name}-${frame}"`;
    if (headers['if-none-match'] === etag) return void response.writeHead(304, { etag }).end();
    const picture = draw(frame * pace);
    response.writeHead(200, { etag, 'content-type': 'image/svg+xml' });
    response.end(
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}">${picture}</svg>`,
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening', { signal });
  signal.addEventListener('abort', () => {
    server.close();
    server.closeAllConnections();
  });
  const address = /** @type {import('node:net').AddressInfo} */ (server.address());
  return `http://127.0.0.1:${address.port}`;
}
