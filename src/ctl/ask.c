/* SPDX-License-Identifier: MIT */
/*
 * One exchange: an easy handle on a multi handle, so that a signal is seen while nothing comes.
 *
 * Only the body of a good answer goes to whoever reads lines. Any other is kept, for its error.
 */
#include "ctl/ask.h"

#include <curl/curl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sysexits.h>

#include "ctl/text.h"

enum {
    CONNECT_MS = 5000,
    ANSWER_MS = 30000,
    SILENCE_S = 60, /* four heartbeats of a watch */
    POLL_MS = 1000,
    JSON_DEPTH = 16,
    BODY_MAX = 256 << 20,
    LINE_MAX_BYTES = 64 << 20
};

struct exchange {
    const struct order *order;
    CURL *easy;
    struct curl_slist *headers;
    struct buf url;
    struct buf text; /* the body; of lines, the one that has no end yet */
    char error[CURL_ERROR_SIZE];
    bool (*line)(void *ctx, struct span line); /* null: the whole body is kept */
    void *ctx;
    const volatile sig_atomic_t *stop; /* or null */
    bool enough;                       /* `line` wants no more */
};

bool ask_init(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

void ask_fini(void)
{
    curl_global_cleanup();
}

const char *ask_library(void)
{
    return curl_version();
}

void ask_complain(const char *format, ...)
{
    char *text = NULL;
    struct buf safe = BUF_INIT;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    text_add_safe(&safe, len < 0 ? SPAN_LITERAL("out of memory") : (struct span){text, (size_t)len});
    (void)fprintf(stderr, "nereidctl: %.*s\n", (int)safe.len, safe.data);
    buf_fini(&safe);
    if (len >= 0)
        free(text);
}

/* --- what comes */

/* Gives on all lines that are whole. */
static void give_lines(struct exchange *exchange)
{
    struct span rest = buf_span(&exchange->text);
    const char *end;
    while (!exchange->enough && rest.len && (end = memchr(rest.data, '\n', rest.len))) {
        struct span line = {rest.data, (size_t)(end - rest.data)};
        exchange->enough = !exchange->line(exchange->ctx, line);
        rest = (struct span){end + 1, rest.len - line.len - 1};
    }
    if (rest.len && rest.data != exchange->text.data)
        memmove(exchange->text.data, rest.data, rest.len);
    exchange->text.len = rest.len;
}

static long status_of(const struct exchange *exchange)
{
    long status = 0;
    (void)curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* Less than what was given ends the exchange. */
static size_t take_body(char *bytes, size_t size, size_t count, void *ctx)
{
    struct exchange *exchange = ctx;
    size_t len = size * count;
    bool in_lines = exchange->line && status_of(exchange) == 200;
    buf_add(&exchange->text, (struct span){bytes, len});
    if (in_lines)
        give_lines(exchange);
    bool full = exchange->text.len > (in_lines ? LINE_MAX_BYTES : BODY_MAX);
    return buf_failed(&exchange->text) || full || exchange->enough ? 0 : len;
}

/* --- going about it */

/* Adds a header; false: no memory. */
static bool add_header(struct exchange *exchange, const char *header)
{
    struct curl_slist *headers = curl_slist_append(exchange->headers, header);
    if (headers)
        exchange->headers = headers;
    return headers != NULL;
}

static bool set_body(struct exchange *exchange, const struct buf *body)
{
    return curl_easy_setopt(exchange->easy, CURLOPT_POSTFIELDSIZE, (long)body->len) == CURLE_OK &&
           curl_easy_setopt(exchange->easy, CURLOPT_COPYPOSTFIELDS, body->data) == CURLE_OK &&
           add_header(exchange, "Content-Type: application/json") && add_header(exchange, "Expect:");
}

static bool set_place(struct exchange *exchange, const char *path)
{
    const struct place *place = &exchange->order->place;
    CURL *easy = exchange->easy;
    buf_add_text(&exchange->url, place->base);
    buf_add_text(&exchange->url, path);
    buf_add_char(&exchange->url, '\0');
    if (buf_failed(&exchange->url) || curl_easy_setopt(easy, CURLOPT_URL, exchange->url.data) != CURLE_OK)
        return false;
    if (place->socket && curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, place->socket) != CURLE_OK)
        return false;
    if (exchange->order->authorities &&
        curl_easy_setopt(easy, CURLOPT_CAINFO, exchange->order->authorities) != CURLE_OK)
        return false;
    return place->is_url || add_header(exchange, "Host: localhost");
}

/* A watch may last; only its silence is limited. */
static void set_times(const struct exchange *exchange)
{
    (void)curl_easy_setopt(exchange->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    if (exchange->line) {
        (void)curl_easy_setopt(exchange->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
        (void)curl_easy_setopt(exchange->easy, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_S);
    } else {
        (void)curl_easy_setopt(exchange->easy, CURLOPT_TIMEOUT_MS, (long)ANSWER_MS);
    }
}

static bool exchange_init(struct exchange *exchange, const char *path, const struct buf *body)
{
    exchange->easy = curl_easy_init();
    if (!exchange->easy || !set_place(exchange, path) || (body && !set_body(exchange, body)))
        return false;
    CURL *easy = exchange->easy;
    set_times(exchange);
    return curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->error) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange) == CURLE_OK;
}

static void exchange_fini(struct exchange *exchange)
{
    curl_easy_cleanup(exchange->easy);
    curl_slist_free_all(exchange->headers);
    buf_fini(&exchange->url);
    buf_fini(&exchange->text);
}

static bool is_stopped(const struct exchange *exchange)
{
    return exchange->enough || (exchange->stop && *exchange->stop);
}

/* Until the end of the answer, or until it is not wanted any more. */
static CURLcode run(struct exchange *exchange, CURLM *multi)
{
    int running = 1, left;
    while (running && !is_stopped(exchange)) {
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return CURLE_FAILED_INIT;
        if (running && !is_stopped(exchange) && curl_multi_poll(multi, NULL, 0, POLL_MS, NULL) != CURLM_OK)
            return CURLE_FAILED_INIT;
    }
    if (is_stopped(exchange))
        return CURLE_OK;
    const CURLMsg *message = curl_multi_info_read(multi, &left);
    return message && message->msg == CURLMSG_DONE ? message->data.result : CURLE_FAILED_INIT;
}

static CURLcode perform(struct exchange *exchange)
{
    CURLM *multi = curl_multi_init();
    if (!multi || curl_multi_add_handle(multi, exchange->easy) != CURLM_OK) {
        (void)curl_multi_cleanup(multi);
        return CURLE_OUT_OF_MEMORY;
    }
    CURLcode code = run(exchange, multi);
    (void)curl_multi_remove_handle(multi, exchange->easy);
    (void)curl_multi_cleanup(multi);
    return code;
}

/* --- what came of it */

static int complain_of_transport(const struct exchange *exchange, CURLcode code)
{
    if (code == CURLE_OUT_OF_MEMORY || buf_failed(&exchange->text)) {
        ask_complain("out of memory");
        return EX_OSERR;
    }
    const char *why = exchange->error[0] ? exchange->error : curl_easy_strerror(code);
    if (code == CURLE_OPERATION_TIMEDOUT)
        why = status_of(exchange) ? "nothing came any more" : "no answer in time";
    ask_complain("%s: %s", exchange->order->place.text, why);
    return EX_UNAVAILABLE;
}

/* Any nereidd says why it refuses, and one whose admin listener this is has something at every path we ask for. */
static int complain_of_status(const struct exchange *exchange)
{
    long status = status_of(exchange);
    json_t *json = NULL;
    struct span word = {0}, sentence = {0};
    if (json_parse(buf_span(&exchange->text), JSON_DEPTH, &json) == OK) {
        word = json_text(json, "error");
        sentence = json_text(json, "message");
    }
    bool known = word.len && sentence.len && !span_is(word, "not_found");
    if (known)
        ask_complain("%.*s (%.*s)", (int)sentence.len, sentence.data, (int)word.len, word.data);
    else
        ask_complain("%s: this is not the admin listener of a nereidd (HTTP status %ld)", exchange->order->place.text,
                     status);
    json_decref(json);
    if (status >= 500)
        return EX_UNAVAILABLE;
    return known ? EXIT_REFUSED : EX_PROTOCOL;
}

static int exchange_status(const struct exchange *exchange, CURLcode code)
{
    if (is_stopped(exchange))
        return EX_OK;
    if (code != CURLE_OK)
        return complain_of_transport(exchange, code);
    return status_of(exchange) == 200 ? EX_OK : complain_of_status(exchange);
}

static int go(struct exchange *exchange, const char *path, const struct buf *body)
{
    if (exchange_init(exchange, path, body))
        return exchange_status(exchange, perform(exchange));
    ask_complain("out of memory");
    return EX_OSERR;
}

int ask(const struct order *order, const char *path, const struct buf *body, struct buf *ret_text, json_t **ret_json)
{
    struct exchange exchange = {.order = order};
    json_t *json = NULL;
    int status = go(&exchange, path, body);
    if (!status && (json_parse(buf_span(&exchange.text), JSON_DEPTH, &json) != OK || !json_is_object(json))) {
        ask_complain("%s: the answer is not that of a nereidd", order->place.text);
        json_decref(json);
        status = EX_PROTOCOL;
    }
    if (!status) {
        buf_add(ret_text, buf_span(&exchange.text));
        *ret_json = json;
    }
    exchange_fini(&exchange);
    return status;
}

int ask_lines(const struct order *order, const char *path, bool (*line)(void *ctx, struct span line), void *ctx,
              const volatile sig_atomic_t *stop)
{
    struct exchange exchange = {.order = order, .line = line, .ctx = ctx, .stop = stop};
    int status = go(&exchange, path, NULL);
    exchange_fini(&exchange);
    return status;
}
