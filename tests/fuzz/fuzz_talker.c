/* SPDX-License-Identifier: MIT */
/*
 * Bytes from a client of Talker, cut where the first byte of the input says.
 *
 * Invariants: what comes out is the same, objects and error, in one piece and in many; each object begins and ends with
 * a bracket and is no longer than the limit; nothing is left out but white space; memory is held between
 * pieces only; what a writer makes of any text is read again as one object with that text in it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/talker/splitter.h"
#include "adapters/talker/writer.h"
#include "base/json.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OBJECT_MAX = 4096, DEPTH = 8, PIECE_MAX = 16 };

static void require(bool holds)
{
    if (!holds)
        abort();
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static void check_object(struct span object)
{
    json_t *json;
    require(object.len >= 2 && object.len <= OBJECT_MAX && object.data[0] == '{');
    require(object.data[object.len - 1] == '}' || object.data[object.len - 1] == ']');
    if (json_parse(object, DEPTH, &json))
        return;
    require(json_is_object(json));
    json_decref(json);
}

/* What was found, in pieces of `piece` bytes (0: in one). */
static enum err split(struct span input, size_t piece, struct buf *out)
{
    struct splitter splitter = splitter_of(OBJECT_MAX, DEPTH);
    enum err err = OK;
    while (input.len && !err) {
        size_t len = piece && piece < input.len ? piece : input.len;
        struct span part = {input.data, len}, object;
        input = (struct span){input.data + len, input.len - len};
        while ((err = splitter_next(&splitter, &part, &object)) == OK && object.data) {
            check_object(object);
            buf_add(out, object);
            buf_add_char(out, '\n');
        }
        require(err || part.len == 0);
        require(err || (splitter.held != NULL) == (splitter.depth > 0));
    }
    splitter_fini(&splitter);
    require(!buf_failed(out));
    return err;
}

static size_t skip_space(struct span text, size_t at)
{
    while (at < text.len && is_space(text.data[at]))
        at++;
    return at;
}

/* But for white space, what was found is how the input begins. (What is left of it is an object without an end.) */
static void check_nothing_lost(struct span input, struct span found)
{
    size_t at = 0, i = 0;
    while ((i = skip_space(found, i)) < found.len) {
        at = skip_space(input, at);
        require(at < input.len && input.data[at++] == found.data[i++]);
    }
}

static void check_written(struct span text)
{
    if (!utf8_valid(text) || span_has(text, '\0'))
        return;
    struct buf line = BUF_INIT, found = BUF_INIT;
    json_t *json;
    talker_write_error(&line, text);
    require(!buf_failed(&line) && memchr(line.data, '\n', line.len) == line.data + line.len - 1);
    require(json_parse(buf_span(&line), DEPTH, &json) == OK && span_equal(json_text(json, "message"), text));
    json_decref(json);
    if (line.len <= OBJECT_MAX)
        require(split(buf_span(&line), 1, &found) == OK && span_equal(buf_span(&found), buf_span(&line)));
    buf_fini(&line);
    buf_fini(&found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct span input = {(const char *)data + 1, size - 1};
    struct buf whole = BUF_INIT, pieces = BUF_INIT;
    enum err err = split(input, 0, &whole);
    require(split(input, data[0] % PIECE_MAX + 1U, &pieces) == err);
    require(span_equal(buf_span(&whole), buf_span(&pieces)));
    if (!err)
        check_nothing_lost(input, buf_span(&whole));
    check_written(input);
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
