/* SPDX-License-Identifier: MIT */
/* The one-entry cache from events to emissions. */
#include "adapters/socketio/echo.h"

#include "base/buf.h"

void echo_fini(struct echo *echo)
{
    event_unref(echo->event);
    emission_unref(echo->emission);
    *echo = (struct echo){0};
}

struct emission *echo_of(struct echo *echo, struct event *event, const char *nsp, const char *name, echo_write *write,
                         void *ctx)
{
    if (echo->event == event)
        return echo->emission;
    echo_fini(echo);
    struct buf args = BUF_INIT;
    write(ctx, &args, event);
    if (!buf_failed(&args))
        echo->emission = emission_of(span_of(nsp), name, buf_span(&args));
    buf_fini(&args);
    if (echo->emission)
        echo->event = event_ref(event);
    return echo->emission;
}
