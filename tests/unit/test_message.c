/* SPDX-License-Identifier: MIT */
/* Messages own their text; types and show values have words; language tags follow RFC 5646; member sets have keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "core/message.h"
#include "core/store.h"

static void assert_span(struct span span, const char *text)
{
    assert_non_null(span.data);
    assert_int_equal(span.len, strlen(text));
    assert_memory_equal(span.data, text, span.len);
}

static void message_copies_its_fields(void **state)
{
    (void)state;
    char text[] = "hello";
    struct message_fields fields = {
        .id = id_random(),
        .thread = id_random(),
        .type = TEXT_RST,
        .time_us = 1297350295123456,
        .sender = SPAN_LITERAL("alice"),
        .sender_name = SPAN_LITERAL("Alice"),
        .text = span_of(text),
        .language = SPAN_LITERAL("en-US"),
        .attachments = SPAN_LITERAL("[{\"name\":\"a\"}]"),
    };
    struct message *message = message_new(&fields);
    assert_non_null(message);
    memset(text, 'x', sizeof(text));

    assert_true(id_equal(message->fields.id, fields.id));
    assert_true(id_equal(message->fields.thread, fields.thread));
    assert_int_equal(message->fields.type, TEXT_RST);
    assert_int_equal(message->fields.time_us, 1297350295123456);
    assert_span(message->fields.sender, "alice");
    assert_span(message->fields.sender_name, "Alice");
    assert_span(message->fields.text, "hello");
    assert_span(message->fields.language, "en-US");
    assert_span(message->fields.attachments, "[{\"name\":\"a\"}]");
    assert_int_equal(message->cursor.major, 0);
    message_unref(message);
}

static void absent_and_empty_fields_stay_apart(void **state)
{
    (void)state;
    struct message_fields fields = {.sender = SPAN_LITERAL("a"), .text = SPAN_LITERAL(""), .subject = SPAN_LITERAL("")};
    struct message *message = message_new(&fields);
    assert_non_null(message);
    assert_span(message->fields.text, "");
    assert_span(message->fields.subject, "");
    assert_null(message->fields.language.data);
    assert_null(message->fields.attachments.data);
    message_unref(message);
}

static void message_lives_until_its_last_reference(void **state)
{
    (void)state;
    struct message_fields fields = {.text = SPAN_LITERAL("still here")};
    struct message *message = message_new(&fields);
    assert_non_null(message);
    assert_ptr_equal(message_ref(message), message);
    message_unref(message);
    assert_span(message->fields.text, "still here");
    message_unref(message);
    message_unref(NULL);
}

static void every_type_has_a_word(void **state)
{
    (void)state;
    assert_string_equal(text_type_word(TEXT_PLAIN), "plain");
    for (unsigned i = 0; i < TEXT_TYPE_COUNT; i++) {
        enum text_type type = TEXT_TYPE_COUNT;
        assert_true(text_type_parse(span_of(text_type_word((enum text_type)i)), &type));
        assert_int_equal(type, i);
    }
    enum text_type type = TEXT_HTML;
    assert_false(text_type_parse(SPAN_LITERAL("Plain"), &type));
    assert_false(text_type_parse(SPAN_LITERAL("plai"), &type));
    assert_false(text_type_parse(SPAN_LITERAL(""), &type));
    assert_int_equal(type, TEXT_HTML);
}

static void every_show_has_a_word(void **state)
{
    (void)state;
    assert_string_equal(show_word(SHOW_DND), "dnd");
    for (unsigned i = 0; i < SHOW_COUNT; i++) {
        enum show show = SHOW_COUNT;
        assert_true(show_parse(span_of(show_word((enum show)i)), &show));
        assert_int_equal(show, i);
    }
    enum show show = SHOW_XA;
    assert_false(show_parse(SPAN_LITERAL("available"), &show));
    assert_false(show_parse((struct span){NULL, 0}, &show));
    assert_int_equal(show, SHOW_XA);
}

/* RFC 5646 appendix A, and each rule of its grammar at its edges. */
static const char *const good_tags[] = {
    "de", "fr", "ja", "i-enochian", "zh-Hant", "zh-Hans", "sr-Cyrl", "sr-Latn", "zh-cmn-Hans-CN", "cmn-Hans-CN",
    "zh-yue-HK", "yue-HK", "zh-Hans-CN", "sr-Latn-RS", "sl-rozaj", "sl-rozaj-biske", "sl-nedis", "de-CH-1901",
    "sl-IT-nedis", "hy-Latn-IT-arevela", "de-DE", "en-US", "es-419", "de-CH-x-phonebk", "az-Arab-x-AZE-derbend",
    "x-whatever", "qaa-Qaaa-QM-x-southern", "de-Qaaa", "sr-Latn-QM", "sr-Qaaa-RS", "en-US-u-islamcal",
    "zh-CN-a-myext-x-private", "en-a-myext-b-another",
    /* edges */
    "abcd", "abcde", "abcdefgh", "en-abcdefgh", "en-1abc", "en-a-bb", "en-a-12345678", "x-1", "x-1-2-3", "EN-us",
    "en-abc-def-ghi", "en-0-ab",
    /* registered before the syntax */
    "en-GB-oed", "EN-gb-OED", "i-klingon", "sgn-BE-FR", "sgn-ch-de", "art-lojban", "zh-min-nan", "no-bok",
    "cel-gaulish",
    /* as the seed document writes */
    "en_US", "zh_Hant-TW", "en_gb_oed", "x_a"};

