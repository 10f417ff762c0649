// @ts-check
/**
 * What is measured, as data: the work, the load, who does it, and the ratios that threadgate must reach. A ratio compares
 * two contenders of the same round. To add a workload, add an entry; a new kind of load is a file in load/.
 */

import { availableParallelism } from 'node:os';

/**
 * @typedef {import('./contenders.js').ContenderName} ContenderName
 *
 * @typedef {object} Limit a ratio to a baseline, or, without one, an absolute figure
 * @property {ContenderName} contender
 * @property {ContenderName} [baseline]
 * @property {number} [atLeast] the floor: below it something is wrong
 * @property {number} [atMost] the same, where less is better
 * @property {number} [aim] what it should reach; default: the floor
 *
 * @typedef {'value' | 'p99'} Metric
 *
 * @typedef {object} Series several workloads that differ in one number
 * @property {string} name
 * @property {string} title
 * @property {string} axis what the number is
 * @property {number} x
 * @property {'value' | 'cpu'} shows what its chart shows: the figure, or the server's CPU for each message
 *
 * @typedef {object} Workload
 * @property {string} name
 * @property {string} title
 * @property {string} work that the servers are asked to do: echo, mixed, fanout, chat or http
 * @property {number} [cpuMicroseconds] CPU burnt per message or request
 * @property {number} [threads] lanes, workers or processes, where a contender has them; default: the contender's own
 * @property {'websocket' | 'http' | 'publish' | 'connect' | 'idle'} load the generator: a file in load/
 * @property {Record<string, string | number>} options of the generator
 * @property {string} unit of the figure `value`
 * @property {Metric} [metric] what contenders are compared by; default `value`
 * @property {'higher' | 'lower'} [better] default higher
 * @property {number} [minSeconds] of a measurement, where less shows nothing
 * @property {number} [maxRounds] where a round is long and its result steady
 * @property {ContenderName[]} contenders in the order in which they take turns
 * @property {Limit[]} [limits]
 * @property {Series} [series]
 */

/** @type {ContenderName[]} */
const everyone = [
  'uws',
  'threadgate',
  'threadgate-2',
  'ws',
  'socketio',
  'cluster',
  'postmessage',
  'piscina',
  'bun',
  'go',
];
/** @type {ContenderName[]} */
const withHandlers = ['uws', 'threadgate', 'threadgate-2', 'ws', 'bun', 'go'];
/** @type {ContenderName[]} */
const withThreads = ['uws', 'threadgate', 'threadgate-2', 'cluster', 'postmessage', 'piscina', 'go'];
/** @type {ContenderName[]} */
const publishers = ['uws', 'threadgate', 'ws', 'socketio', 'cluster', 'bun', 'go', 'nchan'];

const connections = 64;
const size = 64;

/**
 * @param {number} inflight @param {number} bytes
 * @param {{ contenders: ContenderName[], limits?: Limit[] }} who
 * @returns {Workload}
 */
const echo = (inflight, bytes, { contenders, limits }) => ({
  name: `echo-${inflight}${bytes === size ? '' : `-${kilobytes(bytes)}`}`,
  title: `echo, ${bytes === size ? `${size} bytes` : `${bytes / 1024} KB`}, ${inflight} in flight`,
  work: 'echo',
  load: 'websocket',
  options: { mode: 'echo', connections, size: bytes, inflight },
  unit: 'msg/s',
  contenders,
  limits,
});

/** @param {number} cpuMicroseconds @param {Limit[]} [limits] @returns {Workload} */
const cpu = (cpuMicroseconds, limits) => ({
  name: `cpu-${cpuMicroseconds}`,
  title: `${cpuMicroseconds.toLocaleString('en-US')} µs of CPU per message`,
  work: 'echo',
  cpuMicroseconds,
  load: 'websocket',
  // More in flight would only wait: the queue is never empty.
  options: { mode: 'echo', connections, size, inflight: cpuMicroseconds > 500 ? 2 : 16 },
  unit: 'msg/s',
  contenders: withThreads,
  limits,
});

