// SPDX-License-Identifier: MIT
// Sentinels say who is master: the nodes follow when the master dies or hangs, and nothing acknowledged is lost on the
// way.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { randomUUID } from 'node:crypto';

import { Journal, assertRefusal, sendAtLast } from './lib/journal.js';
import { meet, openNode, startNode, startNodes } from './lib/nodes.js';
import { sentinelUrl, startRedis, startReplica, startSentinel } from './lib/redis.js';
import { waitFor, within } from './lib/wait.js';

// Sentinels take 1 to 7 s. A first vote may fail, and one that was suspended for 2 s does nothing for 30 s (TILT).
const FAILOVER_MS = 60_000;

// A master with replicas, and Sentinels that have found each other and them.
async function startGroup(t, { replicas: replicaCount = 2, sentinels: sentinelCount = 3 } = {}) {
  const master = await startRedis(t, { appendonly: true, port: 'tcp' });
  const replicas = [];
  for (let i = 0; i < replicaCount; i++) replicas.push(await startReplica(t, master, { appendonly: true }));
  const sentinels = [];
  const quorum = Math.floor(sentinelCount / 2) + 1;
  for (let i = 0; i < sentinelCount; i++) sentinels.push(await startSentinel(t, { master, quorum }));
  for (const sentinel of sentinels) await sentinel.knows({ replicas: replicaCount, sentinels: sentinelCount - 1 });
  const url = sentinelUrl(...sentinels);
  return { master, replicas, sentinels, options: { 'store.url': url, 'store.replicas': Math.min(replicaCount, 1) } };
}

async function startLoad(nodes) {
  const journal = new Journal();
  for (const [i, node] of nodes.entries()) await journal.follows(node.person(`reader${i}`));
  for (const [i, node] of nodes.entries()) await journal.sends(node.person(`sender${i}`));
  await journal.goesOn(5);
  return journal;
}

async function failsOver({ master, sentinels }) {
  await waitFor(
    async () => (await sentinels.at(-1).masterPort()) !== master.port,
    'the Sentinels have made another master',
    FAILOVER_MS,
  );
}

// Waits until a server that was master has been told that it is not. It drops its clients when it is, redis-cli among
// them.
function isDemoted(server) {
  return waitFor(async () => {
    const role = await server.cli('ROLE').catch(() => '');
    return role.startsWith('slave');
  }, 'the old master is told');
}

// Nobody listens there.
const deadSentinel = '127.0.0.1:1';

describe('with Sentinels', { concurrency: 2 }, () => {
  test('the master is killed under load: all nodes follow, nothing is lost or doubled, no stream is cut', async (t) => {
    const group = await startGroup(t);
    const nodes = await startNodes(t, group.master, 2, group.options);
    const journal = await startLoad(nodes);

    await group.master.kill();
    const began = Date.now();
    const late = await openNode(t, group.master, group.options); /* comes up in the middle of it */
    await failsOver(group);
    const made = Date.now();
    await journal.goesOn(5, FAILOVER_MS);
    t.diagnostic(`a new master after ${made - began} ms, sends after ${Date.now() - began} ms`);
    assert.ok(Date.now() - made < 8000, 'the nodes follow within seconds');
    await late.becomesReady();
    await journal.follows(late.person('latecomer'));

    await journal.goesOn(5);
    /* Whoever came later has been replayed only what came after they had entered. */
    const latecomer = journal.followers.pop();
    await journal.verify(t);
    const all = journal.followers[0].seen;
    await waitFor(() => latecomer.seen.at(-1) === all.at(-1), 'the latecomer has caught up');
    assert.deepEqual(latecomer.seen, all.slice(all.length - latecomer.seen.length), 'and saw the same from then on');
    assert.equal(journal.cuts, 0);
  });

  test('the master hangs under load: it is given up, and its awakening does no harm', async (t) => {
    const group = await startGroup(t);
    const nodes = await startNodes(t, group.master, 2, group.options);
    const journal = await startLoad(nodes);
    group.master.pause();
    await failsOver(group);
    await journal.goesOn(5, FAILOVER_MS);
    group.master.resume();
    await isDemoted(group.master);
    await journal.goesOn(5);
    await journal.verify(t);
    assert.equal(journal.cuts, 0);
  });

  /* The old master takes messages for some seconds more, and forgets them. But not all its replicas have those, so they
     are neither acknowledged nor shown. */
  test('the Sentinels are told to fail over, the master lives on: nothing is lost if all replicas are asked', async (t) => {
    const group = await startGroup(t);
    const nodes = await startNodes(t, group.master, 2, { ...group.options, 'store.replicas': group.replicas.length });
    const journal = await startLoad(nodes);
    await group.sentinels[0].cli('SENTINEL', 'FAILOVER', group.sentinels[0].name);
    await failsOver(group);
    await isDemoted(group.master);
    await journal.goesOn(5, FAILOVER_MS);
    await journal.verify(t);
    assert.equal(journal.cuts, 0);
  });

  test('a Sentinel is dead, the first of the list at that: the others are asked', async (t) => {
    const { master, sentinels } = await startGroup(t, { replicas: 0, sentinels: 2 });
    await sentinels[0].kill();
    const urls = [sentinelUrl(...sentinels), sentinels[1].url.replace('//', `//${deadSentinel},`)];
    for (const url of urls) {
      const node = await startNode(t, master, { 'store.url': url });
      const [alice] = await node.people('alice', 'bob');
      await alice.send({ to: 'bob', message: 'hello' });
    }
  });

  test('a Sentinel hangs: the others are asked after the deadline', async (t) => {
    const { master, sentinels } = await startGroup(t, { replicas: 0, sentinels: 2 });
    sentinels[0].pause();
    await startNode(t, master, { 'store.url': sentinelUrl(...sentinels), 'store.deadline': '500ms' });
  });

  test('the Sentinels know no such master: the log says so, and nereidd waits', async (t) => {
    const { master, sentinels } = await startGroup(t, { replicas: 0, sentinels: 1 });
    const url = sentinels[0].url.replace('/chat/', '/chta/');
    const node = await openNode(t, master, { 'store.url': url });
    await node.logged(/chta/);
    const { status, body } = await node.admin('/readyz');
    assert.equal(status, 503);
    assert.match(body, /sentinel|master/i);
    assert.equal((await node.admin('/healthz')).status, 200);
    assert.equal((await node.person('alice').post('/token')).status, 503);
  });

  test('no replica has the message: it is not acknowledged, and still comes once', async (t) => {
    const group = await startGroup(t, { replicas: 1, sentinels: 1 });
    const node = await startNode(t, group.master, group.options);
    const [alice, bob] = await meet([node], 'alice', 'bob');
    const thread = await alice.thread('bob');
    const stream = await bob.stream();
    await sendAtLast(alice, { thread_id: thread, message: 'before' });

    await group.replicas[0].kill();
    const message = { thread_id: thread, id: randomUUID(), message: 'alone' };
    for (let i = 0; i < 2; i++) {
      const began = Date.now();
      const answer = await within(alice.request('POST', '/send-message', { json: message }), 'a send is answered');
      assertRefusal(answer, 'a send');
      assert.ok(Date.now() - began < 5000, 'within the deadline');
    }
    await group.replicas[0].start();
    await sendAtLast(alice, message);
    await sendAtLast(alice, { thread_id: thread, message: 'after' });
    await stream.message('after');
    assert.deepEqual(stream.texts, ['before', 'alone', 'after']);
  });
});
