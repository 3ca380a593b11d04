// SPDX-License-Identifier: MIT
// Streams: the feed as an endless answer, in both forms, both dialects and both versions of HTTP.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { NdjsonFeed, SseFeed } from './lib/feed.js';
import { startGateway } from './lib/gateway.js';
import { BASE, basic } from './lib/person.js';
import { descriptors } from './lib/process.js';
import { parseChunks } from './lib/raw.js';
import { startRelay } from './lib/relay.js';
import { Inbox, waitFor } from './lib/wait.js';

const STREAMING = 'nereidd_sessions{protocol="nereid-stream"}';
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

// Opens a stream by hand; resolves when the head has come. `body` is what has come behind it so far.
async function openRaw(gateway, { version = '1.1', query = '', user = 'alice', headers = [], ...options } = {}) {
  const raw = await gateway.raw(options);
  raw.send([`GET ${BASE}/stream${query} HTTP/${version}`, 'Host: x', `Authorization: ${basic(user)}`, ...headers]);
  if (options.reading === false) return raw;
  await raw.until(/\r\n\r\n/);
  raw.headLength = raw.received.indexOf('\r\n\r\n') + 4;
  raw.head = raw.received.toString('latin1', 0, raw.headLength).toLowerCase();
  raw.body = () => raw.received.subarray(raw.headLength);
  return raw;
}

const linesOf = (bytes) =>
  bytes
    .toString()
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
const textsOf = (envelopes) =>
  envelopes.flatMap(({ stanzas }) =>
    stanzas.filter(({ type }) => type === 'message').map(({ message }) => message.text),
  );

