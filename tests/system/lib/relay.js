// SPDX-License-Identifier: MIT
// A port that stays while the gateway behind it comes and goes.
import { once } from 'node:events';
import net from 'node:net';

export async function startRelay(t, gateway) {
  const sockets = new Set();
  const server = net.createServer((near) => {
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
  return { url: `http://127.0.0.1:${server.address().port}` };
}
