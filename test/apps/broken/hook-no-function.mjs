export default { websocket: { message: 'echo' } };
