// SPDX-License-Identifier: MIT
// Talker: newline-terminated JSON on TCP, one room for each connection.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

import { startGateway } from './lib/gateway.js';
import { startWithIssuer } from './lib/issuer.js';
import { meet, startNodes } from './lib/nodes.js';
import { startRedis } from './lib/redis.js';
import { Talker } from './lib/talker.js';
import { waitFor } from './lib/wait.js';

const FAILED = /^Authentication failed$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const now = () => Math.floor(Date.now() / 1000);

// About now, in whole seconds.
function isRecent(time) {
  assert.ok(Number.isInteger(time) && Math.abs(time - now()) < 60, `a time in seconds, not ${time}`);
}

// Whether the user is a member of the thread.
async function isMember(person, thread) {
  return (await person.ask('GET', '/threads')).threads.some(({ thread_id: id }) => id === thread);
}

const becomesMember = (person, thread, wanted) =>
  waitFor(async () => (await isMember(person, thread)) === wanted, `${person.name} is a member: ${wanted}`);

// Somebody on another node may be known there already, or soon.
const sees = async (talker, user) => talker.ids.includes(user) || talker.about('join', user);

// Sends these bytes as the first ones of a connection, which is to end with such an error.
async function refuses(gateway, bytes, sentence) {
  const talker = await Talker.open(gateway);
  talker.write(bytes);
  const events = await talker.isRefused(sentence);
  assert.equal(events.length, 1, JSON.stringify(events));
}

// The same on a connection that is in a room.
async function refusesInside(person, bytes, sentence) {
  const talker = await Talker.as(person, 'hall');
  talker.write(bytes);
  await talker.isRefused(sentence);
}

describe('connecting to a room', { concurrency: 4 }, () => {
  test('the newcomer is told who they are and who is there, the others that somebody came', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const first = await Talker.as(alice, 'hall');
    assert.deepEqual(first.events.items, [
      { type: 'connected', user: { id: 'alice', name: 'alice' } },
      { type: 'users', users: [{ id: 'alice', name: 'alice' }] },
    ]);
    const second = await Talker.as(bob, 'hall');
    assert.deepEqual(second.ids, ['alice', 'bob']);
    const { time, ...join } = await first.event('join');
    assert.deepEqual(join, { type: 'join', user: { id: 'bob', name: 'bob' } });
    isRecent(time);
    await second.settled();
    assert.deepEqual(second.all('join'), [], 'nobody is told of their own coming');
    assert.equal(await gateway.metric('nereidd_sessions{protocol="talker"}'), 2);
    assert.equal(await gateway.metric('nereidd_talker_connections'), 2);
  });

  test('a room is a thread, by its name, its number or its id', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const thread = await alice.room('hall');
    const numbered = await alice.room('17');
    const [byName, byId] = [await Talker.as(alice, 'hall'), await Talker.as(bob, thread)];
    byName.message('hello');
    await byId.hears('hello');
    await Talker.as(bob, thread.toUpperCase());
    const byNumber = await Talker.as(bob, 17);
    await alice.say(numbered, 'to 17');
    await byNumber.hears('to 17');
    const direct = await alice.thread('bob');
    const inDirect = await Talker.as(bob, direct);
    await alice.say(direct, 'to the two of us');
    assert.equal((await inDirect.hears('to the two of us')).private, undefined, 'there it is what is said in the room');
  });

  test('rooms that cannot be', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob, carol] = await gateway.people('alice', 'bob', 'carol');
    const theirs = await alice.thread('bob');
    const token = await carol.token();
    const connect = (room) => `${JSON.stringify({ type: 'connect', room, token })}\n`;
    for (const room of ['', 'x'.repeat(129), 'a\u0007b', 'a\u202eb'])
      await refuses(gateway, connect(room), /a room's name has 1 to 128 bytes of printable text/);
    for (const room of [randomUUID(), theirs]) await refuses(gateway, connect(room), /there is no such room/);
    for (const room of [1.5, ['hall'], { id: 1 }, true, null])
      await refuses(gateway, connect(room), /the room has to be a text or an integer/);
    await Talker.enter(gateway, 'x'.repeat(128), token);
    assert.equal(await isMember(carol, theirs), false);
  });

  test('what connect must have', async (t) => {
    const gateway = await startGateway(t);
    const token = await gateway.person('alice').token();
    const cases = [
      [{}, /connect needs a room/],
      [{ room: 'hall' }, /connect needs a token/],
      [{ token }, /connect needs a room/],
      [{ room: 'hall', token: 17 }, /the token has to be a text/],
      [{ room: 'hall', token: null }, /the token has to be a text/],
      [{ room: 'hall', token, last_event_id: [] }, /the last_event_id has to be a text/],
    ];
    for (const [fields, sentence] of cases)
      await refuses(gateway, `${JSON.stringify({ type: 'connect', ...fields })}\n`, sentence);
    await Talker.enter(gateway, 'hall', token, { last_event_id: null, user: { id: 'x', name: 'y' }, else: 1 });
  });

  test('before connected nothing else may be said, and nothing is heard', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const first = '^connect to a room first$';
    await refuses(gateway, '{"type":"message","content":"x"}\n', new RegExp(first));
    await refuses(gateway, '{"type":"ping"}\n', new RegExp(first));
    await refuses(gateway, '{"type":"close"}\n', new RegExp(first));
    await refuses(gateway, '{"type":"no such"}\n', /there is no event of this type/);
    await refuses(gateway, '{"kind":"connect"}\n', /an event needs a type/);
    await refuses(gateway, '{"type":17}\n', /an event needs a type/);
    const inside = await Talker.as(bob, 'hall');
    const connect = JSON.stringify({ type: 'connect', room: 'hall', token: await alice.token() });
    for (const next of ['{"type":"message","content":"too early"}', '{"type":"ping"}', '{"type":"close"}', connect])
      await refuses(gateway, `${connect}\n${next}\n`, /wait for connected/);
    await inside.settled();
    assert.deepEqual(inside.contents, []);
    assert.deepEqual(inside.all('join'), []);
    await becomesMember(alice, await bob.room('hall'), false);
  });

  test('only once', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    const connect = JSON.stringify({ type: 'connect', room: 'other', token: await alice.token() });
    await refusesInside(alice, `${connect}\n`, /you are connected to a room already/);
  });

  test('a token that is refused is never told why', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    const token = await alice.token();
    const altered = token.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'));
    await alice.revoke(await alice.token().then((one) => (one === token ? assert.fail('twice') : one)));
    for (const wrong of [randomUUID(), altered, '', 'x', 'alice', 'a.b.c', 'x'.repeat(5000), '\ud83d\ude00']) {
      const talker = await Talker.open(gateway);
      talker.say({ type: 'connect', room: 'hall', token: wrong });
      assert.equal((await talker.isRefused(FAILED)).length, 1);
    }
    assert.ok((await gateway.metric('nereidd_talker_refused_total')) >= 8);
    await Talker.enter(gateway, 'hall', token);
  });

  test('a token that is revoked ends its connections', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const token = await alice.token();
    const other = await Talker.as(bob, 'hall');
    const talker = await Talker.enter(gateway, 'hall', token);
    await alice.revoke(token);
    await talker.isRefused(/the token is unknown or has expired/);
    await other.about('idle', 'alice');
    await refuses(gateway, `${JSON.stringify({ type: 'connect', room: 'hall', token })}\n`, FAILED);
  });

  test('within talker.connect_time', async (t) => {
    const gateway = await startGateway(t, { 'talker.connect_time': '1500ms' });
    const alice = gateway.person('alice');
    const began = Date.now();
    const [silent, slow] = [await Talker.open(gateway), await Talker.open(gateway)];
    const stays = await Talker.as(alice, 'hall');
    slow.write('{"type":"conn');
    for (const talker of [silent, slow]) await talker.isRefused(/you have not connected to a room in time/);
    assert.ok(Date.now() - began >= 1499);
    await stays.settled();
    assert.equal(await gateway.limitHits('talker_connect_time'), 2);
  });

  test('rooms.open=no: only members, and whoever makes a room', async (t) => {
    const gateway = await startGateway(t, { 'rooms.open': 'no' });
    const [alice, bob] = await gateway.people('alice', 'bob');
    const thread = await alice.room('hall');
    const token = await bob.token();
    for (const room of ['hall', thread])
      await refuses(gateway, `${JSON.stringify({ type: 'connect', room, token })}\n`, /this room is for its members/);
    await alice.ask('POST', `/threads/${thread}/members`, { form: { user: 'bob' } });
    await Talker.enter(gateway, 'hall', token);
    await Talker.enter(gateway, 'of my own', token);
  });

  test('limits.members and limits.sessions_per_user', async (t) => {
    const gateway = await startGateway(t, { 'limits.members': '2', 'limits.sessions_per_user': '2' });
    const [alice, bob, carol] = await gateway.people('alice', 'bob', 'carol');
    await Talker.together([alice, bob], 'hall');
    const connect = async (person) =>
      `${JSON.stringify({ type: 'connect', room: 'hall', token: await person.token() })}\n`;
    await refuses(gateway, await connect(carol), /the room is full/);
    await Talker.as(alice, 'hall');
    await refuses(gateway, await connect(alice), /too many sessions are open/);
  });
});

