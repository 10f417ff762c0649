export default { fetch: () => new Response('only HTTP') };
