// SPDX-License-Identifier: MIT
// Chat tokens: what a page that holds nothing else can do with one, and how it ends.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { NdjsonFeed } from './lib/feed.js';
import { startGateway } from './lib/gateway.js';
import { BASE } from './lib/person.js';
import { exchange } from './lib/raw.js';
import { waitFor } from './lib/wait.js';

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const NO_TOKEN = { error: 'no_token', message: 'the token is unknown or has expired' };

describe('tokens', { concurrency: 6 }, () => {
  test('are issued to who is logged in', async (t) => {
    const gateway = await startGateway(t);
    const answer = await gateway.person('alice').post('/token');
    assert.equal(answer.status, 200);
    assert.match(answer.body.token, UUID_V4);
    assert.equal(answer.body.expires_in, 3600);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
  });

  test('are not issued to nobody, nor by GET', async (t) => {
    const gateway = await startGateway(t);
    const nobody = await gateway.person('nobody', { authorization: null }).post('/token');
    assert.equal(nobody.status, 401);
    assert.match(nobody.headers.get('www-authenticate'), /^Basic realm=/);
    const wrongMethod = await gateway.person('alice').get('/token');
    assert.equal(wrongMethod.status, 405);
    assert.equal(wrongMethod.headers.get('allow'), 'POST, OPTIONS');
  });

  test('are all different', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    const tokens = await Promise.all(Array.from({ length: 200 }, () => alice.token()));
    assert.equal(new Set(tokens).size, tokens.length);
  });

  test('open streams, polls and sends, in the path or as a bearer', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const token = await alice.token();
    const inPath = gateway.person('alice', { authorization: null });
    const bearer = gateway.person('alice', { authorization: `Bearer ${token}` });

    const streamByPath = await NdjsonFeed.open(gateway, inPath.url(`/stream/${token}`));
    const streamByBearer = await bearer.stream();
    const sentByPath = await inPath.ask('POST', `/send-message/${token}`, { form: { to: 'bob', message: 'path' } });
    const sentByBearer = await bearer.send({ to: 'bob', message: 'bearer' });
    assert.equal(sentByPath.thread, sentByBearer.thread);
    for (const stream of [streamByPath, streamByBearer]) {
      await stream.message('bearer');
      assert.deepEqual(stream.texts, ['path', 'bearer']);
    }

    await bob.say(sentByPath.thread, 'to be polled');
    const pollByPath = await inPath.ask('GET', `/poll/${token}`, { query: { wait: 0 } });
    const pollByBearer = await bearer.poll({ wait: 0 });
    assert.equal(pollByPath.cursor, pollByBearer.cursor);
  });

  test('are read in upper case too, as RFC 4122 asks', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    const token = await alice.token();
    const poll = await alice.get(`/poll/${token.toUpperCase()}`, { wait: 0 });
    assert.equal(poll.status, 200);
  });

  test('that are malformed, unknown, expired or revoked look the same', async (t) => {
    const gateway = await startGateway(t, { 'token.ttl': '1s' });
    const alice = gateway.person('alice');
    const expired = await alice.token();
    const end = Date.now() + 1000;
    await waitFor(() => Date.now() > end, 'the token has expired');
    const revoked = await alice.token();
    await alice.revoke(revoked);
    const unknown = randomUUID();
    const segments = {
      expired,
      revoked,
      unknown,
      'unknown in upper case': unknown.toUpperCase(),
      'the nil UUID': '00000000-0000-0000-0000-000000000000',
      'too long': `${unknown}0`,
      'too short': unknown.slice(1),
      'in braces': `%7B${unknown}%7D`,
      'without hyphens': unknown.replaceAll('-', ''),
      'hyphens only': '-'.repeat(36),
      'a dot': '%2e',
      'two dots': '%2e%2e',
      'a path': '..%2f..%2fetc%2fpasswd',
      'a star': '*',
      'a space': 'a%20b',
      'UTF-8': '%e2%82%ac',
      'a quote': "'%22--",
      'very long': 'a'.repeat(1000),
    };
    let first;
    for (const [what, segment] of Object.entries(segments)) {
      for (const route of ['stream', 'poll']) {
        /* By hand: fetch would rewrite some of these. */
        const request = `GET ${BASE}/${route}/${segment} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
        const [{ status, headers, body }] = (await exchange(gateway, request)).responses;
        const seen = { status, body, names: Object.keys(headers) };
        first ??= seen;
        assert.deepEqual(seen, first, `${route}, ${what}`);
      }
    }
    assert.equal(first.status, 404);
    assert.deepEqual(JSON.parse(first.body), NO_TOKEN);
    for (const token of [expired, revoked, unknown]) {
      const bearer = await gateway.person('alice', { authorization: `Bearer ${token}` }).get('/stream');
      assert.equal(bearer.status, 404);
      assert.deepEqual(bearer.body, NO_TOKEN);
    }
  });

  test('do not get shorter at a NUL', async (t) => {
    const gateway = await startGateway(t);
    const token = await gateway.person('alice').token();
    const request = `GET ${BASE}/stream/${token}%00x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    const { responses } = await exchange(gateway, request);
    assert.deepEqual(
      responses.map(({ status }) => status),
      [400],
    );
  });

  test('are good for nothing else', async (t) => {
    const gateway = await startGateway(t);
    const [alice] = await gateway.people('alice', 'bob');
    const thread = await alice.thread('bob');
    const holder = await alice.tokenHolder();
    const others = [
      ['POST', '/token'],
      ['POST', '/start-session', { form: { user: 'bob' } }],
      ['GET', '/get-friends'],
      ['POST', '/presence', { form: { show: 'away' } }],
      ['GET', '/threads'],
      ['GET', `/history/${thread}`],
      ['POST', `/threads/${thread}/members`, { form: { user: 'bob' } }],
      ['DELETE', `/threads/${thread}/members/bob`],
    ];
    for (const [method, path, options] of others) {
      const answer = await holder.request(method, path, options);
      assert.equal(answer.status, 403, `${method} ${path}`);
      assert.equal(answer.body.error, 'token_scope');
    }
    assert.equal((await alice.friend('bob')).show, 'chat', 'nothing was changed');
  });

  test('end their streams when they expire', async (t) => {
    const gateway = await startGateway(t, { 'token.ttl': '3s' });
    const holder = await gateway.person('alice').tokenHolder();
    const ndjson = await holder.stream();
    const farewell = await ndjson.end();
    assert.equal(farewell.error, NO_TOKEN.error);
    assert.deepEqual(farewell.stanzas, []);
    assert.equal((await holder.get('/stream')).status, 404);
  });

  test('end their polls when they expire', async (t) => {
    const gateway = await startGateway(t, { 'token.ttl': '3s' });
    const holder = await gateway.person('alice').tokenHolder();
    const { cursor } = await holder.poll({ wait: 0 });
    const answer = await holder.get('/poll', { wait: 30, since: cursor });
    assert.equal(answer.status, 404);
    assert.deepEqual(answer.body, NO_TOKEN);
  });

  test('leave their streams open if token.ends_streams is no', async (t) => {
    const gateway = await startGateway(t, { 'token.ttl': '3s', 'token.ends_streams': 'no' });
    const [alice, bob] = await gateway.people('alice', 'bob');
    const holder = await alice.tokenHolder();
    const stream = await holder.stream();
    await waitFor(async () => (await holder.get('/poll', { wait: 0 })).status === 404, 'the token has expired');
    await bob.send({ to: 'alice', message: 'still there' });
    await stream.message('still there');
  });

  test('end their streams when they are revoked, and only theirs', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const first = await alice.tokenHolder();
    const second = await alice.tokenHolder();
    const ended = [await first.stream(), await first.stream({ format: 'ndjson' })];
    const going = await second.stream();
    await alice.revoke(first.chatToken);
    for (const stream of ended) assert.equal((await stream.end()).error, NO_TOKEN.error);
    await bob.send({ to: 'alice', message: 'who is left' });
    await going.message('who is left');
    assert.equal((await alice.request('DELETE', `/token/${first.chatToken}`)).status, 404, 'revoked is gone');
  });

  test('revoke themselves', async (t) => {
    const gateway = await startGateway(t);
    const holder = await gateway.person('alice').tokenHolder();
    const answer = await holder.request('DELETE', `/token/${holder.chatToken}`);
    assert.equal(answer.status, 204);
    assert.equal(answer.text, '');
    assert.equal((await holder.get('/poll')).status, 404);
  });

  for (const [how, end] of [
    ['a restart', 'stop'],
    ['a crash', 'kill'],
  ]) {
    test(`outlive ${how}`, async (t) => {
      const gateway = await startGateway(t);
      const holder = await gateway.person('alice').tokenHolder();
      const revoked = await gateway.person('alice').tokenHolder();
      await holder.revoke(revoked.chatToken);
      await gateway[end]();
      await gateway.start();
      const stream = await holder.stream();
      await stream.presence('alice');
      assert.equal((await revoked.get('/poll')).status, 404, 'and revoked ones stay revoked');
    });
  }

  test('have a bound on their streams', async (t) => {
    const gateway = await startGateway(t, { 'limits.streams_per_token': 2 });
    const alice = gateway.person('alice');
    const holder = await alice.tokenHolder();
    const first = await holder.stream();
    await holder.stream();
    const third = await holder.get('/stream');
    assert.equal(third.status, 429);
    assert.equal(third.body.error, 'too_many_sessions');
    assert.ok(Number(third.headers.get('retry-after')) > 0);
    assert.equal((await holder.get('/poll', { wait: 0 })).status, 429, 'polls count as well');
    assert.equal(await gateway.limitHits('streams_per_token'), 2);
    await (await alice.tokenHolder()).stream();
    first.close();
    await waitFor(async () => (await holder.get('/poll', { wait: 0 })).status === 200, 'a closed stream makes room');
  });

  test('have a bound on how often they are asked for', async (t) => {
    const gateway = await startGateway(t, { 'limits.token_rate': 3 });
    const alice = gateway.person('alice');
    for (let i = 0; i < 3; i++) await alice.token();
    const tooMany = await alice.post('/token');
    assert.equal(tooMany.status, 429);
    assert.ok(Number(tooMany.headers.get('retry-after')) > 0);
    assert.equal(await gateway.limitHits('token_rate'), 1);
    await gateway.person('bob').token();
  });
});