describe('with JSON web tokens', { concurrency: 4 }, () => {
  test('the name in them is shown', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t);
    const token = (user, ...more) => issuer.token(user, ...more);
    const alice = await Talker.enter(gateway, 'hall', token('alice', 600, { name: 'Alice A.' }));
    assert.deepEqual(alice.user, { id: 'alice', name: 'Alice A.' });
    const bob = await Talker.enter(gateway, 'hall', token('bob'));
    assert.deepEqual(bob.users, [
      { id: 'alice', name: 'Alice A.' },
      { id: 'bob', name: 'bob' },
    ]);
    alice.message('hello');
    assert.deepEqual((await bob.hears('hello')).user, { id: 'alice', name: 'Alice A.' });
    for (const wrong of [issuer.forged('alice'), token('alice', -10), `${token('alice')}x`]) {
      const talker = await Talker.open(gateway);
      talker.say({ type: 'connect', room: 'hall', token: wrong });
      await talker.isRefused(FAILED);
    }
  });

  test('when the token is over, so is the connection', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t);
    const talker = await Talker.enter(gateway, 'hall', issuer.token('alice', 2));
    await talker.isRefused(/a login is required/);
  });
});

describe('what comes in', { concurrency: 4 }, () => {
  const refused = {
    'a list': ['[{"type":"ping"}]\n', /has to be a JSON object/],
    'a text': ['"connect"\n', /has to be a JSON object/],
    'a number': ['17\n', /has to be a JSON object/],
    'a literal': ['null\n', /has to be a JSON object/],
    'no JSON': ['hello\n', /has to be a JSON object/],
    'HTTP': ['GET /nereid-chat/stream HTTP/1.1\r\nHost: x\r\n\r\n', /has to be a JSON object/],
    'a PROXY header': ['PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n', /has to be a JSON object/],
    'a PROXY header, version 2': [
      Buffer.from('\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\0\x01\0\x02', 'latin1'),
      /has to be a JSON object/,
    ],
    'half a PROXY header': [Buffer.from('\r\n\r\n\0\r\nQU', 'latin1'), /has to be a JSON object/],
    'a hello of TLS': [Buffer.from('160301020001000', 'hex'), /has to be a JSON object/],
    'a byte order mark': ['\ufeff{"type":"ping"}\n', /has to be a JSON object/],
    'a NUL': ['{"type":"ping"}\0\n', /connect to a room first/],
    'a NUL inside': ['{"type":\0"ping"}\n', /not acceptable JSON/],
    'a NUL, escaped': ['{"type":"ping\\u0000"}\n', /not acceptable JSON/],
    'a line break in a text': ['{"type":"ping\n"}\n', /not acceptable JSON/],
    'no quotes': ['{type:"ping"}\n', /not acceptable JSON/],
    'brackets that do not fit': ['{"type":"ping"]\n', /not acceptable JSON/],
    'a key twice': ['{"type":"ping","type":"close"}\n', /not acceptable JSON/],
    'a large number': ['{"type":"ping","a":1e999}\n', /not acceptable JSON/],
    'a comma too much': ['{"type":"ping",}\n', /not acceptable JSON/],
    'bad UTF-8': [Buffer.from('{"type":"ping","a":"\xed\xa0\x80"}\n', 'latin1'), /valid UTF-8/],
    'half a surrogate pair': ['{"type":"ping","a":"\\ud800"}\n', /not acceptable JSON/],
    'depth 33': [`{"type":"ping","a":${'['.repeat(32)}${']'.repeat(32)}}\n`, /not acceptable JSON/],
    'a million brackets': [`{"a":${'['.repeat(1e6)}`, /not acceptable JSON/],
    'a million braces': ['{'.repeat(1e6), /not acceptable JSON/],
    '64 KiB and one byte': ['{'.padEnd(64 * 1024 + 1, ' '), /the line is too long/],
    'a token of 1 MiB': [`{"type":"connect","room":"hall","token":"${'x'.repeat(1 << 20)}`, /the line is too long/],
  };
  for (const [name, [bytes, sentence]] of Object.entries(refused)) {
    test(`${name} is refused, and closed`, async (t) => {
      const gateway = await startGateway(t);
      await refuses(gateway, bytes, sentence);
      if (name === 'a NUL') await refusesInside(gateway.person('alice'), bytes, /has to be a JSON object/);
      else await refusesInside(gateway.person('alice'), bytes, sentence);
      await gateway.metricBecomes('nereidd_talker_connections', 0);
      assert.equal(await gateway.metric('nereidd_talker_refused_total'), 2);
      assert.equal(await gateway.limitHits('json_depth'), /depth|brackets$|braces/.test(name) ? 2 : 0);
    });
  }

  // Ways in which three events may come; each cut into pieces that are sent on their own.
  const ways = {
    'a line each': (events) => events.map((event) => `${JSON.stringify(event)}\n`),
    'with CRLF': (events) => events.map((event) => `${JSON.stringify(event)}\r\n`),
    'in one segment': (events) => [events.map((event) => `${JSON.stringify(event)}\n`).join('')],
    'with nothing in between': (events) => [events.map((event) => JSON.stringify(event)).join('')],
    'over several lines': (events) => [events.map((event) => JSON.stringify(event, null, 2)).join('\n')],
    'byte by byte': (events) => [...Buffer.from(events.map((event) => `${JSON.stringify(event)}\n`).join(''))],
    'with empty lines': (events) => [events.map((event) => `\r\n\n \t\n${JSON.stringify(event)}\n\n\n`).join('')],
    'one and a half': (events) => {
      const text = events.map((event) => JSON.stringify(event)).join('\n');
      return [text.slice(0, 40), text.slice(40, 45), text.slice(45)];
    },
  };
  for (const [name, cut] of Object.entries(ways)) {
    test(`events come ${name}`, async (t) => {
      const gateway = await startGateway(t);
      const talker = await Talker.as(gateway.person('alice'), 'hall');
      const contents = ['one', 'tw€ \u{1f600} "}{\\', '3'];
      for (const piece of cut(contents.map((content) => ({ type: 'message', content })))) {
        talker.write(typeof piece === 'number' ? Buffer.from([piece]) : piece);
        await new Promise((done) => setImmediate(done));
      }
      for (const content of contents) await talker.hears(content);
      assert.deepEqual(talker.contents, contents);
      assert.deepEqual(talker.all('error'), []);
    });
  }

  test('a line of 64 KiB is taken, and one byte more is not', async (t) => {
    const gateway = await startGateway(t, { 'limits.text': '1M' });
    const alice = gateway.person('alice');
    const talker = await Talker.as(alice, 'hall');
    const frame = JSON.stringify({ type: 'message', content: '' }).length;
    const content = 'x'.repeat(64 * 1024 - frame);
    talker.message(content);
    await talker.hears(content);
    talker.message(`${content}x`);
    await talker.isRefused(/the line is too long/);
    assert.equal(await gateway.limitHits('talker_max_line'), 1);
    await refuses(gateway, `{"type":"${'x'.repeat(64 * 1024)}`, /the line is too long/);
  });

  test('talker.max_line', async (t) => {
    const gateway = await startGateway(t, { 'talker.max_line': '1K' });
    await refuses(gateway, '{'.padEnd(1025, ' '), /the line is too long/);
    const talker = await Talker.as(gateway.person('alice'), 'hall');
    talker.say({ type: 'ping', a: 'x'.repeat(1000) });
    await talker.settled();
  });

  test('a million empty lines are nothing', async (t) => {
    const gateway = await startGateway(t);
    const talker = await Talker.open(gateway);
    talker.write('\n'.repeat(1e6));
    await talker.connect('hall', await gateway.person('alice').token());
    talker.write('\r\n'.repeat(1e6));
    talker.message('still there');
    await talker.hears('still there');
  });

  test('fields that are missing or wrong', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    const cases = [
      ['{"type":"message"}', /a message needs a content/],
      ['{"type":"message","content":17}', /the content has to be a text/],
      ['{"type":"message","content":null}', /the content has to be a text/],
      ['{"type":"message","content":"x","to":true}', /the receiver has to be a text or an integer/],
      ['{"type":"message","content":"x","to":["bob"]}', /the receiver has to be a text or an integer/],
      ['{"type":"msg","content":"x"}', /there is no event of this type/],
      ['{"type":"connected"}', /there is no event of this type/],
      ['{"type":null}', /an event needs a type/],
      ['{}', /an event needs a type/],
    ];
    for (const [line, sentence] of cases) await refusesInside(alice, `${line}\n`, sentence);
  });

  test('what does not read is ended, with a reason, and nobody else notices', async (t) => {
    const gateway = await startGateway(t, {
      'talker.max_line': '2M',
      'limits.text': '1M',
      'limits.queue': '1M',
      'limits.drain': '60s',
    });
    const [alice, bob] = await gateway.people('alice', 'bob');
    const slow = await Talker.as(alice, 'hall');
    const quick = await Talker.as(bob, 'hall');
    slow.raw.stopReading();
    const big = 'x'.repeat(500_000);
    let count = 0;
    while ((await gateway.limitHits('queue')) === 0) {
      assert.ok(++count < 200, 'the queue has a bound');
      quick.message(`${count} ${big}`);
      await quick.hears(`${count} ${big}`);
    }
    await gateway.logged(/talker connection ended: slow reader.* user=alice/);
    await quick.about('idle', 'alice');
    quick.message('the last');
    await quick.hears('the last');
    slow.raw.socket.resume();
    const events = await slow.isRefused(/the reader did not keep up/, 60_000);
    const { id } = events.findLast(({ type }) => type === 'message');
    await gateway.metricBecomes('nereidd_queue_bytes', 0);
    const back = await Talker.as(alice, 'hall', { last_event_id: id });
    await back.hears('the last');
    assert.equal(slow.contents.length + back.contents.length, count + 1, 'nothing lost, nothing doubled');
  });
});

