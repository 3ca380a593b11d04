// SPDX-License-Identifier: MIT
// Socket.IO's own clients from npm, each version over each transport, with the real programs: the applications of
// nereidd, and the test program's echo for what no application shows.
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';

import { makeFolder, startGateway } from './lib/gateway.js';
import { makeKey, signToken } from './lib/jwt.js';
import { CLIENTS, VERSIONS, WEBSOCKET_FAULTS, connect, matrix, open, startFaultyPath } from './lib/socketio.js';
import { startSuite } from './lib/suite.js';
import { waitFor } from './lib/wait.js';

const MODERN = VERSIONS.filter((version) => version !== '0.9');
const MAX_PAYLOAD = 1_000_000;

// Of one, two, three and four bytes; alone and across what a wire could cut; what JSON, lines and scripts care about.
const TEXTS = [
  'é',
  '€',
  '😀',
  'aé€😀 z',
  '😀'.repeat(1000),
  'ü'.repeat(999) + '€',
  'Zürich, Ελλάδα, Россия, 日本, 𝒳𝒴𝒵',
  '\u2028\u2029\ufeff\u202e',
  '"\\/\b\f\n\r\t\u0001',
  '',
];

const numbers = (count) => Array.from({ length: count }, (_, i) => i);

describe('what passes', { concurrency: 4 }, () => {
  for (const { version, transport, name } of matrix()) {
    test(`${name}: events, and acknowledgements both ways`, async (t) => {
      const server = await startSuite(t);
      const client = await connect(server, { version, transport });
      const args = [1, '2', { 3: [false, null, -1.5, 9007199254740991] }];

      client.emit('message', ...args);
      assert.deepEqual(await client.event('message-back'), args);
      assert.deepEqual(await client.ask('message-with-ack', ...args), args);
      assert.deepEqual(await client.ask('message-with-ack'), []);

      client.answer('question', (a, b) => [b, a]);
      client.emit('ask', 'one', { two: 2 });
      assert.deepEqual(await client.event('answer'), [[{ two: 2 }, 'one']]);
    });

    test(`${name}: text stays what it is`, async (t) => {
      const server = await startSuite(t);
      const client = await connect(server, { version, transport });
      for (const text of TEXTS) {
        assert.deepEqual(await client.ask('message-with-ack', text, { [text]: text }), [text, { [text]: text }]);
        client.emit('message', text);
        assert.deepEqual(await client.event('message-back'), [text]);
      }
      const all = await client.ask('message-with-ack', ...TEXTS);
      assert.deepEqual(all, TEXTS);
    });

    test(`${name}: many events in one tick keep their order`, async (t) => {
      const server = await startSuite(t);
      const client = await connect(server, { version, transport });
      const sent = numbers(500);
      for (const i of sent) client.emit('message', i, '€');
      for (const i of sent) assert.deepEqual(await client.event('message-back'), [i, '€']);
      const answers = await Promise.all(sent.map((i) => client.ask('message-with-ack', i)));
      assert.deepEqual(answers.flat(), sent);
    });

    test(`${name}: what is almost too large`, async (t) => {
      const server = await startSuite(t);
      const client = await connect(server, { version, transport });
      const big = 'x'.repeat(MAX_PAYLOAD - 200);
      const [echo] = await client.ask('message-with-ack', big);
      assert.ok(echo === big);
      const wide = '€'.repeat((MAX_PAYLOAD - 200) / 6); // 1.x makes six bytes of it
      client.emit('message', wide);
      const [back] = await client.event('message-back');
      assert.ok(back === wide);
    });

    test(`${name}: namespaces share a connection, and nothing else`, async (t) => {
      const server = await startSuite(t);
      const client = await connect(server, { version, transport });
      const custom = client.of('/custom');
      await custom.connects();
      custom.emit('message', 'there');
      client.emit('message', 'here');
      assert.deepEqual(await custom.event('message-back'), ['there']);
      assert.deepEqual(await client.event('message-back'), ['here']);
      assert.deepEqual(await custom.ask('message-with-ack', 1), [1]);
      assert.deepEqual(client.all('message-back'), [['here']]);

      const unknown = client.of('/unknown');
      const error = await unknown.refused();
      if (version !== '0.9') assert.equal(error.message ?? error, 'Invalid namespace');

      custom.disconnect();
      await custom.disconnects();
      assert.deepEqual(await client.ask('message-with-ack', 'still here'), ['still here']);
    });

    test(`${name}: a room is heard by those who are in it`, async (t) => {
      const server = await startSuite(t);
      const client = await connect(server, { version, transport });
      const others = await Promise.all(numbers(2).map(() => connect(server, { transport: 'websocket' })));
      for (const one of [client, others[0]]) assert.deepEqual(await one.ask('join', 'r'), [true]);
      others[1].emit('to', 'r', 'from outside €');
      assert.deepEqual(await client.event('said'), ['r', 'from outside €']);
      assert.deepEqual(await others[0].event('said'), ['r', 'from outside €']);
      client.emit('to', 'r', 'from inside 😀');
      assert.deepEqual(await others[0].event('said'), ['r', 'from inside 😀']);
      assert.deepEqual(await client.ask('leave', 'r'), [true]);
      others[0].emit('to', 'r', 'after leaving');
      assert.deepEqual(await client.ask('message-with-ack', 'a later answer'), ['a later answer']);
      assert.deepEqual(client.all('said'), [['r', 'from outside €']]);
    });
  }

  for (const { version, transport, name } of matrix(MODERN)) {
    test(`${name}: binary data`, async (t) => {
      const server = await startSuite(t);
      const client = await connect(server, { version, transport });
      const bytes = Buffer.from(numbers(256));
      const plain = (value) => (value instanceof Uint8Array ? [...value] : value);
      for (const data of [bytes, Buffer.alloc(0), Buffer.alloc(100_000, 7)]) {
        const [echo] = await client.ask('message-with-ack', data);
        assert.deepEqual(plain(echo), [...data]);
        client.emit('message', data, '€');
        const [back, text] = await client.event('message-back');
        assert.deepEqual(plain(back), [...data]);
        assert.equal(text, '€');
      }
      const ten = numbers(10).map((i) => Buffer.from([i, 255 - i]));
      const [{ nested }, last] = await client.ask('message-with-ack', { nested: ten.slice(0, 9) }, ten[9]);
      assert.deepEqual([...nested, last].map(plain), ten.map(plain));
      assert.deepEqual(await client.ask('message-with-ack', 'text after it'), ['text after it']);
    });
  }

  for (const version of ['3.1', '4']) {
    test(`socket.io-client ${version} brings an auth`, async (t) => {
      const server = await startSuite(t);
      const auth = { token: '123', nested: ['€'] };
      const client = await connect(server, { version, auth });
      assert.deepEqual(await client.event('auth'), [auth]);
      const custom = client.of('/custom', { auth: { other: 1 } });
      assert.deepEqual(await custom.event('auth'), [{ other: 1 }]);
    });
  }
});

