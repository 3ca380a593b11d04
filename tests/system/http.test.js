// SPDX-License-Identifier: MIT
// HTTP as strangers speak it: framing that could smuggle, odd requests, and clients that behave badly on purpose.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { startGateway } from './lib/gateway.js';
import { BASE, basic } from './lib/person.js';
import { exchange } from './lib/raw.js';
import { within } from './lib/wait.js';

const FRIENDS = `${BASE}/get-friends`;
const LOGIN = `Authorization: ${basic('alice')}`;

// A request that would make its sender known to everybody, if anybody ever read it as one.
const SMUGGLED = `GET ${FRIENDS} HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic('smuggler')}\r\n\r\n`;

const head = (...lines) => `${lines.join('\r\n')}\r\n\r\n`;
const post = (...lines) => head(`POST ${BASE}/presence HTTP/1.1`, 'Host: x', LOGIN, 'Connection: close', ...lines);
const get = (...lines) => head(`GET ${FRIENDS} HTTP/1.1`, 'Host: x', LOGIN, 'Connection: close', ...lines);
const target = (path, ...lines) => head(`GET ${path} HTTP/1.1`, 'Host: x', LOGIN, 'Connection: close', ...lines);
const chunk = (text) => `${text.length.toString(16)}\r\n${text}\r\n`;

const CLOSED = 0; // closed without a word

// The statuses of all heads in what came. libmicrohttpd 0.9.75 writes the head of its own error answers twice, the
// second time into the body: two heads that are the same to the byte, and close, are one answer.
function statusesIn(text) {
  const heads = [...text.matchAll(/HTTP\/1\.[01] ([1-5][0-9][0-9]) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n/g)];
  const statuses = heads.map(([, status]) => Number(status));
  const doubled =
    heads.length === 2 &&
    heads[0][0] === heads[1][0] &&
    statuses[0] >= 400 &&
    heads[0][2].includes('Connection: close');
  return doubled ? [statuses[0]] : statuses;
}

// Sends each row's bytes on a connection of its own. A row: what it is, the bytes, the status or statuses it may have.
// Whatever stands behind the first request is not read as another one.
async function expectStatuses(t, gateway, rows) {
  for (const [what, bytes, ...allowed] of rows) {
    await t.test(what, async () => {
      const { text } = await exchange(gateway, Buffer.from(bytes, 'latin1'));
      const statuses = text ? statusesIn(text) : [CLOSED];
      assert.equal(statuses.length, 1, `one answer: ${text}`);
      assert.ok(allowed.includes(statuses[0]), `status ${statuses[0]}`);
      if (statuses[0] >= 400) assert.match(text.split('\r\n\r\n')[0], /\r\nConnection: close/i);
    });
  }
  const friends = await gateway.person('alice').friends();
  assert.ok(!friends.some(({ id }) => id === 'smuggler'), 'nothing was smuggled');
}

// For requests that never become whole: they are waited for no longer than this.
const IMPATIENT = { 'limits.header_time': '3s', 'limits.request_time': '3s' };

