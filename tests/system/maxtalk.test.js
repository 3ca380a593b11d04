// SPDX-License-Identifier: MIT
// maxtalk: notices about conversations, on /max, for the clients of its day and for those of today.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { startGateway } from './lib/gateway.js';
import { startWithIssuer } from './lib/issuer.js';
import { startNodes, meet } from './lib/nodes.js';
import { startRedis } from './lib/redis.js';
import { CLIENTS, RawWebSocket, connect, matrix } from './lib/socketio.js';
import { waitFor } from './lib/wait.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const NOBODY = '00000000-0000-4000-8000-000000000000';

const atMax = (gateway, options) => connect(gateway, { transport: 'websocket', ...options, nsp: '/max' });

// A client that has joined; `conversations` is what it was told to listen to.
async function join(gateway, username, { packet = {}, ...options } = {}) {
  const client = await atMax(gateway, options);
  client.emit('join', { username, timestamp: Date.now(), ...packet });
  const [{ conversations }] = await client.event('listening');
  return Object.assign(client, { conversations, username });
}

// What this client hears next of a conversation must be this: so nothing came before.
async function hearsNothingBut(client, talker, conversation, messageID) {
  talker.emit('talk', { conversation, timestamp: 1, messageID });
  const [update] = await client.event('update');
  assert.equal(update.messageID, messageID);
}

async function refusal(client, event, packet) {
  const [answer] = await client.ask(event, packet);
  assert.equal(typeof answer.message, 'string', JSON.stringify(answer));
  return answer.error;
}

describe('a conversation is a thread', { concurrency: 4 }, () => {
  for (const { name, ...options } of matrix()) {
    test(`for ${name}`, async (t) => {
      const gateway = await startGateway(t);
      const [alice, bob] = await gateway.people('alice', 'bob', 'carol');
      const pair = await alice.thread('bob');
      const three = await alice.thread('bob', 'carol');
      const bobs = await join(gateway, 'bob', options);
      assert.deepEqual(new Set(bobs.conversations), new Set([pair, three]));
      const carols = await join(gateway, 'carol', options);
      assert.deepEqual(carols.conversations, [three]);
      assert.deepEqual(await bobs.event('joined'), [{ conversation: three, username: 'carol' }]);

      const packet = { conversation: three, timestamp: 347815255145614, messageID: '0f2343512345252' };
      bobs.emit('talk', packet);
      assert.deepEqual(await carols.event('update'), [{ username: 'bob', ...packet }]);
      await hearsNothingBut(bobs, carols, three, 'from carol');

      const { UUID: id } = await bob.say(three, 'by another protocol');
      const [update] = await carols.event('update');
      assert.deepEqual(update, { username: 'bob', conversation: three, timestamp: update.timestamp, messageID: id });
      assert.ok(Math.abs(update.timestamp - Date.now()) < 60_000, 'milliseconds since 1970');
      await hearsNothingBut(bobs, carols, three, 'still nothing of oneself');
      assert.deepEqual(carols.all('joined'), [], 'nobody is told of those before');
    });
  }
});

