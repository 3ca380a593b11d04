// SPDX-License-Identifier: MIT
// What operators see: health, readiness, and metrics as Prometheus reads them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { makeFolder, startGateway } from './lib/gateway.js';
import { RawSocket, exchange } from './lib/raw.js';

describe('the admin listener', { concurrency: 4 }, () => {
  test('says that it lives and is ready', async (t) => {
    const gateway = await startGateway(t);
    for (const [path, word] of [
      ['/healthz', 'ok\n'],
      ['/readyz', 'ready\n'],
    ]) {
      const { status, headers, body } = await gateway.admin(path);
      assert.deepEqual([status, body], [200, word]);
      assert.match(headers['content-type'], /^text\/plain/);
      assert.equal(headers['cache-control'], 'no-store');
    }
  });

  test("has nothing else, and the clients' listener has nothing of it", async (t) => {
    const gateway = await startGateway(t);
    for (const path of ['/', '/nereid-chat/get-friends', '/metrics/', '/debug'])
      assert.equal((await gateway.admin(path)).status, 404, path);
    for (const path of ['/metrics', '/healthz', '/readyz'])
      assert.equal((await fetch(gateway.url + path)).status, 404, path);
    assert.equal((await fetch(`${gateway.adminUrl}/metrics`, { method: 'POST' })).status, 405);
  });

  test('may be a Unix socket, or none', async (t) => {
    const folder = await makeFolder(t);
    const gateway = await startGateway(t, { 'admin.listen': `unix:${folder}/admin` });
    const raw = await RawSocket.connect(gateway, `unix:${folder}/admin`);
    raw.send(['GET /healthz HTTP/1.0']);
    assert.match(await raw.untilClosed(), /ok\n$/);
    await startGateway(t, { 'admin.listen': [] });
  });
});

describe('metrics', { concurrency: 4 }, () => {
  test('are in the format of Prometheus, each with a type and a help', async (t) => {
    const gateway = await startGateway(t);
    const { headers } = await gateway.admin('/metrics');
    assert.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    const { types, helps, samples } = await gateway.metrics();
    for (const [name, type] of types) {
      assert.ok(helps.get(name)?.length > 5, `${name} has a help`);
      assert.match(name, /^nereidd_[a-z_]+$/);
      assert.equal(type === 'counter', name.endsWith('_total'), `${name} is named as a ${type} is`);
    }
    for (const name of samples.keys())
      assert.ok(
        types.has(name.replace(/\{.*/, '').replace(/_(bucket|sum|count)$/, '')) || types.has(name.replace(/\{.*/, '')),
        name,
      );
    assert.ok([...samples.keys()].some((name) => /^nereidd_build_info\{version="[^"]+"\}$/.test(name)));
  });

  test('count what happens', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const before = (await gateway.metrics()).samples;
    const streams = [await bob.stream(), await bob.stream(), await alice.stream()];
    const { thread } = await alice.send({ to: 'bob', message: 'one' });
    await alice.say(thread, 'two');
    for (const stream of streams) await stream.message('two');
    await alice.get('/history/x');
    const { samples } = await gateway.metrics();
    const rise = (name) => samples.get(name) - before.get(name);
    assert.equal(rise('nereidd_messages_in_total'), 2);
    assert.equal(rise('nereidd_messages_out_total'), 6);
    assert.equal(samples.get('nereidd_sessions{protocol="nereid-stream"}'), 3);
    assert.equal(samples.get('nereidd_sessions{protocol="nereid-poll"}'), 0);
    assert.equal(samples.get('nereidd_queue_bytes'), 0);
    assert.equal(rise('nereidd_request_errors_total{class="4xx"}'), 1);
    assert.equal(rise('nereidd_request_errors_total{class="5xx"}'), 0);
    assert.ok(samples.get('nereidd_connections') >= 4);
    assert.ok(rise('nereidd_accepted_total') >= 3);
    assert.ok(rise('nereidd_store_commits_total') >= 2);
  });

  test('tell how long commits take, as a histogram that adds up', async (t) => {
    const gateway = await startGateway(t);
    const [alice] = await gateway.people('alice', 'bob');
    const thread = await alice.thread('bob');
    for (let i = 0; i < 50; i++) await alice.say(thread, 'm');
    const { samples } = await gateway.metrics();
    const name = 'nereidd_store_commit_seconds';
    const buckets = [...samples].filter(([key]) => key.startsWith(`${name}_bucket`));
    const bounds = buckets.map(([key]) => Number(/le="([^"]+)"/.exec(key)[1].replace('+Inf', 'Infinity')));
    assert.deepEqual(
      bounds,
      [...bounds].sort((a, b) => a - b),
    );
    assert.equal(bounds.at(-1), Infinity);
    const counts = buckets.map(([, count]) => count);
    assert.ok(
      counts.every((count, i) => i === 0 || count >= counts[i - 1]),
      'each holds those below it',
    );
    assert.equal(counts.at(-1), samples.get(`${name}_count`));
    assert.equal(samples.get(`${name}_count`), samples.get('nereidd_store_commits_total'));
    assert.ok(samples.get(`${name}_count`) >= 50);
    assert.ok(samples.get(`${name}_sum`) > 0);
  });

  test('have labels of a fixed number, whoever comes', async (t) => {
    const gateway = await startGateway(t);
    const names = async () => [...(await gateway.metrics()).samples.keys()];
    const before = await names();
    for (let i = 0; i < 20; i++) await gateway.person(`user ${i}`).room(`room ${i}`);
    await exchange(gateway, 'GET /evil"} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    assert.deepEqual(await names(), before);
  });
});