// What people say while a client comes, and what it says itself, go by polling first and by WebSocket later.
describe('the upgrade', { concurrency: 4 }, () => {
  const LOOPS = 40;
  const EVENTS = 60;

  for (const version of MODERN) {
    test(`socket.io-client ${version}: nothing is lost, doubled, or out of order`, async (t) => {
      const server = await startSuite(t);
      const sender = await connect(server, { transport: 'websocket' });

      async function upgradeOnce(loop) {
        const room = `room ${loop}`;
        const client = open(server, { version, transport: 'upgrade' });
        await client.connects();
        await client.ask('join', room);
        for (const i of numbers(EVENTS)) {
          sender.emit('to', room, i);
          client.emit('message', i);
          if (i % 8 === loop % 8) await new Promise(setImmediate);
        }
        await client.upgrades();
        for (const i of numbers(EVENTS)) {
          assert.deepEqual(await client.event('said'), [room, i]);
          assert.deepEqual(await client.event('message-back'), [i]);
        }
        client.close();
      }

      for (let loop = 0; loop < LOOPS; loop += 4)
        await Promise.all(numbers(4).map((i) => upgradeOnce(loop + i)));
    });

    for (const fault of WEBSOCKET_FAULTS) {
      test(`socket.io-client ${version}: it goes on by polling if the WebSocket is ${fault}`, async (t) => {
        const server = await startSuite(t, '--upgrade-timeout=200');
        const client = open(await startFaultyPath(t, server, fault), { version, transport: 'upgrade' });
        let failed = false;
        client.manager.engine.on('upgradeError', () => (failed = true));
        await client.connects();
        let sent = 0;
        while (!failed || sent < EVENTS) {
          client.emit('message', sent++);
          await client.event('message-back');
        }
        assert.equal(client.running, 'polling');
        assert.deepEqual(
          client.all('message-back'),
          numbers(sent).map((i) => [i]),
        );
        assert.deepEqual(await client.ask('message-with-ack', 'still here'), ['still here']);
      });
    }
  }
});

