/* SPDX-License-Identifier: MIT */
/* The rules as a table; each looks at the options as they are after file and command line. */
#include "conf/rules.h"

static bool has_method(const struct options *options, enum conf_auth_method method)
{
    for (unsigned i = 0; i < options->auth.methods.count; i++)
        if (options->auth.methods.items[i] == method)
            return true;
    return false;
}

static bool is_deaf(const struct options *options)
{
    return options->http.listen.count == 0 && options->admin.listen.count == 0 && options->talker.listen.count == 0;
}

static bool any_has(const struct conf_list *list, enum listen_layer layer)
{
    for (size_t i = 0; i < list->count; i++)
        if (listen_has_layer(span_of(list->items[i]), layer))
            return true;
    return false;
}

/* For each kind of listener: whether an address wants what is not there. */
#define LISTENER_RULES(section)                                                                                        \
    static bool section##_lacks_certificate(const struct options *options)                                             \
    {                                                                                                                  \
        return options->tls.certificate.count == 0 && any_has(&options->section.listen, LISTEN_TLS);                   \
    }                                                                                                                  \
    static bool section##_lacks_proxies(const struct options *options)                                                 \
    {                                                                                                                  \
        return options->proxy.trusted.count == 0 && any_has(&options->section.listen, LISTEN_PROXY);                   \
    }
LISTENER_RULES(http)
LISTENER_RULES(talker)
LISTENER_RULES(admin)
#undef LISTENER_RULES

static bool has_unequal_keys(const struct options *options)
{
    return options->tls.certificate.count != options->tls.key.count;
}

static bool has_no_method(const struct options *options)
{
    return options->auth.methods.count == 0;
}

static bool is_demo_in_public(const struct options *options)
{
    if (!has_method(options, CONF_AUTH_DEMO) || options->auth.demo_anywhere)
        return false;
    for (size_t i = 0; i < options->http.listen.count; i++)
        if (!listen_is_local(span_of(options->http.listen.items[i])))
            return true;
    return false;
}

static bool lacks_users(const struct options *options)
{
    return has_method(options, CONF_AUTH_BASIC) && !*options->auth.users;
}

static bool lacks_header(const struct options *options)
{
    return has_method(options, CONF_AUTH_HEADER) && !*options->auth.header;
}

static bool lacks_trusted(const struct options *options)
{
    return has_method(options, CONF_AUTH_HEADER) && options->auth.trusted.count == 0;
}

static bool lacks_key(const struct options *options)
{
    return has_method(options, CONF_AUTH_JWT) && !*options->auth.jwt_key && !*options->auth.jwt_jwks;
}

static bool has_two_keys(const struct options *options)
{
    return *options->auth.jwt_key && *options->auth.jwt_jwks;
}

static bool renews_too_late(const struct options *options)
{
    return options->store.lease_renewal_ms * 2 > options->store.lease_ms;
}

#define LISTENER_ROWS(section)                                                                                         \
    {section##_lacks_certificate, OPTION_AT_##section##_listen, OPTION_AT_tls_certificate,                             \
     #section ".listen has an address with tls:, which needs tls.certificate and tls.key"},                            \
    {                                                                                                                  \
        section##_lacks_proxies, OPTION_AT_##section##_listen, OPTION_AT_proxy_trusted,                                \
            #section ".listen has an address with proxy:, which needs proxy.trusted"                                   \
    }

const struct rule rule_rows[] = {
    {is_deaf, OPTION_AT_http_listen, OPTION_AT_admin_listen,
     "http.listen, talker.listen and admin.listen are all empty"},
    {has_no_method, OPTION_AT_auth_methods, OPTION_AT_auth_methods, "auth.methods is empty: nobody could log in"},
    {is_demo_in_public, OPTION_AT_http_listen, OPTION_AT_auth_methods,
     "http.listen must be on loopback or a Unix socket while auth.methods has demo, unless "
     "auth.demo_anywhere is yes"},
    {lacks_users, OPTION_AT_auth_methods, OPTION_AT_auth_users, "auth.methods has basic, which needs auth.users"},
    {lacks_header, OPTION_AT_auth_methods, OPTION_AT_auth_header, "auth.methods has header, which needs auth.header"},
    {lacks_trusted, OPTION_AT_auth_methods, OPTION_AT_auth_trusted,
     "auth.methods has header, which needs auth.trusted"},
    {lacks_key, OPTION_AT_auth_methods, OPTION_AT_auth_jwt_key,
     "auth.methods has jwt, which needs auth.jwt_key or auth.jwt_jwks"},
    {has_two_keys, OPTION_AT_auth_jwt_jwks, OPTION_AT_auth_jwt_key,
     "auth.jwt_key and auth.jwt_jwks cannot both be given"},
    {renews_too_late, OPTION_AT_store_lease_renewal, OPTION_AT_store_lease,
     "store.lease_renewal must be at most half of store.lease"},
    LISTENER_ROWS(http),
    LISTENER_ROWS(talker),
    LISTENER_ROWS(admin),
    {has_unequal_keys, OPTION_AT_tls_key, OPTION_AT_tls_certificate,
     "tls.key must name as many files as tls.certificate, in the same order"},
    {0},
};
