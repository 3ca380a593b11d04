// SPDX-License-Identifier: MIT
// Who is calling: each way to log in, and what does not get in.
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';

import { makeFolder, runProgram, startGateway } from './lib/gateway.js';
import { startWithIssuer } from './lib/issuer.js';
import { makeKey, signToken, unsignedToken } from './lib/jwt.js';
import { BASE, basic } from './lib/person.js';
import { RawSocket, exchange } from './lib/raw.js';
import { waitFor } from './lib/wait.js';

const PASSWORD = 'correct horse battery staple';

async function writeFile(folder, name, text, mode = 0o600) {
  const file = path.join(folder, name);
  await fs.writeFile(file, text, { mode });
  return file;
}

// A line of the users file, as a person makes it.
async function userLine(user, name, password) {
  const { code, stdout } = await runProgram(['--hash-password', user, name], { input: `${password}\n` });
  assert.equal(code, 0);
  return stdout;
}

// A request by hand, with these header lines.
const asking = (...lines) =>
  [`GET ${BASE}/get-friends HTTP/1.1`, 'Host: x', 'Connection: close', ...lines, '', ''].join('\r\n');

describe('demo', { concurrency: 4 }, () => {
  test('lets anybody in under the name they give, with any password', async (t) => {
    const gateway = await startGateway(t);
    for (const name of ['alice', 'Ünïcödé', 'a b', '日本語', 'nereid.user,123', 'x'.repeat(128)]) {
      const stream = await gateway.person(name, { password: Math.random().toString() }).stream();
      await stream.presence(name);
    }
    await gateway.person('empty password', { password: '' }).friends();
  });

  test('but no names that are none', async (t) => {
    const gateway = await startGateway(t);
    for (const name of ['', ' ', ' alice', 'alice ', 'a\nb', 'a\0b', 'a\u2028b', '\u202ealice', 'x'.repeat(129)]) {
      assert.equal((await gateway.person(name).get('/get-friends')).status, 401, JSON.stringify(name).slice(0, 40));
    }
  });

  test('nor credentials that are malformed', async (t) => {
    const gateway = await startGateway(t);
    const bad = [
      'Basic',
      'Basic ',
      'Basic !!!',
      'Basic YWxpY2U',
      'Basic YWxpY2U=',
      `Basic ${Buffer.from([0xff, 0x3a, 0x78]).toString('base64')}`,
      'Digest username="alice"',
      'alice:x',
      `Basic ${'YWxp'.repeat(1500)}`,
      `Bearer ${'x'.repeat(5000)}`,
    ];
    for (const authorization of bad) {
      const { responses } = await exchange(gateway, asking(`Authorization: ${authorization}`));
      assert.equal(responses[0].status, 401, authorization.slice(0, 40));
    }
    const twice = asking(`Authorization: ${basic('a')}`, `Authorization: ${basic('b')}`);
    assert.equal((await exchange(gateway, twice)).responses[0].status, 401);
  });

  test('is refused where others could reach it', async () => {
    for (const listen of ['0.0.0.0:0', '*:0', '[::]:0', '192.0.2.1:0']) {
      const { code, stderr } = await runProgram(['-t', '-o', `http.listen=${listen}`]);
      assert.equal(code, 78, listen);
      assert.match(stderr, /demo/);
    }
    const forced = await runProgram(['-t', '-o', 'http.listen=0.0.0.0:0', '-o', 'auth.demo_anywhere=yes']);
    assert.equal(forced.code, 0);
  });
});

