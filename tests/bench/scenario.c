/* SPDX-License-Identifier: MIT */
/* The table of scenarios. */
#include "scenario.h"

#include <stddef.h>

/* Scenarios that compare deliveries keep the bench and the servers on processors of their own; in the others nereidd's
 * threads may use all there are, as they would in use. */
const struct scenario scenarios[] = {
    {"fan-out-10", "deliveries/s to 10 readers against limit: 0.8 with 1 in flight, 1 with 32", fanout_run, 10,
     .separate = true, .time_s = 180},
    {"fan-out-100", "the same with 100 readers", fanout_run, 100, .separate = true, .time_s = 180},
    {"fan-out-1000", "the same with 1,000 readers", fanout_run, 1000, .separate = true, .time_s = 240},
    {"latency", "microseconds from request to reader, idle system", latency_run, 1, .separate = true, .time_s = 120},
    {"memory", "user memory of one of 10,000 idle streams: 1,024 bytes", memory_run, 10000, .needs_nereidd = true,
     .time_s = 180},
    {"neighbours", "latency and CPU with 15,000 idle streams beside: 1.3 times that without", neighbours_run, 15000,
     .needs_nereidd = true, .separate = true, .time_s = 300},
    {"connects", "10,000 connects with token and first byte: 3 s", connects_run, 10000, .time_s = 300},
    {"sends", "acknowledged sends/s over 64 connections against SQLite alone: 0.5", sends_run, 64,
     .needs_nereidd = true, .time_s = 240},
    {"redis-sends-32", "acknowledged sends/s on Redis over 32 connections against redis-benchmark's XADD: 0.5",
     redis_sends_run, 32, .needs_nereidd = true, .time_s = 120},
    {"redis-sends-128", "the same over 128 connections", redis_sends_run, 128, .needs_nereidd = true, .time_s = 120},
    {"redis-latency", "microseconds from node to node, beside those within one: 2 times", redis_latency_run, 1,
     .needs_nereidd = true, .separate = true, .time_s = 120},
    {"redis-recovery", "seconds to the first message when Redis is back, with 1,000 streams: 2", redis_recovery_run,
     1000, .needs_nereidd = true, .time_s = 240},
    {"socketio-100", "deliveries/s to 100 WebSocket clients against Socket.IO 4 on Node: 2 times", socketio_run, 100,
     .needs_nereidd = true, .needs_socketio = true, .separate = true, .time_s = 240},
    {"socketio-1000", "the same with 1,000 clients", socketio_run, 1000, .needs_nereidd = true, .needs_socketio = true,
     .separate = true, .time_s = 360},
    {"socketio-memory", "user memory of one of 10,000 idle WebSocket clients against Node's: a tenth",
     socketio_memory_run, 10000, .needs_nereidd = true, .needs_socketio = true, .time_s = 240},
    {"tls-100", "deliveries/s and CPU of each over TLS to 100 readers, beside plain", ways_fanout_run, 100, WAY_TLS,
     .needs_nereidd = true, .separate = true, .time_s = 120},
    {"tls-1000", "the same with 1,000 readers", ways_fanout_run, 1000, WAY_TLS, .needs_nereidd = true, .separate = true,
     .time_s = 180},
    {"tls-connects", "2,000 connects with a handshake, to the first byte, beside plain", tls_connects_run, 2000,
     .needs_nereidd = true, .separate = true, .time_s = 240},
    {"tls-memory", "user memory of one of 5,000 idle streams over TLS, beside plain", ways_memory_run, 5000, WAY_TLS,
     .needs_nereidd = true, .time_s = 180},
    {"talker-100", "deliveries/s and CPU of each to 100 Talker clients, beside streams", ways_fanout_run, 100,
     WAY_TALKER, .needs_nereidd = true, .separate = true, .time_s = 120},
    {"talker-1000", "the same with 1,000 clients", ways_fanout_run, 1000, WAY_TALKER, .needs_nereidd = true,
     .separate = true, .time_s = 240},
    {"talker-memory", "user memory of one of 5,000 idle Talker clients, beside streams", ways_memory_run, 5000,
     WAY_TALKER, .needs_nereidd = true, .time_s = 180},
    {.name = NULL},
};
