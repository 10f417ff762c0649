export default { fetch: 'hello' };
