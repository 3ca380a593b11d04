/* SPDX-License-Identifier: MIT */
/*
 * Metrics: every number that nereidd counts, in one table.
 *
 * A row: name, kind, exposed name, label (or ""), help. Rows of one exposed name follow each other and differ in their
 * label. The admin listener renders the table in Prometheus' text format. Loop thread only.
 */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include <stdint.h>

#include "base/attr.h"

#define METRIC_TABLE(ROW)                                                                                              \
    ROW(METRIC_CONNECTIONS, GAUGE, "nereidd_connections", "", "Open client connections")                               \
    ROW(METRIC_ACCEPTED, COUNTER, "nereidd_accepted_total", "", "Connections accepted")                                \
    ROW(METRIC_REFUSED_CONNECTIONS, COUNTER, "nereidd_connections_refused_total", "limit=\"connections\"",             \
        "Connections refused by a limit")                                                                              \
    ROW(METRIC_REFUSED_ADDRESS, COUNTER, "nereidd_connections_refused_total", "limit=\"connections_per_address\"", "") \
    ROW(METRIC_REFUSED_FDS, COUNTER, "nereidd_connections_refused_total", "limit=\"descriptors\"", "")                 \
    ROW(METRIC_REFUSED_PROXY, COUNTER, "nereidd_connections_refused_total", "limit=\"proxy_trusted\"", "")             \
    ROW(METRIC_REQUESTS, COUNTER, "nereidd_requests_total", "", "HTTP requests that reached the router")               \
    ROW(METRIC_REQUEST_ERRORS_CLIENT, COUNTER, "nereidd_request_errors_total", "class=\"4xx\"",                        \
        "HTTP requests answered with an error")                                                                        \
    ROW(METRIC_REQUEST_ERRORS_SERVER, COUNTER, "nereidd_request_errors_total", "class=\"5xx\"", "")                    \
    ROW(METRIC_LIMIT_HEADER, COUNTER, "nereidd_limit_hits_total", "limit=\"header\"",                                  \
        "Times a limit turned something away")                                                                         \
    ROW(METRIC_LIMIT_URL, COUNTER, "nereidd_limit_hits_total", "limit=\"url\"", "")                                    \
    ROW(METRIC_LIMIT_BODY, COUNTER, "nereidd_limit_hits_total", "limit=\"body\"", "")                                  \
    ROW(METRIC_LIMIT_REQUEST_TIME, COUNTER, "nereidd_limit_hits_total", "limit=\"request_time\"", "")                  \
    ROW(METRIC_LIMIT_IDLE, COUNTER, "nereidd_limit_hits_total", "limit=\"idle\"", "")                                  \
    ROW(METRIC_LIMIT_FRAMING, COUNTER, "nereidd_limit_hits_total", "limit=\"framing\"", "")                            \
    ROW(METRIC_LIMIT_QUEUE, COUNTER, "nereidd_limit_hits_total", "limit=\"queue\"", "")                                \
    ROW(METRIC_LIMIT_SESSIONS, COUNTER, "nereidd_limit_hits_total", "limit=\"sessions_per_user\"", "")                 \
    ROW(METRIC_LIMIT_STREAMS, COUNTER, "nereidd_limit_hits_total", "limit=\"streams_per_token\"", "")                  \
    ROW(METRIC_LIMIT_MEMBERS, COUNTER, "nereidd_limit_hits_total", "limit=\"members\"", "")                            \
    ROW(METRIC_LIMIT_TEXT, COUNTER, "nereidd_limit_hits_total", "limit=\"text\"", "")                                  \
    ROW(METRIC_LIMIT_ATTACHMENTS, COUNTER, "nereidd_limit_hits_total", "limit=\"attachments\"", "")                    \
    ROW(METRIC_LIMIT_JSON, COUNTER, "nereidd_limit_hits_total", "limit=\"json_depth\"", "")                            \
    ROW(METRIC_LIMIT_SENDS, COUNTER, "nereidd_limit_hits_total", "limit=\"send_rate\"", "")                            \
    ROW(METRIC_LIMIT_TOKENS, COUNTER, "nereidd_limit_hits_total", "limit=\"token_rate\"", "")                          \
    ROW(METRIC_LIMIT_LOGINS, COUNTER, "nereidd_limit_hits_total", "limit=\"login_failures\"", "")                      \
    ROW(METRIC_LIMIT_PROBES, COUNTER, "nereidd_limit_hits_total", "limit=\"probe_rate\"", "")                          \
    ROW(METRIC_LIMIT_ENGINE_SESSIONS, COUNTER, "nereidd_limit_hits_total", "limit=\"socketio_sessions\"", "")          \
    ROW(METRIC_LIMIT_ENGINE_ADDRESS, COUNTER, "nereidd_limit_hits_total", "limit=\"socketio_sessions_per_address\"",   \
        "")                                                                                                            \
    ROW(METRIC_LIMIT_ENGINE_PAYLOAD, COUNTER, "nereidd_limit_hits_total", "limit=\"socketio_max_payload\"", "")        \
    ROW(METRIC_LIMIT_ENGINE_PACKETS, COUNTER, "nereidd_limit_hits_total", "limit=\"socketio_packets\"", "")            \
    ROW(METRIC_LIMIT_SOCKETIO_ATTACHMENTS, COUNTER, "nereidd_limit_hits_total", "limit=\"socketio_attachments\"", "")  \
    ROW(METRIC_LIMIT_SOCKETIO_ROOMS, COUNTER, "nereidd_limit_hits_total", "limit=\"socketio_rooms\"", "")              \
    ROW(METRIC_LIMIT_SOCKETIO_CONNECT, COUNTER, "nereidd_limit_hits_total", "limit=\"socketio_connect_timeout\"", "")  \
    ROW(METRIC_LIMIT_TALKER_LINE, COUNTER, "nereidd_limit_hits_total", "limit=\"talker_max_line\"", "")                \
    ROW(METRIC_LIMIT_TALKER_CONNECT, COUNTER, "nereidd_limit_hits_total", "limit=\"talker_connect_time\"", "")         \
    ROW(METRIC_LIMIT_TALKER_PENDING, COUNTER, "nereidd_limit_hits_total", "limit=\"talker_pending\"", "")              \
    ROW(METRIC_LIMIT_TALKER_SILENCE, COUNTER, "nereidd_limit_hits_total", "limit=\"talker_silence\"", "")              \
    ROW(METRIC_LIMIT_HANDSHAKE_TIME, COUNTER, "nereidd_limit_hits_total", "limit=\"tls_handshake_time\"", "")          \
    ROW(METRIC_LIMIT_HANDSHAKE_RATE, COUNTER, "nereidd_limit_hits_total", "limit=\"handshake_rate\"", "")              \
    ROW(METRIC_LIMIT_AUTHENTICATE, COUNTER, "nereidd_limit_hits_total", "limit=\"messaging_authenticate_time\"", "")   \
    ROW(METRIC_SESSIONS_STREAM, GAUGE, "nereidd_sessions", "protocol=\"nereid-stream\"", "Attached sessions")          \
    ROW(METRIC_SESSIONS_POLL, GAUGE, "nereidd_sessions", "protocol=\"nereid-poll\"", "")                               \
    ROW(METRIC_SESSIONS_SOCKETIO, GAUGE, "nereidd_sessions", "protocol=\"socketio\"", "")                              \
    ROW(METRIC_SESSIONS_TALKER, GAUGE, "nereidd_sessions", "protocol=\"talker\"", "")                                  \
    ROW(METRIC_TALKER_CONNECTIONS, GAUGE, "nereidd_talker_connections", "", "Connections of Talker clients")           \
    ROW(METRIC_TALKER_EVENTS_IN, COUNTER, "nereidd_talker_events_total", "way=\"in\"", "Events of Talker")             \
    ROW(METRIC_TALKER_EVENTS_OUT, COUNTER, "nereidd_talker_events_total", "way=\"out\"", "")                           \
    ROW(METRIC_TALKER_REFUSED, COUNTER, "nereidd_talker_refused_total", "",                                            \
        "Talker connections ended for what they sent or lacked")                                                       \
    ROW(METRIC_TLS_CONNECTIONS, GAUGE, "nereidd_tls_connections", "", "Open TLS connections")                          \
    ROW(METRIC_TLS_HANDSHAKES, COUNTER, "nereidd_tls_handshakes_total", "result=\"done\"", "TLS handshakes")           \
    ROW(METRIC_TLS_FAILURES, COUNTER, "nereidd_tls_handshakes_total", "result=\"failed\"", "")                         \
    ROW(METRIC_TLS_NOT_AFTER, GAUGE, "nereidd_tls_certificate_end_seconds", "",                                        \
        "When the first of the certificates ends, in seconds since 1970")                                              \
    ROW(METRIC_ENGINE_POLLING, GAUGE, "nereidd_socketio_connections", "transport=\"polling\"",                         \
        "Connections of Socket.IO clients")                                                                            \
    ROW(METRIC_ENGINE_WEBSOCKET, GAUGE, "nereidd_socketio_connections", "transport=\"websocket\"", "")                 \
    ROW(METRIC_LEGACY_POLLING, GAUGE, "nereidd_socketio_connections", "transport=\"0.9-polling\"", "")                 \
    ROW(METRIC_LEGACY_WEBSOCKET, GAUGE, "nereidd_socketio_connections", "transport=\"0.9-websocket\"", "")             \
    ROW(METRIC_SOCKETS, GAUGE, "nereidd_socketio_sockets", "",                                                         \
        "Connected sockets, one for each namespace of a client")                                                       \
    ROW(METRIC_ENGINE_UPGRADES, COUNTER, "nereidd_socketio_upgrades_total", "", "Connections upgraded to WebSocket")   \
    ROW(METRIC_ENGINE_PING_TIMEOUTS, COUNTER, "nereidd_socketio_ended_total", "why=\"ping_timeout\"",                  \
        "Connections of Socket.IO clients that ended badly")                                                           \
    ROW(METRIC_ENGINE_PARSE_ERRORS, COUNTER, "nereidd_socketio_ended_total", "why=\"parse_error\"", "")                \
    ROW(METRIC_ENGINE_ERRORS, COUNTER, "nereidd_socketio_ended_total", "why=\"transport_error\"", "")                  \
    ROW(METRIC_SOCKETIO_EVENTS_IN, COUNTER, "nereidd_socketio_events_total", "way=\"in\"", "Events of Socket.IO")      \
    ROW(METRIC_SOCKETIO_EVENTS_OUT, COUNTER, "nereidd_socketio_events_total", "way=\"out\"", "")                       \
    ROW(METRIC_REMOTE_IN, COUNTER, "nereidd_socketio_remote_total", "way=\"in\"",                                      \
        "Broadcasts heard from, and told to, other servers and emitters on Redis")                                     \
    ROW(METRIC_REMOTE_OUT, COUNTER, "nereidd_socketio_remote_total", "way=\"out\"", "")                                \
    ROW(METRIC_REMOTE_BAD, COUNTER, "nereidd_socketio_remote_bad_total", "",                                           \
        "Broadcasts on Redis that could not be read or sent")                                                          \
    ROW(METRIC_RELAY_OUT, COUNTER, "nereidd_socketio_relayed_total", "way=\"out\"",                                    \
        "Polls passed on to other nodes, and answered for them")                                                       \
    ROW(METRIC_RELAY_IN, COUNTER, "nereidd_socketio_relayed_total", "way=\"in\"", "")                                  \
    ROW(METRIC_USERS, GAUGE, "nereidd_users", "", "Users in memory")                                                   \
    ROW(METRIC_THREADS, GAUGE, "nereidd_threads", "", "Threads in memory")                                             \
    ROW(METRIC_MESSAGES_IN, COUNTER, "nereidd_messages_in_total", "", "Messages acknowledged to their senders")        \
    ROW(METRIC_MESSAGES_REPEATED, COUNTER, "nereidd_messages_repeated_total", "",                                      \
        "Sends that repeated a known message id")                                                                      \
    ROW(METRIC_MESSAGES_OUT, COUNTER, "nereidd_messages_out_total", "", "Messages delivered to sessions")              \
    ROW(METRIC_PRESENCE_OUT, COUNTER, "nereidd_presence_out_total", "", "Presence stanzas delivered to sessions")      \
    ROW(METRIC_QUEUE_BYTES, GAUGE, "nereidd_queue_bytes", "", "Bytes queued for slow readers")                         \
    ROW(METRIC_COMMITS, COUNTER, "nereidd_store_commits_total", "", "Transactions committed")                          \
    ROW(METRIC_COMMIT_FAILURES, COUNTER, "nereidd_store_commit_failures_total", "", "Transactions that failed")        \
    ROW(METRIC_COMMIT_TIME, HISTOGRAM, "nereidd_store_commit_seconds", "", "Time to commit one transaction")           \
    ROW(METRIC_PRUNED, COUNTER, "nereidd_store_pruned_total", "", "Messages removed by retention")                     \
    ROW(METRIC_REDIS_UP, GAUGE, "nereidd_redis_up", "", "Whether Redis is connected")                                  \
    ROW(METRIC_REDIS_CONNECTS, COUNTER, "nereidd_redis_connects_total", "", "Times Redis was connected to")            \
    ROW(METRIC_REDIS_NODES, GAUGE, "nereidd_redis_nodes", "",                                                          \
        "Nodes on this Redis, as it said last; 0 while it is away")                                                    \
    ROW(METRIC_REDIS_ERRORS, COUNTER, "nereidd_redis_errors_total", "", "Error replies of Redis, and senseless ones")  \
    ROW(METRIC_REDIS_SKIPPED, COUNTER, "nereidd_redis_skipped_total", "",                                              \
        "Entries and events in Redis that nereidd cannot read")                                                        \
    ROW(METRIC_BUS_LOST, COUNTER, "nereidd_redis_channels_lost_total", "",                                             \
        "Times the connection for channels was lost, and what was said there meanwhile")                               \
    ROW(METRIC_REDIS_TIME, HISTOGRAM, "nereidd_redis_call_seconds", "", "Time from a call of the store to its answer") \
    ROW(METRIC_LOGIN_FAILURES, COUNTER, "nereidd_login_failures_total", "", "Logins that failed")

