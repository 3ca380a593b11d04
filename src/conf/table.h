/* SPDX-License-Identifier: MIT */
/*
 * Every option, in one table.
 *
 *     ROW(section, name, KIND, domain, default, help)
 *
 * From a row come a field of struct options, its parsing and checking, and its entry in `nereidd --help`, in the
 * example file and in nereidd.conf(5). A row that is added here needs nothing else.
 *
 *     KIND       field                      what is written
 *     TEXT       char *name                 text, never null
 *     LIST       struct conf_list name      texts separated by commas or spaces
 *     LINES      struct conf_list name      texts, one each time it is given
 *     DURATION   int64_t name_ms            250ms 20s 5m 1h 30d, or 0
 *     SIZE       size_t name_bytes          512 64K 1M 4G
 *     COUNT      uint32_t name              digits
 *     RATE       uint32_t name_per_minute   digits; 0 means no limit
 *     FLAG       bool name                  yes no
 *     WORD       enum name                  one of the domain's words
 *     WORDS      struct conf_words name     several of the domain's words, in order, each once
 *
 * The domain says which values are good: RANGE of a number (written as in the file), CHOICE of words, FORM of a text or
 * of a list's items (conf/form.h), or ANY. Default and range are in the notation of the file. The help is sentences of
 * plain ASCII, without quotes, backslashes or a leading dot.
 *
 * This file is included once per use, after SECTION, ROW and END and the domain macros that the use needs are defined;
 * it undefines them.
 */
/* clang-format off */

#ifdef PKGDATADIR
#define DEFAULT_WWW PKGDATADIR "/www"
#define DEFAULT_OPERATOR PKGDATADIR "/operator"
#define DEFAULT_CLIENT PKGDATADIR "/socket.io"
#else
#define DEFAULT_WWW "www"
#define DEFAULT_OPERATOR "www/operator"
#define DEFAULT_CLIENT ""
#endif
#ifdef STATEDIR
#define DEFAULT_STORE "sqlite:" STATEDIR "/chat.db"
#else
#define DEFAULT_STORE "sqlite:chat.db"
#endif

SECTION(http, "Where clients connect")
ROW(http, listen, LIST, FORM(listen), "127.0.0.1:8080",
    "Addresses for HTTP clients. ADDRESS may also be localhost, or * for all; port 0 takes a free one; systemd:NAME is the "
    "sockets of that name that systemd passes, systemd alone all of them. With tls: before it an address is for TLS "
    "(tls.certificate), with proxy: for proxies that send a PROXY header (proxy.trusted), with proxy:tls: for both. Empty: none.")
ROW(http, www, TEXT, FORM(path), DEFAULT_WWW,
    "Folder of the pages and of the client library, served under /. Empty: no pages.")
ROW(http, allow_origins, LIST, FORM(origin), "",
    "Web origins whose pages may call the gateway from another site (CORS), written exactly as browsers send them. "
    "Empty: none but the gateway's own.")
ROW(http, cache, DURATION, RANGE("0", "365d"), "5m",
    "How long browsers may keep the pages without asking again.")
ROW(http, content_policy, LINES, FORM(header_value), "strict",
    "Content-Security-Policy of the pages. Each line has one directive or more of them; strict stands for those that nereidd's own "
    "pages keep to: everything from the gateway only, no inline scripts or styles, Trusted Types. What is directed twice goes by "
    "the first. Empty: none is sent.")
END(http)

SECTION(admin, "Health, metrics and nereidctl, for operators; and what services push")
ROW(admin, listen, LIST, FORM(listen), "127.0.0.1:8081",
    "Addresses for /healthz, /readyz, /metrics, nereidctl and POST /emit. There is no login: keep them off public networks. Written "
    "like http.listen. Empty: none.")
ROW(admin, www, TEXT, FORM(path), DEFAULT_OPERATOR,
    "Folder of the operator's page, served under / at these addresses. Empty: no page.")
END(admin)

