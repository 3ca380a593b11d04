// SPDX-License-Identifier: MIT
// Two browsers chat through whatever stands between them and the gateway: on the page as people have it, over the way
// that the library finds there. Times are those of the pages: of the key that sends, and of the words being there.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';

import { newBrowser, noBrowser, startChromium } from './lib/browser.js';
import { ChatPage } from './lib/chat_page.js';
import { startGateway } from './lib/gateway.js';
import { noHop, startHop } from './lib/hops.js';
import { www } from './lib/pages.js';
import { keepStalls, stalledBetween } from './lib/stalls.js';
import { TinyPage, tinyWww } from './lib/tiny_page.js';
import { waitFor, within } from './lib/wait.js';

const SOON_MS = 1000; // a message, once there is a way
const FIRST_MS = 5000; // the first message after a sign-in, even where the ladder has to climb down
const TALK = 8; // messages
const PASSES = /^Streams pass/;
const GATHERS = /^Something on the way gathers bytes, about [\d,]+ at a time/;
const CUTS = /^Something on the way cuts connections after (1\.[5-9]|2)/;
const WAITS = /^Something on the way waits for the end/;

// What stands between, the way that is found through it, and what the page says of it when asked: that takes some
// seconds, so not each says what others have said.
const HOPS = [
  { kind: 'none', way: 'stream', verdict: PASSES },
  { kind: 'nginx', way: 'stream' },
  { kind: 'nginx_passes', way: 'stream' },
  { kind: 'nginx_holds', way: 'poll', verdict: GATHERS },
  { kind: 'nginx_gzips', way: 'poll' },
  { kind: 'haproxy', way: 'stream', verdict: PASSES },
  { kind: 'squid', way: 'stream' },
  { kind: 'tinyproxy', way: 'stream' },
  { kind: 'holds_all', way: 'poll', verdict: WAITS },
  { kind: 'holds_bytes', way: 'poll' },
  { kind: 'holds_gets', way: 'post' },
  { kind: 'only_events', way: 'events' },
  { kind: 'cuts', options: { ms: 2000 }, way: 'stream', verdict: CUTS, ms: 6000 },
];

// What Chromium says of each connection that was cut.
const CUT = /^Failed to load resource: net::/;

let chromium;
before(async (t) => {
  if (!noBrowser) chromium = await startChromium(t);
});

// In each page: when its user signed in, and when they pressed Enter for the last time.
function keepTimes() {
  addEventListener('submit', () => (window.signedInAt ??= Date.now()), true);
  addEventListener('keydown', ({ key }) => key === 'Enter' && (window.saidAt = Date.now()), true);
}

// From now on: when a text is there to be read, wherever on the page.
function watchesFor(text) {
  return new Promise((seen) => {
    const look = () => {
      if (!document.body.innerText.includes(text)) return;
      watcher.disconnect();
      seen(Date.now());
    };
    const watcher = new MutationObserver(look);
    watcher.observe(document, { childList: true, subtree: true, characterData: true });
    look();
  });
}

class Talker {
  constructor(name, chat) {
    Object.assign(this, { name, chat });
  }

  static async signIn(hop, name) {
    const browser = await newBrowser(chromium, hop);
    await browser.addInitScript(keepTimes);
    await browser.addInitScript(keepStalls);
    const chat = await ChatPage.open(browser, hop.url);
    await chat.signIn(name);
    return new Talker(name, chat);
  }

  get page() {
    return this.chat.page;
  }

  // When the other's page shows what is said here, when it was said, and how long the pages stood still meanwhile.
  async tells(other, text) {
    const watched = other.page.evaluate(watchesFor, text);
    await this.chat.say(text);
    const said = await this.page.evaluate(() => window.saidAt);
    const seen = await within(watched, `${other.name}'s page shows “${text}”`);
    const stalls = await Promise.all([this, other].map(({ page }) => page.evaluate(() => window.stalls)));
    return { said, seen, stall: stalledBetween(stalls.flat(), said, seen) };
  }
}

// What the page says of what lies between.
async function examines({ page }) {
  await page.getByRole('button', { name: /^Connection: / }).first().click();
  const dialog = page.getByRole('dialog');
  const examine = dialog.getByRole('button', { name: 'Examine' });
  if (await examine.isEnabled()) await examine.click(); // where there is a reason to it begins by itself
  const verdict = dialog.locator('.verdict');
  await verdict.waitFor();
  return verdict.innerText();
}

// Each in turn says something, `TALK` times or for `ms` if that is longer; how long it took each time. A machine that
// is too busy to run the pages is no fault of the way; where it does not get to run the gateway or the proxy in time,
// one message may be late.
async function talk([alice, bob], ms) {
  const times = [];
  let late = 0;
  for (const end = Date.now() + ms; times.length < TALK || Date.now() < end; ) {
    const [from, to] = times.length % 2 ? [alice, bob] : [bob, alice];
    const { said, seen, stall } = await from.tells(to, `message ${times.length}.`);
    times.push(seen - said);
    if (seen - said > SOON_MS + stall) late++;
    assert.ok(late <= 1, `within ${SOON_MS} ms: ${times} (the pages stood still for ${stall})`);
  }
  return times;
}

