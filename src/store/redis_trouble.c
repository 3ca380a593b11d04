/* SPDX-License-Identifier: MIT */
/* The table of error replies. */
#include "store/redis_trouble.h"

#include <stdio.h>
#include <string.h>

#include "base/attr.h"

static const struct trouble rows[] = {
    {"LOADING", "Redis is loading its data", TROUBLE_LINK},
    {"READONLY", "Redis is a replica, which takes no writes", TROUBLE_LINK},
    {"MASTERDOWN", "Redis is a replica that has lost its master", TROUBLE_LINK},
    {"NOAUTH", "Redis asks for a password", TROUBLE_LINK},
    {"WRONGPASS", "Redis does not accept user and password", TROUBLE_LINK},
    {"NOSCRIPT", "Redis has forgotten the scripts", TROUBLE_LINK},
    {"UNBLOCKED", "Redis has changed between master and replica", TROUBLE_LINK},
    {"MOVED", "Redis is a cluster, which is not supported", TROUBLE_LINK},
    {"CLUSTERDOWN", "Redis is a cluster, which is not supported", TROUBLE_LINK},
    {"UNBLOCKED", "Redis has become a replica", TROUBLE_LINK},
    {"OOM", "Redis is out of memory", TROUBLE_SERVER},
    {"MISCONF", "Redis cannot save its data", TROUBLE_SERVER},
    {"NOREPLICAS", "Redis has too few replicas", TROUBLE_SERVER},
    {"BUSY", "Redis is busy with a script", TROUBLE_SERVER},
    {"NOPERM", "Redis does not permit a command or key that is needed", TROUBLE_SERVER},
    {"WRONGTYPE", "a key in Redis has the wrong type", TROUBLE_CALL},
    {"ERR", "Redis reports an error", TROUBLE_CALL},
};

/* What NOPERM reads like when a script meets it. */
static const char forbidden_to_script[] = "The user executing the script can't";

static const struct trouble unknown = {"", "Redis reports an error", TROUBLE_CALL};

static bool begins_with(const char *text, const char *code)
{
    size_t len = strlen(code);
    return strncmp(text, code, len) == 0 && (text[len] == ' ' || text[len] == '\0');
}

/* As in "ERR Error running script (call to f_…): @user_script:1: -OOM command not allowed". */
static bool holds(const char *text, const char *code)
{
    char wrapped[24];
    (void)snprintf(wrapped, sizeof(wrapped), ": -%s ", code);
    return strstr(text, wrapped);
}

const struct trouble *trouble_find(const char *text)
{
    for (size_t i = 0; i < array_len(rows); i++)
        if (begins_with(text, rows[i].code) || holds(text, rows[i].code) ||
            (strcmp(rows[i].code, "NOPERM") == 0 && strstr(text, forbidden_to_script)))
            return &rows[i];
    return NULL;
}

const struct trouble *trouble_of(const char *error)
{
    const struct trouble *trouble = trouble_find(error);
    return trouble ? trouble : &unknown;
}