describe('basic', { concurrency: 4 }, () => {
  async function startWithUsers(t, options = {}) {
    const folder = await makeFolder(t);
    const alice = await userLine('alice', 'Alice: Liddell', PASSWORD);
    const bob = await userLine('bob', 'Bob', 'geheim');
    const text = `# who may log in\n\n${alice}${bob}`;
    const file = await writeFile(folder, 'users', text);
    const gateway = await startGateway(t, { 'auth.methods': 'basic', 'auth.users': file, ...options });
    gateway.secrets.add(PASSWORD).add('geheim');
    return { gateway, file };
  }

  test('checks passwords, and knows names', async (t) => {
    const { gateway } = await startWithUsers(t);
    const alice = gateway.person('alice', { password: PASSWORD });
    const stream = await alice.stream();
    assert.equal((await stream.presence('alice')).displayName, 'Alice: Liddell');
    for (const [user, password] of [
      ['alice', 'wrong'],
      ['alice', ''],
      ['alice', `${PASSWORD} `],
      ['bob', PASSWORD],
      ['carol', PASSWORD],
      ['Alice', PASSWORD],
    ]) {
      const answer = await gateway.person(user, { password }).get('/get-friends');
      assert.equal(answer.status, 401);
      assert.match(answer.headers.get('www-authenticate'), /^Basic realm="[^"]+", charset="UTF-8"$/);
    }
    assert.equal(await gateway.metric('nereidd_login_failures_total'), 6);
  });

  test('of a failed login the log tells the address, not the password', async (t) => {
    const { gateway } = await startWithUsers(t);
    await gateway.person('alice', { password: 'not-this-one' }).get('/get-friends');
    gateway.secrets.add('not-this-one');
    await gateway.logged(/login failed.*127\.0\.0\.1/);
  });

  test('a guesser is made to wait, and so is the right password from there', async (t) => {
    const { gateway } = await startWithUsers(t, { 'limits.login_failures': 3 });
    const guess = (password) => gateway.person('alice', { password }).get('/get-friends');
    for (let i = 0; i < 3; i++) assert.equal((await guess(`guess ${i}`)).status, 401);
    for (const password of ['guess 4', PASSWORD]) {
      const answer = await guess(password);
      assert.equal(answer.status, 429);
      assert.equal(answer.body.error, 'too_many');
      const wait = Number(answer.headers.get('retry-after'));
      assert.ok(wait > 0 && wait <= 60, `${wait} s`);
    }
    assert.equal(await gateway.limitHits('login_failures'), 2);
  });

  test('a burst of guesses gets no more through than the limit', async (t) => {
    const { gateway } = await startWithUsers(t, { 'limits.login_failures': 4 });
    const guesses = await Promise.all(
      Array.from({ length: 20 }, (_, i) => gateway.person('alice', { password: `${i}` }).get('/get-friends')),
    );
    const through = guesses.filter(({ status }) => status === 401).length;
    assert.ok(through === 4 || through === 5, `${through}: two are checked at a time`);
    assert.equal(guesses.filter(({ status }) => status === 429).length, 20 - through);
  });

  test('reads the file again on SIGHUP, and keeps the old one if the new is bad', async (t) => {
    const { gateway, file } = await startWithUsers(t, { 'auth.login_cache': 0 });
    const carol = gateway.person('carol', { password: 'new' });
    assert.equal((await carol.get('/get-friends')).status, 401);
    await fs.writeFile(file, await userLine('carol', 'Carol', 'new'));
    gateway.signal('SIGHUP');
    await waitFor(async () => (await carol.get('/get-friends')).status === 200, 'the new file is read');
    assert.equal((await gateway.person('bob', { password: 'geheim' }).get('/get-friends')).status, 401);
    await fs.writeFile(file, 'this is no line\n');
    gateway.signal('SIGHUP');
    await gateway.logged(/users file.* line=1 /);
    assert.equal((await carol.get('/get-friends')).status, 200);
  });

  test('wants a file that is good and private', async (t) => {
    const folder = await makeFolder(t);
    const line = await userLine('alice', 'Alice', PASSWORD);
    const files = {
      'readable by all': await writeFile(folder, 'open', line),
      'a weak hash': await writeFile(folder, 'weak', 'alice:$1$abcdefgh$G//4keteveJp0qb8z2DxG/:Alice\n'),
      'no hash': await writeFile(folder, 'none', 'alice:password:Alice\n'),
      'a name twice': await writeFile(folder, 'twice', line + line),
      'nothing there': path.join(folder, 'missing'),
    };
    await fs.chmod(files['readable by all'], 0o644);
    for (const [what, file] of Object.entries(files)) {
      const { code, stderr } = await runProgram(['-t', '-o', 'auth.methods=basic', '-o', `auth.users=${file}`]);
      assert.equal(code, 78, what);
      assert.ok(stderr.includes(file), what);
    }
  });

  test('--hash-password makes its lines', async () => {
    const line = await userLine('alice', 'Alice Liddell', PASSWORD);
    assert.match(line, /^alice:\$y\$[^:]+:Alice Liddell\n$/);
    assert.notEqual(await userLine('alice', 'Alice Liddell', PASSWORD), line, 'with a salt');
    const bad = await runProgram(['--hash-password', 'a:b', 'name'], { input: 'x\n' });
    assert.notEqual(bad.code, 0);
    assert.equal((await runProgram(['--hash-password'])).code, 64);
  });
});