SECTION(store, "Where conversations are kept")
ROW(store, url, TEXT, FORM(store_url), DEFAULT_STORE,
    "The store: sqlite:PATH is a database file, made if need be, and sqlite::memory: forgets everything at the end. "
    "redis://[USER:PASSWORD@]HOST[:PORT][/DB] is a Redis server, which several nodes may share; redis+unix:PATH[?db=DB] is one on a "
    "Unix socket; redis+sentinel://[USER:PASSWORD@]HOST[:PORT],.../MASTER[/DB] is the server that these Sentinels name.")
ROW(store, credentials, TEXT, FORM(path), "",
    "For Redis: a file that holds USER:PASSWORD or PASSWORD, to keep them out of store.url. Read at each start.")
ROW(store, deadline, DURATION, RANGE("50ms", "1m"), "2s",
    "For Redis: a command that is not answered in this time has failed, and the connection is given up.")
ROW(store, lease, DURATION, RANGE("3s", "10m"), "30s",
    "For Redis: when a node says nothing for so long, others count its users as gone.")
ROW(store, lease_renewal, DURATION, RANGE("1s", "5m"), "10s",
    "For Redis: how often a node renews its lease, and looks whether the tokens of open streams still exist. At most half "
    "of store.lease.")
ROW(store, replicas, COUNT, RANGE("0", "100"), "0",
    "For Redis: a message is acknowledged when so many replicas have it, beside the master.")
ROW(store, durability, WORD, CHOICE(conf_durability, CONF_DURABILITY_WORDS), "full",
    "For SQLite: what a message that was acknowledged survives: full, a power cut; normal, the end of nereidd, but a power cut may "
    "take the last moments; off, nothing is promised when the machine stops.")
ROW(store, retention, DURATION, RANGE("0", "36500d"), "0",
    "Messages older than this are removed. 0 keeps them.")
ROW(store, retention_count, COUNT, RANGE("0", "4000000000"), "0",
    "Of the log as a whole only so many of the newest messages are kept. 0 keeps all.")
ROW(store, queue, COUNT, RANGE("1", "10000000"), "100000",
    "Writes that may wait for the store. Above that senders are answered 503.")
END(store)

SECTION(auth, "Who is calling")
ROW(auth, methods, WORDS, CHOICE(conf_auth_method, CONF_AUTH_METHOD_WORDS), "demo",
    "The ways to log in, tried in this order. demo lets anybody in under the name they give; basic checks passwords "
    "against auth.users; header believes a proxy; jwt checks signed tokens.")
ROW(auth, demo_anywhere, FLAG, ANY, "no",
    "Allows the method demo although http.listen has an address that others than this machine can reach.")
ROW(auth, users, TEXT, FORM(path), "",
    "For basic: the file of users, one USER:HASH:NAME per line. nereidd --hash-password writes such a line.")
ROW(auth, header, TEXT, FORM(header_name), "X-Forwarded-User",
    "For header: the request header in which the proxy names the user.")
ROW(auth, name_header, TEXT, FORM(header_name), "",
    "For header: the request header in which the proxy gives the display name. Empty: none.")
ROW(auth, trusted, LIST, FORM(network), "",
    "For header: the proxies whose headers are believed. The word unix stands for every peer on a Unix socket.")
ROW(auth, jwt_key, TEXT, FORM(path), "",
    "For jwt: the file of the key, which is the secret itself for HS256, HS384 and HS512, and a public key in PEM form "
    "for the others.")
ROW(auth, jwt_jwks, TEXT, FORM(path), "",
    "For jwt, instead of auth.jwt_key: a file of keys as a JSON Web Key Set.")
ROW(auth, jwt_algorithm, WORD, CHOICE(conf_jwt_algorithm, CONF_JWT_ALGORITHM_WORDS), "HS256",
    "For jwt: the only algorithm that is accepted, whatever a token says.")
ROW(auth, jwt_claim, TEXT, FORM(claim), "sub",
    "For jwt: the claim that is the user.")
ROW(auth, jwt_name_claim, TEXT, FORM(claim), "name",
    "For jwt: the claim that is the display name.")
ROW(auth, jwt_audience, TEXT, ANY, "",
    "For jwt: a token must be meant for this audience. Empty: for any.")