// The ways they have; none while a connection that was cut is made again.
function waysOf(talkers) {
  const wayOf = ({ name, chat }) => waitFor(async () => (await chat.state()).way, `${name} is connected`);
  return Promise.all(talkers.map(wayOf));
}

// Alice and Bob sign in at a gateway of their own and talk; resolves with the ways they took, which a machine that is
// too busy may have made look worse than they are.
async function converse(t, { kind, options, verdict, ms = 0 }) {
  const gateway = await startGateway(t, { 'http.www': www });
  const hop = await startHop(t, kind, gateway, options);
  await gateway.people('alice', 'bob');
  const talkers = await Promise.all(['alice', 'bob'].map((name) => Talker.signIn(hop, name)));
  const leave = () => Promise.all(talkers.map(({ page }) => page.context().close()));
  t.after(leave);
  const [alice, bob] = talkers;

  await alice.chat.startWith('bob');
  const { said, seen, stall } = await alice.tells(bob, 'the first');
  const signedInAt = await bob.page.evaluate(() => window.signedInAt);
  t.diagnostic(`the first: ${seen - said} ms after it was sent, ${seen - signedInAt} ms after the sign-in`);
  assert.ok(seen <= Math.max(signedInAt + FIRST_MS, said + SOON_MS) + stall, 'the first message is there in time');

  const found = await waysOf(talkers);
  await bob.chat.startWith('alice');
  const times = await talk(talkers, ms);
  t.diagnostic(`messages: ${times.join(', ')} ms`);
  const median = times.toSorted((a, b) => a - b)[times.length >> 1];
  assert.ok(median <= SOON_MS, `however busy the machine is, most are: ${times}`);
  const texts = ['the first', ...times.map((_, i) => `message ${i}.`)];
  for (const { chat, name } of talkers) assert.deepEqual(await chat.texts(), texts, `what ${name} sees`);
  const kept = await waysOf(talkers);
  if (verdict) assert.match(await examines(bob), verdict);
  for (const { chat } of talkers) assert.deepEqual(chat.complaints.filter((line) => !CUT.test(line)), []);
  await leave();
  return isDeepStrictEqual(kept, found) ? found : [...found, ...kept];
}

describe('two browsers chat through', { skip: noBrowser, concurrency: 2 }, () => {
  for (const hop of HOPS)
    test(`${hop.kind}, over “${hop.way}”`, { skip: noHop(hop.kind) }, async (t) => {
      const expected = [hop.way, hop.way];
      let ways = await converse(t, hop);
      if (!isDeepStrictEqual(ways, expected)) {
        t.diagnostic(`once more: the ways were ${ways}`);
        ways = await converse(t, hop);
      }
      assert.deepEqual(ways, expected);
    });

  test('holds_all, and hear what is said while a way is looked for', async (t) => {
    const gateway = await startGateway(t, { 'http.www': await tinyWww(t) });
    const hop = await startHop(t, 'holds_all', gateway);
    const [, bob] = await gateway.people('alice', 'bob');
    const browser = await newBrowser(chromium);
    t.after(() => browser.close());
    const alice = await TinyPage.open(browser, hop.url, 'alice');
    await waitFor(() => hop.asked.some((line) => line.includes('/stream')), 'a stream is tried');
    await bob.send({ to: 'alice', message: 'in between' });
    const at = await alice.hears('in between');
    const { startedAt, stalls } = await alice.log();
    assert.ok(at - startedAt <= FIRST_MS + stalledBetween(stalls, startedAt, at));
    assert.equal((await alice.listens()).way, 'poll');
    assert.deepEqual(await alice.texts(), ['in between']);
  });

  test('holds_all, and after a reload no stream is tried before messages come', async (t) => {
    const gateway = await startGateway(t, { 'http.www': www });
    const hop = await startHop(t, 'holds_all', gateway);
    await gateway.people('alice', 'bob');
    const bob = await Talker.signIn(hop, 'bob');
    t.after(() => bob.page.context().close());
    assert.deepEqual(await waysOf([bob]), ['poll']);
    await bob.page.reload();
    await bob.chat.isIn();
    assert.deepEqual(await waysOf([bob]), ['poll']);
    const asked = await bob.page.evaluate(() => performance.getEntriesByType('resource').map(({ name }) => name));
    assert.deepEqual(asked.filter((url) => url.includes('/nereid-chat/stream')), []);
    assert.ok(asked.some((url) => url.includes('/nereid-chat/poll')));
  });
});
