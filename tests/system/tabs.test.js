// SPDX-License-Identifier: MIT
// The client library in the tabs of a real browser: one stream for all of them, whoever comes and goes; and a page that
// is left open through whatever happens to the network and the gateway.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { newBrowser, noBrowser, openPage, startChromium, startHidingChromium } from './lib/browser.js';
import { ChatPage } from './lib/chat_page.js';
import { startGateway } from './lib/gateway.js';
import { meet, startNodes } from './lib/nodes.js';
import { www } from './lib/pages.js';
import { randomOf } from './lib/random.js';
import { startRedis } from './lib/redis.js';
import { startRelay } from './lib/relay.js';
import { stalledBetween } from './lib/stalls.js';
import { TinyPage, tinyWww } from './lib/tiny_page.js';
import { PATIENCE_MS, waitFor, within } from './lib/wait.js';

const STREAMS = 'nereidd_sessions{protocol="nereid-stream"}';
const SOON_MS = 1000; // each message, and another tab that takes over
const PACE_MS = 20; // between the messages of somebody who talks all the time

let chromium;
before(async (t) => {
  if (noBrowser) return;
  chromium = await startChromium(t, {
    args: ['--host-resolver-rules=MAP *.test 127.0.0.1'],
    ignoreDefaultArgs: ['--disable-back-forward-cache'], // pages that are left are kept, as they are for people
  });
});

// A gateway with the page, and a browser that is there. `base` is where the page is.
async function startChat(t, options = {}) {
  const gateway = await startGateway(t, { 'http.www': await tinyWww(t), ...options });
  const browser = await newBrowser(chromium);
  t.after(() => browser.close());
  const [bob] = await gateway.people('bob', 'alice');
  return { gateway, browser, bob, base: gateway.url };
}

async function openTabs({ browser, base }, user, count, options) {
  const tabs = [];
  while (tabs.length < count) tabs.push(await TinyPage.open(browser, base, user, options));
  await Promise.all(tabs.map((tab) => tab.listens()));
  return tabs;
}

async function leadersOf(tabs) {
  const states = await Promise.all(tabs.map((tab) => tab.state));
  return tabs.filter((_, i) => states[i].leads);
}

// Sends numbers one after the other until `stop`, which resolves with { text, at } of each; `at` is when it began to.
function startTalking(person, to) {
  const told = [];
  let talks = true;
  const done = (async () => {
    for (let i = 0; talks; i++) {
      const text = `number ${i}`;
      told.push({ text, at: Date.now() });
      await person.send({ to, message: text });
      await sleep(PACE_MS);
    }
    return told;
  })();
  return {
    stop: () => ((talks = false), within(done, 'the last message is sent')),
    passes: (count) => waitFor(() => told.length > count, `${count} messages are sent`),
    get count() {
      return told.length;
    },
  };
}

// A tab has each message once, in order, and soon after it was sent. `ends` are times in which another tab came to its
// end, { from, to }: what was sent then may come as soon after it. One may be late: the machine may have been too busy
// for the gateway. Resolves with the ms of the latest.
async function heardAll(tab, told, { ms = SOON_MS, ends = [] } = {}) {
  await tab.hears(told.at(-1).text);
  const { heard, stalls } = await tab.log();
  assert.deepEqual(
    heard.map(({ text }) => text),
    told.map(({ text }) => text),
  );
  const times = told.map(({ at, text }, i) => {
    const end = ends.find(({ from, to }) => at >= from && at <= to);
    const took = heard[i].at - Math.max(at, end?.to ?? 0);
    return { text, took, isLate: took > ms + stalledBetween(stalls, at, heard[i].at) };
  });
  const late = times.filter(({ isLate }) => isLate);
  assert.ok(late.length <= 1, `each is there within ${ms} ms: ${JSON.stringify(late)}`);
  return Math.max(...times.map(({ took }) => took));
}

// A text that was sent at `at` is there soon.
async function hearsSoon(tab, text, at) {
  const took = (await tab.hears(text)) - at;
  const { stalls } = await tab.log();
  assert.ok(took <= SOON_MS + stalledBetween(stalls, at, at + took), `“${text}” is there after ${took} ms`);
}

