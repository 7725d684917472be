"""What pydantic finds in a file, as its key in the file and in words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from telegram_router.config.backends import Backend, Ejection, Failover, Health, Listen
from telegram_router.config.certificates import ClientTls, ListenerTls, ServerTls, TlsName
from telegram_router.config.conduct import Calendar, LinkConduct, SessionConduct
from telegram_router.config.counting import Limit, Priority, Quota, Usage
from telegram_router.config.lines import Path
from telegram_router.config.listeners import Listener, ProxyProtocol
from telegram_router.config.model import Config
from telegram_router.config.operations import Access, Admin, Log, Metrics, Tracing
from telegram_router.config.routes import Route, ServiceBy
from telegram_router.config.services import KINDS, kind_of
from telegram_router.config.tables import Settings


def path_of(loc: tuple[str | int, ...]) -> Path:
    """pydantic's place as a path of the file: without the kind of a service, and without its marks on keys."""
    path = tuple(step for step in loc if step != "[key]")
    if path[0] == "services" and len(path) > 2:
        path = (*path[:2], *path[3:])
    return path


def at(raw: object, path: Path) -> object:
    for step in path:
        if not isinstance(raw, dict | list):
            return None
        raw = raw[step]  # type: ignore[index]
    return raw


def model_of(path: Path, raw: dict[str, Any]) -> type[Settings]:
    inside: dict[str | int, type[Settings]] = {
        "tls": ClientTls,
        "backends": Backend,
        "health": Health,
        "ejection": Ejection,
        "failover": Failover,
        "listen": Listen,
        "conduct": LinkConduct,
    }
    models: dict[tuple[str | int, int], type[Settings]] = {
        ("log", 1): Log,
        ("usage", 1): Usage,
        ("metrics", 1): Metrics,
        ("access", 1): Access,
        ("tracing", 1): Tracing,
        ("admin", 1): Admin,
        ("admin", 2): ServerTls,
        ("listeners", 2): Listener,
        ("listeners", 3): ProxyProtocol if path[2:] == ("proxy_protocol",) else ListenerTls,
        ("listeners", 5): TlsName,
        ("limits", 2): Limit,
        ("priorities", 2): Priority,
        ("quotas", 2): Quota,
        ("calendars", 2): Calendar,
        ("routes", 2): Route,
        ("routes", 3): ServiceBy,
    }
    if not path:
        return Config
    if path[0] == "services" and len(path) == 2:
        kind = kind_of(at(raw, path))
        return next(model for model in KINDS.values() if model.kind == kind)
    if path[0] == "services" and path[2] == "listen" and len(path) > 3:
        return ServerTls if path[3] == "tls" else ProxyProtocol
    if path[0] == "services":
        return inside[path[2]]
    if path[0] == "listeners" and path[2:] == ("conduct",):
        return SessionConduct
    return models[path[0], len(path)]


def kinds_named(table: object) -> list[str]:
    keys = table if isinstance(table, dict) else {}
    kinds = [str(model.kind) for key, model in KINDS.items() if key in keys]
    if keys.get("protocol") in ("telegram", "http") and keys["protocol"] not in kinds:
        kinds.append(keys["protocol"])
    return kinds


def keys_of(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def expected_key(path: Path, table: object) -> str:
    if path[0] == "services" and path[2:] == ("backends",) and not kinds_named(table):
        return "one of backends, url and handler"
    model = model_of(path[:-1], {"services": {path[1]: table}} if path[0] == "services" else {})
    return next(f"{field.description}" for name, field in model.model_fields.items() if (field.alias or name) == path[-1])


_TYPES = {
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "model_type": "a table",
    "dict_type": "a table",
    "mapping_type": "a table",
    "tuple_type": "a list",
}
_BOUNDS = {"greater_than_equal": ("at least", "ge"), "less_than_equal": ("at most", "le")}


def what_and_expected(detail: ErrorDetails) -> tuple[str, str]:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "form":
        return str(context["what"]), str(context["expected"])
    if kind == "literal_error":
        return "is none of the choices", str(context["expected"]).replace("'", '"')
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return "is out of range", f"{words} {context[bound]:,}"
    if kind in ("too_short", "string_too_short"):
        return "is empty", "at least one"
    return "is of the wrong type", _TYPES.get(kind, detail["msg"])


def suggestion(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f'did you mean "{near[0]}"?' if near else ""
