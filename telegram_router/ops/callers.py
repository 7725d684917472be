"""Who asks and orders by way of the admin API: known by a token, a certificate or the socket, and let in or not."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request

from telegram_router.ops.access import Access, Known
from telegram_router.ops.operations import Operation
from telegram_router.ops.refusal import Refusal
from telegram_router.ops.requests import names_this_host, same_origin
from telegram_router.ops.server import Caller


class Callers:
    """Who may ask, who may order, and under which name."""

    def __init__(self, access: Callable[[], Access], host: str = "") -> None:
        self._access = access
        self._host = host

    def admit(self, row: Operation, request: Request) -> None:
        caller: Caller = request.scope["caller"]
        if row.public:
            return
        if not caller.local and not caller.tls and not names_this_host(request.headers.get("host", ""), self._host):
            raise Refusal("E-ADM-04", "the request names another host, as that of a web page would")
        if not same_origin(request):
            raise Refusal("E-ADM-04", "the request comes from the page of another site")
        known = self.known(request)
        if known is None:
            raise Refusal("E-ADM-03", "the token is missing or wrong")
        if row.order and known.role != "operator":
            raise Refusal("E-ADM-08", f"{known.who} may look, and give no orders")

    def known(self, request: Request) -> Known | None:
        caller: Caller = request.scope["caller"]
        if caller.local:
            return Known("operator", caller.name)
        return self._access().known(caller.name, caller.certificate, request.headers.get("authorization", ""))

    def who(self, request: Request) -> str:
        known = self.known(request)
        return known.who if known is not None else request.scope["caller"].name
