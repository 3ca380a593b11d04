/* SPDX-License-Identifier: MIT */
/*
 * What was asked.
 *
 * Nothing here points into MHD's memory: head and body are copied once, so that a request can be read for as long as
 * its handler keeps it, whatever becomes of the connection.
 */
#include "http/request.h"

#include <assert.h>
#include <stdlib.h>
#include <strings.h>

#include "base/json.h"
#include "base/metric.h"
#include "http/inside.h"
#include "http/text.h"

struct memory {
    struct memory *next;
    max_align_t bytes[];
};

struct request *request_new(struct client *client, struct span target)
{
    struct request *req = calloc(1, sizeof(*req) + target.len + 1);
    if (!req)
        return NULL;
    req->client = client;
    req->handoff.fd = -1;
    req->target_len = target.len;
    memcpy(req->target, target.data, target.len);
    return req;
}

void request_free(struct request *req)
{
    watch_close(req->watch);
    form_fini(&req->query);
    form_fini(&req->form);
    json_decref(req->json);
    json_decref(req->kept_json);
    buf_fini(&req->body);
    if (req->response)
        MHD_destroy_response(req->response);
    while (req->memory) {
        struct memory *memory = req->memory;
        req->memory = memory->next;
        free(memory);
    }
    free(req);
}

void *request_alloc(struct request *req, size_t size)
{
    struct memory *memory = malloc(sizeof(*memory) + size);
    if (!memory)
        return NULL;
    memory->next = req->memory;
    req->memory = memory;
    return memory->bytes;
}

struct span request_copy(struct request *req, struct span text)
{
    char *copy = request_alloc(req, text.len ? text.len : 1);
    if (copy && text.len)
        memcpy(copy, text.data, text.len);
    return (struct span){copy, copy ? text.len : 0};
}

/* --- target --- */

/* `http://host/path` is `/path` to us (RFC 9112 section 3.2.2). */
static struct span strip_authority(struct span target)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < array_len(schemes); i++) {
        size_t len = strlen(schemes[i]);
        if (target.len < len || strncasecmp(target.data, schemes[i], len) != 0)
            continue;
        const char *path = memchr(target.data + len, '/', target.len - len);
        if (path)
            return (struct span){path, target.len - (size_t)(path - target.data)};
    }
    return target;
}

static bool is_target_text(struct span target)
{
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.data[i];
        if (c <= ' ' || c == 0x7f || c == '#')
            return false;
    }
    return true;
}

static struct span request_target(const struct request *req)
{
    return strip_authority((struct span){req->target, req->target_len});
}

struct span request_target_path(const struct request *req)
{
    struct span target = request_target(req);
    return text_cut(&target, '?');
}

enum err request_read_target(struct request *req)
{
    struct span target = request_target(req);
    bool is_server = span_is(target, "*") && req->method == METHOD_OPTIONS;
    if (!is_target_text(target) || ((target.len == 0 || target.data[0] != '/') && !is_server))
        return ERR_BAD_REQUEST;
    const char *mark = memchr(target.data, '?', target.len);
    size_t path_len = mark ? (size_t)(mark - target.data) : target.len;
    req->raw_path = (struct span){target.data, path_len};
    if (mark)
        req->raw_query = (struct span){mark + 1, target.len - path_len - 1};
    char *path = request_alloc(req, path_len);
    if (!path)
        return ERR_NO_MEMORY;
    enum err err = percent_decode(req->raw_path, PERCENT_PATH, path, &path_len);
    if (err)
        return err;
    req->path = (struct span){path, path_len};
    return form_parse(req->raw_query, &req->query);
}

/* --- body --- */

/* What a Content-Type or a media range names, without its parameters. */
static struct span media_type(struct span value)
{
    return text_trim(text_cut(&value, ';'));
}

static bool has_suffix(struct span type, const char *suffix)
{
    size_t len = strlen(suffix);
    return type.len > len && strncasecmp(type.data + type.len - len, suffix, len) == 0;
}

enum body_kind { BODY_JSON, BODY_FORM, BODY_GUESS, BODY_UNKNOWN };

/* curl calls any body a form, and who gives no type or a vague one has not thought about it: there the body speaks
 * for itself. */
static enum body_kind body_kind(const struct request *req)
{
    struct span type = media_type(request_header(req, "Content-Type"));
    if (text_is_word(type, "application/json") || has_suffix(type, "+json"))
        return BODY_JSON;
    if (text_is_word(type, "application/x-www-form-urlencoded"))
        return BODY_FORM;
    if (type.len == 0 || text_is_word(type, "text/plain") || text_is_word(type, "application/octet-stream"))
        return BODY_GUESS;
    return BODY_UNKNOWN;
}

