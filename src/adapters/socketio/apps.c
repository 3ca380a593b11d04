/* SPDX-License-Identifier: MIT */
/* The applications: a row for each. */
#include "adapters/socketio/app.h"
#include "adapters/socketio/socketio.h"

const struct app *const socketio_apps[] = {
    &app_maxtalk,
    &app_messaging,
    &app_sockets,
    NULL,
};

void app_write_error(struct buf *out, enum err err, const char *sentence)
{
    buf_printf(out, "{\"error\":\"%s\",\"message\":", err_word(err));
    buf_add_json(out, span_of(sentence ? sentence : err_sentence(err)));
    buf_add_char(out, '}');
}
