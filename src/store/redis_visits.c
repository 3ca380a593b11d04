/* SPDX-License-Identifier: MIT */
/*
 * Visits: how many this node has of each user in each room, as those know it who call.
 *
 *     thread_open ─> coming ── OK ──> count ── visit_end ──> Redis is told how many are left
 *                       └─ an error: nothing came of it, or it is in doubt
 *
 * Redis keeps the same number for each process (members.lua), and adds them up. It has another one after a call that it
 * never got, after an answer that was lost, and when others took us for dead. So an end takes nothing off but tells the
 * number, which can be told again: what is in doubt with the next pulse, and everything whenever the node joins.
 *
 * Who is removed has no visits any more. The log says so in its place among the answers (visits_removed).
 */
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "store/redis_store.h"

enum { BATCH = 100, WORDS = 4, KEY_MAX = sizeof(struct id) + USER_BYTES_MAX };

struct visits {
    struct redis_store *store;
    int64_t count;   /* of visits that are not over */
    int64_t coming;  /* their calls are under way */
    bool counted_on; /* those that are coming are in a number that was told */
    bool in_doubt;   /* Redis may have another number */
    bool told;       /* the number is on its way, and nothing has made it doubtful again since */
    bool leaves;     /* who is not to stay without any: so said the last end */
    unsigned pins;   /* by calls and scripts under way */
    UT_hash_handle hh;
    size_t user_len;
    char key[]; /* the thread's id, and the user's */
};

/* --- the table -------------------------------------------------------------------------------------------------- */

static struct span key_of(struct id thread, struct span user, char key[KEY_MAX])
{
    memcpy(key, &thread, sizeof(thread));
    memcpy(key + sizeof(thread), user.data, user.len);
    return (struct span){key, sizeof(thread) + user.len};
}

static struct visits *find(const struct redis_store *store, struct span key)
{
    struct visits *visits = NULL;
    HASH_FIND(hh, store->visits, key.data, key.len, visits);
    return visits;
}

struct visits *visits_get(struct redis_store *store, struct id thread, struct span user)
{
    char bytes[KEY_MAX];
    struct span key = key_of(thread, user, bytes);
    struct visits *visits = find(store, key);
    if (visits)
        return visits;
    visits = calloc(1, sizeof(*visits) + key.len);
    if (!visits)
        return NULL;
    visits->store = store;
    visits->user_len = user.len;
    memcpy(visits->key, key.data, key.len);
    HASH_ADD_KEYPTR(hh, store->visits, visits->key, key.len, visits);
    if (!table_added(visits)) {
        free(visits);
        return NULL;
    }
    return visits;
}

static void drop(struct visits *visits)
{
    HASH_DEL(visits->store->visits, visits);
    free(visits);
}

/* One that says nothing is not kept. */
static void unpin(struct visits *visits)
{
    visits->pins--;
    if (!visits->pins && !visits->count && !visits->in_doubt)
        drop(visits);
}

static void doubt(struct visits *visits)
{
    visits->in_doubt = true;
    visits->told = false;
    visits->store->visits_in_doubt = true;
}

void visits_removed(struct redis_store *store, struct id thread, struct span user)
{
    char bytes[KEY_MAX];
    struct visits *visits = user.len <= USER_BYTES_MAX ? find(store, key_of(thread, user, bytes)) : NULL;
    if (!visits || !visits->count)
        return;
    visits->count = 0;
    visits->leaves = false;
    doubt(visits); /* a number that was told before this was known may have come behind it */
}

void visits_fini(struct redis_store *store)
{
    while (store->visits)
        drop(store->visits);
}

/* --- calls ------------------------------------------------------------------------------------------------------ */

/* What Redis is told: how many there are once all that was sent is done. */
static int64_t tell(struct visits *visits)
{
    visits->counted_on = visits->counted_on || visits->coming;
    return visits->count + visits->coming;
}

