/* SPDX-License-Identifier: MIT */
/*
 * Messages between nodes, from whoever can publish in Redis.
 *
 * Invariants: a message has one text only, so what is read is written back byte for byte; what it refers to is part of
 * that text.
 */
#include <stdint.h>
#include <stdlib.h>

#include "adapters/socketio/relay_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = {(const char *)data, size};
    struct relay_message message;
    struct buf out = BUF_INIT;
    if (!relay_message_read(bytes, &message))
        return 0;
    require(relay_node_valid(span_of(message.ticket.node)));
    require(message.kind != RELAY_DONE || (message.status >= 200 && message.status <= 599));
    relay_message_write(&out, &message);
    require(span_equal(buf_span(&out), bytes));
    buf_fini(&out);
    return 0;
}
