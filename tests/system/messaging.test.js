// SPDX-License-Identifier: MIT
// messaging: clients authenticate on /, and get what is pushed to them, and their own stanzas.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { startGateway } from './lib/gateway.js';
import { startWithIssuer } from './lib/issuer.js';
import { CLIENTS, connect, matrix } from './lib/socketio.js';
import { waitFor } from './lib/wait.js';

const atRoot = (gateway, options) => connect(gateway, { transport: 'websocket', ...options });

async function authenticate(client, packet) {
  client.emit('authenticate', packet);
  await client.event('authenticated');
  return client;
}

// What a client is told before it is disconnected.
async function unauthorized(client) {
  const [error] = await client.event('unauthorized');
  await client.disconnects();
  assert.deepEqual(Object.keys(error), ['message', 'data']);
  assert.deepEqual(Object.keys(error.data), ['message', 'code', 'type']);
  assert.equal(error.message, error.data.message);
  assert.equal(error.data.type, 'UnauthorizedError');
  return error.data;
}

// Pushes to rooms of /, as a service does without Redis.
async function push(gateway, rooms, name, ...args) {
  const answer = await fetch(`${gateway.adminUrl}/emit`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ rooms: [rooms].flat(), event: name, args }),
  });
  assert.ok(answer.ok, `POST /emit: ${answer.status} ${await answer.text()}`);
}

describe('authenticate', { concurrency: 4 }, () => {
  for (const { name, ...options } of matrix()) {
    test(`with a token, or be disconnected: ${name}`, async (t) => {
      const { gateway, issuer } = await startWithIssuer(t);
      const client = await authenticate(await connect(gateway, options), { token: issuer.token('1') });
      assert.deepEqual(client.all('authenticated'), [[]]);
      await push(gateway, 'user(1)', 'message', '2011-02-10T15:04:55.123Z');
      assert.deepEqual(await client.event('message'), ['2011-02-10T15:04:55.123Z']);
      await push(gateway, 'user(2)', 'message', 'not for this one');
      await push(gateway, 'user(1)', 'message', 'but this');
      assert.deepEqual(await client.event('message'), ['but this']);

      const stranger = await connect(gateway, options);
      stranger.emit('authenticate', { token: issuer.forged('1') });
      const { code, message } = await unauthorized(stranger);
      assert.deepEqual({ code, message }, { code: 'invalid_token', message: 'invalid signature' });
      assert.deepEqual(stranger.all('authenticated'), []);
    });
  }

  test('says what is wrong with a token', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t);
    const rows = [
      [{ token: issuer.token('1', -1) }, 'invalid_token', 'jwt expired'],
      [{ token: issuer.token('1', 600, { nbf: 4102444800 }) }, 'invalid_token', 'jwt not active'],
      [{ token: 'nonsense' }, 'invalid_token', 'jwt malformed'],
      [{ token: '' }, 'invalid_token', 'the token is empty'],
      [{ token: 'x'.repeat(4097) }, 'invalid_token', 'the token is too long'],
      [{ token: 17 }, 'invalid_token', 'invalid token datatype'],
      [{ token: '00000000-0000-4000-8000-000000000000' }, 'invalid_token', 'the token is unknown or has expired'],
      [{}, 'credentials_required', 'there is no token'],
      [null, 'credentials_required', 'there is no token'],
      ['nonsense', 'credentials_required', 'there is no token'],
    ];
    for (const [packet, code, message] of rows) {
      const client = await atRoot(gateway);
      client.emit('authenticate', packet);
      assert.deepEqual(await unauthorized(client), { message, code, type: 'UnauthorizedError' });
    }
  });

  test('gives the client a callback with `unauthorized`, as its manual says', async (t) => {
    const { gateway } = await startWithIssuer(t);
    const client = await atRoot(gateway);
    const called = new Promise((resolve) => {
      client.socket.on('unauthorized', (error, callback) => {
        callback();
        resolve();
      });
    });
    client.emit('authenticate', {});
    await called;
    await client.disconnects();
  });

  test('by a token that came with the handshake, or a chat token, or the login that HTTP knows', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t);
    const alice = issuer.person(gateway, 'alice');
    const [jwt, token] = [issuer.token('alice'), await alice.token()];
    const ways = [
      [{}, { token }],
      [{ auth: { token: jwt } }, {}],
      [{ auth: { token } }, null],
      [{ query: { token: jwt } }],
      [{ headers: { Authorization: `Bearer ${jwt}` } }],
      [{ headers: { Authorization: `Bearer ${token}` } }, {}],
    ];
    for (const [options, ...packet] of ways) {
      const client = await atRoot(gateway, options);
      client.emit('authenticate', ...packet);
      await client.event('authenticated');
      await push(gateway, 'user(alice)', 'pushed');
      await client.event('pushed');
    }
  });

  test('before that nothing comes, whoever the HTTP layer says it is', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const client = await atRoot(gateway, { headers: alice.headers });
    const thread = await bob.thread('alice');
    await bob.say(thread, 'too early');
    await push(gateway, ['user(alice)', 'site(127.0.0.1)'], 'too early');
    await authenticate(client);
    await push(gateway, 'user(alice)', 'in time');
    await client.event('in time');
    assert.deepEqual(
      client.events.items.map(({ name }) => name).filter((name) => name !== 'presence'),
      ['authenticated', 'in time'],
    );
  });

  test('in time, or be disconnected', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t, { 'messaging.authenticate_time': '1s' });
    const [idle, late] = [await atRoot(gateway), await atRoot(gateway, { version: '2.5' })];
    const good = await authenticate(await atRoot(gateway), { token: issuer.token('alice') });
    for (const client of [idle, late]) assert.equal((await unauthorized(client)).code, 'credentials_required');
    assert.equal(await gateway.limitHits('messaging_authenticate_time'), 2);
    await push(gateway, 'user(alice)', 'still here');
    await good.event('still here');
  });

  for (const version of Object.keys(CLIENTS)) {
    test(`nobody who is on the way to another namespace has to: ${version}`, async (t) => {
      const gateway = await startGateway(t, { 'messaging.authenticate_time': '1s' });
      const clients = [];
      for (const transport of ['polling', 'websocket'])
        clients.push(await connect(gateway, { version, transport, nsp: '/max' }));
      const idle = await atRoot(gateway);
      await unauthorized(idle); /* the time is over for all of them */
      for (const client of clients)
        assert.deepEqual(await client.ask('join', { username: 'alice', timestamp: 1 }), [{ conversations: [] }]);
    });
  }

  test('a token that expires ends the connection', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t);
    const token = issuer.token('alice', 2);
    const clients = [
      await authenticate(await atRoot(gateway), { token }),
      await authenticate(await atRoot(gateway, { auth: { token } })),
      await authenticate(await atRoot(gateway, { headers: { Authorization: `Bearer ${token}` } })),
    ];
    for (const client of clients) {
      const { code, message } = await unauthorized(client);
      assert.deepEqual({ code, message }, { code: 'invalid_token', message: 'jwt expired' });
    }
    await gateway.metricBecomes('nereidd_sessions{protocol="socketio"}', 0);
  });

  test('once more with a newer token gives more time; as somebody else it does not', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t);
    const client = await authenticate(await atRoot(gateway), { token: issuer.token('alice', 2) });
    await authenticate(client, { token: issuer.token('alice', 600) });
    const short = await authenticate(await atRoot(gateway), { token: issuer.token('alice', 2) });
    await unauthorized(short);
    await push(gateway, 'user(alice)', 'still here');
    await client.event('still here');
    client.emit('authenticate', { token: issuer.token('bob') });
    assert.equal((await unauthorized(client)).code, 'forbidden');
  });

  test('a chat token that is revoked ends the connection', async (t) => {
    const gateway = await startGateway(t);
    const [alice] = await gateway.people('alice');
    const token = await alice.token();
    const client = await authenticate(await atRoot(gateway), { token });
    await alice.revoke(token);
    assert.equal((await unauthorized(client)).message, 'the token is unknown or has expired');
  });
});

