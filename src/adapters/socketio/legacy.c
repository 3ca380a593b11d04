/* SPDX-License-Identifier: MIT */
/*
 * Socket.IO 0.9: its routes, and the handshake, which makes a session and tells its sid.
 *
 * Who makes the handshake is found out as everywhere (router.h), but who brings no credentials is nobody, and may go
 * on. A handshake by JSONP is always nobody's: a page of any origin could make it, with the login that a browser adds
 * on its own.
 */
#include "adapters/socketio/legacy_inside.h"

enum { CONTROL_QUEUE = 16, JSONP_DIGITS_MAX = 9 };

void legacy_reply(struct request *req, int status, struct span text)
{
    struct blob *body = blob_copy(text);
    if (body)
        request_reply(req, status, "text/plain; charset=UTF-8", body, NULL);
    else
        request_fail(req, ERR_NO_MEMORY, NULL, 0);
    blob_unref(body);
}

bool legacy_is_refused(const struct legacy *legacy, struct request *req)
{
    if (legacy->closing)
        request_fail(req, ERR_SHUTTING_DOWN, NULL, 0);
    else if (request_origin(req) == REQUEST_ORIGIN_FOREIGN)
        legacy_reply(req, 403, SPAN_LITERAL("handshake bad origin"));
    else
        return false;
    return true;
}

/* --- the handshake */

/* The number of the callback. False: the answer is to be a plain one. */
static bool is_jsonp(const struct legacy *legacy, const struct request *req, struct span *ret_number)
{
    if (!legacy->adapter->options.engine.jsonp || !request_query(req, "jsonp", ret_number))
        return false;
    for (size_t i = 0; i < ret_number->len; i++)
        if (ret_number->data[i] < '0' || ret_number->data[i] > '9')
            return false;
    return ret_number->len > 0 && ret_number->len <= JSONP_DIGITS_MAX;
}

static void reply_jsonp(struct request *req, struct span number, struct span text)
{
    struct buf script = BUF_INIT;
    buf_add_text(&script, "io.j[");
    buf_add(&script, number);
    buf_add_text(&script, "](");
    buf_add_json(&script, text);
    buf_add_text(&script, ");");
    struct blob *body = buf_blob(&script);
    buf_fini(&script);
    if (body)
        request_reply(req, 200, "text/javascript; charset=UTF-8", body, NULL);
    else
        request_fail(req, ERR_NO_MEMORY, NULL, 0);
    blob_unref(body);
}

static int64_t seconds(int64_t ms)
{
    return (ms + 999) / 1000;
}

static void tell_sid(const struct legacy_session *session, struct request *req)
{
    const struct legacy *legacy = session->legacy;
    struct span number;
    struct buf text = BUF_INIT;
    buf_printf(&text, "%s:%lld:%lld:websocket,xhr-polling", session->sid, (long long)seconds(legacy->times.silence),
               (long long)seconds(legacy->times.absence));
    if (buf_failed(&text))
        request_fail(req, ERR_NO_MEMORY, NULL, 0);
    else if (is_jsonp(legacy, req, &number))
        reply_jsonp(req, number, buf_span(&text));
    else
        legacy_reply(req, 200, buf_span(&text));
    buf_fini(&text);
}

static void refuse(struct request *req, enum err err)
{
    if (err == ERR_TOO_MANY_SESSIONS)
        legacy_reply(req, 503, SPAN_LITERAL("handshake error"));
    else
        request_fail(req, err, NULL, 0);
}

static void begin(struct legacy *legacy, struct request *req)
{
    struct legacy_session *session;
    struct visitor *visitor = visitor_new(req);
    enum err err = visitor ? legacy_session_new(legacy, visitor, &session) : ERR_NO_MEMORY;
    if (!err) {
        tell_sid(session, req);
        return;
    }
    free(visitor);
    refuse(req, err);
}

struct legacy_handshake {
    struct legacy *legacy;
    struct request *req;
};

static void answer_identified(struct legacy *legacy, struct request *req, enum err err, unsigned retry_after_s)
{
    if (legacy->closing)
        err = ERR_SHUTTING_DOWN;
    if (!err || caller_is_nobody(req, err))
        begin(legacy, req);
    else if (err == ERR_UNAUTHORIZED || err == ERR_NO_TOKEN)
        legacy_reply(req, 403, SPAN_LITERAL("handshake unauthorized"));
    else
        request_fail(req, err, NULL, retry_after_s);
}

