// SPDX-License-Identifier: MIT
// Several nereidd on one Redis are one gateway: it does not matter which of them somebody talks to.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { Follower, Sender, checkLog, wholeHistory } from './lib/load.js';
import { meet, startNodes } from './lib/nodes.js';
import { startRedis } from './lib/redis.js';
import { waitFor, within } from './lib/wait.js';

const POLLING = 'nereidd_sessions{protocol="nereid-poll"}';

const textsOf = ({ messages }) => messages.map(({ message }) => message.text);
const idsOf = (list) => list.map(({ id }) => id);
const range = (count, of) => Array.from({ length: count }, (_, i) => of(i));

async function startCluster(t, count, options) {
  const redis = await startRedis(t);
  return { redis, nodes: await startNodes(t, redis, count, options) };
}

// A room with all of them in it; its id.
async function roomOf(name, people) {
  const rooms = [];
  for (const person of people) rooms.push(await person.room(name));
  assert.equal(new Set(rooms).size, 1, 'one room for all');
  return rooms[0];
}

describe('messages between nodes', { concurrency: 4 }, () => {
  test('are heard at all of them, with the same id, time and cursor', async (t) => {
    const { nodes } = await startCluster(t, 2);
    const [a, b] = nodes;
    const [alice, bob] = await meet(nodes, 'alice', 'bob');
    const streams = [await alice.stream(), await alice.at(b).stream()];
    streams.push(await bob.at(b).stream(), await bob.at(a).events());
    const { UUID: id, thread } = await alice.send({
      to: 'bob',
      message: 'from A',
      subject: 'a subject',
      language: 'en',
      attachments: [{ url: 'http://x/y.png' }],
    });
    const seen = await Promise.all(streams.map((stream) => stream.message('from A')));
    for (const message of seen) assert.deepEqual(message, seen[0]);
    assert.equal(seen[0].id, id);
    await bob.at(b).say(thread, 'from B');
    for (const stream of streams) {
      await stream.message('from B');
      assert.deepEqual(stream.texts, ['from A', 'from B']);
    }
    for (const node of nodes) assert.deepEqual(textsOf(await bob.at(node).history(thread)), ['from A', 'from B']);
    const [here, there] = await Promise.all(nodes.map((node) => bob.at(node).ask('GET', '/threads')));
    assert.deepEqual(here, there);
  });

  test('have one order: ten who talk at three nodes are heard alike at each', async (t) => {
    const { nodes } = await startCluster(t, 3);
    const names = range(10, (i) => `sender${i}`);
    const people = await meet(nodes, 'reader', ...names);
    const lobby = await roomOf('lobby', people);
    const [reader, ...talkers] = people;
    const followers = await Promise.all(nodes.map((node) => new Follower(reader).attach(node)));
    followers.push(await new Follower(talkers[0]).attach(nodes[2]));
    const senders = talkers.map((person, i) => new Sender(person, lobby, [nodes[i % 3], nodes[(i + 1) % 3]]));
    await Promise.all(senders.map((sender) => sender.run({ count: 100 })));
    const all = await wholeHistory(reader.at(nodes[1]), lobby);
    assert.equal(all.length, 1000);
    await checkLog(all, senders, followers);
  });

  test('are sent once, though the same id is sent at several nodes', async (t) => {
    const { nodes } = await startCluster(t, 2);
    const [alice, bob] = await meet(nodes, 'alice', 'bob');
    const streams = [await bob.at(nodes[0]).stream(), await bob.at(nodes[1]).stream()];
    const thread = await alice.thread('bob');
    const send = (node, id) => alice.at(node).send({ thread_id: thread, message: 'once', id });
    const id = randomUUID();
    const first = await send(nodes[0], id);
    assert.deepEqual(await send(nodes[1], id), first);
    const another = randomUUID();
    const answers = await Promise.all(range(20, (i) => send(nodes[i % 2], another)));
    for (const answer of answers) assert.deepEqual(answer, { UUID: another, thread });
    const taken = { to: 'alice', message: 'x', id };
    assert.equal((await bob.at(nodes[1]).request('POST', '/send-message', { json: taken })).status, 409);
    await bob.at(nodes[1]).say(thread, 'after');
    for (const stream of streams) {
      await stream.message('after');
      assert.deepEqual(stream.texts, ['once', 'once', 'after']);
      assert.deepEqual(idsOf(stream.messages).slice(0, 2), [id, another]);
    }
  });

  test('that retention took are a gap at every node', async (t) => {
    const { nodes } = await startCluster(t, 2, { 'store.retention_count': 10 });
    const [alice, bob] = await meet(nodes, 'alice', 'bob');
    const stream = await alice.stream();
    const { thread } = await bob.send({ to: 'alice', message: 'the first' });
    const { cursor } = await stream.message('the first');
    for (let i = 0; i < 20; i++) await bob.at(nodes[i % 2]).say(thread, `message ${i}`);
    const pruned = async () => {
      const counts = await Promise.all(nodes.map((node) => node.metric('nereidd_store_pruned_total')));
      return counts[0] + counts[1] === 11;
    };
    await waitFor(pruned, 'the nodes together have removed 11');
    for (const node of nodes) {
      const resumed = await alice.at(node).stream({ since: cursor });
      await resumed.stanza('gap');
      await resumed.message('message 19');
      assert.deepEqual(
        resumed.texts,
        range(10, (i) => `message ${10 + i}`),
      );
    }
  });
});

