/* SPDX-License-Identifier: MIT */
/*
 * The Redis store: its ops, its start and its end, and what becomes of errors.
 */
#include "store/redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/metric.h"
#include "store/redis_store.h"
#include "store/redis_trouble.h"

enum { LIMIT_MAX = 1000000, REPLICA_WAIT_PART = 4 };

static struct redis_store *redis_of(const struct store *store)
{
    return container_of(store, struct redis_store, store);
}

/* A number of things to read; what is beyond all reason is as good as all. */
static struct span format_limit(size_t limit, char text[INT_TEXT_SIZE])
{
    return int_format(limit < LIMIT_MAX ? (int64_t)limit : LIMIT_MAX, text);
}

static struct span format_id(struct id id, char text[ID_TEXT_SIZE])
{
    return span_of(id_format(id, text));
}

static struct span flag(bool set)
{
    return set ? SPAN_LITERAL("1") : SPAN_LITERAL("0");
}

/* --- users ------------------------------------------------------------------------------------------------------ */

static void redis_user_put(struct store *head, struct span id, struct span name, store_user_done *done, void *ctx)
{
    struct span words[] = {SCRIPT_HEAD, id, name};
    (void)call_script(redis_of(head), &call_user, SCRIPT_USER_PUT, array_len(words), words,
                      (union call_done){.user = done}, ctx);
}

static void redis_users_list(struct store *head, struct span after, size_t limit, store_users_done *done, void *ctx)
{
    char count[INT_TEXT_SIZE];
    struct span words[] = {SCRIPT_HEAD, after, format_limit(limit, count)};
    (void)call_script(redis_of(head), &call_users, SCRIPT_USERS_LIST, array_len(words), words,
                      (union call_done){.users = done}, ctx);
}

static void redis_presence_put(struct store *head, struct span id, enum show show, struct span status,
                               store_user_done *done, void *ctx)
{
    struct span words[] = {SCRIPT_HEAD, id, span_of(show_word(show)), status};
    (void)call_script(redis_of(head), &call_user, SCRIPT_PRESENCE_PUT, array_len(words), words,
                      (union call_done){.user = done}, ctx);
}

static void redis_lease(struct store *head, struct span user, enum lease lease)
{
    node_lease(redis_of(head), user, lease);
}

/* --- threads ---------------------------------------------------------------------------------------------------- */

enum { OPEN_HEAD = SCRIPT_HEAD_COUNT + 6, OPEN_FEW = 32 };

/* `words` are OPEN_HEAD and the users. */
static struct redis_call *open_thread(struct redis_store *store, const struct thread_request *request,
                                      const struct call_kind *kind, struct span *words, store_thread_done *done,
                                      void *ctx)
{
    char id[ID_TEXT_SIZE];
    char members[INT_TEXT_SIZE];
    char node[ID_TEXT_SIZE];
    words[SCRIPT_HEAD_COUNT] = format_id(request->id, id);
    words[SCRIPT_HEAD_COUNT + 1] = flag(request->room.data);
    words[SCRIPT_HEAD_COUNT + 2] = request->room;
    words[SCRIPT_HEAD_COUNT + 3] = format_limit(request->members_max, members);
    words[SCRIPT_HEAD_COUNT + 4] = flag(request->members_only);
    words[SCRIPT_HEAD_COUNT + 5] = request->visit ? format_id(store->node, node) : SPAN_LITERAL("");
    memcpy(words + OPEN_HEAD, request->users, request->user_count * sizeof(*words));
    return call_script(store, kind, SCRIPT_THREAD_OPEN, OPEN_HEAD + request->user_count, words,
                       (union call_done){.thread = done}, ctx);
}

static void redis_thread_open(struct store *head, const struct thread_request *request, store_thread_done *done,
                              void *ctx)
{
    struct redis_store *store = redis_of(head);
    struct span few[OPEN_HEAD + OPEN_FEW];
    size_t count = OPEN_HEAD + request->user_count;
    struct span *words = count > array_len(few) ? malloc(count * sizeof(*words)) : few;
    struct visits *visits = words && request->visit ? visits_get(store, request->id, request->users[0]) : NULL;
    if (!words || (request->visit && !visits))
        call_refused(store, &call_thread, ERR_NO_MEMORY, (union call_done){.thread = done}, ctx);
    else if (visits)
        visits_begin(visits, open_thread(store, request, &call_visit, words, done, ctx));
    else
        (void)open_thread(store, request, &call_thread, words, done, ctx);
    if (words != few)
        free(words);
}

