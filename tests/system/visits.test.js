// SPDX-License-Identifier: MIT
// With Redis: visits are counted rightly whatever becomes of Redis and of nodes, so that a room is left with the last `close`.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { meet, startNode, startNodes } from './lib/nodes.js';
import { startRedis } from './lib/redis.js';
import { Talker } from './lib/talker.js';
import { waitFor } from './lib/wait.js';

const CONNECTIONS = 'nereidd_talker_connections';

async function isMember(person, thread) {
  return (await person.ask('GET', '/threads')).threads.some(({ thread_id: id }) => id === thread);
}

const becomesMember = (person, thread, wanted) =>
  waitFor(async () => (await isMember(person, thread)) === wanted, `${person.name} is a member: ${wanted}`);

// A node on a Redis that is away; alice and bob are in the hall.
async function loseRedis(t) {
  const redis = await startRedis(t, { appendonly: true });
  const node = await startNode(t, redis);
  const [alice, bob] = await node.people('alice', 'bob');
  const stays = await Talker.as(alice, 'hall');
  const hall = await alice.room('hall');
  const goes = await Talker.as(bob, 'hall');
  await redis.kill();
  await waitFor(async () => !(await node.ready()), 'the node knows that Redis is away');
  return { redis, node, bob, hall, stays, goes };
}

async function regainRedis(redis, node) {
  await redis.start();
  await node.becomesReady();
}

describe('visits', { concurrency: 4 }, () => {
  test('who says close while Redis is away is no member when it is back', async (t) => {
    const { redis, node, bob, hall, stays, goes } = await loseRedis(t);
    await goes.leave();
    await regainRedis(redis, node);
    await stays.about('leave', 'bob');
    await becomesMember(bob, hall, false);
  });

  test('who breaks off while Redis is away stays a member, and leaves with the next close', async (t) => {
    const { redis, node, bob, hall, goes } = await loseRedis(t);
    goes.break();
    await node.metricBecomes(CONNECTIONS, 1);
    await regainRedis(redis, node);
    assert.equal(await isMember(bob, hall), true);
    await (await Talker.as(bob, 'hall')).leave();
    await becomesMember(bob, hall, false);
  });

  test('one of two connections that says close while Redis is away does not take the other along', async (t) => {
    const { redis, node, bob, hall, stays, goes } = await loseRedis(t);
    await regainRedis(redis, node);
    const other = await Talker.as(bob, 'hall');
    await redis.kill();
    await waitFor(async () => !(await node.ready()), 'the node knows that Redis is away');
    await goes.leave();
    await regainRedis(redis, node);
    other.message('still here');
    await stays.hears('still here');
    await other.leave();
    await stays.about('leave', 'bob');
    await becomesMember(bob, hall, false);
  });

  test('a node that was given up and comes back still has its own', async (t) => {
    const redis = await startRedis(t);
    const nodes = await startNodes(t, redis, 2, { 'store.lease': '3s', 'store.lease_renewal': '1s' });
    const [alice, bob] = await meet(nodes, 'alice', 'bob');
    const stays = await Talker.as(alice.at(nodes[1]), 'hall');
    const hall = await alice.room('hall');
    const [one, two] = await Talker.together([bob, bob], 'hall');
    const visits = () => redis.cli('HGET', `chat:visits:${hall}:bob`, 'all');
    nodes[0].child.kill('SIGSTOP'); // gateway.signal is for what ends it
    await waitFor(async () => (await visits()) === '0', 'the node has been given up');
    nodes[0].child.kill('SIGCONT');
    await waitFor(async () => (await visits()) === '2', 'the node is back');
    await one.leave();
    two.message('still here');
    await stays.hears('still here');
    await two.leave();
    await stays.about('leave', 'bob');
    await becomesMember(bob, hall, false);
  });
});
