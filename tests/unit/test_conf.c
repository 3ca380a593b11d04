/* SPDX-License-Identifier: MIT */
/* Options: values of each kind, the file, -o, rules between options, what is said of errors, what is made of the
 * table, and the command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/command.h"
#include "conf/doc.h"
#include "conf/option.h"
#include "conf/options.h"

static char folder[] = "/tmp/test_conf.XXXXXX";
static char path[sizeof(folder) + 16];

/* What the test is about; made anew for each. */
static struct options options;
static struct buf errors;

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/conf", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static int start(void **state)
{
    (void)state;
    errors = BUF_INIT;
    return options_init(&options) == OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    options_fini(&options);
    buf_fini(&errors);
    (void)unlink(path);
    return 0;
}

static void write_file(struct span text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text.data, 1, text.len, file), text.len);
    assert_int_equal(fclose(file), 0);
}

/* The errors so far, as text, with the path replaced by `conf`. */
static const char *told(void)
{
    static char text[65536];
    size_t len = 0;
    for (size_t at = 0; at < errors.len;) {
        bool here = errors.len - at >= strlen(path) && memcmp(errors.data + at, path, strlen(path)) == 0;
        assert_true(len + 5 < sizeof(text));
        len += (size_t)snprintf(text + len, 5, "%.*s", here ? 4 : 1, here ? "conf" : errors.data + at);
        at += here ? strlen(path) : 1;
    }
    text[len] = '\0';
    return text;
}

static unsigned count_lines(const char *text)
{
    unsigned count = 0;
    for (; *text; text++)
        count += *text == '\n';
    return count;
}

/* Loads what the file says and what -o says (ended by null), and expects exactly these errors. */
static void load(struct span text, const char *const *overrides, const char *expected)
{
    size_t count = 0;
    while (overrides && overrides[count])
        count++;
    if (text.data)
        write_file(text);
    unsigned error_count = options_load(&options, text.data ? path : NULL, overrides, count, &errors);
    assert_string_equal(told(), expected);
    assert_int_equal(error_count, count_lines(expected));
}

static void load_file(const char *text, const char *expected)
{
    load(span_of(text), NULL, expected);
}

#define load_overrides(expected, ...) load((struct span){0}, (const char *const[]){__VA_ARGS__, NULL}, expected)

/* One -o on top of fresh defaults. */
static unsigned load_one(const char *override)
{
    (void)end(NULL);
    assert_int_equal(start(NULL), 0);
    return options_load(&options, NULL, &override, 1, &errors);
}

static void assert_list(const struct conf_list *list, const char *joined)
{
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < list->count; i++)
        buf_printf(&text, "%s%s", i ? "|" : "", list->items[i]);
    assert_true(span_is(buf_span(&text), joined));
    buf_fini(&text);
}

/* --- defaults --- */

static void defaults_are_good(void **state)
{
    (void)state;
    load((struct span){0}, NULL, "");
    assert_list(&options.http.listen, "127.0.0.1:8080");
    assert_list(&options.admin.listen, "127.0.0.1:8081");
    assert_list(&options.http.allow_origins, "");
    assert_int_equal(options.http.cache_ms, 300000);
    assert_int_equal(options.store.durability, CONF_DURABILITY_FULL);
    assert_int_equal(options.auth.methods.count, 1);
    assert_int_equal(options.auth.methods.items[0], CONF_AUTH_DEMO);
    assert_string_equal(options.auth.users, "");
    assert_int_equal(options.token.ttl_ms, 3600000);
    assert_true(options.token.ends_streams);
    assert_string_equal(options.nereid.entity_prefix, "nereid.user,");
    assert_int_equal(options.presence.grace_ms, 10000);
    assert_int_equal(options.limits.header_bytes, 8192);
    assert_int_equal(options.limits.send_rate_per_minute, 600);
    assert_int_equal(options.log.level, LOG_INFO);
    assert_int_equal(options.log.format, LOG_KEY_VALUE);
}

/* --- values --- */

static void durations_have_a_unit(void **state)
{
    (void)state;
    static const struct {
        const char *override;
        int64_t ms;
    } good[] = {
        {"limits.idle=100ms", 100},  {"limits.idle=20s", 20000},         {"limits.idle=5m", 300000},
        {"limits.idle=1h", 3600000}, {"limits.idle=3600000ms", 3600000}, {"limits.idle=007s", 7000},
    };
    for (size_t i = 0; i < array_len(good); i++) {
        assert_int_equal(load_one(good[i].override), 0);
        assert_int_equal(options.limits.idle_ms, good[i].ms);
    }
    assert_int_equal(load_one("token.ttl=30d"), 0);
    assert_int_equal(options.token.ttl_ms, 30 * INT64_C(86400000));
    assert_int_equal(load_one("presence.grace=0"), 0);
    assert_int_equal(options.presence.grace_ms, 0);
}

static void what_is_not_a_duration_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "limits.idle=",
        "limits.idle=20",
        "limits.idle=s",
        "limits.idle=20 s",
        "limits.idle=-20s",
        "limits.idle=+20s",
        "limits.idle=1.5s",
        "limits.idle=20S",
        "limits.idle=20ss",
        "limits.idle=0x20s",
        "limits.idle=1s1s",
        "limits.idle=99999999999999999999s",
        "limits.idle=9223372036854775807d",
    };
    for (size_t i = 0; i < array_len(bad); i++)
        assert_int_equal(load_one(bad[i]), 1);
}

