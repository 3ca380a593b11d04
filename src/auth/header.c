/* SPDX-License-Identifier: MIT */
/* The method `header`: a proxy has checked who it is, and says so in a header. Only peers in auth.trusted are believed.
 */
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "auth/method.h"
#include "base/log.h"

struct header {
    char *name;               /* of the header with the user id; owned */
    char *name_name;          /* of the one with the display name; owned, may be null */
    struct networks *trusted; /* owned */
};

static void header_fini(void *state)
{
    struct header *header = state;
    free(header->name);
    free(header->name_name);
    free(header->trusted);
    free(header);
}

static enum err copy_names(struct header *header, const struct auth_options *options)
{
    header->name = strdup(options->header);
    if (!header->name || !option_set(options->name_header))
        return header->name ? OK : ERR_NO_MEMORY;
    header->name_name = strdup(options->name_header);
    return header->name_name ? OK : ERR_NO_MEMORY;
}

static enum err check_options(const struct auth_options *options)
{
    if (!option_set(options->header))
        log_event(LOG_ERROR, "auth.methods has `header`, but auth.header does not name one");
    else if (options->trusted_count == 0)
        log_event(LOG_ERROR, "auth.methods has `header`, but auth.trusted is empty, so nobody may send it");
    else
        return OK;
    return ERR_BAD_FIELD;
}

static enum err header_init(const struct auth_options *options, struct loop *loop unused_arg,
                            const struct clock *clock unused_arg, void **ret_state)
{
    enum err err = check_options(options);
    if (err)
        return err;
    struct header *header = calloc(1, sizeof(*header));
    if (!header)
        return ERR_NO_MEMORY;
    err = copy_names(header, options);
    if (!err)
        err = networks_new("auth.trusted", options->trusted, options->trusted_count, &header->trusted);
    if (err) {
        header_fini(header);
        return err;
    }
    *ret_state = header;
    return OK;
}

static bool is_trusted(const struct header *header, struct span peer)
{
    struct address address;
    return address_parse(peer, &address) && networks_have(header->trusted, &address);
}

static enum verdict header_check(void *state, const struct attempt *attempt, struct answer *answer)
{
    const struct header *header = state;
    const struct credentials *credentials = attempt->credentials;
    struct span user = credentials->header(credentials, header->name);
    if (user.len == 0)
        return VERDICT_NOT_MINE;
    if (!is_trusted(header, credentials->address)) {
        attempt_warn(attempt, "a peer outside auth.trusted sent auth.header; ignored");
        return VERDICT_NOT_MINE;
    }
    struct span name = {0};
    if (header->name_name)
        name = credentials->header(credentials, header->name_name);
    return answer_accept(answer, user, name);
}

const struct method method_header = {
    .name = "header",
    .init = header_init,
    .check = header_check,
    .fini = header_fini,
};
