// SPDX-License-Identifier: MIT
// Sockets: one room, one name each, on /.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { startGateway } from './lib/gateway.js';
import { startWithIssuer } from './lib/issuer.js';
import { startNodes } from './lib/nodes.js';
import { startRedis } from './lib/redis.js';
import { connect, matrix } from './lib/socketio.js';
import { Talker } from './lib/talker.js';
import { waitFor } from './lib/wait.js';

const atRoot = (gateway, options) => connect(gateway, { transport: 'websocket', ...options });

const joined = (name) => ({ from: 'Server', message: `${name} has joined the chat` });
const left = (name) => ({ from: 'Server', message: `${name} left the chat` });
const notInRoom = { from: 'Server', message: 'you are no longer in this room' };

// The next message that this client hears.
async function hears(client, expected) {
  const [message, ...more] = await client.event('message');
  assert.deepEqual(message, expected);
  assert.deepEqual(more, []);
}

// Somebody registered who has heard of it.
async function register(gateway, name, options) {
  const client = await atRoot(gateway, options);
  assert.deepEqual(await client.ask('register', name), [true], name);
  await client.event('message', (message) => message.message === joined(name).message);
  return client;
}

async function isRefused(client, ...args) {
  assert.deepEqual(await client.ask('register', ...args), [false], JSON.stringify(args).slice(0, 60));
}

async function tries(gateway, name, options) {
  const client = await atRoot(gateway, options);
  const [answer] = await client.ask('register', name);
  client.close();
  return answer;
}

describe('a room', { concurrency: 4 }, () => {
  for (const { name, ...options } of matrix()) {
    test(`for ${name}`, async (t) => {
      const gateway = await startGateway(t);
      const [alice, bob] = [await connect(gateway, options), await connect(gateway, options)];
      assert.deepEqual(await alice.ask('register', 'alice'), [true]);
      await hears(alice, joined('alice'));
      assert.deepEqual(await bob.ask('register', 'bob'), [true]);
      for (const client of [alice, bob]) await hears(client, joined('bob'));

      alice.emit('message', { from: 'bob', message: 'hi, I am alice' });
      await hears(bob, { from: 'alice', message: 'hi, I am alice' });
      assert.deepEqual(await bob.ask('message', { from: 'bob', message: 'hello' }), [true]);
      await hears(alice, { from: 'bob', message: 'hello' });
      bob.close();
      await hears(alice, left('bob'));
    });
  }

  test('is one of the core: whatever its members speak, they hear each other', async (t) => {
    const gateway = await startGateway(t, { 'sockets.room': 'hall' });
    const [carol] = await gateway.people('carol');
    const hall = await carol.room('hall');
    const stream = await carol.stream();
    const alice = await register(gateway, 'alice');
    alice.emit('message', { from: '', message: 'from Sockets' });
    const message = await stream.message('from Sockets');
    assert.deepEqual([message.thread, message.sender.id, message.sender.displayName], [hall, 'alice', 'alice']);
    await carol.say(hall, 'from nereid');
    await hears(alice, { from: 'carol', message: 'from nereid' });
    const { messages } = await carol.history(hall);
    assert.deepEqual(
      messages.map(({ message: { text } }) => text),
      ['from Sockets', 'from nereid'],
    );
    const other = await carol.thread('alice');
    await carol.say(other, 'not for the room');
    await carol.say(hall, 'for the room');
    await hears(alice, { from: 'carol', message: 'for the room' });
  });

  test('is left with the connection, by whoever came with it', async (t) => {
    const gateway = await startGateway(t);
    const [alice, carol] = await gateway.people('alice', 'carol');
    const lobby = await carol.room('lobby');
    await alice.room('lobby');
    const clients = [await register(gateway, 'alice'), await register(gateway, 'bob')];
    const members = async () => {
      const { threads } = await carol.ask('GET', '/threads');
      return threads
        .find(({ thread_id: id }) => id === lobby)
        .members.map(({ id }) => id)
        .sort();
    };
    assert.deepEqual(await members(), ['alice', 'bob', 'carol']);
    for (const client of clients) client.close();
    await waitFor(async () => (await members()).join() === 'alice,carol', 'bob has left');
  });

  test('hears nothing of those who are not in it, nor they of it', async (t) => {
    const gateway = await startGateway(t);
    const outsider = await atRoot(gateway);
    assert.deepEqual(await outsider.ask('message', { from: 'x', message: 'too early' }), [false]);
    outsider.emit('message', 'too early');
    const alice = await register(gateway, 'alice');
    const bob = await register(gateway, 'bob');
    await hears(alice, joined('bob'));
    alice.emit('message', { from: 'alice', message: 'in the room' });
    await hears(bob, { from: 'alice', message: 'in the room' });
    assert.deepEqual(outsider.all('message'), []);
  });

  test('takes text, and only text', async (t) => {
    const gateway = await startGateway(t, { 'limits.text': 100 });
    const [alice, bob] = [await register(gateway, 'alice'), await register(gateway, 'bob')];
    for (const packet of [undefined, null, 17, [], {}, { message: 17 }, { message: '' }, { from: 'alice' }])
      assert.deepEqual(await alice.ask('message', packet), [false], JSON.stringify(packet));
    assert.deepEqual(await alice.ask('message', { message: 'x'.repeat(101) }), [false]);
    assert.deepEqual(await alice.ask('message', 'bare text'), [true]);
    await hears(bob, { from: 'alice', message: 'bare text' });
    const text = '<b>é\u2028😀"\n</b>';
    await alice.ask('message', { message: text });
    await hears(bob, { from: 'alice', message: text });
  });
});

