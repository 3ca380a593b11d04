/* SPDX-License-Identifier: MIT */
/* Connections: the capped queue, the flush at the end of a turn, slow readers, and every way to an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/metric.h"
#include "io/conn.h"

enum { PATIENCE_TURNS = 2000, FINISH_MS = 80, QUEUE_BYTES = 1000, GOT_SIZE = 1 << 20 };

struct line {
    struct conn conn;
    struct conns *conns;
    struct loop *loop;
    struct peers *peers;
    int peer;        /* the other end; -1 once closed */
    char input[256]; /* what the conn got */
    size_t input_len;
    char *got; /* what the peer got, up to GOT_SIZE */
    size_t got_len;
    bool got_eof;
    unsigned drained, closed, freed;
    bool send_more; /* when drained */
};

static struct line *line_of(struct conn *conn)
{
    return container_of(conn, struct line, conn);
}

static void on_input(struct conn *conn, struct span bytes)
{
    struct line *line = line_of(conn);
    assert_true(line->input_len + bytes.len < sizeof(line->input));
    memcpy(line->input + line->input_len, bytes.data, bytes.len);
    line->input_len += bytes.len;
}

static enum err send_text(struct line *line, const char *text)
{
    struct blob *blob = blob_copy(span_of(text));
    assert_non_null(blob);
    enum err err = conn_send(&line->conn, blob);
    assert_int_equal(blob->refs, err ? 1 : 2);
    blob_unref(blob);
    return err;
}

static void on_drained(struct conn *conn)
{
    struct line *line = line_of(conn);
    line->drained++;
    if (line->send_more)
        assert_int_equal(send_text(line, "more"), OK);
    line->send_more = false;
}

static void on_closed(struct conn *conn, enum err err)
{
    assert_int_equal(err, ERR_GONE);
    assert_int_equal(conn_send(conn, NULL), ERR_GONE);
    line_of(conn)->closed++;
}

static void on_free(struct conn *conn)
{
    line_of(conn)->freed++;
}

static const struct conn_ops with_input = {on_input, on_drained, on_closed, on_free};
static const struct conn_ops without_input = {NULL, on_drained, on_closed, on_free};

