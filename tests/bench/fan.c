/* SPDX-License-Identifier: MIT */
/*
 * One conversation under load.
 *
 * Readers are watched edge-triggered and read with a large buffer: a read that does not fill it has drained the
 * socket, and the next bytes are a new edge. Senders are watched level-triggered; there are more of them than
 * messages may be in flight, so a late answer never holds up the next message.
 *
 * Order is checked without a list of messages per reader. Every reader counts its position; the first reader that
 * gets to a position decides which message belongs there, the others must find the same one. Positions complete in
 * order, numbers need not (concurrent senders may be committed in any order), so a number's slot is free again only
 * when its message has been delivered, and sending waits for that.
 */
#include "fan.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http.h"
#include "support.h"
#include "wire.h"

enum {
    SLOTS = 1024, /* a power of two, far above the largest window */
    FAN_EVENTS = 1024,
    READ_BYTES = 1 << 18,
    SENDER_ANSWER_BYTES = 2048,
    NUMBER_DIGITS = 8,
    STALL_S = 15,
    INSIST_GAP_MS = 2,
};

struct reader {
    int fd;
    unsigned digits_left; /* of a number that has begun */
    uint32_t number;
    uint64_t position; /* messages it has had */
};

struct sender {
    int fd;
    size_t request_len;
    size_t number_at; /* offset of the number in the request */
    size_t len;       /* of the answer so far */
    char request[FAN_REQUEST_BYTES];
    char answer[SENDER_ANSWER_BYTES + 1];
};

enum number_state { NUMBER_FREE, NUMBER_SENT, NUMBER_PLACED };

struct number_slot { /* of message number n at n % SLOTS */
    enum number_state state;
    uint32_t number;
    uint64_t sent_ns;
};

struct position_slot { /* of position p at p % SLOTS */
    uint32_t number;
    unsigned readers_left;
};

struct fan {
    int epoll_fd;
    unsigned reader_count;
    struct reader *readers;
    struct sender senders[FAN_SENDERS];
    struct sender *idle[FAN_SENDERS];
    unsigned sender_count;
    unsigned idle_count;
    bool framed; /* in WebSocket frames; the one sender gets no answers and is always idle */
    uint32_t next_number;
    uint64_t placed;    /* positions that have their message */
    uint64_t completed; /* positions that every reader has */
    uint64_t last_completed_ns;
    uint64_t answered;
    bool insists; /* 503 is an answer like another */
    unsigned refusals;
    struct samples *latencies;
    struct number_slot numbers[SLOTS];
    struct position_slot positions[SLOTS];
    char *capture; /* what the first reader gets, while fan_line_bytes runs */
    size_t capture_len;
    char buffer[READ_BYTES];
};

static void text_format(uint32_t number, char ret[FAN_TEXT_BYTES + 1])
{
    static const char filler[] = "abcdefghijklmnopqrstuvwxyz0123456789";

    snprintf(ret, FAN_TEXT_BYTES, "~%08x", number);
    for (size_t i = 1 + NUMBER_DIGITS; i < FAN_TEXT_BYTES; i++)
        ret[i] = filler[i % (sizeof filler - 1)];
    ret[FAN_TEXT_BYTES] = '\0';
}

static void number_write(char *at, uint32_t number)
{
    for (unsigned i = 0; i < NUMBER_DIGITS; i++)
        at[i] = "0123456789abcdef"[number >> (28 - 4 * i) & 15];
}

/* The value of a hexadecimal digit, 16 and above for anything else. */
static uint32_t digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0');
    return c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10 : 16;
}

static void position_complete(struct fan *fan, const struct position_slot *position)
{
    struct number_slot *slot = &fan->numbers[position->number % SLOTS];

    fan->last_completed_ns = now_ns();
    fan->completed++;
    slot->state = NUMBER_FREE;
    if (fan->latencies != NULL)
        samples_add(fan->latencies, (double)(fan->last_completed_ns - slot->sent_ns) / 1e3);
}

/* The first reader at a position decides which message is there. */
static void position_place(struct fan *fan, struct position_slot *position, uint32_t number)
{
    struct number_slot *slot = &fan->numbers[number % SLOTS];

    if (slot->state != NUMBER_SENT || slot->number != number)
        fail("message %u was delivered twice, or was never sent", number);
    slot->state = NUMBER_PLACED;
    *position = (struct position_slot){.number = number, .readers_left = fan->reader_count};
    fan->placed++;
}

