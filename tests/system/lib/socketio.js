// SPDX-License-Identifier: MIT
// Socket.IO's own clients from npm, of every generation, behind one interface: over the transport that a test wants,
// with all that comes in kept in order, and nothing waited for without a deadline.
//
//   const client = await connect(gateway, { version: '2.5', transport: 'polling', nsp: '/max' });
//   client.emit('talk', {...});                    no acknowledgement
//   const [ok] = await client.ask('register', 'alice');   its acknowledgement's arguments
//   const [update] = await client.event('update');        the arguments of the next such event
//   client.close();                                the gateway's closeClients does that too
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import net from 'node:net';

import { WebSocket } from 'ws';

import { Inbox, PATIENCE_MS, waitFor, within } from './wait.js';

const require = createRequire(import.meta.url); // the old ones are CommonJS

// `revision` is that of Socket.IO's packets, `engine` Engine.IO's.
export const CLIENTS = {
  0.9: { package: 'sio-client-0.9', revision: 1, engine: null, binary: false, auth: false },
  1.7: { package: 'sio-client-1', revision: 4, engine: 3, binary: true, auth: false },
  2.5: { package: 'sio-client-2', revision: 4, engine: 3, binary: true, auth: false },
  3.1: { package: 'sio-client-3', revision: 5, engine: 4, binary: true, auth: true },
  4: { package: 'sio-client-4', revision: 5, engine: 4, binary: true, auth: true },
};

export const VERSIONS = ['0.9', '1.7', '2.5', '3.1', '4'];

// 0.9 has no upgrade: it tries one transport and falls back to another.
export const TRANSPORTS = {
  polling: ['polling'],
  websocket: ['websocket'],
  upgrade: ['polling', 'websocket'],
};

const LEGACY_TRANSPORTS = {
  polling: ['xhr-polling'],
  websocket: ['websocket'],
  upgrade: ['websocket', 'xhr-polling'],
};

// Every version with every transport that it is to be tried with: [{ version, transport, name }].
export function matrix(versions = VERSIONS, transports = Object.keys(TRANSPORTS)) {
  return versions.flatMap((version) =>
    transports.map((transport) => ({ version, transport, name: `socket.io-client ${version}, ${transport}` })),
  );
}

// What clients have in common. `events` holds { name, args } of all that the server has emitted; `states` what happened
// to the connection: { name: 'connect' }, { name: 'disconnect', reason }, { name: 'refused', error }.
class Client {
  events = new Inbox();
  states = new Inbox();
  #inboxes = new Map(); // by event name: who waits for one takes nothing from others

  constructor(options) {
    Object.assign(this, options);
  }

  take(name, args) {
    this.events.push({ name, args });
    this.inbox(name).push(args);
  }

  inbox(name) {
    if (!this.#inboxes.has(name)) this.#inboxes.set(name, new Inbox());
    return this.#inboxes.get(name);
  }

  // The arguments of the next event of this name whose arguments `matches` takes.
  event(name, matches = () => true, ms = PATIENCE_MS) {
    return this.inbox(name).next((args) => matches(...args), `${this.name}: the event ${name}`, ms);
  }

  // The arguments of all events of this name so far.
  all(name) {
    return this.inbox(name).items;
  }

  state(name, ms = PATIENCE_MS) {
    return this.states.next((state) => state.name === name, `${this.name}: ${name}`, ms);
  }

  connects(ms) {
    return this.state('connect', ms);
  }

  // Why it was disconnected.
  async disconnects(ms) {
    return (await this.state('disconnect', ms)).reason;
  }

  // The error that it was refused with.
  async refused(ms) {
    return (await this.state('refused', ms)).error;
  }

  emit(name, ...args) {
    this.socket.emit(name, ...args);
  }

  // Emits, and resolves with the arguments of the acknowledgement.
  ask(name, ...args) {
    return this.askWithin(PATIENCE_MS, name, ...args);
  }

  askWithin(ms, name, ...args) {
    const answer = new Promise((resolve) => this.socket.emit(name, ...args, (...got) => resolve(got)));
    return within(answer, `${this.name}: the acknowledgement of ${name}`, ms);
  }

  // Acknowledges each event of this name with what `reply` makes of its arguments: an array.
  answer(name, reply) {
    this.socket.on(name, (...args) => {
      const acknowledge = args.pop();
      acknowledge(...reply(...args));
    });
  }

  get name() {
    return `socket.io-client ${this.version}, ${this.transport}, ${this.nsp}`;
  }
}

// 1.x to 4.x.
class ModernClient extends Client {
  constructor(manager, socket, options) {
    super(options);
    Object.assign(this, { manager, socket });
    this.#listen();
  }