describe('messages', { concurrency: 4 }, () => {
  test('go to everybody in the room, the sender included', async (t) => {
    const gateway = await startGateway(t);
    const people = await gateway.people('alice', 'bob', 'carol');
    const [alice, bob, carol] = await Talker.together(people, 'hall');
    const elsewhere = await Talker.as(people[2], 'other');
    alice.message('hello');
    const { id, time, ...rest } = await alice.hears();
    assert.deepEqual(rest, { type: 'message', content: 'hello', user: { id: 'alice', name: 'alice' } });
    assert.match(id, UUID);
    isRecent(time);
    for (const other of [bob, carol]) assert.deepEqual(await other.hears(), { id, time, ...rest });
    await elsewhere.settled();
    assert.deepEqual(elsewhere.contents, []);
  });

  test('are the same in every protocol', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const hall = await bob.room('hall');
    const stream = await bob.stream();
    const talker = await Talker.as(alice, 'hall');
    talker.message('from Talker');
    const { id, sender } = await stream.message('from Talker');
    assert.deepEqual([id, sender.id], [(await talker.hears()).id, 'alice']);
    const sent = await bob.send({ thread_id: hall, message: '<b>hi</b>', type: 'html' });
    const heard = await talker.hears('<b>hi</b>');
    assert.deepEqual([heard.id, heard.format, heard.user.id], [sent.UUID, 'html', 'bob']);
    const { messages } = await bob.history(hall);
    assert.deepEqual(
      messages.map(({ message }) => message.text),
      ['from Talker', '<b>hi</b>'],
    );
  });

  test('to somebody are for them alone, and are said in the thread of the two', async (t) => {
    const gateway = await startGateway(t);
    const people = await gateway.people('alice', 'bob', 'carol');
    const [alice, bob, carol] = await Talker.together(people, 'hall');
    const bobToo = await Talker.as(people[1], 'hall');
    const aliceToo = await Talker.as(people[0], 'hall');
    alice.message('just for you', 'bob');
    const { id, time, ...rest } = await bob.hears();
    const user = { id: 'alice', name: 'alice' };
    assert.deepEqual(rest, { type: 'message', content: 'just for you', user, private: true });
    isRecent(time);
    assert.equal((await bobToo.hears()).id, id);
    const direct = await people[0].thread('bob');
    const { messages } = await people[1].history(direct);
    assert.deepEqual([messages[0].message.id, messages[0].message.text], [id, 'just for you']);
    for (const other of [alice, aliceToo, carol]) {
      await other.settled();
      assert.deepEqual(other.contents, []);
    }
  });

  test('of a direct thread, from any protocol, are private where both are members', async (t) => {
    const gateway = await startGateway(t);
    const people = await gateway.people('alice', 'bob', 'carol', 'dave');
    const [alice, bob] = await Talker.together(people.slice(0, 2), 'hall');
    const alone = await Talker.as(people[1], 'other');
    await people[0].send({ to: 'bob', message: 'from nereid' });
    assert.equal((await bob.hears('from nereid')).private, true);
    await people[2].room('hall');
    await people[3].send({ to: 'bob', message: 'from outside' });
    await people[2].send({ to: 'bob', message: 'from a member who is not there' });
    assert.equal((await bob.hears('from a member who is not there')).private, true);
    assert.equal(bob.contents.length, 2);
    for (const other of [alice, alone]) {
      await other.settled();
      assert.deepEqual(other.contents, []);
    }
  });

  test('to somebody who was met in the room', async (t) => {
    const gateway = await startGateway(t, { 'nereid.friends': 'threads' });
    const people = ['alice', 'bob'].map((name) => gateway.person(name));
    const [alice, bob] = await Talker.together(people, 'hall');
    alice.message('nice to meet you', 'bob');
    await bob.hears('nice to meet you');
  });

  test('of a thread of three are no private messages', async (t) => {
    const gateway = await startGateway(t);
    const people = await gateway.people('alice', 'bob', 'carol');
    const [, bob] = await Talker.together(people, 'hall');
    await people[0].say(await people[0].thread('bob', 'carol'), 'for three');
    await bob.settled();
    assert.deepEqual(bob.contents, []);
  });

  test('to a name: the id counts first, and a name that several have is not enough', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t);
    const enter = (id, name) => Talker.enter(gateway, 'hall', issuer.token(id, 600, name ? { name } : {}));
    const talkers = {};
    for (const [id, name] of [['1', 'Ann'], ['2', 'Ben'], ['3', '2'], ['4', 'Twin'], ['5', 'Twin'], ['me', 'Me']])
      talkers[id] = await enter(id, name);
    const { me } = talkers;
    me.message('by name', 'Ann');
    await talkers[1].hears('by name');
    me.message('by id', '2');
    await talkers[2].hears('by id');
    me.message('by a number', 1);
    await talkers[1].hears('by a number');
    for (const [to, sentence] of [
      ['Twin', /several in the room have this name/],
      ['me', /for somebody else/],
      ['Me', /nobody of this id or name is in the room/],
      ['', /nobody of this id or name is in the room/],
      ['stranger', /nobody of this id or name is in the room/],
    ]) {
      me.message('x', to);
      assert.match((await me.event('error')).message, sentence);
    }
    me.message('still connected');
    for (const id of [1, 2, 3, 4, 5]) await talkers[id].hears('still connected');
    assert.deepEqual(talkers[3].contents, ['still connected']);
  });

  test('that are refused are told so, and the connection stays', async (t) => {
    const gateway = await startGateway(t, { 'limits.text': '1K', 'limits.send_rate': '3' });
    const talker = await Talker.as(gateway.person('alice'), 'hall');
    talker.message('x'.repeat(1025));
    assert.match((await talker.event('error')).message, /the message was not sent: it is too long/);
    talker.message('');
    await talker.hears('');
    for (let i = 0; i < 10; i++) talker.message('quick');
    assert.match((await talker.event('error')).message, /you are sending too fast: wait [0-9]+ s/);
    talker.ping();
    assert.equal(talker.events.ended, false);
  });
});

