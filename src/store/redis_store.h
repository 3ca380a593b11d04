/* SPDX-License-Identifier: MIT */
/*
 * The Redis store's own state, shared by the files redis_*.c.
 *
 * The line (redis_line.c) puts two things in order: answers to calls, and entries of the log. A script says which entry
 * was the log's last when it ran, so an answer has its place between two entries: it is given when all entries before
 * it have been announced, and before any after it. Thus what a call read and what is announced fit together without a
 * seam, as if the store were in this process.
 *
 *     calls:    C1@5   C2@7   C3@7  C4 (not answered yet)           entries:  6  7  8
 *     order:    C1  6  7  C2  C3  …  8 after C4's answer, if C4 was under way when 8 came in, for it may have run before 8
 */
#ifndef STORE_REDIS_STORE_H
#define STORE_REDIS_STORE_H

#include "base/log.h"
#include "io/loop.h"
#include "store/redis.h"
#include "store/redis_bus.h"
#include "store/redis_link.h"
#include "store/redis_reply.h"

struct redis_store;
struct redis_call;
struct visits;

/* --- calls (redis_call.c) --- */

union call_done {
    store_done *plain;
    store_user_done *user;
    store_users_done *users;
    store_thread_done *thread;
    store_threads_done *threads;
    store_append_done *append;
    store_page_done *page;
    store_message_done *message;
    store_token_done *token;
};

/* A kind of call. */
struct call_kind {
    /* Reads the result from the array that the script returned; false: it has another form, or no memory. */
    bool (*read)(struct redis_call *call, const redisReply *reply);

    /* Calls `done`. */
    void (*deliver)(struct redis_call *call);
};

extern const struct call_kind call_plain, call_user, call_users, call_thread, call_threads, call_visit, call_visit_end,
    call_append, call_page, call_place, call_token;

struct redis_call {
    struct redis_call *next;
    struct redis_store *store;
    const struct call_kind *kind;
    union call_done done;
    void *ctx;
    uint64_t number; /* counts calls */
    int64_t made_us;
    struct cursor position; /* of the log, as its script saw it */
    enum err err;
    bool answered;
    bool held;               /* waits for replicas */
    bool ran;                /* its script has run, or may have: only the answer was lost */
    bool stays;              /* the end of a visit only */
    struct visits *visits;   /* of a visit and its end; pinned */
    uint64_t claim;          /* of an append */
    struct message *message; /* to be appended; owned */
    struct arena arena;
    union {
        struct user_record user;
        struct thread_record thread;
        struct append_result append;
        struct message_page page;
        struct message_place place;
        struct token_record token;
        struct {
            void *items; /* user_record or thread_record */
            size_t count;
        } list;
    } result;
};

/* Makes a call and sends it, or lets it be refused in its turn. `words` begin with SCRIPT_HEAD. */
struct redis_call *call_script(struct redis_store *store, const struct call_kind *kind, enum script script,
                               size_t count, struct span *words, union call_done done, void *ctx);

/* The same with a command of Redis. */
void call_command(struct redis_store *store, const struct call_kind *kind, size_t count, const struct span *words,
                  union call_done done, void *ctx);

/* Makes a call that fails in its turn. */
void call_refused(struct redis_store *store, const struct call_kind *kind, enum err err, union call_done done,
                  void *ctx);

/* Redis took it, and this is how many replicas have it by now. */
void call_confirmed(struct redis_call *call, bool enough);
void call_deliver(struct redis_call *call);

/* Gives what it holds back, and the call itself. */
void call_drop(struct redis_call *call);

/* --- the line (redis_line.c) --- */

struct entry {
    struct entry *next;
    struct redis_store *store;
    struct log_entry log;
    uint64_t after; /* calls up to this number were made before it came in */
    uint64_t claim; /* told once this is confirmed; 0: at once */
    enum { ENTRY_READY, ENTRY_FETCHING, ENTRY_SKIPPED } state;
    struct arena arena;
    struct thread_record record; /* of a change, once fetched */
};

void line_add_call(struct redis_store *store, struct redis_call *call);
void line_add_entry(struct redis_store *store, struct entry *take_entry);

/* A call was answered, or an entry is ready: gives out what can be. Not from inside an op. */
void line_move(struct redis_store *store);

/* The link is down: answers that are there need not wait for the tail, and the tail will be read again. */
void line_break(struct redis_store *store);

/* --- the tail (redis_tail.c) --- */

/* Reads on, unless that is being done, or much is waiting already. */
void tail_read(struct redis_store *store);

/* --- visits (redis_visits.c) --- */

/* This node's visits of a user to a thread. Null: no memory; cannot be where there are any. */
struct visits *visits_get(struct redis_store *store, struct id thread, struct span user) must_check;

