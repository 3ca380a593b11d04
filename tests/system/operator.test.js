// SPDX-License-Identifier: MIT
// The operator's page in a real browser: what it shows is what /metrics says, whatever happens to the gateway.
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { History } from '../../www/operator/history.js';
import { Interval, Reading } from '../../www/operator/metrics.js';
import * as format from '../../www/operator/format.js';
import { noBrowser, serveElsewhere, startBrowser } from './lib/browser.js';
import { startGateway } from './lib/gateway.js';
import { startNode } from './lib/nodes.js';
import { OperatorPage } from './lib/operator_page.js';
import { operator } from './lib/pages.js';
import { RawSocket } from './lib/raw.js';
import { startRedis } from './lib/redis.js';
import { connect } from './lib/socketio.js';
import { Talker } from './lib/talker.js';
import { waitFor } from './lib/wait.js';

const axe = fileURLToPath(new URL('node_modules/axe-core/axe.min.js', import.meta.url));

const withPage = { 'admin.www': operator };

// The browser itself tells of requests that nobody answers.
const isOurs = (line) => !/^Failed to load resource: (net::ERR_|the server responded with a status of 4)/.test(line);

async function startWithPage(t, options = {}) {
  const gateway = await startGateway(t, { ...withPage, ...options });
  const page = await OperatorPage.open(await startBrowser(t), gateway.adminUrl);
  await page.becomes('serving');
  return { gateway, page };
}

const sessionsOf = (protocol) => `nereidd_sessions{protocol="${protocol}"}`;

// --- what is reckoned, without a browser

const text = (samples, kind = 'counter') =>
  Object.entries(samples)
    .map(([key, value]) => `# TYPE ${key.replace(/\{.*/, '')} ${kind}\n${key} ${value}\n`)
    .join('');
const reading = (samples, at = 0, kind = 'counter') => new Reading(text(samples, kind), { at, wall: at });

describe('reckoning', () => {
  test('rates are what was added in a time', () => {
    const interval = new Interval(reading({ a_total: 10 }, 1000), reading({ a_total: 25 }, 3000));
    assert.equal(interval.rate('a_total'), 7.5);
    assert.equal(interval.rate('b_total'), null, 'of what is not there there is none');
    assert.equal(new Interval(null, reading({ a_total: 25 })).rate('a_total'), null, 'nor from one answer alone');
  });

  test('another run of the gateway does not follow the one before', () => {
    const first = reading({ a_total: 10 });
    assert.ok(reading({ a_total: 10 }).follows(first));
    assert.ok(!reading({ a_total: 9 }).follows(first));
    const gauges = [reading({ a: 10 }, 0, 'gauge'), reading({ a: 9 }, 0, 'gauge')];
    assert.ok(gauges[1].follows(gauges[0]), 'gauges may fall');
    const started = (seconds) => reading({ process_start_time_seconds: seconds }, 0, 'gauge');
    assert.ok(!started(2).follows(started(1)), 'even if it has counted more already');
  });

  test('quantiles lie within the bucket that holds them', () => {
    const histogram = (counts, sum) =>
      new Reading(
        [
          '# TYPE t histogram',
          ...['0.001', '0.01', '0.1', '+Inf'].map((le, i) => `t_bucket{le="${le}"} ${counts[i]}`),
          `t_sum ${sum}`,
          `t_count ${counts[3]}`,
          '',
        ].join('\n'),
        { at: 0, wall: 0 },
      );
    const interval = new Interval(histogram([5, 5, 5, 5], 1), histogram([5, 105, 125, 126], 3.1));
    assert.equal(interval.quantile('t', 0.5).toFixed(6), (0.001 + 0.009 * (60.5 / 100)).toFixed(6));
    assert.ok(interval.quantile('t', 0.9) > 0.01 && interval.quantile('t', 0.9) <= 0.1);
    assert.equal(interval.quantile('t', 0.999), Infinity);
    assert.equal(interval.mean('t').toFixed(6), (2.1 / 121).toFixed(6));
    const idle = new Interval(histogram([5, 5, 5, 5], 1), histogram([5, 5, 5, 5], 1));
    assert.deepEqual([idle.mean('t'), idle.quantile('t', 0.99)], [null, null]);
  });

  test('a history is bounded, and has holes where nothing is known', () => {
    const history = new History(4);
    history.add(1, [['a', 10]]);
    history.interrupt();
    history.interrupt();
    history.add(9, [
      ['a', 20],
      ['b', Infinity],
    ]);
    assert.deepEqual(history.column('a'), [10, null, 20]);
    assert.deepEqual(history.column('b'), [null, null, null]);
    assert.deepEqual(history.range('a', 0), { lowest: 10, highest: 20 });
    assert.deepEqual(history.range('a', 5), { lowest: 20, highest: 20 });
    assert.equal(history.range('b', 0), null);
    for (let time = 10; time < 20; time++) history.add(time, [['a', time]]);
    assert.deepEqual(
      [history.times, history.column('a')],
      [
        [16, 17, 18, 19],
        [16, 17, 18, 19],
      ],
    );
    history.add(3, [['a', 1]]);
    assert.deepEqual([history.times, history.column('a')], [[3], [1]], 'a clock that was set back begins anew');
  });

  test('numbers have their units', () => {
    const rows = [
      [format.count, 20_000, '20,000'],
      [format.bytes, 0, '0 B'],
      [format.bytes, 1023, '1,023 B'],
      [format.bytes, 1536, '1.5 KiB'],
      [format.bytes, 13 * 1024 * 1024, '13 MiB'],
      [format.duration, 0.00042, '0.42 ms'],
      [format.duration, 0.0123, '12.3 ms'],
      [format.duration, 2.5, '2.5 s'],
      [format.duration, Infinity, 'over 1 s'],
      [format.perSecond, 0.25, '0.3 /s'],
      [format.perSecond, 1234.5, '1,235 /s'],
      [format.percent, 12.4, '12 %'],
      [format.age, 59.9, '59 s'],
      [format.age, 3600 * 25, '1 d 1 h'],
      [format.age, -1, '0 s'],
      [format.bytes, null, '–'],
      [format.count, undefined, '–'],
    ];
    for (const [write, value, expected] of rows) assert.equal(write(value), expected);
  });
});