// Takes somebody out of a room that `owner` has made.
async function remove(owner, room, user) {
  await owner.ask('DELETE', `/threads/${room}/members/${user}`);
}

describe('whoever is removed from the room', { concurrency: 4 }, () => {
  const texts = (client) => client.all('message').map(([{ message }]) => message);

  for (const { name, ...options } of matrix(['0.9', '4'])) {
    test(`hears so, and nothing more: ${name}`, async (t) => {
      const gateway = await startGateway(t);
      const [alice] = await gateway.people('alice', 'bob');
      const lobby = await alice.room('lobby');
      const stays = await register(gateway, 'carol', options);
      const bob = await register(gateway, 'bob', options);
      await hears(stays, joined('bob'));
      await remove(alice, lobby, 'bob');
      await hears(bob, notInRoom);
      await bob.disconnects();
      await hears(stays, left('bob'));
      await register(gateway, 'dave');
      assert.deepEqual(texts(bob), [joined('bob').message, notInRoom.message]);
      await register(gateway, 'bob', options);
      for (const who of ['dave', 'bob']) await hears(stays, joined(who));
    });
  }

  test('is out on each connection, and others are not', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t, { 'sockets.guests': 'yes' });
    const owner = issuer.person(gateway, 'owner');
    const lobby = await owner.room('lobby');
    const token = issuer.token('alice', 600, { name: 'Alice Smith' });
    const removed = [];
    for (const name of ['alice', 'Alice Smith']) removed.push(await register(gateway, name, { auth: { token } }));
    const guest = await register(gateway, 'bob');
    await remove(owner, lobby, 'alice');
    for (const client of removed) await client.event('message', ({ message }) => message === notInRoom.message);
    for (const name of ['alice', 'Alice Smith'])
      await guest.event('message', ({ message }) => message === left(name).message);
    assert.deepEqual(await guest.ask('message', 'still here'), [true]);
    await remove(owner, lobby, 'guest:bob');
    await hears(guest, notInRoom);
    await waitFor(() => tries(gateway, 'bob'), 'the name is free');
    await waitFor(() => tries(gateway, 'Alice Smith', { auth: { token } }), 'this one too');
  });

  test('and has come back, stays when the old connection ends', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const lobby = await alice.room('lobby');
    const stays = await Talker.as(alice, 'lobby');
    const old = await register(gateway, 'bob');
    await remove(alice, lobby, 'bob');
    const back = await Talker.as(bob, 'lobby');
    await old.disconnects();
    old.close();
    await waitFor(() => tries(gateway, 'carol'), 'all that came before is done');
    stays.message('still there?');
    await back.hears('still there?');
    back.message('yes');
    await stays.hears('yes');
    assert.equal(back.events.ended, false);
  });

  test('while being let in, is either in or out', async (t) => {
    const gateway = await startGateway(t);
    const [alice] = await gateway.people('alice', 'bob');
    const lobby = await alice.room('lobby');
    const isMember = async () => {
      const { threads } = await alice.ask('GET', '/threads');
      return threads[0].members.some(({ id }) => id === 'bob');
    };
    for (let i = 0; i < 20; i++) {
      const bob = await atRoot(gateway);
      let answer;
      const asked = bob.ask('register', 'bob').then(([yes]) => (answer = yes));
      while (answer === undefined) await alice.delete(`/threads/${lobby}/members/bob`);
      await asked;
      if (await isMember()) assert.deepEqual([answer, await bob.ask('message', 'I am in')], [true, [true]]);
      else if (answer) await bob.event('message', ({ message }) => message === notInRoom.message);
      bob.close();
      await waitFor(() => tries(gateway, 'bob'), 'the name is free');
    }
  });

  test('is looked for only while somebody is registered', async (t) => {
    const gateway = await startGateway(t);
    const [alice] = await gateway.people('alice', 'bob');
    const lobby = await alice.room('lobby');
    const stream = await alice.stream(); // keeps the room in memory
    const watches = async () => {
      const { threads } = JSON.parse((await gateway.admin('/threads')).body);
      return threads.find(({ id }) => id === lobby).watches;
    };
    for (let i = 0; i < 3; i++) {
      assert.equal(await watches(), 0);
      const [bob, carol] = [await register(gateway, 'bob'), await register(gateway, 'carol')];
      assert.equal(await watches(), 1);
      await remove(alice, lobby, 'bob');
      await bob.disconnects();
      assert.equal(await watches(), 1);
      carol.close();
      await waitFor(async () => (await watches()) === 0, 'nobody looks');
    }
    stream.close();
  });
});