static void redis_thread_get(struct store *head, struct id thread, store_thread_done *done, void *ctx)
{
    char id[ID_TEXT_SIZE];
    struct span words[] = {SCRIPT_HEAD, format_id(thread, id)};
    (void)call_script(redis_of(head), &call_thread, SCRIPT_THREAD_GET, array_len(words), words,
                      (union call_done){.thread = done}, ctx);
}

static void redis_member_add(struct store *head, struct id thread, struct span user, size_t members_max,
                             store_thread_done *done, void *ctx)
{
    char id[ID_TEXT_SIZE];
    char members[INT_TEXT_SIZE];
    struct span words[] = {SCRIPT_HEAD, format_id(thread, id), user, format_limit(members_max, members)};
    (void)call_script(redis_of(head), &call_thread, SCRIPT_MEMBER_ADD, array_len(words), words,
                      (union call_done){.thread = done}, ctx);
}

static void redis_member_remove(struct store *head, struct id thread, struct span user, store_thread_done *done,
                                void *ctx)
{
    char id[ID_TEXT_SIZE];
    struct span words[] = {SCRIPT_HEAD, format_id(thread, id), user};
    (void)call_script(redis_of(head), &call_thread, SCRIPT_MEMBER_REMOVE, array_len(words), words,
                      (union call_done){.thread = done}, ctx);
}

static void redis_visit_end(struct store *head, struct id thread, struct span user, bool stays, store_thread_done *done,
                            void *ctx)
{
    struct redis_store *store = redis_of(head);
    union call_done call_done = {.thread = done};
    struct visits *visits = visits_get(store, thread, user);
    if (!visits) {
        call_refused(store, &call_thread, ERR_NO_MEMORY, call_done, ctx);
        return;
    }
    char id[ID_TEXT_SIZE];
    char node[ID_TEXT_SIZE];
    char left[INT_TEXT_SIZE];
    struct span words[] = {SCRIPT_HEAD, format_id(thread, id),        user,
                           flag(stays), format_id(store->node, node), int_format(visits_end(visits), left)};
    struct redis_call *call =
        call_script(store, &call_visit_end, SCRIPT_VISIT_END, array_len(words), words, call_done, ctx);
    call->visits = visits;
    call->stays = stays;
}

static void redis_threads_of(struct store *head, struct span user, bool with_last, store_threads_done *done, void *ctx)
{
    struct span words[] = {SCRIPT_HEAD, user, flag(with_last)};
    (void)call_script(redis_of(head), &call_threads, SCRIPT_THREADS_OF, array_len(words), words,
                      (union call_done){.threads = done}, ctx);
}

/* --- messages --------------------------------------------------------------------------------------------------- */

/* The words of an append, as its script takes them and its entry keeps them. */
struct append_words {
    char id[ID_TEXT_SIZE];
    char thread[ID_TEXT_SIZE];
    char time[INT_TEXT_SIZE];
    struct span words[SCRIPT_HEAD_COUNT + 6 + 8];
    size_t count;
};

/* Absent fields stay absent. */
static void add_field(struct append_words *words, const char *name, struct span value)
{
    if (!value.data)
        return;
    words->words[words->count++] = span_of(name);
    words->words[words->count++] = value;
}

static void fill_append(struct append_words *words, const struct message_fields *fields)
{
    struct span id = format_id(fields->id, words->id);
    struct span thread = format_id(fields->thread, words->thread);
    words->count = SCRIPT_HEAD_COUNT;
    const struct span first[] = {id,
                                 thread,
                                 fields->sender,
                                 span_of(text_type_word(fields->type)),
                                 int_format(fields->time_us, words->time),
                                 fields->text};
    for (size_t i = 0; i < array_len(first); i++)
        words->words[words->count++] = first[i];
    add_field(words, "name", fields->sender_name);
    add_field(words, "subject", fields->subject);
    add_field(words, "language", fields->language);
    add_field(words, "attachments", fields->attachments);
}

static void redis_append(struct store *head, struct message *message, store_append_done *done, void *ctx)
{
    struct redis_store *store = redis_of(head);
    struct append_words words;
    fill_append(&words, &message->fields);
    struct redis_call *call = call_script(store, &call_append, SCRIPT_APPEND, words.count, words.words,
                                          (union call_done){.append = done}, ctx);
    call->message = message_ref(message);
    call->claim = ++store->claims;
}