describe('joining', { concurrency: 4 }, () => {
  test('is told to the other users of each conversation, not to oneself', async (t) => {
    const gateway = await startGateway(t);
    const [alice] = await gateway.people('alice', 'bob', 'carol', 'dave');
    const withBob = await alice.thread('bob');
    const withCarol = await alice.thread('carol');
    const [bobs, carols, daves] = [
      await join(gateway, 'bob'),
      await join(gateway, 'carol'),
      await join(gateway, 'dave'),
    ];
    assert.deepEqual(daves.conversations, []);
    const first = await join(gateway, 'alice');
    assert.deepEqual(await bobs.event('joined'), [{ conversation: withBob, username: 'alice' }]);
    assert.deepEqual(await carols.event('joined'), [{ conversation: withCarol, username: 'alice' }]);
    await join(gateway, 'alice');
    await bobs.event('joined');
    await hearsNothingBut(first, bobs, withBob, 'm');
    for (const client of [first, daves]) assert.deepEqual(client.all('joined'), []);
    assert.equal(carols.all('joined').length, 2);
  });

  test('acknowledges what there is to listen to, and may be repeated to hear of news', async (t) => {
    const gateway = await startGateway(t);
    const [alice] = await gateway.people('alice', 'bob');
    const client = await atMax(gateway);
    const packet = { username: 'alice', timestamp: 1 };
    assert.deepEqual(await client.ask('join', packet), [{ conversations: [] }]);
    const thread = await alice.thread('bob');
    assert.deepEqual(await client.ask('join', packet), [{ conversations: [thread] }]);
    assert.deepEqual(client.all('listening'), [[{ conversations: [] }], [{ conversations: [thread] }]]);
    assert.equal(await refusal(client, 'join', { username: 'bob' }), 'forbidden');
  });

  test('with nonsense is refused', async (t) => {
    const gateway = await startGateway(t);
    const client = await atMax(gateway);
    const packets = [undefined, null, 'alice', 17, [], {}, { username: 17 }, { username: '' }, { username: ' alice' }];
    for (const packet of [...packets, { username: 'a\nb' }, { username: 'x'.repeat(129) }])
      assert.equal(await refusal(client, 'join', packet), 'bad_field', JSON.stringify(packet));
    assert.equal(await refusal(client, 'join', { username: 'alice', token: 17 }), 'bad_field');
    assert.deepEqual(client.all('listening'), []);
  });

  test('without an acknowledgement, a refusal is an event', async (t) => {
    const gateway = await startGateway(t);
    const client = await atMax(gateway);
    client.emit('join', {});
    const [refused] = await client.event('refused');
    assert.deepEqual(Object.keys(refused), ['event', 'error', 'message']);
    assert.deepEqual([refused.event, refused.error], ['join', 'bad_field']);
    client.emit('talk', {});
    assert.equal((await client.event('refused'))[0].event, 'talk');
  });
});

describe('talking', { concurrency: 4 }, () => {
  test('in a conversation one is not in is an error, and nobody hears it', async (t) => {
    const gateway = await startGateway(t);
    const [alice] = await gateway.people('alice', 'bob', 'carol');
    const pair = await alice.thread('bob');
    const [alices, bobs, carols] = [
      await join(gateway, 'alice'),
      await join(gateway, 'bob'),
      await join(gateway, 'carol'),
    ];
    for (const conversation of [pair, NOBODY, 'nonsense', '', 17, null])
      assert.equal(await refusal(carols, 'talk', { conversation, timestamp: 1, messageID: 'x' }), 'no_thread');
    await hearsNothingBut(bobs, alices, pair, 'from alice');
    assert.equal(await refusal(await atMax(gateway), 'talk', { conversation: pair }), 'unauthorized');
  });

  test('goes to everybody who is in it by then, on all their clients, and to nobody who was', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob, carol] = await gateway.people('alice', 'bob', 'carol');
    const room = await alice.room('hall');
    const [alices, bobs, carols] = [
      await join(gateway, 'alice'),
      await join(gateway, 'bob'),
      await join(gateway, 'carol'),
    ];
    assert.deepEqual(bobs.conversations, []);
    await bob.room('hall');
    await carol.room('hall');
    const second = await join(gateway, 'bob');
    alices.emit('talk', { conversation: room, timestamp: 1, messageID: 'to all' });
    for (const client of [bobs, second, carols]) assert.equal((await client.event('update'))[0].messageID, 'to all');

    await alice.delete(`/threads/${room}/members/bob`);
    alices.emit('talk', { conversation: room, timestamp: 1, messageID: 'to carol' });
    await alice.say(room, 'to carol too');
    await carols.event('update', ({ messageID }) => UUID.test(messageID));
    const pair = await alice.thread('bob');
    await hearsNothingBut(bobs, alices, pair, 'to bob');
    assert.equal(await refusal(bobs, 'talk', { conversation: room, timestamp: 1, messageID: 'x' }), 'no_thread');
  });

  test('leaves timestamp and messageID as they were written', async (t) => {
    const gateway = await startGateway(t);
    const [alice] = await gateway.people('alice', 'bob');
    const pair = await alice.thread('bob');
    await join(gateway, 'alice');
    const alices = await RawWebSocket.open(gateway, '/socket.io/?EIO=4&transport=websocket');
    alices.send('40/max,');
    await alices.frame((frame) => frame.startsWith('40/max,'));
    alices.send('42/max,["join",{"username":"alice"}]');
    await alices.frame((frame) => frame.includes('"listening"'));
    const bobs = await RawWebSocket.open(gateway, '/socket.io/?EIO=4&transport=websocket');
    bobs.send('40/max,');
    await bobs.frame((frame) => frame.startsWith('40/max,'));
    bobs.send('42/max,["join",{"username":"bob"}]');
    await bobs.frame((frame) => frame.includes('"listening"'));
    const rows = [
      ['347815255145614', '"0f2343512345252"'],
      ['1700000000.123456789012345678901', '123456789012345678'],
      ['1.50', '"\\u00e9\\n{}"'],
      ['-0', '"é"'],
    ];
    for (const [timestamp, id] of rows) {
      const packet = `{ "messageID" : ${id} , "timestamp":${timestamp},"conversation":"${pair}" }`;
      alices.send(`42/max,[ "t\\u0061lk" , ${packet}]`);
      const frame = await bobs.frame((text) => text.startsWith('42'));
      const fields = `"username":"alice","conversation":"${pair}","timestamp":${timestamp},"messageID":${id}`;
      assert.equal(frame, `42/max,["update",{${fields}}]`);
    }
  });

  test('takes numbers and text, and not too much of it', async (t) => {
    const gateway = await startGateway(t);
    const [alice] = await gateway.people('alice', 'bob');
    const conversation = await alice.thread('bob');
    const client = await join(gateway, 'alice');
    const good = { conversation, timestamp: 1, messageID: 'm' };
    const bad = [{ timestamp: undefined }, { messageID: undefined }, { timestamp: {} }, { timestamp: null }];
    for (const fields of [...bad, { messageID: ['m'] }, { messageID: true }, { messageID: 'x'.repeat(300) }])
      assert.equal(await refusal(client, 'talk', { ...good, ...fields }), 'bad_field', JSON.stringify(fields));
    assert.deepEqual(await client.ask('talk', good), [{}]);
  });

  test('has the rate that messages have', async (t) => {
    const gateway = await startGateway(t, { 'limits.send_rate': 3 });
    const [alice] = await gateway.people('alice', 'bob');
    const conversation = await alice.thread('bob');
    const client = await join(gateway, 'alice');
    const answers = [];
    for (let messageID = 0; messageID < 4; messageID++)
      answers.push(...(await client.ask('talk', { conversation, timestamp: 1, messageID })));
    assert.deepEqual(answers.slice(0, 3), [{}, {}, {}]);
    assert.equal(answers[3].error, 'too_many');
  });
});