describe('a name', { concurrency: 4 }, () => {
  test('belongs to one at a time', async (t) => {
    const gateway = await startGateway(t);
    const alice = await register(gateway, 'alice');
    const other = await atRoot(gateway);
    await isRefused(other, 'alice');
    await isRefused(alice, 'alice');
    await isRefused(alice, 'bob');
    assert.deepEqual(await other.ask('register', 'bob'), [true], 'whoever was refused may try another');
    await hears(alice, joined('bob'));
    const watcher = await register(gateway, 'watcher');
    alice.close();
    await hears(watcher, left('alice'));
    await register(gateway, 'alice');
  });

  test('goes to one of a hundred who want it at once', async (t) => {
    const gateway = await startGateway(t);
    const clients = [];
    for (let i = 0; i < 20; i++) clients.push(await atRoot(gateway));
    const asked = clients.flatMap((client) => [1, 2, 3, 4, 5].map(() => client.ask('register', 'x')));
    const answers = await Promise.all(asked);
    assert.equal(answers.filter(([yes]) => yes).length, 1);
  });

  test('is not the server’s', async (t) => {
    const gateway = await startGateway(t);
    const client = await atRoot(gateway);
    for (const name of ['Server', 'server', 'SERVER', 'Ser ver', 'Server\u200b', 'Ｓｅｒｖｅｒ', 'Ser\u00adver'])
      await isRefused(client, name);
    const [server] = await gateway.people('Server');
    const room = await server.room('lobby');
    const alice = await register(gateway, 'alice');
    await server.say(room, 'obey');
    await hears(alice, { from: 'user:Server', message: 'obey' });
  });

  test('is text that people can read', async (t) => {
    const gateway = await startGateway(t);
    const client = await atRoot(gateway);
    await isRefused(client);
    for (const name of ['', ' ', ' alice', 'alice ', 'a\nb', 'a\u202eb', 17, null, {}, [], 'x'.repeat(129)])
      await isRefused(client, name);
    for (const name of ['Élodie', '日本語', 'a b', '<b>', 'x'.repeat(128), 'guest:x']) await register(gateway, name);
  });
});

