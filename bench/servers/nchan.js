// @ts-check
/**
 * nginx with nchan: publishing in C, without handlers. This process writes its configuration, starts it in the
 * foreground and ends with it.
 */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endWithRunner, limits, listening, options } from './options.js';

const folder = mkdtempSync(join(tmpdir(), 'threadgate-bench-nchan-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const port = await freePort();
const file = join(folder, 'nginx.conf');
writeFileSync(file, configuration());

const nginx = spawn('nginx', ['-c', file, '-p', folder, '-e', join(folder, 'error.log')], {
  stdio: ['ignore', 'inherit', 'inherit'],
});
nginx.on('exit', code => process.exit(code ?? 1));
for (const signal of /** @type {const} */ (['SIGTERM', 'SIGINT']))
  process.on(signal, () => nginx.kill('SIGTERM'));
process.stdin.on('end', () => nginx.kill('SIGTERM'));
endWithRunner();
await accepting();
listening(port);

function configuration() {
  return `
load_module ${process.env.BENCH_NCHAN_MODULE};
daemon off;
user root;
worker_processes ${options.threads};
worker_rlimit_nofile 20000;
pid ${folder}/nginx.pid;
events { worker_connections 19000; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  client_max_body_size ${limits.maxPayload};
  keepalive_requests 100000000;
  nchan_shared_memory_size 256M;
  nchan_message_timeout 10s;
  nchan_message_buffer_length 1000;
  server {
    listen ${options.host}:${port} backlog=4096;
    location / {
      if ($arg_role = publisher) { rewrite ^ /publish last; }
      nchan_subscriber websocket;
      nchan_subscriber_first_message newest;
      nchan_channel_id $arg_topic;
    }
    location = /publish {
      nchan_publisher websocket http;
      nchan_channel_id $arg_topic;
    }
  }
}
`;
}

/** nginx cannot listen on "any" port and say which: one that was free a moment ago must do. @returns {Promise<number>} */
function freePort() {
  return new Promise(resolve => {
    const server = createServer().listen(0, options.host, () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });
}

/** Resolves when nginx accepts connections. */
async function accepting() {
  const { connect } = await import('node:net');
  for (;;) {
    const accepted = await new Promise(resolve => {
      const socket = connect(port, options.host);
      socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (accepted) return;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}
