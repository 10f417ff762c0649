export default { websocket: {}, jobs: './not-there.mjs' };
