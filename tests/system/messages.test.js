// SPDX-License-Identifier: MIT
// Messages, and the threads they are in: who gets what, once, and in which order.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { startGateway } from './lib/gateway.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const idsOf = (members) => members.map(({ id }) => id);
const textsOf = ({ messages }) => messages.map(({ message }) => message.text);

describe('sending', { concurrency: 6 }, () => {
  test('to a thread, to somebody, as a form, as JSON: all the same', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const stream = await bob.stream();
    const thread = await alice.thread('bob');
    const ways = [
      { form: { thread_id: thread, message: 'm' } },
      { json: { thread_id: thread, message: 'm' } },
      { form: { to: 'bob', message: 'm' } },
      { json: { to: 'bob', message: 'm' } },
      { json: { to: ['bob'], message: 'm' } },
      { form: { to: ['bob', 'bob', 'alice'], message: 'm' } },
      { query: { to: 'bob', message: 'm' } },
      { query: { to: 'bob' }, form: { message: 'm' } },
      { body: 'to=bob&message=m', headers: { 'Content-Type': 'text/plain' } },
      { body: '{"to":"bob","message":"m"}', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } },
    ];
    for (const way of ways) {
      const answer = await alice.ask('POST', '/send-message', way);
      assert.deepEqual(Object.keys(answer), ['UUID', 'thread']);
      assert.match(answer.UUID, UUID);
      assert.equal(answer.thread, thread, JSON.stringify(way));
      const message = await stream.message('m');
      assert.equal(message.id, answer.UUID);
    }
  });

  test('to several makes one thread of all', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob, carol] = await gateway.people('alice', 'bob', 'carol');
    const streams = [await bob.stream(), await carol.stream(), await alice.stream()];
    const byForm = await alice.ask('POST', '/send-message', { form: { to: ['bob', 'carol'], message: 'one' } });
    const byJson = await bob.send({ to: ['carol', 'alice'], message: 'two' });
    assert.equal(byForm.thread, byJson.thread);
    for (const stream of streams) {
      await stream.message('two');
      assert.deepEqual(stream.texts, ['one', 'two']);
    }
  });

  test('reaches the sender and every member, on all their streams, and nobody else', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob, carol] = await gateway.people('alice', 'bob', 'carol');
    const members = [await alice.stream(), await alice.events(), await bob.stream()];
    const stranger = await carol.stream();
    await alice.send({ to: 'bob', message: 'between us' });
    for (const stream of members) await stream.message('between us');
    await alice.send({ to: 'carol', message: 'to carol' });
    await stranger.message('to carol');
    assert.deepEqual(stranger.texts, ['to carol']);
  });

  const texts = {
    plain: 'hello',
    empty: '',
    spaces: '  two  spaces  ',
    umlauts: 'Grüße, Straße',
    emoji: '👩‍👩‍👧‍👦 and 🏴󠁧󠁢󠁥󠁮󠁧󠁿',
    'right to left': 'שלום \u202e evil',
    'line ends': 'one\ntwo\r\nthree\rfour\u0085five',
    'line separators': 'a\u2028b\u2029c',
    'byte order mark': '\ufeffbom',
    'control characters': '\u0001\u0007\b\t\v\f\u001b[31m\u007f\u009f',
    html: '<script>alert(1)</script><svg onload=alert(1)>&amp;"\'',
    'an event': 'x\n\ndata: {"type":"message"}\n\nevent: end\nid: 99',
    JSON: '{"type":"gap"}\n{"stanzas":[]}',
    'a percent sign': '100%25 %00 +',
    noncharacters: '\uffff \u{10ffff}',
    long: 'ä'.repeat(10 * 1024),
  };
  for (const [what, text] of Object.entries(texts)) {
    test(`leaves the text as it is: ${what}`, async (t) => {
      const gateway = await startGateway(t);
      const [alice, bob] = await gateway.people('alice', 'bob');
      const ndjson = await bob.stream();
      const sse = await bob.events();
      const { thread } = await alice.ask('POST', '/send-message', {
        form: { to: 'bob', message: text, type: 'html', subject: text.slice(0, 20) },
      });
      await alice.send({ to: 'bob', message: text });
      for (const stream of [ndjson, sse]) {
        await stream.message(text);
        await stream.message(text);
        assert.equal(stream.messages.length, 2);
        assert.equal(stream.messages[0].type, 'html');
        assert.equal(stream.messages[1].type, 'plain');
      }
      assert.deepEqual(textsOf(await bob.history(thread)), [text, text]);
    });
  }

  test('refuses what is no text', async (t) => {
    const gateway = await startGateway(t);
    const [alice] = await gateway.people('alice', 'bob');
    const json = (text) => ({ body: text, headers: { 'Content-Type': 'application/json' } });
    const form = (bytes) => ({
      body: Buffer.from(bytes, 'latin1'),
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    });
    const bad = {
      'an escaped NUL': [json('{"to":"bob","message":"a\\u0000b"}'), 'bad_json'],
      'a NUL': [form('to=bob&message=a%00b'), 'bad_request'],
      'half a surrogate pair': [json('{"to":"bob","message":"\\ud800"}'), 'bad_json'],
      'a lone byte of UTF-8': [form('to=bob&message=%80'), 'bad_utf8'],
      'an overlong form': [form('to=bob&message=\xc0\xaf'), 'bad_utf8'],
      'a surrogate in UTF-8': [form('to=bob&message=%ed%a0%80'), 'bad_utf8'],
      'beyond Unicode': [form('to=bob&message=%f5%80%80%80'), 'bad_utf8'],
      'a character cut short': [{ ...json(Buffer.from('{"to":"bob","message":"\xe2\x82"}', 'latin1')) }, 'bad_utf8'],
      'invalid UTF-8 in a name': [form('to=%ff&message=m'), 'bad_utf8'],
      'a bad escape': [form('to=bob&message=%zz'), 'bad_request'],
    };
    for (const [what, [init, error]] of Object.entries(bad)) {
      const answer = await alice.request('POST', '/send-message', init);
      assert.equal(answer.status, 400, what);
      assert.equal(answer.body.error, error, what);
    }
  });

  test('refuses fields that are missing, doubled or of the wrong kind', async (t) => {
    const gateway = await startGateway(t);
    const [alice] = await gateway.people('alice', 'bob');
    const to = 'bob';
    const bad = [
      [{ json: {} }, 'missing_field'],
      [{ json: { to } }, 'missing_field'],
      [{ json: { message: 'm' } }, 'missing_field'],
      [{ form: { to, message: ['one', 'two'] } }, 'bad_field'],
      [{ json: { to, message: ['one'] } }, 'bad_field'],
      [{ json: { to, message: { text: 'm' } } }, 'bad_field'],
      [{ json: { to: { id: 'bob' }, message: 'm' } }, 'bad_field'],
      [{ json: { to: [['bob']], message: 'm' } }, 'bad_field'],
      [{ json: { to, message: 'm', type: 'markdown' } }, 'bad_field'],
      [{ json: { to, message: 'm', id: 'not a uuid' } }, 'bad_field'],
      [{ json: { to, message: 'm', language: 'not a language' } }, 'bad_field'],
      [{ json: { to, message: 'm', attachments: {} } }, 'bad_field'],
      [{ json: { to, message: 'm', attachments: ['text'] } }, 'bad_field'],
      [{ form: { to, message: 'm', attachments: '[{]' } }, 'bad_json'],
      [{ json: { to, message: 'm', subject: 'x'.repeat(70_000) } }, 'too_large'],
    ];
    for (const [init, error] of bad) {
      const answer = await alice.request('POST', '/send-message', init);
      assert.equal(answer.body.error, error, JSON.stringify(init).slice(0, 100));
      assert.equal(answer.status, error === 'too_large' ? 413 : 400);
    }
  });

  test('takes the types and languages there are', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const stream = await bob.stream();
    for (const type of ['plain', 'html', 'rst']) {
      await alice.send({ to: 'bob', message: type, type });
      assert.equal((await stream.message(type)).type, type);
    }
    for (const language of [
      'en',
      'en-US',
      'en_US',
      'zh-Hant-TW',
      'de-CH-1996',
      'sl-rozaj-biske',
      'x-klingon',
      'i-default',
    ]) {
      await alice.send({ to: 'bob', message: language, language });
      assert.equal((await stream.message(language)).language, language);
    }
    for (const language of ['e', 'en--US', 'en-', '-en', 'en US', 'abcdefghi', '12', 'en-x']) {
      const answer = await alice.post('/send-message', { to: 'bob', message: 'm', language });
      assert.equal(answer.status, 400, language);
    }
  });

  test('keeps attachments as they are given', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const stream = await bob.stream();
    const attachments = [
      { url: 'http://x/y.png', width: 250, tags: ['a', { deep: [1, 2.5, -7, true, null] }] },
      { text: '\u2028<script>', z: 1, a: 2, big: 9007199254740993n.toString() },
    ];
    await alice.send({ to: 'bob', message: 'json', attachments });
    assert.deepEqual((await stream.message('json')).attachments, attachments);
    await alice.ask('POST', '/send-message', {
      form: { to: 'bob', message: 'form', attachments: JSON.stringify(attachments) },
    });
    const [, second] = (await stream.message('form')).attachments;
    assert.deepEqual(Object.keys(second), ['text', 'z', 'a', 'big'], 'in their order');
    await alice.send({ to: 'bob', attachments });
    assert.equal((await stream.message('')).attachments.length, 2, 'with attachments the text may be missing');
    await alice.send({ to: 'bob', message: 'none', attachments: [] });
    assert.deepEqual((await stream.message('none')).attachments, []);

    const exact = '[{"price":1.50,"third":0.33333333333333333333333333,"far":1e3}]';
    const body = `{ "to": "bob", "message": "numbers", "attachments" : ${exact.replaceAll(',', ' ,\n ')} }`;
    const answer = await alice.request('POST', '/send-message', {
      body,
      headers: { 'Content-Type': 'application/json' },
    });
    assert.equal(answer.status, 200);
    assert.ok((await bob.get('/threads')).text.includes(`"attachments":${exact}`), 'numbers are not rounded');
  });

  test('bounds text and attachments', async (t) => {
    const gateway = await startGateway(t, {
      'limits.text': '1K',
      'limits.attachments': 2,
      'limits.attachments_size': 100,
    });
    const [alice] = await gateway.people('alice', 'bob');
    const send = async (fields) =>
      (await alice.request('POST', '/send-message', { json: { to: 'bob', message: 'm', ...fields } })).status;
    assert.equal(await send({ message: 'x'.repeat(1024) }), 200);
    assert.equal(await send({ message: 'x'.repeat(1025) }), 413);
    assert.equal(await send({ attachments: [{}, {}] }), 200);
    assert.equal(await send({ attachments: [{}, {}, {}] }), 413);
    assert.equal(await send({ attachments: [{ a: 'x'.repeat(90) }] }), 200);
    assert.equal(await send({ attachments: [{ a: 'x'.repeat(91) }] }), 413);
    assert.equal(await gateway.limitHits('text'), 1);
    assert.equal(await gateway.limitHits('attachments'), 2);
  });

  test('has a rate limit for each user', async (t) => {
    const gateway = await startGateway(t, { 'limits.send_rate': 5 });
    const [alice, bob] = await gateway.people('alice', 'bob');
    for (let i = 0; i < 5; i++) await alice.send({ to: 'bob', message: 'm' });
    const answer = await alice.post('/send-message', { to: 'bob', message: 'm' });
    assert.equal(answer.status, 429);
    assert.equal(answer.body.error, 'too_many');
    assert.ok(Number(answer.headers.get('retry-after')) > 0);
    await bob.send({ to: 'alice', message: 'm' });
    assert.equal(await gateway.limitHits('send_rate'), 1);
  });
});

