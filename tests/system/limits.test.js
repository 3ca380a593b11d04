// SPDX-License-Identifier: MIT
// Limits, each at its edge: what is just allowed, what is not any more, and the metric that tells.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { makeFolder, startGateway } from './lib/gateway.js';
import { BASE, basic } from './lib/person.js';
import { RawSocket, exchange } from './lib/raw.js';
import { cpuTicks } from './lib/process.js';
import { waitFor } from './lib/wait.js';

const FRIENDS = `${BASE}/get-friends`;
const LOGIN = `Authorization: ${basic('alice')}`;

const head = (...lines) => `${lines.join('\r\n')}\r\n\r\n`;

// A GET whose head is `bytes` long, from the first letter to the empty line.
function getOfSize(bytes, lines = ['Host: x', LOGIN, 'Connection: close']) {
  const rest = bytes - head(`GET ${FRIENDS} HTTP/1.1`, ...lines, 'X: ').length;
  return head(`GET ${FRIENDS} HTTP/1.1`, ...lines, `X: ${'x'.repeat(rest)}`);
}

const getPath = (path) => head(`GET ${path} HTTP/1.1`, 'Host: x', LOGIN, 'Connection: close');

function formOfSize(bytes) {
  return `show=dnd&x=${'x'.repeat(bytes - 'show=dnd&x='.length)}`;
}

const postHead = (...lines) => head(`POST ${BASE}/presence HTTP/1.1`, 'Host: x', LOGIN, 'Connection: close', ...lines);

function chunks(body, size) {
  let out = '';
  for (let at = 0; at < body.length; at += size) {
    const piece = body.slice(at, at + size);
    out += `${piece.length.toString(16)}\r\n${piece}\r\n`;
  }
  return `${out}0\r\n\r\n`;
}

async function statusOf(gateway, bytes) {
  const { responses } = await exchange(gateway, bytes);
  assert.equal(responses.length, 1);
  assert.equal(responses[0].headers.connection?.toLowerCase(), 'close');
  return responses[0].status;
}

