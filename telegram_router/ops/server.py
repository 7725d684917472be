"""HTTP servers of the router's own: their sockets, their settings, and a door that a slow or silent client cannot block."""

# Rules this file keeps, all of them tested:
#
# 1. So many connections are served at a time, and none for longer than PATIENCE; further ones wait in the kernel.
# 2. A Unix socket is made with mode 0600. What lies at its path is replaced only if it is a socket that nobody answers on.
# 3. A fault of a request or of the server is told; it never ends the router.
# 4. With TLS nothing is read before the handshake is over, which has its own share of the connection's time.

from __future__ import annotations

import os
import socket
import ssl
import stat
import struct
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config as ServerConfig
from hypercorn.logging import Logger as ServerLogger
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext

from telegram_router.config import Address
from telegram_router.errors import RouterError
from telegram_router.ops.logs import leaves
from telegram_router.wire.tls_errors import TlsError, tls_error

READ_TIMEOUT = 10
AT_ONCE = 32  # connections of the admin API
HANDSHAKE = 3.0  # seconds for that of TLS
SILENCE = 1  # seconds for which a connection may be without a whole head of a request
PATIENCE = 10.0  # seconds from a connection to the end of its answer
LARGEST_HEAD = 16 * 1024
LONGEST_PATH = 107  # bytes of a Unix socket's name
PAUSE_WHEN_OUT_OF_FILES = 0.1

GONE = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError)

OnBug = Callable[[BaseException], None]


class Caller(NamedTuple):
    """Who asks: the user of a Unix socket, or an address."""

    name: str
    local: bool  # came by the Unix socket
    tls: bool = False
    certificate: tuple[str, ...] = ()  # DNS and URI names of the verified one


class Door(NamedTuple):
    """How requests are let in."""

    on_bug: OnBug
    tls: Callable[[], ssl.SSLContext | None] = lambda: None  # asked for each connection: a renewed certificate is used at once
    on_failed_handshake: Callable[[str, TlsError], None] = lambda caller, error: None


# --- sockets


async def listening(address: Address, what: str, write_timeout_ms: int) -> socket.socket:
    """A listening TCP socket. Raises RouterError E-CFG-09; `what` names the address there."""
    try:
        found = await trio.socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, place = found[0]
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Accepted sockets inherit it: without it a client that never reads would hold the router's end up.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, write_timeout_ms)
            sock.bind(place)
            sock.listen()
        except BaseException:
            sock.close()
            raise
    except OSError as error:
        raise RouterError(
            "E-CFG-09",
            f"{what} cannot be bound: {error.strerror}",
            where=str(address),
            do="stop whoever holds it, or choose another",
        ) from None
    return sock


def listening_at(path: Path) -> socket.socket:
    """A listening Unix socket that its owner alone may use. Raises RouterError E-CFG-09."""
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise _no_socket(path, f"the path is longer than {LONGEST_PATH} bytes", "choose a shorter one")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _clear(path)
        before = os.umask(0o177)  # so that there is no moment in which others may connect
        try:
            sock.bind(str(path))
        finally:
            os.umask(before)
        sock.listen()
    except OSError as error:
        sock.close()
        raise _no_socket(path, error.strerror or "unknown reason", "choose a folder that the router may write to") from None
    except BaseException:
        sock.close()
        raise
    return sock


def _clear(path: Path) -> None:
    """Remove what an earlier router left when it was killed."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise _no_socket(path, "there is a file that is no socket", "remove it, or choose another path")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.settimeout(1.0)
        try:
            other.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError:
            pass  # somebody is there who is busy, or not ours
    raise _no_socket(path, "somebody answers there", "stop whoever it is, or choose another path")


def _no_socket(path: Path, why: str, do: str) -> RouterError:
    return RouterError("E-CFG-09", f"the admin socket cannot be bound: {why}", where=str(path), do=do)


def remove(path: Path, inode: int) -> None:
    """Take a Unix socket's name away, unless another router has put its own there meanwhile."""
    try:
        if path.lstat().st_ino == inode:
            path.unlink()
    except OSError:
        pass  # it is gone already, or the folder is


# --- settings


def settings(on_bug: OnBug) -> ServerConfig:
    """Of every server here: HTTP/1.1 without its own log lines; the exceptions that it catches are told."""
    config = ServerConfig()
    config.logger_class = partial(_ServerLog, on_bug)  # type: ignore[assignment]
    config.read_timeout = READ_TIMEOUT
    config.h11_max_incomplete_size = LARGEST_HEAD
    config.include_server_header = False
    config.alpn_protocols = ["http/1.1"]
    config.h2_max_concurrent_streams = 1  # hypercorn speaks HTTP/2 to whoever begins with it; a connection carries one request there too
    return config


