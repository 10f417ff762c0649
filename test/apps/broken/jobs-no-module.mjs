export default { websocket: {}, jobs: 42 };