describe('limits', { concurrency: 6 }, () => {
  for (const [option, bytes] of [
    ['8K', 8192],
    ['1K', 1024],
    ['64K', 65536],
  ]) {
    test(`limits.header = ${option}`, async (t) => {
      const gateway = await startGateway(t, { 'limits.header': option, 'limits.url': 512 });
      assert.equal(await statusOf(gateway, getOfSize(bytes)), 200);
      assert.equal(await gateway.limitHits('header'), 0);
      assert.equal(await statusOf(gateway, getOfSize(bytes + 1)), 431);
      assert.equal(await statusOf(gateway, getOfSize(bytes + 3000)), 431);
      assert.equal(await gateway.limitHits('header'), 2);
    });
  }

  test('limits.header, by way of many lines, a cookie, and far beyond', async (t) => {
    const gateway = await startGateway(t);
    const lines = (count) =>
      getOfSize(200, []).replace(
        /X: .*/,
        ['Host: x', LOGIN, ...Array.from({ length: count }, () => 'A: b')].join('\r\n'),
      );
    assert.equal(await statusOf(gateway, lines(100).replace(LOGIN, `${LOGIN}\r\nConnection: close`)), 200);
    for (const bytes of [
      lines(2000),
      getOfSize(20_000).replace('X: ', 'Cookie: '),
      getOfSize(1_000_000).replace('X: ', 'Cookie: '),
    ]) {
      const { text } = await exchange(gateway, bytes);
      assert.match(text, /^HTTP\/1\.1 431 /);
    }
  });

  test('limits.url', async (t) => {
    const gateway = await startGateway(t, { 'limits.url': 300 });
    const path = (bytes) => `${FRIENDS}?${'x'.repeat(bytes - FRIENDS.length - 1)}`;
    assert.equal(await statusOf(gateway, getPath(path(300))), 200);
    assert.equal(await statusOf(gateway, getPath(path(301))), 414);
    assert.equal(await statusOf(gateway, getPath(`/${'x'.repeat(300)}`)), 414);
    assert.equal(await gateway.limitHits('url'), 2);
  });

  test('limits.body, with a length', async (t) => {
    const gateway = await startGateway(t, { 'limits.body': '4K' });
    const send = (bytes) => statusOf(gateway, postHead(`Content-Length: ${bytes}`) + formOfSize(bytes));
    assert.equal(await send(4096), 200);
    assert.equal(await send(4097), 413);
    assert.equal(await gateway.limitHits('body'), 1);
  });

  test('limits.body, in chunks of any size', async (t) => {
    const gateway = await startGateway(t, { 'limits.body': '4K' });
    const send = async (bytes, size) => {
      const { text } = await exchange(
        gateway,
        postHead('Transfer-Encoding: chunked') + chunks(formOfSize(bytes), size),
      );
      return Number(text.slice(9, 12));
    };
    for (const size of [1, 100, 4096]) {
      assert.equal(await send(4096, size), 200);
      assert.equal(await send(4097, size), 413);
    }
    assert.equal(await gateway.limitHits('body'), 3);
  });

  test('limits.body holds for chunks without end, and the answer is there to be read', async (t) => {
    const gateway = await startGateway(t);
    const raw = await gateway.raw();
    raw.write(postHead('Transfer-Encoding: chunked'));
    const bytes = Buffer.from('1\r\nx\r\n'.repeat(10_000));
    while (!raw.ended && !raw.closed) {
      await new Promise((resolve) => raw.socket.write(bytes, resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.match(raw.text, /^HTTP\/1\.1 413 /);
  });

  test('limits.header_time: in all, so that a byte now and then buys nothing', async (t) => {
    const gateway = await startGateway(t, { 'limits.header_time': '1s' });
    const began = Date.now();
    const silent = await gateway.raw();
    const dripping = await gateway.raw();
    const drip = setInterval(() => dripping.socket.writable && dripping.write('x'), 100);
    try {
      assert.equal(await silent.untilClosed(), '', 'who has said nothing is told nothing');
      assert.match(await dripping.untilClosed(), /^HTTP\/1\.1 408 /);
    } finally {
      clearInterval(drip);
    }
    assert.ok(Date.now() - began >= 990, 'not before');
    assert.ok((await gateway.limitHits('request_time')) >= 1);
  });

  test('limits.header_time: also for a later request', async (t) => {
    const gateway = await startGateway(t, { 'limits.header_time': '3s' });
    const raw = await gateway.raw();
    raw.send([`GET ${FRIENDS} HTTP/1.1`, 'Host: x', LOGIN]);
    await raw.response();
    raw.write(`GET ${FRIENDS} HTTP/1.1\r\nHost`);
    assert.match(await raw.untilClosed(), /^HTTP\/1\.1 408 /);
  });

  test('limits.request_time', async (t) => {
    const gateway = await startGateway(t, { 'limits.request_time': '1s' });
    const slow = await gateway.raw();
    slow.write(postHead('Content-Length: 1000'));
    const drip = setInterval(() => slow.socket.writable && slow.write('x'), 100);
    const chunked = await gateway.raw();
    chunked.write(`${postHead('Transfer-Encoding: chunked')}ff\r\nx`);
    try {
      assert.match(await slow.untilClosed(), /^HTTP\/1\.1 408 /);
      assert.match(await chunked.untilClosed(), /^HTTP\/1\.1 408 /);
    } finally {
      clearInterval(drip);
    }
    assert.equal(await gateway.limitHits('request_time'), 2);
  });

  test('limits.request_time does not end what waits: streams and polls', async (t) => {
    const gateway = await startGateway(t, {
      'limits.request_time': '3s',
      'limits.idle': '3s',
      'limits.header_time': '3s',
    });
    const [alice, bob] = await gateway.people('alice', 'bob');
    const { cursor } = await alice.poll({ wait: 0 });
    const stream = await alice.stream();
    const began = Date.now();
    const poll = alice.poll({ since: cursor, wait: 4 });
    assert.deepEqual((await poll).stanzas, []);
    assert.ok(Date.now() - began >= 3900);
    await bob.send({ to: 'alice', message: 'still there' });
    await stream.message('still there');
  });

  test('limits.idle', async (t) => {
    const gateway = await startGateway(t, { 'limits.idle': '1s' });
    const raw = await gateway.raw();
    const began = Date.now();
    raw.send([`GET ${FRIENDS} HTTP/1.1`, 'Host: x', LOGIN]);
    await raw.response();
    assert.equal(await raw.untilClosed(), '');
    assert.ok(Date.now() - began >= 990, 'not before');
    assert.ok((await gateway.limitHits('idle')) >= 1);
  });

  test('limits.connections: one more is closed, and there is room again when one goes', async (t) => {
    const gateway = await startGateway(t, { 'limits.connections': 3 });
    const use = async (raw) => {
      raw.send([`GET ${FRIENDS} HTTP/1.1`, 'Host: x', LOGIN]);
      assert.equal((await raw.response()).status, 200);
    };
    const open = [await gateway.raw(), await gateway.raw(), await gateway.raw()];
    for (const raw of open) await use(raw);
    const refused = await gateway.raw();
    assert.doesNotMatch(await refused.untilClosed(), / 200 /);
    open.pop().close();
    await waitFor(async () => {
      const raw = await gateway.raw();
      raw.send([`GET ${FRIENDS} HTTP/1.1`, 'Host: x', LOGIN, 'Connection: close']);
      return / 200 /.test(await raw.untilClosed());
    }, 'there is room again');
    for (const raw of open) await use(raw);
    gateway.closeClients();
    const refusals = 'nereidd_connections_refused_total{limit="connections"}';
    await waitFor(async () => (await gateway.metric(refusals).catch(() => 0)) >= 1, 'the refusal is counted');
  });

  test('limits.connections_per_address counts streams too, and leaves other addresses alone', async (t) => {
    const folder = await makeFolder(t);
    const gateway = await startGateway(t, {
      'limits.connections_per_address': 2,
      'http.listen': ['127.0.0.1:0', `unix:${folder}/http`],
      'admin.listen': `unix:${folder}/admin`,
    });
    const stream = (address) => async () => {
      const raw = await RawSocket.connect(gateway, address);
      raw.send([`GET ${BASE}/stream HTTP/1.1`, 'Host: x', LOGIN]);
      await raw.until(/presence/);
      return raw;
    };
    const near = stream(gateway.address());
    const first = await near();
    await near();
    await assert.rejects(near, 'a third one is closed');
    const local = stream(`unix:${folder}/http`);
    for (let i = 0; i < 5; i++) await local();
    first.close();
    await waitFor(() => near().catch(() => false), 'there is room again');
    const admin = await RawSocket.connect(gateway, `unix:${folder}/admin`);
    admin.send(['GET /metrics HTTP/1.0']);
    assert.match(await admin.untilClosed(), /connections_refused_total\{limit="connections_per_address"\} [1-9]/);
  });

  test('descriptors: when there are none left nobody hangs, and all is well again when some are free', async (t) => {
    const gateway = await startGateway(t, { 'limits.connections': 1000 }, { wrapper: ['prlimit', '--nofile=100'] });
    const crowd = [];
    for (let i = 0; i < 150; i++) crowd.push(await gateway.raw());
    await waitFor(() => crowd.some((raw) => raw.closed || raw.ended), 'those there is no room for are closed');
    const before = await cpuTicks(gateway.pid);
    const end = Date.now() + 500;
    await waitFor(() => Date.now() > end, 'half a second');
    assert.ok((await cpuTicks(gateway.pid)) - before < 20, 'no busy loop');
    for (const raw of crowd) raw.close();
    await waitFor(
      () =>
        gateway
          .person('alice')
          .friends()
          .then(
            () => true,
            () => false,
          ),
      'it serves again',
    );
    assert.ok((await gateway.metric('nereidd_connections_refused_total{limit="descriptors"}')) >= 1);
  });

  test('a probe has a rate, for it costs time', async (t) => {
    const gateway = await startGateway(t, { 'limits.probe_rate': 2 });
    const nobody = gateway.person('nobody', { authorization: null });
    for (let i = 0; i < 2; i++) assert.equal((await nobody.get('/probe', { marks: 1 })).status, 200);
    const refused = await nobody.get('/probe', { marks: 1 });
    assert.equal(refused.status, 429);
    assert.ok(Number(refused.headers.get('retry-after')) > 0);
    assert.equal(await gateway.limitHits('probe_rate'), 1);
  });
});

describe('probe', () => {
  test('sends timed marks to anybody, each by itself', async (t) => {
    const gateway = await startGateway(t);
    const raw = await gateway.raw();
    raw.send([`GET ${BASE}/probe?marks=4&gap=700&pad=50 HTTP/1.0`]);
    await raw.until('"mark":1,');
    const came = Date.now();
    await raw.untilClosed();
    const marks = raw.text
      .split('\r\n\r\n')[1]
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      marks.map(({ mark, of, pad }) => [mark, of, pad.length]),
      [1, 2, 3, 4].map((mark) => [mark, 4, 50]),
    );
    assert.ok(came < Date.parse(marks[3].timestamp), 'not all at once');
    for (const query of ['marks=0', 'marks=101', 'gap=20001', 'marks=100&gap=7000', 'pad=65537', 'marks=x']) {
      const { responses } = await exchange(gateway, getPath(`${BASE}/probe?${query}`));
      assert.equal(responses[0].status, 400, query);
    }
  });
});