describe('clients that change nodes', { concurrency: 4 }, () => {
  test('resume at another one with the same cursor, while messages flow', async (t) => {
    const { nodes } = await startCluster(t, 3);
    const names = range(4, (i) => `sender${i}`);
    const people = await meet(nodes, 'reader', ...names);
    const lobby = await roomOf('lobby', people);
    const follower = new Follower(people[0]);
    const senders = people.slice(1).map((person) => new Sender(person, lobby, nodes));
    const running = senders.map((sender) => sender.run({ pause_ms: 1 }));
    for (let i = 0; i < 30; i++) {
      await follower.attach(nodes[i % 3]);
      const before = follower.seen.length;
      await waitFor(() => follower.seen.length > before, 'something is heard');
      await sleep(Math.random() * 50); /* at a random moment */
      await follower.detach();
    }
    for (const sender of senders) sender.stop();
    await Promise.all(running);
    await follower.attach(nodes[0]);
    await checkLog(await wholeHistory(people[0], lobby), senders, [follower]);
    t.diagnostic(`${follower.seen.length} messages, 30 changes of node`);
  });

  // What a load balancer does that does not know who is who.
  test('poll here and there by turns: nothing missed, nothing doubled, presence neither', async (t) => {
    const { nodes } = await startCluster(t, 3);
    const [alice, bob, carol] = await meet(nodes, 'alice', 'bob', 'carol');
    const thread = await bob.thread('alice');
    const sent = range(150, (i) => `message ${i}`);
    const seen = [];
    const statuses = [];
    let turn = 0;
    let { cursor } = await alice.poll({ wait: 0 });
    const talking = (async () => {
      for (const [i, text] of sent.entries()) await bob.at(nodes[i % 3]).say(thread, text);
    })();
    const changing = (async () => {
      for (let i = 1; i <= 50; i++) await carol.at(nodes[i % 3]).setPresence({ status: `${i}` });
    })();
    while (seen.length < sent.length || statuses.at(-1) !== 50) {
      const envelope = await alice.at(nodes[turn++ % 3]).poll({ since: cursor, wait: 10 });
      assert.ok(envelope.stanzas.length > 0, 'an answer before time is up has news');
      for (const stanza of envelope.stanzas) {
        if (stanza.type === 'message') seen.push(stanza.message.text);
        else statuses.push(...stanza.presence.filter(({ id }) => id === 'carol').map(({ status }) => Number(status)));
      }
      cursor = envelope.cursor;
    }
    await Promise.all([talking, changing]);
    assert.deepEqual(seen, sent);
    assert.deepEqual(
      statuses,
      [...new Set(statuses)].sort((one, other) => one - other),
      'each status was told once, and never an older one after a newer one',
    );
    for (const node of nodes)
      assert.deepEqual((await alice.at(node).poll({ since: cursor, wait: 0 })).stanzas, [], 'all has been told');
    t.diagnostic(`${turn} polls, ${statuses.length} of 50 statuses`);
  });

  test('hold tokens that are good everywhere', async (t) => {
    const { nodes } = await startCluster(t, 2);
    const [alice, bob] = await meet(nodes, 'alice', 'bob');
    const holder = await alice.tokenHolder();
    const stream = await holder.at(nodes[1]).stream();
    await holder.at(nodes[1]).send({ to: 'bob', message: 'by token' });
    await stream.message('by token');
    const { thread } = await holder.send({ to: 'bob', message: 'here too' });
    await stream.message('here too');
    assert.equal((await bob.at(nodes[1]).history(thread)).messages.length, 2);
  });

  test('lose a revoked token everywhere, at once', async (t) => {
    const { nodes } = await startCluster(t, 2);
    const [a, b] = nodes;
    const [alice] = await meet(nodes, 'alice', 'bob');
    const holder = await alice.tokenHolder();
    const other = await alice.tokenHolder();
    const ended = [await holder.at(b).stream(), await holder.at(a).stream()];
    const going = await other.at(b).stream();
    const poll = holder.at(b).pollToTheEnd();
    await b.metricBecomes(POLLING, 1);
    await alice.revoke(holder.chatToken);
    /* Well before the next renewal, which would end them as well. */
    for (const stream of ended) assert.equal((await within(stream.end(), 'the stream ends', 2000)).error, 'no_token');
    assert.equal((await within(poll, 'the poll ends', 2000)).status, 404);
    for (const node of nodes) assert.equal((await holder.at(node).get('/poll', { wait: 0 })).status, 404);
    await alice.setPresence({ status: 'still here' });
    await going.presence('alice', ({ status }) => status === 'still here');
  });
});

