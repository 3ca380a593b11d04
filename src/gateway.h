/* SPDX-License-Identifier: MIT */
/*
 * Gateway: all parts of nereidd put together as the options say, and taken down again in order.
 *
 *     gateway_new ─> gateway_run ── SIGTERM or SIGINT ──> drain ──> gateway_free
 */
#ifndef GATEWAY_H
#define GATEWAY_H

#include "base/attr.h"
#include "conf/options.h"

struct gateway;

/* Builds everything but the listeners. `options` outlives the gateway. ERR_BAD_FIELD: gateway_options_valid would refuse
 * them. With this and any other error the reason was logged. */
enum err gateway_new(const struct options *options, struct gateway **ret_gateway) must_check;

/* Starts, serves until a signal, drains. Prints `listening NAME ADDRESS` on standard output for each listener once clients are served. False: it could
 * not start, and the reason was logged. A second signal while draining ends the process by that signal. */
bool gateway_run(struct gateway *gateway) must_check;

/* Null is allowed. */
void gateway_free(struct gateway *gateway);

/* What only the parts can check: whether the files that options name are good. Findings are logged. */
bool gateway_options_valid(const struct options *options) must_check;

#endif