static void on_identified(void *ctx, enum err err, unsigned retry_after_s)
{
    struct legacy_handshake handshake = *(struct legacy_handshake *)ctx;
    free(ctx);
    answer_identified(handshake.legacy, handshake.req, err, retry_after_s);
}

static void identify(struct legacy *legacy, struct request *req)
{
    struct legacy_handshake *handshake = malloc(sizeof(*handshake));
    if (!handshake) {
        request_fail(req, ERR_NO_MEMORY, NULL, 0);
        return;
    }
    *handshake = (struct legacy_handshake){legacy, req};
    request_identify(req, on_identified, handshake);
}

static void handle_handshake(void *ctx, struct request *req)
{
    struct legacy *legacy = ctx;
    struct span number;
    if (legacy_is_refused(legacy, req))
        return;
    if (!request_is_get(req) && !request_is_post(req))
        request_fail(req, ERR_BAD_METHOD, NULL, 0);
    else if (is_jsonp(legacy, req, &number))
        begin(legacy, req);
    else
        identify(legacy, req);
}

/* --- routes */

static void handle_other(void *ctx unused_arg, struct request *req)
{
    struct span protocol = request_param(req, "protocol");
    bool is_number = true;
    for (size_t i = 0; i < protocol.len; i++)
        is_number = is_number && protocol.data[i] >= '0' && protocol.data[i] <= '9';
    if (is_number)
        legacy_reply(req, 500, SPAN_LITERAL("Protocol version not supported."));
    else
        request_fail(req, ERR_NOT_FOUND, NULL, 0);
}

/* Below the path. The one with the empty segment is what 0.9 asks for to disconnect a page that is being left. */
static const struct {
    const char *suffix;
    void (*handle)(void *ctx, struct request *req);
} places[] = {
    {"/1", handle_handshake},
    {"/1/", handle_handshake},
    {"/1/<transport>/<sid>", legacy_transport},
    {"/1/<transport>/<sid>/", legacy_transport},
    {"/1//<sid>/", legacy_disconnect},
    {"/<protocol>/", handle_other},
    {"/<protocol>/<transport>/<sid>", handle_other},
};

static bool make_routes(struct legacy *legacy)
{
    legacy->patterns = calloc(array_len(places), sizeof(*legacy->patterns));
    legacy->routes = calloc(array_len(places), sizeof(*legacy->routes));
    bool made = legacy->patterns && legacy->routes;
    for (size_t i = 0; i < array_len(places) && made; i++) {
        char *pattern = NULL;
        made = asprintf(&pattern, "%s%s", legacy->adapter->options.engine.path, places[i].suffix) >= 0;
        legacy->patterns[i] = made ? pattern : NULL;
        legacy->routes[i] = (struct route){HTTP_ANY, legacy->patterns[i], ROUTE_ANYONE, places[i].handle};
    }
    return made;
}

enum err legacy_mount(struct legacy *legacy, struct router *router)
{
    return router_mount_raw(router, legacy->routes, array_len(places), legacy->adapter->options.engine.payload_bytes,
                            legacy);
}

/* --- the whole */

static struct legacy_times times_for(int64_t beat_ms)
{
    return (struct legacy_times){
        .beat = beat_ms,
        .silence = beat_ms * 60 / 25,
        .poll = beat_ms * 20 / 25,
        .absence = beat_ms * 60 / 25,
        .unused = beat_ms * 30 / 25,
    };
}

struct legacy *legacy_new(struct socketio *adapter)
{
    const struct engine_options *options = &adapter->options.engine;
    struct legacy *legacy = calloc(1, sizeof(*legacy));
    if (!legacy)
        return NULL;
    legacy->adapter = adapter;
    legacy->times = times_for(options->ping_interval_ms);
    legacy->limits = (struct websocket_limits){options->payload_bytes, options->fragments, CONTROL_QUEUE};
    if (make_routes(legacy))
        return legacy;
    legacy_free(legacy);
    return NULL;
}

void legacy_shut(struct legacy *legacy)
{
    legacy->closing = true;
    legacy_sessions_end(legacy);
}

void legacy_free(struct legacy *legacy)
{
    if (!legacy)
        return;
    legacy_sessions_free(legacy);
    for (size_t i = 0; i < array_len(places) && legacy->patterns; i++)
        free(legacy->patterns[i]);
    free(legacy->patterns);
    free(legacy->routes);
    free(legacy);
}