// How a tab that leads may come to its end.
const ends = {
  'is closed': (tab) => tab.page.close(),
  'goes to another page': (tab) => tab.page.goto('about:blank'),
  'closes its chat': (tab) => tab.page.evaluate(() => window.chat.close()),
  crashes: async (tab) => {
    const session = await tab.page.context().newCDPSession(tab.page);
    const crashed = tab.page.waitForEvent('crash');
    session.send('Page.crash').catch(() => {});
    await crashed;
  },
};

// How a tab may be put aside, and be there again as it was.
const pauses = {
  'goes to another page and back': async (tab, base) => {
    await tab.page.goto(`${base}/tiny.js`);
    return async () => {
      await tab.page.goBack({ waitUntil: 'commit' }); // nothing is loaded
      await tab.page.waitForFunction(() => window.log.persisted);
    };
  },
  'hangs for a while': async (tab) => {
    const session = await tab.page.context().newCDPSession(tab.page);
    await session.send('Debugger.enable');
    await session.send('Debugger.pause'); // at the next step of its script: a lock is still held, a stream still read
    return () => session.send('Debugger.disable');
  },
};

// All texts of a thread of two, in their order.
async function everythingSaid(person, other) {
  const thread = await person.thread(other);
  const all = [];
  for (let page = { before: '' }; page.before !== null; ) {
    page = await person.history(thread, { limit: 200, ...(page.before && { before: page.before }) });
    all.unshift(...page.messages.map(({ message }) => message.text));
  }
  return all;
}

