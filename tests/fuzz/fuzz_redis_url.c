/* SPDX-License-Identifier: MIT */
/*
 * Redis URLs from arbitrary text.
 *
 * Invariants: what is taken names a socket or at least one host with a port, and a master only where there are
 * Sentinels; what is refused is given a reason.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/span.h"
#include "store/redis_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_url(const struct redis_url *url)
{
    require(url->path ? url->host_count == 0 : url->host_count > 0);
    require(url->master || url->host_count <= 1);
    for (size_t i = 0; i < url->host_count; i++)
        require(url->hosts[i].name[0] && url->hosts[i].port > 0 && url->hosts[i].port <= 65535);
    require(url->db >= 0 && (!url->user || url->password));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = span_copy((struct span){(const char *)data, size});
    struct redis_url url;
    const char *why = NULL;
    if (!text)
        return 0;
    if (redis_url_parse(text, &url, &why) == OK) {
        check_url(&url);
        redis_url_fini(&url);
    } else {
        require(why);
    }
    free(text);
    return 0;
}
