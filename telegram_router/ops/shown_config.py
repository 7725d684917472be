"""A configuration as the admin API shows it: every default filled in, what may be a secret left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from telegram_router.config import Address, Settings, Source, Url

LEFT_OUT = "(left out)"


def shown(table: Settings) -> dict[str, Any]:
    """A table of the file. Keys are those of the file, durations seconds and sizes bytes."""
    fields = type(table).model_fields
    return {field.alias or name: _value(getattr(table, name), secret=not field.repr) for name, field in fields.items()}


def _value(value: object, *, secret: bool = False) -> Any:
    if isinstance(value, Mapping):
        return {str(key): LEFT_OUT if secret else _value(each) for key, each in value.items()}
    if secret:
        return LEFT_OUT
    if isinstance(value, Settings):
        return shown(value)
    if isinstance(value, Address | Source | IPv4Network | IPv6Network):
        return str(value)
    if isinstance(value, Url):
        place, mark, _ = str(value).partition("?")  # a query may hold a key of the service
        return place + mark + (LEFT_OUT if mark else "")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: _value(each) for name, each in dataclasses.asdict(value).items()}
    if isinstance(value, tuple | list):
        return [_value(each) for each in value]
    return value