// --- the page

describe("the operator's page", { skip: noBrowser, concurrency: 3 }, () => {
  test('shows the numbers of /metrics, all of them', async (t) => {
    const { gateway, page } = await startWithPage(t, { 'limits.text': 1000 });
    const [alice, bob] = await gateway.people('alice', 'bob');
    const stream = await bob.stream();
    const { thread } = await alice.send({ to: 'bob', message: 'one' });
    await alice.request('POST', '/send-message', { json: { thread_id: thread, message: 'x'.repeat(1001) } });
    await stream.message('one');
    await page.figure('#limits', 'nereidd_limit_hits_total{limit="text"}', (value) => value === 1);
    await page.openNumbers();
    await page.figure('#numbers', 'nereidd_messages_out_total', (value) => value === 1);
    const wanted = page.readings.length + 1;
    await waitFor(() => page.readings.length >= wanted, 'another answer');
    await page.pause();
    const { samples, helps, at } = page.readings.at(-1);
    const before = page.readings.at(-2);

    const all = await page.figures('#numbers');
    assert.deepEqual(new Map(all.map(({ key, value }) => [key, value])), samples);
    assert.equal(await page.page.locator('#every th .faint:not(:empty)').count(), helps.size);

    const total = (name) =>
      [...samples].reduce((sum, [key, value]) => sum + (key.startsWith(`${name}{`) ? value : 0), 0);
    for (const { key, value } of [...(await page.figures('.cards')), ...(await page.figures('.big'))].filter(
      ({ key }) => key,
    ))
      if (/^nereidd_(sessions|socketio_connections)$/.test(key)) assert.equal(value, total(key), key);
      else assert.equal(value, samples.get(key), key);

    const others = new Set(
      [...samples.keys()].filter((key) => key.startsWith('nereidd_limit_hits_total{') && !key.includes('"queue"')),
    );
    const rise = (name) =>
      [...samples.keys()]
        .filter((key) => key === name || (name === 'nereidd_limit_hits_total' && others.has(key)))
        .reduce((sum, key) => sum + samples.get(key) - before.samples.get(key), 0);
    for (const { key, value } of await page.figures('#panels .legend')) {
      const isGauge = !/_total|_seconds$/.test(key);
      if (isGauge) assert.equal(value, samples.get(key), key);
      else if (key.endsWith('_total') || key.includes('_total{'))
        assert.ok(
          Math.abs(value - expectedRate(key, rise(key), at - before.at)) <= 0.1 + value * 0.3, // the page may have looked at its clock late
          `${key} ${value}`,
        );
    }
    assert.deepEqual(page.told, []);
  });

  test('shows the rates of a known load, and how long commits took', async (t) => {
    const { gateway, page } = await startWithPage(t);
    const [alice, bob, carol] = await gateway.people('alice', 'bob', 'carol');
    const thread = await alice.thread('bob', 'carol');
    for (const one of [bob, bob, carol]) await one.stream();
    let talking = true;
    t.after(() => (talking = false));
    const talk = (async () => {
      for (let next = Date.now(); talking; next += 50) {
        await alice.say(thread, 'hello');
        await new Promise((done) => setTimeout(done, Math.max(0, next - Date.now())));
      }
    })();
    const about = (wanted) => (value) => Math.abs(value - wanted) <= wanted * 0.25;
    await page.figure('#panel-messages .value', 'nereidd_messages_in_total', about(20));
    await page.figure('#panel-messages .legend', 'nereidd_messages_out_total', about(60));
    const [mean, median, late] = await waitFor(async () => {
      const all = await page.figures('#panel-commits .legend');
      return all.every(({ value }) => value > 0) && all;
    }, 'commits took a time');
    assert.ok(mean.value < 1 && median.value <= late.value, JSON.stringify([mean, median, late]));
    assert.match(mean.text, /^[\d.]+ m?s$/);
    talking = false;
    await talk;
    assert.match(
      await page.page.locator('#panel-messages .chart').getAttribute('aria-label'),
      /^Chart, Messages: taken between /,
    );
    await page.figure('#panel-messages .value', 'nereidd_messages_in_total', (value) => value === 0);
    assert.deepEqual(page.told, []);
  });

  test('follows sessions of every protocol as they come and go', async (t) => {
    const { gateway, page } = await startWithPage(t);
    await page.rowsBecome('sessions', (rows) => rows.length === 0, 'nobody');
    await waitFor(
      async () => /Nobody is connected/.test(await page.page.locator('#sessions .message').textContent()),
      'it says so',
    );
    const [alice, bob, carol] = await gateway.people('alice', 'bob', 'carol');
    const stream = await alice.stream();
    const talker = await Talker.as(carol, 'lobby');
    const dave = await connect(gateway, { transport: 'websocket' });
    assert.deepEqual(await dave.ask('register', 'dave'), [true]);
    let stays = true;
    const polling = (async () => {
      for (let since; stays;) since = (await bob.poll({ wait: 60, ...(since ? { since } : {}) })).cursor;
    })();
    for (const protocol of ['nereid-stream', 'nereid-poll', 'talker', 'socketio']) {
      await page.figure('#protocols', sessionsOf(protocol), (value) => value === 1);
      await page.figure('#panel-sessions .legend', sessionsOf(protocol), (value) => value === 1);
    }
    const rows = await page.rowsBecome('sessions', (all) => all.length === 4, 'all four', 20_000);
    assert.deepEqual(rows.map(([user, protocol, address]) => [user, protocol, address]).sort(), [
      ['alice', 'Nereid streams', '127.0.0.1'],
      ['bob', 'Nereid polls', '127.0.0.1'],
      ['carol', 'Talker', '127.0.0.1'],
      ['dave', 'Socket.IO', '127.0.0.1'],
    ]);
    for (const [, , , age, queue] of rows)
      assert.ok(/^\d+ (s|min \d+ s)$/.test(age) && /B$/.test(queue), `${age} ${queue}`);
    stream.close();
    await talker.leave();
    dave.close();
    stays = false;
    await alice.send({ to: 'bob', message: 'wake up' });
    await polling;
    await page.figure('#panel-sessions .value', 'nereidd_sessions', (value) => value === 0);
    await page.rowsBecome('sessions', (all) => all.length === 0, 'nobody');
    assert.deepEqual(page.told, []);
  });

  test('sorts, filters and turns the pages of long lists', async (t) => {
    const gateway = await startGateway(t, withPage);
    for (let i = 0; i < 120; i++) {
      const one = await RawSocket.connect(gateway, gateway.address());
      const login = Buffer.from(`user ${String(i).padStart(3, '0')}:x`).toString('base64');
      one.send(['GET /nereid-chat/stream HTTP/1.0', `Authorization: Basic ${login}`]);
    }
    await gateway.metricBecomes(sessionsOf('nereid-stream'), 120);
    const page = await OperatorPage.open(await startBrowser(t), gateway.adminUrl);
    const list = page.page.locator('#sessions');
    const begins = (name) => (rows) => rows[0]?.[0] === name;
    await page.rowsBecome('sessions', (rows) => rows.length === 50, 'a page');
    assert.equal(await page.place('sessions'), '1 to 50 of 120');
    await list.getByRole('button', { name: 'User' }).click();
    await page.rowsBecome('sessions', begins('user 000'), 'in order');
    assert.equal(await list.locator('th[aria-sort]').getAttribute('aria-sort'), 'ascending');
    await list.getByRole('button', { name: 'Next' }).click();
    await page.rowsBecome('sessions', begins('user 050'), 'the second page');
    await list.getByRole('button', { name: 'Next' }).press('Enter');
    const last = await page.rowsBecome('sessions', begins('user 100'), 'the third page');
    assert.equal(last.length, 20);
    assert.ok(await list.getByRole('button', { name: 'Next' }).isDisabled());
    await list.getByRole('button', { name: 'User' }).click();
    await page.rowsBecome('sessions', begins('user 119'), 'the other way round, from the beginning');
    await list.getByLabel('Find').fill('USER 07');
    await page.rowsBecome('sessions', (rows) => rows.length === 10 && rows[0][0] === 'user 079', 'what was looked for');
    assert.equal(await page.place('sessions'), '1 to 10 of 10, 120 in all');
    await list.getByLabel('Protocol').selectOption('talker');
    await page.rowsBecome('sessions', (rows) => rows.length === 0, 'none');
    assert.equal(await list.locator('.message').textContent(), 'Nothing here matches.');
    const sizes = page.answers.filter(({ path }) => path === '/sessions').map(({ text: answer }) => answer.length);
    assert.ok(Math.max(...sizes) < 20_000, 'no more comes than is shown');
    assert.deepEqual(page.told, []);
  });

  test('has the threads, with members and when something was last said', async (t) => {
    const { gateway, page } = await startWithPage(t);
    const [alice, bob] = await gateway.people('alice', '<b>bob</b>');
    const hall = await alice.room('tea & <i>cake</i>');
    await bob.room('tea & <i>cake</i>');
    const direct = await alice.thread('<b>bob</b>');
    await alice.stream();
    await alice.say(hall, 'nobody but members reads this');
    const rows = await page.rowsBecome('threads', (all) => all.length === 2 && all[0][3] !== '–', 'both');
    assert.deepEqual(rows[0].slice(0, 3), [`tea & <i>cake</i> | ${hall}`, '2', '1']);
    assert.match(rows[0][3], /^\d+ s$/);
    assert.deepEqual(rows[1], [`no name | ${direct}`, '2', '1', '–']);
    await page.page.locator('#threads').getByLabel('Find').fill('CAKE');
    await page.rowsBecome('threads', (all) => all.length === 1, 'what was looked for');
    assert.equal(await page.page.locator('tbody b, tbody i').count(), 0, 'names are text');
    assert.deepEqual(page.told, []);
  });

  test('goes on through a restart of the gateway, without rates below nothing', async (t) => {
    const { gateway, page } = await startWithPage(t);
    const [alice] = await gateway.people('alice', 'bob');
    for (let i = 0; i < 30; i++) await alice.send({ to: 'bob', message: 'x' });
    await page.figure('#panel-messages .legend', 'nereidd_messages_in_total', (value) => value > 0);
    const lowest = await page.page.evaluateHandle(() => {
      const seen = { lowest: 0 };
      const look = () => {
        for (const one of document.querySelectorAll('#panels data'))
          seen.lowest = Math.min(seen.lowest, Number(one.value));
      };
      new MutationObserver(look).observe(document.getElementById('panels'), { subtree: true, attributes: true });
      return seen;
    });
    gateway.options['admin.listen'] = gateway.address('admin');
    await gateway.stop();
    await page.becomes('away');
    assert.match(await page.page.locator('.state').innerText(), /Not reachable.*as it was at/s);
    await gateway.start();
    await page.becomes('serving');
    assert.match(await page.page.locator('#event').textContent(), /was restarted/);
    await page.figure('#panel-messages .legend', 'nereidd_messages_in_total', (value) => value === 0);
    assert.equal(await lowest.evaluate(({ lowest: value }) => value), 0);
    assert.deepEqual(page.told.filter(isOurs), []);
  });

  test('says when the gateway cannot serve, and when it is ending', async (t) => {
    const { page } = await startWithPage(t);
    const tell = (reason) =>
      page.page.route('**/status', async (route) => {
        const answer = await route.fetch();
        await route.fulfill({ response: answer, json: { ...(await answer.json()), ready: false, reason } });
      });
    await tell('the store does not answer');
    await page.becomes('unready');
    assert.match(await page.page.locator('.state').innerText(), /^Not ready\s+the store does not answer$/);
    await tell('shutting down');
    await page.becomes('ending');
    assert.match(await page.page.title(), /^Ending/);
    await page.page.unrouteAll({ behavior: 'ignoreErrors' });
    assert.deepEqual(page.told, []);
  });

  test('asks nothing while nobody looks, and goes on when somebody does', async (t) => {
    const { page } = await startWithPage(t);
    const setHidden = (hidden) =>
      page.page.evaluate((value) => {
        Object.defineProperty(document, 'hidden', { value, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
      }, hidden);
    await page.figure('#panel-requests .value', 'nereidd_requests_total', (value) => value > 0);
    await setHidden(true);
    const requests = [];
    page.page.on('request', (request) => requests.push(request.url()));
    await page.page.waitForTimeout(7000); // longer than what is called a break: this is what is tested
    assert.deepEqual(requests, []);
    await setHidden(false);
    await waitFor(() => requests.some((url) => url.endsWith('/metrics')), 'it asks at once', 1800);
    await page.figure('#panel-requests .value', 'nereidd_requests_total', Number.isNaN);
    await page.figure('#panel-requests .value', 'nereidd_requests_total', (value) => value > 0);
    await page.page.getByRole('button', { name: 'Pause' }).click();
    assert.equal(await page.mode(), 'paused');
    assert.equal(await page.page.getByRole('button', { name: 'Pause' }).getAttribute('aria-pressed'), 'true');
    await page.page.getByRole('button', { name: 'Pause' }).click();
    await page.becomes('serving');
    assert.deepEqual(page.told, []);
  });

  test('tells of Redis, and that it is away', async (t) => {
    const password = 'sesame-7781';
    const redis = await startRedis(t, { port: 'tcp', args: ['--requirepass', password] });
    const url = redis.url.replace('redis://', `redis://:${password}@`);
    const gateway = await startNode(t, redis, { ...withPage, 'store.url': url });
    const page = await OperatorPage.open(await startBrowser(t), gateway.adminUrl);
    await page.becomes('serving');
    const state = async () => (await page.figures('#store')).find(({ key }) => key === 'nereidd_redis_up').text;
    assert.equal(await state(), 'connected');
    await page.figure('#store', 'nereidd_redis_nodes', (value) => value === 1);
    await gateway.person('alice').room('lobby');
    await page.figure('#panel-calls .value', 'nereidd_redis_call_seconds', (value) => value > 0);
    const second = await startNode(t, redis, { 'store.url': url });
    await page.figure('#store', 'nereidd_redis_nodes', (value) => value === 2);
    await second.stop();
    await page.figure('#store', 'nereidd_redis_nodes', (value) => value === 1);
    await redis.kill();
    await page.becomes('unready');
    assert.equal(await state(), 'away');
    assert.equal((await page.figure('#store', 'nereidd_redis_nodes')).value, 0);
    assert.match(await page.page.locator('#reason').textContent(), /Redis|connect/i);
    await redis.start();
    await page.becomes('serving');
    assert.equal(await state(), 'connected');
    for (const { path, text: answer } of page.answers) assert.ok(!answer.includes(password), path);
    assert.deepEqual(page.told, []);
  });

  test('has no secrets', async (t) => {
    const { gateway, page } = await startWithPage(t);
    await gateway.people('bob');
    const alice = gateway.person('alice', { password: 'open sesame 4711' });
    const holder = await alice.tokenHolder();
    await holder.stream();
    await holder.send({ to: 'bob', message: 'for your eyes only' });
    await page.rowsBecome('sessions', (rows) => rows[0]?.[0] === 'alice', 'who came by a token');
    await page.rowsBecome('threads', (rows) => rows.length === 1, 'the thread');
    await page.openNumbers();
    await page.pause();
    const login = alice.headers.Authorization.split(' ')[1];
    const secrets = [holder.chatToken, holder.chatToken.slice(0, 8), 'open sesame 4711', login, 'for your eyes only'];
    const all = [...page.answers.map(({ text: answer }) => answer), await page.page.content()];
    assert.ok(new Set(page.answers.map(({ path }) => path)).size > 10, 'all there was to get');
    for (const secret of secrets)
      for (const one of all) assert.ok(!one.includes(secret), `${secret} in ${one.slice(0, 80)}`);
    assert.ok(page.answers.every(({ path }) => path !== '/tokens'));
    assert.deepEqual(page.told, []);
  });

  test('is for its own origin: others read nothing, and under another name it has no lists', async (t) => {
    const gateway = await startGateway(t, withPage);
    await gateway.person('alice').stream();
    const browser = await startBrowser(t, { args: ['--host-resolver-rules=MAP chat.example 127.0.0.1'] });
    const elsewhere = await serveElsewhere(t, { '/index.html': '<!doctype html><title>elsewhere</title>' });
    const foreign = await browser.newPage();
    await foreign.goto(`${elsewhere}/index.html`);
    for (const path of ['/metrics', '/status', '/sessions', '/threads', '/tokens', '/']) {
      const got = await foreign.evaluate(
        (url) =>
          fetch(url).then(
            ({ status }) => status,
            () => 'refused',
          ),
        gateway.adminUrl + path,
      );
      assert.equal(got, 'refused', path);
    }
    const port = gateway.address('admin').split(':').at(-1);
    const page = await OperatorPage.open(browser, `http://chat.example:${port}`);
    await page.becomes('unknown');
    assert.match(await page.page.locator('#reason').textContent(), /by address or as localhost/);
    await page.look('sessions');
    await waitFor(
      async () => /could not be read/.test(await page.page.locator('#sessions .message').textContent()),
      'why',
    );
    assert.ok(!(await page.page.content()).includes('alice'));
    assert.deepEqual(page.told.filter(isOurs), []);
  });

  test('can be used by everybody, in light and dark, on every screen', async (t) => {
    const gateway = await startGateway(t, withPage);
    const [alice] = await gateway.people('alice', 'bob');
    await alice.room('lobby');
    await alice.stream();
    const browser = await startBrowser(t, { bypassCSP: true });
    const page = await OperatorPage.open(browser, gateway.adminUrl);
    await page.becomes('serving');
    await page.openNumbers();
    await page.rowsBecome('sessions', (rows) => rows.length === 1, 'alice');
    await page.rowsBecome('threads', (rows) => rows.length === 1, 'the lobby');
    await page.page.addScriptTag({ path: axe });
    for (const colorScheme of ['light', 'dark'])
      for (const [width, height] of [
        [390, 844],
        [820, 1180],
        [1440, 900],
      ]) {
        await page.page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        await page.page.setViewportSize({ width, height });
        const { violations } = await page.page.evaluate(() => globalThis.axe.run());
        const found = violations.map(
          ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' ')}`,
        );
        assert.deepEqual(found, [], `${colorScheme} ${width}`);
        const wide = await page.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `nothing sticks out at ${width}`);
      }
  });

  test('loads nothing from anywhere else, and its files name no other place', async (t) => {
    const { page } = await startWithPage(t);
    const origins = await page.page.evaluate(() => [
      ...new Set(performance.getEntriesByType('resource').map(({ name }) => new URL(name).origin)),
    ]);
    assert.deepEqual(origins, [new URL(page.page.url()).origin]);
    const folder = fileURLToPath(new URL('../../www/operator/', import.meta.url));
    for (const name of (await fs.readdir(folder)).filter((one) => /\.(js|css|html)$/.test(one))) {
      const source = await fs.readFile(folder + name, 'utf8');
      assert.doesNotMatch(source, /https?:\/\/|innerHTML|insertAdjacentHTML|document\.write|\beval\(/, name);
    }
    assert.deepEqual(page.told, []);
  });
});

// The processor's time is shown as a part of one, all else as it is.
function expectedRate(key, rise, ms) {
  return (rise / ms) * (key.startsWith('process_cpu') ? 100_000 : 1000);
}