static void sizes_may_have_a_unit(void **state)
{
    (void)state;
    static const struct {
        const char *override;
        size_t bytes;
    } good[] = {
        {"limits.body=5000", 5000},
        {"limits.body=64K", 65536},
        {"limits.body=1M", 1048576},
        {"limits.queue=4096", 4096},
    };
    for (size_t i = 0; i < array_len(good); i++) {
        assert_int_equal(load_one(good[i].override), 0);
        assert_int_equal(i < 3 ? options.limits.body_bytes : options.limits.queue_bytes, good[i].bytes);
    }
    assert_int_equal(load_one("limits.body=64k"), 1);
    assert_int_equal(load_one("limits.body=64KB"), 1);
    assert_int_equal(load_one("limits.body=K"), 1);
    assert_int_equal(load_one("limits.body=17592186044417M"), 1);
}

static void numbers_have_no_unit(void **state)
{
    (void)state;
    assert_int_equal(load_one("limits.history=50"), 0);
    assert_int_equal(options.limits.history, 50);
    assert_int_equal(load_one("store.retention_count=4000000000"), 0);
    assert_int_equal(options.store.retention_count, 4000000000);
    assert_int_equal(load_one("limits.history=1K"), 1);
    assert_int_equal(load_one("limits.history=-1"), 1);
    assert_int_equal(load_one("limits.history=1e3"), 1);
}

static void the_ends_of_a_range_are_in_it(void **state)
{
    (void)state;
    assert_int_equal(load_one("limits.header=1K"), 0);
    assert_int_equal(load_one("limits.header=64K"), 0);
    assert_int_equal(load_one("limits.header=1023"), 1);
    assert_int_equal(load_one("limits.header=65537"), 1);
    assert_int_equal(load_one("auth.jwt_skew=60s"), 0);
    assert_int_equal(load_one("auth.jwt_skew=60001ms"), 1);
    assert_int_equal(load_one("limits.json_depth=4"), 0);
    assert_int_equal(load_one("limits.json_depth=3"), 1);
    assert_int_equal(load_one("limits.json_depth=512"), 0);
    assert_int_equal(load_one("limits.json_depth=513"), 1);
}

static void flags_are_yes_or_no(void **state)
{
    (void)state;
    assert_int_equal(load_one("token.ends_streams=no"), 0);
    assert_false(options.token.ends_streams);
    assert_int_equal(load_one("auth.demo_anywhere=yes"), 0);
    assert_true(options.auth.demo_anywhere);
    assert_int_equal(load_one("token.ends_streams=true"), 1);
    assert_int_equal(load_one("token.ends_streams=1"), 1);
    assert_int_equal(load_one("token.ends_streams="), 1);
}

static void words_are_those_of_their_choice(void **state)
{
    (void)state;
    assert_int_equal(load_one("store.durability=normal"), 0);
    assert_int_equal(options.store.durability, CONF_DURABILITY_NORMAL);
    assert_int_equal(load_one("auth.jwt_algorithm=EdDSA"), 0);
    assert_int_equal(options.auth.jwt_algorithm, CONF_JWT_EDDSA);
    assert_int_equal(load_one("nereid.dialect=module"), 0);
    assert_int_equal(options.nereid.dialect, CONF_DIALECT_MODULE);
    assert_int_equal(load_one("nereid.friends=threads"), 0);
    assert_int_equal(options.nereid.friends, CONF_FRIENDS_THREADS);
    assert_int_equal(load_one("log.level=error"), 0);
    assert_int_equal(options.log.level, LOG_ERROR);
    assert_int_equal(load_one("log.format=json"), 0);
    assert_int_equal(options.log.format, LOG_JSON);
    assert_int_equal(load_one("auth.jwt_algorithm=none"), 1);
    assert_int_equal(load_one("auth.jwt_algorithm=hs256"), 1);
    assert_int_equal(load_one("store.durability=full normal"), 1);
}

static void methods_keep_their_order_and_come_once(void **state)
{
    (void)state;
    load_overrides("", "auth.methods=jwt, basic demo", "auth.users=u", "auth.jwt_key=k");
    assert_int_equal(options.auth.methods.count, 3);
    assert_int_equal(options.auth.methods.items[0], CONF_AUTH_JWT);
    assert_int_equal(options.auth.methods.items[1], CONF_AUTH_BASIC);
    assert_int_equal(options.auth.methods.items[2], CONF_AUTH_DEMO);
    assert_int_equal(load_one("auth.methods=demo,demo"), 1);
    assert_int_equal(load_one("auth.methods=demo,ldap"), 1);
}

static void lists_are_separated_by_commas_spaces_or_both(void **state)
{
    (void)state;
    load_overrides("", "http.allow_origins= ,https://a.example,https://b.example ,  http://c.example:8000,,");
    assert_list(&options.http.allow_origins, "https://a.example|https://b.example|http://c.example:8000");
}

