// SPDX-License-Identifier: MIT
// Socket.IO 4 on Node, as npm has it, doing what nereidd's applications Sockets and maxtalk do: the reference of the
// scenarios socketio-… (see bench.c). Run by the bench as `node --expose-gc socketio_reference.mjs`.
//
// It has no store, no users and no membership: names and the one conversation live in memory, anybody may talk in it.
// POST /collect frees garbage.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const require = createRequire(new URL('../system/package.json', import.meta.url));
const { Server } = require('socket.io');

const server = createServer((request, response) => {
  for (let i = 0; i < 3; i++) globalThis.gc();
  response.end();
});

// The bench answers no pings.
const io = new Server(server, { serveClient: false, pingInterval: 3_600_000 });
const names = new Set(['Server']);

const say = (room, message) => room.emit('message', { from: 'Server', message });

// Sockets.
io.on('connection', (socket) => {
  let name;
  socket.on('register', (wanted, acknowledge) => {
    const taken = name !== undefined || typeof wanted !== 'string' || names.has(wanted);
    if (!taken) {
      names.add((name = wanted));
      socket.join('lobby');
      say(io.to('lobby'), `${name} has joined the chat`);
    }
    acknowledge(!taken);
  });
  socket.on('message', ({ message }) => {
    if (name !== undefined) socket.to('lobby').emit('message', { from: name, message });
  });
  socket.on('disconnect', () => {
    if (name === undefined) return;
    names.delete(name);
    say(io.to('lobby'), `${name} left the chat`);
  });
});

// maxtalk: everybody is in one conversation.
const CONVERSATION = '00000000-0000-4000-8000-000000000000';

io.of('/max').on('connection', (socket) => {
  let name;
  socket.on('join', ({ username }) => {
    name = username;
    socket.emit('listening', { conversations: [CONVERSATION] });
    socket.to(CONVERSATION).emit('joined', { conversation: CONVERSATION, username });
    socket.join(CONVERSATION);
  });
  socket.on('talk', ({ conversation, timestamp, messageID }) => {
    if (socket.rooms.has(conversation))
      socket.to(conversation).emit('update', { username: name, conversation, timestamp, messageID });
  });
});

server.listen(0, '127.0.0.1', () => console.log(`listening http 127.0.0.1:${server.address().port}`));