/* The call for one more was made; with its answer comes visits_began. */
void visits_begin(struct visits *visits, struct redis_call *call);
void visits_began(struct redis_call *call);

/* One less, if there is one. Returns how many are left, for a call to tell, whose `visits` these become; with its answer
 * comes visits_ended. */
int64_t visits_end(struct visits *visits);
void visits_ended(struct redis_call *call);

/* The log says that a user was removed. */
void visits_removed(struct redis_store *store, struct id thread, struct span user);

/* Tells Redis what it may not know, or everything. While the link is up. */
void visits_tell(struct redis_store *store);
void visits_tell_all(struct redis_store *store);

void visits_fini(struct redis_store *store);

/* --- the node and its users (redis_node.c) --- */

enum err node_init(struct redis_store *store) must_check;
void node_fini(struct redis_store *store);

/* The link is up: joins under a new name, tells all visits and leases anew, and gives the old name up. */
void node_join(struct redis_store *store);
void node_down(struct redis_store *store);
void node_lease(struct redis_store *store, struct span user, enum lease lease);
void node_event(struct redis_store *store, struct span payload);

/* Reads all changes of users after the last one known. */
void node_catch_up(struct redis_store *store);

/* Lets the leases run out after the grace, then calls `done`. */
void node_retire(struct redis_store *store, wire_done *done);

/* What every answer of the node's own scripts has to be looked at for. True: it is an array to be read. */
bool node_is_answer(struct redis_store *store, const redisReply *reply);

enum { FORMER_MAX = 8 };

/* --- the whole --- */

/* What is logged not each time. */
struct quiet {
    int64_t logged_ms;
    int64_t others; /* since then */
};

struct redis_store {
    struct store store;
    struct loop *loop;
    struct loop_port *port;
    struct store_options options;
    struct redis_url url;
    struct link link;
    struct redis_bus bus;
    struct store_sink *sink;
    struct loop_task replicate;
    const char *trouble; /* the server's state, static; null while it is fine */

    bool started; /* has been loaded once */
    bool ready;   /* the link is up, and it is known where the log stands */
    store_bounds_done *start_done;
    void *start_ctx;
    void (*closed)(void *ctx);
    void *closed_ctx;
    bool closing, retiring, retired, freeing;
    struct quiet puzzled, refused;
    char epoch[ID_TEXT_SIZE];

    /* the line */
    struct redis_call *calls, **calls_tail;
    struct redis_call *unanswered; /* the first such call */
    struct redis_call *spare;      /* kept for when memory is short, linked by next */
    unsigned spare_count;
    size_t waiting; /* calls in the line */
    uint64_t call_count;
    uint64_t claims;        /* counts what replicas must have before it is told: appends, and reads of the log */
    bool short_of_replicas; /* by their last word */
    bool confirming;        /* replicas are being asked */
    uint64_t asked;         /* the last claim that replicas were asked about */
    uint64_t confirmed;     /* the last one that enough of them have */
    struct entry *entries, **entries_tail;
    size_t entry_count;
    struct cursor position; /* of the last entry announced */
    bool moving;

    /* the tail */
    struct cursor read;    /* the last entry that came in */
    struct cursor horizon; /* nothing up to here is still to come once the present read ends without entries */
    struct cursor seen;    /* the furthest position that an answer told */
    struct cursor trimmed; /* how far the log had been trimmed at the last pulse */
    struct entry *batch;   /* the first entry of the reply that is being read */
    bool reading;

    /* the node */
    struct id host; /* begins all names of our node */
    struct id node;
    struct id former[FORMER_MAX]; /* names that it had before, as far as they may still be known in Redis */
    size_t former_count;
    struct timer pulse_timer;
    int64_t renewed_ms;
    int64_t version;        /* of the last change of a user that was told */
    int64_t version_wanted; /* the highest one heard of */
    bool joined;
    bool rejoining;
    bool catching_up;
    bool retaining;
    struct visits *visits; /* a table */
    bool visits_in_doubt;  /* some of them */
};

/* The server is in a state in which calls will fail. `sentence` is static. */
void store_trouble(struct redis_store *store, const char *sentence, const char *detail);

/* What an error reply means for the store: logged, seen by `ready`, and where need be the link is given up. */
void store_complain(struct redis_store *store, const redisReply *error);

/* A reply that no Redis server with our scripts gives: the link is given up. */
void store_confused(struct redis_store *store);

/* Something that another program has written: counted, and logged, but not each time. `what` is static. */
void store_puzzled(struct redis_store *store, const char *what, struct log_field detail);

/* The server takes writes. */
void store_works(struct redis_store *store);

#endif
