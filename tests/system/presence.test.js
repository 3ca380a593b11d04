// SPDX-License-Identifier: MIT
// Presence: who is there, and how. It follows sessions, whichever they are.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { startGateway } from './lib/gateway.js';

const available = (one) => one.available;
const unavailable = (one) => !one.available;

describe('presence', { concurrency: 6 }, () => {
  test('follows sessions: available with the first, gone with the last, streams and polls alike', async (t) => {
    const gateway = await startGateway(t, { 'presence.grace': 0 });
    const [alice, bob] = await gateway.people('alice', 'bob');
    const watcher = await bob.stream();
    const first = await alice.stream();
    await watcher.presence('alice', available);
    const second = await alice.events();
    first.close();
    await gateway.metricBecomes('nereidd_sessions{protocol="nereid-stream"}', 2);
    assert.equal((await bob.friend('alice')).available, true, 'one session is left');
    second.close();
    await watcher.presence('alice', unavailable);
    const changes = watcher.stanzas.items.flatMap(({ presence }) => presence ?? []).filter(({ id }) => id === 'alice');
    assert.deepEqual(
      changes.map((one) => one.available),
      [false, true, false],
      'and nothing was said in between',
    );
  });

  test('outlasts a short absence', async (t) => {
    const gateway = await startGateway(t, { 'presence.grace': '5s' });
    const [alice, bob] = await gateway.people('alice', 'bob');
    const watcher = await bob.stream();
    const first = await alice.stream();
    await watcher.presence('alice', available);
    first.close();
    await gateway.metricBecomes('nereidd_sessions{protocol="nereid-stream"}', 1);
    const left = Date.now();
    const back = await alice.stream();
    back.close();
    await watcher.presence('alice', unavailable);
    assert.ok(Date.now() - left >= 4900, 'the grace began anew');
    const changes = watcher.stanzas.items.flatMap(({ presence }) => presence ?? []).filter(({ id }) => id === 'alice');
    assert.deepEqual(
      changes.map((one) => one.available),
      [false, true, false],
    );
  });

  test('is set by the user, with show and status', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const watcher = await bob.stream();
    for (const show of ['away', 'dnd', 'xa', 'chat']) {
      const status = `now ${show} ☕`;
      const answer = await alice.setPresence({ show, status });
      assert.deepEqual({ show: answer.show, status: answer.status }, { show, status });
      await watcher.presence('alice', (one) => one.show === show && one.status === status);
    }
    await alice.setPresence({ status: '' });
    await watcher.presence('alice', (one) => one.show === 'chat' && one.status === undefined);
  });

  test('is set as JSON too, and what is not given stays', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    await alice.ask('POST', '/presence', { json: { show: 'dnd', status: 'busy' } });
    const answer = await alice.ask('POST', '/presence', { json: { show: 'away' } });
    assert.deepEqual({ show: answer.show, status: answer.status }, { show: 'away', status: 'busy' });
  });

  test('is set by opening a stream', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const watcher = await bob.stream();
    await alice.stream({ show: 'dnd', status: 'at work' });
    await watcher.presence('alice', (one) => one.available && one.show === 'dnd' && one.status === 'at work');
  });

  test('refuses what is no show, and what is no status', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    const bad = [
      { show: 'gone' },
      { show: '' },
      { show: ['away', 'dnd'] },
      { status: 'x'.repeat(10_000) },
      { status: 'a\0b' },
    ];
    for (const form of bad)
      assert.equal((await alice.post('/presence', form)).status, 400, JSON.stringify(form).slice(0, 60));
  });

  test('status is data: whatever is in it, a stanza stays one line', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const watcher = await bob.events();
    const status = 'a\r\nb\n\ndata: x\n\nevent: y\u2028\u2029</script>\u0001';
    await alice.setPresence({ status });
    await watcher.presence('alice', (one) => one.status === status);
  });

  test('outlives a restart, availability aside', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    await alice.stream();
    await alice.setPresence({ show: 'xa', status: 'on holiday' });
    gateway.closeClients();
    await gateway.restart();
    const { show, status, available: there } = await bob.friend('alice');
    assert.deepEqual({ show, status, there }, { show: 'xa', status: 'on holiday', there: false });
  });

  test('is seen by everyone where everyone is a friend, without oneself', async (t) => {
    const gateway = await startGateway(t);
    const [alice] = await gateway.people('alice', 'bob', 'carol');
    assert.deepEqual((await alice.friends()).map(({ id }) => id).sort(), ['bob', 'carol']);
    assert.deepEqual((await alice.friends({ dialect: 'module' })).map(({ entity }) => entity.id).sort(), [
      'bob',
      'carol',
    ]);
  });

  test('of somebody new is told to those who are there', async (t) => {
    const gateway = await startGateway(t);
    const watcher = await gateway.person('alice').stream();
    await gateway.person('bob').stream();
    await watcher.presence('bob', available);
  });

  test('is seen only by those who share a thread, with friends = threads', async (t) => {
    const gateway = await startGateway(t, { 'nereid.friends': 'threads', 'presence.grace': 0 });
    const [alice, bob, carol] = await gateway.people('alice', 'bob', 'carol');
    assert.deepEqual(await alice.friends(), []);
    const watcher = await alice.stream();
    await carol.stream();
    await alice.room('lobby');
    await bob.room('lobby');
    await watcher.presence('bob', unavailable);
    const stream = await bob.stream();
    await watcher.presence('bob', available);
    assert.deepEqual(
      (await alice.friends()).map(({ id }) => id),
      ['bob'],
    );
    stream.close();
    await watcher.presence('bob', unavailable);
    const seen = watcher.stanzas.items.flatMap(({ presence }) => presence ?? []).map(({ id }) => id);
    assert.ok(!seen.includes('carol'), 'a stranger is never seen');
  });

  test('of many who come at once is told in few stanzas', async (t) => {
    const gateway = await startGateway(t);
    const watcher = await gateway.person('watcher').stream();
    const names = Array.from({ length: 50 }, (_, i) => `user ${i}`);
    await Promise.all(names.map((name) => gateway.person(name).stream()));
    for (const name of names) {
      const seen = () =>
        watcher.stanzas.items.some(({ presence }) => presence?.some((one) => one.id === name && one.available));
      if (!seen()) await watcher.presence(name, available);
    }
  });
});