describe('what a stream looks like', { concurrency: 6 }, () => {
  test('its headers keep caches and proxies from holding it back', async (t) => {
    const gateway = await startGateway(t);
    const stream = await gateway.person('alice').stream();
    assert.equal(stream.headers.get('content-type'), 'application/x-ndjson');
    assert.equal(stream.headers.get('cache-control'), 'no-cache, no-store, no-transform');
    assert.equal(stream.headers.get('x-accel-buffering'), 'no');
    assert.equal(stream.headers.get('x-content-type-options'), 'nosniff');
    assert.equal(stream.headers.get('transfer-encoding'), 'chunked');
    assert.equal(stream.headers.get('content-length'), null);
  });

  test('the presence of friends comes first, and at once', async (t) => {
    const gateway = await startGateway(t);
    const [alice] = await gateway.people('alice', 'bob');
    const stream = await alice.stream();
    const envelope = await stream.envelopes.next(undefined, 'the first envelope', 2000);
    assert.match(envelope.timestamp, TIMESTAMP);
    assert.deepEqual(
      envelope.stanzas.map(({ type }) => type),
      ['presence'],
    );
    const { presence } = envelope.stanzas[0];
    const byId = Object.fromEntries(presence.map((one) => [one.id, one]));
    assert.deepEqual(byId, {
      alice: { entity: 'nereid.user,alice', id: 'alice', displayName: 'alice', show: 'chat', available: true },
      bob: { entity: 'nereid.user,bob', id: 'bob', displayName: 'bob', show: 'chat', available: false },
    });
  });

  test('NDJSON: a line is an envelope of stanzas with a cursor', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const stream = await alice.stream({ format: 'ndjson' });
    const { UUID, thread } = await bob.send({
      to: 'alice',
      message: 'hello',
      subject: 'greetings',
      language: 'en-GB',
      attachments: [{ url: 'http://x/y.png' }],
    });
    const envelope = await stream.envelopes.next(({ stanzas }) => stanzas[0]?.type === 'message');
    assert.deepEqual(Object.keys(envelope).sort(), ['cursor', 'stanzas', 'timestamp']);
    const [stanza] = envelope.stanzas;
    assert.match(stanza.timestamp, TIMESTAMP);
    assert.deepEqual(stanza.message, {
      subject: 'greetings',
      text: 'hello',
      type: 'plain',
      language: 'en-GB',
      attachments: [{ url: 'http://x/y.png' }],
      id: UUID,
      thread,
      sender: { objectType: 'person', id: 'bob', displayName: 'bob' },
    });
  });

  test('server-sent events: an event is a stanza with the cursor as its id', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const stream = await alice.events();
    await bob.send({ to: 'alice', message: 'hello' });
    const { stanza, id } = await stream.events.next(({ stanza }) => stanza.type === 'message');
    assert.match(stanza.timestamp, TIMESTAMP);
    assert.equal(stanza.message.text, 'hello');
    assert.match(id, /^[0-9]+$/);
  });

  test('server-sent events are asked for by Accept or format', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    const types = {
      'text/event-stream': [{}, { format: 'sse' }],
      'application/x-ndjson': [{}, { format: 'ndjson' }, { format: 'sse' }],
    };
    for (const [accept, queries] of Object.entries(types)) {
      for (const query of queries) {
        const headers = { ...alice.headers, Accept: accept };
        const stream = await NdjsonFeed.open(gateway, alice.url('/stream', query), { headers });
        const expected = query.format === 'sse' || (!query.format && accept === 'text/event-stream');
        assert.equal(stream.headers.get('content-type'), expected ? 'text/event-stream' : 'application/x-ndjson');
        stream.close();
      }
    }
    assert.equal((await alice.get('/stream', { format: 'xml' })).status, 400);
  });

  test('a POST opens it too, with its wishes in the body', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    for (const body of [new URLSearchParams({ format: 'sse' }), JSON.stringify({ format: 'sse' })]) {
      const stream = await NdjsonFeed.open(gateway, alice.url('/stream'), {
        method: 'POST',
        headers: alice.headers,
        body,
      });
      assert.equal(stream.headers.get('content-type'), 'text/event-stream');
      stream.close();
    }
  });

  test('HTTP/1.1: chunked, whole lines in each chunk', async (t) => {
    const gateway = await startGateway(t);
    const [, bob] = await gateway.people('alice', 'bob');
    for (const query of ['', '?format=sse', '?format=sse&dialect=module&pad=100']) {
      const raw = await openRaw(gateway, { query });
      assert.match(raw.head, /^http\/1\.1 200 /);
      assert.match(raw.head, /\r\ntransfer-encoding: chunked\r\n/);
      for (let i = 0; i < 20; i++) await bob.send({ to: 'alice', message: `message ${i}` });
      await raw.until('message 19');
      const { chunks } = parseChunks(raw.body());
      assert.ok(chunks.length > 1);
      for (const chunk of chunks) assert.equal(chunk.at(-1), 10, 'a chunk ends with a line');
      raw.close();
    }
  });

  test('HTTP/1.0: plain bytes until the connection closes', async (t) => {
    const gateway = await startGateway(t);
    const [, bob] = await gateway.people('alice', 'bob');
    const raw = await openRaw(gateway, { version: '1.0' });
    assert.match(raw.head, /^http\/1\.[01] 200 /);
    assert.doesNotMatch(raw.head, /transfer-encoding|content-length|keep-alive/);
    await bob.send({ to: 'alice', message: 'hello, 1.0' });
    await raw.until('hello, 1.0');
    await gateway.stop();
    await raw.untilClosed();
    const envelopes = linesOf(raw.body());
    assert.deepEqual(textsOf(envelopes), ['hello, 1.0']);
    assert.equal(envelopes.at(-1).error, 'shutting_down');
  });

  test('HTTP/1.0 without a Host, with keep-alive asked for: still closed at the end', async (t) => {
    const gateway = await startGateway(t);
    const token = await gateway.person('alice').token();
    const raw = await gateway.raw();
    raw.send([`GET ${BASE}/stream/${token} HTTP/1.0`, 'Connection: keep-alive']);
    await raw.until(/"type":"presence"/);
    assert.doesNotMatch(raw.text, /transfer-encoding|content-length/i);
    await gateway.person('alice').revoke(token);
    assert.match(await raw.untilClosed(), /"error":"no_token"/);
  });

  test('HEAD is answered with the headers alone and opens nothing', async (t) => {
    const gateway = await startGateway(t);
    const raw = await gateway.raw();
    raw.send([`HEAD ${BASE}/stream HTTP/1.1`, 'Host: x', `Authorization: ${basic('alice')}`, 'Connection: close']);
    const text = await raw.untilClosed();
    assert.match(text, /^HTTP\/1\.1 200 /);
    assert.match(text, /\r\nContent-Type: application\/x-ndjson\r\n/i);
    assert.ok(text.endsWith('\r\n\r\n'), 'nothing behind the head');
    assert.equal(await gateway.metric(STREAMING), 0);
  });

  test('a heartbeat comes in silence', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const stream = await alice.stream({ heartbeat: 1 });
    await bob.send({ to: 'alice', message: 'before' });
    const { cursor } = await stream.message('before');
    const beat = await stream.envelopes.next(({ stanzas }) => stanzas.length === 0, 'a heartbeat', 4000);
    assert.match(beat.timestamp, TIMESTAMP);
    assert.equal(beat.cursor, cursor);
  });

  test('a heartbeat is a comment to EventSource, and "{}" in the module dialect', async (t) => {
    const gateway = await startGateway(t);
    const plain = await openRaw(gateway, { query: '?format=sse&heartbeat=1' });
    await plain.until(/\n:\n\n/);
    const module = SseFeed.open(
      gateway,
      gateway.person('alice').url(`/stream/${await gateway.person('alice').token()}`, {
        heartbeat: 1,
        dialect: 'module',
      }),
    );
    const { stanza } = await module.events.next(({ stanza }) => typeof stanza === 'string', 'a heartbeat', 4000);
    assert.equal(stanza, '{}');
  });

  test('marks are heartbeats that come soon, 200 ms apart, and then no more', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    for (const open of [
      () => alice.stream({ marks: 3 }),
      () => {
        const init = { method: 'POST', headers: alice.headers, body: '{"marks":3}' };
        return NdjsonFeed.open(gateway, alice.url('/stream'), init);
      },
    ]) {
      const stream = await open();
      await stream.stanza('presence');
      const beats = [];
      for (let i = 0; i < 3; i++) {
        beats.push(await stream.envelopes.next(({ stanzas }) => stanzas.length === 0, `mark ${i + 1}`, 4000));
      }
      const times = beats.map(({ timestamp }) => Date.parse(timestamp));
      assert.ok(times[1] - times[0] >= 190 && times[2] - times[1] >= 190, `200 ms apart: ${times}`);
      await assert.rejects(stream.envelopes.next(undefined, 'a fourth', 500), /not within 500 ms/);
      stream.close();
    }
  });

  test('marks come whatever else is sent meanwhile', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const thread = await bob.thread('alice');
    const stream = await alice.stream({ marks: 2 });
    const isMark = ({ stanzas }) => stanzas.length === 0;
    let seen = false;
    const marks = (async () => {
      await stream.envelopes.next(isMark, 'the first mark');
      await stream.envelopes.next(isMark, 'the second mark');
      seen = true;
    })();
    let said = 0;
    while (!seen && said < 2000) await bob.say(thread, `message ${said++}`);
    await marks;
    await stream.message(`message ${said - 1}`);
    assert.equal(stream.texts.length, said, 'and nothing is lost to them');
  });

  test('to EventSource marks, and all heartbeats after them, are events that a page hears', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    for (const dialect of ['spec', 'module']) {
      const query = { dialect, format: 'sse', marks: 1, heartbeat: 1 };
      const stream = SseFeed.open(gateway, alice.url(`/stream/${await alice.token()}`, query));
      const beats = new Inbox();
      stream.source.addEventListener('heartbeat', ({ data, lastEventId }) => {
        beats.push({ ...JSON.parse(data), lastEventId });
      });
      const mark = await beats.next(undefined, 'the mark', 4000);
      assert.match(mark.timestamp, TIMESTAMP);
      const { UUID } = await bob.send({ to: 'alice', message: 'between' });
      const said = await stream.events.next(({ stanza }) => stanza.message?.id === UUID);
      const beat = await beats.next(undefined, 'a heartbeat', 4000);
      assert.equal(beat.lastEventId, said.id, 'its id is the cursor');
      stream.close();
    }
  });

  test('padding fills the first bytes for hops that hold them back', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    const ndjson = await alice.stream({ pad: 4096 });
    const first = await ndjson.envelopes.next(undefined, 'the first envelope', 2000);
    assert.ok(first.pad.length >= 4096);
    assert.deepEqual(first.stanzas, []);
    const sse = await openRaw(gateway, { query: '?format=sse&pad=4096' });
    await sse.until(/: {4096,}\n\n/);
  });

  test('bad wishes are refused', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    const wishes = [
      { heartbeat: 0 },
      { heartbeat: 601 },
      { heartbeat: 'x' },
      { pad: 65537 },
      { pad: -1 },
      { marks: 11 },
      { marks: -1 },
      { dialect: 'klingon' },
      { show: 'here' },
      { format: ['sse', 'ndjson'] },
    ];
    for (const wish of wishes) {
      const answer = await alice.get('/stream', wish);
      assert.equal(answer.status, 400, JSON.stringify(wish));
      assert.equal(answer.body.error, 'bad_field');
    }
  });

  test('dialect=module is what the Angular client of nereid_chat reads', async (t) => {
    const gateway = await startGateway(t);
    const [, bob] = await gateway.people('42', 'bob');
    const token = await gateway.person('42').token();
    const stream = SseFeed.open(gateway, gateway.person('42').url(`/stream/${token}`, { dialect: 'module' }));
    const { stanza: first } = await stream.events.next();
    assert.equal(first.type, 'presence');
    assert.equal(typeof first.presence.entity.id, first.presence.entity.displayName === '42' ? 'number' : 'string');
    const form = { user: '42' };
    const started = await bob.ask('POST', '/start-session', { form });
    const sent = await bob.ask('POST', '/send-message', {
      form: { thread_id: started.thread_id, message: 'hello', type: 'plain' },
    });
    const { stanza } = await stream.events.next(({ stanza }) => stanza.type === 'message');
    const { message, timestamp } = stanza;
    assert.equal(message.id, sent.UUID);
    assert.equal(message.sender.id, 'bob');
    assert.deepEqual(
      message.members.map(({ id }) => id),
      ['bob', 42],
    );
    assert.equal(message.language, null);
    /* The client cuts the fraction off and writes its own zone behind. */
    const date = new Date(`${timestamp.split('.')[0]}+00:00`);
    assert.ok(Math.abs(date - Date.now()) < 60_000);
  });

  test('the module dialect can be the default, for who asks for nothing', async (t) => {
    const gateway = await startGateway(t, { 'nereid.dialect': 'module' });
    const alice = gateway.person('alice');
    const stream = await NdjsonFeed.open(gateway, alice.url('/stream'), { headers: alice.headers });
    assert.equal(stream.headers.get('content-type'), 'text/event-stream');
    stream.close();
    const ndjson = await alice.stream({ format: 'ndjson' });
    const { stanzas } = await ndjson.envelopes.next();
    assert.equal(stanzas[0].presence.entity.id, 'alice');
  });
});

