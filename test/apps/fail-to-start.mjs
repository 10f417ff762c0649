/** A script of its own: tries to start gateways whose app cannot be imported, one after another, and says how it went. */
import { createGateway } from 'threadgate';

const [, , app, times] = process.argv;
let refused = 0;
for (let i = 0; i < Number(times); i++) {
  try {
    await createGateway({ app, port: 0, host: '127.0.0.1', lanes: 2, logLevel: 'silent' });
  } catch (error) {
    if (error.code === 'ERR_THREADGATE_APP') refused++;
  }
}
console.log(`refused ${refused}`);