static void delivery_take(struct fan *fan, struct reader *reader)
{
    struct position_slot *position = &fan->positions[reader->position % SLOTS];

    if (reader->position == fan->placed)
        position_place(fan, position, reader->number);
    if (position->number != reader->number)
        fail("reader %u got message %u where others got %u", (unsigned)(reader - fan->readers), reader->number,
             position->number);
    reader->position++;
    if (--position->readers_left == 0)
        position_complete(fan, position);
}

/* In WebSocket frames `~` is also the byte that says that a length of two bytes follows: the first is no digit then. */
static const char *digits_take(struct fan *fan, struct reader *reader, const char *p, const char *end)
{
    while (p < end && reader->digits_left > 0) {
        uint32_t value = digit_value(*p++);

        if (value > 15 && fan->framed && reader->digits_left == NUMBER_DIGITS) {
            reader->digits_left = 0;
            return p;
        }
        if (value > 15)
            fail("a message number is torn or mangled");
        reader->number = reader->number << 4 | value;
        if (--reader->digits_left == 0)
            delivery_take(fan, reader);
    }
    return p;
}

static void reader_scan(struct fan *fan, struct reader *reader, const char *p, size_t n)
{
    const char *end = p + n;

    for (;;) {
        p = digits_take(fan, reader, p, end);
        p = p < end ? memchr(p, '~', (size_t)(end - p)) : NULL;
        if (p == NULL)
            return;
        p++;
        reader->number = 0;
        reader->digits_left = NUMBER_DIGITS;
    }
}

static void capture_add(struct fan *fan, const char *data, size_t n)
{
    fan->capture = realloc_items(fan->capture, fan->capture_len + n + 1, 1);
    memcpy(fan->capture + fan->capture_len, data, n);
    fan->capture_len += n;
    fan->capture[fan->capture_len] = '\0';
}

/* With `to_the_end` not only what is there now: the peer has closed, and there is no further edge. */
static void reader_readable(struct fan *fan, struct reader *reader, bool to_the_end)
{
    for (;;) {
        ssize_t got = wire_read(reader->fd, fan->buffer, READ_BYTES);

        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0)
            fail("the stream of reader %u ended after %llu messages", (unsigned)(reader - fan->readers),
                 (unsigned long long)reader->position);
        if (fan->capture != NULL && reader == fan->readers)
            capture_add(fan, fan->buffer, (size_t)got);
        reader_scan(fan, reader, fan->buffer, (size_t)got);
        if (got < READ_BYTES && !to_the_end)
            return;
    }
}

static void sender_readable(struct fan *fan, struct sender *sender)
{
    struct answer answer;
    ssize_t got = recv(sender->fd, sender->answer + sender->len, SENDER_ANSWER_BYTES - sender->len, 0);

    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        fail("the server closed the connection of a sender");
    if (fan->framed)
        return;
    sender->len += (size_t)got;
    sender->answer[sender->len] = '\0';
    if (!answer_parse(sender->answer, sender->len, &answer) || sender->len < answer.head_bytes + answer.body_bytes)
        return;
    if ((answer.status != 200 && !(answer.status == 503 && fan->insists)) || answer.closes)
        fail("a message was answered with: %s", sender->answer);
    sender->len = 0;
    if (answer.status == 200)
        fan->answered++;
    else
        fan->refusals++;
    fan->idle[fan->idle_count++] = sender;
}

