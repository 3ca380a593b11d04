/* SPDX-License-Identifier: MIT */
/*
 * Heads from arbitrary bytes, cut into lines in the way libmicrohttpd 0.9.75 does: at line feeds, then at the first
 * colon, as C strings.
 *
 * Invariants: a head that is accepted holds nothing but its lines (no folded line, no NUL but at the end of a line),
 * names that are tokens, values without control characters, at most one length, which is digits, and never a length
 * beside a coding. Read once more from the original bytes, strictly, it gives the same length.
 */
#include <stdint.h>
#include <stdlib.h>

#include "http/framing.h"
#include "http/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINES_MAX = 64 };

struct cut_line {
    char *name;
    char *value;
};

struct cut_head {
    struct cut_line lines[LINES_MAX];
    size_t count;
    char *end; /* after the empty line; null: there is none, or MHD would refuse */
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* The next line of `text`, its end overwritten. Null: no whole line. */
static char *next_line(char **text, const char *limit)
{
    char *line = *text;
    for (char *at = line; at < limit; at++) {
        bool is_crlf = *at == '\r' && at + 1 < limit && at[1] == '\n';
        if (!is_crlf && *at != '\n')
            continue;
        at[0] = '\0';
        at[is_crlf] = '\0';
        *text = at + 1 + is_crlf;
        return line;
    }
    return NULL;
}

static bool add_line(struct cut_head *head, char *line)
{
    char *colon = strchr(line, ':');
    if (!colon || head->count == LINES_MAX)
        return false;
    *colon++ = '\0';
    while (text_is_blank(*colon))
        colon++;
    head->lines[head->count++] = (struct cut_line){line, colon};
    return true;
}

/* A folded line is dropped here, where MHD glues it to the name before: either way the lines do not make up the
 * head. */
static struct cut_head cut(char *text, const char *limit)
{
    struct cut_head head = {.count = 0};
    for (char *line = next_line(&text, limit); line; line = next_line(&text, limit)) {
        if (line[0] == '\0') {
            head.end = text;
            break;
        }
        bool is_folded = head.count && text_is_blank(line[0]);
        if (!is_folded && !add_line(&head, line))
            break;
    }
    return head;
}

/* The original bytes of an accepted head hold nothing that two readers could read in two ways. */
static void check_strictly(const char *bytes, size_t len, const struct framing *framing)
{
    unsigned lengths = 0, codings = 0;
    while (len) {
        const char *feed = memchr(bytes, '\n', len);
        require(feed);
        struct span line = {bytes, (size_t)(feed - bytes)};
        len -= line.len + 1;
        bytes = feed + 1;
        while (line.len && (line.data[line.len - 1] == '\r' || line.data[line.len - 1] == '\0'))
            line.len--;
        if (line.len == 0)
            break;
        require(!memchr(line.data, 0, line.len));
        require(!text_is_blank(line.data[0]));
        struct span name = text_cut(&line, ':');
        require(framing_is_token(name));
        lengths += text_is_word(name, "content-length");
        codings += text_is_word(name, "transfer-encoding");
        if (text_is_word(name, "content-length"))
            require(strtoull(text_trim(line).data, NULL, 10) == framing->length);
    }
    require(lengths <= 1 && codings <= 1 && lengths + codings <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    bool http10 = data[0] & 1;
    const char *bytes = (const char *)data + 1;
    char *text = malloc(size);
    require(text);
    memcpy(text, bytes, size - 1);
    text[size - 1] = '\0';
    char *rest = text;
    char *request_line = next_line(&rest, text + size - 1);
    struct cut_head head = request_line ? cut(rest, text + size - 1) : (struct cut_head){0};
    if (head.end) {
        struct framing framing;
        framing_begin(&framing, request_line + strlen(request_line), head.end, http10);
        for (size_t i = 0; i < head.count; i++)
            framing_add(&framing, span_of(head.lines[i].name), span_of(head.lines[i].value));
        enum err err = framing_check(&framing);
        require((err == OK) == (framing.sentence == NULL));
        size_t begin = (size_t)(rest - text);
        if (!err)
            check_strictly(bytes + begin, (size_t)(head.end - text) - begin, &framing);
    }
    free(text);
    return 0;
}