describe('tabs of one browser', { skip: noBrowser, concurrency: 3 }, () => {
  for (const count of [2, 6])
    test(`${count} of them make one stream, and each hears everything`, async (t) => {
      const chat = await startChat(t);
      const tabs = await openTabs(chat, 'alice', count);
      await chat.gateway.metricBecomes(STREAMS, 1);
      assert.equal((await leadersOf(tabs)).length, 1);
      const talk = startTalking(chat.bob, 'alice');
      await talk.passes(20);
      const told = await talk.stop();
      await Promise.all(tabs.map((tab) => heardAll(tab, told)));
      await chat.gateway.metricBecomes(STREAMS, 1);
    });

  test('a late one knows who is there and how the stream is', async (t) => {
    const chat = await startChat(t);
    const [first] = await openTabs(chat, 'alice', 1);
    await chat.bob.setPresence({ show: 'dnd', status: 'deep in it' });
    const showOf = (tab) => tab.page.evaluate(() => window.chat.people.get('bob')?.status);
    await waitFor(async () => (await showOf(first)) === 'deep in it', 'the first tab knows');
    const late = await TinyPage.open(chat.browser, chat.base, 'alice');
    const state = await late.listens();
    assert.deepEqual(state, { ...(await first.state), leads: false });
    assert.equal(await showOf(late), 'deep in it');
    await chat.gateway.metricBecomes(STREAMS, 1);
  });

  test('any of them sends, and all hear it once', async (t) => {
    const chat = await startChat(t);
    const tabs = await openTabs(chat, 'alice', 3);
    for (const [i, tab] of tabs.entries()) {
      const at = await tab.send({ to: 'bob', text: `from tab ${i}` });
      for (const other of tabs) await hearsSoon(other, `from tab ${i}`, at);
      await waitFor(async () => (await tab.state).unsent === 0, 'the tab knows that it was sent');
    }
    for (const tab of tabs) assert.deepEqual(await tab.texts(), ['from tab 0', 'from tab 1', 'from tab 2']);
    const sent = await Promise.all(tabs.map(async (tab) => (await tab.log()).sent.map(({ text }) => text)));
    assert.deepEqual(sent, [['from tab 0'], ['from tab 1'], ['from tab 2']]);
  });

  for (const [how, end] of Object.entries(ends))
    test(`one that leads and ${how} is replaced within a second, and nothing is missed or doubled`, async (t) => {
      const chat = await startChat(t);
      const tabs = await openTabs(chat, 'alice', 3);
      const talk = startTalking(chat.bob, 'alice');
      const times = [];
      for (let left = 2; left >= 1; left--) {
        await talk.passes(talk.count + 10);
        const [leader] = await leadersOf(tabs);
        tabs.splice(tabs.indexOf(leader), 1);
        const from = Date.now();
        await end(leader);
        times.push({ from, to: Date.now() });
        await waitFor(async () => (await leadersOf(tabs)).length === 1, 'another tab leads');
        await Promise.all(tabs.map((tab) => tab.listens()));
      }
      await talk.passes(talk.count + 10);
      const told = await talk.stop();
      t.diagnostic(`the latest after ${await heardAll(tabs[0], told, { ends: times })} ms`);
      await chat.gateway.metricBecomes(STREAMS, 1);
    });

  test('that come and go as it happens: none of them misses or doubles anything', async (t) => {
    const draw = randomOf(t);
    const chat = await startChat(t);
    const tabs = await openTabs(chat, 'alice', 2);
    const logs = []; // of those that have gone
    const doings = [
      async () => tabs.length < 6 && tabs.push(await TinyPage.open(chat.browser, chat.base, 'alice')),
      async (tab) => {
        if (tabs.length < 2) return;
        tabs.splice(tabs.indexOf(tab), 1);
        logs.push(await tab.log());
        await ends[['is closed', 'crashes'][draw(2)]](tab);
      },
      async (tab) => (await pauses['goes to another page and back'](tab, chat.base))(),
      (tab) => tab.send({ to: 'bob', text: `from tab ${draw(1e9)}` }),
    ];
    const talk = startTalking(chat.bob, 'alice');
    for (let i = 0; i < 24; i++) await doings[draw(doings.length)](tabs[draw(tabs.length)]);
    await Promise.all(tabs.map((tab) => tab.listens()));
    const told = await talk.stop();
    await Promise.all(tabs.map((tab) => tab.hears(told.at(-1).text)));
    for (const tab of tabs) await waitFor(async () => (await tab.state).unsent === 0, 'all is sent');

    const log = await everythingSaid(chat.bob, 'alice');
    for (const { heard } of [...logs, ...(await Promise.all(tabs.map((tab) => tab.log())))]) {
      const texts = heard.map(({ text }) => text);
      const from = Math.max(0, log.indexOf(texts[0]));
      assert.deepEqual(texts, log.slice(from, from + texts.length));
    }
    await chat.gateway.metricBecomes(STREAMS, 1);
  });

  test('one that leads and is hidden notices that its connection is dead, though its timers are late', async (t) => {
    const { gateway, bob } = await startChat(t);
    const relay = await startRelay(t, gateway);
    const browser = await startHidingChromium(t);
    const times = JSON.stringify({ heartbeat: 1000, request: 1000, max: 1000, patience: 5000 });
    const becomes = (page, mode) => page.waitForFunction((mode) => window.chat?.state.mode === mode, {}, mode);
    const open = async () => {
      const page = await openPage(browser, `${relay.url}/?${new URLSearchParams({ user: 'alice', times })}`);
      await becomes(page, 'live');
      return page;
    };
    const [leader, other] = [await open(), await open()];
    await other.bringToFront();
    assert.equal(await leader.evaluate(() => document.hidden && window.chat.state.leads), true);
    for (let round = 0; round < 2; round++) {
      relay.swallows = 'everything';
      const isLive = () => other.evaluate(() => window.chat.state.mode === 'live');
      await waitFor(async () => !(await isLive()), 'the one that is looked at says so', 2 * PATIENCE_MS);
      relay.swallows = 'nothing';
      relay.cut();
      await waitFor(isLive, 'it is live again');
    }
    await bob.send({ to: 'alice', message: 'meanwhile' });
    const hasHeard = () => other.evaluate(() => window.log.heard.some(({ text }) => text === 'meanwhile'));
    await waitFor(hasHeard, 'it hears what is said');
  });

  test('two users in one browser have a stream each', async (t) => {
    const chat = await startChat(t);
    const tabs = [...(await openTabs(chat, 'alice', 2)), ...(await openTabs(chat, 'carol', 2))];
    await chat.gateway.metricBecomes(STREAMS, 2);
    assert.equal((await leadersOf(tabs)).length, 2);
    await chat.bob.send({ to: 'alice', message: 'for alice' });
    await chat.bob.send({ to: 'carol', message: 'for carol' });
    for (const tab of tabs) {
      await tab.hears(`for ${tab.user}`);
      assert.deepEqual(await tab.texts(), [`for ${tab.user}`]);
    }
  });

  test('without Web Locks, where the origin is not secure, each has a stream of its own', async (t) => {
    const chat = await startChat(t);
    const base = chat.base.replace('127.0.0.1', 'chat.test');
    const tabs = await openTabs({ ...chat, base }, 'alice', 2);
    for (const tab of tabs) assert.equal(await tab.page.evaluate(() => window.isSecureContext), false);
    await chat.gateway.metricBecomes(STREAMS, 2);
    const at = await tabs[0].send({ to: 'bob', text: 'hello' });
    for (const tab of tabs) await hearsSoon(tab, 'hello', at);
    for (const tab of tabs) assert.deepEqual(await tab.texts(), ['hello']);
  });

  // One that hangs is noticed by its silence, and when it does not answer.
  const times = { heartbeat: 1000 };
  const LATEST_MS = 2.5 * times.heartbeat + 3000 + SOON_MS;
  for (const [how, pause] of Object.entries(pauses))
    test(`one that leads and ${how} lets another lead, and has all it missed`, async (t) => {
      const chat = await startChat(t);
      const [leader, other] = await openTabs(chat, 'alice', 2, { times });
      assert.ok((await leader.state).leads);
      const talk = startTalking(chat.bob, 'alice');
      await talk.passes(10);
      const comesBack = await pause(leader, chat.base);
      await waitFor(async () => (await other.state).leads, 'the other leads');
      await talk.passes(talk.count + 10);
      await comesBack();
      await waitFor(async () => !(await leader.state).leads, 'it has noticed');
      await leader.listens();
      await talk.passes(talk.count + 10);
      const told = await talk.stop();
      await heardAll(leader, told, { ms: Infinity });
      await heardAll(other, told, { ms: LATEST_MS });
      await chat.gateway.metricBecomes(STREAMS, 1);
    });
});

