"""Who may use the admin API, and as what: by a token, by the name in a certificate, or by the Unix socket. Pure."""

# Rules this file keeps, all of them tested:
#
# 1. Whoever shows nothing is an operator only where nothing is asked for: at the socket, or at a loopback address without tokens.
# 2. A certificate with a known name decides; without one the token does. Who shows both has the role of the certificate.

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from telegram_router.ops.tokens import is_token

Role = Literal["viewer", "operator"]


class Known(NamedTuple):
    """Whom a request comes from."""

    role: Role
    who: str  # for the audit record


@dataclass(frozen=True)
class Access:
    """What the configuration asks for."""

    operator_token: str | None = field(default=None, repr=False)
    viewer_token: str | None = field(default=None, repr=False)
    operators: frozenset[str] = frozenset()  # names in client certificates
    viewers: frozenset[str] = frozenset()
    tls: ssl.SSLContext | None = None

    @property
    def tokens(self) -> bool:
        """Whether a token opens anything."""
        return self.operator_token is not None or self.viewer_token is not None

    def known(self, caller: str, names: Sequence[str], header: str) -> Known | None:
        """The role of who calls from an address with a certificate of these names and this Authorization header; None: nobody's."""
        for role, listed in (("operator", self.operators), ("viewer", self.viewers)):
            for name in names:
                if name in listed:
                    return Known(role, f"certificate {name} from {caller}")  # type: ignore[arg-type]
        if self.operator_token is not None and is_token(self.operator_token, header):
            return Known("operator", f"operator token from {caller}")
        if self.viewer_token is not None and is_token(self.viewer_token, header):
            return Known("viewer", f"viewer token from {caller}")
        asks = self.tokens or self.operators or self.viewers
        return None if asks else Known("operator", caller)
