export const fetch = () => new Response('x');