describe('a message id', { concurrency: 6 }, () => {
  test('of the client makes a repeat harmless', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const stream = await bob.stream();
    const id = randomUUID();
    const first = await alice.send({ to: 'bob', message: 'once', id });
    assert.equal(first.UUID, id);
    for (const again of [id, id.toUpperCase()]) {
      assert.deepEqual(await alice.send({ to: 'bob', message: 'once', id: again }), first);
    }
    await alice.send({ to: 'bob', message: 'after' });
    await stream.message('after');
    assert.deepEqual(stream.texts, ['once', 'after']);
    assert.equal(await gateway.metric('nereidd_messages_repeated_total'), 2);
  });

  test('is remembered across a restart and a crash', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const id = randomUUID();
    const first = await alice.send({ to: 'bob', message: 'once', id });
    for (const end of ['stop', 'kill']) {
      await gateway[end]();
      await gateway.start();
      await bob.friends();
      assert.deepEqual(await alice.send({ thread_id: first.thread, message: 'once', id }), first);
    }
    assert.deepEqual(textsOf(await bob.history(first.thread)), ['once']);
  });

  test('sent twenty times at once is one message', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const thread = await alice.thread('bob');
    const stream = await bob.stream();
    const id = randomUUID();
    const send = () => alice.send({ thread_id: thread, message: 'once', id });
    const answers = await Promise.all(Array.from({ length: 20 }, send));
    for (const answer of answers) assert.deepEqual(answer, { UUID: id, thread });
    await alice.say(thread, 'after');
    await stream.message('after');
    assert.deepEqual(stream.texts, ['once', 'after']);
    assert.deepEqual(textsOf(await bob.history(thread)), ['once', 'after']);
  });

  test('belongs to its sender: for another it is a conflict', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const id = randomUUID();
    await alice.send({ to: 'bob', message: 'mine', id });
    const answer = await bob.request('POST', '/send-message', { json: { to: 'alice', message: 'no, mine', id } });
    assert.equal(answer.status, 409);
    assert.equal(answer.body.error, 'conflict');
  });
});

