"""Why a request of the admin API is not carried out, and the status of HTTP for it."""

from __future__ import annotations

from typing import Any

from telegram_router.errors import CODES, RouterError

STATUS = {"E-ADM-01": 404, "E-ADM-02": 400, "E-ADM-03": 401, "E-ADM-04": 403, "E-ADM-05": 409, "E-ADM-08": 403}


class Refusal(RouterError):
    """A request that is not carried out."""

    def __init__(self, code: str, what: str, *, do: str = "", status: int = 0) -> None:
        super().__init__(code, what, do=do or CODES[code].do)
        self.status = status or STATUS[code]


def use_one_of(names: Any) -> str:
    return f"use one of {', '.join(list(names)[:20])}"