describe('presence', { concurrency: 4 }, () => {
  test('a broken connection is idle at once, and back on return', async (t) => {
    const gateway = await startGateway(t, { 'talker.idle_grace': '10m', 'presence.grace': '10m' });
    const people = await gateway.people('alice', 'bob');
    const [alice, bob] = await Talker.together(people, 'hall');
    bob.break();
    const { time, ...idle } = await alice.event('idle');
    assert.deepEqual(idle, { type: 'idle', user: { id: 'bob', name: 'bob', idle: true } });
    isRecent(time);
    await Talker.as(people[1], 'hall');
    assert.deepEqual((await alice.event('back')).user, { id: 'bob', name: 'bob' });
  });

  test('a broken connection leaves after talker.idle_grace', async (t) => {
    const gateway = await startGateway(t, { 'talker.idle_grace': '1s', 'presence.grace': '10m' });
    const people = await gateway.people('alice', 'bob');
    const [alice, bob] = await Talker.together(people, 'hall');
    const began = Date.now();
    bob.break();
    await alice.about('idle', 'bob');
    const leave = await alice.event('leave');
    assert.ok(Date.now() - began >= 990, 'after the grace');
    assert.equal(leave.user, 'bob');
    isRecent(leave.time);
    const carol = await Talker.as(gateway.person('carol'), 'hall');
    assert.deepEqual(carol.ids, ['alice', 'carol']);
    await Talker.as(people[1], 'hall');
    await alice.about('join', 'bob');
    assert.deepEqual(
      alice.events.items.filter(({ user }) => (user?.id ?? user) === 'bob').map(({ type }) => type),
      ['join', 'idle', 'leave', 'join'],
    );
  });

  test('a connection that is closed in order is broken too, unless it said close', async (t) => {
    const gateway = await startGateway(t);
    const people = await gateway.people('alice', 'bob');
    const [alice, bob] = await Talker.together(people, 'hall');
    bob.close();
    await alice.about('idle', 'bob');
    const { users } = await Talker.as(gateway.person('carol'), 'hall');
    assert.deepEqual(users[1], { id: 'bob', name: 'bob', idle: true });
  });

  test('without a grace it leaves at once', async (t) => {
    const gateway = await startGateway(t, { 'talker.idle_grace': '0', 'presence.grace': '10m' });
    const [alice, bob] = await Talker.together(await gateway.people('alice', 'bob'), 'hall');
    bob.break();
    await alice.about('leave', 'bob');
    assert.deepEqual(alice.all('idle'), []);
  });

  test('close leaves at once', async (t) => {
    const gateway = await startGateway(t, { 'talker.idle_grace': '10m' });
    const people = await gateway.people('alice', 'bob');
    const [alice, bob] = await Talker.together(people, 'hall');
    const hall = await people[0].room('hall');
    await bob.leave();
    await alice.about('leave', 'bob');
    assert.deepEqual(alice.all('idle'), []);
    await becomesMember(people[1], hall, false);
    bob.close();
  });

  test('close waits until what was said before it has been heard, whether or not the client does', async (t) => {
    const gateway = await startGateway(t);
    const people = await gateway.people('alice', 'bob');
    const listening = await Talker.as(people[1], 'hall');
    for (const ends of [(talker) => talker.end(), (talker) => talker.raw.finish()]) {
      const parting = await Talker.as(people[0], 'hall');
      parting.message('psst', 'bob');
      parting.message('bye');
      parting.say({ type: 'close' });
      await ends(parting);
      await listening.about('leave', 'alice');
      parting.close();
    }
    const heard = listening.events.items.slice(2).map(({ type, content }) => content ?? type);
    for (let from = 0; from < heard.length; from += 4) {
      const [first, second, third, last] = heard.slice(from, from + 4);
      assert.deepEqual([first, ...[second, third].sort(), last], ['join', 'bye', 'psst', 'leave']);
    }
    assert.equal(heard.length, 8);
    assert.deepEqual(listening.all('idle'), []);
  });

  test('close gives back the membership that connect brought, and no other', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const hall = await alice.room('hall');
    const member = await Talker.as(alice, 'hall');
    const [guest, guestToo] = await Talker.together([bob, bob], 'hall');
    await guest.leave();
    await member.settled();
    assert.equal(await isMember(bob, hall), true, 'the other connection is still there');
    guestToo.message('still here');
    await member.hears('still here');
    await guestToo.leave();
    await member.about('leave', 'bob');
    await becomesMember(bob, hall, false);
    await member.leave();
    assert.equal(await isMember(alice, hall), true);
    assert.deepEqual(member.all('leave').length, 1);
  });

  test('who breaks off stays a member, until they come back and say close', async (t) => {
    const gateway = await startGateway(t, { 'talker.idle_grace': '100ms' });
    const people = await gateway.people('alice', 'bob');
    const [alice, bob] = await Talker.together(people, 'hall');
    const hall = await people[0].room('hall');
    bob.break();
    await alice.about('leave', 'bob');
    assert.equal(await isMember(people[1], hall), true);
    await (await Talker.as(people[1], 'hall')).leave();
    await becomesMember(people[1], hall, false);
  });

  test('who enters the room for good meanwhile stays a member', async (t) => {
    const gateway = await startGateway(t);
    const people = await gateway.people('alice', 'bob');
    const [alice, bob] = await Talker.together(people, 'hall');
    const hall = await people[1].room('hall');
    await bob.leave();
    await alice.about('leave', 'bob');
    assert.equal(await isMember(people[1], hall), true);
  });

  test('several connections of one user are one presence', async (t) => {
    const gateway = await startGateway(t, { 'talker.idle_grace': '100ms' });
    const people = await gateway.people('alice', 'bob');
    const [alice, first] = await Talker.together(people, 'hall');
    const second = await Talker.as(people[1], 'hall');
    assert.deepEqual(second.ids, ['alice', 'bob']);
    second.message('from the second');
    for (const one of [alice, first, second]) await one.hears('from the second');
    first.break();
    second.message('still');
    await alice.hears('still');
    await second.leave();
    await alice.about('leave', 'bob');
    assert.deepEqual(
      alice.events.items.slice(2).map(({ type }) => type),
      ['join', 'message', 'message', 'leave'],
    );
    assert.deepEqual(first.all('join').concat(second.all('join')), []);
  });

  test('users of other protocols are in the room while they are members and available', async (t) => {
    const gateway = await startGateway(t, { 'presence.grace': '300ms' });
    const [alice, bob, carol] = await gateway.people('alice', 'bob', 'carol');
    const hall = await bob.room('hall');
    const talker = await Talker.as(alice, 'hall');
    assert.deepEqual(talker.ids, ['alice'], 'members who are not available are not there');
    const stream = await bob.stream();
    assert.deepEqual((await talker.event('join')).user, { id: 'bob', name: 'bob' });
    const theirs = await carol.stream();
    await talker.settled();
    assert.equal(talker.all('join').length, 1, 'who is no member is not there');
    await carol.room('hall');
    await talker.about('join', 'carol');
    await carol.delete(`/threads/${hall}/members/carol`);
    await talker.about('leave', 'carol');
    stream.close();
    await talker.about('idle', 'bob');
    await talker.about('leave', 'bob');
    theirs.close();
  });

  test('a user who is there already does not join again', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    await bob.room('hall');
    await bob.stream();
    const talker = await Talker.as(alice, 'hall');
    assert.deepEqual(talker.ids.sort(), ['alice', 'bob']);
    const other = await Talker.as(bob, 'hall');
    await other.leave();
    await talker.settled();
    assert.deepEqual(talker.events.items.slice(2).map(({ type }) => type), ['error'], 'the stream is still there');
  });

  test('streams see who is in Talker', async (t) => {
    const gateway = await startGateway(t, { 'talker.idle_grace': '200ms' });
    const [alice, bob] = await gateway.people('alice', 'bob');
    const stream = await alice.stream();
    const talker = await Talker.as(bob, 'hall');
    await stream.presence('bob', ({ available }) => available !== false);
    await talker.leave();
    await stream.stanza('presence', ({ presence }) => presence.some(({ id }) => id === 'bob'));
  });

  test('away, extended away and do not disturb are idle', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const talker = await Talker.as(alice, 'hall');
    await Talker.as(bob, 'hall');
    await talker.about('join', 'bob');
    const user = { id: 'bob', name: 'bob' };
    await bob.setPresence({ show: 'away', status: 'lunch' });
    assert.deepEqual((await talker.event('idle')).user, { ...user, show: 'away', status: 'lunch', idle: true });
    await bob.setPresence({ show: 'dnd', status: '' });
    assert.deepEqual((await talker.event('idle')).user, { ...user, show: 'dnd', idle: true });
    await bob.setPresence({ show: 'xa', status: '' });
    assert.deepEqual((await talker.event('idle')).user, { ...user, show: 'xa', idle: true });
    assert.deepEqual((await Talker.as(alice, 'hall')).users[1], { ...user, show: 'xa', idle: true });
    await bob.setPresence({ show: 'chat', status: 'here' });
    assert.deepEqual((await talker.event('back')).user, { ...user, status: 'here' });
    await bob.setPresence({ show: 'chat', status: 'still here' });
    await talker.settled();
    assert.deepEqual(
      talker.events.items.slice(2).map(({ type }) => type),
      ['join', 'idle', 'idle', 'idle', 'back', 'error'],
    );
    assert.equal((await Talker.as(alice, 'hall')).users[1].status, 'still here');
  });

  test('whoever is removed from the room hears so, and nothing more', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const hall = await alice.room('hall');
    const stays = await Talker.as(alice, 'hall');
    const [removed, removedToo] = await Talker.together([bob, bob], 'hall');
    await alice.delete(`/threads/${hall}/members/bob`);
    for (const talker of [removed, removedToo]) await talker.isRefused(/you are no longer in this room/);
    await stays.about('leave', 'bob');
    stays.message('among ourselves');
    await stays.hears('among ourselves');
    assert.deepEqual(removed.contents, []);
    await Talker.as(bob, 'hall');
    await stays.about('join', 'bob');
  });

  test('a client that goes before it is connected was never there', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const hall = await alice.room('hall');
    const talker = await Talker.as(alice, 'hall');
    for (let i = 0; i < 20; i++) {
      const hasty = await Talker.open(gateway, { reading: false });
      hasty.say({ type: 'connect', room: 'hall', token: await bob.token() });
      await new Promise((done) => setTimeout(done, i / 10));
      hasty.break();
    }
    await gateway.metricBecomes('nereidd_talker_connections', 1);
    await waitFor(async () => {
      const connected = talker.all('join').length > 0; // one was quicker than we
      return connected || !(await isMember(bob, hall));
    }, 'it is as if it had not been');
  });
});