describe('the room of a site', { concurrency: 4 }, () => {
  test('has all clients of pages under one base domain', async (t) => {
    const gateway = await startGateway(t, { 'http.allow_origins': ['https://a.example.com', 'https://example.org'] });
    const from = async (origin) => {
      const client = await atRoot(gateway, { headers: { ...gateway.person('alice').headers, Origin: origin } });
      return authenticate(client);
    };
    const com = await from('https://a.example.com');
    const org = await from('https://example.org');
    await push(gateway, 'site(example.com)', 'to com');
    await push(gateway, ['site(example.com)', 'site(example.org)'], 'to both');
    await com.event('to com');
    for (const client of [com, org]) await client.event('to both');
    assert.deepEqual(org.all('to com'), []);
  });

  test('is the host asked where a browser tells no origin', async (t) => {
    const gateway = await startGateway(t);
    const client = await authenticate(await atRoot(gateway, { headers: gateway.person('alice').headers }));
    await push(gateway, 'site(127.0.0.1)', 'to those here');
    await client.event('to those here');
  });
});

describe('stanzas', { concurrency: 4 }, () => {
  for (const { name, ...options } of matrix(undefined, ['polling', 'websocket'])) {
    test(`arrive as events: ${name}`, async (t) => {
      const gateway = await startGateway(t);
      const [alice, bob] = await gateway.people('alice', 'bob');
      const token = await bob.token();
      const client = await authenticate(await connect(gateway, options), { token });
      const [presences, at] = await client.event('presence');
      assert.deepEqual(new Set(presences.map(({ id }) => id)), new Set(['alice', 'bob']));
      assert.match(at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);

      const { UUID: id, thread } = await alice.send({ to: 'bob', message: 'hello', subject: 'greetings' });
      const [message, time] = await client.event('message');
      assert.deepEqual([message.id, message.thread, message.text], [id, thread, 'hello']);
      assert.deepEqual([message.subject, message.type, message.sender.id], ['greetings', 'plain', 'alice']);
      assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000);

      await alice.setPresence({ show: 'away', status: 'out' });
      const isAway = (list) => list.some(({ id, show }) => id === 'alice' && show === 'away');
      const [[presence]] = await client.event('presence', isAway);
      assert.equal(presence.entity, 'nereid.user,alice');
      assert.equal(presence.status, 'out');
    });
  }

  test('of strangers are nobody else’s', async (t) => {
    const gateway = await startGateway(t, { 'nereid.friends': 'threads' });
    const [alice, bob, carol] = await gateway.people('alice', 'bob', 'carol');
    const room = await alice.room('hall');
    await bob.room('hall');
    const client = await authenticate(await atRoot(gateway), { token: await alice.token() });
    await carol.setPresence({ show: 'dnd' });
    await carol.room('elsewhere');
    await bob.setPresence({ show: 'dnd' });
    await client.event('presence', (list) => list.some(({ id, show }) => id === 'bob' && show === 'dnd'));
    await bob.say(room, 'hello');
    await client.event('message');
    const seen = client.all('presence').flatMap(([list]) => list.map(({ id }) => id));
    assert.ok(!seen.includes('carol'), seen.join());
  });

  test('of a thousand messages each comes once and in order', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const thread = await alice.thread('bob');
    const clients = [];
    for (const transport of ['polling', 'websocket', 'upgrade'])
      clients.push(await authenticate(await connect(gateway, { transport }), { token: await bob.token() }));
    const texts = Array.from({ length: 1000 }, (_, i) => `${i}`);
    for (let i = 0; i < texts.length; i += 50)
      await Promise.all(texts.slice(i, i + 50).map((text) => alice.say(thread, text)));
    const [wanted] = [await waitForAll(clients[0], texts.length)];
    for (const client of clients) assert.deepEqual(await waitForAll(client, texts.length), wanted);
    assert.deepEqual(new Set(wanted), new Set(texts));
  });
});