static void redis_message_find(struct store *head, struct id message, store_message_done *done, void *ctx)
{
    char id[ID_TEXT_SIZE];
    struct span words[] = {SCRIPT_HEAD, format_id(message, id)};
    (void)call_script(redis_of(head), &call_place, SCRIPT_MESSAGE_FIND, array_len(words), words,
                      (union call_done){.message = done}, ctx);
}

static void redis_history(struct store *head, struct id thread, struct span user, struct cursor before, size_t limit,
                          store_page_done *done, void *ctx)
{
    char id[ID_TEXT_SIZE];
    char from[STREAM_ID_SIZE];
    char count[INT_TEXT_SIZE];
    struct span words[] = {SCRIPT_HEAD, format_id(thread, id), user, span_of(stream_id_format(before, from)),
                           format_limit(limit, count)};
    (void)call_script(redis_of(head), &call_page, SCRIPT_HISTORY, array_len(words), words,
                      (union call_done){.page = done}, ctx);
}

static void redis_replay(struct store *head, struct span user, struct cursor since, size_t count_max, size_t bytes_max,
                         store_page_done *done, void *ctx)
{
    char from[STREAM_ID_SIZE];
    char count[INT_TEXT_SIZE];
    char bytes[INT_TEXT_SIZE];
    struct span words[] = {SCRIPT_HEAD, user, span_of(stream_id_format(since, from)), format_limit(count_max, count),
                           int_format(bytes_max < INT64_MAX ? (int64_t)bytes_max : INT64_MAX, bytes)};
    (void)call_script(redis_of(head), &call_page, SCRIPT_REPLAY, array_len(words), words,
                      (union call_done){.page = done}, ctx);
}

/* --- replicas --------------------------------------------------------------------------------------------------- */

static const char few_replicas[] = "too few replicas have the messages";

static void end_trouble(struct redis_store *store)
{
    store->trouble = NULL;
    log_event(LOG_INFO, "Redis takes writes again");
}

/* The claims up to `number` wait for the replicas' word. */
struct confirming {
    struct redis_store *store;
    uint64_t number;
};

static void got_replicas(void *ctx, const redisReply *reply)
{
    struct confirming *confirming = ctx;
    struct redis_store *store = confirming->store;
    uint64_t number = confirming->number;
    free(confirming);
    store->confirming = false;
    bool enough = reply && reply->type == REDIS_REPLY_INTEGER && reply->integer >= store->options.replicas;
    store->short_of_replicas = reply && !enough;
    if (enough && store->confirmed < number)
        store->confirmed = number;
    for (struct redis_call *call = store->calls; call; call = call->next)
        if (call->held && call->claim <= number)
            call_confirmed(call, enough);
    if (!reply)
        return;
    if (reply_is_error(reply))
        store_complain(store, reply);
    else if (!enough)
        store_trouble(store, few_replicas, "WAIT");
    else if (store->trouble == few_replicas)
        end_trouble(store);
    line_move(store);
}

/* One question at a time: it holds up what comes behind it. */
static void ask_replicas(struct redis_store *store)
{
    if (store->confirming)
        return;
    char replicas[INT_TEXT_SIZE];
    char wait[INT_TEXT_SIZE];
    const struct span words[] = {SPAN_LITERAL("WAIT"), int_format(store->options.replicas, replicas),
                                 int_format(store->options.deadline_ms / REPLICA_WAIT_PART, wait)};
    struct confirming *confirming = malloc(sizeof(*confirming));
    if (!confirming) {
        loop_again(store->loop);
        return;
    }
    *confirming = (struct confirming){store, store->claims};
    store->asked = store->claims;
    store->confirming = true;
    wire_command(&store->link.commands, array_len(words), words, 0, got_replicas, confirming);
}

/* The end of a turn: one question for all its claims. */
static void replicate(struct loop_task *task)
{
    struct redis_store *store = container_of(task, struct redis_store, replicate);
    if (store->claims != store->asked && store->ready)
        ask_replicas(store);
}

/* --- tokens ----------------------------------------------------------------------------------------------------- */

static void redis_token_put(struct store *head, struct id token, struct span user, int64_t expires_us, store_done *done,
                            void *ctx)
{
    struct redis_store *store = redis_of(head);
    int64_t left_ms = (expires_us - clock_wall_us(store->options.clock)) / 1000;
    char key[sizeof("chat:token:") + ID_TEXT_LEN];
    char id[ID_TEXT_SIZE];
    char left[INT_TEXT_SIZE];
    (void)snprintf(key, sizeof(key), "chat:token:%s", id_format(token, id));
    const struct span words[] = {SPAN_LITERAL("SET"), span_of(key), user, SPAN_LITERAL("PX"),
                                 int_format(left_ms > 0 ? left_ms : 1, left)};
    call_command(store, &call_plain, array_len(words), words, (union call_done){.plain = done}, ctx);
}

