/* SPDX-License-Identifier: MIT */
/*
 * Whole sessions, driven by a script: each byte is a step, done to one of two sessions that another byte chooses, and
 * steps that bring a body take as many bytes as the next byte says.
 *
 *     g poll   p post   b binary post   s send   S send paced   c close   x the peer of the poll goes   t time passes   T much of it   o another session in its place
 *     w websocket frame on the line or probe   u a WebSocket for the upgrade   k its socket closes
 *
 * Invariants: each exchange is answered once, and at once when its session is over; nothing is told after the close,
 * which is told once; after the end nothing is left.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "adapters/socketio/engine_inside.h"
#include "base/log.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SLOTS = 2, INPUT_MAX = 2048, MESSAGE_BYTES = 200, QUEUE_BYTES = 500, TURNS_MAX = 3000, PATIENCE = 200 };

/* What the layer above keeps. */
struct member {
    struct engine_session session;
    bool is_closed;
};

struct slot {
    char sid[ENGINE_SID_SIZE];
    enum engine_revision revision;
    int line; /* our end of its WebSocket; -1: none */
};

struct asked {
    struct exchange exchange;
    struct asked *next;
    char *body;
    void (*gone)(void *ctx);
    void *gone_ctx;
};

static struct {
    struct loop *loop;
    struct peers *peers;
    struct conns *conns;
} world;

static struct asked *waiting;
static unsigned members;
static int patience; /* turns that this script may still let pass */
static char last_sid[ENGINE_SID_SIZE];

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* --- the layer above */

static struct member *member_of(struct engine_session *session)
{
    struct member *member = container_of(session, struct member, session);
    require(!member->is_closed);
    return member;
}

static void on_open(struct engine_session *session)
{
    (void)member_of(session);
    members++;
    memcpy(last_sid, engine_sid(session), ENGINE_SID_SIZE);
}

static void on_message(struct engine_session *session, struct span message, bool is_text)
{
    (void)member_of(session);
    require(message.len <= MESSAGE_BYTES && (!is_text || utf8_valid(message)));
    struct blob *frame = is_text ? engine_text(message) : engine_binary(engine_session_revision(session), message);
    require(frame);
    engine_send(session, frame, false);
    blob_unref(frame);
    if (message.len && message.data[0] == 'q')
        engine_close(session, ENGINE_FORCED_CLOSE);
}

static void on_drained(struct engine_session *session)
{
    (void)member_of(session);
}

static void on_close(struct engine_session *session, enum engine_end why)
{
    member_of(session)->is_closed = true;
    require(why < ENGINE_END_COUNT && !engine_is_open(session));
}

static void on_free(struct engine_session *session)
{
    require(container_of(session, struct member, session)->is_closed);
    members--;
}

static const struct engine_ops ops = {sizeof(struct member), on_open, on_message, on_drained, on_close, on_free};

/* --- exchanges */

static void asked_reply(struct exchange *exchange, const struct exchange_answer *answer)
{
    struct asked *asked = container_of(exchange, struct asked, exchange);
    require(answer->body && (answer->status == 200 || answer->status == 400));
    struct asked **at = &waiting;
    while (*at != asked) {
        require(*at);
        at = &(*at)->next;
    }
    *at = asked->next;
    free(asked->body);
    free(asked);
}

static void asked_watch(struct exchange *exchange, void (*gone)(void *ctx), void *ctx)
{
    struct asked *asked = container_of(exchange, struct asked, exchange);
    asked->gone = gone;
    asked->gone_ctx = ctx;
}

static const struct exchange_ops asked_ops = {asked_reply, asked_watch};

static void ask(struct engine *engine, const struct slot *slot, enum exchange_method method, struct span body,
                bool binary)
{
    static const char *const revisions[] = {[ENGINE_2] = "2", [ENGINE_3] = "3", [ENGINE_4] = "4"};
    struct asked *asked = calloc(1, sizeof(*asked));
    require(asked);
    asked->body = span_copy(body);
    asked->exchange = (struct exchange){
        .ops = &asked_ops,
        .method = method,
        .is_binary = binary,
        .transport = SPAN_LITERAL("polling"),
        .sid = span_of(slot->sid),
        .eio = span_of(revisions[slot->revision]),
        .body = {asked->body, body.len},
    };
    asked->next = waiting;
    waiting = asked;
    engine_take(engine, &asked->exchange);
}

/* --- the script */

static void open_session(struct engine *engine, struct slot *slot, uint8_t byte)
{
    struct visitor *visitor = calloc(1, sizeof(*visitor));
    require(visitor && engine_admit(engine, visitor->address) == OK);
    slot->revision = byte & 1 ? ENGINE_3 : ENGINE_4;
    struct engine_session *session = session_new(engine, slot->revision, visitor);
    require(session);
    session->wire.base64 = byte & 2;
    session_open(session);
    memcpy(slot->sid, last_sid, ENGINE_SID_SIZE);
}

static void open_probe(struct engine *engine, struct slot *slot)
{
    struct engine_session *session = session_find(engine, span_of(slot->sid));
    struct sockaddr address = {.sa_family = AF_UNIX};
    struct handoff handoff = {.fd = -1};
    int ends[2];
    if (!session || slot->line >= 0)
        return;
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    require(peer_admit(world.peers, &address, &handoff.lease) == OK);
    handoff.fd = ends[0];
    slot->line = ends[1];
    struct line *line = line_new(engine, &handoff);
    require(line);
    line_probe(line, session);
}

