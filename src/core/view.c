/* SPDX-License-Identifier: MIT */
/* Looking around: what is in the memory of this node, for operators. */
#include "core/state.h"

static struct session_view view_of_session(const struct session *session)
{
    struct session_view view = {
        .user = user_presence(session->user),
        .protocol = session->ops->protocol ? session->ops->protocol : "",
        .since_us = session->since_us,
        .by_token = session->grant,
        .replaying = session->state != SESSION_LIVE,
    };
    if (session->ops->place)
        view.place = session->ops->place(session);
    return view;
}

void hub_view_sessions(const struct hub *hub, void (*visit)(void *ctx, const struct session_view *view), void *ctx)
{
    const struct user *user, *next;
    HASH_ITER (hh, hub->users, user, next) {
        for (const struct session *session = user->sessions; session; session = session->next) {
            struct session_view view = view_of_session(session);
            visit(ctx, &view);
        }
    }
}

void hub_view_threads(const struct hub *hub, void (*visit)(void *ctx, const struct thread_view *view), void *ctx)
{
    const struct thread *thread, *next;
    HASH_ITER (hh, hub->threads, thread, next) {
        struct thread_view view = {
            .id = thread->id,
            .room = thread->room ? span_of(thread->room) : (struct span){0},
            .members = thread->member_count,
            .watches = watch_count(thread),
            .last_us = thread->last_us,
        };
        for (uint32_t i = 0; i < thread->member_count; i++)
            view.available += user_available(thread->members[i].user);
        visit(ctx, &view);
    }
}
