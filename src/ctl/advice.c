/* SPDX-License-Identifier: MIT */
/* The words. Lines are at most 100 columns wide, but for what others have said. */
#include "ctl/advice.h"

#include <inttypes.h>
#include <strings.h>

#include "base/attr.h"
#include "ctl/text.h"

enum { DELAY_MIN_MS = 100 }; /* what is worth telling */

/* --- the way */

static bool mentions(struct span text, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i + len <= text.len; i++)
        if (strncasecmp(text.data + i, name, len) == 0)
            return true;
    return false;
}

static const struct {
    const char *name;  /* for people */
    const char *marks; /* as it stands in Server or Via */
} hops[HOP_COUNT] = {
    [HOP_NGINX] = {"nginx", "nginx"},
    [HOP_HAPROXY] = {"HAProxy", "haproxy"},
    [HOP_SQUID] = {"Squid", "squid"},
    [HOP_APACHE] = {"Apache", "apache"},
};

const char *advice_hop_name(enum hop hop)
{
    return hops[hop].name;
}

unsigned advice_hops(const struct case_notes *notes)
{
    unsigned found = 0;
    for (unsigned hop = 0; hop < HOP_COUNT; hop++)
        if (mentions(notes->server, hops[hop].marks) || mentions(notes->via, hops[hop].marks))
            found |= 1u << hop;
    return found;
}

/* --- what to change */

enum ailment { AILMENT_HELD, AILMENT_CUT, AILMENT_LATE, AILMENT_COUNT };

/* What is wrong with each, and the lines that cure it. Null: that is not from this one. */
static const struct {
    const char *where;
    const char *lines;
} cures[AILMENT_COUNT][HOP_COUNT] = {
    [AILMENT_HELD] =
        {
            [HOP_NGINX] = {"nginx, in the location that leads to nereidd (and take out proxy_ignore_headers "
                           "X-Accel-Buffering):",
                           "    proxy_buffering off;\n"
                           "    gzip off;\n"},
            [HOP_HAPROXY] = {"HAProxy holds what http-response wait-for-body tells it to. Take that out, or spare the "
                             "streams:",
                             "    http-request set-var(txn.path) path\n"
                             "    http-response wait-for-body time 1s unless { var(txn.path) -m beg /nereid-chat/ }\n"},
            [HOP_SQUID] = {"Squid holds what goes through ICAP or eCAP services, or through delay pools. Before their "
                           "other rules:",
                           "    acl nereid urlpath_regex ^/nereid-chat/\n"
                           "    adaptation_access SERVICE deny nereid\n"
                           "    delay_access 1 deny nereid\n"},
            [HOP_APACHE] =
                {"Apache holds what goes through some output filters (mod_sed, mod_ext_filter, ModSecurity). "
                 "Where they are\nset, in place of <Location \"/\">, and for ModSecurity:",
                 "    <LocationMatch \"^/(?!nereid-chat/)\">\n"
                 "    <Location \"/nereid-chat/\">\n"
                 "        SecResponseBodyAccess Off\n"
                 "    </Location>\n"},
        },
    [AILMENT_CUT] =
        {
            [HOP_NGINX] = {"nginx, in the location that leads to nereidd:", "    proxy_read_timeout 90s;\n"},
            [HOP_HAPROXY] = {"HAProxy, in the backend (and in defaults):", "    timeout server 90s\n"},
            [HOP_SQUID] = {"Squid:", "    read_timeout 15 minutes\n"
                                     "    client_lifetime 1 day\n"},
            [HOP_APACHE] = {"Apache, with the address of nereidd:",
                            "    ProxyPass \"/nereid-chat\" \"http://127.0.0.1:8080/nereid-chat\" timeout=90\n"},
        },
    [AILMENT_LATE] =
        {
            [HOP_HAPROXY] = {"HAProxy, in defaults:", "    option http-no-delay\n"},
        },
};

/* Of those that name themselves, or of all; HAProxy alone makes things late, and never names itself. */
static void write_cures(struct buf *out, const struct case_notes *notes, enum ailment ailment)
{
    unsigned known = advice_hops(notes);
    for (unsigned hop = 0; hop < HOP_COUNT; hop++)
        if (cures[ailment][hop].where && (!known || known & 1u << hop || ailment == AILMENT_LATE))
            buf_printf(out, "\n%s\n%s", cures[ailment][hop].where, cures[ailment][hop].lines);
}

static void write_header(struct buf *out, const char *name, struct span value)
{
    if (!value.len)
        return;
    buf_printf(out, "\n%s: ", name);
    text_add_safe(out, value);
}

