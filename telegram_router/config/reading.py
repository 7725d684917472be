"""From the text of a configuration file to a Config, or to the list of everything that is wrong with it."""

# Rules this file keeps:
#
# 1. Text in, Config out. No file is opened here and no handler imported; that is the caller's.
# 2. Nothing is guessed: a number without its unit, an unknown key and an unclear pair of routes are errors.
# 3. No message quotes a value, since headers may hold secrets. Names (keys, listeners, services) are quoted.

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, combinations_with_replacement, product
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from telegram_router.config.backends import Backend, Ejection, Failover, Health, Listen
from telegram_router.config.certificates import ClientTls, ListenerTls, ServerTls, TlsName
from telegram_router.config.conduct import Calendar, LinkConduct, SessionConduct
from telegram_router.config.counting import Limit, Priority, Quota, Usage
from telegram_router.config.lines import Path, dotted, key_lines, line_of
from telegram_router.config.listeners import Listener, ProxyProtocol
from telegram_router.config.model import Config, specs_by_party
from telegram_router.config.operations import Access, Admin, Log, Metrics, Tracing
from telegram_router.config.routes import Route, ServiceBy
from telegram_router.config.services import KINDS, AnyService, HandlerService, HttpService, TelegramService, kind_of
from telegram_router.config.syntax import load
from telegram_router.config.tables import Settings
from telegram_router.config.values import Exact, Range, Rule
from telegram_router.errors import ConfigError, ConfigProblem
from telegram_router.written import Address


class Draft(NamedTuple):
    """What of a file is sound, and all that is wrong with it. Whoever looks further can tell more of what is wrong at once."""

    config: Config  # without the tables that cannot be read
    places: Sequence[int]  # of each of its routes: the index in the file
    problems: Sequence[ConfigProblem]
    overlaps: Sequence[ConfigProblem]  # E-CFG-05: idle talk where a match names a field that does not exist
    spec_conflicts: Sequence[ConfigProblem]  # E-CFG-07: idle talk where a spec does not exist
    lines: dict[Path, int]  # where each key stands

    def raise_if_wrong(self) -> None:
        """Raises ConfigError with every problem found, in the order of the file's lines."""
        if found := [*self.problems, *self.overlaps, *self.spec_conflicts]:
            raise ConfigError(sorted(found, key=lambda problem: problem.line))


def parse_config(text: str, filename: str) -> Config:
    """Read a configuration. Raises ConfigError with every problem found, in the order of the file's lines."""
    draft = draft_config(text, filename)
    draft.raise_if_wrong()
    return draft.config


def draft_config(text: str, filename: str) -> Draft:
    """Read a configuration as far as it can be read. Raises ConfigError where it is no TOML."""
    text = text.removeprefix("\ufeff")  # Windows editors put one in front of a file
    return _Reading(load(text, filename), filename, key_lines(text)).draft()