static const char *const bad_tags[] = {"",
                                       "a",
                                       "-",
                                       "e-n",
                                       "en-",
                                       "-en",
                                       "en--US",
                                       "en_",
                                       "abcdefghi",
                                       "en-abcdefghi",
                                       "12",
                                       "e1",
                                       "i-nothing",
                                       "i",
                                       "x",
                                       "x-",
                                       "x-123456789",
                                       "de-419-DE",
                                       "a-DE",
                                       "en-a",
                                       "en-a-",
                                       "en-a-b",
                                       "en-x",
                                       "en-x-",
                                       "en US",
                                       "en.US",
                                       "en-USA1",
                                       "en-abc-def-ghi-jkl",
                                       "abcd-abc",
                                       "en-US-US",
                                       "en-Latn-Latn",
                                       "\xc3\xa9n",
                                       "en-\xc3\xa9",
                                       "en-a-b-cc",
                                       "en-u-x-a",
                                       "sgn-BE-XX"};

static void language_tags_follow_the_grammar(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_len(good_tags); i++)
        if (!language_valid(span_of(good_tags[i])))
            fail_msg("`%s` was refused", good_tags[i]);
    for (size_t i = 0; i < array_len(bad_tags); i++)
        if (language_valid(span_of(bad_tags[i])))
            fail_msg("`%s` was accepted", bad_tags[i]);
    assert_false(language_valid((struct span){"en\0US", 5}));
    assert_false(language_valid((struct span){NULL, 0}));
}

static struct id key_of(const char *const *names, size_t count)
{
    struct span users[4];
    for (size_t i = 0; i < count; i++)
        users[i] = span_of(names[i]);
    struct id key = {{0}};
    assert_true(members_key(users, count, &key));
    return key;
}

static void member_sets_have_one_key_in_any_order(void **state)
{
    (void)state;
    struct id one = key_of((const char *const[]){"alice", "bob", "al"}, 3);
    assert_true(id_equal(one, key_of((const char *const[]){"bob", "al", "alice"}, 3)));
    assert_true(id_equal(one, key_of((const char *const[]){"al", "alice", "bob"}, 3)));

    assert_false(id_equal(one, key_of((const char *const[]){"alice", "bob"}, 2)));
    assert_false(id_equal(one, key_of((const char *const[]){"alice", "boba", "l"}, 3)));
    assert_false(id_equal(one, key_of((const char *const[]){"alicebobal"}, 1)));
    assert_false(id_equal(one, key_of((const char *const[]){"Alice", "bob", "al"}, 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_copies_its_fields),
        cmocka_unit_test(absent_and_empty_fields_stay_apart),
        cmocka_unit_test(message_lives_until_its_last_reference),
        cmocka_unit_test(every_type_has_a_word),
        cmocka_unit_test(every_show_has_a_word),
        cmocka_unit_test(language_tags_follow_the_grammar),
        cmocka_unit_test(member_sets_have_one_key_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
