/* SPDX-License-Identifier: MIT */
/*
 * A WebSocket fed with arbitrary bytes in pieces. The first byte says how large the pieces are.
 *
 * Invariants: a message is never longer than the limit, and text is valid UTF-8; the end is told at most once and
 * nothing comes after it; when the peer has closed, the WebSocket is freed and all memory with it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/utf8.h"
#include "http/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGE_BYTES = 200, TURNS_MAX = 1000, INPUT_MAX = 16384 };

struct subject {
    struct websocket websocket;
    unsigned closed, freed;
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void on_message(struct websocket *websocket, struct span message, bool text)
{
    struct subject *subject = container_of(websocket, struct subject, websocket);
    require(!subject->closed && !subject->freed);
    require(message.len <= MESSAGE_BYTES);
    require(!text || utf8_valid(message));
    struct blob *echo = websocket_frame(message, text);
    require(echo);
    (void)!websocket_send(websocket, echo);
    blob_unref(echo);
    if (message.len == 3)
        websocket_close(websocket, 1000, message);
}

static void on_closed(struct websocket *websocket, unsigned code)
{
    struct subject *subject = container_of(websocket, struct subject, websocket);
    require(!subject->closed && !subject->freed);
    require(code >= 1000 && code < 5000);
    subject->closed++;
}

static void on_free(struct websocket *websocket)
{
    container_of(websocket, struct subject, websocket)->freed++;
}

static const struct websocket_ops ops = {on_message, NULL, on_closed, on_free};
static const struct websocket_limits limits = {.message_bytes = MESSAGE_BYTES, .fragments = 4, .control_queue = 8};

static struct {
    struct loop *loop;
    struct peers *peers;
    struct conns *conns;
} world;

static void make_world(void)
{
    world.loop = loop_new();
    world.peers = peers_new((struct peer_limits){.connections = 10});
    world.conns = conns_new(world.loop, (struct conns_limits){.queue_bytes = 10000, .finish_ms = 50});
    require(world.loop && world.peers && world.conns);
}

/* Reads away what the WebSocket says. */
static void turn(int peer)
{
    char bytes[4096];
    loop_turn(world.loop, 0);
    while (recv(peer, bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
    }
}

static void feed(int peer, const uint8_t *data, size_t size, size_t piece)
{
    while (size) {
        size_t len = size < piece ? size : piece;
        if (send(peer, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            return;
        data += len;
        size -= len;
        turn(peer);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct subject subject = {.closed = 0};
    struct handoff handoff = {.fd = -1};
    int ends[2];
    if (size < 1 || size > INPUT_MAX)
        return 0;
    if (!world.loop)
        make_world();
    struct sockaddr address = {.sa_family = AF_UNIX};
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    handoff.fd = ends[0];
    require(peer_admit(world.peers, &address, &handoff.lease) == OK);
    if (data[0] == 0) /* all of it came with the handshake */
        handoff.input = (struct span){(const char *)data + 1, size - 1};
    require(websocket_open(&subject.websocket, world.conns, &ops, &limits, &handoff) == OK);
    if (data[0])
        feed(ends[1], data + 1, size - 1, data[0]);
    turn(ends[1]);
    (void)close(ends[1]);
    for (int i = 0; i < TURNS_MAX && !subject.freed; i++)
        loop_turn(world.loop, 1);
    require(subject.freed == 1);
    require(peers_count(world.peers) == 0);
    return 0;
}