describe('resuming', { concurrency: 6 }, () => {
  test('brings what was missed, then what happens, by since and by Last-Event-ID', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const first = await alice.stream();
    await bob.send({ to: 'alice', message: 'one' });
    const { cursor } = await first.message('one');
    first.close();
    await bob.send({ to: 'alice', message: 'two' });
    await bob.send({ to: 'alice', message: 'three' });
    const bySince = await alice.stream({ since: cursor });
    const headers = { ...alice.headers, 'Last-Event-ID': cursor };
    const byHeader = await NdjsonFeed.open(gateway, alice.url('/stream'), { headers });
    await bob.send({ to: 'alice', message: 'four' });
    for (const stream of [bySince, byHeader]) {
      await stream.message('four');
      assert.deepEqual(stream.texts, ['two', 'three', 'four']);
    }
  });

  test('from 0 brings everything', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const sent = Array.from({ length: 300 }, (_, i) => `message ${i}`);
    const thread = await bob.thread('alice');
    for (const text of sent) await bob.say(thread, text);
    const stream = await alice.stream({ since: 0 });
    await stream.message(sent.at(-1));
    assert.deepEqual(stream.texts, sent);
  });

  test('has no seam and no doubles while messages pour in', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const thread = await bob.thread('alice');
    const sent = Array.from({ length: 400 }, (_, i) => `message ${i}`);
    for (const text of sent.slice(0, 200)) await bob.say(thread, text);
    const pouring = (async () => {
      for (const text of sent.slice(200)) await bob.say(thread, text);
    })();
    const streams = [];
    for (let i = 0; i < 12; i++) streams.push(await alice.stream({ since: 0 }));
    await pouring;
    for (const stream of streams) {
      await stream.message(sent.at(-1));
      assert.deepEqual(stream.texts, sent);
    }
  });

  test('from before what is kept says so with a gap', async (t) => {
    const gateway = await startGateway(t, { 'store.retention_count': 10 });
    const [alice, bob] = await gateway.people('alice', 'bob');
    const stream = await alice.stream();
    await bob.send({ to: 'alice', message: 'the first' });
    const { cursor } = await stream.message('the first');
    const thread = await bob.thread('alice');
    for (let i = 0; i < 20; i++) await bob.say(thread, `message ${i}`);
    await gateway.metricBecomes('nereidd_store_pruned_total', 11);
    const resumed = await alice.stream({ since: cursor });
    const { gap } = await resumed.stanza('gap');
    await resumed.message('message 19');
    assert.deepEqual(
      resumed.texts,
      Array.from({ length: 10 }, (_, i) => `message ${10 + i}`),
    );
    const again = await alice.stream({ since: gap.oldest });
    await again.message('message 19');
    assert.deepEqual(again.texts, resumed.texts, 'the oldest cursor there is has no gap behind it');
    assert.ok(!again.stanzas.items.some(({ type }) => type === 'gap'));
    const poll = await alice.poll({ since: cursor, wait: 0 });
    assert.ok(
      poll.stanzas.some(({ type }) => type === 'gap'),
      'polls say it too',
    );
  });

  test('from beyond the end (of another store, then) says so with a gap', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const stream = await alice.stream({ since: '999999' });
    await stream.stanza('gap');
    await bob.send({ to: 'alice', message: 'from now on' });
    await stream.message('from now on');
  });

  test('with a malformed cursor is refused', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    for (const cursor of ['x', '-1', '01', '1.2.3', '1-x', '99999999999999999999', '1;drop', 'null']) {
      const byQuery = await alice.get('/stream', { since: cursor });
      const byHeader = await alice.get('/stream', {}, { headers: { 'Last-Event-ID': cursor } });
      for (const answer of [byQuery, byHeader]) {
        assert.equal(answer.status, 400, cursor);
        assert.equal(answer.body.error, 'bad_cursor');
      }
    }
  });

  for (const [how, end] of [
    ['a restart', 'stop'],
    ['a crash', 'kill'],
  ]) {
    test(`is what EventSource does by itself after ${how}: nothing lost, nothing doubled`, async (t) => {
      const gateway = await startGateway(t);
      const relay = await startRelay(t, gateway);
      const [alice, bob] = await gateway.people('alice', 'bob');
      const stream = SseFeed.open(gateway, `${relay.url}${BASE}/stream/${await alice.token()}`);
      await stream.isOpen();
      const thread = await bob.thread('alice');
      const sent = [];
      const sendSome = async () => {
        for (let i = 0; i < 10; i++) {
          sent.push(`message ${sent.length}`);
          await bob.say(thread, sent.at(-1));
        }
      };
      await sendSome();
      await stream.message(sent.at(-1));
      await gateway[end]();
      await gateway.start();
      await sendSome(); /* EventSource waits before it comes back */
      await stream.isOpen(2);
      await sendSome();
      await stream.message(sent.at(-1));
      assert.deepEqual(stream.texts, sent);
    });
  }
});