ROW(auth, jwt_issuer, TEXT, ANY, "",
    "For jwt: a token must come from this issuer. Empty: from any.")
ROW(auth, jwt_skew, DURATION, RANGE("0", "60s"), "30s",
    "For jwt: how far the issuer's clock may be off.")
ROW(auth, login_cache, DURATION, RANGE("0", "1d"), "1m",
    "For basic: how long a password that was right is remembered, so that it need not be hashed again for each request.")
END(auth)

SECTION(token, "Chat tokens")
ROW(token, ttl, DURATION, RANGE("1s", "30d"), "1h",
    "How long a token is good.")
ROW(token, ends_streams, FLAG, ANY, "yes",
    "Whether a stream ends when the token that opened it expires. When it is revoked the stream ends in any case.")
END(token)

SECTION(nereid, "The nereid protocol")
ROW(nereid, dialect, WORD, CHOICE(conf_dialect, CONF_DIALECT_WORDS), "spec",
    "The form of stanzas for clients that ask for none: spec is the written protocol, module is what the nereid_chat 3.0 "
    "module and its client speak.")
ROW(nereid, friends, WORD, CHOICE(conf_friends, CONF_FRIENDS_WORDS), "everyone",
    "Who is a friend, may be talked to and seen: everyone, or only those who share a thread.")
ROW(nereid, heartbeat, DURATION, RANGE("1s", "10m"), "20s",
    "After so much silence a stream gets a sign of life.")
ROW(nereid, entity_prefix, TEXT, ANY, "nereid.user,",
    "What stands before the user in the entity of a presence.")
END(nereid)

SECTION(socketio, "Socket.IO")
ROW(socketio, path, TEXT, FORM(url_path), "/socket.io",
    "Where Socket.IO is served. Empty: nowhere.")
ROW(socketio, old_clients, FLAG, ANY, "yes",
    "Whether clients 1.x and 2.x are served (revisions 3 and 2 of Engine.IO).")
ROW(socketio, legacy, FLAG, ANY, "yes",
    "Whether clients 0.9 are served.")
ROW(socketio, jsonp, FLAG, ANY, "no",
    "Whether old clients may poll by script elements (JSONP), which any page can do: only for those without a login.")
ROW(socketio, client, TEXT, FORM(path), DEFAULT_CLIENT,
    "Folder of the client's bundles, socket.io.js and its like, served under socketio.path. Empty: none are.")
ROW(socketio, ping_interval, DURATION, RANGE("50ms", "10m"), "25s",
    "How often a client is asked whether it is there.")
ROW(socketio, ping_timeout, DURATION, RANGE("50ms", "10m"), "20s",
    "How long it may take to answer.")
ROW(socketio, upgrade_timeout, DURATION, RANGE("50ms", "10m"), "10s",
    "How long an upgrade from polling to WebSocket may take.")
ROW(socketio, connect_timeout, DURATION, RANGE("50ms", "10m"), "45s",
    "Within this time a client must have connected to a namespace.")
ROW(socketio, max_payload, SIZE, RANGE("1K", "64M"), "1000000",
    "The longest message, and the longest body of a request, from a client.")
ROW(socketio, packets, COUNT, RANGE("1", "1000000"), "10000",
    "Packets in one request.")
ROW(socketio, fragments, COUNT, RANGE("1", "100000"), "64",
    "Fragments of one WebSocket message.")
ROW(socketio, attachments, COUNT, RANGE("0", "10"), "10",
    "Binary attachments of one event.")
ROW(socketio, sessions, COUNT, RANGE("1", "1000000"), "20000",
    "Socket.IO clients in all. Above: 503.")
ROW(socketio, sessions_per_address, COUNT, RANGE("0", "1000000"), "0",
    "Socket.IO clients of one address. Above: 429. 0 means no limit: behind a proxy all clients share its address.")
ROW(socketio, rooms, COUNT, RANGE("1", "1000000"), "64",
    "Rooms that one socket may be in, beside the one of its own id.")
ROW(socketio, recovery, FLAG, ANY, "no",
    "Whether a client that lost its connection may come back as if it had not (connection state recovery of clients 4.6 and newer).")