describe('a page that is left open', { skip: noBrowser, concurrency: 3 }, () => {
  // How a network fails; each resolves with how it is mended.
  const outages = {
    'the browser is offline': async ({ browser, relay }) => {
      await browser.setOffline(true);
      relay.cut(); // Chromium leaves streams alone that are there
      return () => browser.setOffline(false);
    },
    'no connection lasts': async ({ relay }) => {
      relay.away = true;
      relay.cut();
      return () => (relay.away = false);
    },
    'the network swallows everything': async ({ relay }) => {
      relay.swallows = 'everything';
      return () => (relay.swallows = 'nothing');
    },
    'only answers get lost': async ({ relay }) => {
      relay.swallows = 'answers';
      return () => (relay.swallows = 'nothing');
    },
  };
  // Whoever waits for an answer notices sooner than by default.
  const times = { heartbeat: 1000, request: 1000, max: 1000 };
  for (const [how, outage] of Object.entries(outages))
    test(`has every message once, and its own arrive once and in order, after a while in which ${how}`, async (t) => {
      const chat = await startChat(t);
      chat.relay = await startRelay(t, chat.gateway);
      const [alice] = await openTabs({ ...chat, base: chat.relay.url }, 'alice', 1, { times });
      await chat.bob.send({ to: 'alice', message: 'before' });
      await alice.hears('before');

      const comesBack = await outage(chat);
      const own = Array.from({ length: 10 }, (_, i) => `own ${i}`);
      for (const text of own) await alice.send({ to: 'bob', text });
      const others = Array.from({ length: 10 }, (_, i) => `other ${i}`);
      for (const text of others) await chat.bob.send({ to: 'alice', message: text });
      await waitFor(async () => (await alice.state).mode === 'offline', 'the page knows that it is offline');
      assert.deepEqual([(await alice.state).unsent, await alice.texts()], [own.length, ['before']]);
      await comesBack();

      await Promise.all([alice.hears(own.at(-1)), alice.hears(others.at(-1))]);
      await waitFor(async () => (await alice.state).unsent === 0, 'nothing is left to send');
      const log = await everythingSaid(chat.bob, 'alice');
      assert.deepEqual(await alice.texts(), log);
      for (const texts of [own, others]) {
        const these = log.filter((text) => texts.includes(text));
        assert.deepEqual(these, texts, 'each is there once, and in order');
      }
      assert.equal(log.length, 1 + own.length + others.length);
      const { sent } = await alice.log();
      const answered = sent.map(({ text }) => text);
      assert.deepEqual(answered, own);
    });

  for (const how of ['stop', 'kill'])
    test(`goes on by itself after nereidd was ${how === 'stop' ? 'restarted in order' : 'killed'}`, async (t) => {
      const chat = await startChat(t);
      const relay = await startRelay(t, chat.gateway);
      const tabs = await openTabs({ ...chat, base: relay.url }, 'alice', 2);
      await chat.bob.send({ to: 'alice', message: 'before' });
      await Promise.all(tabs.map((tab) => tab.hears('before')));
      await chat.gateway[how]();
      await waitFor(async () => (await tabs[0].state).mode === 'offline', 'the page knows');
      await tabs[1].send({ to: 'bob', text: 'into the void' });
      await chat.gateway.start();
      await chat.bob.send({ to: 'alice', message: 'after' });
      for (const tab of tabs) {
        await Promise.all(['after', 'into the void'].map((text) => tab.hears(text)));
        assert.deepEqual((await tab.texts()).sort(), ['after', 'before', 'into the void']);
      }
      await Promise.all(tabs.map((tab) => tab.listens()));
      await chat.gateway.metricBecomes(STREAMS, 1);
    });

  test('goes on at another node when its own is gone', async (t) => {
    const nodes = await startNodes(t, await startRedis(t), 2, { 'http.www': await tinyWww(t) });
    const browser = await newBrowser(chromium);
    t.after(() => browser.close());
    let node = nodes[0];
    const relay = await startRelay(t, { address: () => node.address() });
    const [, bob] = await meet(nodes, 'alice', 'bob');
    const tabs = await openTabs({ browser, base: relay.url }, 'alice', 2);
    const talk = startTalking(bob.at(nodes[1]), 'alice');
    await talk.passes(10);
    node = nodes[1];
    await nodes[0].kill();
    await waitFor(async () => (await nodes[1].metric(STREAMS)) === 1, 'the stream is at the other node');
    await talk.passes(talk.count + 10);
    const told = await talk.stop();
    await Promise.all(tabs.map((tab) => heardAll(tab, told, { ms: Infinity })));
  });

  test('does not notice that its token ends', async (t) => {
    const chat = await startChat(t, { 'token.ttl': '4s' });
    const [alice] = await openTabs(chat, 'alice', 1);
    const talk = startTalking(chat.bob, 'alice');
    const tokens = () =>
      alice.page.evaluate(() => {
        const requests = performance.getEntriesByType('resource');
        return requests.filter(({ name }) => name.endsWith('/token')).length;
      });
    await waitFor(async () => (await tokens()) >= 3, 'the token has been renewed twice');
    await heardAll(alice, await talk.stop());
    const modes = (await alice.log()).states.map(({ mode }) => mode);
    assert.deepEqual(modes.slice(modes.indexOf('live')), ['live']);
    await chat.gateway.metricBecomes(STREAMS, 1);
  });

  test('is the chat page, and stays signed in and where it was while nereidd is killed', async (t) => {
    const gateway = await startGateway(t, { 'http.www': www });
    const relay = await startRelay(t, gateway);
    const [, bob] = await gateway.people('alice', 'bob');
    const browser = await newBrowser(chromium);
    t.after(() => browser.close());
    const chat = await ChatPage.open(browser, relay.url);
    await chat.signIn('alice');
    await chat.startWith('bob');
    await chat.isConnected();
    await bob.send({ to: 'alice', message: 'before' });
    await chat.hears('before');
    await gateway.kill();
    await chat.stateBecomes('offline');
    await chat.say('meanwhile');
    await gateway.start();
    await bob.send({ to: 'alice', message: 'after' });
    await chat.hears('after');
    await chat.isConnected();
    await waitFor(async () => (await chat.state()).unsent === 0, 'nothing is left to send');
    assert.deepEqual((await chat.texts()).toSorted(), ['after', 'before', 'meanwhile']);
    assert.deepEqual((await everythingSaid(bob, 'alice')).toSorted(), ['after', 'before', 'meanwhile']);
  });
});
