export default { websocket: 7 };