static void lines_are_items_as_they_stand(void **state)
{
    (void)state;
    load(SPAN_LITERAL("[http]\ncontent_policy = img-src https://a.example, data:; b\ncontent_policy =\n"
                      "content_policy = strict\n"),
         NULL, "");
    assert_list(&options.http.content_policy, "img-src https://a.example, data:; b|strict");
    assert_int_equal(load_one("http.content_policy="), 0);
    assert_list(&options.http.content_policy, "");
    assert_int_equal(load_one("http.content_policy=\xc3\xa4"), 1);
    assert_string_equal(told(), "-o: http.content_policy must be the value of a header, in ASCII, in one line or "
                                "several, not \"\xc3\xa4\"\n");
}

static void text_may_hold_anything_printable(void **state)
{
    (void)state;
    load_overrides("", "nereid.entity_prefix=a=b, c \"d\" \xc3\xa4;#", "auth.jwt_issuer=https://x/?a=b&c");
    assert_string_equal(options.nereid.entity_prefix, "a=b, c \"d\" \xc3\xa4;#");
    assert_string_equal(options.auth.jwt_issuer, "https://x/?a=b&c");
}

/* --- forms --- */

struct form_case {
    const char *text;
    bool good;
};

static void assert_form(const struct form *form, const struct form_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (form->good(span_of(cases[i].text)) != cases[i].good)
            fail_msg("%s should %sbe good", cases[i].text, cases[i].good ? "" : "not ");
    }
}

static void listen_addresses(void **state)
{
    (void)state;
    static const struct form_case cases[] = {
        {"127.0.0.1:8080", true},
        {"0.0.0.0:0", true},
        {"*:80", true},
        {"localhost:65535", true},
        {"[::1]:8080", true},
        {"[2001:db8::1]:1", true},
        {"unix:/run/x", true},
        {"unix:x", true},
        {"systemd", true},
        {"systemd:http", true},
        {"tls:127.0.0.1:8443", true},
        {"proxy:unix:/run/x", true},
        {"proxy:tls:systemd:https", true},
        {"tls:proxy:127.0.0.1:1", false},
        {"tls:tls:127.0.0.1:1", false},
        {"tls:", false},
        {"", false},
        {":8080", false},
        {"8080", false},
        {"127.0.0.1", false},
        {"127.0.0.1:", false},
        {"127.0.0.1:65536", false},
        {"127.0.0.1:080", false},
        {"127.0.0.1:+80", false},
        {"127.0.0.1:80x", false},
        {"127.1:80", false},
        {"256.0.0.1:80", false},
        {"::1:8080", false},
        {"[::1]", false},
        {"[::1:8080", false},
        {"[127.0.0.1]:80", false},
        {"[]:80", false},
        {"host.example:80", false},
        {"unix:", false},
        {"systemd:", false},
        {"systemdx", false},
        {"http://127.0.0.1:80", false},
    };
    assert_form(&form_listen, cases, array_len(cases));
}

static void what_stands_in_front_of_an_address(void **state)
{
    (void)state;
    assert_true(listen_has_layer(SPAN_LITERAL("tls:*:1"), LISTEN_TLS));
    assert_true(listen_has_layer(SPAN_LITERAL("proxy:tls:*:1"), LISTEN_TLS));
    assert_true(listen_has_layer(SPAN_LITERAL("proxy:tls:*:1"), LISTEN_PROXY));
    assert_false(listen_has_layer(SPAN_LITERAL("tls:*:1"), LISTEN_PROXY));
    assert_false(listen_has_layer(SPAN_LITERAL("proxy:*:1"), LISTEN_TLS));
    assert_false(listen_has_layer(SPAN_LITERAL("unix:tls:"), LISTEN_TLS));
}

static void a_unix_path_fits_a_socket_address(void **state)
{
    (void)state;
    char text[114];
    memset(text, 'x', sizeof(text));
    memcpy(text, "unix:", 5);
    assert_true(form_listen.good((struct span){text, 5 + 107}));
    assert_false(form_listen.good((struct span){text, 5 + 108}));
}

static void only_loopback_and_unix_sockets_are_local(void **state)
{
    (void)state;
    static const struct form_case cases[] = {
        {"127.0.0.1:1", true},
        {"127.255.0.1:1", true},
        {"[::1]:1", true},
        {"localhost:1", true},
        {"unix:/x", true},
        {"proxy:tls:[::1]:1", true},
        {"tls:*:1", false},
        {"128.0.0.1:1", false},
        {"0.0.0.0:1", false},
        {"*:1", false},
        {"[::]:1", false},
        {"[::2]:1", false},
        {"[::ffff:127.0.0.1]:1", false},
        {"systemd", false},
        {"systemd:http", false},
    };
    for (size_t i = 0; i < array_len(cases); i++)
        assert_int_equal(listen_is_local(span_of(cases[i].text)), cases[i].good);
}

static void origins(void **state)
{
    (void)state;
    static const struct form_case cases[] = {
        {"https://chat.example", true},
        {"http://localhost:3000", true},
        {"https://[::1]:8443", true},
        {"https://[::1]", true},
        {"capacitor://localhost", true},
        {"http://127.0.0.1:80", true},
        {"*", false},
        {"null", false},
        {"", false},
        {"https://", false},
        {"://x", false},
        {"chat.example", false},
        {"https://chat.example/", false},
        {"https://Chat.example", false},
        {"HTTPS://chat.example", false},
        {"https://*.example", false},
        {"https://u@chat.example", false},
        {"https://chat.example:", false},
        {"https://a:1:2", false},
        {"1http://x", false},
        {"https://1.2.3", false},
    };
    assert_form(&form_origin, cases, array_len(cases));
}

