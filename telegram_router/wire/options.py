"""What the kernel is told of a connection: send at once, and notice a peer that is no longer there."""

from __future__ import annotations

import socket

MISSES = 3
LONGEST_SILENCE = 32_767  # seconds, the most that Linux takes
# The hub closes a connection that takes nothing for `write_timeout`, and says so. What it cannot see are bytes that the kernel
# has taken and the peer never acknowledged; the kernel is to give those up a little later, so that the hub's word comes first.
LATER = 1.0


def prepare(sock: socket.socket, keepalive: float, write_timeout: float) -> None:
    """Set the options of a connected TCP socket. Times in seconds; `keepalive` 0: the kernel never asks for the peer."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int((write_timeout + LATER) * 1000))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(keepalive > 0))
    if keepalive > 0:
        silence = min(max(1, round(keepalive)), LONGEST_SILENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, silence)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, silence // MISSES))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, MISSES)