describe('threads between nodes', { concurrency: 4 }, () => {
  test('are one for a member set, though two nodes make it at the same moment', async (t) => {
    const { nodes } = await startCluster(t, 2);
    const names = ['alice', 'bob', ...range(20, (i) => `user${i}`)];
    const [alice, bob, ...others] = await meet(nodes, ...names);
    for (const { name } of others) {
      const [here, there] = await Promise.all([
        alice.at(nodes[0]).thread('bob', name),
        bob.at(nodes[1]).thread(name, 'alice'),
      ]);
      assert.equal(here, there);
    }
    const { threads } = await alice.at(nodes[1]).ask('GET', '/threads');
    assert.equal(threads.length, others.length);
    const sends = await Promise.all(
      range(10, (i) => [alice, bob][i % 2].at(nodes[i % 2]).send({ to: ['alice', 'bob'], message: `${i}` })),
    );
    assert.equal(new Set(sends.map(({ thread }) => thread)).size, 1, 'the first messages are in one thread');
  });

  test('of a name are one room, which everybody hears', async (t) => {
    const { nodes } = await startCluster(t, 2);
    const people = await meet(nodes, ...range(6, (i) => `user${i}`));
    for (const name of ['lobby', 'garden', 'kitchen']) {
      const rooms = await Promise.all(people.map((person, i) => person.at(nodes[i % 2]).room(name)));
      assert.equal(new Set(rooms).size, 1);
      const streams = await Promise.all(people.map((person, i) => person.at(nodes[(i + 1) % 2]).stream()));
      await people[0].say(rooms[0], `in the ${name}`);
      for (const stream of streams) await stream.message(`in the ${name}`);
      const { members } = await people[1].at(nodes[1]).ask('POST', '/start-session', { form: { room: name } });
      assert.equal(members.length, people.length);
      assert.equal(members.filter(({ role }) => role === 'owner').length, 1, 'one of them was first');
    }
  });

  test('change members everywhere: who is added hears, who is removed does not any more', async (t) => {
    const { nodes } = await startCluster(t, 2);
    const [a, b] = nodes;
    const [alice, bob, carol] = await meet(nodes, 'alice', 'bob', 'carol');
    const room = await alice.at(a).room('lobby');
    const bobAtB = await bob.at(b).stream();
    const carolAtB = await carol.at(b).stream();
    const direct = await alice.at(a).thread('bob', 'carol');
    for (let round = 0; round < 5; round++) {
      await alice.at(a).say(room, `before ${round}`);
      await alice.at(a).ask('POST', `/threads/${room}/members`, { form: { user: 'bob' } });
      await alice.at(a).say(room, `in ${round}`);
      await bobAtB.message(`in ${round}`);
      await bob.at(b).say(room, `from bob ${round}`);
      await bobAtB.message(`from bob ${round}`);
      await alice.at(a).ask('DELETE', `/threads/${room}/members/bob`);
      await alice.at(a).say(room, `after ${round}`);
      assert.equal((await bob.at(b).post('/send-message', { thread_id: room, message: 'let me in' })).status, 404);
    }
    await alice.at(a).say(direct, 'to both');
    for (const stream of [bobAtB, carolAtB]) await stream.message('to both');
    assert.deepEqual(bobAtB.texts, [...range(5, (i) => [`in ${i}`, `from bob ${i}`]).flat(), 'to both']);
    assert.deepEqual(carolAtB.texts, ['to both']);
    assert.equal((await bob.at(b).get(`/history/${room}`)).status, 404);
  });

  test('are left at one node and gone at all', async (t) => {
    const { nodes } = await startCluster(t, 2);
    const [alice, bob, carol] = await meet(nodes, 'alice', 'bob', 'carol');
    const thread = await alice.thread('bob', 'carol');
    const streams = [await bob.stream(), await bob.at(nodes[1]).stream()];
    await bob.at(nodes[1]).delete(`/threads/${thread}/members/bob`);
    assert.deepEqual((await bob.ask('GET', '/threads')).threads, []);
    await carol.at(nodes[1]).say(thread, 'about bob');
    await carol.send({ to: 'bob', message: 'to bob' });
    for (const stream of streams) {
      await stream.message('to bob');
      assert.deepEqual(stream.texts, ['to bob']);
    }
  });
});

