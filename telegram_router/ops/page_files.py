"""The admin page's files, as they are served: plain HTML, CSS and JavaScript of this package, and nothing from elsewhere."""

# Rules this file keeps, all of them tested:
#
# 1. The page holds nothing that must be kept from anybody: it may be fetched without a token. What it shows it asks the API for.
# 2. By its policy a browser runs these scripts alone, sends to this address alone, and makes no script or HTML of a text.

from __future__ import annotations

from functools import cache
from importlib.resources import files
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = MappingProxyType(
    {
        "content-security-policy": POLICY,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-cache",
        "connection": "close",
    }
)
TYPES = MappingProxyType({".html": "text/html", ".css": "text/css", ".js": "text/javascript"})


@cache
def page_files() -> dict[str, tuple[str, bytes]]:
    """By path: the type and what is in it."""
    found = {}
    for file in files("telegram_router.ops").joinpath("page").iterdir():
        ending = file.name[file.name.rfind(".") :]
        if ending in TYPES:
            found["/" if file.name == "index.html" else f"/{file.name}"] = (TYPES[ending], file.read_bytes())
    return found


def page_routes() -> list[Route]:
    return [Route(path, _serve, methods=["GET"]) for path in page_files()]


async def _serve(request: Request) -> Response:
    kind, content = page_files()[request.url.path]
    return Response(content, headers=dict(HEADERS), media_type=kind)