describe('framing', { concurrency: 4 }, () => {
  test('a length and a coding together', async (t) => {
    const gateway = await startGateway(t);
    await expectStatuses(t, gateway, [
      ['length first', post('Content-Length: 6', 'Transfer-Encoding: chunked') + `0\r\n\r\nX${SMUGGLED}`, 400],
      ['coding first', post('Transfer-Encoding: chunked', 'Content-Length: 4') + `0\r\n\r\n${SMUGGLED}`, 400],
      [
        'a length in the chunks',
        post('Content-Length: 3', 'Transfer-Encoding: chunked') + `8\r\nSMUGGLED\r\n0\r\n\r\n${SMUGGLED}`,
        400,
      ],
    ]);
    assert.ok((await gateway.limitHits('framing')) >= 3);
  });

  test('lengths', async (t) => {
    const gateway = await startGateway(t);
    const bad = [
      '+8',
      '8, 8',
      '0x8',
      '-1',
      '8 8',
      '',
      '8;',
      '1e1',
      '٨',
      '18446744073709551616',
      '99999999999999999999999999',
    ];
    await expectStatuses(t, gateway, [
      ['two that are equal', post('Content-Length: 8', 'Content-Length: 8') + `show=dnd${SMUGGLED}`, 400],
      ['two that differ', post('Content-Length: 8', 'Content-Length: 0') + `show=dnd${SMUGGLED}`, 400],
      ['two, in another case', post('Content-Length: 0', 'content-length: 8') + `show=dnd${SMUGGLED}`, 400],
      ...bad.map((value) => [`"${value}"`, post(`Content-Length: ${value}`) + `show=dnd${SMUGGLED}`, 400, 413]),
      ['larger than is taken', post('Content-Length: 18446744073709551615') + SMUGGLED, 413],
      ['with a space before the colon', post('Content-Length : 8') + `show=dnd${SMUGGLED}`, 400],
      ['folded', post('Content-Length:', ' 8') + `show=dnd${SMUGGLED}`, 400],
      ['on a GET', get('Content-Length: 8') + 'show=dnd', 200],
      ['with zeros in front', post('Content-Length: 008') + 'show=dnd', 200],
    ]);
  });

  test('codings', async (t) => {
    const gateway = await startGateway(t);
    const body = `${chunk('show=dnd')}0\r\n\r\n`;
    const bad = [
      'xchunked',
      'gzip, chunked',
      'chunked, gzip',
      'chunked, chunked',
      'identity',
      'gzip',
      '',
      '"chunked"',
      'chunked;q=1',
      'chunked\x0b',
    ];
    await expectStatuses(t, gateway, [
      ...bad.map((value) => [`"${value}"`, post(`Transfer-Encoding: ${value}`) + body + SMUGGLED, 400, 501]),
      ['twice', post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked') + body + SMUGGLED, 400, 501],
      [
        'chunked, then identity',
        post('Transfer-Encoding: chunked', 'Transfer-Encoding: identity') + body + SMUGGLED,
        400,
        501,
      ],
      ['a space before the colon', post('Transfer-Encoding : chunked') + body + SMUGGLED, 400],
      ['a tab before the colon', post('Transfer-Encoding\t: chunked') + body + SMUGGLED, 400],
      ['folded', post('Transfer-Encoding:', ' chunked') + body + SMUGGLED, 400],
      ['folded with a tab', post('Transfer-Encoding:', '\tchunked') + body + SMUGGLED, 400],
      [
        'in HTTP/1.0',
        head(`POST ${BASE}/presence HTTP/1.0`, LOGIN, 'Transfer-Encoding: chunked') + body + SMUGGLED,
        400,
      ],
      ['chunked, in any case', post('Transfer-Encoding: CHUNKED') + body, 200],
    ]);
  });

  test('chunks', async (t) => {
    const gateway = await startGateway(t, IMPATIENT);
    const chunked = (body) => post('Transfer-Encoding: chunked') + body;
    const trailers = Array.from({ length: 1000 }, (_, i) => `X-${i}: x\r\n`).join('');
    await expectStatuses(t, gateway, [
      ['as they should be', chunked('4\r\nshow\r\n4\r\n=dnd\r\n0\r\n\r\n'), 200],
      ['with an extension', chunked('4;a=b\r\nshow\r\n4;c\r\n=dnd\r\n0\r\n\r\n'), 200, 400],
      ['with zeros in front', chunked('0004\r\nshow\r\n04\r\n=dnd\r\n0\r\n\r\n'), 200],
      ['a size of 2^64-1', chunked(`FFFFFFFFFFFFFFFF\r\n${SMUGGLED}`), 400, 408, 413],
      ['a size beyond 2^64', chunked(`10000000000000008\r\nshow=dnd\r\n0\r\n\r\n${SMUGGLED}`), 400, 413],
      ['a size with 0x', chunked(`0x8\r\nshow=dnd\r\n0\r\n\r\n${SMUGGLED}`), 400],
      ['a negative size', chunked(`-1\r\n${SMUGGLED}`), 400],
      ['a signed size', chunked(`+8\r\nshow=dnd\r\n0\r\n\r\n${SMUGGLED}`), 400],
      ['no size', chunked(`\r\nshow=dnd\r\n0\r\n\r\n${SMUGGLED}`), 400],
      ['a size of letters', chunked(`xyz\r\n${SMUGGLED}`), 400],
      ['a space before the size', chunked(` 8\r\nshow=dnd\r\n0\r\n\r\n${SMUGGLED}`), 400],
      ['more bytes than the size', chunked(`4\r\nshow=dnd\r\n0\r\n\r\n${SMUGGLED}`), 400],
      ['no CRLF behind a chunk', chunked(`4\r\nshowXX4\r\n=dnd\r\n0\r\n\r\n${SMUGGLED}`), 400],
      ['an extension of 64 KiB', chunked(`4;${'x'.repeat(65536)}\r\nshow\r\n0\r\n\r\n`), 400, 408, 413, 431],
      ['1,000 trailers', chunked(`8\r\nshow=dnd\r\n0\r\n${trailers}\r\n`), 200, 400, 413, 431],
      ['a trailer that is a header', chunked(`8\r\nshow=dnd\r\n0\r\nContent-Length: 500\r\nHost: y\r\n\r\n`), 200, 400],
    ]);
  });

  test('names and values of headers', async (t) => {
    const gateway = await startGateway(t);
    const lines = [
      'No colon',
      ': no name',
      ' Folded: x',
      'With Space: x',
      'With\tTab: x',
      'With\0Nul: x',
      'With\x7fDel: x',
      'With(paren: x',
      'X: a\0b',
      'X: a\x01b',
      'X: a\x1bb',
      'X: a\x7fb',
      'X: a\rb',
      'Host\x00: y',
      'X\xe4: y',
    ];
    await expectStatuses(t, gateway, [
      ...lines.map((line) => [JSON.stringify(line), get(line) + SMUGGLED, 400]),
      ['a value in Latin-1', get('X: \xe4\xf6'), 200, 400],
      ['a tab in a value', get('X: a\tb'), 200],
      ['an empty value', get('X:'), 200],
    ]);
  });

  test('line ends', async (t) => {
    const gateway = await startGateway(t, IMPATIENT);
    await expectStatuses(t, gateway, [
      ['LF only', get().replaceAll('\r\n', '\n'), 200, 400],
      ['CR only', get().replaceAll('\r\n', '\r'), 400, 408],
      ['LF CR', get().replaceAll('\r\n', '\n\r'), 400, 408],
      ['one blank line in front', `\r\n${get()}`, 200],
      ['1,000 blank lines in front', '\r\n'.repeat(1000) + get(), 200, 400],
      ['a CR too many', get('X: y\r'), 200, 400],
      ['8 KB of spaces', ' '.repeat(8000), 400, 408, 414, 431],
      ['a megabyte of spaces', ' '.repeat(1_000_000), 400, 408, 413, 414, 431],
    ]);
  });
});

describe('request lines', { concurrency: 4 }, () => {
  test('paths', async (t) => {
    const gateway = await startGateway(t);
    await expectStatuses(t, gateway, [
      ['escaped letters', target(`${BASE}/get%2Dfriends`), 200],
      ['in full, as to a proxy', target(`http://x${FRIENDS}`), 200],
      ['two slashes', target(`/${FRIENDS}`), 404],
      ['two slashes in the middle', target(`${BASE}//get-friends`), 404],
      ['a dot', target(`${BASE}/./get-friends`), 404],
      ['dots', target(`${BASE}/x/../get-friends`), 404],
      ['escaped dots', target(`${BASE}/x/%2e%2e/get-friends`), 404],
      ['an escaped slash', target(`${BASE}%2fget-friends`), 404],
      ['a slash behind', target(`${FRIENDS}/`), 404],
      ['parameters', target(`${FRIENDS};a=b`), 404],
      ['upper case', target(FRIENDS.toUpperCase()), 404],
      ['a fragment', target(`${FRIENDS}#x`), 400],
      ['an escaped NUL', target(`${FRIENDS}%00`), 400],
      ['an escaped NUL in the query', target(`${FRIENDS}?dialect=spec%00x`), 400],
      ['a NUL', target(`${FRIENDS}\0x`), 400],
      ['an escaped line end', target(`${FRIENDS}%0d%0a`), 400],
      ['half an escape', target(`${FRIENDS}%4`), 400],
      ['no escape', target(`${FRIENDS}%zz`), 400],
      ['bytes that are no UTF-8', target(`${FRIENDS}%ff`), 400],
      ['raw bytes that are no UTF-8', target(`${FRIENDS}\xff`), 400],
      ['no slash in front', target('nereid-chat/get-friends'), 400],
      ['a star', target('*'), 400],
      ['1,900 bytes', target(`/${'x'.repeat(1900)}`), 404],
      ['10,000 arguments', target(`${FRIENDS}?${'a&'.repeat(10_000)}`), 414],
      ['900 arguments', target(`${FRIENDS}?${'a&'.repeat(900)}`), 200],
      ['a megabyte', target(`/${'x'.repeat(1_000_000)}`), 414, 431],
    ]);
  });

  test('methods and versions', async (t) => {
    const gateway = await startGateway(t);
    const line = (text) => head(text, 'Host: x', LOGIN, 'Connection: close');
    await expectStatuses(t, gateway, [
      ['PUT', line(`PUT ${FRIENDS} HTTP/1.1`), 405],
      ['TRACE', line(`TRACE ${FRIENDS} HTTP/1.1`), 405],
      ['PATCH of nothing', line('PATCH /nothing HTTP/1.1'), 404, 405],
      ['CONNECT', line('CONNECT x:80 HTTP/1.1'), 400, 404, 405],
      ['a method in lower case', line(`get ${FRIENDS} HTTP/1.1`), 405],
      ['a made-up method', line(`${'X'.repeat(100)} ${FRIENDS} HTTP/1.1`), 405, 400],
      ['OPTIONS *', line('OPTIONS * HTTP/1.1'), 204],
      ['no Host', head(`GET ${FRIENDS} HTTP/1.1`, LOGIN, 'Connection: close'), 400],
      ['two Hosts', get('Host: y'), 400],
      ['a Host that is none', head(`GET ${FRIENDS} HTTP/1.1`, 'Host: x/y', LOGIN), 400],
      ['no Host in HTTP/1.0', head(`GET ${FRIENDS} HTTP/1.0`, LOGIN), 200],
      ['HTTP/0.9', `GET ${FRIENDS}\r\n\r\n`, 400, 505],
      ['HTTP/2.0', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 404, 405, 505],
      ['HTTP/3.9', line(`GET ${FRIENDS} HTTP/3.9`), 400, 505],
      ['no version', line(`GET ${FRIENDS} `), 400, 505],
      ['a version too many', line(`GET ${FRIENDS} HTTP/1.1 HTTP/1.1`), 400, 404, 505, CLOSED],
    ]);
  });

  test('a TLS greeting on the plain port is refused or closed, and nothing else', async (t) => {
    const gateway = await startGateway(t, IMPATIENT);
    const hello = Buffer.from('16030100c8010000c40303', 'hex');
    const { responses } = await exchange(
      gateway,
      Buffer.concat([hello, Buffer.alloc(192, 7), Buffer.from('\r\n\r\n')]),
    );
    for (const { status } of responses) assert.ok(status >= 400);
    await gateway.person('alice').friends();
  });
});

describe('answers', { concurrency: 4 }, () => {
  test('a wrong method is told which are right', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    const allowed = {
      '/token': 'POST, OPTIONS',
      '/stream': 'GET, HEAD, POST, OPTIONS',
      '/poll': 'GET, HEAD, OPTIONS',
      '/send-message': 'POST, OPTIONS',
      '/presence': 'POST, OPTIONS',
      '/token/x': 'DELETE, OPTIONS',
      '/threads/x/members': 'POST, OPTIONS',
    };
    for (const [path, allow] of Object.entries(allowed)) {
      const wrong = await alice.request('PUT', path);
      assert.equal(wrong.status, 405, path);
      assert.equal(wrong.headers.get('allow'), allow);
      assert.equal(wrong.body.error, 'bad_method');
      const options = await alice.request('OPTIONS', path);
      assert.equal(options.status, 204);
      assert.equal(options.headers.get('allow'), allow);
    }
  });

  test('HEAD is GET without the body', async (t) => {
    const gateway = await startGateway(t);
    const raw = await gateway.raw();
    raw.send([`GET ${FRIENDS} HTTP/1.1`, 'Host: x', LOGIN]);
    const get = await raw.response();
    raw.send([`HEAD ${FRIENDS} HTTP/1.1`, 'Host: x', LOGIN]);
    const answer = await raw.response({ head: true });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['content-length'], get.headers['content-length']);
    raw.send([`GET ${FRIENDS} HTTP/1.1`, 'Host: x', LOGIN]);
    assert.equal((await raw.response()).body, get.body, 'and the next answer begins where it should');
  });

  test('all have the headers that keep browsers and caches in bounds', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    for (const answer of [
      await alice.get('/get-friends'),
      await alice.get('/nothing'),
      await alice.get('/stream', { since: 'x' }),
      await alice.post('/token'),
    ]) {
      assert.equal(answer.headers.get('cache-control'), 'no-store');
      assert.equal(answer.headers.get('x-content-type-options'), 'nosniff');
      assert.equal(answer.headers.get('referrer-policy'), 'no-referrer');
      assert.equal(answer.headers.get('server'), null);
    }
  });

  test('nothing that was sent is reflected into the head', async (t) => {
    const gateway = await startGateway(t, { 'http.allow_origins': 'https://good.example' });
    for (const line of [
      'Origin: https://good.example\rX-Evil: 1',
      'Origin: https://good.example\0',
      'Sec-WebSocket-Protocol: a\rb',
    ]) {
      const { text } = await exchange(gateway, get(line));
      assert.doesNotMatch(text.split('\r\n\r\n')[0], /evil/i);
    }
  });

  test('are JSON, with a word for machines and a sentence for people', async (t) => {
    const gateway = await startGateway(t);
    for (const bytes of [
      target('/nothing'),
      get('Host: y'),
      target(`/${'x'.repeat(3000)}`),
      post('Content-Length: 999999999'),
    ]) {
      const { responses } = await exchange(gateway, bytes);
      const { error, message } = JSON.parse(responses[0].body);
      assert.match(error, /^[a-z_]+$/);
      assert.match(message, /^.+[^.]$/);
      assert.equal(responses[0].headers['content-type'], 'application/json');
    }
  });
});