static void close_socket(struct slot *slot)
{
    if (slot->line >= 0)
        (void)close(slot->line);
    slot->line = -1;
}

/* A masked frame whose mask is none; the first byte of the body tells text from binary. */
static void send_frame(const struct slot *slot, struct span body)
{
    char frame[256] = {(char)(body.len && body.data[0] == '!' ? 0x82 : 0x81)};
    size_t len = body.len < 125 ? body.len : 125;
    frame[1] = (char)(0x80 | len);
    if (len)
        memcpy(frame + 6, body.data, len);
    if (slot->line >= 0)
        (void)!send(slot->line, frame, 6 + len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void send_message(struct engine *engine, const struct slot *slot, struct span body, bool paced)
{
    struct engine_session *session = session_find(engine, span_of(slot->sid));
    struct blob *frame = utf8_valid(body) ? engine_text(body) : engine_binary(slot->revision, body);
    require(frame);
    if (session)
        engine_send(session, frame, paced);
    blob_unref(frame);
}

static void close_session(struct engine *engine, const struct slot *slot)
{
    struct engine_session *session = session_find(engine, span_of(slot->sid));
    if (session)
        engine_close(session, ENGINE_FORCED_CLOSE);
}

static void lose_poll(void)
{
    struct asked *asked = waiting;
    if (asked && asked->gone)
        asked->gone(asked->gone_ctx);
}

static void pass(struct slot *slots, int turns)
{
    char bytes[4096];
    for (int i = 0; i < turns && patience-- > 0; i++) {
        loop_turn(world.loop, i ? 2 : 0);
        for (size_t k = 0; k < SLOTS; k++)
            while (slots[k].line >= 0 && recv(slots[k].line, bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
            }
    }
}

static void step(struct engine *engine, struct slot *slots, struct slot *slot, uint8_t what, struct span body)
{
    switch (what) {
    case 'g': ask(engine, slot, EXCHANGE_GET, SPAN_LITERAL(""), false); break;
    case 'p': ask(engine, slot, EXCHANGE_POST, body, false); break;
    case 'b': ask(engine, slot, EXCHANGE_POST, body, true); break;
    case 's': send_message(engine, slot, body, false); break;
    case 'S': send_message(engine, slot, body, true); break;
    case 'c': close_session(engine, slot); break;
    case 'x': lose_poll(); break;
    case 't': pass(slots, 1); break;
    case 'T': pass(slots, 10); break;
    case 'w': send_frame(slot, body); break;
    case 'u': open_probe(engine, slot); break;
    case 'k': close_socket(slot); break;
    case 'o':
        if (!session_find(engine, span_of(slot->sid)))
            open_session(engine, slot, body.len ? (uint8_t)body.data[0] : 0);
        break;
    default: break;
    }
}

static void play(struct engine *engine, struct slot *slots, struct span script)
{
    while (script.len >= 2) {
        uint8_t what = (uint8_t)script.data[0], choice = (uint8_t)script.data[1];
        size_t len = choice >> 1;
        script = (struct span){script.data + 2, script.len - 2};
        len = len < script.len ? len : script.len;
        if (!strchr("pbsSwo", what))
            len = 0;
        step(engine, slots, &slots[choice & 1], what, (struct span){script.data, len});
        script = (struct span){script.data + len, script.len - len};
    }
}

static void make_world(void)
{
    require(log_open(NULL, LOG_ERROR, LOG_KEY_VALUE) == OK);
    world.loop = loop_new();
    world.peers = peers_new((struct peer_limits){.connections = 1000});
    world.conns = conns_new(world.loop, (struct conns_limits){.queue_bytes = QUEUE_BYTES, .finish_ms = 10});
    require(world.loop && world.peers && world.conns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct engine_options options = {
        .path = "/e",
        .allow_old = true,
        .ping_interval_ms = 10,
        .ping_timeout_ms = 10,
        .upgrade_timeout_ms = 10,
        .payload_bytes = MESSAGE_BYTES,
        .payload_packets = 20,
        .fragments = 4,
        .sessions = 10,
        .queue_bytes = QUEUE_BYTES,
    };
    if (size > INPUT_MAX)
        return 0;
    if (!world.loop)
        make_world();
    patience = PATIENCE;
    struct slot slots[SLOTS] = {{.line = -1}, {.line = -1}};
    struct engine *engine = engine_new(&options, &ops, NULL, world.loop, world.conns);
    require(engine);
    for (size_t i = 0; i < SLOTS; i++)
        open_session(engine, &slots[i], (uint8_t)i);
    play(engine, slots, (struct span){(const char *)data, size});
    engine_shut(engine);
    require(!waiting);
    for (size_t i = 0; i < SLOTS; i++)
        close_socket(&slots[i]);
    for (int i = 0; i < TURNS_MAX && conns_count(world.conns); i++)
        loop_turn(world.loop, 1);
    engine_free(engine);
    require(!members && !peers_count(world.peers));
    return 0;
}