ROW(socketio, recovery_time, DURATION, RANGE("1s", "1d"), "2m",
    "How long it may take to come back.")
ROW(socketio, recovery_events, COUNT, RANGE("1", "1000000"), "10000",
    "How many events of a namespace are kept for those who may come back.")
ROW(socketio, redis_prefix, TEXT, FORM(text), "socket.io",
    "With a Redis store: the beginning of the channels on which emitters and other servers of Socket.IO broadcast.")
END(socketio)

SECTION(maxtalk, "The application maxtalk, on the namespace /max")
ROW(maxtalk, trust_username, FLAG, ANY, "no",
    "Whether a bare user name is believed. Always so while auth.methods has demo.")
END(maxtalk)

SECTION(messaging, "The application messaging, on the namespace /")
ROW(messaging, authenticate_time, DURATION, RANGE("50ms", "1h"), "15s",
    "Within this time a socket must have authenticated or registered.")
END(messaging)

SECTION(sockets, "The application Sockets, on the namespace /")
ROW(sockets, room, TEXT, FORM(room), "lobby",
    "The room in which its users meet.")
ROW(sockets, guests, WORD, CHOICE(conf_guests, CONF_GUESTS_WORDS), "demo",
    "Whether those without a login may register under a name of their choice: yes, no, or demo, which is yes while auth.methods has demo.")
END(sockets)

SECTION(talker, "Talker")
ROW(talker, listen, LIST, FORM(listen), "127.0.0.1:8500",
    "Addresses for Talker clients, written like http.listen. Empty: none.")
ROW(talker, max_line, SIZE, RANGE("1K", "16M"), "64K",
    "The longest line from a client.")
ROW(talker, connect_time, DURATION, RANGE("50ms", "1h"), "10s",
    "Within this time a client must have connected to a room.")
ROW(talker, silence, DURATION, RANGE("50ms", "1d"), "30s",
    "A client that says nothing for so long is given up; ping counts.")
ROW(talker, pending, COUNT, RANGE("1", "100000"), "1000",
    "Messages of one connection that may wait for the store. More are refused.")
ROW(talker, idle_grace, DURATION, RANGE("0", "1d"), "10s",
    "How long a user whose connection broke is idle before they leave. It takes the place of presence.grace for those "
    "whose last session was one of Talker.")
END(talker)

SECTION(rooms, "Threads with a public name")
ROW(rooms, open, FLAG, ANY, "yes",
    "Whether everybody may enter a room. Otherwise only its members, and whoever makes it; its owner adds others. A room "
    "that everybody has left then stays closed.")
END(rooms)

SECTION(tls, "Encryption, for addresses that begin with tls:")
ROW(tls, certificate, LIST, FORM(path), "",
    "Files with certificates in PEM form, each with the chain behind it. A client that names a host gets the one for it, "
    "any other the first. Read again on SIGHUP.")
ROW(tls, key, LIST, FORM(path), "",
    "Files with their private keys, in the same order. Only owner and group may read them.")
ROW(tls, priorities, TEXT, FORM(text), "NORMAL:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1",
    "What may be negotiated, as a priority string of GnuTLS, best first. Versions before TLS 1.2 are refused whatever it says.")
ROW(tls, handshake_time, DURATION, RANGE("50ms", "10m"), "10s",
    "Within this time a handshake, with a PROXY header before it, must be over.")
END(tls)

SECTION(proxy, "Proxies in front, for addresses that begin with proxy:")
ROW(proxy, trusted, LIST, FORM(network), "",
    "The proxies that may connect there, and that say with a PROXY header (version 1 or 2) whose connection it is. Others are "
    "refused. The word unix stands for every peer on a Unix socket.")
END(proxy)

SECTION(presence, "Who is there")
ROW(presence, grace, DURATION, RANGE("0", "10m"), "10s",
    "How long a user still counts as available after the last session has left.")
END(presence)

SECTION(limits, "Bounds on what clients may cost")
ROW(limits, connections, COUNT, RANGE("1", "1000000"), "20000",
    "Open connections in all.")