void visits_begin(struct visits *visits, struct redis_call *call)
{
    call->visits = visits;
    visits->coming++;
    visits->pins++;
}

void visits_began(struct redis_call *call)
{
    struct visits *visits = call->visits;
    visits->coming--;
    if (!call->err)
        visits->count++;
    else if (call->ran || visits->counted_on)
        doubt(visits);
    visits->counted_on = visits->counted_on && visits->coming;
    unpin(visits);
}

int64_t visits_end(struct visits *visits)
{
    if (visits->count)
        visits->count--;
    visits->pins++;
    return tell(visits);
}

void visits_ended(struct redis_call *call)
{
    struct visits *visits = call->visits;
    visits->leaves = !call->stays;
    if (call->err && call->err != ERR_NO_THREAD)
        doubt(visits);
    unpin(visits);
}

/* --- telling ---------------------------------------------------------------------------------------------------- */

/* Numbers that are told in one script. */
struct telling {
    struct redis_store *store;
    size_t count;
    struct visits *visits[BATCH]; /* pinned */
};

static void were_told(void *ctx, const redisReply *reply)
{
    struct telling *telling = ctx;
    bool taken = node_is_answer(telling->store, reply);
    for (size_t i = 0; i < telling->count; i++) {
        struct visits *visits = telling->visits[i];
        if (!taken)
            doubt(visits);
        else if (visits->told)
            visits->in_doubt = visits->told = false;
        unpin(visits);
    }
    free(telling);
}

/* The words about one of them; those of numbers and ids are good as long as `texts`. */
struct telling_texts {
    char thread[ID_TEXT_SIZE];
    char number[INT_TEXT_SIZE];
};

static void say(struct visits *visits, struct telling_texts *texts, struct span words[WORDS])
{
    struct id thread;
    memcpy(&thread, visits->key, sizeof(thread));
    words[0] = span_of(id_format(thread, texts->thread));
    words[1] = (struct span){visits->key + sizeof(thread), visits->user_len};
    words[2] = int_format(tell(visits), texts->number);
    words[3] = visits->leaves ? SPAN_LITERAL("0") : SPAN_LITERAL("1");
}

static void send(struct telling *take_telling)
{
    struct redis_store *store = take_telling->store;
    char node[ID_TEXT_SIZE];
    struct telling_texts texts[BATCH];
    struct span words[SCRIPT_HEAD_COUNT + 1 + WORDS * BATCH] = {SCRIPT_HEAD, span_of(id_format(store->node, node))};
    size_t count = SCRIPT_HEAD_COUNT + 1;
    for (size_t i = 0; i < take_telling->count; i++, count += WORDS)
        say(take_telling->visits[i], &texts[i], words + count);
    link_script(&store->link, SCRIPT_VISITS, count, words, were_told, take_telling);
}

static struct telling *telling_new(struct redis_store *store)
{
    struct telling *telling = malloc(sizeof(*telling));
    if (telling) {
        telling->store = store;
        telling->count = 0;
    } else {
        store->visits_in_doubt = true; /* it is tried again with the next pulse */
    }
    return telling;
}

/* To send may be what finds the link lost; nothing is dropped by that, for all that is told is in doubt. */
void visits_tell(struct redis_store *store)
{
    struct telling *telling = NULL;
    struct visits *visits, *next;
    if (!store->visits_in_doubt)
        return;
    store->visits_in_doubt = false;
    HASH_ITER (hh, store->visits, visits, next) {
        if (!visits->in_doubt || visits->told)
            continue;
        if (!telling)
            telling = telling_new(store);
        if (!telling)
            return;
        visits->told = true;
        visits->pins++;
        telling->visits[telling->count++] = visits;
        if (telling->count == BATCH) {
            send(telling);
            telling = NULL;
        }
    }
    if (telling)
        send(telling);
}

void visits_tell_all(struct redis_store *store)
{
    struct visits *visits, *next;
    HASH_ITER (hh, store->visits, visits, next)
        doubt(visits);
    visits_tell(store);
}
