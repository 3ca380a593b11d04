// SPDX-License-Identifier: MIT
// What services push with: Socket.IO's emitters from npm, of every generation, and a Socket.IO server on Node with its
// Redis adapter. All are ended after the test.
import { once } from 'node:events';
import http from 'node:http';
import { createRequire } from 'node:module';

import { Emitter } from '@socket.io/redis-emitter';
import { createAdapter } from '@socket.io/redis-adapter';
import { createClient } from 'redis';
import { Server } from 'socket.io';

const require = createRequire(import.meta.url); // the old ones are CommonJS

// A connection of the client for Node.
export async function connectRedis(t, redis) {
  const socket = redis.usesTcp ? { port: redis.port, host: '127.0.0.1' } : { path: redis.socket };
  const client = createClient({ socket: { ...socket, reconnectStrategy: false } });
  client.on('error', () => {}); /* Redis may end before it */
  await client.connect();
  t.after(() => client.isOpen && client.destroy());
  return client;
}

// The old ones bring a client of their own.
function oldEmitter(t, redis, name) {
  const emitter = require(name)({ socket: redis.socket });
  emitter.redis.on('error', () => {});
  t.after(() => emitter.redis.end(true));
  return emitter;
}

export const EMITTERS = {
  'socket.io-emitter 2.0': async (t, redis) => oldEmitter(t, redis, 'sio-emitter-2'),
  'socket.io-emitter 3.2': async (t, redis) => oldEmitter(t, redis, 'sio-emitter-3'),
  '@socket.io/redis-emitter 5': async (t, redis) => new Emitter(await connectRedis(t, redis)),
};

export const newestEmitter = EMITTERS['@socket.io/redis-emitter 5'];

// A Socket.IO 4 server on Node that shares the Redis: { io, url, connected }. `connected` waits for a client's socket.
export async function startNodeServer(t, redis) {
  const [publisher, subscriber] = [await connectRedis(t, redis), await connectRedis(t, redis)];
  const server = http.createServer();
  const io = new Server(server, { adapter: createAdapter(publisher, subscriber) });
  io.of('/max');
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => io.close());
  return { io, url: `http://127.0.0.1:${server.address().port}` };
}