class _Reading:
    """One pass over one file. Checks run on whatever part of it is sound, so that one mistake hides no other."""

    def __init__(self, raw: dict[str, Any], filename: str, lines: dict[Path, int]) -> None:
        self.problems: list[ConfigProblem] = []
        self._raw = raw
        self._filename = filename
        self._lines = lines
        self._places: list[int] = []  # of each route that is sound: its index in the file

    def report(self, code: str, path: Path, what: str, expected: str = "", do: str = "") -> None:
        problem = ConfigProblem(code, self._filename, line_of(self._lines, path), dotted(path), what, expected, do)
        if problem not in self.problems:
            self.problems.append(problem)

    def draft(self) -> Draft:
        config = self._sound_part()
        self._check_keys()
        self._check_names()
        self._check_values(config)
        self._check_addresses(config)
        self._check_missing_specs(config)
        found, self.problems = self.problems, []
        self._check_overlaps(config)
        overlaps, self.problems = self.problems, []
        self._check_specs(config)
        return Draft(config, self._places, found, overlaps, self.problems, self._lines)

    # what the models see

    def _sound_part(self) -> Config:
        """Everything that can be read. What cannot is reported and left out, table by table."""
        try:
            config = Config.model_validate(self._raw)
        except ValidationError as error:
            config = Config.model_validate(self._without({self._report_detail(each) for each in error.errors(include_input=False)}))
        else:
            self._places = list(range(len(config.routes)))
        return config

    def _without(self, broken: set[Path]) -> dict[str, Any]:
        parts = {key: value for key, value in self._raw.items() if (key,) not in broken}
        for key in ("listeners", "services", "limits", "priorities", "quotas", "calendars"):
            if key in parts:
                parts[key] = {name: table for name, table in parts[key].items() if (key, name) not in broken}
        routes = parts.pop("routes", [])
        self._places = [place for place in range(len(routes)) if ("routes", place) not in broken]
        return parts | ({"routes": [routes[place] for place in self._places]} if self._places else {})

    def _report_detail(self, detail: ErrorDetails) -> Path:
        """Report one finding of pydantic's; returns the path of the part that has to be left out."""
        path = _path_of(detail["loc"])
        part = path[: 2 if path[0] in ("listeners", "services", "limits", "priorities", "quotas", "calendars", "routes") else 1]
        table = _at(self._raw, part)
        clashing = path[0] == "services" and len(_kinds_named(table)) > 1
        if detail["type"] == "extra_forbidden":
            self._report_unknown_key(path, clashing)
        elif detail["type"] == "missing":
            if not clashing:
                self.report("E-CFG-04", path, "is missing", _expected_key(path, table))
        else:
            self.report("E-CFG-04", path, *_what_and_expected(detail))
        return part

    def _report_unknown_key(self, path: Path, clashing: bool) -> None:
        key = str(path[-1])
        model = _model_of(path[:-1], self._raw)
        owners = [kind.kind for kind in KINDS.values() if key in _keys_of(kind)]
        if issubclass(model, AnyService) and owners:
            if not clashing:
                kind = kind_of(_at(self._raw, path[:-1]))
                self.report("E-CFG-07", path, f"belongs to {' and '.join(owners)} services, and this is a {kind} service", do="remove it")
            return
        suggested = _suggestion(key, _keys_of(model))
        self.report("E-CFG-03", path, "unknown key", do=suggested or f"use one of {', '.join(sorted(_keys_of(model)))}")

    # what they do not see

    def _check_keys(self) -> None:
        """Keys that exclude or need each other, whatever their values are."""
        if "listeners" not in self._raw or self._raw["listeners"] == {}:
            self.report("E-CFG-04", ("listeners",), "is missing", "at least one [listeners.NAME]")
        for path, table in _tables(self._raw, "listeners"):
            self._check_listener_keys(path, table)
        for path, table in _tables(self._raw, "services"):
            listen = table.get("listen")
            if isinstance(listen, dict) and isinstance(listen.get("tls"), dict):
                self._check_policy_keys((*path, "listen", "tls"), listen["tls"])
            kinds = _kinds_named(table)
            if len(kinds) > 1:
                self.report("E-CFG-07", path, f"has settings of {' and '.join(kinds)} services", do="keep one of backends, url and handler")
            tls = table.get("tls")
            if isinstance(tls, dict) and ("certificate" in tls) != ("key" in tls):
                self.report("E-CFG-07", (*path, "tls"), "has one of certificate and key", do="give both, or neither")
        for path, table in _tables(self._raw, "routes"):
            self._check_route_keys(path, table)
        for path, table in _tables(self._raw, "limits"):
            self._check_limit_keys(path, table)
        if isinstance(self._raw.get("admin"), dict):
            self._check_admin_keys(self._raw["admin"])

    def _check_limit_keys(self, path: Path, table: dict[str, Any]) -> None:
        if "rate" not in table and "in_flight" not in table:
            self.report("E-CFG-04", path, "has neither rate nor in_flight", "one of them, or both")
        for key in ("per", "burst", "mode"):
            if key in table and "rate" not in table:
                self.report("E-CFG-07", (*path, key), "belongs to rate", do="add rate, or remove it")
        if "max_delay" in table and table.get("mode") != "delay":
            self.report("E-CFG-07", (*path, "max_delay"), 'belongs to mode = "delay"', do="add it, or remove max_delay")

    def _check_admin_keys(self, table: dict[str, Any]) -> None:
        if "address" in table and "socket" in table:
            self.report("E-CFG-07", ("admin",), "has address and socket", do="keep one of them")
        elif "address" not in table and "socket" not in table:
            self.report("E-CFG-04", ("admin",), "has neither address nor socket", "one of them")
        elif "socket" in table:
            for key in ("token_file", "viewer_token_file", "tls", "operators", "viewers", "plain_http"):
                if key in table:
                    what = "belongs to address: whoever may open the socket needs no token"
                    self.report("E-CFG-07", ("admin", key), what, do="remove it")
        tls = table.get("tls", {})
        for key in ("operators", "viewers"):
            if key in table and "socket" not in table and not (isinstance(tls, dict) and "client_ca" in tls):
                self.report("E-CFG-07", ("admin", key), "needs client certificates", do="add tls with client_ca, or remove it")
        if isinstance(tls, dict):
            self._check_policy_keys(("admin", "tls"), tls)

    def _check_listener_keys(self, path: Path, table: dict[str, Any]) -> None:
        tls = table.get("tls", {})
        if not isinstance(tls, dict):
            return
        names = tls.get("names", [])
        policies = [((*path, "tls"), tls), *_tables({"names": names}, "names", (*path, "tls"))]
        for below, policy in policies:
            self._check_policy_keys(below, policy)
        if "owners" in table and not any("client_ca" in policy for _, policy in policies):
            self.report("E-CFG-07", (*path, "owners"), "needs client certificates", do="add tls with client_ca, or remove owners")

    def _check_policy_keys(self, path: Path, policy: dict[str, Any]) -> None:
        for key in ("client_certificate", "crl", "clients"):
            if key in policy and "client_ca" not in policy:
                self.report("E-CFG-07", (*path, key), "cannot be checked without client_ca", do="add client_ca")
        if "clients" in policy and policy.get("client_certificate") == "optional":
            what = "asks for names in certificates that need not be shown"
            self.report("E-CFG-07", (*path, "clients"), what, do="remove client_certificate, or clients")
        if "crl_check" in policy and "crl" not in policy:
            self.report("E-CFG-07", (*path, "crl_check"), "belongs to crl", do="add crl, or remove it")

    def _check_route_keys(self, path: Path, table: dict[str, Any]) -> None:
        given = {key for key, value in table.items() if value not in ({}, [], False)}
        answering = [key for key in ("service", "to_listener", "service_by", "split") if key in given]
        if len(answering) > 1:
            self.report("E-CFG-07", path, f"has {' and '.join(answering)}", do="keep one of them")
        elif not answering:
            self.report("E-CFG-04", path, "has neither service nor to_listener, service_by or split", "one of them")
        shares = table.get("split")
        if isinstance(shares, dict) and shares and all(share == 0 for share in shares.values()):
            self.report("E-CFG-04", (*path, "split"), "gives nothing to anybody", "a share above 0 for one service at least")
        if "split_by" in given and "split" not in given:
            self.report("E-CFG-07", (*path, "split_by"), "belongs to split", do="add split, or remove it")
        for one, other in (("listener", "from_service"), ("match", "default")):
            if one in given and other in given:
                self.report("E-CFG-07", path, f"has {one} and {other}", do="keep one of them")
            elif one not in given and other not in given:
                self.report(
                    "E-CFG-04",
                    path,
                    f"has neither {one} nor {other}",
                    "one of them" if other != "default" else "match = { FIELD = VALUE }, or default = true",
                )

    def _check_names(self) -> None:
        names = {key: [str(path[1]) for path, _ in _tables(self._raw, key)] for key in ("listeners", "services", "calendars")}
        for key in ("listeners", "services"):
            for path, table in _tables(self._raw, key):
                self._check_name((*path, "calendar"), table.get("calendar"), "calendars", names)
                self._check_name((*path, "answers_to"), table.get("answers_to"), "listeners", names)
        for path, table in _tables(self._raw, "routes"):
            for key, kind in (
                ("listener", "listeners"),
                ("to_listener", "listeners"),
                ("from_service", "services"),
                ("service", "services"),
            ):
                self._check_name((*path, key), table.get(key), kind, names)
            shares = table.get("split")
            for name in shares if isinstance(shares, dict) else ():
                self._check_name((*path, "split", name), name, "services", names)
            by = table.get("service_by")
            chosen = by.get("services") if isinstance(by, dict) else None
            for value, name in chosen.items() if isinstance(chosen, dict) else ():
                self._check_name((*path, "service_by", "services", value), name, "services", names)
        for path, table in (each for kind in ("limits", "quotas", "priorities") for each in _tables(self._raw, kind)):
            for key, kind in (("listener", "listeners"), ("service", "services")):
                self._check_name((*path, key), table.get(key), kind, names)

    def _check_name(self, path: Path, given: object, kind: str, names: dict[str, list[str]]) -> None:
        for name in _strings(given):
            if name not in names[kind]:
                do = _suggestion(name, names[kind]) or f"define [{kind}.{name}]"
                self.report("E-CFG-06", path, f'there is no {kind[:-1]} "{name}"', do=do)

    def _routes(self, config: Config) -> list[tuple[Path, Route]]:
        return [(("routes", place), route) for place, route in zip(self._places, config.routes, strict=True)]

    def _check_admin_from_afar(self, admin: Admin) -> None:
        what = "can be reached from other machines"
        if admin.tls is None and not admin.plain_http:
            do = "add tls, use 127.0.0.1 or a socket, or say plain_http = true where something else encrypts"
            self.report("E-CFG-07", ("admin", "address"), f"{what} without TLS", do=do)
        if not (admin.token_file or admin.viewer_token_file or admin.operators or admin.viewers):
            do = "use 127.0.0.1 or a socket, or add token_file, or operators by their certificates"
            self.report("E-CFG-07", ("admin", "address"), f"{what} by anybody", do=do)

    def _check_overlaps(self, config: Config) -> None:
        routes = self._routes(config)
        for first_place, second_place in _meeting(config.routes):
            (earlier, one), (later, other) = routes[first_place], routes[second_place]
            shared = [name for kind, name in one.sources if (kind, name) in other.sources]
            if shared and _ambiguous(one, other):
                first = f"{dotted(earlier)} (line {line_of(self._lines, earlier)})"
                what = f"takes telegrams that {first} takes as well, from {', '.join(shared)}"
                do = "make them differ; where one is the exception of the other, write the wider one with a prefix or a range: exact ones go first"
                self.report("E-CFG-05", later, what, do=do)

    def _check_values(self, config: Config) -> None:
        for name in sorted(config.limits.keys() & config.quotas.keys()):
            do = "give each its own name, since a refusal names one of them"
            self.report("E-CFG-07", ("quotas", name), "is the name of a limit too", do=do)
        if config.metrics and not config.metrics.address.loopback and not config.metrics.insecure_public:
            self.report(
                "E-CFG-07", ("metrics", "address"), "can be reached from other machines", do="use 127.0.0.1, or insecure_public = true"
            )
        if config.admin is not None and config.admin.address is not None and not config.admin.address.loopback:
            self._check_admin_from_afar(config.admin)
        for name, listener in config.listeners.items():
            if listener.tls is not None:
                self._check_server_names(("listeners", name, "tls", "names"), listener.tls)
        for name, service in config.services.items():
            if isinstance(service, TelegramService) and service.reconnect_min > service.reconnect_max:
                self.report(
                    "E-CFG-07", ("services", name, "reconnect_min"), "is above reconnect_max", do="lower it, or raise reconnect_max"
                )
            if isinstance(service, TelegramService):
                self._check_mode(("services", name), service)
                self._check_callers(("services", name), service)
            if isinstance(service, TelegramService) and service.links_min > service.links:
                self.report("E-CFG-07", ("services", name, "links_min"), "is above links", do="lower it, or raise links")
            if isinstance(service, TelegramService) and service.source is not None and 0 < len(service.source.ports) < service.links:
                what = f"has {len(service.source.ports)} ports for {service.links} links"
                self.report("E-CFG-07", ("services", name, "source"), what, do="widen the range, or lower links")
            if isinstance(service, HttpService) and service.source is not None and service.source.ports:
                what = "names ports, and the connections of an HTTP service come and go"
                self.report("E-CFG-07", ("services", name, "source"), what, do="give the address alone")
            self._check_backends(("services", name), service)
            if service.ejection is not None:
                self._check_ranges(("services", name, "ejection", "failure_when"), service.ejection.failure_when)
            if isinstance(service, HttpService):
                self._check_http(("services", name), service)
        for path, route in self._routes(config):
            self._check_route(path, route, config)
        names: set[str] = set()
        for path, route in self._routes(config):
            if route.name in names:
                self.report("E-CFG-07", (*path, "name"), "is the name of an earlier route too", do="give each route its own name")
            names |= {route.name} if route.name is not None else set()

    def _check_server_names(self, path: Path, tls: ListenerTls) -> None:
        known: set[str] = set()
        for place, table in enumerate(tls.names):
            for each in table.names:
                if each in known:
                    self.report(
                        "E-CFG-07", (*path, place, "names"), "holds a name twice, or one of an earlier table", do="keep one of them"
                    )
                known.add(each)

    def _check_mode(self, path: Path, service: TelegramService) -> None:
        for place, backend in enumerate(service.backends):
            below = (*path, "backends", place, "replies")
            if backend.replies is not None and service.mode == "fifo":
                what = "belongs to modes whose replies are paired by their key, and this service is fifo"
                self.report("E-CFG-07", below, what, do="remove it, or choose another mode")
            if backend.replies is not None and backend.replies == backend.address:
                what = "is the address for requests too: one connection carries both"
                self.report("E-CFG-07", below, what, do="remove it, or give the host's second port")
        if service.poison_grace is not None and service.mode != "fifo":
            self.report("E-CFG-07", (*path, "poison_grace"), f'belongs to mode = "fifo", and this is {service.mode}', do="remove it")
        if service.mode == "exclusive" and "in_flight" in service.model_fields_set and service.in_flight != 1:
            do = "remove it, or choose another mode; more `links` carry more requests at a time"
            self.report("E-CFG-07", (*path, "in_flight"), "is 1 where mode is exclusive", do=do)

    def _check_backends(self, path: Path, service: AnyService) -> None:
        if (service.balance == "hash") != (service.balance_field is not None):
            self.report("E-CFG-07", path, 'has one of balance = "hash" and balance_field', do="give both, or neither")
        if service.ejection is not None and service.ejection.base > service.ejection.longest:
            self.report("E-CFG-07", (*path, "ejection", "base"), "is above longest", do="lower it, or raise longest")
        if isinstance(service, TelegramService | HttpService) and service.health is not None:
            self._check_health((*path, "health"), service.health, service)

    def _check_health(self, path: Path, health: Health, service: TelegramService | HttpService) -> None:
        if (health.probe == "http") != isinstance(service, HttpService) and health.probe in ("http", "poll"):
            wanted = "connect, tls or http" if isinstance(service, HttpService) else "connect, tls or poll"
            self.report("E-CFG-07", (*path, "probe"), f"is not for {service.kind} services", wanted)
        if "path" in health.model_fields_set and health.probe != "http":
            self.report("E-CFG-07", (*path, "path"), "belongs to the probe http", do="remove it")
        secure = service.tls is not None or (isinstance(service, HttpService) and service.url.scheme == "https")
        if health.probe == "tls" and not secure:
            self.report("E-CFG-07", (*path, "probe"), "needs TLS towards the backends", do="add tls, or probe by connect")

    def _check_callers(self, path: Path, service: TelegramService) -> None:
        """Backends that dial us, and where."""
        names = [each.known_as for each in service.backends]
        for place, each in enumerate(service.backends):
            below = (*path, "backends", place)
            if each.address is not None:
                for key, value in (
                    ("name", each.name),
                    ("from", each.networks),
                    ("certificate", each.certificate),
                    ("sign_on", each.sign_on),
                ):
                    if value:
                        self.report("E-CFG-07", (*below, key), "is for a backend that dials us, and this one is dialled", do="remove it")
            elif each.replies is not None:
                self.report("E-CFG-07", (*below, "replies"), "is for a backend that is dialled, and this one dials us", do="remove it")
            elif each.name is None or not (each.networks or each.certificate or each.sign_on):
                expected = "an address, or for one that dials us a name, with from, certificate or sign_on"
                self.report("E-CFG-04", (*below, "address"), "is missing", expected)
            elif each.certificate and not _asks(service.listen):
                what = "needs the certificates of those who connect"
                self.report("E-CFG-07", (*below, "certificate"), what, do="add tls with a client_ca to listen, and require it")
            if names.index(each.known_as) != place:
                self.report("E-CFG-07", below, "is the same as one before", do="remove one of them")
        calling = any(each.name is not None for each in service.backends)
        if calling and service.listen is None:
            self.report("E-CFG-04", (*path, "listen"), "is missing, and backends are to connect to us", "an address to listen at")
        if not calling and service.listen is not None:
            self.report("E-CFG-07", (*path, "listen"), "is where nobody is expected", do="add a backend with a name, or remove listen")
        if service.health is not None and all(each.address is None for each in service.backends):
            self.report("E-CFG-07", (*path, "health"), "probes backends that are dialled, and there is none", do="remove it")

    def _check_http(self, path: Path, service: HttpService) -> None:
        if service.tls is not None and service.url.scheme == "http":
            self.report("E-CFG-07", (*path, "tls"), "is set for a plain http URL", do="use an https URL, or remove tls")
        for field in sorted(service.set.keys() & service.response.keys()):
            self.report("E-CFG-07", (*path, "set", field), "is taken from the response as well", do="keep one of them")

    def _check_ranges(self, path: Path, match: Mapping[str, Rule]) -> None:
        """Header fields are compared as bytes."""
        for field, rule in match.items():
            if isinstance(rule, Range) and (len(rule.min) != len(rule.max) or rule.min > rule.max):
                self.report("E-CFG-04", (*path, field), "is an empty range", "min and max of the same length, min not above max")

    def _check_route(self, path: Path, route: Route, config: Config) -> None:
        self._check_ranges((*path, "match"), route.header_match)
        source = config.services.get(route.from_service or "")
        if source is not None and not isinstance(source, TelegramService):
            what = f"is a {source.kind} service, which sends nothing of its own"
            self.report("E-CFG-07", (*path, "from_service"), what, do="name a telegram service")
        if route.from_service is not None and ("service", route.from_service) in route.targets:
            self.report("E-CFG-07", (*path, "service"), "is where the telegrams come from", do="name another service, or a to_listener")
        if route.to_listener is not None and route.urgency != "normal":
            self.report("E-CFG-07", (*path, "class"), "means nothing to sessions, which are asked at once", do="remove it")
        for kind, name in route.targets:
            target = config.services.get(name) if kind == "service" else None
            if isinstance(target, HttpService | HandlerService) and "validation" in route.model_fields_set and route.validation != "full":
                what = f'is always "full" for a {target.kind} service, which needs every field'
                self.report("E-CFG-07", (*path, "validate"), what, do="remove it")

    def _check_addresses(self, config: Config) -> None:
        bound: list[tuple[Path, Address]] = [(("listeners", name, "address"), each.address) for name, each in config.listeners.items()]
        if config.metrics:
            bound.append((("metrics", "address"), config.metrics.address))
        if config.admin and config.admin.address:
            bound.append((("admin", "address"), config.admin.address))
        for name, service in config.services.items():
            if isinstance(service, TelegramService) and service.listen is not None:
                bound.append((("services", name, "listen"), service.listen.address))
        for (earlier, one), (later, other) in combinations(bound, 2):
            same_host = one.host == other.host or {"0.0.0.0", "::"} & {one.host, other.host}
            if one.port == other.port != 0 and same_host:
                self.report("E-CFG-07", later, f"is the address of {dotted(earlier[:-1])} too", do="give each its own port")

    def _check_missing_specs(self, config: Config) -> None:
        if self.problems:  # a spec may be unknown only because its route was left out
            return
        for (kind, name), found in specs_by_party(config).items():
            if kind == "service" and not found:
                self.report("E-CFG-04", ("services", name, "spec"), "is missing, and no route tells it", "the spec that the service speaks")

    def _check_specs(self, config: Config) -> None:
        specs = specs_by_party(config)
        for name in config.services:
            found = sorted(specs["service", name])
            if len(found) > 1:
                what = f"is reached from listeners of the specs {' and '.join(found)}"
                self.report("E-CFG-07", ("services", name), what, do="use one service for each spec")
        for path, route in self._routes(config):
            for source, target in product(route.sources, route.targets):
                one, other = specs.get(source, set()), specs.get(target, set())
                if len(one) == len(other) == 1 and one != other:
                    what = f"leads from spec {min(one)} to spec {min(other)}"
                    self.report("E-CFG-07", path, what, do="route to a service of the same spec")