static bool looks_like_json(struct span body)
{
    size_t i = 0;
    while (i < body.len && strchr(" \t\r\n", body.data[i]))
        i++;
    return i < body.len && body.data[i] == '{';
}

/* jansson's own limit; far deeper than any limit of ours. */
enum { JSON_DEEPEST = 2000 };

static bool is_only_too_deep(struct span text)
{
    json_t *json = NULL;
    bool is_json = json_parse(text, JSON_DEEPEST, &json) == OK;
    json_decref(json);
    return is_json;
}

static enum err read_json(struct request *req, unsigned json_depth)
{
    json_t *json;
    struct span text = buf_span(&req->body);
    enum err err = json_parse(text, json_depth, &json);
    if (err == ERR_BAD_JSON && is_only_too_deep(text))
        metric_add(METRIC_LIMIT_JSON, 1);
    if (err)
        return err;
    if (!json_is_object(json)) {
        json_decref(json);
        return ERR_BAD_JSON;
    }
    req->json = json;
    return OK;
}

enum err request_read_body(struct request *req, unsigned json_depth)
{
    struct span body = buf_span(&req->body);
    if (body.len == 0)
        return OK;
    enum body_kind kind = body_kind(req);
    if (kind == BODY_UNKNOWN)
        return ERR_BAD_TYPE;
    if (kind == BODY_JSON)
        return read_json(req, json_depth);
    if (looks_like_json(body)) {
        enum err err = read_json(req, json_depth);
        if (!err || kind == BODY_GUESS)
            return err;
    }
    return form_parse(body, &req->form);
}

/* --- head --- */

const struct caller *request_caller(const struct request *req)
{
    return &req->caller;
}

bool request_is_head(const struct request *req)
{
    return req->method == METHOD_HEAD;
}

bool request_is_get(const struct request *req)
{
    return req->method == METHOD_GET;
}

bool request_is_post(const struct request *req)
{
    return req->method == METHOD_POST;
}

enum request_origin request_origin(const struct request *req)
{
    return req->origin;
}

struct span request_raw_query(const struct request *req)
{
    return req->raw_query;
}

bool request_query(const struct request *req, const char *name, struct span *ret_value)
{
    for (size_t i = req->query.count; i > 0; i--) {
        if (!span_is(req->query.fields[i - 1].name, name))
            continue;
        *ret_value = req->query.fields[i - 1].value;
        return true;
    }
    return false;
}

struct span request_body(const struct request *req)
{
    return buf_span(&req->body);
}

bool request_is_http10(const struct request *req)
{
    return req->http10;
}

struct span request_path(const struct request *req)
{
    return req->path;
}

struct span request_param(const struct request *req, const char *name)
{
    for (size_t i = 0; i < ROUTE_PARAMS_MAX; i++)
        if (req->params[i].name.len && span_is(req->params[i].name, name))
            return req->params[i].value;
    return SPAN_LITERAL("");
}

size_t request_header_count(const struct request *req, const char *name, struct span *ret_value)
{
    size_t count = 0;
    for (size_t i = 0; i < req->line_count; i++) {
        if (!text_is_word(req->lines[i].name, name))
            continue;
        if (count++ == 0)
            *ret_value = req->lines[i].value;
    }
    return count;
}

struct span request_header(const struct request *req, const char *name)
{
    struct span value;
    return request_header_count(req, name, &value) == 1 ? value : SPAN_LITERAL("");
}

/* Whether among the parameters of a media range there is `q=0`, in any of its spellings. */
static bool is_refused_range(struct span range)
{
    (void)text_cut(&range, ';');
    while (range.len) {
        struct span value = text_trim(text_cut(&range, ';'));
        struct span name = text_trim(text_cut(&value, '='));
        if (!text_is_word(name, "q"))
            continue;
        value = text_trim(value);
        for (size_t i = 0; i < value.len; i++)
            if (value.data[i] != '0' && value.data[i] != '.')
                return false;
        return true;
    }
    return false;
}

static bool accepts_in(struct span list, const char *type)
{
    while (list.len) {
        struct span range = text_cut(&list, ',');
        if (text_is_word(media_type(range), type))
            return !is_refused_range(range);
    }
    return false;
}

bool request_lists(const struct request *req, const char *name, const char *word)
{
    for (size_t i = 0; i < req->line_count; i++) {
        struct span list = req->lines[i].value;
        while (list.len && text_is_word(req->lines[i].name, name))
            if (text_is_word(text_trim(text_cut(&list, ',')), word))
                return true;
    }
    return false;
}

bool request_accepts(const struct request *req, const char *type)
{
    for (size_t i = 0; i < req->line_count; i++)
        if (text_is_word(req->lines[i].name, "Accept") && accepts_in(req->lines[i].value, type))
            return true;
    return false;
}

