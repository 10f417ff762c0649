/** The script that compares installed binaries with released ones, against a stand-in for GitHub on the loopback. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const SCRIPT = resolve(import.meta.dirname, '../../scripts/verify-uws.js');
const BINARY = Buffer.from('a binary');

function gitHash(bytes: Buffer): string {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}

/** A folder with one installed binary, as npm lays it out. */
function installed(version: string): string {
  const root = mkdtempSync(join(tmpdir(), 'verify-uws-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const folder = join(root, 'node_modules/@uwsjs/linux-x64-22');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'uws.node'), BINARY);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ version }));
  return root;
}

/** @param released git's hash of each file, by `tag/file` */
async function github(released: Record<string, string>): Promise<string> {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://localhost');
    const file = url.pathname.replace('/repos/uNetworking/uWebSockets.js/contents/', '');
    const sha = released[`${url.searchParams.get('ref')}/${file}`];
    response.statusCode = sha === undefined ? 404 : 200;
    response.end(JSON.stringify({ sha }));
  });
  onTestFinished(() => void server.close());
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function verify(root: string, api: string): Promise<{ code: number; output: string }> {
  const env = { ...process.env, VERIFY_UWS_ROOT: root, VERIFY_UWS_API: api };
  return new Promise(done => {
    execFile(process.execPath, [SCRIPT], { env }, (error, stdout, stderr) =>
      done({ code: Number(error?.code ?? 0), output: stdout + stderr }),
    );
  });
}

test('a binary that is the released one is told as the same', async () => {
  const api = await github({ 'v20.69.0/uws_linux_x64_127.node': gitHash(BINARY) });
  const { code, output } = await verify(installed('20.69.0'), api);
  expect(output).toMatch(/^same .*linux-x64-22@20\.69\.0/);
  expect(code).toBe(0);
});

test('a package that was published again is compared with the release that it is of', async () => {
  const api = await github({ 'v20.51.0/uws_linux_x64_127.node': gitHash(BINARY) });
  expect((await verify(installed('20.51.4'), api)).output).toMatch(/^same .* of v20\.51\.0/);
});

test('one changed byte is told, with exit code 1', async () => {
  const api = await github({ 'v20.69.0/uws_linux_x64_127.node': gitHash(Buffer.from('b binary')) });
  const { code, output } = await verify(installed('20.69.0'), api);
  expect(output).toMatch(/^DIFFERS/);
  expect(code).toBe(1);
});

test('a release that is not there, and no answer at all, are no success', async () => {
  expect(await verify(installed('20.69.0'), await github({}))).toMatchObject({ code: 2 });
  expect(await verify(installed('20.69.0'), 'http://127.0.0.1:1')).toMatchObject({ code: 2 });
});