def _asks(listen: Listen | None) -> bool:
    """Whether everybody who connects there must show a certificate."""
    tls = listen.tls if listen is not None else None
    return tls is not None and tls.client_ca is not None and tls.client_certificate == "required"


def _meeting(routes: Sequence[Route]) -> list[tuple[int, int]]:
    """The pairs of places whose routes may take the same telegrams: to look at every pair of hundreds would take a second."""
    alike: dict[Hashable, list[int]] = {}
    shapes: dict[tuple[str, ...], list[int]] = {}
    for place, route in enumerate(routes):
        if route.exact:
            shapes.setdefault(tuple(sorted(route.match)), []).append(place)
        for source in () if route.exact else route.sources:
            alike.setdefault((source, route.default, str(sorted(route.match.items()))), []).append(place)
    found = {pair for places in alike.values() for pair in combinations(places, 2)}
    for one, other in combinations_with_replacement(shapes, 2):
        common = [field for field in one if field in other]
        known: dict[Hashable, list[int]] = {}
        for place in shapes[one]:
            for key in _keys(routes[place], common):
                known.setdefault(key, []).append(place)
        for place in shapes[other]:
            found |= {
                (min(place, met), max(place, met)) for key in _keys(routes[place], common) for met in known.get(key, ()) if met != place
            }
    return sorted(found)