describe('the end of a stream', { concurrency: 6 }, () => {
  for (const leave of ['finish', 'reset', 'close']) {
    test(`a peer that goes is seen at once (${leave})`, async (t) => {
      const gateway = await startGateway(t, { 'presence.grace': 0 });
      const [, bob] = await gateway.people('alice', 'bob');
      const watcher = await bob.stream();
      for (const version of ['1.0', '1.1']) {
        const raw = await openRaw(gateway, { version });
        await watcher.presence('alice', ({ available }) => available);
        raw[leave]();
        await watcher.presence('alice', ({ available }) => !available, 2000);
        await gateway.metricBecomes(STREAMING, 1);
      }
    });
  }

  test('a stream costs one descriptor, whatever other connections are doing', async (t) => {
    const gateway = await startGateway(t);
    const idle = await gateway.raw();
    idle.send([`GET ${BASE}/get-friends HTTP/1.1`, 'Host: x', `Authorization: ${basic('alice')}`]);
    await idle.response();
    const before = await descriptors(gateway.pid);
    const streams = [];
    for (let i = 0; i < 10; i++) {
      streams.push(await openRaw(gateway));
      await streams[i].until(/presence/);
    }
    await waitFor(async () => (await descriptors(gateway.pid)) === before + 10, 'one descriptor for each stream', 3000);
    for (const stream of streams) stream.close();
    await waitFor(async () => (await descriptors(gateway.pid)) === before, 'none is left', 3000);
  });

  test('what a client sends on is thrown away, and is no request', async (t) => {
    const gateway = await startGateway(t);
    const [, bob] = await gateway.people('alice', 'bob');
    const raw = await openRaw(gateway);
    const before = await gateway.metric('nereidd_requests_total');
    raw.send(['GET /smuggled HTTP/1.1', 'Host: x']);
    raw.write('x'.repeat(200_000));
    await bob.send({ to: 'alice', message: 'still here' });
    await raw.until('still here');
    const after = await gateway.metric('nereidd_requests_total');
    assert.ok(after - before <= 2, 'the metrics and the message only');
  });

  test('SIGTERM ends it properly: a reason, the last chunk, a FIN', async (t) => {
    const gateway = await startGateway(t);
    const chunked = await openRaw(gateway);
    const sse = await openRaw(gateway, { query: '?format=sse' });
    await gateway.stop();
    await chunked.untilClosed();
    const { chunks, last } = parseChunks(chunked.body());
    assert.ok(last, 'the last chunk has come');
    assert.equal(JSON.parse(chunks.at(-1)).error, 'shutting_down');
    assert.equal(chunked.error, null, 'and no RST');
    await sse.untilClosed();
    assert.match(
      sse.body().toString(),
      /\nevent: end\ndata: \{"timestamp":"[^"]+","stanzas":\[\],"error":"shutting_down"/,
    );
  });

  test('a slow reader is cut with a reason; nobody else notices, and it resumes', async (t) => {
    const gateway = await startGateway(t, {
      'limits.body': '2M',
      'limits.text': '1M',
      'limits.queue': '1M',
      'limits.drain': '60s',
    });
    const [alice, bob] = await gateway.people('alice', 'bob');
    const thread = await bob.thread('alice');
    const quick = await alice.stream();
    const slow = await openRaw(gateway, { reading: false });
    await gateway.metricBecomes(STREAMING, 2);
    const big = 'x'.repeat(500_000);
    let count = 0;
    while ((await gateway.limitHits('queue')) === 0) {
      assert.ok(++count < 200, 'the queue has a bound');
      await bob.say(thread, `${count} ${big}`);
    }
    await bob.say(thread, 'the last');
    await quick.message('the last');
    assert.equal(quick.messages.length, count + 1);
    await gateway.metricBecomes(STREAMING, 1);
    await gateway.logged(/slow reader.* user=alice/);

    slow.read();
    await slow.untilClosed('the slow reader has it all', 60_000);
    const head = slow.received.indexOf('\r\n\r\n') + 4;
    const { chunks, last } = parseChunks(slow.received.subarray(head));
    assert.ok(last);
    const envelopes = chunks.flatMap(linesOf);
    assert.equal(envelopes.at(-1).error, 'slow_reader');
    const seen = textsOf(envelopes);
    const { cursor } = envelopes.filter((envelope) => envelope.cursor).at(-1);
    await gateway.metricBecomes('nereidd_queue_bytes', 0);
    const resumed = await alice.stream({ since: cursor });
    await resumed.message('the last');
    assert.equal(seen.length + resumed.messages.length, count + 1, 'nothing lost, nothing doubled');
  });

  test('who resumes is not cut for what was missed, however much it grows on the wire', async (t) => {
    const gateway = await startGateway(t, { 'limits.queue': '4K' });
    const [alice, bob] = await gateway.people('alice', 'bob');
    const thread = await bob.thread('alice');
    const texts = Array.from({ length: 40 }, (_, i) => `${i} ${'<'.repeat(3000)}`);
    for (const text of texts) await bob.say(thread, text);
    const resumed = await alice.stream({ since: 0 });
    await resumed.message(texts.at(-1));
    assert.deepEqual(resumed.texts, texts);
    assert.equal(await gateway.limitHits('queue'), 0);
  });

  test('many streams of one user all get everything', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const streams = await Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        alice.stream(i % 2 ? { format: 'ndjson' } : { dialect: 'module', format: 'ndjson' }),
      ),
    );
    const thread = await bob.thread('alice');
    for (let i = 0; i < 20; i++) await bob.say(thread, `message ${i}`);
    for (const stream of streams) {
      await stream.message('message 19');
      assert.equal(stream.texts.length, 20);
    }
  });

  test('streams of a user have a bound', async (t) => {
    const gateway = await startGateway(t, { 'limits.sessions_per_user': 2 });
    const alice = gateway.person('alice');
    const first = await alice.stream();
    await alice.stream();
    const third = await alice.get('/stream');
    assert.equal(third.status, 429);
    assert.ok(Number(third.headers.get('retry-after')) > 0);
    assert.equal(await gateway.limitHits('sessions_per_user'), 1);
    await gateway.person('bob').stream();
    first.close();
    await waitFor(async () => (await alice.get('/poll', { wait: 0 })).status === 200, 'there is room again');
  });
});