enum metric_kind { METRIC_KIND_COUNTER, METRIC_KIND_GAUGE, METRIC_KIND_HISTOGRAM };

enum metric {
#define ROW(name, kind, exposed, label, help) name,
    METRIC_TABLE(ROW)
#undef ROW
        METRIC_COUNT
};

/* Upper bounds of the histogram buckets in microseconds; the last bucket is open. */
#define METRIC_BUCKET_BOUNDS_US                                                                                        \
    {                                                                                                                  \
        100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000                                  \
    }
enum { METRIC_BUCKETS = 13 };

struct metric_row {
    enum metric_kind kind;
    const char *exposed;
    const char *label;
    const char *help;
};

struct metric_histogram {
    uint64_t buckets[METRIC_BUCKETS]; /* each counts its own range only */
    uint64_t count;
    uint64_t sum_us;
};

/* Adds `by`, which may be negative for a gauge. Not for a histogram. */
void metric_add(enum metric metric, int64_t by);

/* Of a gauge only. */
void metric_set(enum metric metric, int64_t value);

/* Puts one duration into a histogram. */
void metric_observe(enum metric metric, int64_t duration_us);

int64_t metric_value(enum metric metric);
const struct metric_row *metric_row(enum metric metric);
const struct metric_histogram *metric_histogram(enum metric metric);

#endif