describe('staying', { concurrency: 4 }, () => {
  for (const { version, transport, name } of matrix(MODERN)) {
    test(`${name}: heartbeats keep it`, async (t) => {
      const gateway = await startGateway(t, { 'socketio.ping_interval': '150ms', 'socketio.ping_timeout': '15s' });
      const client = await connect(gateway, { version, transport });
      let beats = 0;
      for (const beat of ['ping', 'pong']) client.manager.engine.on(beat, () => beats++); // some tell both
      await waitFor(() => beats >= 10, 'five heartbeats');
      assert.deepEqual(await client.ask('register', 'alice'), [true]);
      assert.ok(client.connected);
    });
  }

  for (const { version, transport, name } of matrix()) {
    test(`${name}: returns when the server does`, async (t) => {
      const gateway = await startGateway(t);
      gateway.options['http.listen'] = gateway.address();
      const client = await connect(gateway, { version, transport, reconnection: true });
      assert.deepEqual(await client.ask('register', 'alice'), [true]);

      await gateway.stop();
      await client.disconnects();
      await gateway.start();
      await client.connects();
      assert.deepEqual(await client.ask('register', 'alice'), [true]);
      const bob = await connect(gateway);
      await bob.ask('register', 'bob');
      await client.event('message', ({ message }) => message === 'bob has joined the chat');
    });

    test(`${name}: returns after its connection was lost, and others hear both`, async (t) => {
      // That 0.9 polls no more is noticed when it has been away for 2.4 times the interval.
      const gateway = await startGateway(t, { 'socketio.ping_interval': '1500ms' });
      const bob = await connect(gateway);
      await bob.ask('register', 'bob');
      const client = await connect(gateway, { version, transport, reconnection: true });
      assert.deepEqual(await client.ask('register', 'alice'), [true]);
      await bob.event('message', ({ message }) => message === 'alice has joined the chat');

      client.cut();
      await bob.event('message', ({ message }) => message === 'alice left the chat');
      await client.disconnects();
      await client.connects();
      assert.deepEqual(await client.ask('register', 'alice'), [true]);
      await bob.event('message', ({ message }) => message === 'alice has joined the chat');
    });
  }
});

describe('Sockets', { concurrency: 4 }, () => {
  for (const { version, transport, name } of matrix()) {
    test(name, async (t) => {
      const gateway = await startGateway(t);
      const bob = await connect(gateway);
      const alice = await connect(gateway, { version, transport });
      assert.deepEqual(await bob.ask('register', 'Bob €'), [true]);
      assert.deepEqual(await alice.ask('register', 'Bob €'), [false], 'a name is had by one');
      assert.deepEqual(await alice.ask('register', 'Server'), [false]);
      assert.deepEqual(await alice.ask('register', 'Älice'), [true]);
      const joined = { from: 'Server', message: 'Älice has joined the chat' };
      assert.deepEqual(await alice.event('message'), [joined], 'everybody hears of it');
      await bob.event('message', (packet) => packet.message === joined.message);

      alice.emit('message', { from: 'Bob €', message: 'hello 😀' });
      assert.deepEqual(await bob.event('message'), [{ from: 'Älice', message: 'hello 😀' }], 'the name is corrected');
      bob.emit('message', { from: 'Bob €', message: '€ yourself' });
      assert.deepEqual(await alice.event('message'), [{ from: 'Bob €', message: '€ yourself' }]);
      assert.equal(alice.all('message').length, 2, 'nobody hears oneself');

      alice.disconnect();
      assert.deepEqual(await bob.event('message'), [{ from: 'Server', message: 'Älice left the chat' }]);
    });
  }
});

