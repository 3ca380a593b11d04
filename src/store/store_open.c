/* SPDX-License-Identifier: MIT */
/* Chooses the store by its URL: one row per kind. */
#include "store/store_open.h"

#include "base/log.h"
#include "store/sqlite.h"

typedef enum err open_store(struct loop *loop, const char *rest, const struct store_options *options,
                            struct store **ret_store);

static const struct {
    struct span scheme;
    open_store *open;
} kinds[] = {
    {SPAN_LITERAL("sqlite:"), sqlite_store_open},
};

static const char *const durability_words[DURABILITY_COUNT] = {
#define ROW(name, word) [name] = word,
    DURABILITY_TABLE(ROW)
#undef ROW
};

enum err store_open(struct loop *loop, const char *url, const struct store_options *options, struct store **ret_store)
{
    for (size_t i = 0; i < array_len(kinds); i++)
        if (strncmp(url, kinds[i].scheme.data, kinds[i].scheme.len) == 0)
            return kinds[i].open(loop, url + kinds[i].scheme.len, options, ret_store);
    /* Only the scheme is shown: what follows may hold a password. */
    log_event(LOG_ERROR, "this build has no store of this kind",
              log_span("scheme", (struct span){url, strcspn(url, ":")}), log_text("known", "sqlite:"));
    return ERR_BAD_FIELD;
}

bool durability_parse(struct span word, enum durability *ret_durability)
{
    for (unsigned i = 0; i < DURABILITY_COUNT; i++) {
        if (span_is(word, durability_words[i])) {
            *ret_durability = (enum durability)i;
            return true;
        }
    }
    return false;
}
