export default {
  websocket: {
    message(peer, message) {
      peer.send(message.rawData);
    },
  },
};
