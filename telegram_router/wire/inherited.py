"""Listening sockets that systemd has opened for us (socket activation), so that a restart of the process leaves no port closed."""

# Rules this file keeps, all of them tested:
#
# 1. A socket belongs to the listener, or to the service whose backends dial us, of its name (FileDescriptorName) or, where there is none of
#    that name, of its address. Both are called by their keys in the file; a name may leave out what stands around it.
# 2. One that belongs to nobody, that two could claim, or that is no listening TCP socket is told, and nothing is started: who dials would be
#    let in by the kernel and never served.

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, replace

from telegram_router.config import Address
from telegram_router.errors import ConfigError, ConfigProblem

FIRST = 3  # the descriptor that the passed ones begin at


@dataclass(frozen=True)
class Inherited:
    """One socket as it was passed."""

    name: str  # "" where the unit gives none
    descriptor: int


def inherited(environment: MutableMapping[str, str], pid: int) -> list[Inherited]:
    """What was passed to the process of this id. The variables are taken away: processes that we start have got nothing."""
    found = {name: environment.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")}
    if found["LISTEN_PID"] != str(pid) or not found["LISTEN_FDS"].isdecimal():
        return []
    names = found["LISTEN_FDNAMES"].split(":") if found["LISTEN_FDNAMES"] else []
    count = int(found["LISTEN_FDS"])
    names += [""] * (count - len(names))
    return [Inherited(name, FIRST + place) for place, name in enumerate(names[:count])]


class Held:
    """Sockets that somebody else has opened and keeps open, by the keys of those who accept there."""

    def __init__(self, sockets: Mapping[str, socket.socket] | None = None) -> None:
        self._sockets = dict(sockets or {})

    def at(self, key: str, address: Address) -> socket.socket | None:
        """A copy of the one for this address: as nobody of ours can close it, nothing else could be bound there."""
        for owner, sock in self._sockets.items():
            if takes(address, sock.getsockname()[:2]) or (owner == key and not address.port):
                return sock.dup()
        return None

    def close(self) -> None:
        while self._sockets:
            self._sockets.popitem()[1].close()


def sockets_of(
    passed: list[Inherited], places: Mapping[str, Address], file: str, others: Mapping[str, Address | None] | None = None
) -> dict[str, socket.socket]:
    """The sockets by key, ready to accept at. Raises ConfigError with every one that does not fit; `file` is the configuration.

    `places`: where somebody accepts, listeners first. `others`: what else has a port.
    """
    fitting: dict[str, socket.socket] = {}
    problems: list[ConfigProblem] = []
    for each in passed:
        try:
            with contextlib.ExitStack() as unless_it_fits:
                sock = unless_it_fits.enter_context(_socket(each))
                fitting[_owner(each, sock, places, others or {}, fitting)] = sock
                unless_it_fits.pop_all()
        except ConfigError as error:
            problems += error.problems
    if problems:
        for sock in fitting.values():
            sock.close()
        raise ConfigError([replace(each, file=file) for each in problems])
    return fitting


def _socket(passed: Inherited) -> socket.socket:
    try:
        os.set_inheritable(passed.descriptor, False)
        sock = socket.socket(fileno=passed.descriptor)
    except OSError:
        raise _not_listening(passed) from None
    sock.setblocking(False)
    return sock


def _owner(
    passed: Inherited,
    sock: socket.socket,
    places: Mapping[str, Address],
    others: Mapping[str, Address | None],
    taken: Mapping[str, socket.socket],
) -> str:
    stream = sock.type == socket.SOCK_STREAM and sock.family in (socket.AF_INET, socket.AF_INET6)
    if not stream or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise _not_listening(passed)
    place: tuple[str, int] = sock.getsockname()[:2]
    at = str(Address(*place))
    named = [key for key in places if passed.name and passed.name in (key, _bare(key))]
    fits = ([key for key in named if takes(places[key], place)] or named)[:1]  # a listener and a service may have one name
    if fits:
        wanted = places[fits[0]]
        if wanted.port and not takes(wanted, place):
            what = f"{_called(passed)} listens on {at}, and {fits[0]} on {wanted}"
            raise _wrong("E-CFG-07", what, "give both the same address", f"{fits[0]}.address")
    else:
        fits = [key for key, address in places.items() if takes(address, place)]
    if not fits and (other := _other(passed, place, others)):
        what = f"{_called(passed)}, listening on {at}, is for {other}, which always opens its port itself"
        raise _wrong("E-CFG-07", what, "pass sockets of listeners and of services that backends dial only", other)
    if not fits:
        known = ", ".join(f"{_bare(key)} ({address})" for key, address in places.items())
        do = "set FileDescriptorName= of the socket unit to the name of a listener or of a service with `listen`, or ListenStream= to its address"
        raise _wrong("E-CFG-06", f"{_called(passed)}, listening on {at}, belongs to nobody", do, expected=f"one of {known}")
    if fits[0] in taken or len(fits) > 1:
        what = f"{_called(passed)}, listening on {at}, is not the only one for {fits[0]}"
        raise _wrong("E-CFG-07", what, "pass one socket for each address", f"{fits[0]}.address")
    return fits[0]


def _bare(key: str) -> str:
    return key.partition(".")[2].removesuffix(".listen")


def _other(passed: Inherited, place: tuple[str, int], others: Mapping[str, Address | None]) -> str:
    """Whose socket it is, if nobody's who may have one: of the admin or metrics port."""
    if passed.name in others:
        return passed.name
    return next((key for key, address in others.items() if address is not None and takes(address, place)), "")


def _not_listening(passed: Inherited) -> ConfigError:
    do = "name TCP addresses with ListenStream= in the socket unit, and leave Accept= off"
    return _wrong("E-CFG-07", f"{_called(passed)} is no listening TCP socket", do)


def _called(passed: Inherited) -> str:
    return f"the passed socket {passed.name or 'without a name'} (descriptor {passed.descriptor})"


def takes(address: Address, place: tuple[str, int]) -> bool:
    """Whether a socket at this place takes what is sent to the address. The wildcard of IPv6 takes IPv4 as well."""
    host, port = place
    if not address.port or port != address.port:
        return False
    return host == "::" or _number(host) == _number(address.host)


def _number(host: str) -> object:
    try:
        return ipaddress.ip_address(host or "0.0.0.0")
    except ValueError:
        return host


def _wrong(code: str, what: str, do: str, key: str = "listeners", expected: str = "") -> ConfigError:
    return ConfigError([ConfigProblem(code, "", 0, key, what, expected, do)])