describe('coming back', { concurrency: 4 }, () => {
  test('with last_event_id one is shown what was missed, and no seam', async (t) => {
    const gateway = await startGateway(t, { 'talker.idle_grace': '100ms' });
    const [alice, bob, carol] = await gateway.people('alice', 'bob', 'carol');
    const [stays, goes] = await Talker.together([alice, bob], 'hall');
    stays.message('seen');
    const { id } = await goes.hears('seen');
    goes.break();
    await stays.about('leave', 'bob');
    for (let i = 0; i < 300; i++) stays.message(`missed ${i}`);
    const direct = await carol.send({ to: 'bob', message: 'from nobody in the room' });
    await bob.say(await bob.room('elsewhere'), 'said elsewhere');
    stays.message('the next', 'nobody');
    await stays.hears('missed 299');
    const back = await Talker.as(bob, 'hall', { last_event_id: id });
    assert.deepEqual(back.ids, ['alice', 'bob']);
    for (let i = 0; i < 10; i++) stays.message(`live ${i}`);
    await back.hears('live 9');
    const wanted = [
      ...Array.from({ length: 300 }, (_, i) => `missed ${i}`),
      ...Array.from({ length: 10 }, (_, i) => `live ${i}`),
    ];
    assert.deepEqual(back.contents, wanted);
    assert.ok(!back.all('message').some((message) => message.id === direct.UUID));
    assert.equal(back.events.items[0].type, 'connected');
    assert.equal(back.events.items[1].type, 'users');
  });

  test('private messages count as seen and as missed', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const [stays, goes] = await Talker.together([alice, bob], 'hall');
    stays.message('seen', 'bob');
    const { id } = await goes.hears('seen');
    goes.break();
    await stays.about('idle', 'bob');
    stays.message('psst', 'bob');
    await waitFor(async () => (await bob.history(await bob.thread('alice'))).messages.length === 2, 'it is stored');
    stays.message('hello');
    await stays.hears('hello');
    const back = await Talker.as(bob, 'hall', { last_event_id: id });
    await back.hears('hello');
    assert.deepEqual(
      back.all('message').map((message) => [message.content, message.private]),
      [
        ['psst', true],
        ['hello', undefined],
      ],
    );
  });

  test('an id that is unknown, or not for these eyes, is told, and nothing is shown', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob, carol] = await gateway.people('alice', 'bob', 'carol');
    const hall = await alice.room('hall');
    await bob.room('hall');
    await alice.say(hall, 'before');
    const secret = await alice.send({ to: 'carol', message: 'not for bob' });
    for (const id of [randomUUID(), secret.UUID, 'x', '', 17]) {
      const talker = await Talker.as(bob, 'hall', { last_event_id: id });
      assert.match((await talker.event('error')).message, /the last_event_id is not known here/);
      await talker.settled();
      assert.deepEqual(talker.contents, []);
      talker.close();
    }
    assert.ok(carol);
  });

  test('what was said while one was no member is told to be missing', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const [stays, phone, laptop] = await Talker.together([alice, bob, bob], 'hall');
    const hall = await alice.room('hall');
    stays.message('seen');
    const { id } = await phone.hears('seen');
    phone.break();
    await gateway.metricBecomes('nereidd_talker_connections', 2);
    await laptop.leave();
    await becomesMember(bob, hall, false);
    stays.message('missed');
    await stays.hears('missed');
    const back = await Talker.as(bob, 'hall', { last_event_id: id });
    assert.match((await back.event('error')).message, /you have not been a member all the time/);
    stays.message('from now on');
    await back.hears('from now on');
    assert.deepEqual(back.contents, ['from now on']);
  });

  test('without one only what happens from now on', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const hall = await alice.room('hall');
    await bob.room('hall');
    await alice.say(hall, 'before');
    const talker = await Talker.as(bob, 'hall');
    await alice.say(hall, 'after');
    await talker.hears('after');
    assert.deepEqual(talker.contents, ['after']);
  });

  test('the gateway starts again: clients are told, and find what they missed', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const [talker, early] = [await Talker.as(bob, 'hall'), await Talker.open(gateway)];
    talker.message('seen');
    const { id } = await talker.hears('seen');
    const stopped = gateway.restart();
    for (const one of [talker, early]) await one.isRefused(/the server is shutting down/);
    await stopped;
    await alice.say(await alice.room('hall'), 'missed');
    const back = await Talker.as(bob, 'hall', { last_event_id: id });
    await back.hears('missed');
    assert.deepEqual(back.contents, ['missed']);
  });
});

