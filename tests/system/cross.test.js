// SPDX-License-Identifier: MIT
// One user with clients of every protocol: what ends a token, a login or a membership ends it in all of them, and
// limits count them together.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { startGateway } from './lib/gateway.js';
import { Issuer, startWithIssuer } from './lib/issuer.js';
import { meet, startNodes } from './lib/nodes.js';
import { randomOf } from './lib/random.js';
import { startRedis } from './lib/redis.js';
import { TONGUES } from './lib/tongues.js';
import { waitFor } from './lib/wait.js';

const ROOM = 'hall';
const OPTIONS = { 'sockets.room': ROOM };
const GRACE = { 'presence.grace': '1s', 'talker.idle_grace': '1s' };
const tongues = Object.keys(TONGUES);

// One client by each of these tongues, with one token; at the gateways by turns.
async function joinAll(people, token, names = tongues) {
  const clients = [];
  for (const [i, tongue] of names.entries())
    clients.push(await TONGUES[tongue].join(people[i % people.length], ROOM, { token }));
  return clients;
}

// All of them are over; answers after how many milliseconds.
async function allEnd(clients) {
  const start = performance.now();
  await Promise.all(clients.map((client) => client.isOver()));
  return performance.now() - start;
}

async function sessions(gateway) {
  const { samples } = await gateway.metrics();
  const ofSessions = [...samples].filter(([name]) => name.startsWith('nereidd_sessions{'));
  return ofSessions.reduce((sum, [, value]) => sum + value, 0);
}

async function isRefused(person, tongue, options) {
  const joining = TONGUES[tongue].join(person, ROOM, { ...options, ms: 1000 });
  await assert.rejects(joining, { name: 'AssertionError' }, `${tongue} is refused`);
}

describe('a token with clients of every protocol', { concurrency: 3 }, () => {
  test('ends them all when it is revoked, and no others', async (t) => {
    const gateway = await startGateway(t, OPTIONS);
    const [alice] = await gateway.people('alice');
    const token = await alice.token();
    const clients = await joinAll([alice], token);
    const others = await joinAll([alice], undefined, ['ndjson', 'talker', 'messaging']);
    await alice.revoke(token);
    t.diagnostic(`all ended after ${(await allEnd(clients)).toFixed(0)} ms`);
    const { UUID: id } = await alice.say(others[0].roomId, 'still here');
    for (const client of others) await client.hears({ id });
    for (const client of clients) assert.ok(!client.hasHeard({ id, text: 'still here' }), client.what);
    for (const tongue of tongues) await isRefused(alice, tongue, { token });
  });

  test('ends them all on every node', async (t) => {
    /* It is not by looking now and then that they learn it. */
    const options = { ...OPTIONS, 'store.lease': '2m', 'store.lease_renewal': '1m' };
    const nodes = await startNodes(t, await startRedis(t), 2, options);
    const [alice] = await nodes[0].people('alice');
    const token = await alice.token();
    const clients = await joinAll([alice, alice.at(nodes[1])], token);
    await alice.revoke(token);
    t.diagnostic(`all ended after ${(await allEnd(clients)).toFixed(0)} ms`);
    for (const node of nodes) await waitFor(async () => (await sessions(node)) === 0, 'no session is left');
  });

  test('ends them all when its time is over', async (t) => {
    const gateway = await startGateway(t, { ...OPTIONS, 'token.ttl': '6s' });
    const [alice] = await gateway.people('alice');
    const start = performance.now();
    const token = await alice.token();
    const clients = await joinAll([alice], token);
    assert.ok(!clients.some(({ ended }) => ended));
    await allEnd(clients);
    assert.ok(performance.now() - start >= 5900, 'not before');
  });
});