async function waitForAll(client, count) {
  await waitFor(() => client.all('message').length >= count, `${client.name}: ${count} messages`);
  return client.all('message').map(([{ text }]) => text);
}

describe('a client that comes back', { concurrency: 4 }, () => {
  const options = { 'socketio.recovery': 'yes', 'presence.grace': '0s' };

  test('is still authenticated, and gets what it has missed', async (t) => {
    const gateway = await startGateway(t, options);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const thread = await alice.thread('bob');
    const client = await atRoot(gateway, { reconnection: true, headers: bob.headers });
    await authenticate(client);
    await alice.say(thread, 'before');
    await client.event('message');
    await push(gateway, 'user(bob)', 'pushed', 'before');
    await client.event('pushed');
    client.cut();
    await client.disconnects();
    await alice.say(thread, 'meanwhile');
    await push(gateway, 'user(bob)', 'pushed', 'meanwhile');
    await waitFor(() => client.connected && client.socket.recovered, 'the client is back');
    await alice.say(thread, 'after');
    await client.event('message', ({ text }) => text === 'after');
    assert.deepEqual(
      client.all('message').map(([{ text }]) => text),
      ['before', 'meanwhile', 'after'],
    );
    assert.equal((await client.event('pushed'))[0], 'meanwhile');
    assert.equal(client.all('authenticated').length, 1);
  });

  for (const transport of ['polling', 'websocket']) {
    test(`gets what it has missed page by page: ${transport}`, async (t) => {
      const gateway = await startGateway(t, options);
      const [alice, bob] = await gateway.people('alice', 'bob');
      const thread = await alice.thread('bob');
      const socketOptions = { reconnectionDelay: 1000 };
      const client = await atRoot(gateway, { transport, reconnection: true, headers: bob.headers, socketOptions });
      await authenticate(client);
      await client.event('presence');
      client.cut();
      await client.disconnects();
      const texts = Array.from({ length: 500 }, (_, i) => `${i} ${'x'.repeat(500)}`);
      for (const text of texts) await alice.say(thread, text);
      await client.connects();
      assert.ok(client.socket.recovered);
      assert.deepEqual(await waitForAll(client, texts.length), texts);
    });
  }

  test('is not, once its token has expired meanwhile', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t, options);
    const client = await atRoot(gateway, { reconnection: true, socketOptions: { reconnectionDelay: 2500 } });
    await authenticate(client, { token: issuer.token('alice', 2) });
    await push(gateway, 'user(alice)', 'pushed');
    await client.event('pushed');
    client.cut();
    await client.disconnects();
    await client.connects();
    const [error] = await client.event('unauthorized');
    assert.equal(error.message, 'jwt expired');
  });
});