static void networks(void **state)
{
    (void)state;
    static const struct form_case cases[] = {
        {"10.0.0.1", true},      {"10.0.0.0/8", true},
        {"0.0.0.0/0", true},     {"10.0.0.1/32", true},
        {"2001:db8::/32", true}, {"::1", true},
        {"::/0", true},          {"::1/128", true},
        {"unix", true},          {"", false},
        {"10.0.0.0/33", false},  {"::/129", false},
        {"10.0.0.1/8", false},   {"2001:db8::1/32", false},
        {"10.0.0.0/", false},    {"10.0.0.0/-1", false},
        {"10.0.0.0/08", false},  {"10.0.0/8", false},
        {"host", false},         {"10.0.0.1:80", false},
        {"[::1]", false},        {"10.128.0.0/9", true},
        {"10.128.0.0/8", false},
    };
    assert_form(&form_network, cases, array_len(cases));
}

static void header_names(void **state)
{
    (void)state;
    static const struct form_case cases[] = {
        {"X-Forwarded-User", true}, {"x_1.~!", true}, {"", true}, {"X Y", false}, {"X:", false}, {"X(", false},
        {"X\xc3\xa4", false},
    };
    assert_form(&form_header_name, cases, array_len(cases));
}

static void header_values(void **state)
{
    (void)state;
    static const struct form_case cases[] = {
        {"default-src 'self'; img-src data:", true},
        {"", true},
        {" ~", true},
        {"a\tb", false},
        {"a\nb", false},
        {"a\x7f", false},
        {"\xc3\xa4", false},
    };
    assert_form(&form_header_value, cases, array_len(cases));
}

static void rooms(void **state)
{
    (void)state;
    char longest[FORM_ROOM_MAX + 2];
    memset(longest, 'x', sizeof(longest));
    assert_true(form_room.good(SPAN_LITERAL("a room")));
    assert_true(form_room.good((struct span){longest, FORM_ROOM_MAX}));
    assert_false(form_room.good((struct span){longest, FORM_ROOM_MAX + 1}));
    assert_false(form_room.good(SPAN_LITERAL("")));
    assert_int_equal(load_one("sockets.room="), 1);
}

static void store_urls(void **state)
{
    (void)state;
    static const struct form_case cases[] = {
        {"sqlite:/var/chat.db", true}, {"sqlite::memory:", true}, {"sqlite:", false}, {"", false},
        {"/var/chat.db", false},       {"mysql:x", false},
    };
    assert_form(&form_store_url, cases, array_len(cases));
}

/* --- the file --- */

static void a_file_has_sections_comments_and_spaces(void **state)
{
    (void)state;
    load_file("\xef\xbb\xbf# a comment\r\n"
              "; another\n"
              "\n"
              "[limits]\n"
              "header=16K\n"
              "  body \t=\t 1M  \r\n"
              "  [log]  \n"
              "level = debug\n"
              "[limits]\n"
              "history = 7",
              "");
    assert_int_equal(options.limits.header_bytes, 16384);
    assert_int_equal(options.limits.body_bytes, 1048576);
    assert_int_equal(options.limits.history, 7);
    assert_int_equal(options.log.level, LOG_DEBUG);
}

static void a_value_may_hold_the_marks_of_the_file(void **state)
{
    (void)state;
    load_file("[auth]\njwt_issuer = [a]=b:c;d#e\n[nereid]\nentity_prefix =\n", "");
    assert_string_equal(options.auth.jwt_issuer, "[a]=b:c;d#e");
    assert_string_equal(options.nereid.entity_prefix, "");
}

static void a_list_may_be_repeated_in_the_file(void **state)
{
    (void)state;
    load_file("[http]\nlisten = 127.0.0.1:1, unix:/a\nlisten = [::1]:2\n[admin]\nlisten =\n", "");
    assert_list(&options.http.listen, "127.0.0.1:1|unix:/a|[::1]:2");
    assert_list(&options.admin.listen, "");
}

static void every_error_is_told_with_its_line(void **state)
{
    (void)state;
    load_file("early = 1\n"
              "[limits]\n"
              "header = 8KB\n"
              "headers = 8K\n"
              "body\n"
              "url: 2K\n"
              "history = 5\n"
              "history = 6\n"
              "[limit]\n"
              "header = 8K\n"
              "[auth\n"
              "users = /u\n"
              "[http]\n"
              "allow_origins = https://a.example, *, x\n"
              "cache = 5m ; five minutes\n"
              "= 5\n",
              "conf:1: the line stands before the first [section]\n"
              "conf:3: limits.header must be a size from 1K to 64K, not \"8KB\"\n"
              "conf:4: there is no option limits.headers\n"
              "conf:5: the line is neither [section], name = value nor a comment\n"
              "conf:6: the line is neither [section], name = value nor a comment\n"
              "conf:8: limits.history is given twice, first in line 7\n"
              "conf:9: there is no section [limit]\n"
              "conf:11: a section must read [name]\n"
              "conf:14: http.allow_origins must be a list of origins such as https://chat.example, not \"*\"\n"
              "conf:15: a comment must stand on a line of its own\n"
              "conf:16: the line is neither [section], name = value nor a comment\n");
}

