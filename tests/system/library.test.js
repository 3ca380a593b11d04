// SPDX-License-Identifier: MIT
// The client library against the real gateway: ways, resuming, tokens, sends, sharing, the doctor.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { ChatError, NereidChat } from '../../www/nereid-chat.js';
import { startGateway } from './lib/gateway.js';
import { noHop, startHop } from './lib/hops.js';
import {
  assertHeard,
  Listener,
  Locks,
  makeBrief,
  makeDeaf,
  makeFetch,
  makeSleeper,
  makeSlow,
  makeStorage,
  refusal,
  soon,
  startChat,
} from './lib/library.js';
import { basic } from './lib/person.js';
import { startRelay } from './lib/relay.js';
import { waitFor, within } from './lib/wait.js';

const WAYS = ['stream', 'post', 'events', 'poll'];
const SESSIONS = (protocol) => `nereidd_sessions{protocol="nereid-${protocol}"}`;
const STREAMING = SESSIONS('stream');
const ABSENT = '00000000-0000-4000-8000-000000000000';

const settledMode = (way) => (way === 'poll' ? 'polling' : 'live');

// A page of its own: a process.
async function runPage(t, gateway, what, ms) {
  const page = fileURLToPath(new URL('lib/library_page.js', import.meta.url));
  const child = spawn(process.execPath, [page, gateway.url, what], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  const [code] = await within(once(child, 'close'), 'the process ends by itself', ms);
  return { code, stdout };
}

// Tabs of one browser: they have locks and storage in common.
function makeTabs(t, gateway, options = {}) {
  const common = { share: true, locks: new Locks(), storage: makeStorage(), ...options };
  const open = (more = {}) => startChat(t, gateway, 'alice', { ...common, ...more });
  return { open, locks: common.locks };
}

describe('the client library', { concurrency: 2 }, () => {
  describe('each way by itself', { concurrency: 4 }, () => {
    for (const way of WAYS) {
      test(`${way}: messages, presence, sends`, async (t) => {
        const gateway = await startGateway(t);
        const [, bob] = await gateway.people('alice', 'bob');
        const alice = startChat(t, gateway, 'alice', { ways: [way] });
        await alice.becomes({ mode: settledMode(way), way });
        assert.equal(alice.chat.people.get('bob').available, false);
        const feed = await bob.stream();
        await waitFor(() => alice.chat.people.get('bob').available, 'bob is seen to come');
        await bob.send({ to: 'alice', message: 'hello' });
        const { thread, sender } = await alice.message('hello');
        assert.equal(sender.id, 'bob');
        const sent = await alice.chat.send({ thread, text: 'hello, bob' });
        assert.equal(sent.thread, thread);
        assert.equal((await feed.message('hello, bob')).id, sent.id);
        assert.equal((await alice.message('hello, bob')).id, sent.id, 'own messages come by the feed');
        assertHeard(alice, ['hello', 'hello, bob']);
        feed.close();
        await alice.chat.close();
        for (const protocol of ['stream', 'poll']) await gateway.metricBecomes(SESSIONS(protocol), 0);
      });

      test(`${way}: goes on from the cursor after the server was killed and started again`, async (t) => {
        const gateway = await startGateway(t);
        const relay = await startRelay(t, gateway);
        const [, bob] = await gateway.people('alice', 'bob');
        const alice = startChat(t, relay, 'alice', { ways: [way], times: soon });
        await alice.becomes({ mode: settledMode(way) });
        await bob.send({ to: 'alice', message: 'before' });
        await alice.message('before');
        const isOffline = alice.becomes({ mode: 'offline' });
        relay.away = true;
        await gateway.kill();
        assert.ok((await isOffline).error instanceof ChatError);
        await gateway.start();
        await bob.send({ to: 'alice', message: 'meanwhile' });
        relay.away = false;
        await alice.message('meanwhile');
        await alice.becomes({ mode: settledMode(way), error: null, retryAt: null });
        await bob.send({ to: 'alice', message: 'after' });
        await alice.message('after');
        assertHeard(alice, ['before', 'meanwhile', 'after']);
      });
    }
  });

  describe('calls', { concurrency: 4 }, () => {
    test('open threads, add and remove members, tell threads and history', async (t) => {
      const gateway = await startGateway(t);
      await gateway.people('alice', 'bob', 'carol');
      const { chat } = startChat(t, gateway, 'alice');
      const { thread_id: thread, members } = await chat.open({ room: 'lobby' });
      assert.deepEqual(
        members.map(({ id }) => id),
        ['alice'],
      );
      assert.equal((await chat.addMember(thread, 'bob')).members.length, 2);
      assert.equal((await chat.removeMember(thread, 'bob')).members.length, 1);
      for (const text of ['one', 'two', 'three']) await chat.send({ thread, text, subject: 'counting', type: 'rst' });
      assert.deepEqual(
        (await chat.threads()).map(({ room, last }) => [room, last.message.text]),
        [['lobby', 'three']],
      );
      const page = await chat.history(thread, { limit: 2 });
      assert.deepEqual(
        page.messages.map(({ message }) => [message.text, message.subject, message.type]),
        [
          ['two', 'counting', 'rst'],
          ['three', 'counting', 'rst'],
        ],
      );
      const rest = await chat.history(thread, { before: page.before });
      assert.equal(rest.messages[0].message.text, 'one');
      assert.deepEqual((await chat.open({ user: ['bob', 'carol'] })).members.length, 3);
    });

    test('set and tell presence', async (t) => {
      const gateway = await startGateway(t);
      await gateway.people('alice', 'bob');
      const [alice, bob] = ['alice', 'bob'].map((name) => startChat(t, gateway, name));
      await Promise.all([alice.isLive(), bob.isLive()]);
      const presence = await alice.chat.setPresence({ show: 'dnd', status: 'at work' });
      assert.equal(presence.show, 'dnd');
      await waitFor(() => bob.chat.people.get('alice').status === 'at work', 'bob sees it');
      assert.equal((await bob.chat.friends()).find(({ id }) => id === 'alice').show, 'dnd');
    });

    test('and the feed mean the same where the gateway speaks the module dialect by itself', async (t) => {
      const gateway = await startGateway(t, { 'nereid.dialect': 'module' });
      await gateway.people('bob');
      const alice = startChat(t, gateway, 'alice');
      await alice.isLive();
      assert.equal((await alice.chat.friends())[0].id, 'bob');
      assert.equal((await alice.chat.setPresence({ show: 'dnd' })).id, 'alice');
      const { thread_id: thread, members } = await alice.chat.open({ user: 'bob' });
      assert.deepEqual(members.map(({ id }) => id).sort(), ['alice', 'bob']);
      await alice.chat.send({ thread, text: 'hello' });
      assert.equal((await alice.message('hello')).sender.id, 'alice');
    });

    test('reject with the word, the status and the sentence of the server', async (t) => {
      const gateway = await startGateway(t);
      const { chat } = startChat(t, gateway, 'alice');
      await assert.rejects(chat.history(ABSENT), { word: 'no_thread', status: 404, message: /thread/ });
      await assert.rejects(chat.open({ user: 'nobody we know' }), { word: 'not_friends', status: 403 });
    });

    test('sign out: the token is no good any more', async (t) => {
      const gateway = await startGateway(t);
      const fetch = makeFetch();
      const alice = startChat(t, gateway, 'alice', { fetch });
      await alice.isLive();
      const token = fetch.to('stream')[0].authorization.split(' ')[1];
      await alice.chat.signOut();
      assert.equal(alice.chat.state.mode, 'closed');
      assert.equal((await gateway.person('x', { authorization: null }).get(`/poll/${token}`)).status, 404);
    });

    for (const own of ['login', 'token'])
      test(`sign out: nothing is asked for after it, and nothing refused: ${own}`, async (t) => {
        const gateway = await startGateway(t);
        const [person] = await gateway.people('alice');
        const fetch = makeFetch(async ({ method }, url, init) => {
          const answer = await globalThis.fetch(url, init);
          if (method === 'DELETE') await sleep(300); // the stream could be heard to end meanwhile
          return answer;
        });
        const given = own === 'login' ? {} : { login: undefined, token: await person.token() };
        const alice = startChat(t, gateway, 'alice', { fetch, ...given });
        await alice.isLive();
        const { length } = fetch.requests;
        await alice.chat.signOut();
        assert.deepEqual(
          fetch.requests.slice(length).map(({ method }) => method),
          ['DELETE'],
        );
        assert.equal(alice.told.refused.items.length, 0);
      });
  });

  describe('the feed', { concurrency: 4 }, () => {
    test('hands out what comes twice once', async (t) => {
      const gateway = await startGateway(t);
      const [, bob] = await gateway.people('alice', 'bob');
      let first;
      // Every poll asks again from where the first ended.
      const fetch = makeFetch(({ query }, url, init) => {
        if (!query.since) return undefined;
        first ??= query.since;
        return globalThis.fetch(url.replace(/since=[^&]*/, `since=${first}`), init);
      });
      const alice = startChat(t, gateway, 'alice', { ways: ['poll'], fetch });
      await alice.becomes({ mode: 'polling' });
      for (const text of ['one', 'two', 'three']) await bob.send({ to: 'alice', message: text });
      await alice.message('three');
      await waitFor(() => fetch.to('poll').length > 8, 'some more polls');
      assert.deepEqual(alice.texts, ['one', 'two', 'three']);
    });

    test('shows a gap, and what is left', async (t) => {
      const gateway = await startGateway(t, { 'store.retention_count': 10 });
      const [alice, bob] = await gateway.people('alice', 'bob');
      await bob.send({ to: 'alice', message: 'long ago' });
      const { cursor } = await alice.poll({ wait: 0 });
      for (let i = 0; i < 40; i++) await bob.send({ to: 'alice', message: `number ${i}` });
      await gateway.restart();
      const late = startChat(t, gateway, 'alice', { cursor });
      const { oldest } = await late.told.gap.next();
      assert.equal(typeof oldest, 'string');
      await late.message('number 39');
    });

    test('begins anew, and says so, where its cursor is none', async (t) => {
      const gateway = await startGateway(t);
      const [, bob] = await gateway.people('alice', 'bob');
      const alice = startChat(t, gateway, 'alice', { cursor: 'not one of yours' });
      assert.deepEqual(await alice.told.gap.next(), { oldest: null });
      await alice.isLive();
      await bob.send({ to: 'alice', message: 'hello' });
      await alice.message('hello');
    });

    test('does not hurry where every cursor is refused', async (t) => {
      const gateway = await startGateway(t);
      await gateway.people('alice');
      const fetch = makeFetch(({ path, query }) =>
        path === 'stream' && query.since ? refusal(400, 'bad_cursor') : undefined,
      );
      const times = { ...soon, base: 4000, max: 4000 };
      const alice = startChat(t, gateway, 'alice', { ways: ['stream', 'poll'], fetch, times, random: () => 1 });
      await alice.becomes({ mode: 'offline' });
      assert.ok(fetch.to('stream').length <= 2);
      assert.equal(alice.chat.state.error.word, 'bad_cursor');
    });

    test('comes back later than Retry-After says, each by a time of its own', async (t) => {
      const fetch = makeFetch(() => refusal(503, 'shutting_down', { 'Retry-After': '60' }));
      const times = { base: 30_000, max: 30_000 };
      const alice = startChat(t, await startGateway(t), 'alice', { fetch, times, random: () => 1 });
      const { retryAt } = await alice.becomes({ mode: 'offline' });
      assert.ok(retryAt - Date.now() > 75_000);
    });

    test('of a hidden page gives up in time', async (t) => {
      const { stdout } = await runPage(t, await startGateway(t), 'hides');
      assert.equal(stdout, 'silence\n');
    });

    test('holds it against no way that the page has slept', async (t) => {
      const gateway = await startGateway(t);
      await gateway.people('alice');
      const { stdout } = await runPage(t, gateway, 'sleeps', 60_000);
      assert.equal(stdout, 'stream\n'.repeat(3));
    });

    test('is looked after when somebody looks at a page that has slept', async (t) => {
      const gateway = await startGateway(t);
      await gateway.people('alice');
      const sleeper = { asleep: false };
      const fetch = makeFetch(async ({ path }, url, init) => {
        const answer = await globalThis.fetch(url, init);
        return path === 'stream' ? new Response(answer.body.pipeThrough(makeDeaf(sleeper)), answer) : answer;
      });
      const window = new EventTarget();
      const times = { ...soon, heartbeat: 4000, wait: 4000 };
      const alice = startChat(t, gateway, 'alice', { fetch, window, times });
      await alice.isLive();
      window.dispatchEvent(new Event('visibilitychange'));
      assert.equal(fetch.to('stream').length, 1);
      sleeper.asleep = true;
      await sleep(6500);
      sleeper.asleep = false;
      window.dispatchEvent(new Event('visibilitychange'));
      await waitFor(() => fetch.to('stream').length === 2, 'another stream');
      assert.ok(!alice.modes.includes('catching_up'), 'it was not waited for');
    });

    test('goes on from a cursor that was kept', async (t) => {
      const gateway = await startGateway(t);
      const [, bob] = await gateway.people('alice', 'bob');
      const before = startChat(t, gateway, 'alice');
      await before.isLive();
      await before.chat.close();
      await bob.send({ to: 'alice', message: 'meanwhile' });
      const after = startChat(t, gateway, 'alice', { cursor: before.chat.cursor });
      await after.message('meanwhile');
    });

    test('hears at once what is said while it looks for its way', async (t) => {
      const gateway = await startGateway(t);
      const hop = await startHop(t, 'holds_all', gateway);
      const [, bob] = await gateway.people('alice', 'bob');
      const fetch = makeFetch();
      const alice = startChat(t, hop, 'alice', { fetch });
      await waitFor(() => fetch.to('stream').length, 'the first way is tried');
      await bob.send({ to: 'alice', message: 'hello' });
      await alice.message('hello');
      assert.notEqual(alice.chat.state.mode, 'polling');
    });

    test('is patient where much that was missed comes slowly', async (t) => {
      const gateway = await startGateway(t);
      const [person, bob] = await gateway.people('alice', 'bob');
      const { cursor } = await person.poll({ wait: 0 });
      const text = 'x'.repeat(20_000);
      await bob.send({ to: 'alice', message: text });
      const fetch = makeFetch(async ({ path }, url, init) => {
        const answer = await globalThis.fetch(url, init);
        return path === 'stream' ? new Response(answer.body.pipeThrough(makeSlow(2000, 500))) : answer;
      });
      const times = { patience: 3000 };
      const alice = startChat(t, gateway, 'alice', { cursor, ways: ['stream'], fetch, times });
      await alice.message(text);
      await alice.isLive();
      assert.equal(fetch.to('stream').length, 1);
    });

    test('takes silence for a loss', async (t) => {
      const gateway = await startGateway(t);
      const relay = await startRelay(t, gateway);
      const [, bob] = await gateway.people('alice', 'bob');
      const alice = startChat(t, relay, 'alice', { ways: ['stream'], times: { ...soon, heartbeat: 1000 } });
      await alice.isLive();
      relay.swallows = 'everything';
      const lost = alice.becomes({ mode: 'catching_up' });
      await bob.send({ to: 'alice', message: 'unheard' });
      assert.equal((await lost).error.word, 'silence');
      relay.swallows = 'nothing';
      await alice.message('unheard');
      await alice.isLive();
    });

    test('is there again at once each time a hop cuts it', async (t) => {
      const gateway = await startGateway(t);
      const hop = await startHop(t, 'cuts', gateway, { ms: 1500 });
      const [, bob] = await gateway.people('alice', 'bob');
      const alice = startChat(t, hop, 'alice', { times: { patience: 5000 } });
      await alice.isLive();
      const texts = Array.from({ length: 20 }, (_, i) => `number ${i}`);
      for (const text of texts) {
        await bob.send({ to: 'alice', message: text });
        await alice.message(text);
        await sleep(200);
      }
      assertHeard(alice, texts);
      assert.ok(alice.modes.filter((mode) => mode === 'live').length > 1, `${alice.modes}`);
    });

    test('does not doubt a way because a stream broke before it had proved itself', async (t) => {
      const gateway = await startGateway(t);
      const [, bob] = await gateway.people('alice', 'bob');
      const relay = await startRelay(t, gateway);
      const fetch = makeFetch();
      const alice = startChat(t, relay, 'alice', { times: soon, fetch });
      for (const times of [1, 2]) {
        await waitFor(() => fetch.to('stream').length === times, `stream ${times} is asked for`);
        relay.cut();
      }
      await alice.becomes({ mode: 'live', way: 'stream' });
      await bob.send({ to: 'alice', message: 'hello' });
      await alice.message('hello');
    });

    test('polls for a shorter time where polls are cut', async (t) => {
      const gateway = await startGateway(t);
      const hop = await startHop(t, 'cuts', gateway, { ms: 1600 });
      const [, bob] = await gateway.people('alice', 'bob');
      const fetch = makeFetch();
      const alice = startChat(t, hop, 'alice', { ways: ['poll'], fetch });
      await alice.becomes({ mode: 'polling' });
      await waitFor(() => fetch.to('poll').some(({ query }) => query.wait === '1'), 'a short poll is asked for');
      await bob.send({ to: 'alice', message: 'hello' });
      await alice.message('hello');
      assert.ok(!alice.modes.slice(alice.modes.indexOf('polling')).includes('offline'));
    });

    test('waits between tries: full jitter, doubling, up to the longest', async (t) => {
      const random = () => 0.5;
      const times = { base: 40, max: 200 };
      const { chat } = startChat(t, { url: 'http://127.0.0.1:9' }, 'alice', { random, times });
      const waits = [];
      chat.addEventListener('state', ({ detail: { mode, retryAt } }) => {
        if (mode === 'offline') waits.push(retryAt - Date.now());
      });
      await waitFor(() => waits.length >= 6, 'it has been tried some times');
      [20, 40, 80, 100, 100, 100].forEach((wait, i) => assert.ok(Math.abs(waits[i] - wait) < 20, `${waits}`));
    });

    for (const path of ['token', 'stream'])
      test(`waits as long as the server asks for: ${path}`, async (t) => {
        const gateway = await startGateway(t);
        let refused = 0;
        const fetch = makeFetch((request) => {
          const isFirst = request.path === path && refused++ === 0;
          return isFirst ? refusal(429, 'too_many', { 'Retry-After': '1' }) : undefined;
        });
        const alice = startChat(t, gateway, 'alice', { fetch, times: soon });
        const { error } = await alice.becomes({ mode: 'offline' });
        assert.equal(error.retryAfter, 1);
        await alice.becomes({ mode: 'live', way: 'stream' });
        const [first, second] = fetch.to(path);
        assert.ok(second.at - first.at >= 990, `${second.at - first.at} ms`);
      });

    test('rests while the browser is offline, and goes on at once when it is back', async (t) => {
      const gateway = await startGateway(t);
      const [, bob] = await gateway.people('alice', 'bob');
      const relay = await startRelay(t, gateway);
      const window = new EventTarget();
      const times = { base: 60_000, max: 60_000 };
      const alice = startChat(t, relay, 'alice', { window, times, random: () => 1 });
      await alice.isLive();
      relay.away = true;
      window.dispatchEvent(new Event('offline'));
      await waitFor(() => alice.chat.state.retryAt, 'it rests');
      await bob.send({ to: 'alice', message: 'meanwhile' });
      relay.away = false;
      window.dispatchEvent(new Event('online'));
      await alice.message('meanwhile');
      await alice.isLive();
    });

    test('asks to be let back in, but not while it was asked to wait', async (t) => {
      const gateway = await startGateway(t);
      const window = new EventTarget();
      let refused = 0;
      const fetch = makeFetch(({ path }) => {
        const isFirst = path === 'poll' && refused++ === 0;
        return isFirst ? refusal(503, 'shutting_down', { 'Retry-After': '1' }) : undefined;
      });
      const times = { max: 60_000, patience: 5000 };
      const alice = startChat(t, gateway, 'alice', { window, fetch, times });
      await alice.becomes({ mode: 'offline' });
      window.dispatchEvent(new Event('online'));
      await alice.isLive();
      const [first, second] = fetch.to('poll');
      assert.ok(second.at - first.at >= 990, `${second.at - first.at} ms`);
      window.dispatchEvent(new Event('offline'));
      await alice.becomes({ mode: 'offline' });
      window.dispatchEvent(new Event('online'));
      await alice.isLive();
    });

    for (const [what, least, most] of [
      ['9999999999', 600, 600],
      ['a date to come', 200, 300],
      ['Wed, 21 Oct 2015 07:28:00 GMT', undefined, undefined],
      ['soon', undefined, undefined],
    ])
      test(`understands Retry-After: ${what}`, async (t) => {
        const header = what === 'a date to come' ? new Date(Date.now() + 300_000).toUTCString() : what;
        const fetch = makeFetch(() => refusal(503, 'shutting_down', { 'Retry-After': header }));
        const alice = startChat(t, { url: 'http://127.0.0.1:9' }, 'alice', { fetch });
        const { error } = await alice.becomes({ mode: 'offline' });
        if (!least) return assert.equal(error.retryAfter, undefined);
        assert.ok(error.retryAfter >= least && error.retryAfter <= most, `${error.retryAfter} s`);
        await sleep(300);
        assert.equal(fetch.requests.length, 1);
      });

    test('gets through where the network has become slow', async (t) => {
      const gateway = await startGateway(t);
      let delay = 0;
      const fetch = makeFetch(async (request, url, init) => {
        await sleep(delay, undefined, { signal: init.signal });
        return globalThis.fetch(url, init);
      });
      const window = new EventTarget();
      const times = { ...soon, patience: 100 };
      const alice = startChat(t, gateway, 'alice', { ways: ['stream', 'poll'], fetch, window, times });
      const isWell = () => ['live', 'polling'].includes(alice.chat.state.mode);
      await waitFor(isWell, 'it has found a way');
      delay = 1500;
      window.dispatchEvent(new Event('offline'));
      await alice.becomes({ mode: 'offline' });
      window.dispatchEvent(new Event('online'));
      await waitFor(isWell, 'it is back');
    });

    test('admits that the network has gone where it polls', async (t) => {
      const gateway = await startGateway(t);
      let isGone = false;
      const fetch = makeFetch(() => (isGone ? null : undefined));
      const times = { ...soon, wait: 2000, request: 500 };
      const alice = startChat(t, gateway, 'alice', { ways: ['poll'], fetch, times });
      await alice.becomes({ mode: 'polling' });
      isGone = true;
      assert.equal((await alice.becomes({ mode: 'offline' })).error.word, 'silence');
      isGone = false;
      await alice.becomes({ mode: 'polling' });
    });

    for (const [what, { conf, meddle }] of Object.entries({
      'the server allows no waiting': { conf: { 'limits.poll_wait': 0 } },
      'a hop does not wait': { meddle: (request, url, init) => fetch(url.replace(/wait=\d+/, 'wait=0'), init) },
      'a hop refuses to wait': { meddle: ({ query }) => (query.wait > 0 ? refusal(502, 'network') : undefined) },
    }))
      test(`polls now and then, and not all the time, where ${what}`, async (t) => {
        const gateway = await startGateway(t, conf);
        const [, bob] = await gateway.people('alice', 'bob');
        const fetch = makeFetch(meddle);
        const alice = startChat(t, gateway, 'alice', { ways: ['poll'], fetch, random: () => 1 });
        await alice.becomes({ mode: 'polling' });
        const began = Date.now();
        await sleep(1600);
        await waitFor(() => fetch.to('poll').length >= 3, 'some polls');
        const { length } = fetch.to('poll');
        assert.ok(length <= 8 * Math.ceil((Date.now() - began) / 1600), `${length} polls`);
        await bob.send({ to: 'alice', message: 'hello' });
        await alice.message('hello');
        assert.ok(!alice.modes.includes('offline') && !alice.modes.includes('catching_up'), `${alice.modes}`);
      });

    for (const [what, ends] of Object.entries({ 'cuts streams soon': true, 'holds streams back soon': false }))
      test(`takes to polls where a hop ${what}`, async (t) => {
        const gateway = await startGateway(t);
        const fetch = makeFetch(async ({ path }, url, init) => {
          const answer = await globalThis.fetch(url, init);
          return path === 'stream' ? new Response(answer.body.pipeThrough(makeBrief(2, ends))) : answer;
        });
        const times = { ...soon, heartbeat: 1000 };
        const alice = startChat(t, gateway, 'alice', { ways: ['stream', 'poll'], fetch, times });
        await alice.isLive();
        await alice.becomes({ mode: 'polling' });
        assert.ok(fetch.to('stream').length <= 3, `${fetch.to('stream').length} streams`);
      });

    test('does not ask the server for what is the page’s to do: a listener that throws', async (t) => {
      const gateway = await startGateway(t);
      const { code, stdout } = await runPage(t, gateway, 'throws');
      assert.deepEqual([code, stdout], [0, 'one\ntwo\n']);
    });
  });

  describe('tokens', { concurrency: 4 }, () => {
    test('are renewed before they end, and nothing is missed', async (t) => {
      const gateway = await startGateway(t, { 'token.ttl': '3s' });
      const [, bob] = await gateway.people('alice', 'bob');
      const fetch = makeFetch();
      const alice = startChat(t, gateway, 'alice', { fetch, times: soon });
      await alice.isLive();
      const texts = Array.from({ length: 50 }, (_, i) => `number ${i}`);
      for (const text of texts) {
        await bob.send({ to: 'alice', message: text });
        await sleep(100);
      }
      await alice.message(texts.at(-1));
      assertHeard(alice, texts);
      assert.ok(fetch.to('token').length >= 2, `${fetch.to('token').length} tokens`);
      assert.ok(!alice.modes.includes('offline') && !alice.modes.includes('catching_up'), `${alice.modes}`);
    });

    test('that have ended while the stream goes on are asked for now and then', async (t) => {
      const gateway = await startGateway(t, { 'token.ttl': '1s', 'token.ends_streams': 'no' });
      let fails = false;
      const fetch = makeFetch(({ path }) => {
        return fails && path === 'token' ? refusal(429, 'too_many', { 'Retry-After': '1' }) : undefined;
      });
      const alice = startChat(t, gateway, 'alice', { fetch, ways: ['stream'], times: soon });
      await alice.isLive();
      fails = true;
      const { length } = fetch.to('token');
      await sleep(2500);
      const asked = fetch.to('token').length - length;
      assert.ok(asked >= 1 && asked <= 4, `${asked} times`);
      assert.equal(alice.chat.state.mode, 'live');
    });

    for (const way of WAYS)
      test(`are got anew when they were revoked: ${way}`, async (t) => {
        const gateway = await startGateway(t);
        const [person, bob] = await gateway.people('alice', 'bob');
        const fetch = makeFetch();
        const alice = startChat(t, gateway, 'alice', { fetch, ways: [way, 'poll'], times: soon });
        await alice.becomes({ mode: settledMode(way) });
        const token = fetch.to('poll')[0].authorization.split(' ')[1];
        await person.revoke(token);
        await bob.send({ to: 'alice', message: 'meanwhile' });
        await alice.message('meanwhile');
        await alice.becomes({ mode: settledMode(way), way });
      });

    test('that ended are got anew by a send', async (t) => {
      const gateway = await startGateway(t);
      const [person] = await gateway.people('alice', 'bob');
      let token = await person.token();
      const options = { token: () => token, share: false, times: soon };
      const chat = new NereidChat({ url: `${gateway.url}/nereid-chat/`, ...options });
      t.after(() => chat.close());
      await chat.send({ to: 'bob', text: 'one' });
      await person.revoke(token);
      token = await person.token();
      await chat.send({ to: 'bob', text: 'two' });
    });

    test('that were handed in as text are not got anew: refused', async (t) => {
      const gateway = await startGateway(t);
      const [person] = await gateway.people('alice');
      const token = await person.token();
      const alice = startChat(t, gateway, 'alice', { login: undefined, token });
      await alice.isLive();
      await person.revoke(token);
      assert.equal((await alice.told.refused.next()).word, 'no_token');
      assert.equal(alice.chat.state.mode, 'refused');
      assert.equal(alice.chat.state.error.word, 'no_token');
      await assert.rejects(alice.chat.send({ to: 'alice', text: 'hello' }), { word: 'no_token' });
    });

    test('of a function are asked for again, with their time if they have one', async (t) => {
      const gateway = await startGateway(t);
      const [person, bob] = await gateway.people('alice', 'bob');
      const warnings = [];
      const warn = (warning) => warnings.push(warning.name);
      process.on('warning', warn);
      let asked = 0;
      const token = async () => ({ token: await person.token(), expires_in: ++asked === 1 ? 1 : 5_000_000 });
      const fetch = makeFetch();
      const alice = startChat(t, gateway, 'alice', { login: undefined, token, fetch });
      await alice.isLive();
      await waitFor(() => asked === 2, 'it is asked again');
      await waitFor(() => fetch.to('stream').length === 2, 'the feed is opened anew');
      await bob.send({ to: 'alice', message: 'hello' });
      await alice.message('hello');
      assert.equal(asked, 2);
      process.off('warning', warn);
      assert.deepEqual(warnings, [], 'a time longer than a timer takes is no short one');
    });

    test('cannot be had: refused, and after the next connect again', async (t) => {
      const gateway = await startGateway(t, { 'auth.methods': 'header', 'auth.trusted': '192.0.2.1' });
      const alice = startChat(t, gateway, 'alice');
      const error = await alice.told.refused.next();
      assert.deepEqual([error.word, error.status], ['unauthorized', 401]);
      alice.chat.connect();
      await alice.told.refused.next();
    });

    test('are waited for while the login cannot be had', async (t) => {
      const gateway = await startGateway(t);
      let asked = 0;
      const login = async () => {
        if (++asked < 3) throw new Error('the application is not there');
        return basic('alice');
      };
      const alice = startChat(t, gateway, 'alice', { login, times: soon });
      await alice.isLive();
    });
  });

  describe('sends', { concurrency: 4 }, () => {
    test('wait while there is no server, and go out once and in order', async (t) => {
      const gateway = await startGateway(t);
      const relay = await startRelay(t, gateway);
      const [, bob] = await gateway.people('alice', 'bob');
      const feed = await bob.stream();
      const alice = startChat(t, relay, 'alice', { times: soon });
      await alice.isLive();
      relay.away = true;
      relay.cut();
      const texts = Array.from({ length: 20 }, (_, i) => `number ${i}`);
      const sends = texts.map((text) => alice.chat.send({ to: 'bob', text }));
      await alice.becomes({ mode: 'offline', unsent: 20 });
      relay.away = false;
      const sent = await within(Promise.all(sends), 'all are sent');
      await feed.message(texts.at(-1));
      assert.deepEqual(feed.texts, texts);
      assert.deepEqual(
        feed.messages.map(({ id }) => id),
        sent.map(({ id }) => id),
      );
      await alice.becomes({ unsent: 0 });
      assert.deepEqual(
        alice.told.sent.items.map(({ request }) => request.text),
        texts,
      );
    });

    test('are not doubled by a retry when only the answer was lost', async (t) => {
      const gateway = await startGateway(t);
      const relay = await startRelay(t, gateway);
      const [, bob] = await gateway.people('alice', 'bob');
      const feed = await bob.stream();
      const alice = startChat(t, relay, 'alice', { times: { ...soon, request: 500 } });
      await alice.isLive();
      relay.swallows = 'answers';
      const sending = alice.chat.send({ to: 'bob', text: 'once' });
      const { id } = await feed.message('once');
      relay.swallows = 'nothing';
      assert.equal((await within(sending, 'it is answered')).id, id);
      await alice.chat.send({ to: 'bob', text: 'next' });
      await feed.message('next');
      assert.deepEqual(feed.texts, ['once', 'next']);
    });

    test('that the server refuses reject, and the next goes out', async (t) => {
      const gateway = await startGateway(t);
      await gateway.people('alice', 'bob', 'carol');
      const { chat } = startChat(t, gateway, 'alice');
      const elsewhere = await gateway.person('carol').send({ to: 'bob', message: 'x' });
      const sends = [
        chat.send({ to: 'nobody we know', text: 'x' }),
        chat.send({ thread: ABSENT, text: 'x' }),
        chat.send({ to: 'bob', text: 'x', id: elsewhere.UUID }),
        chat.send({ to: 'bob', text: 'goes out' }),
      ];
      const words = (await Promise.allSettled(sends)).map(({ reason }) => reason?.word);
      assert.deepEqual(words, ['not_friends', 'no_thread', 'conflict', undefined]);
      assert.equal(chat.state.unsent, 0);
    });

    test('wait until a hop lets them through, unless it says that they are at fault', async (t) => {
      const gateway = await startGateway(t);
      await gateway.people('alice', 'bob');
      const answers = [404, 403, 407, 502, 413];
      const fetch = makeFetch(({ path }) => {
        const isLeft = path === 'send-message' && answers.length;
        return isLeft ? new Response('<html>no backend</html>', { status: answers.shift() }) : undefined;
      });
      const { chat } = startChat(t, gateway, 'alice', { fetch, times: soon });
      await assert.rejects(chat.send({ to: 'bob', text: 'too much' }), { word: 'network', status: 413 });
      answers.push(404, 403, 407, 502);
      await chat.send({ to: 'bob', text: 'hello' });
      assert.deepEqual(answers, []);
    });

    test('wait as long as the server asks for', async (t) => {
      const gateway = await startGateway(t);
      await gateway.people('alice', 'bob');
      let refused = 0;
      const fetch = makeFetch(({ path }) => {
        const isFirst = path === 'send-message' && refused++ === 0;
        return isFirst ? refusal(429, 'too_many', { 'Retry-After': '1' }) : undefined;
      });
      const { chat } = startChat(t, gateway, 'alice', { fetch, times: soon });
      await chat.send({ to: 'bob', text: 'hello' });
      const [first, second] = fetch.to('send-message');
      assert.ok(second.at - first.at >= 990, `${second.at - first.at} ms`);
    });

    test('need room in the queue', async (t) => {
      const alice = startChat(t, { url: 'http://127.0.0.1:9' }, 'alice', { queue: 2 });
      const [first, second, third] = ['one', 'two', 'three'].map((text) => alice.chat.send({ to: 'bob', text }));
      await assert.rejects(third, { word: 'queue_full' });
      const closed = Promise.all([first, second].map((send) => assert.rejects(send, { word: 'closed' })));
      alice.chat.close();
      assert.equal(alice.chat.state.unsent, 0);
      await closed;
      await alice.chat.close();
      assert.deepEqual([alice.chat.state.mode, alice.chat.state.unsent], ['closed', 0]);
      await assert.rejects(alice.chat.send({ to: 'bob', text: 'late' }), { word: 'closed' });
    });

    test('that are no JSON reject, and do not come in the way', async (t) => {
      const gateway = await startGateway(t);
      const { chat } = startChat(t, gateway, 'alice');
      await assert.rejects(chat.send({ to: 'alice', text: 'hello', attachments: [{ size: 1n }] }), TypeError);
      await chat.send({ to: 'alice', text: 'hello' });
    });

    test('go out at once when the feed is back', async (t) => {
      const gateway = await startGateway(t);
      await gateway.people('bob');
      const fetch = makeFetch(({ path }) => {
        return path === 'send-message' && fetch.to(path).length === 1 ? refusal(503, 'store_unavailable') : undefined;
      });
      let luck = 1;
      const times = { base: 60_000, max: 60_000 };
      const relay = await startRelay(t, gateway);
      const alice = startChat(t, relay, 'alice', { fetch, times, random: () => luck });
      await alice.isLive();
      const sending = alice.chat.send({ to: 'bob', text: 'hello' });
      await waitFor(() => alice.chat.state.unsent === 1 && fetch.to('send-message').length === 1, 'it was tried');
      await sleep(100); // now it waits for a minute
      luck = 0;
      relay.cut();
      await within(sending, 'it is sent');
    });

    test('and everything else let the process end after close', async (t) => {
      const gateway = await startGateway(t);
      await gateway.people('bob');
      const { code, stdout } = await runPage(t, gateway, 'ends');
      assert.deepEqual([code, stdout], [0, 'live\nsent\nclosed\n']);
    });
  });

  describe('the ladder', { concurrency: 4 }, () => {
    for (const [kind, way, bytes] of [
      ['none', 'stream'],
      ['holds_gets', 'post'],
      ['only_events', 'events'],
      ['holds_all', 'poll'],
      ['holds_bytes', 'poll', 4096],
    ])
      test(`finds ${way} where a hop is: ${kind} ${bytes ?? ''}`, async (t) => {
        const gateway = await startGateway(t);
        const hop = await startHop(t, kind, gateway, { bytes });
        const [, bob] = await gateway.people('alice', 'bob');
        const storage = makeStorage();
        // A busy machine must not be taken for a hop.
        const patience = { stream: 10_000, post: 4000, events: 4000, poll: 700 }[way];
        const alice = startChat(t, hop, 'alice', { storage, times: { patience } });
        await alice.becomes({ mode: settledMode(way), way });
        await bob.send({ to: 'alice', message: 'hello' });
        await alice.message('hello');
        const [remembered] = storage.map.values();
        assert.equal(JSON.parse(remembered).way, way);
      });

    test('begins with what worked, and climbs later', async (t) => {
      const gateway = await startGateway(t);
      const [, bob] = await gateway.people('alice', 'bob');
      const url = `${gateway.url}/nereid-chat/`;
      const memory = JSON.stringify({ way: 'poll', at: Date.now() });
      const storage = makeStorage({ [`nereid-chat ${url}`]: memory });
      let holds = true;
      const fetch = makeFetch(({ path }) => (holds && path === 'stream' ? null : undefined));
      const times = { climb: 1000, patience: 800 };
      const options = { storage, fetch, times, EventSource: undefined, random: () => 1 };
      const alice = startChat(t, gateway, 'alice', options);
      await alice.becomes({ mode: 'polling' });
      assert.deepEqual(fetch.to('stream'), []);
      await waitFor(() => fetch.to('stream').length === 2, 'better ways were tried');
      assert.deepEqual(
        fetch.to('stream').map(({ method }) => method),
        ['GET', 'POST'],
        'one at a time',
      );
      assert.equal(alice.chat.state.mode, 'polling');
      await bob.send({ to: 'alice', message: 'hello' });
      await alice.message('hello');
      holds = false;
      await alice.becomes({ mode: 'live', way: 'stream' });
      await bob.send({ to: 'alice', message: 'by stream' });
      await alice.message('by stream');
      assert.equal(JSON.parse([...storage.map.values()][0]).way, 'stream');
    });

    test('does not blame the way when the server is away', async (t) => {
      const gateway = await startGateway(t);
      const relay = await startRelay(t, gateway);
      const alice = startChat(t, relay, 'alice', { times: soon });
      await alice.isLive();
      // It is back while the library rests: between a stream that fails and the poll that asks why, the way would be it.
      let rests = 0;
      alice.chat.addEventListener('state', ({ detail }) => {
        if (detail.mode === 'offline' && ++rests === 5) relay.away = false;
      });
      relay.away = true;
      relay.cut();
      await waitFor(() => rests >= 5, 'it has been tried some times');
      await alice.becomes({ mode: 'live', way: 'stream' });
    });

    test('is done without a storage, or with one that holds nonsense', async (t) => {
      const gateway = await startGateway(t);
      const forbidden = () => {
        throw new Error('forbidden');
      };
      for (const storage of [
        { getItem: forbidden, setItem: forbidden },
        { getItem: () => 'null and void', setItem: () => {} },
        { getItem: () => '{"way":"telegraph","at":1}', setItem: () => {} },
      ])
        await startChat(t, gateway, 'alice', { storage }).isLive();
    });
  });

  describe('tabs', { concurrency: 4 }, () => {
    test('have one stream, and all hear everything', async (t) => {
      const gateway = await startGateway(t);
      const [, bob] = await gateway.people('alice', 'bob');
      const { open, locks } = makeTabs(t, gateway);
      const leader = open();
      await leader.becomes({ mode: 'live', leads: true });
      const others = [open(), open()];
      for (const tab of others) {
        await tab.becomes({ mode: 'live', leads: false });
        assert.equal(tab.chat.people.get('bob').id, 'bob', 'the leader tells how people are');
        assert.equal(tab.chat.cursor, leader.chat.cursor);
      }
      await gateway.metricBecomes(STREAMING, 1);
      await bob.send({ to: 'alice', message: 'hello' });
      for (const tab of [leader, ...others]) await tab.message('hello');
      const { id } = await others[0].chat.send({ to: 'bob', text: 'from a tab' });
      for (const tab of [leader, ...others]) assert.equal((await tab.message('from a tab')).id, id);
      assert.equal(others[1].told.sent.items.length, 0, 'each tab is told of its own sends');
      const names = [...locks.names].join();
      for (const secret of ['alice', basic('alice'), basic('alice').split(' ')[1]]) assert.ok(!names.includes(secret));
    });

    test('have a new leader at once when theirs goes, and miss and repeat nothing', async (t) => {
      const gateway = await startGateway(t);
      const [, bob] = await gateway.people('alice', 'bob');
      const { open } = makeTabs(t, gateway);
      const tabs = [open()];
      await tabs[0].isLive();
      tabs.push(open(), open());
      for (const tab of tabs) await tab.isLive();
      const texts = Array.from({ length: 60 }, (_, i) => `number ${i}`);
      const sending = (async () => {
        for (const text of texts) {
          await bob.send({ to: 'alice', message: text });
          await sleep(25);
        }
      })();
      await tabs[2].message('number 10');
      await tabs[0].chat.close();
      await tabs[1].becomes({ leads: true });
      await tabs[2].message('number 35');
      await tabs[1].chat.close();
      await tabs[2].becomes({ leads: true });
      await sending;
      await tabs[2].message(texts.at(-1));
      assertHeard(tabs[2], texts);
      assertHeard(tabs[1], texts.slice(0, tabs[1].texts.length));
      await gateway.metricBecomes(STREAMING, 1);
    });

    test('hear of the gap where the leader has to begin anew', async (t) => {
      const gateway = await startGateway(t);
      const relay = await startRelay(t, gateway);
      await gateway.people('alice');
      let forgets = false; // what its cursors were
      const fetch = makeFetch(({ query }) => (forgets && query.since ? refusal(400, 'bad_cursor') : undefined));
      const { open } = makeTabs(t, relay, { fetch, times: soon });
      const leader = open();
      await leader.isLive();
      const follower = open();
      await follower.becomes({ mode: 'live', leads: false });
      forgets = true;
      relay.cut();
      for (const tab of [leader, follower]) assert.deepEqual(await tab.told.gap.next(), { oldest: null });
    });

    test('of several users have nothing to do with each other', async (t) => {
      const gateway = await startGateway(t);
      await gateway.people('alice', 'bob');
      const { open } = makeTabs(t, gateway);
      const alice = open();
      const bob = open({ login: basic('bob') });
      await alice.becomes({ mode: 'live', leads: true });
      await bob.becomes({ mode: 'live', leads: true });
      await gateway.person('bob').send({ to: 'bob', message: 'to myself' });
      await bob.message('to myself');
      assert.deepEqual(alice.texts, []);
    });

    test('whose login is a function have one stream only under a name', async (t) => {
      const gateway = await startGateway(t);
      const login = () => basic('alice');
      const alone = makeTabs(t, gateway, { login });
      for (const tab of [alone.open(), alone.open()]) await tab.becomes({ mode: 'live', leads: true });
      const named = makeTabs(t, gateway, { login, share: 'alice of this shop' });
      await named.open().becomes({ mode: 'live', leads: true });
      await named.open().becomes({ mode: 'live', leads: false });
      assert.ok(![...named.locks.names].join().includes('alice'));
    });

    test('without locks have a stream each', async (t) => {
      const gateway = await startGateway(t);
      const { open } = makeTabs(t, gateway, { locks: null });
      for (const tab of [open(), open()]) await tab.becomes({ mode: 'live', leads: true });
      await gateway.metricBecomes(STREAMING, 2);
    });

    test('where locks are forbidden have a stream each', async (t) => {
      const gateway = await startGateway(t);
      const locks = { request: async () => Promise.reject(new DOMException('no origin', 'SecurityError')) };
      const { open } = makeTabs(t, gateway, { locks });
      for (const tab of [open(), open()]) await tab.becomes({ mode: 'live', leads: true });
      await gateway.metricBecomes(STREAMING, 2);
    });

    test('where channels are forbidden have a stream each', async (t) => {
      const gateway = await startGateway(t);
      class BroadcastChannel {
        constructor() {
          throw new DOMException('The operation is insecure.', 'SecurityError');
        }
      }
      const { open } = makeTabs(t, gateway, { BroadcastChannel });
      for (const tab of [open(), open()]) await tab.becomes({ mode: 'live', leads: true });
    });

    test('that come with a cursor of their own catch up with the leader', async (t) => {
      const gateway = await startGateway(t);
      const [person, bob] = await gateway.people('alice', 'bob');
      const { cursor } = await person.poll({ wait: 0 });
      const texts = Array.from({ length: 300 }, (_, i) => `number ${i}`);
      for (const text of texts) await bob.send({ to: 'alice', message: text });
      const { open } = makeTabs(t, gateway);
      await open().isLive();
      const late = open({ cursor });
      await late.becomes({ leads: false, mode: 'live' });
      await bob.send({ to: 'alice', message: 'live' });
      await late.message('live');
      assertHeard(late, [...texts, 'live']);
    });

    test('say so while they catch up', async (t) => {
      const gateway = await startGateway(t);
      const [person] = await gateway.people('alice');
      const { cursor } = await person.poll({ wait: 0 });
      const { open } = makeTabs(t, gateway);
      await open().isLive();
      let isHeld = true;
      const fetch = makeFetch(({ path }) => (path === 'poll' && isHeld ? refusal(503, 'network') : undefined));
      const late = open({ cursor, fetch, times: soon });
      await late.becomes({ leads: false, mode: 'catching_up' });
      assert.ok(!late.modes.includes('live'));
      isHeld = false;
      await late.isLive();
    });

    test('tell of a gap where they may not catch up', async (t) => {
      const gateway = await startGateway(t);
      const [person] = await gateway.people('alice');
      const { cursor } = await person.poll({ wait: 0 });
      const { open } = makeTabs(t, gateway);
      await open().isLive();
      const fetch = makeFetch(({ path }) => (path === 'poll' ? refusal(403, 'forbidden') : undefined));
      const late = open({ cursor, fetch });
      assert.deepEqual(await late.told.gap.next(), { oldest: null });
      await late.isLive();
    });

    test('that are put aside do not lead, and catch up when they are back', async (t) => {
      const gateway = await startGateway(t);
      const [, bob] = await gateway.people('alice', 'bob');
      const { open } = makeTabs(t, gateway);
      const window = new EventTarget();
      const first = open({ window });
      await first.isLive();
      const second = open();
      await second.isLive();
      window.dispatchEvent(new Event('pagehide'));
      await second.becomes({ leads: true, mode: 'live' });
      await bob.send({ to: 'alice', message: 'meanwhile' });
      await second.message('meanwhile');
      assert.deepEqual(first.texts, []);
      window.dispatchEvent(new Event('pageshow'));
      await first.message('meanwhile');
      await bob.send({ to: 'alice', message: 'after' });
      await first.message('after');
      assertHeard(first, ['meanwhile', 'after']);
      assert.equal(first.chat.state.leads, false);
      await gateway.metricBecomes(STREAMING, 1);
    });

    test('take the lead away from one that sleeps, which follows when it wakes', async (t) => {
      const gateway = await startGateway(t);
      const [, bob] = await gateway.people('alice', 'bob');
      const { open } = makeTabs(t, gateway);
      const sleeper = makeSleeper();
      const window = new EventTarget();
      const first = open({ BroadcastChannel: sleeper.BroadcastChannel });
      await first.isLive();
      const second = open({ window });
      await second.isLive();
      sleeper.asleep = true;
      window.dispatchEvent(new Event('visibilitychange'));
      await second.becomes({ leads: true, mode: 'live' });
      sleeper.asleep = false;
      await bob.send({ to: 'alice', message: 'hello' });
      for (const tab of [first, second]) await tab.message('hello');
      await first.becomes({ leads: false, mode: 'live' });
      await gateway.metricBecomes(STREAMING, 1);
    });

    test('miss nothing where the new leader begins later than they', async (t) => {
      const gateway = await startGateway(t);
      const [, bob] = await gateway.people('alice', 'bob');
      const { open } = makeTabs(t, gateway);
      const sleeper = makeSleeper();
      const hears = makeFetch(async (request, url, init) => {
        const answer = await globalThis.fetch(url, init);
        return request.path === 'stream' ? new Response(answer.body.pipeThrough(makeDeaf(sleeper))) : answer;
      });
      await open({ BroadcastChannel: sleeper.BroadcastChannel, fetch: hears }).isLive();
      const follower = open();
      await follower.isLive();
      await bob.send({ to: 'alice', message: 'one' });
      await follower.message('one');
      sleeper.asleep = true;
      await bob.send({ to: 'alice', message: 'two' });
      const late = open();
      await late.becomes({ leads: true, mode: 'live' });
      await bob.send({ to: 'alice', message: 'three' });
      for (const tab of [late, follower]) await tab.message('three');
      assertHeard(follower, ['one', 'two', 'three']);
      assert.equal(follower.chat.state.leads, false);
    });

    test('are each told when their login is refused', async (t) => {
      const gateway = await startGateway(t, { 'auth.methods': 'header', 'auth.trusted': '192.0.2.1' });
      const { open } = makeTabs(t, gateway);
      for (const tab of [open(), open()]) assert.equal((await tab.told.refused.next()).word, 'unauthorized');
    });

    test('are told by the leader that it is offline, and lead on when it closes', async (t) => {
      const gateway = await startGateway(t);
      const relay = await startRelay(t, gateway);
      const { open } = makeTabs(t, relay, { times: soon });
      const first = open();
      await first.isLive();
      const second = open();
      await second.isLive();
      relay.away = true;
      relay.cut();
      const { error } = await second.becomes({ mode: 'offline', leads: false });
      assert.ok(error instanceof ChatError && error.word === 'network');
      relay.away = false;
      await second.isLive();
      await first.chat.close();
      await second.becomes({ mode: 'live', leads: true });
    });
  });

  describe('the doctor', { concurrency: 8 }, () => {
    const examine = async (t, at, options = {}) => {
      const chat = new NereidChat({ url: `${at.url}/nereid-chat/`, login: basic('alice'), ...options });
      t.after(() => chat.close());
      const marks = [];
      const verdict = await chat.diagnose({ onMark: (mark) => marks.push(mark) });
      return { ...verdict, marks };
    };

    // A busy machine delays marks as a hop does, so what it is once in three times is what it is.
    const finds = async (t, at, verdict, fits = () => true) => {
      for (let left = 2; ; left--) {
        const found = await examine(t, at);
        if ((found.verdict === verdict && fits(found)) || left === 0) return found;
      }
    };

    test('passes', async (t) => {
      const { verdict, marks } = await finds(t, await startHop(t, 'relay', await startGateway(t)), 'passes');
      assert.equal(verdict, 'passes');
      const told = marks.map(({ mark, of }) => `${mark}/${of}`);
      assert.deepEqual(told.slice(0, 5), ['1/5', '2/5', '3/5', '4/5', '5/5']);
      assert.deepEqual(told.slice(-2), ['1/2', '2/2']);
    });

    test('passes, though each piece is late', { skip: noHop('haproxy') }, async (t) => {
      const { verdict, ms } = await finds(t, await startHop(t, 'haproxy', await startGateway(t)), 'passes');
      assert.equal(verdict, 'passes');
      assert.ok(ms >= 0 && ms < 400, `${ms} ms`);
    });

    test('held until the end', async (t) => {
      const hop = await startHop(t, 'holds_all', await startGateway(t));
      const { verdict, bytes } = await finds(t, hop, 'held_until_end');
      assert.equal(verdict, 'held_until_end');
      assert.ok(bytes > 300_000, `${bytes} were not enough`);
    });

    for (const size of [200, 600, 4096, 16384])
      test(`held until there are ${size} bytes`, async (t) => {
        const hop = await startHop(t, 'holds_bytes', await startGateway(t), { bytes: size });
        // What a busy machine lumps together comes on top.
        const fits = ({ bytes }) => bytes > size * 0.5 && bytes < size * 1.5 + 8192;
        const { verdict, bytes } = await finds(t, hop, 'held_bytes', fits);
        assert.equal(verdict, 'held_bytes');
        assert.ok(fits({ bytes }), `${bytes} of ${size}`);
      });

    test('cut', async (t) => {
      const hop = await startHop(t, 'cuts', await startGateway(t), { ms: 2500 });
      const { verdict, ms } = await finds(t, hop, 'cut');
      assert.equal(verdict, 'cut');
      assert.ok(ms > 2000 && ms < 6000, `${ms} ms`);
    });

    test('cut, after the longer of two times: a connection that is used again has not long to live', async (t) => {
      const hop = await startHop(t, 'cuts', await startGateway(t), { ms: 2500 });
      let isOld = true;
      const fetch = makeFetch(({ query }, url, init) => {
        if (query.gap !== '5000' || !isOld) return undefined;
        isOld = false;
        return globalThis.fetch(url, { ...init, signal: AbortSignal.any([init.signal, AbortSignal.timeout(1500)]) });
      });
      const { verdict, ms } = await examine(t, hop, { fetch });
      assert.equal(verdict, 'cut');
      assert.ok(ms > 2000, `${ms} ms`);
      assert.equal(isOld, false);
    });

    test('what is known, where there were too many examinations', async (t) => {
      const gateway = await startGateway(t);
      let left = 1;
      const fetch = makeFetch(() => (left-- > 0 ? undefined : refusal(429, 'too_many', { 'Retry-After': '60' })));
      const { chat } = new Listener({ url: `${gateway.url}/nereid-chat/`, fetch });
      t.after(() => chat.close());
      assert.notEqual((await chat.diagnose()).verdict, 'unreachable');
      await assert.rejects(chat.diagnose(), { word: 'too_many', status: 429, retryAfter: 60 });
    });

    test('the same where the page’s own function throws', async (t) => {
      const { code, stdout } = await runPage(t, await startGateway(t), 'watches');
      assert.equal(code, 0);
      assert.match(stdout, /^mine\n/);
      assert.match(stdout, /(passes|held_bytes)\n$/, 'it goes on to its end');
    });

    test('unreachable: nobody there, or somebody else', async (t) => {
      const nobody = await examine(t, { url: 'http://127.0.0.1:9' });
      assert.deepEqual(nobody, { verdict: 'unreachable', status: undefined, marks: [] });
      const gateway = await startGateway(t);
      const { verdict, status } = await examine(t, { url: `${gateway.url}/elsewhere` });
      assert.deepEqual([verdict, status], ['unreachable', 404]);
    });
  });
});
