/** Echoes; compresses what begins with `compress`. */
export default {
  websocket: {
    message(peer, message) {
      if (message.isBinary) return void peer.send(message.uint8Array(), { compress: true });
      const text = message.text();
      if (text === 'subscribe') {
        peer.subscribe('t');
        peer.send('subscribed');
      } else {
        peer.send(text, { compress: text.startsWith('compress') });
      }
    },
  },
};
