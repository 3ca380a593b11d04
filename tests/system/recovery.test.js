// SPDX-License-Identifier: MIT
// Connection state recovery (socketio.recovery): a client of Socket.IO 4 whose connection is lost gets what it missed.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { startGateway } from './lib/gateway.js';
import { connect, matrix, open, RawWebSocket } from './lib/socketio.js';
import { waitFor } from './lib/wait.js';

const ON = { 'socketio.recovery': 'yes' };

// A way to the gateway that can be cut, and then lets nobody through until it is mended.
async function startWay(t, gateway) {
  const sockets = new Set();
  let isCut = false;
  const server = net.createServer((near) => {
    if (isCut) {
      near.destroy();
      return;
    }
    const far = net.connect({ host: '127.0.0.1', port: Number(gateway.address().split(':').pop()) });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      sockets.add(from);
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    clients: gateway.clients,
    cut() {
      isCut = true;
      for (const socket of sockets) socket.destroy();
    },
    mend() {
      isCut = false;
    },
  };
}

// As services do.
async function push(gateway, ...numbers) {
  for (const number of numbers) {
    const response = await fetch(`${gateway.adminUrl}/emit`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ event: 'number', args: [number] }),
    });
    assert.equal(response.status, 200);
  }
}

const numbers = (client) => client.all('number').map(([number]) => number);

const receives = (client, last) => client.event('number', (number) => number === last);

async function lose(client, way) {
  way.cut();
  await client.disconnects();
}

async function comeBack(client, way) {
  way.mend();
  await client.connects();
}

describe('who comes back in time', { concurrency: 3 }, () => {
  for (const { name, ...options } of matrix(['4'])) {
    test(`has missed nothing: ${name}`, async (t) => {
      const gateway = await startGateway(t, ON);
      const way = await startWay(t, gateway);
      const client = await connect(way, { ...options, reconnection: true });
      const { id } = client;
      await push(gateway, 1, 2);
      await receives(client, 2);
      await lose(client, way);
      await push(gateway, 3, 4, 5);
      await comeBack(client, way);
      await push(gateway, 6);
      await receives(client, 6);
      assert.equal(client.socket.recovered, true);
      assert.equal(client.id, id);
      assert.deepEqual(numbers(client), [1, 2, 3, 4, 5, 6]);
      await gateway.metricBecomes('nereidd_socketio_sockets', 1);
    });
  }

  test('may be lost many times', async (t) => {
    const gateway = await startGateway(t, ON);
    const way = await startWay(t, gateway);
    const client = await connect(way, { transport: 'websocket', reconnection: true });
    await push(gateway, 0);
    await receives(client, 0);
    for (let i = 1; i <= 10; i++) {
      await lose(client, way);
      await push(gateway, i);
      await comeBack(client, way);
      await receives(client, i);
      assert.equal(client.socket.recovered, true);
    }
    assert.deepEqual(
      numbers(client),
      Array.from({ length: 11 }, (_, i) => i),
    );
  });

  test('has missed nothing that was under way when its connection was lost', async (t) => {
    const gateway = await startGateway(t, ON);
    const way = await startWay(t, gateway);
    const client = await connect(way, { transport: 'websocket', reconnection: true });
    await push(gateway, 0);
    await receives(client, 0);
    let pushed = 0;
    const pushing = (async () => {
      while (pushed < 300) await push(gateway, ++pushed);
    })();
    for (const at of [50, 120, 200]) {
      await waitFor(() => pushed >= at, `${at} are pushed`);
      await lose(client, way);
      await comeBack(client, way);
    }
    await pushing;
    await receives(client, 300);
    assert.deepEqual(
      numbers(client),
      Array.from({ length: 301 }, (_, i) => i),
    );
  });

  test('and without having got anything before', async (t) => {
    const gateway = await startGateway(t, ON);
    const way = await startWay(t, gateway);
    const client = await connect(way, { transport: 'websocket', reconnection: true });
    const { id } = client;
    await lose(client, way);
    await push(gateway, 1);
    await comeBack(client, way);
    await receives(client, 1);
    assert.equal(client.id, id);
  });
});