static void fan_watch(struct fan *fan, int fd, uint32_t events, void *what)
{
    struct epoll_event event = {.events = events, .data.ptr = what};

    if (epoll_ctl(fan->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        fail("epoll_ctl: %s", strerror(errno));
}

static bool is_sender(const struct fan *fan, const void *what)
{
    return (const char *)what >= (const char *)fan->senders &&
           (const char *)what < (const char *)(fan->senders + FAN_SENDERS);
}

static void fan_wait(struct fan *fan, int timeout_ms)
{
    struct epoll_event events[FAN_EVENTS];
    int n = epoll_wait(fan->epoll_fd, events, FAN_EVENTS, timeout_ms);

    for (int i = 0; i < n; i++) {
        if (is_sender(fan, events[i].data.ptr))
            sender_readable(fan, events[i].data.ptr);
        else
            reader_readable(fan, events[i].data.ptr, events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
    }
}

/* Sends the next message; false when there is no connection or no number for it yet. */
static bool message_send(struct fan *fan)
{
    struct number_slot *slot = &fan->numbers[fan->next_number % SLOTS];
    struct sender *sender;

    if (fan->idle_count == 0 || slot->state != NUMBER_FREE)
        return false;
    sender = fan->idle[fan->idle_count - 1];
    if (!fan->framed)
        fan->idle_count--;
    number_write(sender->request + sender->number_at, fan->next_number);
    *slot = (struct number_slot){.state = NUMBER_SENT, .number = fan->next_number++, .sent_ns = now_ns()};
    send_all(sender->fd, sender->request, sender->request_len);
    return true;
}

/* How long to wait before the next message may go, in milliseconds; 0 for at once. */
static int gap_left_ms(const struct fan *fan, const struct fan_plan *plan)
{
    uint64_t due = fan->last_completed_ns + plan->gap_ms * NS_PER_MS;
    uint64_t now = now_ns();

    return now >= due ? 0 : (int)((due - now) / NS_PER_MS) + 1;
}

static void stall_check(const struct fan *fan, uint64_t moved_ns)
{
    if (now_ns() - moved_ns > STALL_S * NS_PER_S)
        fail("nothing moved for %d s: %u messages sent, %llu answered, %llu with every reader", STALL_S,
             fan->next_number, (unsigned long long)fan->answered, (unsigned long long)fan->completed);
}

/* Sends what the window and the gap allow; returns how long to wait for events, in milliseconds. */
static int fan_fill(struct fan *fan, const struct fan_plan *plan)
{
    int wait_ms = 0;

    if (plan->gap_ms > 0 && fan->completed == fan->next_number)
        wait_ms = gap_left_ms(fan, plan);
    while (wait_ms == 0 && fan->next_number - fan->completed < plan->window && message_send(fan))
        continue;
    return wait_ms > 0 ? wait_ms : 1000;
}

static bool fan_is_quiet(const struct fan *fan)
{
    return fan->completed == fan->next_number && fan->idle_count == fan->sender_count;
}

struct fan_result fan_run(struct fan *fan, const struct fan_plan *plan, struct samples *latencies)
{
    uint64_t start_ns = now_ns();
    uint64_t end_ns = start_ns + plan->run_ms * NS_PER_MS;
    uint64_t before = fan->completed;
    struct fan_result result;

    fan->latencies = latencies;
    fan->last_completed_ns = start_ns;
    while (now_ns() < end_ns || !fan_is_quiet(fan)) {
        fan_wait(fan, now_ns() < end_ns ? fan_fill(fan, plan) : 1000);
        stall_check(fan, fan->last_completed_ns);
    }
    fan->latencies = NULL;
    result.messages = fan->completed - before;
    result.deliveries = result.messages * fan->reader_count;
    result.seconds = (double)(fan->last_completed_ns - start_ns) / 1e9;
    return result;
}

/* One attempt, with its answer awaited. */
static void insist_once(struct fan *fan, const char *request, size_t n, uint64_t start_ns)
{
    struct sender *sender = fan->idle[--fan->idle_count];

    send_all(sender->fd, request, n);
    while (fan->idle_count < fan->sender_count) {
        fan_wait(fan, 1000);
        stall_check(fan, start_ns);
    }
}

struct fan_insisted fan_insist(struct fan *fan, fan_request_fn *request, void *self)
{
    struct fan_insisted insisted = {0};
    uint64_t start_ns = now_ns();
    uint64_t answered = fan->answered;
    uint32_t number = fan->next_number++;
    char text[FAN_TEXT_BYTES + 1];
    char attempt[FAN_REQUEST_BYTES];
    size_t n;

    text_format(number, text);
    n = request(self, text, attempt);
    fan->numbers[number % SLOTS] = (struct number_slot){.state = NUMBER_SENT, .number = number, .sent_ns = start_ns};
    fan->insists = true;
    fan->refusals = 0;
    insist_once(fan, attempt, n, start_ns);
    while (fan->answered == answered) {
        fan_wait(fan, INSIST_GAP_MS);
        insist_once(fan, attempt, n, start_ns);
    }
    insisted.acknowledged_ns = now_ns();
    while (!fan_is_quiet(fan)) {
        fan_wait(fan, 1000);
        stall_check(fan, start_ns);
    }
    fan->insists = false;
    insisted.delivered_ns = fan->last_completed_ns;
    insisted.refusals = fan->refusals;
    return insisted;
}

/* Where the message's number begins in what was captured when `end` has come behind it, too; else NULL. */
static const char *captured_number(const struct fan *fan, const char *end)
{
    const char *number = memchr(fan->capture, '~', fan->capture_len);
    const char *capture_end = fan->capture + fan->capture_len;

    while (number != NULL && digit_value(number[1]) > 15)
        number = memchr(number + 1, '~', (size_t)(capture_end - number - 1));
    return number != NULL && strstr(number, end) != NULL ? number : NULL;
}

char *fan_capture(struct fan *fan, const char *end, size_t *ret_number)
{
    uint64_t start_ns = now_ns();
    const char *number = NULL;
    char *capture;

    fan->capture_len = 0;
    fan->capture = alloc_items(1, 1);
    message_send(fan);
    while (!fan_is_quiet(fan) || (number = captured_number(fan, end)) == NULL) {
        fan_wait(fan, 1000);
        stall_check(fan, start_ns);
    }
    *ret_number = (size_t)(number - fan->capture);
    capture = fan->capture;
    fan->capture = NULL;
    return capture;
}

static void line_check(const char *line, size_t len, uint32_t number)
{
    char text[FAN_TEXT_BYTES + 1];
    json_t *event = json_loadb(line, len, 0, NULL);
    json_t *stanza = json_array_get(json_object_get(event, "stanzas"), 0);
    const char *of_stream = json_string_value(json_object_get(json_object_get(stanza, "message"), "text"));
    const char *of_talker = json_string_value(json_object_get(event, "content"));
    const char *got = of_stream != NULL ? of_stream : of_talker;

    text_format(number, text);
    if (got == NULL || strcmp(got, text) != 0)
        fail("this is not the line of message %u: %.*s", number, (int)len, line);
    json_decref(event);
}

size_t fan_line_bytes(struct fan *fan)
{
    uint32_t number = fan->next_number;
    size_t start;
    char *capture = fan_capture(fan, "\n", &start);
    size_t len;

    while (start > 0 && capture[start - 1] != '\n')
        start--;
    len = strcspn(capture + start, "\n") + 1;
    line_check(capture + start, len, number);
    free(capture);
    return len;
}

/* Takes an open connection. */
static void sender_add(struct fan *fan, int fd, fan_request_fn *request, void *self)
{
    struct sender *sender = &fan->senders[fan->sender_count++];
    char text[FAN_TEXT_BYTES + 1];

    text_format(0, text);
    sender->request_len = request(self, text, sender->request);
    sender->number_at = (size_t)((char *)memchr(sender->request, '~', sender->request_len) - sender->request) + 1;
    sender->fd = fd;
    fan_watch(fan, sender->fd, EPOLLIN, sender);
    fan->idle[fan->idle_count++] = sender;
}

static struct fan *fan_over(const int *reader_fds, unsigned readers)
{
    struct fan *fan = alloc_items(1, sizeof *fan);

    fan->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    fan->reader_count = readers;
    fan->readers = alloc_items(readers, sizeof *fan->readers);
    for (unsigned i = 0; i < readers; i++) {
        fan->readers[i].fd = reader_fds[i];
        fan_watch(fan, reader_fds[i], EPOLLIN | EPOLLRDHUP | EPOLLET, &fan->readers[i]);
    }
    return fan;
}

struct fan *fan_new(const struct sockaddr_in *to, const int *reader_fds, unsigned readers, fan_request_fn *request,
                    void *self)
{
    struct fan *fan = fan_over(reader_fds, readers);

    for (unsigned i = 0; i < FAN_SENDERS; i++) {
        int fd = connect_start(to, 0);

        connect_finish(fd);
        sender_add(fan, fd, request, self);
    }
    return fan;
}

struct fan *fan_new_framed(const int *reader_fds, unsigned readers, int sender_fd, fan_request_fn *request, void *self)
{
    struct fan *fan = fan_over(reader_fds, readers);

    fan->framed = true;
    sender_add(fan, sender_fd, request, self);
    return fan;
}

void fan_free(struct fan *fan)
{
    for (unsigned i = 0; i < fan->reader_count; i++)
        wire_close(fan->readers[i].fd);
    for (unsigned i = 0; i < fan->sender_count; i++)
        close(fan->senders[i].fd);
    close(fan->epoll_fd);
    free(fan->readers);
    free(fan);
}