describe('header', { concurrency: 4 }, () => {
  const as = (gateway, user, name) => {
    const headers = { 'X-Forwarded-User': user, ...(name ? { 'X-Name': name } : {}) };
    return gateway.person(user, { authorization: null, headers });
  };

  test('believes the proxies it trusts', async (t) => {
    const gateway = await startGateway(t, {
      'auth.methods': 'header',
      'auth.trusted': '127.0.0.0/8',
      'auth.name_header': 'X-Name',
    });
    const stream = await as(gateway, 'alice', 'Alice Liddell').stream();
    assert.equal((await stream.presence('alice')).displayName, 'Alice Liddell');
    const nobody = await gateway.person('nobody', { authorization: null }).get('/get-friends');
    assert.equal(nobody.status, 401);
    const twice = asking('X-Forwarded-User: a', 'X-Forwarded-User: b');
    assert.equal((await exchange(gateway, twice)).responses[0].status, 401, 'two names are none');
    assert.equal((await gateway.person('x', { authorization: basic('x') }).get('/get-friends')).status, 401);
  });

  test('believes nobody else', async (t) => {
    const gateway = await startGateway(t, { 'auth.methods': 'header', 'auth.trusted': '192.0.2.0/24' });
    assert.equal((await as(gateway, 'alice').get('/get-friends')).status, 401);
    await gateway.logged(/warn .*auth\.trusted/);
  });

  test('believes a Unix socket if it is listed, and no forwarded addresses', async (t) => {
    const folder = await makeFolder(t);
    const listen = ['127.0.0.1:0', `unix:${folder}/http`];
    const gateway = await startGateway(t, { 'auth.methods': 'header', 'auth.trusted': 'unix', 'http.listen': listen });
    const request = `GET ${BASE}/get-friends HTTP/1.0\r\nX-Forwarded-User: alice\r\nX-Forwarded-For: unix\r\n\r\n`;
    assert.equal((await exchange(gateway, request)).responses[0].status, 401);
    const local = await RawSocket.connect(gateway, `unix:${folder}/http`);
    local.write(request);
    assert.match(await local.untilClosed(), /^HTTP\/1\.[01] 200 /);
  });

  test('comes before or after other methods, as configured', async (t) => {
    const gateway = await startGateway(t, { 'auth.methods': ['header', 'demo'], 'auth.trusted': '127.0.0.1' });
    const both = gateway.person('demo', { headers: { 'X-Forwarded-User': 'proxy' } });
    await (await both.stream()).presence('proxy', ({ available }) => available);
    await (await gateway.person('demo').stream()).presence('demo', ({ available }) => available);
  });
});

