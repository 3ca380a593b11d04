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

bool app_is_passing(enum err err)
{
    return err == ERR_STORE || err == ERR_STORE_FULL || err == ERR_NO_MEMORY;
}

enum err app_join_room(struct socket *socket, const char *kind, struct span of)
{
    struct buf room = BUF_INIT;
    buf_printf(&room, "%s(", kind);
    buf_add(&room, of);
    buf_add_char(&room, ')');
    enum err err = buf_failed(&room) ? ERR_NO_MEMORY : socket_join(socket, buf_span(&room));
    buf_fini(&room);
    return err;
}
