/** run.mjs with a context: one that can be cloned, or one that cannot. */
import run from './run.mjs';

export default {
  websocket: {
    ...run.websocket,
    upgrade(request) {
      const context = { user: 'Ada', roles: new Set(['admin']) };
      if (new URL(request.url).search === '?not') context.socket = () => {};
      return { context };
    },
  },
};
