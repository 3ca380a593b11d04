/* SPDX-License-Identifier: MIT */
/* nereidctl send: one message. */
#include <errno.h>
#include <sysexits.h>

#include "ctl/verbs.h"

enum { INPUT_MAX = 16 << 20 }; /* beyond what any gateway takes */

/* All of standard input, without the end of its last line. */
static int read_input(struct buf *text)
{
    char bytes[16384];
    size_t len;
    while (text->len <= INPUT_MAX && (len = fread(bytes, 1, sizeof(bytes), stdin)) > 0)
        buf_add(text, (struct span){bytes, len});
    if (ferror(stdin)) {
        ask_complain("cannot read standard input: %s", strerror(errno));
        return EX_IOERR;
    }
    if (text->len > INPUT_MAX) {
        ask_complain("standard input is too long for a message");
        return EX_DATAERR;
    }
    if (text->len && text->data[text->len - 1] == '\n')
        text->len--;
    return EX_OK;
}

static void add_field(struct buf *body, const char *key, struct span text)
{
    buf_printf(body, "%c\"%s\":", body->len ? ',' : '{', key);
    buf_add_json(body, text);
}

static int write_body(const struct order *order, struct span text, struct buf *body)
{
    struct span thread = span_of(order->operands[0]);
    int status = verb_check_text("the thread", thread);
    if (!status)
        status = verb_check_text("the text", text);
    if (!status && order->user)
        status = verb_check_text("the user", span_of(order->user));
    if (status)
        return status;
    add_field(body, "thread", thread);
    add_field(body, "text", text);
    if (order->user)
        add_field(body, "user", span_of(order->user));
    buf_add_char(body, '}');
    return buf_failed(body) ? verb_no_memory() : EX_OK;
}

static int show_sent(const json_t *answer)
{
    struct span id = json_text(answer, "id"), thread = json_text(answer, "thread");
    struct buf line = BUF_INIT;
    buf_add_text(&line, "sent ");
    text_add_safe(&line, id);
    buf_add_text(&line, " to ");
    text_add_safe(&line, thread);
    buf_add_char(&line, '\n');
    (void)fwrite(line.data, 1, line.len, stdout);
    buf_fini(&line);
    return verb_written();
}

static int send_body(const struct order *order, const struct buf *body)
{
    struct buf text = BUF_INIT;
    json_t *answer = NULL;
    int status = ask(order, "/send", body, &text, &answer);
    if (!status)
        status = order->json ? verb_json(buf_span(&text)) : show_sent(answer);
    json_decref(answer);
    buf_fini(&text);
    return status;
}

int verb_send(const struct order *order)
{
    struct buf input = BUF_INIT, body = BUF_INIT;
    struct span text = span_of(order->operands[1]);
    int status = EX_OK;
    if (span_is(text, "-")) {
        status = read_input(&input);
        text = buf_span(&input);
    }
    if (!status && buf_failed(&input))
        status = verb_no_memory();
    if (!status)
        status = write_body(order, text, &body);
    if (!status)
        status = send_body(order, &body);
    buf_fini(&input);
    buf_fini(&body);
    return status;
}