describe('the username is who the connection is', { concurrency: 4 }, () => {
  test('by login at the handshake', async (t) => {
    const gateway = await startGateway(t);
    const { headers } = gateway.person('alice');
    const client = await atMax(gateway, { headers });
    assert.equal(await refusal(client, 'join', { username: 'bob' }), 'forbidden');
    assert.deepEqual(await client.ask('join', { username: 'alice' }), [{ conversations: [] }]);
    const other = await atMax(gateway, { headers });
    assert.deepEqual(await other.ask('join', {}), [{ conversations: [] }], 'it may be left out');
  });

  for (const version of Object.keys(CLIENTS)) {
    test(`by a token in the handshake or in join, for ${version}`, async (t) => {
      const { gateway, issuer } = await startWithIssuer(t);
      const alice = issuer.person(gateway, 'alice');
      const tokens = [issuer.token('alice'), await alice.token()];
      for (const token of tokens) {
        const shown = CLIENTS[version].auth ? { auth: { token } } : { query: { token } };
        for (const options of [shown, { query: { token } }]) {
          const client = await atMax(gateway, { version, ...options });
          assert.equal(await refusal(client, 'join', { username: 'bob' }), 'forbidden');
          assert.deepEqual(await client.ask('join', { username: 'alice' }), [{ conversations: [] }]);
        }
        const bare = await atMax(gateway, { version });
        assert.equal(await refusal(bare, 'join', { username: 'alice' }), 'unauthorized');
        assert.equal(await refusal(bare, 'join', { username: 'bob', token }), 'forbidden');
        assert.deepEqual(await bare.ask('join', { username: 'alice', token }), [{ conversations: [] }]);
      }
    });
  }

  test('and wrong tokens are nobody', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t);
    const client = await atMax(gateway);
    const tokens = [issuer.forged('alice'), issuer.token('alice', -1), 'x', '', 'x'.repeat(5000), 'a.b.c'];
    for (const token of tokens)
      assert.equal(await refusal(client, 'join', { username: 'alice', token }), 'unauthorized', token.slice(0, 20));
    assert.equal(await refusal(client, 'join', { username: 'alice', token: NOBODY }), 'no_token');
    const shown = await atMax(gateway, { auth: { token: issuer.forged('alice') } });
    assert.equal(await refusal(shown, 'join', { username: 'alice' }), 'unauthorized');
  });

  test('unless maxtalk.trust_username says otherwise', async (t) => {
    const { gateway } = await startWithIssuer(t, { 'maxtalk.trust_username': 'yes' });
    const client = await atMax(gateway);
    assert.deepEqual(await client.ask('join', { username: 'alice' }), [{ conversations: [] }]);
  });
});