describe('an identity', { concurrency: 4 }, () => {
  const claims = { name: 'Alice Smith' };

  test('registers under its own id or display name, nothing else', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t, { 'sockets.guests': 'yes' });
    await issuer.person(gateway, 'bob', { name: 'Bob Jones' }).friends();
    const token = issuer.token('alice', 600, claims);
    const ways = [{ auth: { token } }, { query: { token } }, { headers: { Authorization: `Bearer ${token}` } }];
    for (const options of ways) {
      const client = await atRoot(gateway, options);
      for (const name of ['bob', 'Bob Jones', 'carol', 'guest:alice']) await isRefused(client, name);
      assert.deepEqual(await client.ask('register', 'alice'), [true]);
      client.close();
      const again = await atRoot(gateway, options);
      await waitFor(async () => (await again.ask('register', 'Alice Smith'))[0], 'the display name is free');
      again.close();
      await waitFor(async () => tries(gateway, 'Alice Smith', options), 'the display name is free again');
    }
  });

  test('may be there twice, under id and display name', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t);
    const token = issuer.token('alice', 600, claims);
    const [one, two] = [
      await register(gateway, 'alice', { auth: { token } }),
      await register(gateway, 'Alice Smith', { auth: { token } }),
    ];
    const bob = await register(gateway, 'bob', { auth: { token: issuer.token('bob') } });
    one.emit('message', { message: 'hi' });
    for (const client of [two, bob])
      await client.event('message', ({ from, message }) => from === 'alice' && message === 'hi');
    one.close();
    await hears(bob, left('alice'));
    assert.deepEqual(await two.ask('message', { message: 'still here' }), [true]);
    await hears(bob, { from: 'Alice Smith', message: 'still here' });
    await bob.ask('message', { message: 'so I hear' });
    await two.event('message', ({ message }) => message === 'so I hear');
    two.close();
    await hears(bob, left('Alice Smith'));
    const person = issuer.person(gateway, 'alice', claims);
    await waitFor(async () => (await person.ask('GET', '/threads')).threads.length === 0, 'alice is out');
  });

  test('of a chat token has the display name that is known', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t);
    const token = await issuer.person(gateway, 'alice', claims).token();
    assert.equal(await tries(gateway, 'Alice', { auth: { token } }), false);
    assert.equal(await tries(gateway, 'Alice Smith', { auth: { token } }), true);
  });

  test('is not to be had by saying so', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t, { 'sockets.guests': 'yes' });
    await issuer.person(gateway, 'alice', claims).friends();
    const guest = await atRoot(gateway);
    for (const name of ['alice', 'Alice Smith']) await isRefused(guest, name);
    const impostor = { auth: { token: issuer.token('mallory', 600, { name: 'alice' }) } };
    assert.equal(await tries(gateway, 'alice', impostor), false, 'nor by a display name that is another’s id');
    const forged = await atRoot(gateway, { auth: { token: issuer.forged('alice') } });
    for (const name of ['alice', 'anybody']) await isRefused(forged, name);
    assert.deepEqual(await guest.ask('register', 'anybody'), [true]);
  });

  test('that ends takes the connection along', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t, { 'sockets.guests': 'yes' });
    const bob = await register(gateway, 'bob');
    const alice = await register(gateway, 'alice', { auth: { token: issuer.token('alice', 2) } });
    await hears(bob, joined('alice'));
    await hears(alice, { from: 'Server', message: 'the login has expired' });
    await alice.disconnects();
    await hears(bob, left('alice'));
  });
});

describe('guests', { concurrency: 4 }, () => {
  test('are told apart from users: where there are logins they are guests in name', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t, { 'sockets.guests': 'yes' });
    const carol = issuer.person(gateway, 'carol');
    const lobby = await carol.room('lobby');
    const stream = await carol.stream();
    const guest = await register(gateway, 'bob');
    guest.emit('message', { from: 'carol', message: 'hi' });
    const { sender } = await stream.message('hi');
    assert.deepEqual([sender.id, sender.displayName], ['guest:bob', 'bob']);
    await carol.say(lobby, 'hello');
    await hears(guest, { from: 'carol', message: 'hello' });
    guest.close();
    await waitFor(() => tries(gateway, 'bob'), 'another guest of this name');
  });

  test('do not stay in the room when the gateway was killed', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t, { 'sockets.guests': 'yes' });
    const members = async () => {
      const { threads } = await issuer.person(gateway, 'carol').ask('GET', '/threads');
      return threads[0].members.map(({ id }) => id).sort();
    };
    await issuer.person(gateway, 'carol').room('lobby');
    for (const name of ['bob', 'dave']) await register(gateway, name);
    assert.deepEqual(await members(), ['carol', 'guest:bob', 'guest:dave']);
    gateway.wasAsked = true;
    await gateway.kill();
    gateway.closeClients();
    await gateway.start();
    const bob = await register(gateway, 'bob');
    await waitFor(async () => (await members()).join() === 'carol,guest:bob', 'dave is out');
    assert.deepEqual(await bob.ask('message', 'still in'), [true]);
  });

  test('are not wanted where they are not', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t);
    assert.equal(await tries(gateway, 'bob'), false);
    assert.equal(await tries(gateway, 'bob', { auth: { token: issuer.token('bob') } }), true);
    const demo = await startGateway(t, { 'sockets.guests': 'no' });
    assert.equal(await tries(demo, 'bob'), false);
    assert.equal(await tries(demo, 'bob', { headers: demo.person('bob').headers }), true);
  });
});

