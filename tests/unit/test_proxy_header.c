/* SPDX-License-Identifier: MIT */
/* PROXY headers of both versions: what is taken, what is refused, and at which byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/proxy_header.h"

/* `address port`, or `own` where the header names none. */
static void describe(const struct proxy_header *header, char text[64])
{
    char host[INET6_ADDRSTRLEN] = "";
    const struct sockaddr_in *in = (const void *)&header->source;
    const struct sockaddr_in6 *in6 = (const void *)&header->source;
    bool is_v4 = header->source.ss_family == AF_INET;
    (void)snprintf(text, 64, "own");
    if (!header->has_source)
        return;
    (void)inet_ntop(header->source.ss_family, is_v4 ? (const void *)&in->sin_addr : (const void *)&in6->sin6_addr, host,
                    sizeof(host));
    (void)snprintf(text, 64, "%s %u", host, (unsigned)ntohs(is_v4 ? in->sin_port : in6->sin6_port));
}

/* Byte by byte in memory of exactly that size: more before the end, done at it, and then the same with bytes behind. */
static void expect_header(struct span bytes, const char *source)
{
    struct proxy_header header;
    char text[64];
    for (size_t len = 0; len < bytes.len; len++) {
        char *part = malloc(len + 1);
        memcpy(part, bytes.data, len);
        assert_int_equal(proxy_header_parse((struct span){part, len}, &header), PROXY_HEADER_MORE);
        free(part);
    }
    for (size_t more = 0; more < 3; more++) {
        char *all = malloc(bytes.len + more);
        memcpy(all, bytes.data, bytes.len);
        memset(all + bytes.len, '\n', more);
        assert_int_equal(proxy_header_parse((struct span){all, bytes.len + more}, &header), PROXY_HEADER_DONE);
        assert_int_equal(header.len, bytes.len);
        describe(&header, text);
        assert_string_equal(text, source);
        free(all);
    }
}

/* Refused with the byte number `at` (from 0), and not before. */
static void expect_bad(struct span bytes, size_t at)
{
    struct proxy_header header = {.len = 4711};
    assert_true(at < bytes.len);
    assert_int_equal(proxy_header_parse((struct span){bytes.data, at}, &header), PROXY_HEADER_MORE);
    assert_int_equal(proxy_header_parse((struct span){bytes.data, at + 1}, &header), PROXY_HEADER_BAD);
    assert_int_equal(proxy_header_parse(bytes, &header), PROXY_HEADER_BAD);
    assert_int_equal(header.len, 4711);
}

