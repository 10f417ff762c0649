/** Counts together with the other lanes and the main thread, in what `data` holds a handle of. */
import { open } from 'threadgate/sync';

export default {
  fetch(_request, gateway) {
    const { counter, settings } = gateway.data;
    settings.seen = (settings.seen ?? 0) + 1;
    return Response.json({ lane: gateway.lane, count: Number(open(counter).add(1n)), settings });
  },
};
