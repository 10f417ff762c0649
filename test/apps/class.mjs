/** Hooks that are methods of a class. A message is answered with itself; `throw later` ends the lane. */
class Echo {
  message(peer, message) {
    const text = message.text();
    if (text !== 'throw later') return void peer.send(text);
    setImmediate(() => {
      throw new Error('nobody catches this');
    });
  }
}

export default { websocket: new Echo() };