describe('who starts over', { concurrency: 3 }, () => {
  async function isAnother(client, id) {
    assert.notEqual(client.id, id);
    assert.equal(client.socket.recovered, false);
  }

  test('comes too late', async (t) => {
    const gateway = await startGateway(t, { ...ON, 'socketio.recovery_time': '1s' });
    const way = await startWay(t, gateway);
    const client = await connect(way, { transport: 'websocket', reconnection: true });
    const { id } = client;
    await push(gateway, 1);
    await receives(client, 1);
    await lose(client, way);
    await gateway.metricBecomes('nereidd_socketio_sockets', 0);
    await push(gateway, 2);
    await sleep(1500); // that time is what this is about
    await comeBack(client, way);
    await push(gateway, 3);
    await receives(client, 3);
    await isAnother(client, id);
    assert.deepEqual(numbers(client), [1, 3]);
  });

  test('has missed more than is kept', async (t) => {
    const gateway = await startGateway(t, { ...ON, 'socketio.recovery_events': 2 });
    const way = await startWay(t, gateway);
    const client = await connect(way, { transport: 'websocket', reconnection: true });
    const { id } = client;
    await push(gateway, 1);
    await receives(client, 1);
    await lose(client, way);
    await push(gateway, 2, 3, 4);
    await comeBack(client, way);
    await isAnother(client, id);
    await push(gateway, 5);
    await receives(client, 5);
    assert.deepEqual(numbers(client), [1, 5]);
  });

  test('finds another server', async (t) => {
    const gateway = await startGateway(t, ON);
    const way = await startWay(t, gateway);
    const client = await connect(way, { transport: 'websocket', reconnection: true });
    const { id } = client;
    await push(gateway, 1);
    await receives(client, 1);
    await gateway.restart();
    await client.connects();
    await isAnother(client, id);
  });

  test('has left by itself', async (t) => {
    const gateway = await startGateway(t, ON);
    const client = await connect(gateway, { transport: 'websocket' });
    const { id } = client;
    client.disconnect();
    await client.disconnects();
    await push(gateway, 1);
    client.socket.connect();
    await client.connects();
    await isAnother(client, id);
    assert.deepEqual(numbers(client), []);
  });
});

describe('on the wire', { concurrency: 3 }, () => {
  async function session(gateway, packet) {
    const socket = await RawWebSocket.open(gateway, '/socket.io/?EIO=4&transport=websocket');
    await socket.frame();
    socket.send(packet);
    return socket;
  }

  const hello = (frame) => JSON.parse(frame.slice(2));

  test('a pid, and an offset behind the arguments', async (t) => {
    const gateway = await startGateway(t, ON);
    const first = await session(gateway, '40');
    const { sid, pid } = hello(await first.frame());
    assert.match(pid, /^[\w-]{20}$/);
    await push(gateway, 1);
    const event = await first.frame();
    assert.match(event, /^42\["number",1,"\d+"\]$/);
    const [, , offset] = JSON.parse(event.slice(2));
    first.close();
    await gateway.metricBecomes('nereidd_socketio_sockets', 0);
    await push(gateway, 2);

    const second = await session(gateway, `40${JSON.stringify({ pid, offset })}`);
    assert.match(await second.frame(), /^42\["number",2,"\d+"\]$/); // before the CONNECT
    assert.deepEqual(hello(await second.frame()), { sid, pid });
  });

  test('nonsense starts over', async (t) => {
    const gateway = await startGateway(t, ON);
    const first = await session(gateway, '40');
    const { sid, pid } = hello(await first.frame());
    first.close();
    await gateway.metricBecomes('nereidd_socketio_sockets', 0);
    for (const auth of [
      { pid: 'x' },
      { pid: 7, offset: 7 },
      { pid: null },
      { offset: '1' },
      { pid, offset: '18446744073709551616' },
      { pid },
    ]) {
      const socket = await session(gateway, `40${JSON.stringify(auth)}`);
      assert.notEqual(hello(await socket.frame()).sid, sid);
    }
  });

  test('off, there is neither', async (t) => {
    const gateway = await startGateway(t);
    const socket = await session(gateway, '40');
    assert.deepEqual(Object.keys(hello(await socket.frame())), ['sid']);
    await push(gateway, 1);
    assert.equal(await socket.frame(), '42["number",1]');
  });

  test('clients of before hear nothing of it', async (t) => {
    const gateway = await startGateway(t, ON);
    const old = await open(gateway, { version: '2.5', transport: 'websocket' });
    await old.connects();
    await push(gateway, 1);
    assert.deepEqual(await old.event('number'), [1]);
  });
});