class _ServerLog(ServerLogger):
    """hypercorn's own lines are left out; the exceptions it catches are told."""

    def __init__(self, on_bug: OnBug, config: ServerConfig) -> None:
        config.errorlog = config.accesslog = None
        super().__init__(config)
        self._on_bug = on_bug

    async def exception(self, message: str, *args: Any, **kwargs: Any) -> None:
        error = sys.exception()
        if error is not None:
            self._on_bug(error)


# --- the door


async def admit(sock: socket.socket, application: Any, door: Door) -> None:
    """Serve an ASGI application on a listening socket for ever. Each request's scope holds its `caller`, and its `patience`:
    who answers bit by bit calls it after each bit that was taken."""
    accepting = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
    places = trio.Semaphore(AT_ONCE)
    door = door._replace(on_bug=partial(_unless_gone, door.on_bug))
    config = settings(door.on_bug)
    config.keep_alive_timeout = SILENCE
    async with trio.open_nursery() as nursery:
        while True:
            await places.acquire()
            try:
                stream = await accepting.accept()
            except OSError:
                places.release()
                await trio.sleep(PAUSE_WHEN_OUT_OF_FILES)
                continue
            nursery.start_soon(_serve, stream, application, config, door, places)


async def _serve(stream: trio.SocketStream, application: Any, config: ServerConfig, door: Door, places: trio.Semaphore) -> None:
    # hypercorn's own `serve` says neither how many connections there may be nor who is at the other end of one.
    try:
        caller = caller_of(stream.socket)
        patience = _Patience()

        async def known(scope: Any, receive: Any, send: Any) -> None:
            await application({**scope, "caller": caller, "patience": patience.again}, receive, send)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cut_off, stream, patience, nursery.cancel_scope)
            context = None if caller.local else door.tls()
            inside: Any = stream
            if context is not None:
                inside, caller = await _shake_hands(stream, context, caller, door)
            if inside is not None:
                await TCPServer(ASGIWrapper(known), config, WorkerContext(None), {}, inside).run()
            nursery.cancel_scope.cancel()
    except Exception as error:
        door.on_bug(error)
    finally:
        places.release()
        await trio.aclose_forcefully(stream)


async def _shake_hands(
    stream: trio.SocketStream, context: ssl.SSLContext, caller: Caller, door: Door
) -> tuple[trio.SSLStream[trio.SocketStream] | None, Caller]:
    """The stream inside TLS, and what is known of the caller then; None when it does not come to that."""
    inside = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
    with trio.move_on_after(HANDSHAKE):
        try:
            await inside.do_handshake()
        except trio.BrokenResourceError as error:
            if isinstance(error.__cause__, ssl.SSLError):
                door.on_failed_handshake(caller.name, tls_error(error.__cause__, "server"))
            return None, caller
        certificate: Any = inside.getpeercert() or {}
        names = tuple(str(value) for kind, value in certificate.get("subjectAltName", ()) if kind in ("DNS", "URI"))
        return inside, caller._replace(tls=True, certificate=names)
    return None, caller


class _Patience:
    """How long a connection may go on."""

    def __init__(self) -> None:
        self.again()

    def again(self) -> None:
        self.end = trio.current_time() + PATIENCE


def _unless_gone(on_bug: OnBug, error: BaseException) -> None:
    """A connection that ends while it is written to is no fault. hypercorn lets two tasks of its own meet there as well."""
    if not all(isinstance(leaf, GONE) for leaf in leaves(error)):
        on_bug(error)


async def _cut_off(stream: trio.SocketStream, patience: _Patience, scope: trio.CancelScope) -> None:
    """The end of a connection's time, or of the router: a write that nobody reads would not hear of it otherwise."""
    try:
        while (end := patience.end) > trio.current_time():  # noqa: ASYNC110 - it is moved on while this sleeps
            await trio.sleep_until(end)
    finally:
        try:
            stream.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has gone already
        scope.cancel()


def caller_of(sock: Any) -> Caller:
    """Who is at the other end."""
    if sock.family == socket.AF_UNIX:
        pid, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
        return Caller(f"uid {uid} (pid {pid})", local=True)
    host, port = sock.getpeername()[:2]
    return Caller(str(Address(host, port)), local=False)
