/* SPDX-License-Identifier: MIT */
/* Questions about a connected socket that only the kernel can answer. */
#ifndef IO_SOCKET_H
#define IO_SOCKET_H

#include <stdbool.h>

/* Whether the peer has sent any byte since it connected. Only TCP tells of those that were read; of others, such as
 * what stands for a connection over TLS, those count that were not. */
bool socket_has_heard(int fd);

/* Whether there are bytes of the peer that nobody has read. */
bool socket_has_unread(int fd);

#endif
