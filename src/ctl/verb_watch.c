/* SPDX-License-Identifier: MIT */
/* nereidctl watch: a thread as it goes on, until Ctrl-C or the server's end. */
#include <signal.h>
#include <sysexits.h>

#include "ctl/scene.h"
#include "ctl/verbs.h"

static volatile sig_atomic_t stopped;

struct watching {
    const struct order *order;
    struct buf text;
    bool ended; /* by the server, which said why */
    int status;
};

static void stop(int number unused_arg)
{
    stopped = 1;
}

static int write_line(struct span line)
{
    (void)fwrite(line.data, 1, line.len, stdout);
    (void)putchar('\n');
    return verb_written();
}

static int write_json_line(struct span line)
{
    int status = verb_json(line);
    (void)putchar('\n');
    return status ? status : verb_written();
}

/* With --json lines go out as JSON; what they mean is looked at all the same. */
static bool show_line(void *ctx, struct span line)
{
    struct watching *watching = ctx;
    buf_reset(&watching->text);
    enum scene scene = scene_write(&watching->text, line);
    if (buf_failed(&watching->text))
        watching->status = verb_no_memory();
    else if (scene == SCENE_BAD) {
        ask_complain("%s: the answer is not that of a nereidd", watching->order->place.text);
        watching->status = EX_PROTOCOL;
    } else if (watching->order->json)
        watching->status = write_json_line(line);
    else if (scene == SCENE_TEXT)
        watching->status = write_line(buf_span(&watching->text));
    if (scene == SCENE_END && !watching->status) {
        watching->ended = true;
        ask_complain("the watch is over: %.*s", (int)watching->text.len, watching->text.data);
        watching->status = EX_UNAVAILABLE;
    }
    return watching->status == EX_OK;
}

static int watch_path(const struct order *order, struct buf *path)
{
    struct span thread = span_of(order->operands[0]);
    int status = verb_check_text("the thread", thread);
    buf_add_text(path, "/threads/");
    place_escape(path, thread);
    buf_add_text(path, "/watch");
    buf_add_char(path, '\0');
    return buf_failed(path) ? verb_no_memory() : status;
}

static int watch_at(const struct order *order, const char *path)
{
    struct watching watching = {.order = order};
    struct sigaction action = {.sa_handler = stop};
    (void)sigaction(SIGINT, &action, NULL);
    int status = ask_lines(order, path, show_line, &watching, &stopped);
    buf_fini(&watching.text);
    if (status || watching.status || stopped)
        return status ? status : watching.status;
    ask_complain("%s: the connection was closed", order->place.text);
    return EX_UNAVAILABLE;
}

int verb_watch(const struct order *order)
{
    struct buf path = BUF_INIT;
    int status = watch_path(order, &path);
    if (!status)
        status = watch_at(order, path.data);
    buf_fini(&path);
    return status;
}