/** @param {number} subscribers @param {number} inflight @param {Limit[]} [limits] @returns {Workload} */
const fanout = (subscribers, inflight, limits) => ({
  name: `fanout-${subscribers}-${inflight}`,
  title: `publish to ${subscribers.toLocaleString('en-US')} subscribers, ${inflight} in flight`,
  work: 'fanout',
  load: 'websocket',
  options: { mode: 'fanout', subscribers, size, inflight },
  unit: 'deliveries/s',
  contenders: publishers,
  limits,
});

/** @param {Series} series @param {Omit<Workload, 'name' | 'title' | 'series'>} workload @returns {Workload} */
const point = (series, workload) => ({
  name: `${series.name}-${series.x}`,
  title: `${series.title}: ${series.x.toLocaleString('en-US')} ${series.axis}`,
  ...workload,
  series,
});

/** @type {Workload[]} */
export const workloads = [
  echo(16, size, {
    contenders: everyone,
    limits: [
      { contender: 'threadgate', baseline: 'uws', atLeast: 0.85, aim: 0.95 },
      { contender: 'threadgate', baseline: 'ws', atLeast: 7 },
    ],
  }),
  echo(1, size, {
    contenders: everyone,
    limits: [{ contender: 'threadgate', baseline: 'uws', atLeast: 0.8, aim: 0.9 }],
  }),
  echo(16, 1024, { contenders: withHandlers }),
  echo(1, 1024, { contenders: withHandlers }),
  echo(16, 16_384, { contenders: withHandlers }),
  echo(1, 16_384, { contenders: withHandlers }),
  {
    name: 'latency',
    title: 'echo at a fixed 20,000 msg/s',
    work: 'echo',
    load: 'websocket',
    options: { mode: 'paced', connections, size, rate: 20_000 },
    unit: 'msg/s',
    metric: 'p99',
    better: 'lower',
    contenders: everyone,
  },
  cpu(5),
  cpu(20),
  cpu(100, [{ contender: 'threadgate-2', baseline: 'uws', atLeast: 1.9 }]),
  cpu(1000),
  {
    name: 'mixed',
    title: 'light messages, beside 8 clients with 5 ms ones',
    work: 'mixed',
    cpuMicroseconds: 5000,
    load: 'websocket',
    options: { mode: 'mixed', connections: 56, heavyConnections: 8, size, rate: 500 },
    unit: 'light msg/s',
    metric: 'p99',
    better: 'lower',
    contenders: withThreads,
    limits: [{ contender: 'threadgate', baseline: 'uws', atMost: 0.1 }],
  },
  fanout(100, 1),
  fanout(100, 16),
  fanout(1000, 1),
  fanout(1000, 16, [{ contender: 'threadgate', baseline: 'uws', atLeast: 0.9, aim: 0.95 }]),
  {
    name: 'fanout-slow',
    title: 'publish 16 KB to 1,000 subscribers, 10 more hardly read',
    work: 'fanout',
    load: 'websocket',
    // Large and long enough that what the kernel takes for a client is used up.
    options: { mode: 'fanout', subscribers: 1000, slowReaders: 10, size: 16_384, inflight: 4 },
    minSeconds: 3,
    unit: 'deliveries/s',
    contenders: publishers,
  },
  {
    name: 'chat',
    title: 'JSON chat, 10 rooms of 50',
    work: 'chat',
    load: 'websocket',
    options: { mode: 'chat', rooms: 10, members: 50, speakers: 5, inflight: 4 },
    unit: 'deliveries/s',
    contenders: ['uws', 'threadgate', 'threadgate-2', 'ws', 'socketio', 'cluster', 'bun', 'go'],
  },
  {
    name: 'connect',
    title: 'connect, upgrade, leave; 32 at a time',
    work: 'echo',
    load: 'connect',
    options: { atOnce: 32 },
    unit: 'connections/s',
    contenders: ['uws', 'threadgate', 'ws', 'socketio', 'cluster', 'bun', 'go'],
  },
  {
    name: 'http',
    title: 'HTTP, a trivial route',
    work: 'http',
    load: 'http',
    options: { path: '/', connections: 100 },
    unit: 'req/s',
    contenders: [...withHandlers, 'cluster'],
    limits: [{ contender: 'threadgate', baseline: 'ws', atLeast: 0.9 }],
  },
  {
    name: 'http-cpu-100',
    title: 'HTTP, a route with 100 µs of CPU',
    work: 'http',
    cpuMicroseconds: 100,
    load: 'http',
    options: { path: '/cpu', connections: 100 },
    unit: 'req/s',
    contenders: [...withHandlers, 'cluster'],
    limits: [{ contender: 'threadgate-2', baseline: 'ws', atLeast: 1.7 }],
  },
  {
    name: 'http-json',
    title: 'HTTP, a POST of 1 KB of JSON',
    work: 'http',
    load: 'http',
    options: { path: '/order', connections: 100, body: 'order' },
    unit: 'req/s',
    contenders: [...withHandlers, 'cluster'],
  },
  {
    name: 'http-publish',
    title: 'HTTP, a POST that publishes to 1,000 subscribers',
    work: 'http',
    load: 'publish',
    options: { subscribers: 1000, connections: 10 },
    unit: 'deliveries/s',
    contenders: ['uws', 'threadgate', 'ws', 'cluster', 'bun', 'go', 'nchan'],
  },
  {
    name: 'memory',
    title: 'memory of an idle connection, 10,000 open',
    work: 'echo',
    load: 'idle',
    options: { connections: 10_000, warmupConnections: 2000 },
    unit: 'bytes',
    better: 'lower',
    maxRounds: 1,
    contenders: ['uws', 'threadgate', 'ws', 'socketio', 'bun', 'go'],
    limits: [{ contender: 'threadgate', atMost: 2560 }],
  },
  ...laneCounts().map(lanes =>
    point(
      { name: 'lanes', title: 'lanes, at 100 µs of CPU each', axis: 'lanes', x: lanes, shows: 'value' },
      {
        work: 'echo',
        cpuMicroseconds: 100,
        threads: lanes,
        load: 'websocket',
        options: { mode: 'echo', connections, size, inflight: 16 },
        unit: 'msg/s',
        maxRounds: 2,
        contenders: ['threadgate', 'cluster', 'postmessage', 'piscina'],
      },
    ),
  ),
  ...[10, 100, 1000, 10_000].map(count =>
    point(
      {
        name: 'connections',
        title: 'connections, at 20,000 msg/s',
        axis: 'connections',
        x: count,
        shows: 'cpu',
      },
      {
        work: 'echo',
        load: 'websocket',
        options: { mode: 'paced', connections: count, size, rate: 20_000 },
        unit: 'msg/s',
        metric: 'p99',
        better: 'lower',
        maxRounds: 2,
        contenders: ['uws', 'threadgate', 'ws', 'bun', 'go'],
      },
    ),
  ),
  ...[1, 10, 100, 1000, 10_000].map(count =>
    point(
      {
        name: 'subscribers',
        title: 'subscribers, 16 in flight',
        axis: 'subscribers',
        x: count,
        shows: 'value',
      },
      {
        work: 'fanout',
        load: 'websocket',
        options: { mode: 'fanout', subscribers: count, size, inflight: 16 },
        unit: 'deliveries/s',
        maxRounds: 2,
        // nchan numbers a channel's messages within a second with 15 bits, and stalls beyond.
        contenders: [
          'uws',
          'threadgate',
          'ws',
          'bun',
          'go',
          ...(count === 1 ? [] : /** @type {const} */ (['nchan'])),
        ],
      },
    ),
  ),
];

/** 1, 2, 4 … and as many as there are cores. */
function laneCounts() {
  const cores = Math.max(2, availableParallelism());
  const powers = Array.from({ length: Math.ceil(Math.log2(cores)) }, (_, i) => 2 ** i);
  return [...powers, cores];
}

/** @param {number} bytes */
function kilobytes(bytes) {
  return `${bytes / 1024}k`;
}