describe('beside messaging', { concurrency: 4 }, () => {
  test('who has registered need not authenticate, and gets no stanzas', async (t) => {
    const gateway = await startGateway(t, { 'messaging.authenticate_time': '1s' });
    const [carol] = await gateway.people('carol', 'alice');
    const alice = await register(gateway, 'alice');
    const idle = await atRoot(gateway);
    await idle.event('unauthorized');
    await carol.send({ to: 'alice', message: 'between us' });
    const bob = await register(gateway, 'bob');
    await hears(alice, joined('bob'));
    assert.deepEqual(new Set(alice.events.items.map(({ name }) => name)), new Set(['message']));
    bob.close();
    await hears(alice, left('bob'));
  });

  test('who has authenticated only hears nothing of the room', async (t) => {
    const gateway = await startGateway(t);
    const [carol] = await gateway.people('carol');
    const client = await atRoot(gateway, { headers: carol.headers });
    client.emit('authenticate');
    await client.event('authenticated');
    const [alice, bob] = [await register(gateway, 'alice'), await register(gateway, 'bob')];
    await alice.ask('message', { message: 'hi' });
    await hears(bob, { from: 'alice', message: 'hi' });
    await bob.ask('message', { message: 'done' });
    assert.deepEqual(client.all('message'), []);
  });

  test('one may be both', async (t) => {
    const gateway = await startGateway(t);
    const [alice, carol] = await gateway.people('alice', 'carol');
    const client = await register(gateway, 'alice', { headers: alice.headers });
    client.emit('authenticate');
    await client.event('authenticated');
    await carol.send({ to: 'alice', message: 'between us' });
    const [message] = await client.event('message');
    assert.deepEqual([message.text, message.sender.id], ['between us', 'carol']);
    await register(gateway, 'bob');
    await hears(client, joined('bob'));
  });
});

describe('with many nodes', { concurrency: 2 }, () => {
  test('a name is one’s own on all of them, and all are in one room', async (t) => {
    const redis = await startRedis(t);
    const nodes = await startNodes(t, redis, 2);
    const alice = await register(nodes[0], 'alice');
    const bob = await register(nodes[1], 'bob');
    await hears(alice, joined('bob'));
    await isRefused(await atRoot(nodes[0]), 'bob');
    await isRefused(await atRoot(nodes[1]), 'alice');

    const racers = await Promise.all([0, 1, 0, 1].map((i) => atRoot(nodes[i])));
    const answers = await Promise.all(racers.map((client) => client.ask('register', 'racer')));
    assert.equal(answers.filter(([yes]) => yes).length, 1);
    for (const client of [alice, bob]) await hears(client, joined('racer'));

    alice.emit('message', { message: 'hi' });
    await hears(bob, { from: 'alice', message: 'hi' });
    alice.close();
    await hears(bob, left('alice'));
    const again = await register(nodes[1], 'alice');
    bob.close();
    await hears(again, left('bob'));
  });

  test('who is removed on one is told on another', async (t) => {
    const redis = await startRedis(t);
    const [first, second] = await startNodes(t, redis, 2);
    const [owner, dave] = await first.people('owner', 'dave');
    const lobby = await owner.room('lobby');
    await dave.room('lobby');
    const alice = await register(first, 'alice');
    const old = await register(second, 'dave');
    await hears(alice, joined('dave'));
    await remove(owner, lobby, 'dave');
    const back = await Talker.as(dave, 'lobby');
    await hears(old, notInRoom);
    await old.disconnects();
    await hears(alice, left('dave'));
    await register(second, 'bob');
    await alice.ask('message', 'all still here?');
    await back.hears('all still here?');
    assert.equal(back.events.ended, false);
    assert.equal(await tries(first, 'dave'), true, 'the name is free');
  });

  test('names go with the node that had them', async (t) => {
    const redis = await startRedis(t);
    const [first, second] = await startNodes(t, redis, 2);
    await register(first, 'alice');
    const bob = await register(second, 'bob');
    first.closeClients();
    await hears(bob, left('alice'));
    await register(first, 'alice');
    await hears(bob, joined('alice'));
    first.signal('SIGTERM');
    await hears(bob, left('alice'));
    await first.ended();
    await register(second, 'alice');
  });
});

