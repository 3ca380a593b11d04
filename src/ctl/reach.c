/* SPDX-License-Identifier: MIT */
/* A run: lines are timed as they become whole. */
#include "ctl/reach.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <time.h>

#include "ctl/answer.h"

enum { CONNECT_MS = 10000, TEXT_MAX = 4096, LINE_MAX_BYTES = 1 << 20, JSON_DEPTH = 4, CLOCK_SLACK_US = 1000000 };

struct transfer {
    CURL *easy;
    struct run *run;
    struct reply *reply;
    struct buf line; /* the one that has no end yet */
    int64_t began_us;
    bool strange; /* it is no probe that answers */
    bool enough;  /* what else answers need not be read further */
    char error[CURL_ERROR_SIZE];
};

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* --- where to */

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* Adds to a path what is missing to that of the probe. */
static void add_path(struct buf *out, const char *path)
{
    size_t len = strlen(path);
    while (len && path[len - 1] == '/')
        len--;
    buf_add(out, (struct span){path, len});
    buf_add_char(out, '\0');
    if (buf_failed(out))
        return;
    const char *rest = "/nereid-chat/probe";
    if (ends_with(out->data, "/nereid-chat"))
        rest = "/probe";
    else if (ends_with(out->data, "/nereid-chat/probe"))
        rest = "";
    out->len--;
    buf_add_text(out, rest);
}

static bool is_web(CURLU *parts)
{
    char *scheme = NULL;
    bool is_web = curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                  (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    curl_free(scheme);
    return is_web;
}

static bool set_path(CURLU *parts)
{
    struct buf out = BUF_INIT;
    char *path = NULL, *whole = NULL;
    if (curl_url_get(parts, CURLUPART_PATH, &path, 0) == CURLUE_OK)
        add_path(&out, path);
    curl_free(path);
    whole = buf_take_text(&out);
    bool is_set = whole && curl_url_set(parts, CURLUPART_PATH, whole, 0) == CURLUE_OK &&
                  curl_url_set(parts, CURLUPART_QUERY, NULL, 0) == CURLUE_OK &&
                  curl_url_set(parts, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK;
    free(whole);
    return is_set;
}

static enum err complete(CURLU *parts, const char *url, char **ret_url)
{
    struct buf text = BUF_INIT;
    if (!strstr(url, "://"))
        buf_add_text(&text, "http://");
    buf_add_text(&text, url);
    char *whole = buf_take_text(&text);
    bool is_url = whole && curl_url_set(parts, CURLUPART_URL, whole, 0) == CURLUE_OK && is_web(parts);
    enum err err = !whole ? ERR_NO_MEMORY : is_url ? OK : ERR_BAD_FIELD;
    free(whole);
    if (!err && (!set_path(parts) || curl_url_get(parts, CURLUPART_URL, ret_url, 0) != CURLUE_OK))
        err = ERR_NO_MEMORY;
    return err;
}

enum err reach_init(struct reach *reach, const char *url)
{
    CURLU *parts = curl_url();
    enum err err = parts ? complete(parts, url, &reach->url) : ERR_NO_MEMORY;
    curl_url_cleanup(parts);
    return err;
}

void reach_fini(struct reach *reach)
{
    curl_free(reach->url);
    reach->url = NULL;
}

/* --- what comes */

static bool read_mark(struct span line, struct mark *mark)
{
    json_t *json = NULL;
    bool is_mark = json_parse(line, JSON_DEPTH, &json) == OK && json_is_integer(json_object_get(json, "mark")) &&
                   answer_parse_time(json_text(json, "timestamp"), &mark->sent_us);
    json_decref(json);
    return is_mark;
}

/* Marks are sent one after the other, and no longer apart than it has taken to get them. */
static bool is_in_time(const struct run *run, const struct mark *mark)
{
    if (!run->count)
        return true;
    return mark->sent_us >= run->marks[run->count - 1].sent_us &&
           mark->sent_us - run->marks[0].sent_us <= mark->arrived_us + CLOCK_SLACK_US;
}

/* False: this is no mark, or one too many. */
static bool take_line(struct transfer *transfer, struct span line)
{
    struct run *run = transfer->run;
    struct mark mark = {.arrived_us = now_us() - transfer->began_us, .bytes = line.len + 1};
    if (run->count >= run->plan.marks || !read_mark(line, &mark) || !is_in_time(run, &mark))
        return false;
    run->marks[run->count++] = mark;
    return true;
}

static bool take_lines(struct transfer *transfer, struct span bytes)
{
    const char *end;
    while (bytes.len && (end = memchr(bytes.data, '\n', bytes.len))) {
        struct span piece = {bytes.data, (size_t)(end - bytes.data)};
        buf_add(&transfer->line, piece);
        bool is_mark = !buf_failed(&transfer->line) && take_line(transfer, buf_span(&transfer->line));
        transfer->line.len = 0;
        if (!is_mark)
            return false;
        bytes = (struct span){end + 1, bytes.len - piece.len - 1};
    }
    buf_add(&transfer->line, bytes);
    return !buf_failed(&transfer->line) && transfer->line.len <= LINE_MAX_BYTES;
}

/* The start of an answer that is no probe is enough. False: there is more of it, or no memory. */
static bool keep_start(struct buf *text, struct span bytes)
{
    size_t room = TEXT_MAX - text->len;
    buf_add(text, (struct span){bytes.data, bytes.len < room ? bytes.len : room});
    return bytes.len <= room && !buf_failed(text);
}

/* Less than what was given ends the transfer. */
static size_t take_bytes(char *bytes, size_t size, size_t count, void *ctx)
{
    struct transfer *transfer = ctx;
    struct span span = {bytes, size * count};
    long status = 0;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        transfer->enough = !keep_start(&transfer->reply->text, span);
        return transfer->enough ? 0 : span.len;
    }
    if (take_lines(transfer, span))
        return span.len;
    transfer->strange = !buf_failed(&transfer->line);
    return 0;
}

/* --- going there */

static bool set_url(struct transfer *transfer, const struct reach *reach)
{
    struct buf url = BUF_INIT;
    const struct plan *plan = &transfer->run->plan;
    buf_printf(&url, "%s?marks=%d&gap=%d&pad=%d", reach->url, plan->marks, plan->gap_ms, plan->pad);
    char *text = buf_take_text(&url);
    bool is_set = text && curl_easy_setopt(transfer->easy, CURLOPT_URL, text) == CURLE_OK;
    free(text);
    return is_set;
}

/* A proxy that is named is meant for every host. */
static bool set_proxy(CURL *easy, const struct reach *reach)
{
    return !reach->proxy || (curl_easy_setopt(easy, CURLOPT_PROXY, reach->proxy) == CURLE_OK &&
                             curl_easy_setopt(easy, CURLOPT_NOPROXY, "") == CURLE_OK);
}

/* Whatever curl can take apart may be compressed, as for a browser: who compresses has to gather. */
static bool set_options(struct transfer *transfer, const struct reach *reach)
{
    CURL *easy = transfer->easy;
    const struct plan *plan = &transfer->run->plan;
    long deadline_ms = (long)(plan->marks - 1) * plan->gap_ms + REACH_SLACK_MS;
    if (reach->authorities && curl_easy_setopt(easy, CURLOPT_CAINFO, reach->authorities) != CURLE_OK)
        return false;
    return set_url(transfer, reach) && set_proxy(easy, reach) &&
           curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, deadline_ms) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_bytes) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer) == CURLE_OK;
}

