// SPDX-License-Identifier: MIT
// A load balancer that knows nothing of sessions: each request goes to the next node, whatever connection it came on.
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';

import { waitFor } from './wait.js';

const portOf = (node) => Number(node.address().split(':').pop());

// One node's answer to one request; `text` is what came after the head of it.
function passOn(request, answer, node) {
  const options = {
    host: '127.0.0.1',
    port: portOf(node),
    method: request.method,
    path: request.url,
    headers: request.headers,
    agent: false,
  };
  const onward = http.request(options, (response) => {
    answer.writeHead(response.statusCode, response.headers);
    response.pipe(answer);
  });
  onward.on('error', () => (answer.headersSent ? answer.destroy() : answer.writeHead(502).end()));
  answer.on('close', () => onward.destroy());
  request.pipe(onward);
}

function tunnel(request, near, head, node) {
  const far = net.connect({ host: '127.0.0.1', port: portOf(node) });
  const lines = request.rawHeaders.flatMap((word, i, all) => (i % 2 ? [] : [`${word}: ${all[i + 1]}`]));
  far.write(`${request.method} ${request.url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
  far.write(head);
  for (const [from, to] of [
    [near, far],
    [far, near],
  ]) {
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
    from.pipe(to);
  }
}

// `counts` says how many requests each node was given, upgrades included; `choose(request, turn)` says which is next.
export async function startRoundRobin(t, nodes, choose = (request, turn) => turn % nodes.length) {
  const balancer = { nodes, counts: nodes.map(() => 0), upgrades: 0, clients: new Set() };
  let turn = 0;
  const next = (request) => {
    const i = choose(request, turn++);
    balancer.counts[i]++;
    return nodes[i];
  };
  const server = http.createServer((request, answer) => passOn(request, answer, next(request)));
  server.on('upgrade', (request, socket, head) => {
    balancer.upgrades++;
    socket.on('error', () => {});
    tunnel(request, socket, head, next(request));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    for (const client of balancer.clients) client.close();
    server.closeAllConnections();
    server.close();
    await waitFor(() => !server.listening, 'the load balancer ends');
  });
  return Object.assign(balancer, { url: `http://127.0.0.1:${server.address().port}` });
}
