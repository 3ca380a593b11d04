/* SPDX-License-Identifier: MIT */
/* Files of a directory: types, caching, and no way out of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/static.h"
#include "tests/lib/http_rig.h"

enum { BIG = 3000000 };

struct shelf {
    struct http_rig rig;
    struct statics *statics;
    char root[64]; /* holds `www`, and `secret` beside it */
};

static void write_file(const struct shelf *shelf, const char *name, const char *bytes, size_t len)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", shelf->root, name);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    (void)close(fd);
}

static void write_text(const struct shelf *shelf, const char *name, const char *text)
{
    write_file(shelf, name, text, strlen(text));
}

static void make_directory(const struct shelf *shelf, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", shelf->root, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

static void make_link(const struct shelf *shelf, const char *target, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", shelf->root, name);
    assert_int_equal(symlink(target, path), 0);
}

static void fill(const struct shelf *shelf)
{
    char *big = malloc(BIG);
    char path[256];
    assert_non_null(big);
    make_directory(shelf, "www");
    make_directory(shelf, "www/sub");
    make_directory(shelf, "www/.git");
    write_text(shelf, "secret", "secret");
    write_text(shelf, "www/index.html", "<title>index</title>");
    write_text(shelf, "www/app.js", "let a;");
    write_text(shelf, "www/a b.CSS", "a{}");
    write_text(shelf, "www/plain", "?");
    write_text(shelf, "www/empty.txt", "");
    write_text(shelf, "www/sub/index.html", "<title>sub</title>");
    write_text(shelf, "www/.hidden", "secret");
    write_text(shelf, "www/.git/config", "secret");
    make_link(shelf, "../secret", "www/link.txt");
    make_link(shelf, "app.js", "www/inside.js");
    make_link(shelf, "..", "www/up");
    memset(big, 'B', BIG);
    write_file(shelf, "www/big.png", big, BIG);
    free(big);
    (void)snprintf(path, sizeof(path), "%s/www/fifo", shelf->root);
    assert_int_equal(mkfifo(path, 0644), 0);
}

static const char policy[] = "default-src 'self'";

static void shelf_open(struct shelf *shelf, unsigned max_age_s)
{
    struct http_limits limits = rig_limits();
    struct router *router = router_new(&(struct router_config){0});
    char path[128];
    *shelf = (struct shelf){.root = "/tmp/nereid-static-XXXXXX"};
    assert_non_null(mkdtemp(shelf->root));
    fill(shelf);
    (void)snprintf(path, sizeof(path), "%s/www", shelf->root);
    assert_int_equal(statics_open(path, max_age_s, policy, &shelf->statics), OK);
    router_set_fallback(router, statics_handle, shelf->statics);
    rig_open(&shelf->rig, &limits, router);
}

static void shelf_close(struct shelf *shelf)
{
    static const char *const names[] = {
        "secret",
        "www/index.html",
        "www/app.js",
        "www/a b.CSS",
        "www/plain",
        "www/empty.txt",
        "www/sub/index.html",
        "www/.hidden",
        "www/.git/config",
        "www/link.txt",
        "www/inside.js",
        "www/up",
        "www/big.png",
        "www/fifo",
        "www/sub",
        "www/.git",
        "www",
        "",
    };
    char path[256];
    rig_close(&shelf->rig);
    statics_close(shelf->statics);
    for (size_t i = 0; i < array_len(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", shelf->root, names[i]);
        assert_int_equal(remove(path), 0);
    }
}

static struct rig_client *get(struct shelf *shelf, const char *method, const char *path, const char *lines)
{
    char text[4096];
    (void)snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s\r\n", method, path, lines);
    struct rig_client *client = rig_connect(&shelf->rig);
    rig_send(&shelf->rig, client, text);
    assert_true(rig_until_eof(&shelf->rig, client));
    rig_client_close(client);
    return client;
}

/* The value of a header of the answer; lives until the next call. */
static const char *header_of(const struct rig_client *client, const char *name)
{
    static char value[256];
    char begin[64];
    (void)snprintf(begin, sizeof(begin), "\r\n%s: ", name);
    const char *found = strcasestr(client->text, begin);
    assert_non_null(found);
    (void)snprintf(value, sizeof(value), "%.*s", (int)strcspn(found + strlen(begin), "\r"), found + strlen(begin));
    return value;
}

static void a_file_has_its_type(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *type;
        const char *body;
    } cases[] = {
        {"/index.html", "text/html; charset=utf-8", "<title>index</title>"},
        {"/", "text/html; charset=utf-8", "<title>index</title>"},
        {"/sub/", "text/html; charset=utf-8", "<title>sub</title>"},
        {"/app.js", "text/javascript; charset=utf-8", "let a;"},
        {"/app.js?v=2", "text/javascript; charset=utf-8", "let a;"},
        {"/a%20b.CSS", "text/css; charset=utf-8", "a{}"},
        {"/plain", "application/octet-stream", "?"},
        {"/empty.txt", "text/plain; charset=utf-8", ""},
    };
    struct shelf shelf;
    shelf_open(&shelf, 60);
    for (size_t i = 0; i < array_len(cases); i++) {
        struct rig_client *client = get(&shelf, "GET", cases[i].path, "");
        assert_int_equal(rig_status(client, 0), 200);
        assert_string_equal(rig_body(client), cases[i].body);
        assert_string_equal(header_of(client, "Content-Type"), cases[i].type);
        assert_string_equal(header_of(client, "Cache-Control"), "max-age=60");
        assert_string_equal(header_of(client, "X-Content-Type-Options"), "nosniff");
    }
    shelf_close(&shelf);
}

static void html_comes_with_its_policy(void **state)
{
    (void)state;
    struct shelf shelf;
    shelf_open(&shelf, 0);
    struct rig_client *html = get(&shelf, "GET", "/", "");
    assert_string_equal(header_of(html, "Content-Security-Policy"), policy);
    assert_string_equal(header_of(html, "Cache-Control"), "no-cache");
    assert_null(strcasestr(get(&shelf, "GET", "/app.js", "")->text, "Content-Security-Policy"));
    shelf_close(&shelf);
}

static void there_is_no_way_out(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/../secret",        "/%2e%2e/secret", "/..%2fsecret",   "/sub/../../secret", "/sub/../app.js",
        "/./app.js",         "//etc/passwd",   "/%2fetc/passwd", "//app.js",          "/sub//index.html",
        "/link.txt",         "/inside.js",     "/up/secret",     "/up/www/app.js",    "/.hidden",
        "/.git/config",      "/%2ehidden",     "/sub",           "/sub/..",           "/fifo",
        "/nothing",          "/app.js/",       "/app.js/x",      "/..\\secret",       "/%5c..%5csecret",
        "/sub%5cindex.html", "/index.html%20",
    };
    struct shelf shelf;
    shelf_open(&shelf, 0);
    for (size_t i = 0; i < array_len(paths); i++) {
        struct rig_client *client = get(&shelf, "GET", paths[i], "");
        if (rig_status(client, 0) != 404)
            fail_msg("%s: %s", paths[i], client->text);
    }
    assert_int_equal(rig_status(get(&shelf, "GET", "/app.js%00.html", ""), 0), 400);
    char longest[1600] = "/";
    memset(longest + 1, 'x', 1500);
    assert_int_equal(rig_status(get(&shelf, "GET", longest, ""), 0), 404);
    shelf_close(&shelf);
}

