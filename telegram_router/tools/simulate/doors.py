"""Where a simulator listens and whom it calls: sockets, TLS on both sides, and the patience of a client."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import trio

from telegram_router.errors import RouterError
from telegram_router.tools.simulate.scenario import Tls
from telegram_router.tools.simulate.wires import SMALL_BUFFER, SocketWire, Wire
from telegram_router.tools.simulate.world import Prepared
from telegram_router.written import Address

LISTEN_BACKLOG: Final = 128
AGAIN_AFTER: Final = 0.1  # seconds after which a client tries again to connect at its start
TRIES: Final = 50


async def called(dial: Callable[[], Awaitable[Wire]], to: Address | None, again: float | None) -> Wire:
    """A connection, tried for some time; for ever where a client is to come again. Raises RouterError E-SIM-08."""
    tries = 0
    while True:
        try:
            return await dial()
        except OSError as error:
            tries += 1
            if tries >= TRIES and again is None:
                what = f"nobody answers at {to}: {error.strerror or error}"
                raise RouterError("E-SIM-08", what, do="start the other side first, or check the address") from None
            await trio.sleep(again or AGAIN_AFTER)


async def dialled(to: Address | None, tls: Tls | None, context: ssl.SSLContext | None) -> Wire:
    """A connection on the system's sockets. Raises OSError when nobody is there, RouterError E-SIM-08 when it cannot be at all."""
    if to is None:
        raise RouterError("E-SIM-08", "a client has nowhere to connect to", do="give --to HOST:PORT, or `to` in the scenario")
    stream = await trio.open_tcp_stream(to.host, to.port)
    if tls is None or context is None:
        return SocketWire(stream)
    secured = trio.SSLStream(stream, context, server_hostname=tls.server_name or to.host, https_compatible=True)
    try:
        with trio.fail_after(10):
            await secured.do_handshake()
    except (trio.BrokenResourceError, trio.TooSlowError) as error:
        await trio.aclose_forcefully(secured)
        raise RouterError(
            "E-SIM-08", f"TLS with {to} failed: {error.__cause__ or error}", do="check certificates and server_name"
        ) from None
    return SocketWire(secured)


async def hold(stream: trio.SocketStream) -> None:
    """Take what comes and say nothing."""
    try:
        async for _ in stream:
            pass
    except trio.BrokenResourceError:
        pass
    await trio.aclose_forcefully(stream)


def listening(place: Address, *, small: bool, backlog: int) -> trio.socket.SocketType:
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if small:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        sock.bind((place.host, place.port))
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise RouterError(
            "E-SIM-08", f"{place} cannot be listened on: {error.strerror or error}", do="choose another port, or end who has it"
        ) from None
    return trio.socket.from_stdlib_socket(sock)


def contexts(prepared: Prepared) -> dict[str, ssl.SSLContext]:
    """TLS contexts by certificate. Raises RouterError E-SIM-05."""
    tls = prepared.scenario.tls
    if tls is None:
        return {}
    if tls.made is not None:
        from telegram_router.tools.simulate.made_certificates import make_certificates

        make_certificates(Path(tls.made).absolute())
    folder = Path(prepared.file).parent
    role = prepared.scenario.scenario.role
    made: dict[str, ssl.SSLContext] = {}
    for name, certificate, key in (
        ("right", tls.certificate, tls.key), ("wrong", tls.wrong_certificate, tls.wrong_key), ("expired", tls.expired_certificate, tls.expired_key),
    ):  # fmt: skip
        if certificate is None and not (role == "client" and name == "right"):
            continue
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH if role == "host" else ssl.Purpose.SERVER_AUTH)
        try:
            if certificate is not None:
                context.load_cert_chain(folder / certificate, folder / key if key is not None else None)
            if tls.ca is not None:
                context.load_verify_locations(folder / tls.ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except OSError as error:
            what = f"TLS files cannot be used: {error.strerror or error}"
            raise RouterError(
                "E-SIM-05", what, where=f"{prepared.file} [tls]", do="check paths, and that certificate and key belong together"
            ) from None
        made[name] = context
    return made