describe('jwt', { concurrency: 4 }, () => {
  const now = () => Math.floor(Date.now() / 1000);
  const claims = (more = {}) => ({ sub: 'alice', name: 'Alice Liddell', exp: now() + 600, ...more });

  async function startWithKey(t, algorithm, options = {}) {
    const folder = await makeFolder(t);
    const key = makeKey(algorithm);
    const file = await writeFile(folder, 'key', key.file);
    const gateway = await startGateway(t, {
      'auth.methods': 'jwt',
      'auth.jwt_key': file,
      'auth.jwt_algorithm': algorithm,
      ...options,
    });
    const status = async (token) => {
      const signature = token.split('.')[2] ?? '';
      if (signature.length > 20) gateway.secrets.add(signature);
      return (await gateway.person('x', { authorization: `Bearer ${token}` }).get('/get-friends')).status;
    };
    return { gateway, key, status };
  }

  for (const algorithm of ['HS256', 'HS384', 'HS512', 'RS256', 'ES256', 'EdDSA']) {
    test(`${algorithm}: a good token gets in, others do not`, async (t) => {
      const { gateway, key, status } = await startWithKey(t, algorithm);
      const good = signToken(algorithm, key.signing, claims());
      const stream = await gateway.person('x', { authorization: `Bearer ${good}` }).stream();
      assert.equal((await stream.presence('alice')).displayName, 'Alice Liddell');
      const [head, body, signature] = good.split('.');
      const flipped = Buffer.from(signature, 'base64url');
      flipped[flipped.length - 1] ^= 1;
      const other = signToken(algorithm, makeKey(algorithm).signing, claims());
      const bad = {
        'another key': other,
        'one bit': `${head}.${body}.${flipped.toString('base64url')}`,
        'another payload': `${head}.${other.split('.')[1].slice(0, -2)}xx.${signature}`,
        'no signature': `${head}.${body}.`,
        'two parts': `${head}.${body}`,
        'four parts': `${good}.x`,
        dots: '..',
        padding: `${good}=`,
      };
      for (const [what, token] of Object.entries(bad)) assert.equal(await status(token), 401, what);
    });
  }

  test('the algorithm is the configured one, whatever a token says', async (t) => {
    const { key, status } = await startWithKey(t, 'HS256');
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '', 'HS256 ', 'hs256', null]) {
      assert.equal(await status(unsignedToken(alg, claims())), 401, `${alg} without a signature`);
      assert.equal(await status(signToken('HS256', key.signing, claims(), { alg })), 401, `${alg} with one`);
    }
    assert.equal(await status(signToken('HS384', key.signing, claims())), 401);
    assert.equal(await status(signToken('HS512', key.signing, claims(), { alg: 'HS256' })), 401);
    assert.equal(await status(signToken('HS256', key.signing, claims(), { crit: ['exp'] })), 401);
    assert.equal(await status(signToken('HS256', key.signing, claims(), { zip: 'DEF' })), 401);
    assert.equal(await status(signToken('HS256', key.signing, claims())), 200);
  });

  for (const algorithm of ['RS256', 'ES256']) {
    test(`the public key of ${algorithm} is no secret for HS256`, async (t) => {
      const { key, status } = await startWithKey(t, algorithm);
      for (const secret of [key.file, key.file.trim()]) {
        assert.equal(await status(signToken('HS256', secret, claims())), 401);
        assert.equal(await status(signToken('HS256', secret, claims(), { alg: algorithm })), 401);
      }
    });
  }

  test('claims are looked at', async (t) => {
    const options = { 'auth.jwt_audience': 'chat', 'auth.jwt_issuer': 'https://id.example', 'auth.jwt_skew': '1m' };
    const { key, status } = await startWithKey(t, 'HS256', options);
    const good = { aud: 'chat', iss: 'https://id.example' };
    const sign = (more) => signToken('HS256', key.signing, claims({ ...good, ...more }));
    const refused = {
      'no exp': { exp: undefined },
      'exp in the past': { exp: now() - 600 },
      'exp as a text': { exp: `${now() + 600}` },
      'exp with a fraction': { exp: now() + 600.5 },
      'negative exp': { exp: -1 },
      'exp of 2^63': { exp: 9223372036854775807n.toString() },
      'nbf in the future': { nbf: now() + 600 },
      'another audience': { aud: 'mail' },
      'other audiences': { aud: ['mail', 'news'] },
      'no audience': { aud: undefined },
      'another issuer': { iss: 'https://evil.example' },
      'no issuer': { iss: undefined },
      'no sub': { sub: undefined },
      'an empty sub': { sub: '' },
      'sub as an object': { sub: {} },
      'a sub that is no user': { sub: 'a\nb' },
    };
    for (const [what, more] of Object.entries(refused)) assert.equal(await status(sign(more)), 401, what);
    for (const more of [{}, { aud: ['mail', 'chat'] }, { exp: now() - 20 }, { nbf: now() + 20 }])
      assert.equal(await status(sign(more)), 200);
  });

  test('the user is in the configured claim', async (t) => {
    const { gateway, key } = await startWithKey(t, 'HS256', {
      'auth.jwt_claim': 'user_id',
      'auth.jwt_name_claim': 'nick',
    });
    const token = signToken('HS256', key.signing, { user_id: 'bob', nick: 'Bobby', exp: now() + 60 });
    const stream = await gateway.person('x', { authorization: `Bearer ${token}` }).stream();
    assert.equal((await stream.presence('bob')).displayName, 'Bobby');
  });

  test('keys may come as a set, told apart by kid', async (t) => {
    const folder = await makeFolder(t);
    const [first, second] = [makeKey('ES256'), makeKey('ES256')];
    const keys = [first, second].map((key, i) => ({
      ...key.public.export({ format: 'jwk' }),
      kid: `key${i}`,
      alg: 'ES256',
      use: 'sig',
    }));
    const file = await writeFile(
      folder,
      'jwks.json',
      JSON.stringify({ keys: [{ kty: 'oct', k: 'x', kid: 'else' }, ...keys] }),
    );
    const gateway = await startGateway(t, {
      'auth.methods': 'jwt',
      'auth.jwt_jwks': file,
      'auth.jwt_algorithm': 'ES256',
    });
    const status = async (key, header) => {
      const token = signToken('ES256', key.signing, claims(), header);
      return (await gateway.person('x', { authorization: `Bearer ${token}` }).get('/get-friends')).status;
    };
    assert.equal(await status(first, { kid: 'key0' }), 200);
    assert.equal(await status(second, { kid: 'key1' }), 200);
    assert.equal(await status(first, { kid: 'key1' }), 401);
    assert.equal(await status(first, { kid: 'unknown' }), 401);
    assert.equal(await status(first, {}), 401, 'which one is not guessed');
  });

  test('keys that are missing, too short or of the wrong kind keep it from starting', async (t) => {
    const folder = await makeFolder(t);
    const test = async (algorithm, text) => {
      const file = await writeFile(folder, `${Math.random()}`, text);
      return (
        await runProgram([
          '-t',
          '-o',
          'auth.methods=jwt',
          '-o',
          `auth.jwt_key=${file}`,
          '-o',
          `auth.jwt_algorithm=${algorithm}`,
        ])
      ).code;
    };
    assert.equal(await test('HS256', ''), 78);
    assert.equal(await test('HS256', 'x'.repeat(31)), 78);
    assert.equal(await test('HS256', 'x'.repeat(32)), 0);
    assert.equal(await test('HS512', 'x'.repeat(63)), 78);
    assert.equal(await test('RS256', makeKey('ES256').file), 78);
    assert.equal(await test('ES256', 'no PEM'), 78);
    assert.equal((await runProgram(['-t', '-o', 'auth.methods=jwt'])).code, 78);
  });

  test('a chat token works beside it, and a JWT is not taken for one', async (t) => {
    const { gateway, key } = await startWithKey(t, 'HS256');
    const alice = gateway.person('alice', { authorization: `Bearer ${signToken('HS256', key.signing, claims())}` });
    const holder = await alice.tokenHolder();
    await (await holder.stream()).presence('alice');
    assert.equal((await holder.get('/get-friends')).status, 403);
  });

  test('a login that ends takes its streams and polls along', async (t) => {
    const { gateway, issuer } = await startWithIssuer(t);
    const until = (seconds) => gateway.person('alice', { authorization: `Bearer ${issuer.token('alice', seconds)}` });
    const short = until(2);
    const lasting = await until(600).stream();
    const [stream, { cursor }] = [await short.stream(), await short.poll({ wait: 0 })];
    const poll = short.get('/poll', { wait: 30, since: cursor });
    assert.equal((await stream.end()).error, 'unauthorized');
    const answer = await poll;
    assert.equal(answer.status, 401);
    assert.equal(answer.body.error, 'unauthorized');
    assert.equal((await short.get('/stream')).status, 401);
    await until(600).send({ to: 'alice', message: 'still there' });
    await lasting.message('still there');
  });
});
