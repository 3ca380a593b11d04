// SPDX-License-Identifier: MIT
// Long polls: the feed for those through whom no stream gets.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { startGateway } from './lib/gateway.js';
import { BASE, basic } from './lib/person.js';
import { Talker } from './lib/talker.js';
import { waitFor, within } from './lib/wait.js';

const POLLING = 'nereidd_sessions{protocol="nereid-poll"}';
const TALKING = 'nereidd_sessions{protocol="talker"}';

const typesOf = ({ stanzas }) => stanzas.map(({ type }) => type);
const textsOf = ({ stanzas }) => stanzas.filter(({ type }) => type === 'message').map(({ message }) => message.text);

describe('polls', { concurrency: 6 }, () => {
  test('answer at once with the presence of friends when one knows nothing yet', async (t) => {
    const gateway = await startGateway(t);
    const [alice] = await gateway.people('alice', 'bob');
    const envelope = await alice.poll({ wait: 30 });
    assert.deepEqual(typesOf(envelope), ['presence']);
    assert.deepEqual(envelope.stanzas[0].presence.map(({ id }) => id).sort(), ['alice', 'bob']);
    assert.match(envelope.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    assert.equal(typeof envelope.cursor, 'string');
  });

  test('wait for news, and answer when there is some', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const { cursor } = await alice.poll({ wait: 0 });
    const pending = alice.poll({ since: cursor, wait: 30 });
    await gateway.metricBecomes(POLLING, 1);
    await bob.send({ to: 'alice', message: 'news' });
    const envelope = await within(pending, 'the poll is answered');
    assert.deepEqual(textsOf(envelope), ['news']);
    await gateway.metricBecomes(POLLING, 0);
  });

  test('answer with nothing when the wait is over', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    const { cursor } = await alice.poll({ wait: 0 });
    const began = Date.now();
    const envelope = await alice.poll({ since: cursor, wait: 1 });
    assert.deepEqual(envelope.stanzas, []);
    assert.ok(Date.now() - began >= 950, 'not before it was over');
    assert.equal((await alice.poll({ since: envelope.cursor, wait: 0 })).stanzas.length, 0);
  });

  test('remember presence in the cursor: told once, and again when it changes', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const first = await alice.poll({ wait: 0 });
    const second = await alice.poll({ since: first.cursor, wait: 0 });
    assert.deepEqual(second.stanzas, []);
    const pending = alice.poll({ since: second.cursor, wait: 30 });
    await gateway.metricBecomes(POLLING, 1);
    await bob.setPresence({ show: 'dnd', status: 'busy' });
    const third = await within(pending, 'the poll is answered');
    const { show, status } = third.stanzas[0].presence.find(({ id }) => id === 'bob');
    assert.deepEqual({ show, status }, { show: 'dnd', status: 'busy' });
  });

  test('one after the other miss nothing and repeat nothing while messages pour in', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const thread = await bob.thread('alice');
    let { cursor } = await alice.poll({ wait: 0 });
    const sent = Array.from({ length: 200 }, (_, i) => `message ${i}`);
    const sending = (async () => {
      for (const text of sent) await bob.say(thread, text);
    })();
    const seen = [];
    while (seen.length < sent.length) {
      const envelope = await alice.poll({ since: cursor, wait: 10 });
      seen.push(...textsOf(envelope));
      cursor = envelope.cursor;
    }
    await sending;
    assert.deepEqual(seen, sent);
  });

  test('go by Last-Event-ID and take the cursor of a stream', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const stream = await alice.stream();
    await bob.send({ to: 'alice', message: 'one' });
    const { cursor } = await stream.message('one');
    await bob.send({ to: 'alice', message: 'two' });
    const envelope = await alice.ask('GET', '/poll', { query: { wait: 0 }, headers: { 'Last-Event-ID': cursor } });
    assert.deepEqual(textsOf(envelope), ['two']);
    const resumed = await alice.stream({ since: envelope.cursor });
    await bob.send({ to: 'alice', message: 'three' });
    await resumed.message('three');
    assert.deepEqual(resumed.texts, ['three'], 'and a stream takes the cursor of a poll');
  });

  test('are over when the client goes', async (t) => {
    const gateway = await startGateway(t, { 'presence.grace': '1s' });
    const [alice, bob] = await gateway.people('alice', 'bob');
    const watcher = await bob.stream();
    for (const leave of ['finish', 'reset']) {
      const { cursor } = await alice.poll({ wait: 0 });
      const raw = await gateway.raw();
      raw.send([`GET ${BASE}/poll?wait=30&since=${cursor} HTTP/1.1`, 'Host: x', `Authorization: ${basic('alice')}`]);
      await gateway.metricBecomes(POLLING, 1);
      raw[leave]();
      await gateway.metricBecomes(POLLING, 0);
      await watcher.presence('alice', ({ available }) => !available);
    }
  });

  test('keep their user there while another session of theirs ends between two', async (t) => {
    const gateway = await startGateway(t, { 'presence.grace': '30s', 'talker.idle_grace': '1s' });
    const [alice, bob] = await gateway.people('alice', 'bob');
    await alice.room('hall');
    const watcher = await Talker.as(bob, 'hall');
    let { cursor } = await alice.poll({ wait: 0 });
    await watcher.event('join');
    for (const end of ['leave', 'break']) {
      const pending = alice.poll({ since: cursor, wait: 30 });
      await gateway.metricBecomes(POLLING, 1);
      const line = await Talker.as(alice, 'hall');
      watcher.message(`before ${end}`);
      ({ cursor } = await within(pending, 'the poll is answered'));
      await line[end]();
      await gateway.metricBecomes(TALKING, 1);
    }
    await alice.poll({ since: cursor, wait: 0 });
    watcher.message('the end');
    await watcher.hears('the end');
    const types = watcher.events.items.map(({ type }) => type);
    assert.deepEqual(types, ['connected', 'users', 'join', 'message', 'message', 'message']);
    assert.equal((await bob.friend('alice')).available, true);
  });

  test('are answered when nereidd ends', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    const { cursor } = await alice.poll({ wait: 0 });
    const pending = alice.get('/poll', { since: cursor, wait: 60 });
    await gateway.metricBecomes(POLLING, 1);
    await gateway.stop();
    const answer = await pending;
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.body.stanzas, []);
    await gateway.start();
    assert.equal((await alice.get('/poll', { since: answer.body.cursor, wait: 0 })).status, 200);
  });

  test('refuse a bad wait or cursor', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    for (const wait of ['61', '-1', 'x', '', '1.5', '99999999999999999999']) {
      const answer = await alice.get('/poll', { wait });
      assert.equal(answer.status, 400, `wait=${wait}`);
      assert.equal(answer.body.error, 'bad_field');
    }
    for (const since of ['x', '1.2.3', '1.x', '-1', '007', '1.']) {
      const answer = await alice.get('/poll', { since, wait: 0 });
      assert.equal(answer.status, 400, `since=${since}`);
      assert.equal(answer.body.error, 'bad_cursor');
    }
  });

  test('have a bound on the wait', async (t) => {
    const gateway = await startGateway(t, { 'limits.poll_wait': '2s' });
    const alice = gateway.person('alice');
    assert.equal((await alice.get('/poll', { wait: 3 })).status, 400);
    const { cursor } = await alice.poll({ wait: 0 });
    const began = Date.now();
    await alice.poll({ since: cursor });
    assert.ok(Date.now() - began >= 1900, 'which is also the wait of who asks for none');
  });

  test('speak HTTP/1.0 and the module dialect', async (t) => {
    const gateway = await startGateway(t);
    const [, bob] = await gateway.people('7', 'bob');
    await bob.send({ to: '7', message: 'hello' });
    const raw = await gateway.raw();
    raw.send([`GET ${BASE}/poll?wait=0&since=0&dialect=module HTTP/1.0`, `Authorization: ${basic('7')}`]);
    const { version, headers, body } = await raw.response();
    assert.equal(headers['transfer-encoding'], undefined, `HTTP/${version}`);
    const stanzas = JSON.parse(body).stanzas;
    const presence = stanzas.filter(({ type }) => type === 'presence').map((stanza) => stanza.presence.entity.id);
    assert.deepEqual(presence.sort(), [7, 'bob'].sort());
    const { message } = stanzas.find(({ type }) => type === 'message');
    assert.deepEqual(
      message.members.map(({ id }) => id),
      ['bob', 7],
    );
  });

  test('count as sessions', async (t) => {
    const gateway = await startGateway(t, { 'limits.sessions_per_user': 1 });
    const alice = gateway.person('alice');
    const stream = await alice.stream();
    const refused = await alice.get('/poll', { wait: 0 });
    assert.equal(refused.status, 429);
    assert.ok(Number(refused.headers.get('retry-after')) > 0);
    assert.equal(await gateway.limitHits('sessions_per_user'), 1);
    stream.close();
    await waitFor(async () => (await alice.get('/poll', { wait: 0 })).status === 200, 'there is room again');
  });
});
