/* SPDX-License-Identifier: MIT */
/* The error table as three lookups. */
#include "base/err.h"

#include <assert.h>

struct err_row {
    const char *word;
    const char *sentence;
    int status;
};

static const struct err_row rows[ERR_COUNT] = {
#define ROW(name, word, status, sentence) [name] = {word, sentence, status},
    ERR_TABLE(ROW)
#undef ROW
};

const char *err_word(enum err err)
{
    assert(err < ERR_COUNT);
    return rows[err].word;
}

const char *err_sentence(enum err err)
{
    assert(err < ERR_COUNT);
    return rows[err].sentence;
}

int err_http_status(enum err err)
{
    assert(err < ERR_COUNT);
    return rows[err].status;
}