/* Opens a connection beside those of `line`; returns its peer's end. */
static int plug(struct line *line, struct conn *conn, const struct conn_ops *ops)
{
    struct sockaddr address = {.sa_family = AF_UNIX};
    struct peer *lease;
    int ends[2];
    assert_int_equal(peer_admit(line->peers, &address, &lease), OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_equal(conn_open(conn, line->conns, ops, ends[0], lease), OK);
    return ends[1];
}

static struct line *line_open(const struct conn_ops *ops)
{
    struct line *line = calloc(1, sizeof(*line));
    assert_non_null(line);
    line->got = calloc(1, GOT_SIZE);
    assert_non_null(line->got);
    line->loop = loop_new();
    line->conns = conns_new(line->loop, (struct conns_limits){QUEUE_BYTES, FINISH_MS});
    line->peers = peers_new((struct peer_limits){.connections = 100});
    line->peer = plug(line, &line->conn, ops);
    assert_int_equal(conns_count(line->conns), 1);
    return line;
}

static void turn(struct line *line)
{
    loop_turn(line->loop, 1);
    while (line->peer >= 0 && !line->got_eof) {
        ssize_t got = recv(line->peer, line->got + line->got_len, GOT_SIZE - 1 - line->got_len, 0);
        if (got <= 0) {
            line->got_eof = got == 0 || errno != EAGAIN;
            return;
        }
        line->got_len += (size_t)got;
        line->got[line->got_len] = '\0';
    }
}

static bool turn_until(struct line *line, const unsigned *count)
{
    for (int i = 0; i < PATIENCE_TURNS && *count == 0; i++)
        turn(line);
    return *count;
}

static void line_close(struct line *line)
{
    if (!line->freed)
        conn_abort(&line->conn);
    for (int i = 0; i < PATIENCE_TURNS && !line->freed; i++)
        turn(line);
    loop_turn(line->loop, 0);
    assert_int_equal(line->freed, 1);
    assert_true(line->closed <= 1);
    assert_int_equal(peers_count(line->peers), 0);
    assert_int_equal(metric_value(METRIC_QUEUE_BYTES), 0);
    if (line->peer >= 0)
        (void)close(line->peer);
    conns_free(line->conns);
    peers_free(line->peers);
    loop_free(line->loop);
    free(line->got);
    free(line);
}

/* --- sending --- */

static void what_is_queued_in_a_turn_leaves_at_its_end_in_order(void **state)
{
    (void)state;
    struct line *line = line_open(&without_input);
    assert_int_equal(send_text(line, "one "), OK);
    assert_int_equal(send_text(line, "two "), OK);
    assert_int_equal(send_text(line, "three"), OK);
    assert_int_equal(conn_queued(&line->conn), 13);
    assert_int_equal(metric_value(METRIC_QUEUE_BYTES), 13);
    assert_int_equal(line->drained, 0);
    turn(line);
    assert_string_equal(line->got, "one two three");
    assert_int_equal(line->drained, 1);
    assert_int_equal(conn_queued(&line->conn), 0);
    assert_null(line->conn.queue);
    line_close(line);
}

static void hundreds_of_blobs_arrive_whole_and_in_order(void **state)
{
    (void)state;
    struct line *line = line_open(&without_input);
    struct blob *blob = blob_copy(SPAN_LITERAL("x"));
    for (int i = 0; i < 600; i++)
        assert_int_equal(conn_send(&line->conn, blob), OK);
    assert_int_equal(blob->refs, 601);
    assert_true(turn_until(line, &line->drained));
    assert_int_equal(blob->refs, 1);
    turn(line);
    assert_int_equal(line->got_len, 600);
    blob_unref(blob);
    line_close(line);
}

static void what_is_sent_while_drained_leaves_too(void **state)
{
    (void)state;
    struct line *line = line_open(&without_input);
    line->send_more = true;
    assert_int_equal(send_text(line, "first "), OK);
    for (int i = 0; i < 10 && line->drained < 2; i++)
        turn(line);
    assert_string_equal(line->got, "first more");
    assert_int_equal(line->drained, 2);
    line_close(line);
}

/* Fills the system's buffers, so that the rest stays in the queue. */
static size_t block(struct line *line)
{
    size_t len = 900000;
    struct blob *big = blob_new(len);
    assert_non_null(big);
    memset(big->data, 'b', len);
    assert_int_equal(conn_send(&line->conn, big), OK); /* an empty queue takes a blob of any size */
    blob_unref(big);
    loop_turn(line->loop, 0);
    assert_true(conn_queued(&line->conn) > QUEUE_BYTES);
    return len;
}

static void a_slow_reader_is_refused_more_and_catches_up(void **state)
{
    (void)state;
    struct line *line = line_open(&without_input);
    size_t len = block(line);
    assert_int_equal(send_text(line, "refused"), ERR_SLOW_READER);
    assert_int_equal(line->drained, 0);
    assert_true(turn_until(line, &line->drained));
    assert_int_equal(line->got_len, len);
    assert_int_equal(send_text(line, "welcome"), OK);
    turn(line);
    assert_string_equal(line->got + len, "welcome");
    line_close(line);
}

static void the_cap_is_exact(void **state)
{
    (void)state;
    struct line *line = line_open(&without_input);
    struct blob *half = blob_new(QUEUE_BYTES / 2);
    memset(half->data, 'h', half->len);
    assert_int_equal(conn_send(&line->conn, half), OK);
    assert_int_equal(conn_send(&line->conn, half), OK);
    assert_int_equal(send_text(line, "x"), ERR_SLOW_READER);
    turn(line);
    assert_int_equal(line->got_len, QUEUE_BYTES);
    blob_unref(half);
    line_close(line);
}

static void what_is_paced_is_never_refused_and_does_not_count(void **state)
{
    (void)state;
    struct line *line = line_open(&without_input);
    struct blob *whole = blob_new(QUEUE_BYTES);
    memset(whole->data, 'p', whole->len);
    for (int i = 0; i < 3; i++)
        assert_int_equal(conn_send_paced(&line->conn, whole), OK);
    assert_int_equal(conn_send(&line->conn, whole), OK);
    assert_int_equal(send_text(line, "x"), ERR_SLOW_READER);
    while (line->got_len < 4 * QUEUE_BYTES)
        turn(line);
    /* Once the queue has been empty the cap is what it was. */
    assert_int_equal(conn_send(&line->conn, whole), OK);
    assert_int_equal(send_text(line, "x"), ERR_SLOW_READER);
    turn(line);
    blob_unref(whole);
    line_close(line);
}

/* --- receiving --- */

static void bytes_are_given_to_whoever_wants_them(void **state)
{
    (void)state;
    struct line *line = line_open(&with_input);
    assert_int_equal(send(line->peer, "hello", 5, 0), 5);
    turn(line);
    assert_string_equal(line->input, "hello");
    line_close(line);
}

static void bytes_nobody_wants_are_thrown_away_and_the_end_behind_them_is_seen(void **state)
{
    (void)state;
    struct line *line = line_open(&without_input);
    static char junk[200000];
    size_t sent = 0;
    for (int i = 0; i < PATIENCE_TURNS && sent < sizeof(junk); i++) {
        ssize_t now = send(line->peer, junk + sent, sizeof(junk) - sent, 0);
        sent += now > 0 ? (size_t)now : 0;
        turn(line);
    }
    assert_int_equal(sent, sizeof(junk));
    assert_true(conn_is_open(&line->conn));
    assert_int_equal(shutdown(line->peer, SHUT_WR), 0);
    assert_true(turn_until(line, &line->closed));
    assert_true(turn_until(line, &line->freed));
    line_close(line);
}

/* --- ends --- */

static void a_peer_that_closes_is_told_once(void **state)
{
    (void)state;
    struct line *line = line_open(&with_input);
    (void)close(line->peer);
    line->peer = -1;
    assert_true(turn_until(line, &line->freed));
    assert_int_equal(line->closed, 1);
    assert_int_equal(send_text(line, "late"), ERR_GONE);
    line_close(line);
}

static void a_peer_that_closes_with_a_full_queue_is_told_once(void **state)
{
    (void)state;
    struct line *line = line_open(&without_input);
    (void)block(line);
    (void)close(line->peer);
    line->peer = -1;
    assert_true(turn_until(line, &line->freed));
    assert_int_equal(line->closed, 1);
    line_close(line);
}

static void finishing_sends_the_rest_and_the_last_words_and_a_fin(void **state)
{
    (void)state;
    struct line *line = line_open(&without_input);
    size_t len = block(line);
    struct blob *last = blob_copy(SPAN_LITERAL("bye"));
    conn_finish(&line->conn, last);
    assert_int_equal(last->refs, 2);
    assert_false(conn_is_open(&line->conn));
    assert_int_equal(send_text(line, "too late"), ERR_GONE);
    for (int i = 0; i < PATIENCE_TURNS && !line->got_eof; i++)
        turn(line);
    assert_true(line->got_eof);
    assert_int_equal(line->got_len, len + 3);
    assert_string_equal(line->got + len, "bye");
    assert_int_equal(line->freed, 0); /* the peer has not closed yet */
    (void)close(line->peer);
    line->peer = -1;
    assert_true(turn_until(line, &line->freed));
    assert_int_equal(line->closed, 0);
    blob_unref(last);
    line_close(line);
}

static void finishing_an_idle_connection_is_a_fin(void **state)
{
    (void)state;
    struct line *line = line_open(&without_input);
    conn_finish(&line->conn, NULL);
    conn_finish(&line->conn, NULL);
    turn(line);
    turn(line);
    assert_true(line->got_eof);
    (void)close(line->peer);
    line->peer = -1;
    assert_true(turn_until(line, &line->freed));
    line_close(line);
}

static void a_peer_that_does_not_read_is_cut_off_when_the_time_to_finish_is_over(void **state)
{
    (void)state;
    struct line *line = line_open(&without_input);
    (void)block(line);
    int64_t begin_ms = loop_now_ms(line->loop);
    conn_finish(&line->conn, NULL);
    for (int i = 0; i < PATIENCE_TURNS && !line->freed; i++)
        loop_turn(line->loop, 5);
    assert_int_equal(line->freed, 1);
    assert_true(loop_now_ms(line->loop) >= begin_ms + FINISH_MS);
    assert_int_equal(line->closed, 0);
    line_close(line);
}

static void a_peer_that_never_closes_is_cut_off_too(void **state)
{
    (void)state;
    struct line *line = line_open(&without_input);
    conn_finish(&line->conn, NULL);
    assert_true(turn_until(line, &line->freed));
    line_close(line);
}

static void aborting_throws_the_queue_away(void **state)
{
    (void)state;
    struct line *line = line_open(&without_input);
    assert_int_equal(send_text(line, "never sent"), OK);
    conn_abort(&line->conn);
    conn_abort(&line->conn);
    assert_int_equal(line->freed, 0); /* not from inside the call */
    assert_int_equal(conn_queued(&line->conn), 0);
    assert_true(turn_until(line, &line->freed));
    turn(line);
    assert_true(line->got_eof);
    assert_int_equal(line->got_len, 0);
    assert_int_equal(line->closed, 0);
    line_close(line);
}

static void abort_on_input(struct conn *conn, struct span bytes)
{
    on_input(conn, bytes);
    conn_abort(conn);
}

static void a_connection_may_be_aborted_in_its_own_callback(void **state)
{
    (void)state;
    static const struct conn_ops ops = {abort_on_input, on_drained, on_closed, on_free};
    struct line *line = line_open(&ops);
    assert_int_equal(send(line->peer, "x", 1, 0), 1);
    assert_true(turn_until(line, &line->freed));
    assert_int_equal(line->closed, 0);
    line_close(line);
}

static void many_connections_end_in_one_turn(void **state)
{
    (void)state;
    enum { COUNT = 50 };
    struct line *line = line_open(&without_input);
    static struct line others[COUNT];
    for (int i = 0; i < COUNT; i++) {
        others[i] = (struct line){0};
        others[i].peer = plug(line, &others[i].conn, &without_input);
        assert_int_equal(send_text(&others[i], "x"), OK);
    }
    for (int i = 0; i < COUNT; i++) {
        if (i % 3 == 0)
            conn_abort(&others[i].conn);
        else if (i % 3 == 1)
            conn_finish(&others[i].conn, NULL);
        (void)close(others[i].peer);
    }
    for (int i = 0; i < COUNT; i++)
        assert_true(turn_until(line, &others[i].freed));
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(others[i].closed, i % 3 == 2);
    assert_int_equal(conns_count(line->conns), 1);
    line_close(line);
}

static void a_cut_ends_all_at_once_whatever_they_are_at(void **state)
{
    (void)state;
    enum { CALM, DIRTY, FINISHING, LINGERING, OVER, COUNT };
    struct line *line = line_open(&without_input);
    static struct line others[COUNT];
    for (int i = 0; i < COUNT; i++) {
        others[i] = (struct line){0};
        others[i].peer = plug(line, &others[i].conn, &without_input);
    }
    conn_finish(&others[LINGERING].conn, NULL);
    turn(line);
    conn_finish(&others[FINISHING].conn, NULL);
    conn_abort(&others[OVER].conn);
    assert_int_equal(send_text(&others[DIRTY], "never sent"), OK);
    conns_cut(line->conns);
    assert_int_equal(conns_count(line->conns), 0);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(others[i].freed, 1);
        assert_int_equal(others[i].closed, i == CALM || i == DIRTY);
        (void)close(others[i].peer);
    }
    assert_int_equal(line->closed, 1);
    line_close(line);
}