test('a room that nobody was let into is forgotten', async (t) => {
  const gateway = await startGateway(t, { 'limits.sessions_per_user': 1 });
  const alice = gateway.person('alice');
  const token = await alice.token();
  await Talker.enter(gateway, 'hall', token);
  for (let i = 0; i < 5; i++) {
    const refused = await Talker.open(gateway);
    refused.say({ type: 'connect', room: `room ${i}`, token });
    await refused.isRefused(/too many sessions/);
  }
  const roomsInMemory = async () => (await gateway.metrics()).samples.get('nereidd_threads');
  await waitFor(async () => (await roomsInMemory()) === 1, 'only one room is left in memory');
});

describe('silence', { concurrency: 4 }, () => {
  test('of talker.silence is a broken connection; any event resets it, an empty line does not', async (t) => {
    const gateway = await startGateway(t, { 'talker.silence': '3s' });
    const people = await gateway.people('alice', 'bob', 'carol', 'dave');
    const began = Date.now();
    const [silent, pinging, talking, blank] = await Talker.together(people, 'hall');
    const beat = setInterval(() => {
      pinging.ping();
      talking.message('x');
      blank.write('\n');
    }, 250);
    t.after(() => clearInterval(beat));
    await silent.isRefused(/nothing has been heard from you for too long/);
    assert.ok(Date.now() - began >= 2990, 'not before');
    await blank.isRefused(/nothing has been heard from you for too long/);
    await pinging.about('idle', 'alice');
    while (Date.now() - began < 7000) await pinging.hears('x');
    clearInterval(beat);
    pinging.ping();
    const last = Date.now();
    await pinging.isRefused(/nothing has been heard from you for too long/);
    assert.ok(Date.now() - last >= 2990, 'as long after the last event');
    assert.deepEqual(
      pinging.events.items.filter(({ type }) => type === 'error').length,
      1,
      'a ping is answered by nothing',
    );
    assert.ok((await gateway.limitHits('talker_silence')) >= 3);
  });

  test('what is heard does not count, only what is said', async (t) => {
    const gateway = await startGateway(t, { 'talker.silence': '1s' });
    const [alice, bob] = await gateway.people('alice', 'bob');
    const hall = await alice.room('hall');
    const talker = await Talker.as(bob, 'hall');
    const speech = (async () => {
      while (!talker.events.ended) await alice.say(hall, 'x');
    })();
    await talker.isRefused(/nothing has been heard from you/);
    await speech;
  });
});

