/* SPDX-License-Identifier: MIT */
/*
 * JSON from arbitrary bytes: the first byte is the depth that is allowed, the rest the text.
 *
 * Invariants: invalid UTF-8 is refused as that and nothing else is. What passes is no deeper than allowed, and passes
 * again as the same value when it is written. Its strings come back from our own writer. Without white space it is the
 * same value on one line, and each member of an object is found where it is written.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_string(struct span text)
{
    struct buf buf = BUF_INIT;
    json_t *json = NULL;
    buf_add_json(&buf, text);
    require(json_parse(buf_span(&buf), 0, &json) == OK);
    require(span_equal((struct span){json_string_value(json), json_string_length(json)}, text));
    require(!memchr(buf.data, '\n', buf.len) && !memchr(buf.data, '<', buf.len));
    json_decref(json);
    buf_fini(&buf);
}

static void check_value(json_t *json, unsigned depth)
{
    const char *key;
    json_t *item;
    size_t at;
    require(depth > 0 || !(json_is_array(json) || json_is_object(json)));
    if (json_is_string(json))
        check_string((struct span){json_string_value(json), json_string_length(json)});
    json_array_foreach (json, at, item)
        check_value(item, depth - 1);
    json_object_foreach (json, key, item) {
        check_string(span_of(key));
        check_value(item, depth - 1);
    }
}

static void check_again(json_t *json, unsigned depth_max)
{
    json_t *again = NULL;
    char *text = json_dumps(json, JSON_ENCODE_ANY);
    require(text && json_parse(span_of(text), depth_max, &again) == OK);
    require(json_equal(json, again));
    json_decref(again);
    free(text);
}

static void check_text_of(struct span text, json_t *value, unsigned depth_max)
{
    json_t *again = NULL;
    require(json_parse(text, depth_max, &again) == OK && json_equal(value, again));
    json_decref(again);
}

/* A key that is written with escapes is not found. */
static void check_members(struct span text, json_t *json, unsigned depth_max)
{
    const char *key;
    json_t *value;
    struct span found;
    json_object_foreach (json, key, value)
        if (json_find_value(text, key, &found))
            check_text_of(found, value, depth_max);
        else
            require(memchr(text.data, '\\', text.len));
}

static void check_minified(struct span text, json_t *json, unsigned depth_max)
{
    struct buf buf = BUF_INIT;
    json_minify(&buf, text);
    require(!memchr(buf.data, '\n', buf.len) && !memchr(buf.data, '\r', buf.len));
    check_text_of(buf_span(&buf), json, depth_max);
    buf_fini(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    unsigned depth_max = data[0] % 64;
    struct span text = {(const char *)data + 1, size - 1};
    json_t *json = NULL;
    enum err err = json_parse(text, depth_max, &json);
    require((err == ERR_BAD_UTF8) == !utf8_valid(text));
    require((err == OK) == (json != NULL));
    if (!err) {
        check_value(json, depth_max);
        check_again(json, depth_max);
        check_members(text, json, depth_max);
        check_minified(text, json, depth_max);
        json_decref(json);
    }
    return 0;
}