/* The figure that 1 KB for an idle stream rests on. */
static void an_idle_connection_is_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct conn) <= 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_queued_in_a_turn_leaves_at_its_end_in_order),
        cmocka_unit_test(hundreds_of_blobs_arrive_whole_and_in_order),
        cmocka_unit_test(what_is_sent_while_drained_leaves_too),
        cmocka_unit_test(a_slow_reader_is_refused_more_and_catches_up),
        cmocka_unit_test(the_cap_is_exact),
        cmocka_unit_test(what_is_paced_is_never_refused_and_does_not_count),
        cmocka_unit_test(bytes_are_given_to_whoever_wants_them),
        cmocka_unit_test(bytes_nobody_wants_are_thrown_away_and_the_end_behind_them_is_seen),
        cmocka_unit_test(a_peer_that_closes_is_told_once),
        cmocka_unit_test(a_peer_that_closes_with_a_full_queue_is_told_once),
        cmocka_unit_test(finishing_sends_the_rest_and_the_last_words_and_a_fin),
        cmocka_unit_test(finishing_an_idle_connection_is_a_fin),
        cmocka_unit_test(a_peer_that_does_not_read_is_cut_off_when_the_time_to_finish_is_over),
        cmocka_unit_test(a_peer_that_never_closes_is_cut_off_too),
        cmocka_unit_test(aborting_throws_the_queue_away),
        cmocka_unit_test(a_connection_may_be_aborted_in_its_own_callback),
        cmocka_unit_test(many_connections_end_in_one_turn),
        cmocka_unit_test(a_cut_ends_all_at_once_whatever_they_are_at),
        cmocka_unit_test(an_idle_connection_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