def _keys(route: Route, fields: Sequence[str]) -> Iterator[Hashable]:
    """Every combination of source and values of these fields that an exact route takes."""
    return product(route.sources, *(_values(route, field) for field in fields))


def _ambiguous(one: Route, other: Route) -> bool:
    """True when both take the same telegrams and no order between them is written anywhere."""
    if one.default or other.default:
        return one.default and other.default
    if not (one.exact and other.exact):
        return one.match == other.match  # ordered rules may overlap; the first wins
    return all(_values(one, field) & _values(other, field) for field in one.match.keys() & other.match.keys())


def _values(route: Route, field: str) -> set[str]:
    rule = route.match[field]
    return set(rule.values) if isinstance(rule, Exact) else set()


def _kinds_named(table: object) -> list[str]:
    keys = table if isinstance(table, dict) else {}
    kinds = [str(model.kind) for key, model in KINDS.items() if key in keys]
    if keys.get("protocol") in ("telegram", "http") and keys["protocol"] not in kinds:
        kinds.append(keys["protocol"])
    return kinds


def _tables(raw: dict[str, Any], key: str, above: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
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


def _at(raw: object, path: Path) -> object:
    for step in path:
        if not isinstance(raw, dict | list):
            return None
        raw = raw[step]  # type: ignore[index]
    return raw


def _path_of(loc: tuple[str | int, ...]) -> Path:
    """pydantic's place as a path of the file: without the kind of a service, and without its marks on keys."""
    path = tuple(step for step in loc if step != "[key]")
    if path[0] == "services" and len(path) > 2:
        path = (*path[:2], *path[3:])
    return path


def _model_of(path: Path, raw: dict[str, Any]) -> type[Settings]:
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
        kind = kind_of(_at(raw, path))
        return next(model for model in KINDS.values() if model.kind == kind)
    if path[0] == "services" and path[2] == "listen" and len(path) > 3:
        return ServerTls if path[3] == "tls" else ProxyProtocol
    if path[0] == "services":
        return inside[path[2]]
    if path[0] == "listeners" and path[2:] == ("conduct",):
        return SessionConduct
    return models[path[0], len(path)]


def _keys_of(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def _expected_key(path: Path, table: object) -> str:
    if path[0] == "services" and path[2:] == ("backends",) and not _kinds_named(table):
        return "one of backends, url and handler"
    model = _model_of(path[:-1], {"services": {path[1]: table}} if path[0] == "services" else {})
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


def _what_and_expected(detail: ErrorDetails) -> tuple[str, str]:
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


def _suggestion(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f'did you mean "{near[0]}"?' if near else ""