ROW(limits, connections_per_address, COUNT, RANGE("0", "1000000"), "0",
    "Open connections of one address. 0 means no limit: behind a proxy all clients share its address.")
ROW(limits, header, SIZE, RANGE("1K", "64K"), "8K",
    "The header block of a request. Above: 431.")
ROW(limits, url, SIZE, RANGE("128", "32K"), "2K",
    "The path and query of a request, which are part of its header block. Above: 414.")
ROW(limits, body, SIZE, RANGE("1K", "16M"), "64K",
    "The body of a request. Above: 413.")
ROW(limits, request_time, DURATION, RANGE("100ms", "1h"), "30s",
    "Within this time a request must have arrived whole. Above: 408.")
ROW(limits, header_time, DURATION, RANGE("100ms", "1h"), "10s",
    "Within this time the header block of a request must have arrived.")
ROW(limits, idle, DURATION, RANGE("100ms", "1h"), "60s",
    "How long a connection may stay open between two requests.")
ROW(limits, sessions_per_user, COUNT, RANGE("1", "1000000"), "100",
    "Streams, polls, sockets of Socket.IO and Talker connections that one user may have open at once.")
ROW(limits, streams_per_token, COUNT, RANGE("1", "1000000"), "16",
    "Streams, polls, sockets and Talker connections that one token may have open at once.")
ROW(limits, queue, SIZE, RANGE("4K", "256M"), "256K",
    "Bytes that may wait for a slow reader. Above that its session ends, and may come back with its cursor.")
ROW(limits, drain, DURATION, RANGE("0", "10m"), "10s",
    "How long nereidd takes to end in good order after SIGTERM or SIGINT.")
ROW(limits, json_depth, COUNT, RANGE("4", "512"), "32",
    "How deep arrays and objects may be nested in JSON from clients.")
ROW(limits, members, COUNT, RANGE("2", "100000"), "1000",
    "Members of one thread.")
ROW(limits, text, SIZE, RANGE("1", "16M"), "32K",
    "The text of a message.")
ROW(limits, attachments, COUNT, RANGE("0", "10000"), "16",
    "Attachments of a message.")
ROW(limits, attachments_size, SIZE, RANGE("2", "16M"), "16K",
    "The attachments of a message together, as JSON.")
ROW(limits, send_rate, RATE, RANGE("0", "1000000"), "600",
    "Messages that one user may send. 0 means no limit.")
ROW(limits, token_rate, RATE, RANGE("0", "1000000"), "60",
    "Tokens that one user may ask for. 0 means no limit.")
ROW(limits, login_failures, RATE, RANGE("0", "1000000"), "10",
    "Logins that may fail from one address. 0 means no limit.")
ROW(limits, handshake_rate, RATE, RANGE("0", "1000000"), "6000",
    "TLS handshakes from one address. 0 means no limit.")
ROW(limits, probe_rate, RATE, RANGE("0", "1000000"), "30",
    "Probes for buffering hops from one address. 0 means no limit.")
ROW(limits, poll_wait, DURATION, RANGE("0", "10m"), "60s",
    "The longest wait that a poll may ask for.")
ROW(limits, history, COUNT, RANGE("1", "10000"), "200",
    "The largest page of a thread's history.")
END(limits)

SECTION(log, "What nereidd says")
ROW(log, level, WORD, CHOICE(log_level, LOG_LEVEL_WORDS), "info",
    "The least important events that are written.")
ROW(log, format, WORD, CHOICE(log_format, LOG_FORMAT_WORDS), "keyvalue",
    "The form of a line: key=value pairs, or a JSON object.")
ROW(log, file, TEXT, FORM(path), "",
    "The file that lines are appended to; SIGHUP opens it again. Empty: standard error.")
END(log)

/* clang-format on */
#undef SECTION
#undef ROW
#undef END
#undef ANY
#undef RANGE
#undef CHOICE
#undef FORM
#undef DEFAULT_WWW
#undef DEFAULT_OPERATOR
#undef DEFAULT_CLIENT
#undef DEFAULT_STORE