/* Of a header that came several times, all values. */
static void keep_header(CURL *easy, const char *name, struct buf *out)
{
    struct curl_header *header;
    buf_reset(out);
    for (size_t i = 0; curl_easy_header(easy, name, i, CURLH_HEADER, -1, &header) == CURLHE_OK; i++)
        buf_printf(out, "%s%s", i ? ", " : "", header->value);
}

static void keep_headers(CURL *easy, struct reply *reply)
{
    keep_header(easy, "Server", &reply->server);
    keep_header(easy, "Via", &reply->via);
    keep_header(easy, "X-Cache", &reply->cache);
    keep_header(easy, "Content-Encoding", &reply->coding);
    keep_header(easy, "Location", &reply->location);
}

static void keep_fault(const struct transfer *transfer, CURLcode code)
{
    struct buf *fault = &transfer->reply->fault;
    if (transfer->strange)
        buf_add_text(fault, "what answers is no probe of nereidd");
    else if (code == CURLE_OPERATION_TIMEDOUT)
        buf_add_text(fault, transfer->run->status ? "nothing came any more" : "no answer in time");
    else if (code != CURLE_OK && !transfer->enough)
        buf_add_text(fault, transfer->error[0] ? transfer->error : curl_easy_strerror(code));
}

static bool out_of_memory(const struct transfer *transfer, CURLcode code)
{
    const struct reply *reply = transfer->reply;
    return code == CURLE_OUT_OF_MEMORY || buf_failed(&transfer->line) || buf_failed(&reply->server) ||
           buf_failed(&reply->via) || buf_failed(&reply->cache) || buf_failed(&reply->coding) ||
           buf_failed(&reply->location) || buf_failed(&reply->text) || buf_failed(&reply->fault);
}

static bool perform(struct transfer *transfer, const struct reach *reach)
{
    if (!set_options(transfer, reach))
        return false;
    transfer->began_us = now_us();
    CURLcode code = curl_easy_perform(transfer->easy);
    if (code != CURLE_OPERATION_TIMEDOUT)
        transfer->run->ended_us = now_us() - transfer->began_us;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &transfer->run->status);
    keep_headers(transfer->easy, transfer->reply);
    keep_fault(transfer, code);
    if (transfer->strange)
        transfer->run->count = 0; /* nothing of it is believed */
    return !out_of_memory(transfer, code);
}

bool reach_run(const struct reach *reach, struct plan plan, struct run *ret_run, struct reply *reply)
{
    *ret_run = (struct run){.plan = plan};
    buf_reset(&reply->text);
    buf_reset(&reply->fault);
    struct transfer transfer = {.easy = curl_easy_init(), .run = ret_run, .reply = reply};
    bool done = transfer.easy && perform(&transfer, reach);
    curl_easy_cleanup(transfer.easy);
    buf_fini(&transfer.line);
    return done;
}

void reply_fini(struct reply *reply)
{
    buf_fini(&reply->server);
    buf_fini(&reply->via);
    buf_fini(&reply->cache);
    buf_fini(&reply->coding);
    buf_fini(&reply->location);
    buf_fini(&reply->text);
    buf_fini(&reply->fault);
}