/* How to go on where the lines above do not help. */
static void write_search(struct buf *out, const struct case_notes *notes)
{
    write_header(out, "Server", notes->server);
    write_header(out, "Via", notes->via);
    write_header(out, "Content-Encoding", notes->coding);
    if (notes->server.len || notes->via.len || notes->coding.len)
        buf_add_char(out, '\n');
    buf_add_text(out,
                 "\nTo find the hop that does it, probe from nereidd outwards: its own address first, then that of "
                 "each proxy.\n");
    if (!notes->secure)
        buf_add_text(out, "A proxy in the network of users sees nothing but a tunnel where nereidd is offered by "
                          "https.\n");
}

/* --- what was found */

static void write_size(struct buf *out, int64_t bytes)
{
    if (bytes < 1024)
        buf_printf(out, "%" PRId64 " bytes", bytes);
    else
        buf_printf(out, "%" PRId64 " KB", (bytes + 512) / 1024);
}

static void write_passes(struct buf *out, const struct case_notes *notes)
{
    if (notes->finding.ms < DELAY_MIN_MS) {
        buf_add_text(out, "Streams pass. Messages are there as soon as they are sent.\n");
        return;
    }
    buf_printf(out, "Streams pass, but everything comes about %" PRId64 " ms late.\n", notes->finding.ms);
    write_cures(out, notes, AILMENT_LATE);
}

static void write_held(struct buf *out, const struct case_notes *notes)
{
    bool to_the_end = notes->finding.verdict == VERDICT_HELD_UNTIL_END;
    buf_printf(out, "Streams are held back until %s ", to_the_end ? "their end," : "there are about");
    write_size(out, notes->finding.bytes);
    buf_printf(
        out,
        "%s.\n\n"
        "The client library of nereidd notices, and polls where POST is held back too: messages come at once, at\n"
        "the price of a request each. Clients that know streams only show messages late, or never.\n",
        to_the_end ? " and more" : "");
    write_cures(out, notes, AILMENT_HELD);
    write_search(out, notes);
}

static void write_cut(struct buf *out, const struct case_notes *notes)
{
    int64_t ms = notes->finding.ms;
    buf_printf(
        out,
        "Streams pass, but are cut after %" PRId64 ".%" PRId64 " s.\n\n"
        "Clients come back by themselves and miss nothing, but as often as that. Between heartbeats streams are\n"
        "silent for nereid.heartbeat (20 s); who cuts what is silent has to wait longer.\n",
        ms / 1000, ms % 1000 / 100);
    write_cures(out, notes, AILMENT_CUT);
    write_search(out, notes);
}

/* What a status means on the way to a probe. */
static const struct {
    long status;
    const char *sentence;
} statuses[] = {
    {401, "Something on the way wants a login. It can stand in the URL: https://USER:PASSWORD@HOST/"},
    {403, "Something on the way forbids it."},
    {404, "There is no nereidd at this path: a proxy has to pass on /nereid-chat/."},
    {407, "The forward proxy wants a login. It can stand in its URL: -x http://USER:PASSWORD@HOST:PORT"},
    {429, "These were too many probes from this address (limits.probe_rate). Wait a minute."},
    {502, "A proxy answers, but cannot reach nereidd."},
    {503, "A proxy answers, but cannot reach nereidd; or nereidd is about to end."},
    {504, "A proxy has waited too long: for nereidd, or for the end of a stream (http-response wait-for-body of "
          "HAProxy)."},
};

static const char *sentence_of(long status)
{
    for (size_t i = 0; i < array_len(statuses); i++)
        if (statuses[i].status == status)
            return statuses[i].sentence;
    return NULL;
}

static void write_unreachable(struct buf *out, const struct case_notes *notes)
{
    const char *sentence = sentence_of(notes->status);
    buf_add_text(out, "The probe was not answered: ");
    if (notes->fault.len)
        text_add_safe(out, notes->fault);
    else
        buf_printf(out, "HTTP status %ld", notes->status);
    buf_add_text(out, ".\n");
    if (sentence)
        buf_printf(out, "%s\n", sentence);
    write_header(out, "Location", notes->location);
    write_header(out, "Server", notes->server);
    write_header(out, "Via", notes->via);
    write_header(out, "nereidd", notes->said);
    if (out->len && out->data[out->len - 1] != '\n')
        buf_add_char(out, '\n');
}

void advice_write(struct buf *out, const struct case_notes *notes)
{
    switch (notes->finding.verdict) {
    case VERDICT_PASSES: write_passes(out, notes); break;
    case VERDICT_HELD_BYTES:
    case VERDICT_HELD_UNTIL_END: write_held(out, notes); break;
    case VERDICT_CUT: write_cut(out, notes); break;
    case VERDICT_UNREACHABLE: write_unreachable(out, notes); break;
    }
}
