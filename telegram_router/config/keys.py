"""Keys that exclude or need each other, and names that must be there: what no table can tell of itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from telegram_router.config.lines import Path
from telegram_router.config.problems import Problems
from telegram_router.config.wording import kinds_named, suggestion


def check_keys(problems: Problems, raw: dict[str, Any]) -> None:
    """Keys that exclude or need each other, whatever their values are."""
    if "listeners" not in raw or raw["listeners"] == {}:
        problems.report("E-CFG-04", ("listeners",), "is missing", "at least one [listeners.NAME]")
    for path, table in tables_below(raw, "listeners"):
        _listener_keys(problems, path, table)
    for path, table in tables_below(raw, "services"):
        listen = table.get("listen")
        if isinstance(listen, dict) and isinstance(listen.get("tls"), dict):
            _policy_keys(problems, (*path, "listen", "tls"), listen["tls"])
        kinds = kinds_named(table)
        if len(kinds) > 1:
            problems.report("E-CFG-07", path, f"has settings of {' and '.join(kinds)} services", do="keep one of backends, url and handler")
        tls = table.get("tls")
        if isinstance(tls, dict) and ("certificate" in tls) != ("key" in tls):
            problems.report("E-CFG-07", (*path, "tls"), "has one of certificate and key", do="give both, or neither")
    for path, table in tables_below(raw, "routes"):
        _route_keys(problems, path, table)
    for path, table in tables_below(raw, "limits"):
        _limit_keys(problems, path, table)
    if isinstance(raw.get("admin"), dict):
        _admin_keys(problems, raw["admin"])


def _limit_keys(problems: Problems, path: Path, table: dict[str, Any]) -> None:
    if "rate" not in table and "in_flight" not in table:
        problems.report("E-CFG-04", path, "has neither rate nor in_flight", "one of them, or both")
    for key in ("per", "burst", "mode"):
        if key in table and "rate" not in table:
            problems.report("E-CFG-07", (*path, key), "belongs to rate", do="add rate, or remove it")
    if "max_delay" in table and table.get("mode") != "delay":
        problems.report("E-CFG-07", (*path, "max_delay"), 'belongs to mode = "delay"', do="add it, or remove max_delay")


def _admin_keys(problems: Problems, table: dict[str, Any]) -> None:
    if "address" in table and "socket" in table:
        problems.report("E-CFG-07", ("admin",), "has address and socket", do="keep one of them")
    elif "address" not in table and "socket" not in table:
        problems.report("E-CFG-04", ("admin",), "has neither address nor socket", "one of them")
    elif "socket" in table:
        for key in ("token_file", "viewer_token_file", "tls", "operators", "viewers", "plain_http"):
            if key in table:
                what = "belongs to address: whoever may open the socket needs no token"
                problems.report("E-CFG-07", ("admin", key), what, do="remove it")
    tls = table.get("tls", {})
    for key in ("operators", "viewers"):
        if key in table and "socket" not in table and not (isinstance(tls, dict) and "client_ca" in tls):
            problems.report("E-CFG-07", ("admin", key), "needs client certificates", do="add tls with client_ca, or remove it")
    if isinstance(tls, dict):
        _policy_keys(problems, ("admin", "tls"), tls)


def _listener_keys(problems: Problems, path: Path, table: dict[str, Any]) -> None:
    tls = table.get("tls", {})
    if not isinstance(tls, dict):
        return
    names = tls.get("names", [])
    policies = [((*path, "tls"), tls), *tables_below({"names": names}, "names", (*path, "tls"))]
    for below, policy in policies:
        _policy_keys(problems, below, policy)
    if "owners" in table and not any("client_ca" in policy for _, policy in policies):
        problems.report("E-CFG-07", (*path, "owners"), "needs client certificates", do="add tls with client_ca, or remove owners")


def _policy_keys(problems: Problems, path: Path, policy: dict[str, Any]) -> None:
    for key in ("client_certificate", "crl", "clients"):
        if key in policy and "client_ca" not in policy:
            problems.report("E-CFG-07", (*path, key), "cannot be checked without client_ca", do="add client_ca")
    if "clients" in policy and policy.get("client_certificate") == "optional":
        what = "asks for names in certificates that need not be shown"
        problems.report("E-CFG-07", (*path, "clients"), what, do="remove client_certificate, or clients")
    if "crl_check" in policy and "crl" not in policy:
        problems.report("E-CFG-07", (*path, "crl_check"), "belongs to crl", do="add crl, or remove it")


def _route_keys(problems: Problems, path: Path, table: dict[str, Any]) -> None:
    given = {key for key, value in table.items() if value not in ({}, [], False)}
    answering = [key for key in ("service", "to_listener", "service_by", "split") if key in given]
    if len(answering) > 1:
        problems.report("E-CFG-07", path, f"has {' and '.join(answering)}", do="keep one of them")
    elif not answering:
        problems.report("E-CFG-04", path, "has neither service nor to_listener, service_by or split", "one of them")
    shares = table.get("split")
    if isinstance(shares, dict) and shares and all(share == 0 for share in shares.values()):
        problems.report("E-CFG-04", (*path, "split"), "gives nothing to anybody", "a share above 0 for one service at least")
    if "split_by" in given and "split" not in given:
        problems.report("E-CFG-07", (*path, "split_by"), "belongs to split", do="add split, or remove it")
    for one, other in (("listener", "from_service"), ("match", "default")):
        if one in given and other in given:
            problems.report("E-CFG-07", path, f"has {one} and {other}", do="keep one of them")
        elif one not in given and other not in given:
            problems.report(
                "E-CFG-04",
                path,
                f"has neither {one} nor {other}",
                "one of them" if other != "default" else "match = { FIELD = VALUE }, or default = true",
            )


def check_names(problems: Problems, raw: dict[str, Any]) -> None:
    names = {key: [str(path[1]) for path, _ in tables_below(raw, key)] for key in ("listeners", "services", "calendars")}
    for key in ("listeners", "services"):
        for path, table in tables_below(raw, key):
            _name(problems, (*path, "calendar"), table.get("calendar"), "calendars", names)
            _name(problems, (*path, "answers_to"), table.get("answers_to"), "listeners", names)
    for path, table in tables_below(raw, "routes"):
        for key, kind in (
            ("listener", "listeners"),
            ("to_listener", "listeners"),
            ("from_service", "services"),
            ("service", "services"),
        ):
            _name(problems, (*path, key), table.get(key), kind, names)
        shares = table.get("split")
        for name in shares if isinstance(shares, dict) else ():
            _name(problems, (*path, "split", name), name, "services", names)
        by = table.get("service_by")
        chosen = by.get("services") if isinstance(by, dict) else None
        for value, name in chosen.items() if isinstance(chosen, dict) else ():
            _name(problems, (*path, "service_by", "services", value), name, "services", names)
    for path, table in (each for kind in ("limits", "quotas", "priorities") for each in tables_below(raw, kind)):
        for key, kind in (("listener", "listeners"), ("service", "services")):
            _name(problems, (*path, key), table.get(key), kind, names)


def _name(problems: Problems, path: Path, given: object, kind: str, names: dict[str, list[str]]) -> None:
    for name in _strings(given):
        if name not in names[kind]:
            do = suggestion(name, names[kind]) or f"define [{kind}.{name}]"
            problems.report("E-CFG-06", path, f'there is no {kind[:-1]} "{name}"', do=do)


def tables_below(raw: dict[str, Any], key: str, above: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The tables below a key of the unread file, whatever else stands there."""
    below = raw.get(key)
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(below, dict):
        pairs = below.items()
    elif isinstance(below, list):
        pairs = enumerate(below)
    return (((*above, key, name), table) for name, table in pairs if isinstance(table, dict))


def _strings(value: object) -> list[str]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
