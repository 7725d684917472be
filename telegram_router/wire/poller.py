"""Which sockets are ready: a level-triggered epoll of our own, of which trio sees one file descriptor."""

from __future__ import annotations

import os
import select
from typing import Protocol

import trio

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
HANGUP = select.EPOLLRDHUP  # the peer will send no more; reported only where asked for
GONE = select.EPOLLHUP | select.EPOLLERR  # always reported


class Poller(Protocol):
    """What the hub needs of epoll. In tests it is kept in memory."""

    def register(self, fd: int, events: int) -> None: ...

    def modify(self, fd: int, events: int) -> None: ...

    def unregister(self, fd: int) -> None: ...

    def poll(self, limit: int, patience: float = 0.0) -> list[tuple[int, int]]:
        """Ready file descriptors with their events. Blocks for `patience` seconds at most."""
        ...

    async def wait(self) -> None:
        """Return when `poll` would report something, or after `wake`."""
        ...

    def wake(self) -> None: ...

    def close(self) -> None: ...


class EpollPoller:
    """The real one. `selectors` would hide RDHUP and cost twice."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._eventfd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._eventfd, READ)
        self.register = self._epoll.register
        self.modify = self._epoll.modify
        self.unregister = self._epoll.unregister

    def poll(self, limit: int, patience: float = 0.0) -> list[tuple[int, int]]:
        ready = self._epoll.poll(patience, limit)
        for index, (fd, _) in enumerate(ready):
            if fd == self._eventfd:
                os.eventfd_read(self._eventfd)
                del ready[index]
                break
        return ready

    async def wait(self) -> None:
        await trio.lowlevel.wait_readable(self._epoll.fileno())

    def wake(self) -> None:
        os.eventfd_write(self._eventfd, 1)

    def close(self) -> None:
        self._epoll.close()
        os.close(self._eventfd)