static void an_error_says_what_would_be_good(void **state)
{
    (void)state;
    load_file(
        "[limits]\nidle = 20\nsend_rate = many\nhistory = 0\n"
        "[token]\nends_streams = on\n"
        "[log]\nlevel = loud\n"
        "[auth]\nmethods = demo, ldap\nheader = X Y\njwt_claim =\ntrusted = proxy\n"
        "[store]\nurl = chat.db\n"
        "[http]\nlisten = 8080\n",
        "conf:2: limits.idle must be a duration from 100ms to 1h, not \"20\"\n"
        "conf:3: limits.send_rate must be a number per minute from 0 to 1000000, not \"many\"\n"
        "conf:4: limits.history must be a number from 1 to 10000, not \"0\"\n"
        "conf:6: token.ends_streams must be yes or no, not \"on\"\n"
        "conf:8: log.level must be debug, info, warn or error, not \"loud\"\n"
        "conf:10: auth.methods must be a list of different words out of demo, basic, header or jwt, not "
        "\"ldap\"\n"
        "conf:11: auth.header must be a header name, not \"X Y\"\n"
        "conf:12: auth.jwt_claim must be the name of a claim, not \"\"\n"
        "conf:13: auth.trusted must be a list of addresses, networks such as 10.0.0.0/8, or unix, not \"proxy\"\n"
        "conf:15: store.url must be sqlite:PATH, redis://HOST, redis+unix:PATH or redis+sentinel://HOST,.../MASTER\n"
        "conf:17: http.listen must be a list of ADDRESS:PORT, [V6]:PORT, unix:PATH or systemd:NAME, not "
        "\"8080\"\n");
}

static void bytes_that_are_not_printable_are_refused_and_not_shown(void **state)
{
    (void)state;
    load(SPAN_LITERAL("[log]\nfile = a\0b\nfile = \x1b[2J\nfile = \xff\n[lo\x01g]\nx=1\n"), NULL,
         "conf:2: the line is not printable UTF-8\n"
         "conf:3: the line is not printable UTF-8\n"
         "conf:4: the line is not printable UTF-8\n"
         "conf:5: the line is not printable UTF-8\n");
}

/* inih would cut the line, and nobody would know. */
static void a_line_that_is_too_long_is_refused_and_the_longest_is_whole(void **state)
{
    (void)state;
    char text[512];
    char value[256];
    memset(value, 'x', sizeof(value));
    (void)snprintf(text, sizeof(text), "[auth]\nusers=%.192s\njwt_issuer=%.188s\n[log]\nlevel=warn\n", value, value);
    load_file(text, "conf:3: the line is too long\n");
    assert_int_equal(strlen(options.auth.users), 192);
    assert_string_equal(options.auth.jwt_issuer, "");
    assert_int_equal(options.log.level, LOG_WARN);
}

static void what_may_be_given_in_several_lines_is_told_so(void **state)
{
    (void)state;
    char text[2048];
    char value[256];
    memset(value, 'x', sizeof(value));
    (void)snprintf(text, sizeof(text),
                   "[auth]\nmethods=basic\nusers=%.200s\n[http]\ncontent_policy=%.200s\nallow_origins=%.200s\n"
                   "[%.200s]\nlisten=%.200s\n",
                   value, value, value, value, value);
    load_file(text, "conf:3: the line is too long\n"
                    "conf:5: the line is too long (http.content_policy may be given in several lines)\n"
                    "conf:6: the line is too long (http.allow_origins may be given in several lines)\n"
                    "conf:7: the line is too long\n"
                    "conf:8: the line is too long\n");
}

/* inih would take it for more of the value before. */
static void an_indented_line_is_a_line_of_its_own(void **state)
{
    (void)state;
    load_file("[auth]\nusers = a\n  jwt_issuer = b\n\tjwt_audience = c\n", "");
    assert_string_equal(options.auth.users, "a");
    assert_string_equal(options.auth.jwt_issuer, "b");
    assert_string_equal(options.auth.jwt_audience, "c");
}

static void a_file_that_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(options_load(&options, path, NULL, 0, &errors), 1);
    assert_string_equal(told(), "conf: No such file or directory\n");
    buf_reset(&errors);
    assert_int_equal(options_load(&options, folder, NULL, 0, &errors), 1);
    assert_non_null(strstr(told(), ": Is a directory\n"));
}

/* --- the command line's -o --- */

static void the_command_line_goes_before_the_file(void **state)
{
    (void)state;
    load(SPAN_LITERAL("[limits]\nheader = 16K\nbody = 1M\n"), (const char *const[]){"limits.header=32K", NULL}, "");
    assert_int_equal(options.limits.header_bytes, 32768);
    assert_int_equal(options.limits.body_bytes, 1048576);
}

static void the_command_line_replaces_a_list_and_then_adds_to_it(void **state)
{
    (void)state;
    load(SPAN_LITERAL("[http]\nlisten = 127.0.0.1:1\nlisten = 127.0.0.1:2\n"),
         (const char *const[]){"http.listen=127.0.0.1:3", "http.listen=127.0.0.1:4", NULL}, "");
    assert_list(&options.http.listen, "127.0.0.1:3|127.0.0.1:4");
}