static void a_known_file_is_not_sent_again(void **state)
{
    (void)state;
    struct shelf shelf;
    char line[512], etag[256];
    shelf_open(&shelf, 60);
    (void)snprintf(etag, sizeof(etag), "%s", header_of(get(&shelf, "GET", "/app.js", ""), "ETag"));
    static const char *const forms[] = {"%s", "W/%s", "\"x\", %s", "\"x\" , W/%s,\"y\""};
    for (size_t i = 0; i < array_len(forms); i++) {
        char list[400];
        (void)snprintf(list, sizeof(list), forms[i], etag);
        (void)snprintf(line, sizeof(line), "If-None-Match: %s\r\n", list);
        struct rig_client *client = get(&shelf, "GET", "/app.js", line);
        assert_int_equal(rig_status(client, 0), 304);
        assert_string_equal(rig_body(client), "");
        assert_string_equal(header_of(client, "ETag"), etag);
    }
    assert_int_equal(rig_status(get(&shelf, "GET", "/app.js", "If-None-Match: *\r\n"), 0), 304);
    assert_int_equal(rig_status(get(&shelf, "GET", "/app.js", "If-None-Match: \"other\"\r\n"), 0), 200);
    write_text(&shelf, "www/app.js", "let b;");
    (void)snprintf(line, sizeof(line), "If-None-Match: %s\r\n", etag);
    struct rig_client *changed = get(&shelf, "GET", "/app.js", line);
    assert_int_equal(rig_status(changed, 0), 200);
    assert_string_equal(rig_body(changed), "let b;");
    shelf_close(&shelf);
}

static void head_tells_the_size(void **state)
{
    (void)state;
    struct shelf shelf;
    shelf_open(&shelf, 0);
    struct rig_client *client = get(&shelf, "HEAD", "/big.png", "");
    assert_int_equal(rig_status(client, 0), 200);
    assert_string_equal(header_of(client, "Content-Length"), "3000000");
    assert_string_equal(rig_body(client), "");
    shelf_close(&shelf);
}

static void a_large_file_arrives_whole(void **state)
{
    (void)state;
    struct shelf shelf;
    shelf_open(&shelf, 0);
    struct rig_client *client = get(&shelf, "GET", "/big.png", "");
    const char *body = rig_body(client);
    assert_int_equal(client->len - (size_t)(body - client->text), BIG);
    assert_int_equal(strspn(body, "B"), BIG);
    shelf_close(&shelf);
}

static void a_missing_directory_is_an_error(void **state)
{
    (void)state;
    struct statics *statics;
    assert_int_equal(statics_open("/nonexistent/www", 0, "", &statics), ERR_NOT_FOUND);
    assert_int_equal(statics_open("/dev/null", 0, "", &statics), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_has_its_type),
        cmocka_unit_test(html_comes_with_its_policy),
        cmocka_unit_test(there_is_no_way_out),
        cmocka_unit_test(a_known_file_is_not_sent_again),
        cmocka_unit_test(head_tells_the_size),
        cmocka_unit_test(a_large_file_arrives_whole),
        cmocka_unit_test(a_missing_directory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