static void lines_of_version_1(void **state)
{
    (void)state;
    static const struct {
        const char *line, *source;
    } cases[] = {
        {"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", "192.0.2.1 56324"},
        {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255 65535"},
        {"PROXY TCP4 192.0.2.1 0.0.0.0 0 0\r\n", "192.0.2.1 0"},
        {"PROXY TCP6 2001:db8::1 2001:DB8::2 1 2\r\n", "2001:db8::1 1"},
        {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535"},
        {"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "::ffff:192.0.2.1 1"},
        {"PROXY UNKNOWN\r\n", "own"},
        {"PROXY UNKNOWN 192.0.2.1 192.0.2.2 1 2\r\n", "own"},
        {"PROXY UNKNOWN what ever this  may be\r\n", "own"},
        {"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
         "65535\r\n",
         "own"},
    };
    for (size_t i = 0; i < array_len(cases); i++)
        expect_header(span_of(cases[i].line), cases[i].source);
}

static void lines_that_are_refused_at_their_end(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 \r\n",
        "PROXY TCP4 192.0.2.1\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2  1 2\r\n",
        "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 000002\r\n",
        "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
        "PROXY TCP4 0.0.0.0 192.0.2.2 1 2\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP6 :: ::1 1 2\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
        "PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n",
        "PROXY TCP6 2001:db8::1::2 ::1 1 2\r\n",
        "PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY UNIX\r\n",
        "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
    };
    for (size_t i = 0; i < array_len(lines); i++)
        expect_bad(span_of(lines[i]), strlen(lines[i]) - 1);
    expect_bad(SPAN_LITERAL("PROXY TCP4 192.0.2.1\0 192.0.2.2 1 2\r\n"), 36);
}

static void a_line_ends_with_both_bytes_and_within_107(void **state)
{
    (void)state;
    char line[120];
    expect_bad(span_of("PROXY UNKNOWN\n"), 13);
    expect_bad(span_of("PROXY UNKNOWN\rX\r\n"), 14);
    expect_bad(span_of("PROXY UNKNOWN\r\r\n"), 14);
    memset(line, 'x', sizeof(line));
    memcpy(line, "PROXY UNKNOWN ", 14);
    memcpy(line + 105, "\r\n", 2);
    expect_header((struct span){line, 107}, "own");
    memcpy(line + 105, "x\r\n", 3);
    expect_bad((struct span){line, 108}, 106);
}

static void what_is_no_header_is_seen_with_its_first_wrong_byte(void **state)
{
    (void)state;
    expect_bad(span_of("GET / HTTP/1.1\r\n"), 0);
    expect_bad(span_of("PUT / HTTP/1.1\r\n"), 1);
    expect_bad(span_of("PROXIES\r\n"), 4);
    expect_bad(span_of("PROXY\tTCP4"), 5);
    expect_bad(span_of("proxy TCP4"), 0);
    expect_bad(span_of("{\"type\":\"connect\"}\n"), 0);
    expect_bad(SPAN_LITERAL("\x16\x03\x01\x02\x00"), 0);
    expect_bad(SPAN_LITERAL("\r\n\r\n\r\n"), 4);
    expect_bad(SPAN_LITERAL("\r\n\r\n\0\r\nQUIT\r"), 11);
}

/* --- version 2 --- */

struct binary {
    unsigned char bytes[PROXY_HEADER_MAX + 16];
    size_t len;
};

static struct binary binary_of(unsigned version_command, unsigned family, size_t len)
{
    struct binary header = {.len = 16 + len};
    memcpy(header.bytes, "\r\n\r\n\0\r\nQUIT\n", 12);
    header.bytes[12] = (unsigned char)version_command;
    header.bytes[13] = (unsigned char)family;
    header.bytes[14] = (unsigned char)(len >> 8);
    header.bytes[15] = (unsigned char)len;
    for (size_t i = 0; i < len && 16 + i < sizeof(header.bytes); i++)
        header.bytes[16 + i] = (unsigned char)(i + 1);
    return header;
}

static struct span span_of_binary(const struct binary *header)
{
    return (struct span){(const char *)header->bytes, header->len};
}

static void headers_of_version_2(void **state)
{
    (void)state;
    static const struct {
        unsigned version_command, family;
        size_t len;
        const char *source;
    } cases[] = {
        {0x21, 0x11, 12, "1.2.3.4 2314"},                         /* TCP over IPv4 */
        {0x21, 0x11, 12 + 60, "1.2.3.4 2314"},                    /* with extensions */
        {0x21, 0x21, 36, "102:304:506:708:90a:b0c:d0e:f10 8482"}, /* TCP over IPv6 */
        {0x21, 0x21, PROXY_HEADER_MAX - 16, "102:304:506:708:90a:b0c:d0e:f10 8482"},
        {0x21, 0x12, 12, "own"}, /* UDP */
        {0x21, 0x22, 36, "own"},
        {0x21, 0x10, 12, "own"},  /* a family without a transport */
        {0x21, 0x31, 216, "own"}, /* a Unix socket */
        {0x21, 0x32, 216, "own"},
        {0x21, 0x00, 0, "own"}, /* unspecified */
        {0x21, 0x00, 7, "own"},
        {0x21, 0x01, 0, "own"},
        {0x20, 0x00, 0, "own"}, /* LOCAL: whatever is said beside it */
        {0x20, 0x11, 12, "own"},
        {0x20, 0xff, 3, "own"},
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct binary header = binary_of(cases[i].version_command, cases[i].family, cases[i].len);
        expect_header(span_of_binary(&header), cases[i].source);
    }
}

static void binary_headers_that_are_refused(void **state)
{
    (void)state;
    static const struct {
        unsigned version_command, family;
        size_t len, at;
    } cases[] = {
        {0x11, 0x11, 12, 12},    {0x31, 0x11, 12, 12}, {0x01, 0x11, 12, 12},   /* other versions */
        {0x22, 0x11, 12, 12},    {0x2f, 0x11, 12, 12},                         /* other commands */
        {0x21, 0x41, 12, 13},    {0x21, 0xf1, 12, 13},                         /* other families */
        {0x21, 0x13, 12, 13},    {0x21, 0x1f, 12, 13},                         /* other transports */
        {0x21, 0x11, 11, 26},    {0x21, 0x21, 35, 50}, {0x21, 0x31, 215, 230}, /* addresses cut */
        {0x21, 0x11, 0, 15},     {0x21, 0x12, 4, 19},  {0x21, 0x11, PROXY_HEADER_MAX - 15, 15},
        {0x20, 0x00, 65535, 15}, /* longer than any */
    };
    for (size_t i = 0; i < array_len(cases); i++) {
        struct binary header = binary_of(cases[i].version_command, cases[i].family, cases[i].len);
        size_t len = header.len < sizeof(header.bytes) ? header.len : sizeof(header.bytes);
        expect_bad((struct span){(const char *)header.bytes, len}, cases[i].at);
    }
}

static void an_address_of_nobody_is_refused(void **state)
{
    (void)state;
    struct binary v4 = binary_of(0x21, 0x11, 12), v6 = binary_of(0x21, 0x21, 36);
    memset(v4.bytes + 16, 0, 4);
    memset(v6.bytes + 16, 0, 16);
    expect_bad(span_of_binary(&v4), 27);
    expect_bad(span_of_binary(&v6), 51);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_version_1),
        cmocka_unit_test(lines_that_are_refused_at_their_end),
        cmocka_unit_test(a_line_ends_with_both_bytes_and_within_107),
        cmocka_unit_test(what_is_no_header_is_seen_with_its_first_wrong_byte),
        cmocka_unit_test(headers_of_version_2),
        cmocka_unit_test(binary_headers_that_are_refused),
        cmocka_unit_test(an_address_of_nobody_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
