// @ts-check
/**
 * What is measured, as data: the work, the load, who does it, and the ratios that threadgate must reach. A ratio compares
 * two contenders of the same round. To add a workload, add an entry; a new kind of load is a file in load/.
 */

/**
 * @typedef {import('./contenders.js').ContenderName} ContenderName
 *
 * @typedef {object} Floor
 * @property {ContenderName} contender
 * @property {ContenderName} baseline
 * @property {number} atLeast times the baseline
 *
 * @typedef {object} Ceiling
 * @property {ContenderName} contender
 * @property {number} atMost in the workload's unit
 *
 * @typedef {object} Workload
 * @property {string} name
 * @property {string} title
 * @property {string} server the work that the servers are asked to do: echo, fanout, cpu or http
 * @property {number} [cpuMicroseconds] CPU burnt per message or request
 * @property {'websocket' | 'http' | 'idle'} load the generator: a file in load/
 * @property {Record<string, string | number>} options of the generator
 * @property {string} unit
 * @property {number} [maxRounds] where a round is long and its result steady
 * @property {ContenderName[]} contenders in the order in which they take turns
 * @property {(Floor | Ceiling)[]} limits
 */

const connections = 64;
const size = 64;

/** @type {Workload[]} */
export const workloads = [
  {
    name: 'echo-16',
    title: 'echo, 64 connections, 16 in flight each',
    server: 'echo',
    load: 'websocket',
    options: { mode: 'echo', connections, size, inflight: 16 },
    unit: 'msg/s',
    contenders: ['uws', 'threadgate', 'ws'],
    limits: [
      { contender: 'threadgate', baseline: 'uws', atLeast: 0.85 },
      { contender: 'threadgate', baseline: 'ws', atLeast: 7 },
    ],
  },
  {
    name: 'echo-1',
    title: 'echo, 64 connections, 1 in flight each',
    server: 'echo',
    load: 'websocket',
    options: { mode: 'echo', connections, size, inflight: 1 },
    unit: 'msg/s',
    contenders: ['uws', 'threadgate', 'ws'],
    limits: [{ contender: 'threadgate', baseline: 'uws', atLeast: 0.8 }],
  },
  {
    name: 'fanout-16',
    title: 'publish to 1,000 subscribers, 16 in flight',
    server: 'fanout',
    load: 'websocket',
    options: { mode: 'fanout', subscribers: 1000, publishers: 1, size, inflight: 16 },
    unit: 'deliveries/s',
    contenders: ['uws', 'threadgate', 'ws'],
    limits: [{ contender: 'threadgate', baseline: 'uws', atLeast: 0.9 }],
  },
  {
    name: 'cpu-100',
    title: 'handler with 100 µs of CPU, 64 connections, 16 in flight each',
    server: 'cpu',
    cpuMicroseconds: 100,
    load: 'websocket',
    options: { mode: 'echo', connections, size, inflight: 16 },
    unit: 'msg/s',
    contenders: ['uws', 'threadgate-2', 'threadgate'],
    limits: [{ contender: 'threadgate-2', baseline: 'uws', atLeast: 1.9 }],
  },
  {
    name: 'http',
    title: 'trivial fetch route, autocannon, 100 connections',
    server: 'http',
    load: 'http',
    options: { path: '/', connections: 100 },
    unit: 'req/s',
    contenders: ['node-http', 'threadgate', 'uws-http'],
    limits: [{ contender: 'threadgate', baseline: 'node-http', atLeast: 0.9 }],
  },
  {
    name: 'http-cpu-100',
    title: 'fetch route with 100 µs of CPU, autocannon, 100 connections',
    server: 'http',
    cpuMicroseconds: 100,
    load: 'http',
    options: { path: '/cpu', connections: 100 },
    unit: 'req/s',
    contenders: ['node-http', 'threadgate-2', 'uws-http'],
    limits: [{ contender: 'threadgate-2', baseline: 'node-http', atLeast: 1.7 }],
  },
  {
    name: 'memory',
    title: 'resident memory per idle connection, at 15,000',
    server: 'echo',
    load: 'idle',
    options: { connections: 15_000, warmupConnections: 2000 },
    unit: 'bytes',
    maxRounds: 2,
    contenders: ['uws', 'threadgate'],
    limits: [{ contender: 'threadgate', atMost: 2560 }],
  },
];