describe('a login that is a token of somebody else (JWT)', { concurrency: 3 }, () => {
  const byLogin = tongues.filter((tongue) => tongue !== 'sse'); // a page shows chat tokens only

  test('ends the clients of every protocol when its time is over', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t, OPTIONS);
    const alice = issuer.person(gateway, 'alice');
    await alice.room(ROOM);
    const lasting = await joinAll([alice], issuer.token('alice'), ['ndjson', 'talker']);
    const seconds = 6;
    const start = Date.now();
    const clients = await joinAll([alice], issuer.token('alice', seconds), byLogin);
    assert.ok(!clients.some(({ ended }) => ended));
    await allEnd(clients);
    assert.ok(Date.now() - start >= (seconds - 1) * 1000, 'not before'); /* exp has whole seconds */
    const { UUID: id } = await alice.say(lasting[0].roomId, 'still here');
    for (const client of lasting) await client.hears({ id });
  });

  test('is refused by every protocol after its end, and if somebody else has signed it', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t, { ...OPTIONS, 'limits.login_failures': 0 });
    const alice = issuer.person(gateway, 'alice');
    for (const token of [issuer.token('alice', -1), issuer.forged('alice'), new Issuer().token('alice')])
      for (const tongue of byLogin) await isRefused(alice, tongue, { token });
    assert.equal(await sessions(gateway), 0);
  });
});

test('who is removed from a room goes on in others', async (t) => {
  const gateway = await startGateway(t);
  const [olga, rob] = await gateway.people('olga', 'rob');
  const hall = await olga.room('hall');
  const garden = await olga.room('garden');
  const inHall = await TONGUES.talker.join(rob, 'hall');
  const inGarden = await TONGUES.talker.join(rob, 'garden');
  const stream = await TONGUES.ndjson.join(rob, 'garden');
  await olga.ask('DELETE', `/threads/${hall}/members/rob`);
  await inHall.isOver();
  const secret = { id: (await olga.say(hall, 'not for rob')).UUID };
  const message = { id: (await olga.say(garden, 'for all')).UUID };
  for (const client of [inGarden, stream]) {
    await client.hears(message);
    assert.ok(!client.hasHeard(secret), `${client.what} has not heard it`);
  }
});

const WORLDS = {
  SQLite: async (t) => [await startGateway(t, { ...OPTIONS, ...GRACE })],
  'two nodes': async (t) => startNodes(t, await startRedis(t), 2, { ...OPTIONS, ...GRACE }),
};

// A room of Olga's, and somebody who has never entered it: visits by Talker and Sockets end with them.
async function openHall(t, world) {
  const nodes = await WORLDS[world](t);
  const [olga, guest] = await meet(nodes, 'olga', 'guest');
  const hall = await olga.room(ROOM);
  const watch = await TONGUES.talker.join(olga, ROOM);
  const isMember = async () => {
    const { members } = await olga.ask('POST', '/start-session', { form: { room: ROOM } });
    return members.some(({ id }) => id === 'guest');
  };
  const visit = (tongue, node) => TONGUES[tongue].join(guest.at(node), ROOM, { visits: true });
  return { nodes, olga, guest, hall, watch, visit, isMember };
}

