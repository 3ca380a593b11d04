/* SPDX-License-Identifier: MIT */
/* Answers: MHD responses with the headers that every answer has. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/metric.h"
#include "http/inside.h"

enum { UNAVAILABLE_RETRY_S = 1 };

/* MHD takes no part in CR and LF, and refuses them; this refuses the other control characters too. */
static bool is_header_value(const char *value)
{
    for (; *value; value++)
        if (((unsigned char)*value < ' ' && *value != '\t') || *value == 0x7f)
            return false;
    return true;
}

bool response_add_header(struct MHD_Response *response, const char *name, const char *value)
{
    if (!value || !value[0] || !is_header_value(value))
        return true;
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

static bool has_header(const struct http_header *headers, const char *name)
{
    for (; headers && headers->name; headers++)
        if (strcasecmp(headers->name, name) == 0)
            return true;
    return false;
}

static bool add_cors(struct MHD_Response *response, const struct request *req)
{
    struct span origin;
    char text[256];
    if (req->router && router_has_origins(req->router) && !response_add_header(response, "Vary", "Origin"))
        return false;
    if (req->origin != REQUEST_ORIGIN_LISTED || request_header_count(req, "Origin", &origin) != 1)
        return true;
    if (origin.len >= sizeof(text))
        return true;
    memcpy(text, origin.data, origin.len);
    text[origin.len] = '\0';
    return response_add_header(response, "Access-Control-Allow-Origin", text) &&
           response_add_header(response, "Access-Control-Allow-Credentials", "true") &&
           response_add_header(response, "Access-Control-Expose-Headers", "Retry-After");
}

bool response_add_headers(struct MHD_Response *response, const struct request *req, const struct http_header *headers)
{
    static const struct http_header defaults[] = {
        {"Cache-Control", "no-store"},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},
    };
    bool ok = true;
    for (size_t i = 0; i < array_len(defaults) && ok; i++)
        if (!has_header(headers, defaults[i].name))
            ok = response_add_header(response, defaults[i].name, defaults[i].value);
    for (; headers && headers->name && ok; headers++)
        ok = response_add_header(response, headers->name, headers->value);
    return ok && add_cors(response, req);
}

struct blob *error_body(enum err err, const char *sentence)
{
    struct buf text = BUF_INIT;
    buf_add_text(&text, "{\"error\": ");
    buf_add_json(&text, span_of(err_word(err)));
    buf_add_text(&text, ", \"message\": ");
    buf_add_json(&text, span_of(sentence ? sentence : err_sentence(err)));
    buf_add_text(&text, "}\n");
    struct blob *body = buf_blob(&text);
    buf_fini(&text);
    return body;
}

/* --- bodies --- */

static void unref_body(void *body)
{
    blob_unref(body);
}

static struct MHD_Response *response_of_blob(struct blob *body)
{
    if (!body)
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *response =
        MHD_create_response_from_buffer_with_free_callback_cls(body->len, body->data, unref_body, body);
    if (response)
        (void)blob_ref(body);
    return response;
}

/* Answers with `take_response`, or, as it stands for no memory, with none. */
static void answer(struct request *req, int status, const char *type, const struct http_header *headers,
                   struct MHD_Response *take_response)
{
    if (take_response && (!response_add_header(take_response, "Content-Type", type) ||
                          !response_add_headers(take_response, req, headers))) {
        MHD_destroy_response(take_response);
        take_response = NULL;
    }
    request_answer(req, (unsigned)status, take_response);
}

void request_reply(struct request *req, int status, const char *type, struct blob *body,
                   const struct http_header *headers)
{
    answer(req, status, type, headers, response_of_blob(body));
}

static struct blob *json_blob(const json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    struct buf line = BUF_INIT;
    if (!text)
        return NULL;
    buf_add_text(&line, text);
    buf_add_char(&line, '\n');
    struct blob *blob = buf_blob(&line);
    buf_fini(&line);
    free(text);
    return blob;
}

void request_reply_json(struct request *req, int status, json_t *take_json)
{
    struct blob *body = json_blob(take_json);
    json_decref(take_json);
    if (body)
        request_reply(req, status, "application/json", body, NULL);
    else
        request_fail(req, ERR_NO_MEMORY, NULL, 0);
    blob_unref(body);
}

void request_fail(struct request *req, enum err err, const char *sentence, unsigned retry_after_s)
{
    char seconds[16] = "";
    struct blob *body = error_body(err, sentence);
    int status = err_http_status(err);
    if (status == 503 && !retry_after_s)
        retry_after_s = UNAVAILABLE_RETRY_S;
    if (retry_after_s)
        (void)snprintf(seconds, sizeof(seconds), "%u", retry_after_s);
    const struct http_header headers[] = {{"Retry-After", seconds}, {NULL, NULL}};
    request_reply(req, status, "application/json", body, headers);
    blob_unref(body);
}

void request_reply_file(struct request *req, int status, const char *type, int take_fd, uint64_t size,
                        const struct http_header *headers)
{
    struct MHD_Response *response = MHD_create_response_from_fd64(size, take_fd);
    if (!response)
        (void)close(take_fd);
    answer(req, status, type, headers, response);
}