describe('connections', { concurrency: 4 }, () => {
  test('a hundred requests in one piece are answered in their order', async (t) => {
    const gateway = await startGateway(t);
    const raw = await gateway.raw();
    const paths = Array.from({ length: 100 }, (_, i) => (i % 3 ? FRIENDS : `${BASE}/nothing`));
    raw.write(paths.map((path) => head(`GET ${path} HTTP/1.1`, 'Host: x', LOGIN)).join(''));
    for (const path of paths) assert.equal((await raw.response()).status, path === FRIENDS ? 200 : 404);
  });

  test('a POST and a GET in one piece: the body ends where it ends', async (t) => {
    const gateway = await startGateway(t);
    const raw = await gateway.raw();
    const requests = [
      head(`POST ${BASE}/presence HTTP/1.1`, 'Host: x', LOGIN, 'Content-Length: 8') + 'show=dnd',
      head(`POST ${BASE}/presence HTTP/1.1`, 'Host: x', LOGIN, 'Transfer-Encoding: chunked') +
        `${chunk('show=xa')}0\r\n\r\n`,
      head(`GET ${FRIENDS} HTTP/1.1`, 'Host: x', LOGIN),
    ];
    raw.write(requests.join(''));
    assert.equal(JSON.parse((await raw.response()).body).show, 'dnd');
    assert.equal(JSON.parse((await raw.response()).body).show, 'xa');
    assert.ok(JSON.parse((await raw.response()).body).friends);
  });

  test('a request behind a poll waits for it', async (t) => {
    const gateway = await startGateway(t);
    const [alice, bob] = await gateway.people('alice', 'bob');
    const { cursor } = await alice.poll({ wait: 0 });
    const raw = await gateway.raw();
    raw.write(
      head(`GET ${BASE}/poll?wait=30&since=${cursor} HTTP/1.1`, 'Host: x', LOGIN) +
        head(`GET ${FRIENDS} HTTP/1.1`, 'Host: x', LOGIN),
    );
    await gateway.metricBecomes('nereidd_sessions{protocol="nereid-poll"}', 1);
    assert.equal(raw.received.length, 0);
    await bob.send({ to: 'alice', message: 'news' });
    assert.match((await raw.response()).body, /news/);
    assert.ok(JSON.parse((await raw.response()).body).friends);
  });

  test('nothing is answered behind Connection: close', async (t) => {
    const gateway = await startGateway(t);
    const { responses } = await exchange(gateway, get() + SMUGGLED);
    assert.equal(responses.length, 1);
  });

  test('HTTP/1.0 closes, unless asked to stay where the length is known', async (t) => {
    const gateway = await startGateway(t);
    const closing = await exchange(gateway, head(`GET ${FRIENDS} HTTP/1.0`, LOGIN));
    assert.equal(closing.responses[0].headers['transfer-encoding'], undefined);
    const raw = await gateway.raw();
    for (let i = 0; i < 3; i++) {
      raw.send([`GET ${FRIENDS} HTTP/1.0`, 'Connection: keep-alive', LOGIN]);
      const { headers } = await raw.response();
      assert.ok('content-length' in headers);
    }
    const both = await exchange(gateway, head(`GET ${FRIENDS} HTTP/1.0`, 'Connection: close, keep-alive', LOGIN));
    assert.equal(both.responses.length, 1);
  });

  test('who has closed the sending side still gets the answer', async (t) => {
    const gateway = await startGateway(t);
    for (const bytes of [head(`GET ${FRIENDS} HTTP/1.0`, LOGIN), get(), post('Content-Length: 8') + 'show=dnd']) {
      const raw = await gateway.raw();
      raw.write(bytes);
      raw.finish();
      assert.match(await raw.untilClosed(), /^HTTP\/1\.[01] 200 /);
    }
  });

  test('Expect: 100-continue is met, but not before what is refused anyway', async (t) => {
    const gateway = await startGateway(t);
    const raw = await gateway.raw();
    raw.send([`POST ${BASE}/presence HTTP/1.1`, 'Host: x', LOGIN, 'Content-Length: 8', 'Expect: 100-continue']);
    await raw.until(/^HTTP\/1\.1 100 [^\r]*\r\n\r\n$/);
    raw.received = Buffer.alloc(0);
    raw.write('show=dnd');
    assert.equal((await raw.response()).status, 200);
    const refused = await exchange(gateway, post('Content-Length: 1000000', 'Expect: 100-continue'));
    assert.deepEqual(
      refused.responses.map(({ status }) => status),
      [413],
    );
    const unknown = await exchange(gateway, post('Content-Length: 8', 'Expect: 200-ok'));
    assert.deepEqual(
      unknown.responses.map(({ status }) => status),
      [417],
    );
    const old = await exchange(
      gateway,
      head(`POST ${BASE}/presence HTTP/1.0`, LOGIN, 'Content-Length: 8', 'Expect: 100-continue') + 'show=dnd',
    );
    assert.deepEqual(
      old.responses.map(({ status }) => status),
      [200],
      'no 100 to HTTP/1.0',
    );
  });

  for (const leave of ['finish', 'reset']) {
    test(`a client may leave at any moment (${leave})`, async (t) => {
      const gateway = await startGateway(t, { 'presence.grace': 0, ...IMPATIENT });
      const [alice] = await gateway.people('alice', 'bob');
      const thread = await alice.thread('bob');
      const message = `thread_id=${thread}&message=m`;
      const send = head(`POST ${BASE}/send-message HTTP/1.1`, 'Host: x', LOGIN, `Content-Length: ${message.length}`);
      const moments = {
        'before a byte': '',
        'in the request line': 'GET /nereid',
        'behind the request line': `GET ${FRIENDS} HTTP/1.1\r\n`,
        'in a header': `GET ${FRIENDS} HTTP/1.1\r\nHost: x\r\nAuthor`,
        'behind the head': send,
        'in the body': send + message.slice(0, 10),
        'while the store works': send + message,
        'in a chunk':
          head(`POST ${BASE}/presence HTTP/1.1`, 'Host: x', LOGIN, 'Transfer-Encoding: chunked') + '8\r\nshow',
        'waiting for 100': head(
          `POST ${BASE}/presence HTTP/1.1`,
          'Host: x',
          LOGIN,
          'Content-Length: 8',
          'Expect: 100-continue',
        ),
        'while a poll waits': head(`GET ${BASE}/poll?wait=30 HTTP/1.1`, 'Host: x', LOGIN),
        'while a stream opens': head(`GET ${BASE}/stream HTTP/1.1`, 'Host: x', LOGIN),
        'while a stream opens with a status': head(`GET ${BASE}/stream?status=x HTTP/1.1`, 'Host: x', LOGIN),
        'between two requests': get().replace('Connection: close\r\n', '').repeat(2),
        'in a probe': head(`GET ${BASE}/probe?marks=100&gap=50&pad=1000 HTTP/1.1`, 'Host: x'),
      };
      for (const [moment, bytes] of Object.entries(moments)) {
        for (let i = 0; i < 5; i++) {
          const raw = await gateway.raw();
          if (bytes) raw.write(bytes);
          if (i > 1) await new Promise((resolve) => setImmediate(resolve));
          if (i > 3) await alice.friends(); /* it is in the middle of it by now */
          raw[leave]();
        }
        assert.equal((await alice.get('/get-friends')).status, 200, moment);
      }
      gateway.closeClients();
      for (const protocol of ['nereid-stream', 'nereid-poll']) {
        await gateway.metricBecomes(`nereidd_sessions{protocol="${protocol}"}`, 0);
      }
    });
  }

  test('requests that come byte by byte are requests', async (t) => {
    const gateway = await startGateway(t);
    const raw = await gateway.raw();
    const bytes =
      head(`POST ${BASE}/presence HTTP/1.1`, 'Host: x', LOGIN, 'Transfer-Encoding: chunked') +
      '4\r\nshow\r\n4\r\n=dnd\r\n0\r\n\r\n';
    for (const byte of bytes) {
      await new Promise((resolve) => raw.socket.write(byte, resolve));
    }
    assert.equal(JSON.parse((await raw.response()).body).show, 'dnd');
  });
});

