// SPDX-License-Identifier: MIT
// Debian's nginx in front, with the defaults of its proxy module: HTTP/1.0 to the upstream, buffering on. What comes
// out of a stream must still come at once, for that is what this gateway is for.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { describe, test } from 'node:test';

import { makeFolder, startGateway } from './lib/gateway.js';
import { BASE, basic, withQuery } from './lib/person.js';
import { comes, soonButForOne } from './lib/soon.js';
import { PATIENCE_MS, waitFor, within } from './lib/wait.js';

const nginx = ['/usr/sbin/nginx', '/usr/bin/nginx', 'nginx'].find((command) => spawnSync(command, ['-v']).status === 0);

// nginx on a Unix socket in a folder of its own, as whoever runs the tests.
async function startNginx(t, gateway) {
  const folder = await makeFolder(t);
  await fs.chmod(folder, 0o755);
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join('\n    ');
  const config = path.join(folder, 'nginx.conf');
  await fs.writeFile(
    config,
    `
daemon off;
pid ${folder}/pid;
error_log ${folder}/error.log;
worker_processes 1;
events { worker_connections 256; }
http {
    access_log off;
    ${paths}
    server {
        listen unix:${folder}/listen;
        location / { proxy_pass http://${gateway.address()}; }
    }
}
`,
  );
  const child = spawn(nginx, ['-c', config, '-p', folder, '-e', `${folder}/error.log`], { stdio: 'ignore' });
  const closed = once(child, 'close');
  t.after(async () => {
    child.kill('SIGTERM');
    await within(closed, 'nginx ends');
  });
  const socketPath = `${folder}/listen`;
  await waitFor(() => fs.stat(socketPath).catch(() => null), 'nginx listens');
  return { socketPath };
}

// A request through the proxy; the answer as it comes.
async function ask(proxy, path, { user = 'alice', method = 'GET', body, headers = {} } = {}) {
  const request = http.request({
    socketPath: proxy.socketPath,
    path,
    method,
    agent: false,
    headers: { Authorization: basic(user), ...headers },
  });
  request.end(body);
  const [response] = await within(once(request, 'response'), `an answer to ${path}`, PATIENCE_MS);
  const answer = {
    status: response.statusCode,
    headers: response.headers,
    text: '',
    ended: false,
    close: () => request.destroy(),
  };
  response.setEncoding('utf8').on('data', (text) => (answer.text += text));
  response.on('end', () => (answer.ended = true)).on('error', () => (answer.ended = true));
  return answer;
}

async function startBehindProxy(t) {
  const gateway = await startGateway(t);
  const proxy = await startNginx(t, gateway);
  const people = await gateway.people('alice', 'bob');
  return { gateway, proxy, people };
}

describe('behind nginx', { concurrency: 3, skip: nginx ? false : 'there is no nginx' }, () => {
  for (const format of ['ndjson', 'sse']) {
    test(`a stream (${format}): the first byte and each message within a second`, async (t) => {
      const { proxy, people } = await startBehindProxy(t);
      const [, bob] = people;
      const soon = soonButForOne(t);
      const asked = ask(proxy, withQuery(`${BASE}/stream`, { format }));
      const stream = await soon((ms) => within(asked, 'an answer', ms));
      t.after(() => stream.close());
      assert.equal(stream.status, 200);
      await comes(stream, '"presence"', soon);
      assert.equal(stream.headers['x-accel-buffering'], undefined, 'nginx has obeyed it');
      for (let i = 0; i < 5; i++) {
        await bob.send({ to: 'alice', message: `message ${i}` });
        await comes(stream, `message ${i}`, soon);
      }
    });
  }

  test('a stream goes when its client goes', async (t) => {
    const { gateway, proxy } = await startBehindProxy(t);
    const stream = await ask(proxy, `${BASE}/stream`);
    await comes(stream, '"presence"');
    stream.close();
    await gateway.metricBecomes('nereidd_sessions{protocol="nereid-stream"}', 0);
  });

  test('a stream that the gateway ends, ends', async (t) => {
    const { gateway, proxy } = await startBehindProxy(t);
    const stream = await ask(proxy, `${BASE}/stream`);
    await comes(stream, '"presence"');
    await gateway.stop();
    await waitFor(() => stream.ended, 'the end');
    assert.match(stream.text, /"error":"shutting_down"/);
  });

  test('a poll is answered with the news, not at its end', async (t) => {
    const { gateway, proxy, people } = await startBehindProxy(t);
    const [, bob] = people;
    const first = await ask(proxy, `${BASE}/poll?wait=0`);
    await waitFor(() => first.ended, 'the first poll');
    const { cursor } = JSON.parse(first.text);
    const pending = ask(proxy, withQuery(`${BASE}/poll`, { since: cursor, wait: 30 }));
    await gateway.metricBecomes('nereidd_sessions{protocol="nereid-poll"}', 1);
    await bob.send({ to: 'alice', message: 'news' });
    const poll = await pending;
    await waitFor(() => poll.ended, 'the poll');
    assert.match(poll.text, /"news"/);
  });

  test('the marks of a probe come one by one', async (t) => {
    const { proxy } = await startBehindProxy(t);
    const probe = await ask(proxy, `${BASE}/probe?marks=2&gap=3000`);
    await comes(probe, '"mark":1,');
    assert.ok(!probe.text.includes('"mark":2,'), 'before the last');
    await waitFor(() => probe.ended, 'the end');
    assert.equal(probe.text.trim().split('\n').length, 2);
  });

  test('a token, a message, and the stream with that token', async (t) => {
    const { gateway, proxy } = await startBehindProxy(t);
    const issued = await ask(proxy, `${BASE}/token`, { method: 'POST' });
    await waitFor(() => issued.ended, 'the token');
    const { token } = JSON.parse(issued.text);
    gateway.secrets.add(token);
    const stream = await ask(proxy, `${BASE}/stream/${token}`, { headers: { Accept: 'text/event-stream' } });
    t.after(() => stream.close());
    const form = 'to=alice&message=hello+through+nginx';
    const sent = await ask(proxy, `${BASE}/send-message`, {
      user: 'bob',
      method: 'POST',
      body: form,
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    });
    assert.equal(sent.status, 200);
    await comes(stream, 'hello through nginx');
  });
});