describe('several nodes', { concurrency: 2 }, () => {
  test('a visit that a restart has cut short is over with the next close', async (t) => {
    const nodes = await startNodes(t, await startRedis(t), 2);
    const [alice, bob] = await meet(nodes, 'alice', 'bob');
    const stays = await Talker.as(alice.at(nodes[1]), 'hall');
    const hall = await alice.room('hall');
    const talker = await Talker.as(bob, 'hall');
    await nodes[0].restart();
    await nodes[0].becomesReady();
    await talker.end();
    assert.equal(await isMember(bob, hall), true);
    await (await Talker.as(bob, 'hall')).leave();
    await stays.about('leave', 'bob');
    await becomesMember(bob, hall, false);
  });

  test('what was said before close is heard on other nodes', async (t) => {
    const nodes = await startNodes(t, await startRedis(t), 2);
    const [alice, bob] = await meet(nodes, 'alice', 'bob');
    const listening = await Talker.as(bob.at(nodes[1]), 'hall');
    const parting = await Talker.as(alice, 'hall');
    await listening.about('join', 'alice');
    await sees(parting, 'bob');
    parting.message('psst', 'bob');
    parting.say({ type: 'close' });
    parting.raw.finish();
    assert.equal((await listening.hears('psst')).private, true);
    await becomesMember(alice, await bob.room('hall'), false);
  });

  test('a visit lasts until the last connection says close, on whatever node', async (t) => {
    const nodes = await startNodes(t, await startRedis(t), 2);
    const [alice, bob] = await meet(nodes, 'alice', 'bob');
    const stays = await Talker.as(alice, 'hall');
    const hall = await alice.room('hall');
    const [here, there] = [await Talker.as(bob, 'hall'), await Talker.as(bob.at(nodes[1]), 'hall')];
    await here.leave();
    there.message('still here');
    await stays.hears('still here');
    assert.deepEqual(stays.all('leave'), []);
    await there.leave();
    await stays.about('leave', 'bob');
    await becomesMember(bob, hall, false);
  });

  test('are one room', async (t) => {
    const redis = await startRedis(t);
    const nodes = await startNodes(t, redis, 2, { 'talker.idle_grace': '1s' });
    const [alice, bob] = await meet(nodes, 'alice', 'bob');
    const here = await Talker.as(alice, 'hall');
    const there = await Talker.as(bob.at(nodes[1]), 'hall');
    await here.about('join', 'bob');
    assert.deepEqual(there.ids.sort(), ['alice', 'bob']);
    here.message('hello');
    const { id } = await there.hears('hello');
    there.message('psst', 'alice');
    assert.equal((await here.hears('psst')).private, true);
    there.break();
    await here.about('idle', 'bob');
    here.message('missed');
    await here.hears('missed');
    const back = await Talker.as(bob, 'hall', { last_event_id: id });
    await here.about('back', 'bob');
    await back.hears('missed');
    const other = await Talker.as(bob.at(nodes[1]), 'hall');
    await other.leave();
    back.message('one presence');
    await here.hears('one presence');
    await back.leave();
    await here.about('leave', 'bob');
    assert.deepEqual(
      here.events.items.filter(({ user }) => (user?.id ?? user) === 'bob').map(({ type }) => type),
      ['join', 'message', 'idle', 'back', 'message', 'leave'],
    );
  });
});