struct span request_address(const struct request *req)
{
    return req->client ? client_address(req->client) : SPAN_LITERAL("");
}

/* --- fields --- */

static size_t form_count(const struct form *form, const char *name, struct span *ret_first)
{
    size_t count = 0;
    for (size_t i = 0; i < form->count; i++) {
        if (!span_is(form->fields[i].name, name))
            continue;
        if (count++ == 0)
            *ret_first = form->fields[i].value;
    }
    return count;
}

/* The form that has the field: the body before the query. */
static const struct form *form_with(const struct request *req, const char *name)
{
    struct span ignored;
    return form_count(&req->form, name, &ignored) ? &req->form : &req->query;
}

static json_t *json_member(const struct request *req, const char *name)
{
    json_t *json = json_object_get(req->json, name);
    return json_is_null(json) ? NULL : json;
}

/* A scalar as text. */
static enum err json_as_text(struct request *req, const json_t *json, struct span *ret_text)
{
    if (json_is_string(json)) {
        *ret_text = (struct span){json_string_value(json), json_string_length(json)};
        return OK;
    }
    if (!json_is_number(json) && !json_is_boolean(json))
        return ERR_BAD_FIELD;
    char *text = json_dumps(json, JSON_ENCODE_ANY);
    if (!text)
        return ERR_NO_MEMORY;
    struct span copy = request_copy(req, span_of(text));
    free(text);
    if (!copy.data)
        return ERR_NO_MEMORY;
    *ret_text = copy;
    return OK;
}

enum err request_field(struct request *req, const char *name, struct span *ret_value)
{
    json_t *json = json_member(req, name);
    if (json)
        return json_as_text(req, json, ret_value);
    struct span value;
    size_t count = form_count(form_with(req, name), name, &value);
    if (count != 1)
        return count ? ERR_BAD_FIELD : ERR_MISSING_FIELD;
    *ret_value = value;
    return OK;
}

static enum err json_fields(struct request *req, json_t *json, const struct span **ret_values, size_t *ret_count)
{
    bool is_array = json_is_array(json);
    size_t count = is_array ? json_array_size(json) : 1;
    struct span *values = request_alloc(req, count * sizeof(*values));
    if (!values)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        enum err err = json_as_text(req, is_array ? json_array_get(json, i) : json, &values[i]);
        if (err)
            return err;
    }
    *ret_values = values;
    *ret_count = count;
    return OK;
}

enum err request_fields(struct request *req, const char *name, const struct span **ret_values, size_t *ret_count)
{
    json_t *json = json_member(req, name);
    if (json)
        return json_fields(req, json, ret_values, ret_count);
    const struct form *form = form_with(req, name);
    struct span *values = request_alloc(req, form->count * sizeof(*values));
    if (!values)
        return ERR_NO_MEMORY;
    size_t count = 0;
    for (size_t i = 0; i < form->count; i++)
        if (span_is(form->fields[i].name, name))
            values[count++] = form->fields[i].value;
    *ret_values = values;
    *ret_count = count;
    return OK;
}

/* JSON made from a form field belongs to the request like everything else. */
static enum err keep_json(struct request *req, json_t *take_json)
{
    if (!req->kept_json)
        req->kept_json = json_array();
    return json_array_append_new(req->kept_json, take_json) ? ERR_NO_MEMORY : OK;
}

enum err request_json(struct request *req, const char *name, json_t **ret_json, struct span *ret_text)
{
    json_t *json = json_member(req, name);
    struct span text;
    if (json) {
        if (!json_find_value(buf_span(&req->body), name, &text))
            return ERR_BAD_FIELD;
    } else {
        size_t count = form_count(form_with(req, name), name, &text);
        if (count != 1)
            return count ? ERR_BAD_FIELD : ERR_MISSING_FIELD;
        unsigned depth = req->client ? client_limits(req->client)->json_depth : 1;
        enum err err = json_parse(text, depth, &json);
        if (!err)
            err = keep_json(req, json);
        if (err)
            return err;
    }
    *ret_json = json;
    *ret_text = text;
    return OK;
}

/* --- waiting --- */

static void on_gone(void *ctx)
{
    struct request *req = ctx;
    watch_close(req->watch);
    req->watch = NULL;
    req->gone(req->gone_ctx);
}

void request_watch(struct request *req, void (*gone)(void *ctx), void *ctx)
{
    if (req->watch || !req->client || req->answered)
        return;
    req->gone = gone;
    req->gone_ctx = ctx;
    req->watch = watch_open(client_loop(req->client), client_fd(req->client), WATCH_GONE, on_gone, req);
}
