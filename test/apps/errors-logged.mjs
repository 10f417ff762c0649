import { hooks } from './errors.mjs';

export default {
  websocket: hooks,
  fetch(request) {
    throw new Error(`fetch throws at ${new URL(request.url).pathname}`);
  },
};