static void redis_token_get(struct store *head, struct id token, store_token_done *done, void *ctx)
{
    char id[ID_TEXT_SIZE];
    struct span words[] = {SCRIPT_HEAD, format_id(token, id)};
    (void)call_script(redis_of(head), &call_token, SCRIPT_TOKEN_GET, array_len(words), words,
                      (union call_done){.token = done}, ctx);
}

static void redis_token_delete(struct store *head, struct id token, store_done *done, void *ctx)
{
    char id[ID_TEXT_SIZE];
    struct span words[] = {SCRIPT_HEAD, format_id(token, id)};
    (void)call_script(redis_of(head), &call_plain, SCRIPT_TOKEN_DELETE, array_len(words), words,
                      (union call_done){.plain = done}, ctx);
}

/* --- trouble ---------------------------------------------------------------------------------------------------- */

static bool redis_ready(const struct store *head, const char **ret_reason)
{
    const struct redis_store *store = redis_of(head);
    if (store->ready && !store->trouble && redis_bus_settled(&store->bus))
        return true;
    *ret_reason = store->ready ? store->trouble : store->link.reason;
    if (!*ret_reason)
        *ret_reason = store->ready ? "Redis' channels are not heard yet" : "Redis has not been reached yet";
    return false;
}

void store_trouble(struct redis_store *store, const char *sentence, const char *detail)
{
    if (store->trouble == sentence)
        return;
    store->trouble = sentence;
    log_event(LOG_ERROR, "Redis is in trouble", log_text("reason", sentence), log_text("detail", detail));
}

void store_works(struct redis_store *store)
{
    if (store->short_of_replicas)
        ask_replicas(store); /* a write alone does not tell whether there are enough again */
    if (store->trouble && store->trouble != few_replicas)
        end_trouble(store);
}

/* One line per second at most for what concerns single calls or entries; says how many there were in between. */
static bool may_log(const struct redis_store *store, struct quiet *quiet, int64_t *ret_others)
{
    int64_t now_ms = loop_now_ms(store->loop);
    if (quiet->logged_ms && now_ms - quiet->logged_ms < 1000) {
        quiet->others++;
        return false;
    }
    *ret_others = quiet->others;
    *quiet = (struct quiet){.logged_ms = now_ms};
    return true;
}

void store_puzzled(struct redis_store *store, const char *what, struct log_field detail)
{
    int64_t others;
    metric_add(METRIC_REDIS_SKIPPED, 1);
    if (may_log(store, &store->puzzled, &others))
        log_event(LOG_WARN, what, log_int("others", others), detail);
}

static void log_refused(struct redis_store *store, const struct trouble *trouble, const char *detail)
{
    int64_t others;
    if (may_log(store, &store->refused, &others))
        log_event(LOG_ERROR, "Redis refuses a command", log_text("reason", trouble->sentence),
                  log_text("detail", detail), log_int("others", others));
}

void store_complain(struct redis_store *store, const redisReply *error)
{
    const struct trouble *trouble = trouble_of(error->str);
    metric_add(METRIC_REDIS_ERRORS, 1);
    if (!store->ready)
        return; /* the link is being given up already */
    switch (trouble->reach) {
    case TROUBLE_CALL: log_refused(store, trouble, error->str); break;
    case TROUBLE_SERVER: store_trouble(store, trouble->sentence, error->str); break;
    case TROUBLE_LINK: link_fail(&store->link, trouble->sentence, error->str); break;
    }
}

void store_confused(struct redis_store *store)
{
    metric_add(METRIC_REDIS_ERRORS, 1);
    link_fail(&store->link, "Redis gives answers that make no sense", NULL);
}

/* --- up and down ------------------------------------------------------------------------------------------------ */

/* Where the store stands, as the script `load` tells it. */
struct standing {
    struct store_bounds bounds;
    struct cursor last;
    struct cursor trimmed;
    struct span epoch;
    bool known; /* the last entry that we have seen is in the log, or was trimmed */
};

