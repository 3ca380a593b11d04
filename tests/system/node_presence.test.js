// SPDX-License-Identifier: MIT
// Presence over several nodes: who is there is the union of what all nodes have, and what ends with a node is seen to
// end once.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { meet, startNode, startNodes } from './lib/nodes.js';
import { startRedis } from './lib/redis.js';
import { Talker } from './lib/talker.js';
import { waitFor } from './lib/wait.js';

const LEASE_MS = 3000;
const SHORT = { 'store.lease': `${LEASE_MS}ms`, 'store.lease_renewal': '1s', 'presence.grace': 0 };
const SLACK_MS = 8000; /* other nodes look every second; the rest is for a busy machine */

const available = (one) => one.available;
const unavailable = (one) => !one.available;
const range = (count, of) => Array.from({ length: count }, (_, i) => of(i));

async function startCluster(t, count, options, redisOptions) {
  const redis = await startRedis(t, redisOptions);
  return { redis, nodes: await startNodes(t, redis, count, options) };
}

// What a stream has told of a user's being there, one after the other.
function told(stream, user) {
  const all = stream.stanzas.items.flatMap(({ presence }) => presence ?? []);
  return all.filter(({ id }) => id === user).map((one) => one.available);
}

// Waits until that is the last thing told.
function isTold(stream, user, there, ms) {
  return waitFor(() => told(stream, user).at(-1) === there, `${user} is ${there ? 'there' : 'away'}`, ms);
}

// Everything that had happened by now has been told to these streams: changes come in one order.
let marks = 0;
async function settle(person, ...streams) {
  const status = `mark ${++marks}`;
  await person.setPresence({ status });
  for (const stream of streams) await stream.presence(person.name, (one) => one.status === status);
}

const byId = (one, other) => (one.id < other.id ? -1 : 1);

// What the nodes tell this person of the others, which has to be the same.
async function friendsEverywhere(person, nodes) {
  const lists = [];
  for (const node of nodes) lists.push((await person.at(node).friends()).sort(byId));
  for (const list of lists) assert.deepEqual(list, lists[0], 'every node tells the same');
  return Object.fromEntries(lists[0].map((one) => [one.id, one]));
}