static void errors_of_the_command_line_name_it(void **state)
{
    (void)state;
    load_overrides("-o: limits.header must be a size from 1K to 64K, not \"x\"\n"
                   "-o: there is no option limits.headers\n"
                   "-o: there is no option limit.header\n"
                   "-o: the argument must read section.name=value\n"
                   "-o: the argument must read section.name=value\n"
                   "-o: the argument must read section.name=value\n"
                   "-o: log.level is given twice\n"
                   "-o: the argument is not printable UTF-8\n",
                   "limits.header=x", "limits.headers=1", "limit.header=1", "limits.header", "header=8K", "",
                   "log.level=info", "log.level=warn", "log.file=\n");
}

static void an_empty_value_is_an_empty_list_or_text(void **state)
{
    (void)state;
    load_overrides("", "admin.listen=", "http.www=");
    assert_list(&options.admin.listen, "");
    assert_string_equal(options.http.www, "");
}

/* --- rules --- */

static void demo_is_for_this_machine_unless_forced(void **state)
{
    (void)state;
    load_file("[http]\nlisten = 127.0.0.1:0\nlisten = 0.0.0.0:0\n",
              "conf:3: http.listen must be on loopback or a Unix socket while auth.methods has demo, unless "
              "auth.demo_anywhere is yes\n");
    assert_int_equal(load_one("http.listen=*:0"), 1);
    assert_int_equal(load_one("http.listen=systemd:http"), 1);
    assert_int_equal(load_one("http.listen=[::1]:0 localhost:0 unix:/x"), 0);
    (void)end(NULL);
    (void)start(NULL);
    load_overrides("", "http.listen=*:0", "auth.demo_anywhere=yes");
    (void)end(NULL);
    (void)start(NULL);
    load_overrides("", "http.listen=*:0", "auth.methods=basic", "auth.users=/u");
}

static void each_method_needs_its_options(void **state)
{
    (void)state;
    load_file("[auth]\nheader =\nmethods = basic, header, jwt\n",
              "conf:3: auth.methods has basic, which needs auth.users\n"
              "conf:3: auth.methods has header, which needs auth.header\n"
              "conf:3: auth.methods has header, which needs auth.trusted\n"
              "conf:3: auth.methods has jwt, which needs auth.jwt_key or auth.jwt_jwks\n");
}

static void methods_with_their_options_are_good(void **state)
{
    (void)state;
    load_file("[auth]\nmethods = basic header jwt\nusers = u\ntrusted = unix\njwt_jwks = k\n", "");
}

static void there_is_one_source_of_keys(void **state)
{
    (void)state;
    load_overrides("-o: auth.jwt_key and auth.jwt_jwks cannot both be given\n", "auth.methods=jwt", "auth.jwt_jwks=a",
                   "auth.jwt_key=b");
}

static void somebody_can_connect_and_log_in(void **state)
{
    (void)state;
    load_overrides("-o: http.listen, talker.listen and admin.listen are all empty\n"
                   "-o: auth.methods is empty: nobody could log in\n",
                   "http.listen=", "talker.listen=", "admin.listen=", "auth.methods=");
}

static void encryption_needs_a_certificate_with_its_key(void **state)
{
    (void)state;
    load_overrides("-o: talker.listen has an address with tls:, which needs tls.certificate and tls.key\n",
                   "talker.listen=tls:127.0.0.1:0");
    (void)end(NULL);
    (void)start(NULL);
    load_overrides("-o: tls.key must name as many files as tls.certificate, in the same order\n",
                   "http.listen=tls:127.0.0.1:0", "tls.certificate=a b", "tls.key=a");
    (void)end(NULL);
    (void)start(NULL);
    load_overrides("", "http.listen=tls:127.0.0.1:0", "tls.certificate=a b", "tls.key=a b");
}

static void proxies_must_be_named(void **state)
{
    (void)state;
    load_overrides("-o: http.listen has an address with proxy:, which needs proxy.trusted\n",
                   "http.listen=proxy:127.0.0.1:0");
    (void)end(NULL);
    (void)start(NULL);
    load_overrides("", "http.listen=proxy:127.0.0.1:0", "proxy.trusted=127.0.0.1");
}

static void a_rule_is_silent_where_a_value_is_bad_already(void **state)
{
    (void)state;
    load_overrides("-o: auth.trusted must be a list of addresses, networks such as 10.0.0.0/8, or unix, not \"x\"\n",
                   "auth.methods=header", "auth.trusted=x");
}

static void a_broken_rule_is_told_where_something_was_set(void **state)
{
    (void)state;
    load_overrides("-o: store.lease_renewal must be at most half of store.lease\n", "store.lease=3s");
    (void)end(NULL);
    (void)start(NULL);
    load_file("[tls]\ncertificate = x\n",
              "conf:2: tls.key must name as many files as tls.certificate, in the same order\n");
}

/* --- the table and what is made of it --- */