describe('maxtalk', { concurrency: 4 }, () => {
  for (const { version, transport, name } of matrix()) {
    test(name, async (t) => {
      const gateway = await startGateway(t);
      const [alice, bob] = await gateway.people('alice', 'bob', 'carol');
      const conversation = await alice.thread('bob');
      const timestamp = 347815255145614;

      const ours = await connect(gateway, { version, transport, nsp: '/max' });
      ours.emit('join', { username: 'alice', timestamp });
      assert.deepEqual(await ours.event('listening'), [{ conversations: [conversation] }]);
      const theirs = await connect(gateway, { nsp: '/max' });
      theirs.emit('join', { username: 'bob', timestamp });
      assert.deepEqual(await theirs.event('listening'), [{ conversations: [conversation] }]);
      assert.deepEqual(await ours.event('joined'), [{ username: 'bob', conversation }]);

      ours.emit('talk', { conversation, timestamp, messageID: '0f2343512345252 €' });
      assert.deepEqual(await theirs.event('update'), [
        { username: 'alice', conversation, timestamp, messageID: '0f2343512345252 €' },
      ]);
      theirs.emit('talk', { conversation, timestamp, messageID: '€' });
      assert.deepEqual(await ours.event('update'), [{ username: 'bob', conversation, timestamp, messageID: '€' }]);

      const { UUID } = await bob.say(conversation, 'by another protocol');
      const [update] = await ours.event('update');
      assert.deepEqual({ ...update, timestamp }, { username: 'bob', conversation, timestamp, messageID: UUID });

      const foreign = await bob.thread('carol');
      const [refusal] = await ours.ask('talk', { conversation: foreign, timestamp, messageID: 'x' });
      assert.equal(refusal.error, 'no_thread');
      assert.equal(theirs.all('update').length, 1);
      assert.equal(theirs.all('joined').length, 0);
    });
  }
});

describe('messaging', { concurrency: 4 }, () => {
  async function startWithKey(t) {
    const { signing, file } = makeKey('HS256');
    const key = path.join(await makeFolder(t), 'key');
    await fs.writeFile(key, file, { mode: 0o600 });
    const gateway = await startGateway(t, {
      'auth.methods': 'jwt',
      'auth.jwt_key': key,
      'auth.jwt_algorithm': 'HS256',
      'auth.jwt_claim': 'user_id',
    });
    const exp = Math.floor(Date.now() / 1000) + 600;
    const tokenOf = (user) => signToken('HS256', signing, { user_id: user, exp });
    return { gateway, tokenOf };
  }

  const emit = async (gateway, body) => {
    const response = await fetch(`${gateway.adminUrl}/emit`, { method: 'POST', body: JSON.stringify(body) });
    assert.ok(response.ok, await response.text());
  };

  for (const { version, transport, name } of matrix()) {
    test(name, async (t) => {
      const { gateway, tokenOf } = await startWithKey(t);
      const client = await connect(gateway, { version, transport, headers: { Origin: gateway.url } });
      client.emit('authenticate', { token: tokenOf('1') });
      await client.event('authenticated');

      const text = 'püsh € 😀';
      await emit(gateway, { room: 'user(1)', event: 'update', args: [text, { text }] });
      assert.deepEqual(await client.event('update'), [text, { text }]);
      await emit(gateway, { room: 'user(2)', event: 'update', args: ['not for us'] });
      if (CLIENTS[version].binary) {
        const attachments = [Buffer.from([0, 1, 254, 255]).toString('base64')];
        await emit(gateway, { room: 'user(1)', event: 'raw', args: [{ _placeholder: true, num: 0 }], attachments });
        const [raw] = await client.event('raw');
        assert.deepEqual([...raw], [0, 1, 254, 255]);
      }
      await emit(gateway, { room: 'user(1)', event: 'update', args: [] });
      assert.deepEqual(await client.event('update'), []);

      const stranger = await connect(gateway, { version, transport });
      stranger.emit('authenticate', { token: `${tokenOf('1').slice(0, -2)}xx` });
      const [{ message, data }] = await stranger.event('unauthorized');
      assert.equal(typeof message, 'string');
      assert.deepEqual(Object.keys(data), ['message', 'code', 'type']);
      await stranger.disconnects();
    });
  }
});