describe('presence between nodes', { concurrency: 4 }, () => {
  test('is seen everywhere: who comes, who goes, and who is new', async (t) => {
    const { nodes } = await startCluster(t, 3, { 'presence.grace': 0 });
    const [a, b, c] = nodes;
    const [alice, bob] = await meet(nodes, 'alice', 'bob');
    const watchers = await Promise.all(nodes.map((node) => bob.at(node).stream()));
    const stream = await alice.at(b).stream();
    for (const watcher of watchers) await watcher.presence('alice', available);
    await c.person('carol').friends();
    for (const watcher of watchers) await watcher.presence('carol', unavailable);
    const carol = await c.person('carol').stream();
    for (const watcher of watchers) await watcher.presence('carol', available);
    stream.close();
    for (const watcher of watchers) await watcher.presence('alice', unavailable);
    await settle(bob.at(a), ...watchers);
    for (const watcher of watchers) {
      assert.deepEqual(told(watcher, 'alice'), [false, true, false]);
      assert.deepEqual(told(watcher, 'carol'), [false, true]);
    }
    const friends = await friendsEverywhere(bob, nodes);
    assert.deepEqual([friends.alice.available, friends.carol.available], [false, true]);
    carol.close();
  });

  test('is there for who comes later, at whichever node', async (t) => {
    const { redis, nodes } = await startCluster(t, 2);
    const [alice, bob] = await meet(nodes, 'alice', 'bob');
    await alice.stream();
    await alice.setPresence({ show: 'dnd', status: 'busy' });
    const late = await startNode(t, redis);
    const stream = await bob.at(late).stream();
    const { show, status, available: there } = await stream.presence('alice');
    assert.deepEqual({ show, status, there }, { show: 'dnd', status: 'busy', there: true });
    const friends = await friendsEverywhere(bob, [...nodes, late]);
    assert.deepEqual([friends.alice.show, friends.alice.available], ['dnd', true]);
    const poll = await bob.at(late).poll({ wait: 0 });
    assert.equal(poll.stanzas[0].presence.find(({ id }) => id === 'alice').status, 'busy');
  });

  test('has the show and status that were set last, wherever that was', async (t) => {
    const { nodes } = await startCluster(t, 2);
    const [alice, bob] = await meet(nodes, 'alice', 'bob');
    const watchers = await Promise.all(nodes.map((node) => bob.at(node).stream()));
    for (let i = 0; i < 20; i++) {
      const wanted = { show: ['away', 'dnd', 'xa', 'chat'][i % 4], status: `status ${i}` };
      await alice.at(nodes[i % 2]).setPresence(wanted);
      for (const watcher of watchers)
        await watcher.presence('alice', ({ show, status }) => show === wanted.show && status === wanted.status);
    }
    await alice.at(nodes[1]).setPresence({ show: 'away' });
    for (const watcher of watchers)
      await watcher.presence('alice', ({ show, status }) => show === 'away' && status === 'status 19');
    const friends = await friendsEverywhere(bob, nodes);
    assert.deepEqual([friends.alice.show, friends.alice.status], ['away', 'status 19']);
  });

  test('set at two nodes at once ends the same at both', async (t) => {
    const { nodes } = await startCluster(t, 2);
    const [alice, bob] = await meet(nodes, 'alice', 'bob');
    const watchers = await Promise.all(nodes.map((node) => bob.at(node).stream()));
    await Promise.all(range(40, (i) => alice.at(nodes[i % 2]).setPresence({ status: `${i}` })));
    await settle(bob, ...watchers);
    const { alice: last } = await friendsEverywhere(bob, nodes);
    for (const watcher of watchers) {
      const all = watcher.stanzas.items.flatMap(({ presence }) => presence ?? []).filter(({ id }) => id === 'alice');
      assert.equal(all.at(-1).status, last.status);
    }
  });

  test('is the union: the last stream at any node makes the difference, after the grace', async (t) => {
    const grace = 500;
    const { nodes } = await startCluster(t, 2, { 'presence.grace': `${grace}ms` });
    const [a, b] = nodes;
    const [alice, bob] = await meet(nodes, 'alice', 'bob');
    const watchers = await Promise.all(nodes.map((node) => bob.at(node).stream()));
    const atA = await alice.at(a).stream();
    const atB = await alice.at(b).stream();
    for (const watcher of watchers) await watcher.presence('alice', available);

    atA.close();
    await a.metricBecomes('nereidd_sessions{protocol="nereid-stream"}', 1);
    const over = Date.now() + 2 * grace;
    await waitFor(() => Date.now() > over, 'the grace is over');
    await settle(bob, ...watchers);
    for (const watcher of watchers) assert.deepEqual(told(watcher, 'alice'), [false, true], 'one is left');

    atB.close();
    for (const watcher of watchers) await watcher.presence('alice', unavailable);
    await settle(bob, ...watchers);
    for (const watcher of watchers) assert.deepEqual(told(watcher, 'alice'), [false, true, false]);
    assert.equal((await friendsEverywhere(bob, nodes)).alice.available, false);
  });

  test('goes along: who leaves one node and comes to another within the grace was never away', async (t) => {
    const { nodes } = await startCluster(t, 2, { 'presence.grace': '5s' });
    const [alice, bob] = await meet(nodes, 'alice', 'bob');
    const watchers = await Promise.all(nodes.map((node) => bob.at(node).stream()));
    let stream = await alice.stream();
    for (const watcher of watchers) await watcher.presence('alice', available);
    for (let i = 1; i <= 6; i++) {
      stream.close();
      stream = await alice.at(nodes[i % 2]).stream();
    }
    const over = Date.now() + 5500;
    await waitFor(() => Date.now() > over, 'the grace of the first node is over');
    await settle(bob, ...watchers);
    for (const watcher of watchers) assert.deepEqual(told(watcher, 'alice'), [false, true]);
    assert.equal((await friendsEverywhere(bob, nodes)).alice.available, true);
  });

  test('tells strangers nothing where friends are those who share a thread, at any node', async (t) => {
    const { nodes } = await startCluster(t, 2, { 'nereid.friends': 'threads', 'presence.grace': 0 });
    const [a, b] = nodes;
    const [alice, bob, carol] = ['alice', 'bob', 'carol'].map((name) => a.person(name));
    const watcher = await alice.at(b).stream();
    await carol.at(a).stream();
    const stream = await bob.at(a).stream();
    const lobby = await alice.at(b).room('lobby');
    await bob.at(a).room('lobby');
    await watcher.presence('bob', available);
    await bob.at(a).setPresence({ show: 'dnd' });
    await watcher.presence('bob', ({ show }) => show === 'dnd');
    stream.close();
    await watcher.presence('bob', unavailable);
    assert.deepEqual(
      (await alice.at(b).friends()).map(({ id }) => id),
      ['bob'],
    );
    await bob.at(a).delete(`/threads/${lobby}/members/bob`);
    await waitFor(async () => (await alice.at(b).friends()).length === 0, 'bob is a stranger again');
    await bob.at(a).stream();
    await settle(alice.at(a), watcher);
    const seen = watcher.stanzas.items.flatMap(({ presence }) => presence ?? []).map(({ id }) => id);
    assert.ok(!seen.includes('carol'), 'a stranger is never seen');
    assert.deepEqual(told(watcher, 'bob'), [true, true, false], 'a friend only as long as he is one');
  });
});

