/** Runs what test/support/runner.ts sends, and notes which other hooks ran. */
const kept = new Map();
const seen = [];

function note(hook, peer, details = {}) {
  seen.push({ hook, peer: peer.id, ...details });
}

function toolsFor(peer, message, argument) {
  const find = id => {
    for (const other of peer.gateway.peers) if (other.id === id) return other;
    throw new Error(`no peer has the id ${id}`);
  };
  return { gateway: peer.gateway, message, argument, seen, kept, find };
}

export default {
  websocket: {
    open: peer => note('open', peer),
    close: (peer, { code, reason }) => note('close', peer, { code, reason }),
    error: (peer, error) => note('error', peer, { code: error.code, message: error.message }),
    drain: peer => note('drain', peer, { bufferedAmount: peer.bufferedAmount }),
    ping: (peer, data) => note('ping', peer, { data: [...data] }),
    pong: (peer, data) => note('pong', peer, { data: [...data] }),

    async message(peer, message) {
      if (message.isBinary) return note('message', peer, { data: [...message.uint8Array()] });
      const { source, argument } = message.json();
      let reply;
      try {
        const body = new Function(`return (${source})`)();
        reply = { result: await body(peer, toolsFor(peer, message, argument)) };
      } catch (error) {
        reply = { error: { name: error.name, message: error.message, code: error.code } };
      }
      // Only seen by a client that is still there.
      peer.send(`#reply ${JSON.stringify(reply)}`);
    },
  },
};
