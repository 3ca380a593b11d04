// SPDX-License-Identifier: MIT
// A port that stays while the gateway behind it comes and goes, and a network that can go wrong.
import { once } from 'node:events';
import net from 'node:net';
import { Transform } from 'node:stream';

// { url, cut(), away, swallows }: `cut` ends all connections; while `away` is true new ones end at once. `swallows` is
// 'nothing', 'answers' or 'everything': what gets lost on the way although connections stay. With `cutsAfter` no
// connection lives longer than so many milliseconds. `gateway` may change its address.
export async function startRelay(t, gateway, { cutsAfter } = {}) {
  const sockets = new Set();
  const relay = { away: false, swallows: 'nothing', cut: () => sockets.forEach((socket) => socket.destroy()) };
  const sieve = (...what) =>
    new Transform({
      transform: (piece, encoding, done) => done(null, what.includes(relay.swallows) ? undefined : piece),
    });
  const server = net.createServer((near) => {
    if (relay.away) return near.destroy();
    const far = net.connect({ host: '127.0.0.1', port: Number(gateway.address().split(':').pop()) });
    const end = cutsAfter && setTimeout(() => near.destroy(), cutsAfter);
    for (const [from, filter, to] of [
      [near, sieve('everything'), far],
      [far, sieve('everything', 'answers'), near],
    ]) {
      sockets.add(from);
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        clearTimeout(end);
        to.destroy();
      });
      from.pipe(filter).pipe(to);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    relay.cut();
    server.close();
  });
  return Object.assign(relay, { url: `http://127.0.0.1:${server.address().port}` });
}