// Comes and goes at one node or another, and says how it is, some times over; then stays with or without a stream.
class Restless {
  #streams = [];

  constructor(person, nodes) {
    Object.assign(this, { person, nodes });
  }

  get here() {
    return this.#streams.length > 0;
  }

  async act(times) {
    for (let i = 0; i < times; i++) await this.#actOnce(`${this.person.name} ${i}`);
  }

  async #actOnce(status) {
    const person = this.person.at(this.#any(this.nodes));
    const what = Math.random();
    if (what < 0.3) await person.setPresence({ status, show: this.#any(['chat', 'away', 'dnd', 'xa']) });
    else if (what < 0.65) this.#streams.push(await person.stream());
    else this.#streams.pop()?.close();
  }

  #any(list) {
    return list[Math.floor(Math.random() * list.length)];
  }
}

describe('presence when many come and go at many nodes', { concurrency: 4 }, () => {
  test('ends the same for all who watch by stream', async (t) => {
    const { nodes } = await startCluster(t, 3, { 'presence.grace': 0 });
    const names = range(12, (i) => `user${i}`);
    const [watcher, ...people] = await meet(nodes, 'watcher', ...names);
    const watchers = await Promise.all(nodes.map((node) => watcher.at(node).stream()));
    const crowd = people.map((person) => new Restless(person, nodes));
    await Promise.all(crowd.map((one) => one.act(25)));
    for (const { person, here } of crowd)
      for (const stream of watchers) await isTold(stream, person.name, here);
    await settle(watcher, ...watchers);
    const friends = await friendsEverywhere(watcher, nodes);
    for (const { person, here } of crowd) {
      assert.equal(friends[person.name].available, here);
      for (const stream of watchers) {
        const all = stream.stanzas.items.flatMap(({ presence }) => presence ?? []);
        assert.deepEqual(all.filter(({ id }) => id === person.name).at(-1), friends[person.name]);
      }
    }
  });

  for (const friends of ['everyone', 'threads']) {
    test(`adds up to the truth for who polls here and there (friends = ${friends})`, async (t) => {
      /* Who polls must not seem to leave between two polls: with the grace they do not. */
      const { nodes } = await startCluster(t, 3, { 'presence.grace': '2s', 'nereid.friends': friends });
      const names = range(8, (i) => `user${i}`);
      const [poller, ...people] = ['poller', ...names].map((name) => nodes[0].person(name));
      await poller.room('lobby');
      const crowd = people.map((person) => new Restless(person, nodes));
      const acting = Promise.all(
        crowd.map(async (one, i) => {
          await one.act(10);
          await one.person.at(nodes[i % 3]).room('lobby');
          await one.act(10);
        }),
      ).then(() => (acting.over = true));
      const known = {};
      let since;
      let quiet = 0;
      for (let turn = 0; quiet < nodes.length || !acting.over; turn++) {
        assert.ok(turn < 1000, 'at last there is nothing new');
        const envelope = await poller.at(nodes[turn % 3]).poll({ wait: 1, ...(since ? { since } : {}) });
        for (const { presence } of envelope.stanzas) for (const one of presence ?? []) known[one.id] = one;
        quiet = envelope.stanzas.length ? 0 : quiet + 1;
        since = envelope.cursor;
      }
      await acting;
      const truth = await friendsEverywhere(poller, nodes);
      assert.deepEqual(Object.keys(truth).sort(), [...names].sort());
      for (const { person, here } of crowd) assert.equal(truth[person.name].available, here);
      for (const name of names) assert.deepEqual(known[name], truth[name]);
    });
  }
});

// What somebody in a room of Talker was told of a user, one after the other.
function toldInRoom(talker, user) {
  const changes = talker.events.items.filter(({ type }) => ['join', 'idle', 'back', 'leave'].includes(type));
  return changes.filter((event) => (event.user.id ?? event.user) === user).map(({ type }) => type);
}

describe('who is idle between nodes', { concurrency: 4 }, () => {
  const graces = (time) => ({ 'talker.idle_grace': time, 'presence.grace': time });

  // Two nodes, and a room with bob at both of them.
  async function startRoom(t, options, ...names) {
    const { nodes } = await startCluster(t, 2, options);
    const people = await meet(nodes, 'bob', ...names);
    const watchers = [];
    for (const node of nodes) watchers.push(await Talker.as(people[0].at(node), 'lobby'));
    t.after(() => watchers.forEach((watcher) => watcher.close()));
    return { nodes, people, watchers };
  }

  // Waits until each was told this, and insists that it was that and nothing else.
  async function areTold(watchers, user, ...changes) {
    for (const watcher of watchers) {
      await waitFor(() => toldInRoom(watcher, user).length >= changes.length, `${user}: ${changes.at(-1)}`);
      assert.deepEqual(toldInRoom(watcher, user), changes);
    }
  }

  test('a broken connection is seen at every node, and so is the return to another one', async (t) => {
    const { nodes, people, watchers } = await startRoom(t, graces('5s'), 'alice');
    const [bob, alice] = people;
    const stream = await bob.at(nodes[1]).stream();
    let talker = await Talker.as(alice.at(nodes[0]), 'lobby');
    await areTold(watchers, 'alice', 'join');
    talker.break();
    await areTold(watchers, 'alice', 'join', 'idle');
    const late = await Talker.as(people[0].at(nodes[1]), 'lobby');
    assert.equal(late.users.find(({ id }) => id === 'alice').idle, true, 'who comes later is told as well');
    late.close();
    talker = await Talker.as(alice.at(nodes[1]), 'lobby');
    await areTold(watchers, 'alice', 'join', 'idle', 'back');
    talker.break();
    await areTold(watchers, 'alice', 'join', 'idle', 'back', 'idle');
    await areTold(watchers, 'alice', 'join', 'idle', 'back', 'idle', 'leave');
    await isTold(stream, 'alice', false);
    await settle(bob, stream);
    assert.deepEqual(told(stream, 'alice'), [false, true, false], 'to be idle is no presence stanza');
  });

  test('nobody is idle who has a stream at another node, nor a connection of whichever kind', async (t) => {
    const { nodes, people, watchers } = await startRoom(t, graces('1s'), 'alice');
    const [bob, alice] = people;
    const talker = await Talker.as(alice.at(nodes[0]), 'lobby');
    const stream = await alice.at(nodes[1]).stream();
    await areTold(watchers, 'alice', 'join');
    talker.break();
    await nodes[0].metricBecomes('nereidd_sessions{protocol="talker"}', 1);
    const over = Date.now() + 2000;
    await waitFor(() => Date.now() > over, 'the grace is over');
    await areTold(watchers, 'alice', 'join');
    /* Now the stream was the last. */
    stream.close();
    await areTold(watchers, 'alice', 'join', 'idle', 'leave');
    assert.equal((await friendsEverywhere(bob, nodes)).alice.available, false);
  });

  test('a goodbye at one node does not wait for a broken connection at another', async (t) => {
    const { nodes, people, watchers } = await startRoom(t, graces('1m'), 'alice');
    const [bob, alice] = people;
    const broken = await Talker.as(alice.at(nodes[0]), 'lobby');
    await areTold(watchers, 'alice', 'join');
    broken.break();
    await areTold(watchers, 'alice', 'join', 'idle');
    const talker = await Talker.as(alice.at(nodes[1]), 'lobby');
    await areTold(watchers, 'alice', 'join', 'idle', 'back');
    await talker.leave();
    await areTold(watchers, 'alice', 'join', 'idle', 'back', 'leave');
    assert.equal((await friendsEverywhere(bob, nodes)).alice.available, false);
    /* And both nodes know it: who comes back has come anew. */
    const again = await Talker.as(alice.at(nodes[0]), 'lobby');
    await areTold(watchers, 'alice', 'join', 'idle', 'back', 'leave', 'join');
    again.close();
  });

  test('who is idle at a node that is killed leaves; who is idle at another one too stays idle', async (t) => {
    const options = { ...SHORT, ...graces('1m') };
    const { nodes, people, watchers } = await startRoom(t, options, 'alice', 'carol', 'dave');
    const [bob, alice, carol, dave] = people;
    const [a, b] = nodes;
    for (const person of [alice, carol, dave]) {
      const talker = await Talker.as(person.at(b), 'lobby');
      await areTold(watchers, person.name, 'join');
      if (person !== dave) talker.break();
    }
    await areTold(watchers, 'alice', 'join', 'idle');
    await areTold(watchers, 'carol', 'join', 'idle');
    const carols = await Talker.as(carol.at(a), 'lobby');
    await areTold(watchers, 'carol', 'join', 'idle', 'back');
    carols.break();
    await areTold(watchers, 'carol', 'join', 'idle', 'back', 'idle');
    (await Talker.as(dave.at(a), 'lobby')).break();
    await a.metricBecomes('nereidd_sessions{protocol="talker"}', 1);
    await areTold(watchers, 'dave', 'join');

    await b.kill();
    const left = watchers.slice(0, 1);
    await areTold(left, 'alice', 'join', 'idle', 'leave');
    await areTold(left, 'carol', 'join', 'idle', 'back', 'idle');
    await areTold(left, 'dave', 'join', 'idle');
    const friends = await friendsEverywhere(bob.at(a), [a]);
    assert.deepEqual([friends.alice, friends.carol, friends.dave].map(available), [false, true, true]);
  });
});

describe('the presence of a node that ends', { concurrency: 4 }, () => {
  test('by kill -9: its users leave once, within a lease; who is elsewhere too, or comes back, stays', async (t) => {
    const { nodes } = await startCluster(t, 3, SHORT);
    const [a, b, c] = nodes;
    const lost = range(5, (i) => `lost${i}`);
    const people = await meet(nodes, 'watcher', 'both', 'back', ...lost);
    const [watcher, both, back, ...leaving] = people;
    const watchers = [await watcher.at(a).stream(), await watcher.at(c).stream()];
    await both.at(a).stream();
    for (const person of [both, back, ...leaving]) await person.at(b).stream();
    for (const stream of watchers)
      for (const { name } of people.slice(1)) await isTold(stream, name, true);

    const killed = Date.now();
    await b.kill();
    await back.at(c).stream();
    for (const stream of watchers)
      for (const name of lost) await isTold(stream, name, false, LEASE_MS + SLACK_MS);
    const took = Date.now() - killed;
    await settle(watcher.at(a), ...watchers);
    for (const stream of watchers) {
      for (const name of lost) assert.deepEqual(told(stream, name), [false, true, false], name);
      assert.deepEqual(told(stream, 'both'), [false, true]);
      assert.deepEqual(told(stream, 'back'), [false, true]);
    }
    const friends = await friendsEverywhere(watcher, [a, c]);
    for (const name of lost) assert.equal(friends[name].available, false);
    for (const name of ['both', 'back']) assert.equal(friends[name].available, true);
    t.diagnostic(`seen after ${took} ms, with a lease of ${LEASE_MS} ms`);

    await b.start();
    await b.becomesReady();
    await leaving[0].at(b).stream();
    for (const stream of watchers) await isTold(stream, 'lost0', true);
    await settle(watcher.at(b), ...watchers);
    for (const stream of watchers) assert.deepEqual(told(stream, 'lost1'), [false, true, false], 'and not once more');
  });

  test('by kill -9, polls: those who polled there leave like the others', async (t) => {
    const { nodes } = await startCluster(t, 2, { ...SHORT, 'presence.grace': '4s' });
    const [a, b] = nodes;
    const [watcher, poller] = await meet(nodes, 'watcher', 'poller');
    const stream = await watcher.at(a).stream();
    const polling = assert.rejects(poller.at(b).pollToTheEnd());
    await isTold(stream, 'poller', true);
    await b.kill();
    await polling;
    await isTold(stream, 'poller', false, LEASE_MS + SLACK_MS);
    await poller.at(a).poll({ wait: 0 });
    await isTold(stream, 'poller', true);
    await settle(watcher.at(a), stream);
    assert.deepEqual(told(stream, 'poller'), [false, true, false, true]);
  });

  test('of all nodes at once: who comes to a new one sees them leave', async (t) => {
    const { redis, nodes } = await startCluster(t, 2, SHORT);
    const [alice, bob, carol] = await meet(nodes, 'alice', 'bob', 'carol');
    await alice.at(nodes[0]).stream();
    await bob.at(nodes[1]).stream();
    for (const node of nodes) await node.kill();
    const next = await startNode(t, redis, SHORT);
    const stream = await carol.at(next).stream();
    /* Nobody had looked after the leases meanwhile, so they have another one from now on. */
    for (const name of ['alice', 'bob']) await isTold(stream, name, false, 2 * LEASE_MS + SLACK_MS);
    await settle(carol.at(next), stream);
    for (const name of ['alice', 'bob']) assert.ok(told(stream, name).filter((there) => !there).length === 1);
  });

  test('that was only suspended: its users come back with it, and hear what was said meanwhile', async (t) => {
    const { nodes } = await startCluster(t, 2, SHORT);
    const [a, b] = nodes;
    const [alice, bob] = await meet(nodes, 'alice', 'bob');
    const thread = await alice.thread('bob');
    const watcher = await alice.at(a).stream();
    const stream = await bob.at(b).stream();
    await isTold(watcher, 'bob', true);
    b.child.kill('SIGSTOP');
    t.after(() => b.child.kill('SIGCONT'));
    await isTold(watcher, 'bob', false, LEASE_MS + SLACK_MS);
    const texts = range(20, (i) => `meanwhile ${i}`);
    for (const text of texts) await alice.at(a).say(thread, text);
    b.child.kill('SIGCONT');
    await isTold(watcher, 'bob', true);
    await stream.message(texts.at(-1));
    assert.deepEqual(stream.texts, texts);
    await bob.at(b).say(thread, 'I am back');
    await watcher.message('I am back');
    await settle(alice.at(a), watcher, stream);
    assert.deepEqual(told(watcher, 'bob'), [false, true, false, true]);
    assert.equal((await friendsEverywhere(alice, nodes)).bob.available, true);
  });

  test('by SIGTERM: who is back elsewhere within the grace was never away; others leave once', async (t) => {
    const grace = 4000;
    const { nodes } = await startCluster(t, 2, { 'presence.grace': `${grace}ms` });
    const [a, b] = nodes;
    const people = await meet(nodes, 'watcher', ...range(5, (i) => `back${i}`), 'gone');
    const [watcher] = people;
    const stream = await watcher.at(a).stream();
    for (const person of people.slice(1)) await person.at(b).stream();
    for (const { name } of people.slice(1)) await isTold(stream, name, true);
    const began = Date.now();
    await b.stop();
    for (const person of people.slice(1, -1)) await person.at(a).stream();
    await isTold(stream, 'gone', false, grace + SLACK_MS);
    assert.ok(Date.now() - began >= grace - 100, 'not before the grace was over');
    await settle(watcher.at(a), stream);
    assert.deepEqual(told(stream, 'gone'), [false, true, false]);
    for (const { name } of people.slice(1, -1)) assert.deepEqual(told(stream, name), [false, true], name);
  });
});

describe('the presence of everybody while Redis restarts', { concurrency: 4 }, () => {
  for (const [how, signal, away] of [
    ['after kill -9, for a moment', 'SIGKILL', 0],
    ['in good order, for a moment', 'SIGTERM', 0],
    ['after kill -9, for longer than a lease', 'SIGKILL', LEASE_MS + 500],
  ]) {
    test(`(${how}) stays as it is: nobody is seen to leave or to come`, async (t) => {
      const { redis, nodes } = await startCluster(t, 2, SHORT, { appendonly: true });
      const [a, b] = nodes;
      const [alice, bob, carol, dave] = await meet(nodes, 'alice', 'bob', 'carol', 'dave');
      const watchers = [await alice.at(a).stream(), await alice.at(b).stream()];
      await bob.at(a).stream();
      await carol.at(a).stream();
      await carol.at(b).stream();
      const leaver = await dave.at(b).stream();
      for (const stream of watchers)
        for (const name of ['bob', 'carol', 'dave']) await isTold(stream, name, true);

      await redis.kill(signal);
      await sleep(away);
      await redis.start();
      for (const node of nodes) await node.becomesReady();
      const over = Date.now() + LEASE_MS + 2000;
      await waitFor(() => Date.now() > over, 'leases from before would have ended');
      await settle(alice, ...watchers);
      for (const stream of watchers)
        for (const name of ['bob', 'carol', 'dave']) assert.deepEqual(told(stream, name), [false, true], name);
      const friends = await friendsEverywhere(alice, nodes);
      for (const { available: there } of Object.values(friends)) assert.equal(there, true);

      leaver.close();
      for (const stream of watchers) await isTold(stream, 'dave', false);
      await settle(alice, ...watchers);
      for (const stream of watchers) assert.deepEqual(told(stream, 'dave'), [false, true, false], 'who leaves, leaves');
    });
  }

  test('loses nothing that happened meanwhile: who left while it was away is seen to have left', async (t) => {
    const { redis, nodes } = await startCluster(t, 2, SHORT, { appendonly: true });
    const [a, b] = nodes;
    const [alice, bob] = await meet(nodes, 'alice', 'bob');
    const watcher = await alice.at(a).stream();
    const stream = await bob.at(b).stream();
    await isTold(watcher, 'bob', true);
    await redis.kill();
    await waitFor(async () => !(await b.ready()), 'the node has noticed');
    stream.close();
    await b.metricBecomes('nereidd_sessions{protocol="nereid-stream"}', 0);
    await redis.start();
    for (const node of nodes) await node.becomesReady();
    await isTold(watcher, 'bob', false);
    await settle(alice, watcher);
    assert.deepEqual(told(watcher, 'bob'), [false, true, false]);
    assert.equal((await friendsEverywhere(alice, nodes)).bob.available, false);
  });
});
