"""Keeps a replay away from the systems that the capture was made of."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from telegram_router.tools.replay.settings import ReplayError


def check_target(
    target: tuple[str, int], resolved: Sequence[str], seen: Iterable[str], protected: Sequence[str], known: Sequence[str]
) -> None:
    """Raises ReplayError E-RPL-05 for an address of the capture, or a protected one, unless `known` names its host.

    `resolved` are the IP addresses of the target's name; `seen` are the addresses of the capture's connections.
    """
    host, port = target
    if host in known or f"{host}:{port}" in known:
        return
    mine = {_plain(host), *map(_plain, resolved)}
    for address in seen:
        name, number = _split(address)
        if number == port and _plain(name) in mine:
            raise _refused(host, port, "the capture was made of it")
    for address in protected:
        name, number = _split(address)
        if (number is None or number == port) and _plain(name) in mine:
            raise _refused(host, port, "it is protected")


def _refused(host: str, port: int, why: str) -> ReplayError:
    return ReplayError("E-RPL-05", f"nothing is sent to {host}:{port}: {why}", do=f"give a test system, or say --i-know-this-is {host}")


def _split(address: str) -> tuple[str, int | None]:
    name, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or (":" in name and not name.startswith("[")):
        return address, None
    return name, int(port)


def _plain(host: str) -> str:
    """An address in its one form, a name in lower case."""
    bare = host.strip("[]")
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return bare.lower()
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