describe('a node that ends', { concurrency: 4 }, () => {
  for (const [how, end] of [
    ['killed with -9', 'kill'],
    ['asked to', 'stop'],
  ]) {
    test(`(${how}): its clients go on at another one, and nothing is lost`, async (t) => {
      const { nodes } = await startCluster(t, 3);
      const [a, b, c] = nodes;
      const readers = range(5, (i) => `reader${i}`);
      const people = await meet(nodes, ...readers, ...range(4, (i) => `sender${i}`));
      const lobby = await roomOf('lobby', people);
      const followers = people.slice(0, 5).map((person) => new Follower(person));
      const senders = people.slice(5).map((person) => new Sender(person, lobby, nodes));
      await Promise.all(followers.map((follower) => follower.attach(b)));
      const running = senders.map((sender) => sender.run({ pause_ms: 1 }));
      await waitFor(() => followers.every(({ seen }) => seen.length > 100), 'there is load');
      await b[end]();
      await Promise.all(followers.map((follower) => follower.detach({ close: false })));
      await Promise.all(followers.map((follower, i) => follower.attach(i % 2 ? a : c)));
      const enough = followers[0].seen.length + 200;
      await waitFor(() => followers.every(({ seen }) => seen.length > enough), 'it goes on');
      await b.start();
      await b.becomesReady();
      await followers[0].detach();
      await followers[0].attach(b);
      for (const sender of senders) sender.stop();
      await Promise.all(running);
      await checkLog(await wholeHistory(people[0], lobby), senders, followers);
      t.diagnostic(`${followers[0].seen.length} messages`);
    });
  }

  test('keeps what others did meanwhile: all of it is there when it comes back', async (t) => {
    const { nodes } = await startCluster(t, 2);
    const [a, b] = nodes;
    const [alice, bob, carol] = await meet(nodes, 'alice', 'bob', 'carol');
    const thread = await alice.thread('bob');
    const stream = await bob.at(b).stream();
    await alice.say(thread, 'before');
    const { cursor } = await stream.message('before');
    await b.kill();
    await alice.say(thread, 'meanwhile');
    await alice.ask('POST', `/threads/${thread}/members`, { form: { user: 'carol' } });
    await alice.setPresence({ show: 'dnd', status: 'busy' });
    await a.person('dave').friends();
    await b.start();
    await b.becomesReady();
    const resumed = await bob.at(b).stream({ since: cursor });
    await carol.at(b).say(thread, 'carol is in');
    await resumed.message('carol is in');
    assert.deepEqual(resumed.texts, ['meanwhile', 'carol is in']);
    const friends = await bob.at(b).friends();
    assert.deepEqual(idsOf(friends).sort(), ['alice', 'carol', 'dave']);
    assert.equal(friends.find(({ id }) => id === 'alice').status, 'busy');
  });
});