static bool read_standing(const redisReply *reply, struct standing *ret_standing)
{
    ret_standing->epoch = reply_text(reply, 1);
    ret_standing->known = span_is(reply_text(reply, 6), "1");
    return ret_standing->epoch.len == ID_TEXT_LEN && reply_cursor(reply, 0, &ret_standing->last) &&
           reply_cursor(reply, 2, &ret_standing->bounds.head) && reply_cursor(reply, 3, &ret_standing->bounds.oldest) &&
           reply_int(reply, 4, &ret_standing->bounds.version) && ret_standing->bounds.version > 0 &&
           reply_cursor(reply, 5, &ret_standing->trimmed);
}

/* Whether the log that we know goes on without a hole, and no change of a user is undone. */
static bool goes_on(const struct redis_store *store, const struct standing *standing)
{
    return span_is(standing->epoch, store->epoch) && standing->known &&
           cursor_compare(standing->last, store->position) >= 0 &&
           cursor_compare(standing->trimmed, store->position) <= 0 && standing->bounds.version >= store->version;
}

static void begin_at(struct redis_store *store, const struct standing *standing)
{
    (void)snprintf(store->epoch, sizeof(store->epoch), "%.*s", (int)standing->epoch.len, standing->epoch.data);
    store->position = store->read = store->seen = standing->last;
    store->trimmed = (struct cursor){0};
    store->version = store->version_wanted = standing->bounds.version;
}

static void begin(struct redis_store *store, const struct standing *standing)
{
    bool first = !store->started;
    bool whole = !first && goes_on(store, standing);
    if (!whole)
        begin_at(store, standing);
    store->started = store->ready = true;
    store->short_of_replicas = false;
    store->trouble = NULL;
    if (first && store->start_done)
        store->start_done(store->start_ctx, OK, &standing->bounds);
    else if (!whole)
        store->sink->reset(store->sink, &standing->bounds);
    store->start_done = NULL;
    node_join(store);
    if (whole)
        node_catch_up(store);
    tail_read(store);
}

static void got_standing(void *ctx, const redisReply *reply)
{
    struct redis_store *store = ctx;
    struct standing standing;
    if (!reply || store->closing)
        return;
    if (reply_is_error(reply))
        link_fail(&store->link, trouble_of(reply->str)->sentence, reply->str);
    else if (!read_standing(reply, &standing))
        store_confused(store);
    else
        begin(store, &standing);
}

static struct bus *redis_bus_of(struct store *head)
{
    return &redis_of(head)->bus.bus;
}

static void on_link_up(struct link *link)
{
    struct redis_store *store = container_of(link, struct redis_store, link);
    redis_bus_up(&store->bus);
    char epoch[ID_TEXT_SIZE];
    char position[STREAM_ID_SIZE];
    struct span words[] = {SCRIPT_HEAD, format_id(id_random(), epoch), span_of(store->epoch),
                           span_of(stream_id_format(store->position, position))};
    link_script(link, SCRIPT_LOAD, array_len(words), words, got_standing, store);
}

static void on_link_down(struct link *link)
{
    struct redis_store *store = container_of(link, struct redis_store, link);
    store->ready = store->reading = false;
    redis_bus_down(&store->bus);
    store->asked = store->confirmed = store->claims;
    node_down(store);
    line_break(store);
}

