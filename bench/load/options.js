// @ts-check
/** What a generator is told: one argument of JSON, over the defaults that all of them share. */

/**
 * @param {Record<string, unknown>} defaults of this generator
 * @returns {any}
 */
export function loadOptions(defaults) {
  // A load must not outlive a runner that was killed, nor be kept alive by listening for that.
  process.on('disconnect', () => process.exit());
  process.channel?.unref();
  return {
    host: '127.0.0.1',
    dialect: 'websocket',
    serverPid: 0,
    seconds: 2,
    warmup: 1,
    ...defaults,
    ...JSON.parse(process.argv[2] ?? '{}'),
  };
}
