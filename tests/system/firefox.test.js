// SPDX-License-Identifier: MIT
// The pages in Firefox: the same ways, locks and channels as in Chromium, of another make. What is tried here is what
// another browser may do otherwise; the rest is tried in Chromium alone.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { openPage } from './lib/browser.js';
import { FirefoxChat, noFirefox, startFirefox } from './lib/firefox.js';
import { startGateway } from './lib/gateway.js';
import { startHop } from './lib/hops.js';
import { operator, www } from './lib/pages.js';
import { startRelay } from './lib/relay.js';
import { waitFor } from './lib/wait.js';

const STREAMS = 'nereidd_sessions{protocol="nereid-stream"}';

// What Firefox says of an answer of 401 at the door, and of connections that are lost.
const EXPECTED = /401|NS_ERROR|NetworkError|can.t establish a connection|was interrupted|Cross-Origin Request/;

let firefox;
before(async (t) => {
  if (!noFirefox) firefox = await startFirefox(t);
});

// A gateway with the page, and a browser of its own; bob is somebody without a page.
async function start(t, options = {}) {
  const gateway = await startGateway(t, { 'http.www': www, ...options });
  const [, bob] = await gateway.people('alice', 'bob');
  const browser = await firefox.createBrowserContext();
  t.after(() => browser.close());
  return { gateway, bob, browser };
}

const complaints = ({ page }) => page.told.filter((line) => !EXPECTED.test(line));

describe('in Firefox', { skip: noFirefox }, () => {
  test('people chat on the page', async (t) => {
    const { gateway, bob, browser } = await start(t);
    const chat = await FirefoxChat.signIn(browser, gateway.url, 'alice');
    await chat.becomes({ mode: 'live' });
    await bob.send({ to: 'alice', message: 'hello' });
    await chat.openThread('bob');
    await chat.hears('hello');
    await chat.say('hello yourself');
    await chat.hears('hello yourself');
    const { stanzas } = await bob.poll({ wait: 0, since: '0' });
    assert.ok(stanzas.some(({ message }) => message?.text === 'hello yourself'));
    assert.deepEqual(complaints(chat), []);
  });

  test('html messages are shown without what they could do', async (t) => {
    const { gateway, bob, browser } = await start(t);
    const chat = await FirefoxChat.signIn(browser, gateway.url, 'alice');
    const evil = '<b>bold</b><img src=x onerror="hurt=1"><svg onload="hurt=1"></svg><script>hurt=1</script>';
    await bob.send({ to: 'alice', type: 'html', message: `${evil}<a href="javascript:hurt=1">link</a>` });
    await chat.openThread('bob');
    await waitFor(async () => (await chat.texts()).join().includes('link'), 'the message is shown');
    const found = await chat.page.$$eval('#log .bubble *', (all) => all.map(({ outerHTML }) => outerHTML).join());
    assert.match(found, /<(b|strong)>bold/);
    assert.doesNotMatch(found, /onerror|onload|javascript:|<script|<svg/);
    assert.equal(await chat.page.evaluate(() => typeof window.hurt), 'undefined');
  });

  test('two tabs make one stream, and one goes on when the other is closed', async (t) => {
    const { gateway, bob, browser } = await start(t);
    const first = await FirefoxChat.signIn(browser, gateway.url, 'alice');
    await first.becomes({ mode: 'live', leads: true });
    const second = await FirefoxChat.signIn(browser, gateway.url, 'alice');
    await second.becomes({ mode: 'live', leads: false });
    await gateway.metricBecomes(STREAMS, 1);
    await first.page.close();
    await second.becomes({ mode: 'live', leads: true });
    await bob.send({ to: 'alice', message: 'still there?' });
    await second.openThread('bob');
    await second.hears('still there?');
    await gateway.metricBecomes(STREAMS, 1);
  });

  for (const [kind, way] of [
    ['holds_all', 'poll'],
    ['only_events', 'events'],
  ])
    test(`${kind} leaves “${way}”`, async (t) => {
      const { gateway, bob, browser } = await start(t);
      const hop = await startHop(t, kind, gateway);
      const chat = await FirefoxChat.signIn(browser, hop.url, 'alice');
      const found = await chat.isConnected();
      // A machine that is too busy makes a way look worse than it is.
      assert.ok([way, 'poll'].includes(found), `${found}`);
      await bob.send({ to: 'alice', message: 'through' });
      await chat.openThread('bob');
      await chat.hears('through');
    });

  test('a page that is left open goes on after a restart of the gateway', async (t) => {
    const { gateway, bob, browser } = await start(t);
    const relay = await startRelay(t, gateway); // the gateway comes back with another port
    const chat = await FirefoxChat.signIn(browser, relay.url, 'alice');
    await bob.send({ to: 'alice', message: 'before' });
    await chat.openThread('bob');
    await chat.hears('before');
    await gateway.restart();
    await bob.send({ to: 'alice', message: 'after' });
    await chat.hears('after');
    await chat.becomes({ mode: 'live' });
    assert.deepEqual(await chat.texts(), ['before', 'after']);
    assert.deepEqual(complaints(chat), []);
  });

  test('the operator’s page draws what goes on', async (t) => {
    const { gateway, browser } = await start(t, { 'admin.www': operator });
    const page = await openPage(browser, `${gateway.adminUrl}/`);
    await waitFor(() => page.evaluate(() => document.body.dataset.mode === 'serving'), 'it has numbers');
    await waitFor(() => page.$$eval('canvas', (all) => all.length > 3), 'it has charts');
    assert.deepEqual(complaints({ page }), []);
  });
});
