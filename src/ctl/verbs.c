/* SPDX-License-Identifier: MIT */
/* The table of commands, and what several of them need. */
#include "ctl/verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/utf8.h"

const struct verb verbs[] = {
    {"status", "", "how this nereidd is: its version, listeners, store, and counts", 0, OPTION_ADDRESS, verb_status},
    {"sessions", "[--user USER] [--protocol PROTOCOL]", "who is connected, by which protocol, from where", 0,
     OPTION_ADDRESS | OPTION_USER | OPTION_PROTOCOL, verb_sessions},
    {"threads", "", "the threads in memory, and how many are in them", 0, OPTION_ADDRESS, verb_threads},
    {"tokens", "", "the tokens that sessions are open with", 0, OPTION_ADDRESS, verb_tokens},
    {"send", "[-u USER] THREAD TEXT", "says TEXT (-: standard input) in a thread or room, as operator or USER", 2,
     OPTION_ADDRESS | OPTION_USER, verb_send},
    {"watch", "THREAD", "follows what is said in a thread or room, and who is there", 1, OPTION_ADDRESS, verb_watch},
    {"probe", "[-v] [--seconds N] [-x PROXY] URL",
     "finds out whether streams pass on the way to URL, and what to change", 1,
     OPTION_PROXY | OPTION_SECONDS | OPTION_VERBOSE, verb_probe},
    {0},
};

int verb_written(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EX_OK;
    ask_complain("cannot write: %s", strerror(errno));
    return EX_IOERR;
}

int verb_no_memory(void)
{
    ask_complain("out of memory");
    return EX_OSERR;
}

int verb_json(struct span json)
{
    struct buf safe = BUF_INIT;
    text_add_safe_json(&safe, json);
    int status = buf_failed(&safe) ? verb_no_memory() : EX_OK;
    if (!status) {
        (void)fwrite(safe.data, 1, safe.len, stdout);
        status = verb_written();
    }
    buf_fini(&safe);
    return status;
}

int verb_table(struct columns *table)
{
    bool printed = columns_print(table, stdout);
    columns_fini(table);
    return printed ? EX_OK : verb_no_memory();
}

int verb_show(const struct order *order, struct buf *path, int (*show)(const json_t *answer))
{
    buf_add_char(path, '\0');
    return buf_failed(path) ? verb_no_memory() : verb_show_at(order, path->data, show);
}

int verb_show_at(const struct order *order, const char *path, int (*show)(const json_t *answer))
{
    struct buf text = BUF_INIT;
    json_t *answer = NULL;
    int status = ask(order, path, NULL, &text, &answer);
    if (!status)
        status = order->json ? verb_json(buf_span(&text)) : show(answer);
    if (!status)
        status = verb_written();
    json_decref(answer);
    buf_fini(&text);
    return status;
}

int verb_check_text(const char *what, struct span text)
{
    if (utf8_valid(text))
        return EX_OK;
    ask_complain("%s is not UTF-8", what);
    return EX_DATAERR;
}
