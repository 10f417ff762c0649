/** Nothing here comes to an end: a message asks for a job that burns CPU for ever, a request is never answered. */
export default {
  jobs: './jobs/work.mjs',
  websocket: {
    async message(peer) {
      const job = peer.gateway.run('spin', new Int32Array(new SharedArrayBuffer(8)));
      peer.send('begun');
      await job;
    },
  },
  fetch(_request, gateway) {
    gateway.log.info('request begun');
    return new Promise(() => {});
  },
};