describe('who only visits a room', { concurrency: 3 }, () => {
  const ways = [
    ['talker', 'sockets'],
    ['sockets', 'talker'],
    ['talker', 'talker'],
  ];
  for (const world of Object.keys(WORLDS)) {
    for (const [one, other] of ways) {
      test(`is in it until the last visit ends: ${one} before ${other}, ${world}`, async (t) => {
        const { nodes, olga, guest, hall, watch, visit, isMember } = await openHall(t, world);
        const stream = await guest.stream();
        const first = await visit(one, nodes[0]);
        const second = await visit(other, nodes.at(-1));
        const mark = watch.seen.length;
        first.closes();
        await first.isOver();
        const { UUID: id } = await olga.say(hall, 'one visit has ended');
        await second.hears({ id, text: 'one visit has ended' });
        assert.ok(await isMember());
        assert.deepEqual(watch.statesSince(mark, 'guest'), []);

        second.closes();
        await watch.sees('guest', 'gone');
        await waitFor(async () => !(await isMember()), 'they are no member any more');
        await olga.say(hall, 'not for the guest');
        await olga.send({ to: 'guest', message: 'for the guest' });
        await stream.message('for the guest');
        assert.deepEqual(stream.texts, ['one visit has ended', 'for the guest']);
      });
    }

    test(`is a member while their connection is broken, and misses nothing: ${world}`, async (t) => {
      const { nodes, olga, hall, watch, visit, isMember } = await openHall(t, world);
      const line = await visit('talker', nodes[0]);
      await olga.say(hall, 'before');
      await line.hears({ text: 'before' });
      line.breaks();
      await watch.sees('guest', 'idle');
      await watch.sees('guest', 'gone');
      await olga.say(hall, 'meanwhile');
      assert.ok(await isMember());
      await line.returns();
      await line.hears({ text: 'meanwhile' });
      line.closes();
      await watch.sees('guest', 'gone');
      await waitFor(async () => !(await isMember()), 'they are no member any more');
    });

    test(`may come and go as they like: ${world}`, async (t) => {
      const random = randomOf(t);
      const { nodes, watch, visit, isMember } = await openHall(t, world);
      const open = [];
      let stays = false; // after the last visit
      const settled = async () => {
        const counts = await Promise.all(nodes.map(sessions));
        return counts.reduce((sum, count) => sum + count, 0) === open.length + 1; /* and Olga's */
      };
      for (let i = 0; i < 30; i++) {
        const node = nodes[random(nodes.length)];
        const hasName = open.some(({ constructor }) => constructor === TONGUES.sockets);
        if (random(2)) {
          open.push(await visit(random(2) && !hasName ? 'sockets' : 'talker', node));
        } else if (open.length > 0) {
          const [client] = open.splice(random(open.length), 1);
          stays = client.constructor === TONGUES.talker && random(2) === 1;
          if (stays) client.breaks();
          else client.closes();
        }
        await waitFor(settled, 'it has been noticed');
        const expected = open.length > 0 || stays;
        await waitFor(async () => (await isMember()) === expected, `after ${i} moves, is a member: ${expected}`);
      }
      for (const client of open) client.closes();
      await watch.sees('guest', 'gone');
    });

    test(`stays if they have entered it for good meanwhile: ${world}`, async (t) => {
      const { nodes, guest, watch, visit, isMember } = await openHall(t, world);
      const visits = [await visit('talker', nodes[0]), await visit('sockets', nodes.at(-1))];
      await guest.room(ROOM);
      for (const client of visits) client.closes();
      for (const client of visits) await client.isOver();
      await watch.sees('guest', 'gone');
      assert.ok(await isMember());
    });
  }
});

describe('limits count the clients of every protocol together', { concurrency: 3 }, () => {
  const three = ['ndjson', 'talker', 'maxtalk'];

  // Full with these; each other is refused, and taken when one of these has gone.
  async function fillAndRefuse(gateway, person, limit, options) {
    for (const tongue of tongues) {
      const clients = [];
      for (const one of three) clients.push(await TONGUES[one].join(person, ROOM, options));
      const before = await gateway.limitHits(limit);
      await isRefused(person, tongue, options);
      assert.ok((await gateway.limitHits(limit)) > before, `${tongue} counts as a hit`);
      clients[tongues.indexOf(tongue) % three.length].breaks();
      await waitFor(async () => (await sessions(gateway)) === 2, 'one of them has ended');
      clients.push(await TONGUES[tongue].join(person, ROOM, options));
      for (const client of clients) client.breaks();
      await waitFor(async () => (await sessions(gateway)) === 0, 'all of them have ended');
    }
  }

  test('of a user', async (t) => {
    const gateway = await startGateway(t, { ...OPTIONS, 'limits.sessions_per_user': 3 });
    const [alice] = await gateway.people('alice');
    await fillAndRefuse(gateway, alice, 'sessions_per_user');
  });

  test('of a token', async (t) => {
    const gateway = await startGateway(t, { ...OPTIONS, 'limits.streams_per_token': 3 });
    const [alice] = await gateway.people('alice');
    const other = await TONGUES.ndjson.join(alice, ROOM);
    other.breaks();
    await waitFor(async () => (await sessions(gateway)) === 0, 'it has ended');
    await fillAndRefuse(gateway, alice, 'streams_per_token', { token: await alice.token() });
  });
});