  #listen() {
    const { socket } = this;
    const onevent = socket.onevent;
    socket.onevent = (packet) => {
      this.take(packet.data[0], packet.data.slice(1));
      onevent.call(socket, packet);
    };
    socket.on('connect', () => this.states.push({ name: 'connect' }));
    socket.on('disconnect', (reason) => this.states.push({ name: 'disconnect', reason }));
    socket.on('connect_error', (error) => this.states.push({ name: 'refused', error }));
    if (CLIENTS[this.version].revision < 5) socket.on('error', (error) => this.states.push({ name: 'refused', error }));
  }

  get id() {
    return this.socket.id;
  }

  get connected() {
    return this.socket.connected;
  }

  // What it runs over now.
  get running() {
    return this.manager.engine.transport.name;
  }

  async upgrades(ms) {
    await waitFor(() => this.running === 'websocket' && !this.manager.engine.upgrading, `${this.name} upgrades`, ms);
    return this;
  }

  // Another namespace on the same connection. Before 3.x a client can have `/` only if it had it from the beginning.
  of(nsp, { auth } = {}) {
    const { manager, version, transport } = this;
    const client = new ModernClient(manager, manager.socket(nsp, { auth }), { version, transport, nsp });
    client.socket.open();
    return client;
  }

  // Leaves the namespace; the connection goes with the last one.
  disconnect() {
    this.socket.disconnect();
  }

  // Cuts the connection without a word; it comes back by itself if reconnection is on.
  cut() {
    this.manager.engine.close();
  }

  close() {
    this.manager.reconnection(false);
    this.manager.skipReconnect = true;
    this.socket.disconnect();
    this.manager.engine?.close();
  }
}

// 0.9: a socket is shared by namespaces, and what it says of itself looks like events.
class LegacyClient extends Client {
  static #states = {
    connect: () => ({ name: 'connect' }),
    disconnect: (reason) => ({ name: 'disconnect', reason }),
    error: (error) => ({ name: 'refused', error }),
    connect_failed: (error) => ({ name: 'refused', error }),
    connecting: () => null,
    reconnecting: () => null,
    reconnect: () => null,
    reconnect_failed: () => null,
  };

  constructor(socket, options) {
    super(options);
    this.socket = socket;
    const tell = socket.$emit;
    socket.$emit = (name, ...args) => {
      const stateOf = LegacyClient.#states[name];
      const state = stateOf?.(...args);
      if (state) this.states.push(state);
      if (!stateOf) this.take(name, typeof args.at(-1) === 'function' ? args.slice(0, -1) : args);
      tell.call(socket, name, ...args);
    };
  }

  get id() {
    return this.socket.socket.sessionid;
  }

  get connected() {
    return this.socket.socket.connected;
  }

  get running() {
    return this.socket.socket.transport.name.replace('xhr-', '');
  }

  async upgrades() {
    return this;
  }

  of(nsp) {
    const { version, transport } = this;
    return new LegacyClient(this.socket.socket.of(nsp === '/' ? '' : nsp), { version, transport, nsp });
  }

  disconnect() {
    this.socket.disconnect();
  }

  cut() {
    this.socket.socket.transport.close();
    this.socket.socket.transport.onClose();
  }

  close() {
    const { socket } = this.socket;
    socket.options.reconnect = false;
    for (const timer of ['heartbeatTimeoutTimer', 'connectTimeoutTimer', 'reconnectionTimer'])
      clearTimeout(socket[timer]);
    socket.reconnecting = false;
    socket.disconnect();
    socket.transport?.clearTimeouts();
    clearTimeout(socket.heartbeatTimeoutTimer);
  }
}

function queryText(query) {
  return new URLSearchParams(query ?? {}).toString();
}

function openLegacy(gateway, options) {
  const { nsp, transport, query, reconnection, path, socketOptions } = options;
  const socket = require(CLIENTS['0.9'].package).connect(gateway.url + (nsp === '/' ? '' : nsp), {
    'force new connection': true,
    reconnect: reconnection,
    'reconnection delay': 25,
    resource: path.slice(1),
    query: queryText(query),
    ...socketOptions,
  });
  socket.socket.options.transports = [...LEGACY_TRANSPORTS[transport]]; // the option itself would stay for all others
  return new LegacyClient(socket, { version: '0.9', transport, nsp });
}