describe('bodies', { concurrency: 4 }, () => {
  const json = (body) => ({ body, headers: { 'Content-Type': 'application/json' } });

  test('JSON must be one object, with each key once, and nothing around it', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    const bad = [
      '[]',
      '"show"',
      '1',
      'null',
      'true',
      '{',
      '{"show":"dnd"}}',
      '{"show":"dnd"} x',
      '{"show":"dnd"}{"show":"xa"}',
      '{"show":"dnd","show":"xa"}',
      '{"show":"dnd","sh\\u006fw":"xa"}',
      "{'show':'dnd'}",
      '{show:"dnd"}',
      '{"show":"dnd",}',
      '// x\n{"show":"dnd"}',
      '\ufeff{"show":"dnd"}',
      '{"x":NaN}',
      '{"x":1e999}',
      '{"x":01}',
      '{"x":"a\nb"}',
      '{"x":"\\x"}',
      '{"a":{"b":1,"b":2}}',
    ];
    for (const body of bad) {
      const answer = await alice.request('POST', '/presence', json(body));
      assert.deepEqual([answer.status, answer.body.error], [400, 'bad_json'], body);
    }
    for (const body of [
      '{}',
      ' {"show" : "dnd"}\r\n',
      '{"show":null}',
      '{"__proto__":{"show":"xa"},"constructor":1}',
      '{"x":-0,"y":2.5e3,"z":9223372036854775807}',
    ]) {
      assert.equal((await alice.request('POST', '/presence', json(body))).status, 200, body);
    }
    assert.equal((await alice.request('POST', '/presence', json(''))).status, 200, 'no body at all');
  });

  test('JSON has a bound on its depth', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    const deep = (depth) => json(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`);
    assert.equal((await alice.request('POST', '/presence', deep(32))).status, 200);
    for (const depth of [33, 2048, 2049, 10_000])
      assert.equal((await alice.request('POST', '/presence', deep(depth))).status, 400, `${depth}`);
    assert.equal((await alice.request('POST', '/presence', json('['.repeat(60_000)))).status, 400);
    assert.ok((await gateway.limitHits('json_depth')) >= 1);
  });

  test('of unknown types are refused, of vague types looked at', async (t) => {
    const gateway = await startGateway(t);
    const alice = gateway.person('alice');
    const send = (type, body) =>
      alice.request('POST', '/presence', { body: Buffer.from(body), headers: { 'Content-Type': type } });
    for (const type of ['image/png', 'multipart/form-data; boundary=x', 'text/html', 'application/xml']) {
      const answer = await send(type, 'show=dnd');
      assert.deepEqual([answer.status, answer.body.error], [415, 'bad_type'], type);
    }
    const good = [
      ['application/json; charset=utf-8', '{"show":"dnd"}'],
      ['APPLICATION/JSON', '{"show":"dnd"}'],
      ['application/ld+json', '{"show":"dnd"}'],
      ['application/x-www-form-urlencoded; charset=UTF-8', 'show=dnd'],
      ['application/x-www-form-urlencoded', '{"show":"dnd"}'],
      ['text/plain', 'show=dnd'],
      ['text/plain', ' {"show":"dnd"}'],
      ['application/octet-stream', '{"show":"dnd"}'],
    ];
    for (const [type, body] of good) {
      await alice.setPresence({ show: 'chat' });
      const answer = await send(type, body);
      assert.deepEqual([answer.status, answer.body.show], [200, 'dnd'], `${type} ${body}`);
    }
  });

  test('many keys cost no more than they should', async (t) => {
    const gateway = await startGateway(t, { 'limits.body': '2M' });
    const alice = gateway.person('alice');
    const keys = Array.from({ length: 100_000 }, (_, i) => `"k${i}":1`).join(',');
    const forms = 'a=1&'.repeat(100_000);
    for (const init of [json(`{${keys}}`), { body: forms }]) {
      assert.equal((await within(alice.request('POST', '/presence', init), 'a body of many keys', 3000)).status, 200);
    }
  });
});

describe('origins', { concurrency: 4 }, () => {
  const GOOD = 'https://good.example';
  const foreign = [
    'https://evil.example',
    'null',
    'https://good.example.evil.example',
    'https://evil-good.example',
    'http://good.example',
    'https://good.example:444',
    'HTTPS://GOOD.EXAMPLE',
    'https://good.example/',
    'https://good.example, https://evil.example',
    '',
  ];

  test('that are listed may call, and are echoed exactly', async (t) => {
    const gateway = await startGateway(t, { 'http.allow_origins': [GOOD, 'http://localhost:3000'] });
    const alice = gateway.person('alice');
    const answer = await alice.get('/get-friends', {}, { headers: { Origin: GOOD } });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('access-control-allow-origin'), GOOD);
    assert.equal(answer.headers.get('access-control-allow-credentials'), 'true');
    assert.match(answer.headers.get('vary'), /\bOrigin\b/);
    const plain = await alice.get('/get-friends');
    assert.equal(plain.headers.get('access-control-allow-origin'), null);
    assert.match(plain.headers.get('vary'), /\bOrigin\b/, 'so that no cache mixes them up');
  });

  test('that are listed get an answer to their preflight', async (t) => {
    const gateway = await startGateway(t, { 'http.allow_origins': GOOD });
    const ask = (origin) =>
      gateway.person('nobody', { authorization: null }).request('OPTIONS', '/send-message', {
        headers: {
          Origin: origin,
          'Access-Control-Request-Method': 'POST',
          'Access-Control-Request-Headers': 'authorization,content-type',
        },
      });
    const { status, headers } = await ask(GOOD);
    assert.equal(status, 204);
    assert.equal(headers.get('access-control-allow-origin'), GOOD);
    assert.match(headers.get('access-control-allow-methods'), /\bPOST\b/);
    for (const name of ['Authorization', 'Content-Type', 'Last-Event-ID'])
      assert.match(headers.get('access-control-allow-headers'), new RegExp(name));
    for (const origin of ['https://evil.example', 'null']) {
      const refused = await ask(origin);
      for (const [name] of refused.headers) assert.doesNotMatch(name, /^access-control/, origin);
    }
  });

  test('that are foreign do nothing with a login, and nothing that changes anything', async (t) => {
    const gateway = await startGateway(t, { 'http.allow_origins': GOOD });
    const [alice] = await gateway.people('alice', 'bob');
    const token = await alice.token();
    for (const origin of foreign) {
      const asks = [
        [`GET ${FRIENDS}`, LOGIN],
        [`GET ${BASE}/stream`, LOGIN],
        [`POST ${BASE}/token`, LOGIN],
        [`POST ${BASE}/send-message/${token}?to=bob&message=m`, 'X: y'],
        [`DELETE ${BASE}/token/${token}`, 'X: y'],
      ];
      for (const [line, login] of asks) {
        const { responses } = await exchange(
          gateway,
          head(`${line} HTTP/1.1`, 'Host: x', login, `Origin: ${origin}`, 'Connection: close'),
        );
        assert.equal(responses[0].status, 403, `${line} from ${origin}`);
        assert.equal(JSON.parse(responses[0].body).error, 'bad_origin');
        assert.equal(responses[0].headers['access-control-allow-origin'], undefined);
      }
    }
    const two = await exchange(gateway, get(`Origin: ${GOOD}`, `Origin: ${GOOD}`));
    assert.equal(two.responses[0].status, 403);
  });

  test("that are the gateway's own need no listing", async (t) => {
    const gateway = await startGateway(t);
    const own = { Origin: gateway.url };
    assert.equal((await gateway.person('alice').post('/token', {}, { headers: own })).status, 200);
    const nothingListed = await gateway.person('alice').post('/token', {}, { headers: { Origin: GOOD } });
    assert.equal(nothingListed.status, 403);
    assert.equal(nothingListed.headers.get('access-control-allow-origin'), null);
  });
});