static void every_row_is_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < OPTION_ROWS; i++) {
        const struct option_row *row = &option_rows[i];
        size_t help = strlen(row->help);
        struct buf text = BUF_INIT;
        struct span bad;
        assert_ptr_equal(option_find(span_of(row->section), span_of(row->name)), row);
        assert_non_null(option_section_find(span_of(row->section)));
        assert_int_equal(row->help[help - 1], '.');
        assert_null(strpbrk(row->help, "\"\\\n"));
        option_describe(row, &text);
        assert_in_range(text.len, 4, 200);
        buf_fini(&text);
        option_clear(row, &options);
        for (const char *const *bound = (const char *const[]){row->min, row->max, NULL}; *bound; bound++)
            assert_int_equal(option_set(row, &options, span_of(*bound), &bad), OK);
        option_clear(row, &options);
        assert_int_equal(option_set(row, &options, span_of(row->preset), &bad), OK);
    }
}

static char *written(void (*write)(FILE *out))
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    write(out);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* The example with its options switched on says what the defaults are. */
static void the_example_is_a_file_of_defaults(void **state)
{
    (void)state;
    char *text = written(doc_example);
    unsigned count = 0;
    load_file(text, "");
    for (char *at = text; (at = strstr(at, "\n#")); at++) {
        if (at[2] == ' ')
            continue;
        at[1] = ' ';
        count++;
    }
    assert_int_equal(count, OPTION_ROWS);
    load_file(text, "");
    free(text);
    assert_list(&options.http.listen, "127.0.0.1:8080");
    assert_int_equal(options.limits.header_bytes, 8192);
    assert_string_equal(options.nereid.entity_prefix, "nereid.user,");
}

static void assert_names_every_option(const char *text)
{
    for (size_t i = 0; i < OPTION_ROWS; i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "%s.%s", option_rows[i].section, option_rows[i].name);
        if (!strstr(text, name))
            fail_msg("%s is missing", name);
    }
}

/* Where the prefix is long, so are the folders below it. */
static bool holds_path(const char *line, size_t len)
{
    return memmem(line, len, "=/", 2) || memmem(line, len, "=sqlite:", 8);
}

static void assert_narrow(const char *text)
{
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        if (strcspn(line, "\n") > 80 && !holds_path(line, strcspn(line, "\n")))
            fail_msg("too wide: %.*s", (int)strcspn(line, "\n"), line);
}

static void help_names_every_option_in_80_columns(void **state)
{
    (void)state;
    char *text = written(command_help);
    assert_names_every_option(text);
    assert_narrow(text);
    free(text);
}

static enum err write_page(const char *page, char **ret_text)
{
    size_t size;
    FILE *in = fmemopen((void *)(uintptr_t)page, strlen(page), "r");
    FILE *out = open_memstream(ret_text, &size);
    assert_non_null(in);
    assert_non_null(out);
    enum err err = doc_man(in, out);
    (void)fclose(in);
    (void)fclose(out);
    return err;
}

static void the_manual_page_names_every_option_in_place_of_the_mark(void **state)
{
    (void)state;
    char *text;
    assert_int_equal(write_page(".SH OPTIONS\n@OPTIONS@\n.SH EXAMPLES\n", &text), OK);
    assert_int_equal(strncmp(text, ".SH OPTIONS\n.SS ", 16), 0);
    assert_string_equal(text + strlen(text) - 13, ".SH EXAMPLES\n");
    assert_names_every_option(text);
    assert_null(strstr(text, "\n\n"));
    free(text);
}

static void a_manual_page_has_one_mark(void **state)
{
    (void)state;
    char *text;
    assert_int_equal(write_page(".SH OPTIONS\n", &text), ERR_BAD_REQUEST);
    free(text);
    assert_int_equal(write_page("@OPTIONS@\n@OPTIONS@\n", &text), ERR_BAD_REQUEST);
    free(text);
}

/* --- the command line --- */

enum { ARGS_MAX = 12 };

/* Parses the words of `line`; what was written of errors is in `errors`. */
static enum err parse(const char *line, struct command *ret_command)
{
    static char copy[256];
    char *argv[ARGS_MAX] = {NULL};
    int argc = 0;
    (void)snprintf(copy, sizeof(copy), "nereidd %s", line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    enum err err = command_parse(argc, argv, ret_command, out);
    (void)fclose(out);
    buf_reset(&errors);
    buf_add_text(&errors, text);
    free(text);
    return err;
}

static void assert_refused(const char *line, const char *why)
{
    struct command command;
    char expected[256];
    assert_int_equal(parse(line, &command), ERR_BAD_REQUEST);
    int len = snprintf(expected, sizeof(expected), "nereidd: %s\nusage: nereidd ", why);
    if (strncmp(told(), expected, (size_t)len) != 0)
        fail_msg("%s: %s", line, told());
}

static void without_arguments_it_runs(void **state)
{
    (void)state;
    struct command command;
    assert_int_equal(parse("", &command), OK);
    assert_int_equal(command.action, COMMAND_RUN);
    assert_null(command.config);
    assert_int_equal(command.override_count, 0);
    assert_int_equal(errors.len, 0);
    command_fini(&command);
}

static void arguments_have_a_short_and_a_long_form(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "-c file -o a.b=1 -o c.d=2 -t",
        "-tcfile -oa.b=1 -oc.d=2",
        "--config file --option=a.b=1 --option c.d=2 --test",
    };
    for (size_t i = 0; i < array_len(lines); i++) {
        struct command command;
        assert_int_equal(parse(lines[i], &command), OK);
        assert_int_equal(command.action, COMMAND_TEST);
        assert_string_equal(command.config, "file");
        assert_int_equal(command.override_count, 2);
        assert_string_equal(command.overrides[0], "a.b=1");
        assert_string_equal(command.overrides[1], "c.d=2");
        command_fini(&command);
    }
}

