"""What requests of the admin API hold, and what they are answered."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from telegram_router.ops import answers
from telegram_router.ops.operations import Operation
from telegram_router.ops.refusal import Refusal


def order_in(row: Operation, request: Request, body: bytes | None) -> Any:
    """What the body orders."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal("E-ADM-02", "the body is not marked as JSON", do="send the header Content-Type: application/json", status=415)
    if body is None:
        raise Refusal("E-ADM-02", f"the body is larger than {row.largest:,} bytes", status=413)
    try:
        return msgspec.json.decode(body or b"{}", type=row.body)
    except msgspec.ValidationError as error:
        raise Refusal("E-ADM-02", f"the order cannot be understood: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refusal("E-ADM-02", "the body is not JSON") from None


def as_json(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    own = {
        "connection": "close",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
    }
    return Response(msgspec.json.encode(value), status, {**own, **(headers or {})}, media_type="application/json")


def refused(refusal: Refusal) -> Response:
    headers = {"www-authenticate": "Bearer"} if refusal.status == 401 else {}
    return as_json(answers.Error(refusal.code, refusal.what, refusal.do), refusal.status, headers)