describe('a client is disconnected', { concurrency: 4 }, () => {
  test('when its token expires', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t);
    const client = await join(gateway, 'alice', { packet: { token: issuer.token('alice', 2) } });
    const [refused] = await client.event('refused');
    assert.deepEqual([refused.event, refused.error], ['join', 'unauthorized']);
    await client.disconnects();
    await gateway.metricBecomes('nereidd_sessions{protocol="socketio"}', 0);
  });

  test('when its chat token is revoked', async (t) => {
    const gateway = await startGateway(t);
    const [alice] = await gateway.people('alice');
    const token = await alice.token();
    const client = await join(gateway, 'alice', { packet: { token } });
    await gateway.metricBecomes('nereidd_sessions{protocol="socketio"}', 1);
    await alice.revoke(token);
    assert.equal((await client.event('refused'))[0].error, 'no_token');
    await client.disconnects();
  });
});

test('a client that leaves is no session any more', async (t) => {
  const gateway = await startGateway(t, { 'presence.grace': '0s' });
  const [bob] = await gateway.people('bob');
  const stream = await bob.stream();
  const client = await join(gateway, 'alice');
  await stream.presence('alice', ({ available }) => available);
  client.close();
  await stream.presence('alice', ({ available }) => !available);
  await gateway.metricBecomes('nereidd_sessions{protocol="socketio"}', 0);
});

test('what clients hear does not depend on the node', async (t) => {
  const redis = await startRedis(t);
  const nodes = await startNodes(t, redis, 2);
  const [alice, bob] = await meet(nodes, 'alice', 'bob');
  const pair = await alice.thread('bob');
  const alices = await join(nodes[0], 'alice');
  const bobs = await join(nodes[1], 'bob');
  await waitFor(async () => bobs.conversations.includes(pair), 'bob listens');
  assert.deepEqual(await alices.event('joined'), [{ conversation: pair, username: 'bob' }]);
  alices.emit('talk', { conversation: pair, timestamp: 1, messageID: 'm' });
  assert.equal((await bobs.event('update'))[0].messageID, 'm');
  await bob.at(nodes[1]).say(pair, 'hello');
  assert.equal((await alices.event('update'))[0].username, 'bob');
  await hearsNothingBut(bobs, alices, pair, 'only once');
});

test('a client that comes back has still joined, and hears what was said meanwhile', async (t) => {
  const gateway = await startGateway(t, { 'socketio.recovery': 'yes' });
  const [alice] = await gateway.people('alice', 'bob');
  const pair = await alice.thread('bob');
  const alices = await join(gateway, 'alice');
  const bobs = await join(gateway, 'bob', { reconnection: true });
  alices.emit('talk', { conversation: pair, timestamp: 1, messageID: 'before' });
  await bobs.event('update');
  bobs.cut();
  await bobs.disconnects();
  assert.deepEqual(await alices.ask('talk', { conversation: pair, timestamp: 1, messageID: 'meanwhile' }), [{}]);
  const { UUID: id } = await alice.say(pair, 'by another protocol');
  await waitFor(() => bobs.connected && bobs.socket.recovered, 'bob is back');
  alices.emit('talk', { conversation: pair, timestamp: 1, messageID: 'after' });
  // What is in the log is read from there, and may come behind what was only said.
  await waitFor(() => bobs.all('update').length === 4, 'all is heard');
  const heard = bobs.all('update').map(([{ messageID }]) => messageID);
  assert.deepEqual(new Set(heard), new Set(['before', 'meanwhile', id, 'after']));
  assert.equal(bobs.all('listening').length, 1);
});
