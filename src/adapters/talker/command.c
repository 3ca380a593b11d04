/* SPDX-License-Identifier: MIT */
/*
 * What clients say: one row for each word, and the same steps for all of them.
 *
 *     text ─> JSON object ─> row by `type` ─> allowed now? ─> fields as they must be? ─> act
 *
 * Whatever stops it on the way ends the connection with a sentence that says why.
 */
#include <inttypes.h>
#include <stdio.h>

#include "adapters/talker/adapter.h"

enum { NUMBER_SIZE = 24 };

/* What was said; spans point into `json`, or into `number` where a number stands for a text. */
struct said {
    const json_t *json;
    struct connect_fields connect;
    struct span content;
    struct span to; /* null data: all */
    char number[NUMBER_SIZE];
};

/* A row of the table. `check` fills its fields of `said`, or says what is wrong. */
struct command {
    const char *word;
    enum talk_state when;
    const char *(*check)(struct said *said);
    void (*act)(struct talk *talk, const struct said *said);
};

/* --- fields */

static bool has_field(const struct said *said, const char *key)
{
    return json_object_get(said->json, key) != NULL;
}

/* Where a field may be left out, null is as good as nothing. */
static bool is_given(const struct said *said, const char *key)
{
    return has_field(said, key) && !json_is_null(json_object_get(said->json, key));
}

/* A text, or an integer as it is written: ids are both, out there. Null data: neither. One of a command's fields at
 * most may be read in this way. */
static struct span text_or_number(struct said *said, const char *key)
{
    const json_t *value = json_object_get(said->json, key);
    if (!json_is_integer(value))
        return json_text(said->json, key);
    (void)snprintf(said->number, sizeof(said->number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return span_of(said->number);
}

/* --- connect */

/* One that is a number is none of ours. */
static const char *check_last_event_id(struct said *said)
{
    const json_t *value = json_object_get(said->json, "last_event_id");
    if (!is_given(said, "last_event_id"))
        return NULL;
    if (!json_is_string(value) && !json_is_integer(value))
        return "the last_event_id has to be a text";
    said->connect.last_event_id =
        json_is_integer(value) ? SPAN_LITERAL("a number") : json_text(said->json, "last_event_id");
    return NULL;
}

static const char *check_connect(struct said *said)
{
    said->connect.token = json_text(said->json, "token");
    said->connect.room = text_or_number(said, "room");
    if (!has_field(said, "room"))
        return "connect needs a room";
    if (!said->connect.room.data)
        return "the room has to be a text or an integer";
    if (!has_field(said, "token"))
        return "connect needs a token";
    if (!said->connect.token.data)
        return "the token has to be a text";
    return check_last_event_id(said);
}

static void act_connect(struct talk *talk, const struct said *said)
{
    joining_begin(talk, &said->connect);
}

/* --- message */

static const char *check_message(struct said *said)
{
    said->content = json_text(said->json, "content");
    said->to = text_or_number(said, "to");
    if (!has_field(said, "content"))
        return "a message needs a content";
    if (!said->content.data)
        return "the content has to be a text";
    return is_given(said, "to") && !said->to.data ? "the receiver has to be a text or an integer" : NULL;
}

/* Rather nobody than the wrong one: a name that several have is not enough. */
static void act_message(struct talk *talk, const struct said *said)
{
    if (!said->to.data) {
        talk_say(talk, said->content, NULL);
        return;
    }
    unsigned count = 1;
    const struct person *to = talker_room_find(talk->room, said->to);
    if (!to)
        to = talker_room_find_name(talk->room, said->to, talk->person, &count);
    if (!to)
        talk_tell_error(talk, SPAN_LITERAL("nobody of this id or name is in the room"));
    else if (count > 1)
        talk_tell_error(talk, SPAN_LITERAL("several in the room have this name: use the id"));
    else if (to == talk->person)
        talk_tell_error(talk, SPAN_LITERAL("a private message has to be for somebody else"));
    else
        talk_say(talk, said->content, to);
}

/* --- ping, close */

static const char *check_nothing(struct said *said unused_arg)
{
    return NULL;
}

static void act_ping(struct talk *talk unused_arg, const struct said *said unused_arg)
{
    /* That it came is all it has to say. */
}

static void act_close(struct talk *talk, const struct said *said unused_arg)
{
    talk_leave(talk);
}

/* --- the table */

static const struct command commands[] = {
    {"connect", TALK_NEW, check_connect, act_connect},
    {"message", TALK_IN, check_message, act_message},
    {"ping", TALK_IN, check_nothing, act_ping},
    {"close", TALK_IN, check_nothing, act_close},
};

static const struct command *find_command(struct span word)
{
    for (size_t i = 0; i < array_len(commands); i++)
        if (span_is(word, commands[i].word))
            return &commands[i];
    return NULL;
}

/* Why something is not allowed in a state that it is not for. */
static const char *const not_now[] = {
    [TALK_NEW] = "connect to a room first",
    [TALK_JOINING] = "wait for connected before you say anything",
    [TALK_IN] = "you are connected to a room already",
};

static void obey(struct talk *talk, const json_t *json)
{
    struct said said = {.json = json};
    struct span word = json_text(json, "type");
    const struct command *command = find_command(word);
    const char *wrong = NULL;
    if (!word.data)
        wrong = "an event needs a type, which is a text";
    else if (talk->state == TALK_JOINING || (command && command->when != talk->state))
        wrong = not_now[talk->state];
    else if (!command)
        wrong = "there is no event of this type: connect, message, ping and close are known";
    else
        wrong = command->check(&said);
    if (wrong)
        talk_refuse(talk, wrong);
    else
        command->act(talk, &said);
}

void talk_hear(struct talk *talk, struct span text)
{
    json_t *json;
    enum err err = json_parse(text, talk->talker->options.json_depth, &json);
    metric_add(METRIC_TALKER_EVENTS_IN, 1);
    if (err) {
        talk_refuse(talk, err == ERR_BAD_JSON ? "this is not acceptable JSON" : err_sentence(err));
        return;
    }
    talk->heard_ms = loop_now_ms(talk->talker->loop);
    obey(talk, json);
    json_decref(json);
}
