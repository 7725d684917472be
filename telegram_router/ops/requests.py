"""What is asked of every request to a server of ours: that no other site's page has made it, and that its body has a bound."""

from __future__ import annotations

import ipaddress

from starlette.requests import Request

READ_ON = 4 * 1024 * 1024  # of a body that is too large: who still sends does not read the refusal


def same_origin(request: Request) -> bool:
    """False for what a browser says that another site's page has made it send."""
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2].lower() != request.headers.get("host", "").lower():
        return False
    return request.headers.get("sec-fetch-site", "none") in ("none", "same-origin")


def names_this_host(header: str, own: str) -> bool:
    """False for a name that anybody may point at us: a web page of that name could send requests here."""
    host = header.rpartition(":")[0] if header.rpartition(":")[2].isdigit() else header
    if host.lower() in ("localhost", own.lower()):
        return True
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


async def body_of(request: Request, largest: int) -> bytes | None:
    """The body; None when it is too large. It is read to its end even so: who still sends when the answer comes may not get it.

    Raises ClientDisconnect when it does not come whole.
    """
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size <= largest:
            parts.append(part)
        elif size > READ_ON:
            break
    return b"".join(parts) if size <= largest else None