describe('threads', { concurrency: 6 }, () => {
  test('are their member set: the same whoever starts it, in any order, doubles aside', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob, carol] = await gateway.people('alice', 'bob', 'carol');
    const thread = await alice.thread('bob', 'carol');
    assert.match(thread, UUID);
    assert.equal(await bob.thread('carol', 'alice'), thread);
    assert.equal(await carol.thread('alice', 'bob', 'alice', 'carol'), thread);
    assert.notEqual(await alice.thread('bob'), thread);
    const started = await alice.ask('POST', '/start-session', { json: { user: ['bob', 'carol'] } });
    assert.equal(started.thread_id, thread);
    assert.deepEqual(
      started.members.map(({ id, role }) => [id, role]),
      [
        ['alice', 'owner'],
        ['bob', 'guest'],
        ['carol', 'guest'],
      ],
    );
  });

  test('started by many at once are one', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const threads = await Promise.all(
      Array.from({ length: 20 }, (_, i) => (i % 2 ? alice.thread('bob') : bob.thread('alice'))),
    );
    assert.equal(new Set(threads).size, 1);
  });

  test('can be with oneself', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    const stream = await alice.stream();
    await alice.say(await alice.thread('alice'), 'a note');
    await stream.message('a note');
  });

  test('need somebody the gateway knows', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    for (const [method, path, form] of [
      ['POST', '/start-session', { user: 'nobody' }],
      ['POST', '/send-message', { to: 'nobody', message: 'm' }],
    ]) {
      const answer = await alice.request(method, path, { form });
      assert.equal(answer.status, 403);
      assert.equal(answer.body.error, 'not_friends');
    }
    assert.equal((await alice.post('/start-session')).status, 400);
    assert.equal((await alice.post('/start-session', { user: 'bob', room: 'lobby' })).status, 400);
  });

  test('that one is not in do not exist', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob, carol] = await gateway.people('alice', 'bob', 'carol');
    const thread = await alice.thread('bob');
    await alice.say(thread, 'private');
    const asks = (id) => [
      ['POST', '/send-message', { form: { thread_id: id, message: 'm' } }],
      ['GET', `/history/${id}`],
      ['POST', `/threads/${id}/members`, { form: { user: 'carol' } }],
      ['DELETE', `/threads/${id}/members/alice`],
      ['DELETE', `/threads/${id}/members/carol`],
    ];
    const seen = new Set();
    for (const id of [thread, randomUUID(), 'not-a-uuid', `${thread}x`]) {
      for (const [method, path, options] of asks(id)) {
        const answer = await carol.request(method, path, options);
        assert.equal(answer.status, 404, `${method} ${path}`);
        seen.add(answer.text);
      }
    }
    assert.equal(seen.size, 1, 'and look the same whether they exist or not');
    assert.equal((await bob.history(thread)).messages.length, 1);
  });

  test('are listed with members, subject and last message', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob', 'carol');
    const first = await alice.thread('bob');
    const second = await alice.thread('carol');
    const lobby = await alice.room('lobby');
    await bob.send({ thread_id: first, message: 'the last', subject: 'holidays' });
    const { threads } = await alice.ask('GET', '/threads');
    const byId = Object.fromEntries(threads.map((thread) => [thread.thread_id, thread]));
    assert.deepEqual(Object.keys(byId).sort(), [first, second, lobby].sort());
    assert.equal(byId[first].subject, 'holidays');
    assert.equal(byId[first].last.message.text, 'the last');
    assert.match(byId[first].last.cursor, /^[0-9]+$/);
    assert.deepEqual(idsOf(byId[second].members), ['alice', 'carol']);
    assert.equal(byId[second].last, null);
    assert.equal(byId[lobby].room, 'lobby');
  });

  test('have a history, read in pages from the newest', async (t) => {
    const gateway = await startGateway(t, { 'limits.history': 100 });
    const [alice, bob] = await gateway.people('alice', 'bob', 'carol');
    const thread = await alice.thread('bob');
    const sent = Array.from({ length: 125 }, (_, i) => `message ${i}`);
    for (const text of sent) {
      await alice.say(thread, text);
      await alice.send({ to: 'carol', message: 'another thread' });
    }
    const pages = [];
    let before;
    do {
      const page = await bob.history(thread, before ? { before } : {});
      pages.unshift(...textsOf(page));
      assert.equal(page.messages.length, Math.min(50, sent.length - pages.length + page.messages.length));
      before = page.before;
    } while (before);
    assert.deepEqual(pages, sent);
    assert.deepEqual(textsOf(await bob.history(thread, { limit: 3 })), sent.slice(-3));
    assert.equal((await bob.history(thread, { limit: 100 })).messages.length, 100);
    for (const query of [{ limit: 0 }, { limit: 101 }, { limit: 'x' }, { before: 'x' }]) {
      assert.equal((await bob.get(`/history/${thread}`, query)).status, 400, JSON.stringify(query));
    }
  });

  test('are changed by their owners; guests may only leave', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob, carol] = await gateway.people('alice', 'bob', 'carol');
    const thread = await alice.thread('bob');
    const carols = await carol.stream();
    const members = `/threads/${thread}/members`;

    assert.equal((await bob.post(members, { user: 'carol' })).status, 403, 'a guest adds nobody');
    const added = await alice.ask('POST', members, { form: { user: 'carol' } });
    assert.deepEqual(
      added.members.map(({ id, role }) => [id, role]),
      [
        ['alice', 'owner'],
        ['bob', 'guest'],
        ['carol', 'guest'],
      ],
    );
    await alice.say(thread, 'welcome');
    await carols.message('welcome');

    assert.equal((await bob.delete(`${members}/carol`)).status, 403, 'a guest removes nobody else');
    const removed = await alice.ask('DELETE', `${members}/carol`);
    assert.deepEqual(idsOf(removed.members), ['alice', 'bob']);
    await alice.say(thread, 'carol is gone');
    assert.equal((await carol.get(`/history/${thread}`)).status, 404);

    const left = await bob.ask('DELETE', `${members}/bob`);
    assert.deepEqual(idsOf(left.members), ['alice']);
    assert.equal((await bob.get(`/history/${thread}`)).status, 404);
    await alice.send({ to: 'carol', message: 'the end' });
    await carols.message('the end');
    assert.deepEqual(carols.texts, ['welcome', 'the end']);
  });

  test('get a new owner when the last one leaves', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob, carol] = await gateway.people('alice', 'bob', 'carol');
    const thread = await alice.thread('bob', 'carol');
    const left = await alice.ask('DELETE', `/threads/${thread}/members/alice`);
    assert.deepEqual(
      left.members.map(({ id, role }) => [id, role]),
      [
        ['bob', 'owner'],
        ['carol', 'guest'],
      ],
    );
    await bob.ask('DELETE', `/threads/${thread}/members/carol`);
    assert.equal((await carol.get(`/history/${thread}`)).status, 404);
  });

  test('show a newcomer what comes, not what was', async (t) => {
    const gateway = await startGateway(t);
    const [alice, , carol] = await gateway.people('alice', 'bob', 'carol');
    const thread = await alice.thread('bob');
    await alice.say(thread, 'before');
    await alice.ask('POST', `/threads/${thread}/members`, { form: { user: 'carol' } });
    await alice.say(thread, 'after');
    const stream = await carol.stream({ since: 0 });
    await stream.message('after');
    assert.deepEqual(stream.texts, ['after']);
  });

  test('have a bound on their members', async (t) => {
    const gateway = await startGateway(t, { 'limits.members': 2 });
    const [alice, bob, carol] = await gateway.people('alice', 'bob', 'carol');
    const tooMany = await alice.post('/start-session', { user: ['bob', 'carol'] });
    assert.equal(tooMany.status, 403);
    assert.equal(tooMany.body.error, 'too_many_members');
    const thread = await alice.thread('bob');
    const added = await alice.post(`/threads/${thread}/members`, { user: 'carol' });
    assert.deepEqual([added.status, added.body.error], [403, 'too_many_members']);
    await alice.room('lobby');
    await bob.room('lobby');
    const joined = await carol.post('/start-session', { room: 'lobby' });
    assert.deepEqual([joined.status, joined.body.error], [403, 'too_many_members']);
    assert.ok((await gateway.limitHits('members')) > 0);
  });

  test('with a name are rooms: anybody enters, and the name is the thread', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const stream = await alice.stream();
    const lobby = await alice.room('lobby');
    assert.match(lobby, /^[0-9a-f]{8}-[0-9a-f]{4}-5/, 'a UUIDv5');
    assert.equal(await bob.room('lobby'), lobby);
    assert.notEqual(await bob.room('Lobby'), lobby);
    await bob.say(lobby, 'hello, everybody');
    await stream.message('hello, everybody');
    for (const room of ['', 'x'.repeat(1000), 'a\nb', 'a\u2028b', '\u202eevil']) {
      assert.equal((await alice.post('/start-session', { room })).status, 400, JSON.stringify(room).slice(0, 30));
    }
    await gateway.restart();
    assert.equal(await gateway.person('carol').room('lobby'), lobby, 'for ever');
  });

  test('only join friends, where friends are those who share a thread', async (t) => {
    const gateway = await startGateway(t, { 'nereid.friends': 'threads' });
    const [alice, bob, carol] = await gateway.people('alice', 'bob', 'carol');
    assert.equal((await alice.post('/start-session', { user: 'bob' })).status, 403);
    assert.equal((await alice.post('/send-message', { to: 'bob', message: 'm' })).body.error, 'not_friends');
    const lobby = await alice.room('lobby');
    await bob.room('lobby');
    const thread = await alice.thread('bob');
    const added = await alice.post(`/threads/${thread}/members`, { user: 'carol' });
    assert.equal(added.status, 403, 'a stranger cannot be added');
    await carol.room('lobby');
    await alice.ask('POST', `/threads/${thread}/members`, { form: { user: 'carol' } });
    assert.notEqual(thread, lobby);
  });
});

