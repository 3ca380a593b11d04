/* SPDX-License-Identifier: MIT */
/*
 * Messages to the store.
 *
 * One for the room is a message of its thread. One for somebody is a message of the thread of the two, which is found
 * or made first, once it is clear that the message may be sent. What comes of it comes back as everybody's event,
 * before the answer; only a refusal is told to the connection, if it is still there.
 *
 * What is under way costs memory until the store has answered, so a connection has a bounded number of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "adapters/talker/adapter.h"

enum { SENTENCE_SIZE = 100 };

struct saying {
    struct hub *hub;
    struct talk *talk; /* null: it has gone */
    struct saying *next, *prev;
    struct span sender, content; /* in text */
    char text[];
};

static void saying_end(struct saying *saying)
{
    struct talk *talk = saying->talk;
    if (talk) {
        DL_DELETE(talk->sayings, saying);
        talk->saying_count--;
    }
    free(saying);
    if (talk && talk->leaving)
        talk_leave(talk);
}

void sayings_forget(struct talk *talk)
{
    struct saying *saying, *next;
    DL_FOREACH_SAFE (talk->sayings, saying, next)
        saying->talk = NULL;
    talk->sayings = NULL;
}

static void tell_refusal(struct talk *talk, enum err err, unsigned retry_s)
{
    char sentence[SENTENCE_SIZE];
    if (err == ERR_TOO_MANY)
        (void)snprintf(sentence, sizeof(sentence), "you are sending too fast: wait %u s", retry_s);
    else
        (void)snprintf(sentence, sizeof(sentence), "the message was not sent: %s",
                       err == ERR_TOO_LARGE ? "it is too long" : err_sentence(err));
    talk_tell_error(talk, span_of(sentence));
}

static void saying_refused(struct saying *saying, enum err err, unsigned retry_s)
{
    if (saying->talk)
        tell_refusal(saying->talk, err, retry_s);
    saying_end(saying);
}

static void saying_stored(void *ctx, enum err err, const struct append_result *result unused_arg)
{
    if (err)
        saying_refused(ctx, err, 0);
    else
        saying_end(ctx);
}

static void send_to(struct saying *saying, struct id thread)
{
    struct message_fields fields = {.thread = thread, .sender = saying->sender, .text = saying->content};
    enum err err = hub_send_checked(saying->hub, &fields, saying_stored, saying);
    if (err)
        saying_refused(saying, err, 0);
}

static void thread_opened(void *ctx, enum err err, const struct thread_record *thread)
{
    struct saying *saying = ctx;
    if (err)
        saying_refused(saying, err, 0);
    else
        send_to(saying, thread->id);
}

static void send_privately(struct saying *saying, const struct person *to)
{
    struct span receiver = person_id(to);
    enum err err = hub_thread_open(saying->talk->session.user, &receiver, 1, (struct span){0}, thread_opened, saying);
    if (err)
        saying_refused(saying, err, 0);
}

/* With copies of who says it and what: they are needed behind the first answer. */
static struct saying *saying_new(struct talk *talk, struct span content)
{
    struct span sender = person_id(talk->person);
    struct saying *saying = malloc(sizeof(*saying) + sender.len + content.len);
    if (!saying)
        return NULL;
    memcpy(saying->text, sender.data, sender.len);
    if (content.len)
        memcpy(saying->text + sender.len, content.data, content.len);
    saying->hub = talk->talker->hub;
    saying->talk = talk;
    saying->sender = (struct span){saying->text, sender.len};
    saying->content = (struct span){saying->text + sender.len, content.len};
    DL_APPEND(talk->sayings, saying);
    talk->saying_count++;
    return saying;
}

/* On error *ret_retry_s may say when to try again. */
static enum err check(const struct saying *saying, unsigned *ret_retry_s)
{
    struct message_fields fields = {.sender = saying->sender, .text = saying->content};
    struct refusal refusal = {0};
    enum err err = hub_send_check(saying->hub, &fields, &refusal);
    *ret_retry_s = refusal.retry_s;
    return err;
}

void talk_say(struct talk *talk, struct span content, const struct person *to)
{
    if (talk->saying_count >= talk->talker->options.pending) {
        metric_add(METRIC_LIMIT_TALKER_PENDING, 1);
        talk_tell_error(talk, SPAN_LITERAL("the message was not sent: wait for those before it"));
        return;
    }
    struct saying *saying = saying_new(talk, content);
    if (!saying) {
        talk_tell_error(talk, SPAN_LITERAL("the message was not sent: out of memory"));
        return;
    }
    unsigned retry_s;
    enum err err = check(saying, &retry_s);
    if (err)
        saying_refused(saying, err, retry_s);
    else if (to)
        send_privately(saying, to);
    else
        send_to(saying, talk->room->watch.thread);
}
