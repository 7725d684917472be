"""Connections to a replay's target."""

from __future__ import annotations

import socket
import ssl
from typing import Final

import trio

from telegram_router.tools.replay.exchanges import Dial
from telegram_router.tools.replay.settings import ReplayError

CONNECT: Final = 5.0  # seconds, a handshake included


async def addresses_of(host: str, port: int) -> list[str]:
    """The IP addresses of a name. Raises ReplayError E-RPL-04."""
    try:
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ReplayError("E-RPL-04", f"{host} cannot be found: {error.strerror}", do="check the name") from None
    return [str(entry[4][0]) for entry in found]


def dialler(host: str, port: int, context: ssl.SSLContext | None = None, server_name: str | None = None) -> Dial:
    """Connects to an address, through TLS where there is a context. What it returns raises ReplayError E-RPL-04."""

    async def dial() -> trio.abc.Stream:
        try:
            with trio.fail_after(CONNECT):
                stream = await trio.open_tcp_stream(host, port)
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return stream if context is None else await _secured(stream, context, server_name or host)
        except trio.TooSlowError:
            why = f"no connection within {CONNECT:g} s"
        except ssl.SSLError as error:
            why = f"TLS: {getattr(error, 'verify_message', '') or error.reason or 'the handshake failed'}"
        except (OSError, trio.BrokenResourceError) as error:
            cause = error.__cause__ if isinstance(error, trio.BrokenResourceError) else error
            why = (
                f"TLS: {getattr(cause, 'verify_message', '') or 'the handshake failed'}" if isinstance(cause, ssl.SSLError) else _why(error)
            )
        raise ReplayError("E-RPL-04", f"{host}:{port} cannot be reached: {why}")

    return dial


async def _secured(stream: trio.SocketStream, context: ssl.SSLContext, name: str) -> trio.abc.Stream:
    secured: trio.SSLStream[trio.SocketStream] = trio.SSLStream(stream, context, server_hostname=name, https_compatible=True)
    try:
        await secured.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return secured


def _why(error: BaseException) -> str:
    found: BaseException | None = error
    while found is not None:
        strerror = getattr(found, "strerror", None)
        if strerror:
            return str(strerror)
        if isinstance(found.__cause__, BaseExceptionGroup):
            found = found.__cause__.exceptions[0]
        else:
            found = found.__cause__
    return "the connection was refused or broken"