static void help_and_version_go_before_all_else(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum command_action action;
    } rows[] = {
        {"-h", COMMAND_HELP},       {"--help", COMMAND_HELP},   {"-V", COMMAND_VERSION}, {"--version", COMMAND_VERSION},
        {"-t -V", COMMAND_VERSION}, {"-V -t", COMMAND_VERSION}, {"-V -h", COMMAND_HELP}, {"-h -V", COMMAND_HELP},
    };
    for (size_t i = 0; i < array_len(rows); i++) {
        struct command command;
        assert_int_equal(parse(rows[i].line, &command), OK);
        assert_int_equal(command.action, rows[i].action);
        command_fini(&command);
    }
}

static void hash_password_takes_a_user_and_a_name(void **state)
{
    (void)state;
    struct command command;
    assert_int_equal(parse("--hash-password alice Alice", &command), OK);
    assert_int_equal(command.action, COMMAND_HASH_PASSWORD);
    assert_string_equal(command.user, "alice");
    assert_string_equal(command.name, "Alice");
    command_fini(&command);
    assert_int_equal(parse("--hash-password alice", &command), OK);
    assert_string_equal(command.user, "alice");
    assert_null(command.name);
    command_fini(&command);
}

static void wrong_arguments_are_named_with_the_usage(void **state)
{
    (void)state;
    assert_refused("-x", "-x is not understood");
    assert_refused("-tx", "-x is not understood");
    assert_refused("--port 80", "--port is not understood");
    assert_refused("--test=yes", "--test=yes is not understood");
    assert_refused("-c", "-c needs an argument");
    assert_refused("--option", "--option needs an argument");
    assert_refused("-c a -c b", "-c is given twice");
    assert_refused("file", "file is too much");
    assert_refused("-t -- -c", "-c is too much");
    assert_refused("--hash-password a b c", "c is too much");
    assert_refused("--hash-password", "--hash-password needs a user");
    assert_refused("-t --hash-password", "--test and --hash-password do not go together");
}

#define conf_test(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        conf_test(defaults_are_good),
        conf_test(durations_have_a_unit),
        conf_test(what_is_not_a_duration_is_refused),
        conf_test(sizes_may_have_a_unit),
        conf_test(numbers_have_no_unit),
        conf_test(the_ends_of_a_range_are_in_it),
        conf_test(flags_are_yes_or_no),
        conf_test(words_are_those_of_their_choice),
        conf_test(methods_keep_their_order_and_come_once),
        conf_test(lists_are_separated_by_commas_spaces_or_both),
        conf_test(lines_are_items_as_they_stand),
        conf_test(text_may_hold_anything_printable),
        conf_test(listen_addresses),
        conf_test(what_stands_in_front_of_an_address),
        conf_test(a_unix_path_fits_a_socket_address),
        conf_test(only_loopback_and_unix_sockets_are_local),
        conf_test(origins),
        conf_test(networks),
        conf_test(header_names),
        conf_test(header_values),
        conf_test(rooms),
        conf_test(store_urls),
        conf_test(a_file_has_sections_comments_and_spaces),
        conf_test(a_value_may_hold_the_marks_of_the_file),
        conf_test(a_list_may_be_repeated_in_the_file),
        conf_test(every_error_is_told_with_its_line),
        conf_test(an_error_says_what_would_be_good),
        conf_test(bytes_that_are_not_printable_are_refused_and_not_shown),
        conf_test(a_line_that_is_too_long_is_refused_and_the_longest_is_whole),
        conf_test(what_may_be_given_in_several_lines_is_told_so),
        conf_test(an_indented_line_is_a_line_of_its_own),
        conf_test(a_file_that_cannot_be_read_is_an_error),
        conf_test(the_command_line_goes_before_the_file),
        conf_test(the_command_line_replaces_a_list_and_then_adds_to_it),
        conf_test(errors_of_the_command_line_name_it),
        conf_test(an_empty_value_is_an_empty_list_or_text),
        conf_test(demo_is_for_this_machine_unless_forced),
        conf_test(each_method_needs_its_options),
        conf_test(methods_with_their_options_are_good),
        conf_test(there_is_one_source_of_keys),
        conf_test(somebody_can_connect_and_log_in),
        conf_test(encryption_needs_a_certificate_with_its_key),
        conf_test(proxies_must_be_named),
        conf_test(a_rule_is_silent_where_a_value_is_bad_already),
        conf_test(a_broken_rule_is_told_where_something_was_set),
        conf_test(every_row_is_whole),
        conf_test(the_example_is_a_file_of_defaults),
        conf_test(help_names_every_option_in_80_columns),
        conf_test(the_manual_page_names_every_option_in_place_of_the_mark),
        conf_test(a_manual_page_has_one_mark),
        conf_test(without_arguments_it_runs),
        conf_test(arguments_have_a_short_and_a_long_form),
        conf_test(help_and_version_go_before_all_else),
        conf_test(hash_password_takes_a_user_and_a_name),
        conf_test(wrong_arguments_are_named_with_the_usage),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