describe('who comes back in time', { concurrency: 2 }, () => {
  // With recovery there is a place in the stream behind the arguments of each event.
  const learns = (client, expected) => client.event('message', ({ message }) => message === expected.message);

  test('has the name still, and hears what was said meanwhile', async (t) => {
    const gateway = await startGateway(t, { 'socketio.recovery': 'yes' });
    const bob = await register(gateway, 'bob');
    const alice = await register(gateway, 'alice', { reconnection: true });
    await learns(bob, joined('alice'));
    bob.emit('message', { message: 'before' });
    await alice.event('message', ({ message }) => message === 'before');
    alice.cut();
    await alice.disconnects();
    await learns(bob, left('alice'));
    await isRefused(await atRoot(gateway), 'alice');
    assert.deepEqual(await bob.ask('message', { message: 'meanwhile' }), [true]);
    await learns(bob, joined('alice'));
    assert.ok(alice.socket.recovered);
    await alice.event('message', ({ message }) => message === 'meanwhile');
    assert.deepEqual(await alice.ask('message', { message: 'I am back' }), [true]);
    await learns(bob, { from: 'alice', message: 'I am back' });
    assert.equal(alice.all('message').filter(([{ from }]) => from === 'bob').length, 2);
  });

  test('but was removed meanwhile, is told so', async (t) => {
    const gateway = await startGateway(t, { 'socketio.recovery': 'yes' });
    const [carol] = await gateway.people('carol', 'alice');
    const lobby = await carol.room('lobby');
    const bob = await register(gateway, 'bob');
    const alice = await register(gateway, 'alice');
    await learns(bob, joined('alice'));
    alice.cut();
    await learns(bob, left('alice'));
    await remove(carol, lobby, 'alice');
    await waitFor(() => tries(gateway, 'alice'), 'the name is free');
    await register(gateway, 'dave');
    alice.socket.connect();
    await learns(alice, notInRoom);
    assert.ok(alice.states.items.length >= 2 && alice.socket.recovered === true, 'it is the same socket');
    await waitFor(() => !alice.socket.connected, 'it is disconnected');
    bob.emit('message', { message: 'among ourselves' });
    assert.deepEqual(await bob.ask('message', { message: 'and done' }), [true]);
    assert.equal(alice.all('message').filter(([{ from }]) => from === 'bob').length, 0);
    const words = alice.all('message').map(([{ message }]) => message);
    assert.ok(!words.includes(joined('dave').message), 'nor what the server said meanwhile');
  });

  test('not in time, has lost it', async (t) => {
    const gateway = await startGateway(t, { 'socketio.recovery': 'yes', 'socketio.recovery_time': '1s' });
    const alice = await register(gateway, 'alice');
    const bob = await register(gateway, 'bob');
    bob.emit('message', { message: 'something to come back to' });
    await alice.event('message', ({ from }) => from === 'bob');
    alice.cut();
    await learns(bob, left('alice'));
    const other = await atRoot(gateway);
    await waitFor(async () => (await other.ask('register', 'alice'))[0], 'the name is free');
  });
});

test('a thousand messages are heard once each, in one order', async (t) => {
  const gateway = await startGateway(t);
  const talker = await register(gateway, 'talker');
  const listeners = [];
  for (const transport of ['polling', 'websocket', 'upgrade']) {
    listeners.push(await register(gateway, transport, { transport }));
  }
  const texts = Array.from({ length: 1000 }, (_, i) => `${i}`);
  for (const text of texts) talker.emit('message', { message: text });
  for (const client of listeners) {
    const said = () =>
      client
        .all('message')
        .map(([{ from, message }]) => from === 'talker' && message)
        .filter(Boolean);
    await waitFor(() => said().length >= texts.length, `${client.name} hears all`);
    assert.deepEqual(said(), texts);
  }
});