static void on_link_event(struct link *link, struct span payload)
{
    node_event(container_of(link, struct redis_store, link), payload);
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static void redis_start(struct store *head, struct store_sink *sink, store_bounds_done *done, void *ctx)
{
    struct redis_store *store = redis_of(head);
    store->sink = sink;
    store->start_done = done;
    store->start_ctx = ctx;
    link_start(&store->link);
}

static void redis_close(struct store *head, void (*closed)(void *ctx), void *ctx)
{
    struct redis_store *store = redis_of(head);
    store->closing = true;
    store->closed = closed;
    store->closed_ctx = ctx;
    loop_post(store->port);
}

static void store_free(struct redis_store *store)
{
    if (store->options.replicas)
        loop_remove_task(store->loop, LOOP_HOOK_HUB, &store->replicate);
    node_fini(store);
    redis_bus_fini(&store->bus);
    link_fini(&store->link);
    line_break(store);
    visits_fini(store);
    while (store->spare) {
        struct redis_call *call = store->spare;
        store->spare = call->next;
        free(call);
    }
    loop_port_close(store->port);
    redis_url_fini(&store->url);
    free(store);
}

static void is_retired(void *ctx, const redisReply *reply unused_arg)
{
    struct redis_store *store = ctx;
    store->retired = true;
    if (!store->freeing)
        loop_post(store->port);
}

/* One step towards the end; from the port, so that nothing of the store is at work. */
static void close_on(struct redis_store *store)
{
    if (store->start_done) {
        store_bounds_done *done = store->start_done;
        store->start_done = NULL;
        done(store->start_ctx, ERR_STORE, NULL);
    }
    if (store->calls)
        return;
    if (store->ready && !store->retiring) {
        store->retiring = true;
        node_retire(store, is_retired);
        return;
    }
    if (store->retiring && !store->retired)
        return;
    void (*closed)(void *ctx) = store->closed;
    void *ctx = store->closed_ctx;
    store->freeing = true;
    store_free(store);
    closed(ctx);
}

static void on_port(void *ctx)
{
    struct redis_store *store = ctx;
    bool closing = store->closing;
    line_move(store);
    if (closing)
        close_on(store);
}

static const struct store_ops redis_ops = {
    .start = redis_start,
    .close = redis_close,
    .user_put = redis_user_put,
    .users_list = redis_users_list,
    .presence_put = redis_presence_put,
    .lease = redis_lease,
    .thread_open = redis_thread_open,
    .thread_get = redis_thread_get,
    .member_add = redis_member_add,
    .member_remove = redis_member_remove,
    .visit_end = redis_visit_end,
    .threads_of = redis_threads_of,
    .append = redis_append,
    .message_find = redis_message_find,
    .history = redis_history,
    .replay = redis_replay,
    .token_put = redis_token_put,
    .token_get = redis_token_get,
    .token_delete = redis_token_delete,
    .bus = redis_bus_of,
    .ready = redis_ready,
};

static void set_defaults(struct store_options *options)
{
    if (!options->deadline_ms)
        options->deadline_ms = 2000;
    if (!options->message_bytes)
        options->message_bytes = 65536;
    if (!options->lease_ms)
        options->lease_ms = 30000;
    if (!options->lease_renewal_ms)
        options->lease_renewal_ms = 10000;
}

static enum err read_url(const char *text, const char *credentials, struct redis_url *ret_url)
{
    const char *why = NULL;
    struct redis_url url;
    enum err err = redis_url_parse(text, &url, &why);
    if (err) {
        log_event(LOG_ERROR, "the URL of the store is not well-formed", log_text("reason", why));
        return err;
    }
    if (credentials)
        err = redis_url_read_credentials(&url, credentials);
    if (err)
        redis_url_fini(&url);
    else
        *ret_url = url;
    return err;
}

bool redis_check(const char *url, const char *credentials)
{
    struct redis_url parsed;
    if (read_url(url, credentials, &parsed) != OK)
        return false;
    redis_url_fini(&parsed);
    return true;
}

static enum err store_make(struct redis_store *store)
{
    static const struct link_ops link_ops = {on_link_up, on_link_down, on_link_event};
    store->port = loop_port_open(store->loop, on_port, store);
    if (!store->port)
        return ERR_NO_MEMORY;
    enum err err = link_init(&store->link, store->loop, &link_ops, &store->url, store->options.deadline_ms,
                             store->options.lease_ms / 2); /* so that it is back before others take its users down */
    if (!err) {
        err = redis_bus_init(&store->bus, store->loop, &store->link, store->options.deadline_ms);
        if (err)
            link_fini(&store->link);
    }
    if (!err) {
        err = node_init(store);
        if (err) {
            redis_bus_fini(&store->bus);
            link_fini(&store->link);
        }
    }
    if (err)
        loop_port_close(store->port);
    return err;
}

enum err redis_store_open(struct loop *loop, const char *url, const struct store_options *options,
                          struct store **ret_store)
{
    struct redis_store *store = calloc(1, sizeof(*store));
    if (!store)
        return ERR_NO_MEMORY;
    *store = (struct redis_store){.store = {&redis_ops}, .loop = loop, .options = *options};
    store->calls_tail = &store->calls;
    store->entries_tail = &store->entries;
    store->replicate.run = replicate;
    store->host = id_random();
    set_defaults(&store->options);
    enum err err = read_url(url, options->credentials, &store->url);
    if (!err)
        err = store_make(store);
    if (err) {
        redis_url_fini(&store->url);
        free(store);
        return err;
    }
    if (options->replicas)
        loop_add_task(loop, LOOP_HOOK_HUB, &store->replicate);
    *ret_store = &store->store;
    return OK;
}

const char *redis_library(void)
{
    static char text[32];
    (void)snprintf(text, sizeof(text), "hiredis %d.%d.%d", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
    return text;
}