function openModern(gateway, options) {
  const { version, nsp, transport, query, headers, auth, reconnection, path, socketOptions } = options;
  const io = require(CLIENTS[version].package);
  const Manager = io.Manager;
  const manager = new Manager(gateway.url, {
    transports: TRANSPORTS[transport],
    path: `${path}/`,
    query: query ?? {},
    extraHeaders: headers ?? {},
    reconnection,
    reconnectionDelay: 50,
    reconnectionDelayMax: 200,
    randomizationFactor: 0.2,
    timeout: PATIENCE_MS,
    autoConnect: false,
    ...socketOptions,
  });
  const client = new ModernClient(manager, manager.socket(nsp, { auth }), { version, transport, nsp });
  client.socket.open();
  return client;
}

// A client on its way. `gateway` is anything with a `url` and a set `clients`. `query` goes into the URL, `auth` into
// CONNECT (3.x and later); `headers` are sent where the client can (not 0.9); `socketOptions` are the client's own.
export function open(gateway, options = {}) {
  const all = { version: '4', transport: 'upgrade', nsp: '/', path: '/socket.io', reconnection: false, ...options };
  assert.ok(CLIENTS[all.version], `no such client: ${all.version}`);
  const client = all.version === '0.9' ? openLegacy(gateway, all) : openModern(gateway, all);
  gateway.clients?.add(client);
  return client;
}

// One that is connected to its namespace and runs over the transport that was asked for.
export async function connect(gateway, options = {}) {
  const client = open(gateway, options);
  const state = await client.states.next(() => true, `${client.name} connects`);
  assert.equal(state.name, 'connect', `${client.name}: ${state.error?.message ?? state.error ?? state.reason}`);
  if (client.transport === 'upgrade') await client.upgrades();
  return client;
}

// A WebSocket without a client behind it: `frames` holds what came, text as strings and binary as buffers.
export class RawWebSocket {
  frames = new Inbox();
  code = null; // of its close

  static async open(gateway, target, { headers = {}, protocols = [] } = {}) {
    const raw = new RawWebSocket();
    raw.socket = new WebSocket(gateway.url.replace('http', 'ws') + target, protocols, {
      headers,
      perMessageDeflate: false,
    });
    raw.socket.on('message', (data, isBinary) => raw.frames.push(isBinary ? data : data.toString()));
    raw.socket.on('close', (code) => {
      raw.code = code;
      raw.frames.end();
    });
    gateway.clients?.add(raw);
    await within(
      new Promise((resolve, reject) => {
        raw.socket.on('open', resolve);
        raw.socket.on('error', reject);
      }),
      `a WebSocket at ${target}`,
    );
    return raw;
  }

  // The next frame that `matches`.
  frame(matches, what = 'a frame', ms = PATIENCE_MS) {
    return this.frames.next(matches, what, ms);
  }

  send(data) {
    this.socket.send(data);
  }

  async closed(ms = PATIENCE_MS) {
    await this.frames.rest('the WebSocket is closed', ms);
    return this.code;
  }

  close() {
    this.socket.terminate();
  }
}

// What can become of a WebSocket on its way: `bytes` is what came from the server so far.
const FAULTS = {
  refused: () => 'cut',
  mute: (bytes) => (bytes.includes('\r\n\r\n') ? 'hold' : 'pass'),
  'lost after 3probe': (bytes) => (bytes.includes('3probe') ? 'cut' : 'pass'),
};

export const WEBSOCKET_FAULTS = Object.keys(FAULTS);

// The same server through a path that passes HTTP, and on which WebSockets have this fault.
export async function startFaultyPath(t, server, fault) {
  const sockets = new Set();
  const { hostname, port } = new URL(server.url);

  function join(near) {
    const far = net.connect({ host: hostname, port: Number(port) });
    let isWebSocket = false;
    let bytes = '';
    const cut = () => {
      near.destroy();
      far.destroy();
    };
    near.on('data', (data) => {
      isWebSocket ||= /^upgrade: websocket/im.test(data.toString('latin1'));
      if (isWebSocket && FAULTS[fault]('') === 'cut') cut();
      else if (!(isWebSocket && FAULTS[fault](bytes) === 'hold')) far.write(data);
    });
    far.on('data', (data) => {
      if (!isWebSocket) return near.write(data);
      const verdict = FAULTS[fault](bytes);
      bytes += data.toString('latin1');
      if (FAULTS[fault](bytes) === 'cut') cut();
      else if (verdict === 'pass') near.write(data);
    });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', cut);
    }
  }

  const listener = net.createServer(join);
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  });
  return { url: `http://127.0.0.1:${listener.address().port}`, clients: server.clients };
}
