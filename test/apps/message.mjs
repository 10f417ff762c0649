/** Answers each message with what its members give, as JSON. The path chooses the binaryType. */
const kept = [];

function shown(value) {
  if (value instanceof ArrayBuffer) return { ArrayBuffer: [...new Uint8Array(value)] };
  if (Buffer.isBuffer(value)) return { Buffer: [...value] };
  if (value instanceof Uint8Array) return { Uint8Array: [...value] };
  if (value instanceof Blob) return { Blob: value.size };
  return value;
}

export default {
  websocket: {
    open(peer) {
      const binaryType = peer.namespace.slice(1);
      if (binaryType !== '') peer.websocket.binaryType = binaryType;
    },
    async message(peer, message) {
      kept.push(message);
      const { id } = message;
      peer.send({
        id,
        sameId: message.id === id,
        samePeer: message.peer === peer,
        isBinary: message.isBinary,
        data: shown(message.data),
        rawData: shown(message.rawData),
        text: message.text(),
        string: String(message),
        template: `${message}`,
        uint8Array: shown(message.uint8Array()),
        arrayBuffer: shown(message.arrayBuffer()),
        blob: await message.blob().text(),
        kept: kept.map(other => other.text()),
      });
    },
  },
};
