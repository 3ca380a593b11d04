/* SPDX-License-Identifier: MIT */
/* The kernel's own header for TCP: libc's lacks the counter, and the two exclude each other. */
#include "io/socket.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

bool socket_has_heard(int fd)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0)
        return info.tcpi_bytes_received > 0;
    return socket_has_unread(fd);
}

bool socket_has_unread(int fd)
{
    int unread = 0;
    return ioctl(fd, SIOCINQ, &unread) == 0 && unread > 0;
}