describe('order', { concurrency: 2 }, () => {
  test('10 senders, 100 messages each: everybody sees all, once, in the same order', async (t) => {
    const gateway = await startGateway(t);
    const people = await gateway.people(...Array.from({ length: 10 }, (_, i) => `user${i}`));
    for (const person of people) await person.room('lobby');
    const lobby = await people[0].room('lobby');
    const streams = [];
    for (const [i, person] of people.entries()) streams.push(i % 2 ? await person.stream() : await person.events());
    const sendAll = async (person) => {
      for (let i = 0; i < 100; i++) await person.say(lobby, `${person.name} ${i}`);
    };
    await Promise.all(people.map(sendAll));
    for (const stream of streams) {
      while (stream.messages.length < 1000) await stream.message();
    }
    const [first, ...others] = streams.map(({ messages }) => messages.map(({ id }) => id));
    assert.equal(new Set(first).size, 1000);
    for (const other of others) assert.deepEqual(other, first);
    for (const person of people) {
      const own = streams[0].texts.filter((text) => text.startsWith(`${person.name} `));
      assert.deepEqual(
        own,
        Array.from({ length: 100 }, (_, i) => `${person.name} ${i}`),
        'and each sender in order',
      );
    }
    const cursors = streams[1].messages.map(({ cursor }) => Number(cursor));
    assert.ok(
      cursors.every((cursor, i) => i === 0 || cursor > cursors[i - 1]),
      'cursors only grow',
    );
  });
});
