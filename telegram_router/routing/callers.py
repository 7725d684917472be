"""Which backend a host is that has connected to us: told by its address, by the names in its certificate, by its sign-on, or by several of them."""

# Rules this file keeps, all of them tested:
#
# 1. A backend that names networks, certificates and fields of its sign-on wants all of them. Nobody is told by nothing.
# 2. Who could be two backends is none: links and money follow the answer, so nothing is guessed.
# 3. Names are compared whole: a wildcard in a certificate is the name of nobody.

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Caller:
    """A backend that dials us. No networks: from anywhere. No names: whatever its certificate. No signs: its sign-on is not waited for.

    signs  where in the frame of its sign-on what stands: (begin, end, bytes)
    """

    backend: str
    networks: tuple[Network, ...] = ()
    names: frozenset[str] = frozenset()
    signs: tuple[tuple[int, int, bytes], ...] = ()

    def comes_from(self, host: str) -> bool:
        return not self.networks or any(ipaddress.ip_address(host) in each for each in self.networks)

    def meets(self, other: Caller) -> bool:
        """Whether somebody could be both."""
        near = not (self.networks and other.networks) or any(
            one.overlaps(another) for one in self.networks for another in other.networks if one.version == another.version
        )
        alike = near and (not (self.names and other.names) or bool(self.names & other.names))
        said = {(begin, end): value for begin, end, value in self.signs}
        return alike and all(said.get((begin, end), value) == value for begin, end, value in other.signs)

    def signs_as(self, frame: bytes) -> bool:
        """Whether a sign-on is its own."""
        return all(frame[begin:end] == value for begin, end, value in self.signs)


class Callers:
    """The backends of one service that dial us."""

    def __init__(self, callers: Sequence[Caller]) -> None:
        self._callers = tuple(callers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Callers) and self._callers == other._callers

    __hash__ = None  # type: ignore[assignment]

    @property
    def backends(self) -> list[str]:
        return [each.backend for each in self._callers]

    @property
    def sign_on(self) -> bool:
        """Whether any of them is told by its sign-on."""
        return any(each.signs for each in self._callers)

    def expects(self, host: str) -> bool:
        """Whether any backend may come from there: asked before a handshake is begun with a stranger."""
        return any(each.comes_from(host) for each in self._callers)

    def _possible(self, host: str, names: frozenset[str]) -> list[Caller]:
        return [each for each in self._callers if each.comes_from(host) and (not each.names or each.names & names)]

    def awaits_sign_on(self, host: str, names: frozenset[str]) -> bool:
        """Whether only its first telegram can say who it is."""
        return any(each.signs for each in self._possible(host, names))

    def identify(self, host: str, names: frozenset[str], sign_on: bytes = b"") -> str | None:
        """The backend that has connected from this address with these names in its certificate and this sign-on; None for nobody."""
        found = [each.backend for each in self._possible(host, names) if each.signs_as(sign_on)]
        return found[0] if len(found) == 1 else None
