"""From a configuration file to everything that a router needs, or to the list of all that is wrong with it.

Nothing is started here: `telegram-router check` stops at this point.
"""

from __future__ import annotations

import difflib
import importlib
import ssl
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from telegram_router.config import (
    Config,
    Exact,
    HandlerService,
    HttpService,
    Listener,
    Prefix,
    Route,
    Rule,
    Service,
    TelegramService,
    parse_config,
)
from telegram_router.config.lines import key_lines, line_of
from telegram_router.errors import ConfigError, ConfigProblem
from telegram_router.routing import Among, Between
from telegram_router.routing import Prefix as BeginsWith
from telegram_router.routing.routes import Test
from telegram_router.telegrams import Spec, load_spec
from telegram_router.telegrams.json_mapping import JsonMapping
from telegram_router.wire.certificates import certificate_facts, client_context, server_context
from telegram_router.wire.handlers import Handler, is_handler
from telegram_router.wire.http import HttpRequestTemplate

SHIPPED = (Path(__file__).parent / "specs", Path(__file__).parent.parent / "specs")


@dataclass
class Plan:
    """A checked configuration with all it names: specs compiled, certificates loaded, handlers imported."""

    config: Config
    folder: Path
    specs: dict[str, Spec] = field(default_factory=dict)
    server_tls: dict[str, ssl.SSLContext] = field(default_factory=dict)  # by listener
    expires: dict[str, float] = field(default_factory=dict)  # own certificate's end, by listener, seconds since 1970
    client_tls: dict[str, ssl.SSLContext] = field(default_factory=dict)  # by service
    handlers: dict[str, Handler] = field(default_factory=dict)
    mappings: dict[str, JsonMapping] = field(default_factory=dict)
    tests: dict[int, Mapping[str, Test]] = field(default_factory=dict)  # by place of the route in the file


def read_plan(path: Path) -> Plan:
    """Check a configuration file and all that it names. Raises ConfigError with every problem found."""
    text = read_text(path)
    config = parse_config(text, str(path))
    planner = _Planner(Plan(config, path.parent), str(path), text)
    planner.check()
    if planner.problems:
        raise ConfigError(planner.problems)
    return planner.plan


def read_text(path: Path) -> str:
    """The text of a file. Raises ConfigError E-CFG-01 when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")  # Windows editors put a mark in front of a file
    except OSError as error:
        raise ConfigError(
            [ConfigProblem("E-CFG-01", str(path), 0, "", error.strerror or "cannot be read", do="check path and permissions")]
        ) from None
    except UnicodeDecodeError:
        raise ConfigError([ConfigProblem("E-CFG-01", str(path), 0, "", "is not UTF-8 text", do="save it as UTF-8")]) from None


def spec_folders(config: Config | None, folder: Path) -> list[Path]:
    """Where specs are looked for: the configuration's folders first, then those that ship with the router."""
    named = [folder / each for each in config.specs] if config is not None else []
    return [*named, *(each for each in SHIPPED if each.is_dir())]


def find_spec(name: str, folders: Iterable[Path]) -> Path | None:
    """The file of a spec by its name; a path to a file is taken as it is."""
    if name.endswith(".py"):
        return Path(name)
    return next((folder / f"{name}.py" for folder in folders if (folder / f"{name}.py").is_file()), None)


def known_specs(folders: Iterable[Path]) -> dict[str, Path]:
    """Every spec file in the folders by its name; the first folder wins."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            if not path.name.startswith("_"):
                found.setdefault(path.stem, path)
    return found


def read_spec(path: Path) -> Spec:
    """Compile a spec file. Raises SpecError (a ConfigError) with every problem found."""
    return load_spec(read_text(path), str(path))


class _Planner:
    """One pass over all that a configuration names. A problem in one part hides none in another."""

    def __init__(self, plan: Plan, filename: str, text: str) -> None:
        self.plan = plan
        self.problems: list[ConfigProblem] = []
        self._filename = filename
        self._lines = key_lines(text)

    def check(self) -> None:
        config = self.plan.config
        self._load_specs()
        for name, listener in config.listeners.items():
            self._listener(name, listener)
        for name, service in config.services.items():
            self._service(name, service)
        for place, route in enumerate(config.routes):
            self._route(place, route)

    def report(self, code: str, path: tuple[str | int, ...], what: str, expected: str = "", do: str = "") -> None:
        key = ".".join(str(part) for part in path)
        self.problems.append(ConfigProblem(code, self._filename, line_of(self._lines, path), key, what, expected, do))

    def _gather(self, step: Callable[[], None]) -> None:
        try:
            step()
        except ConfigError as error:
            self.problems.extend(error.problems)

    def _path(self, name: str | None) -> str | None:
        return None if name is None else str(self.plan.folder / name)

    # --- specs ----------------------------------------------------------------------------------------------------

    def _load_specs(self) -> None:
        config = self.plan.config
        wanted: dict[str, tuple[str | int, ...]] = {
            listener.spec: ("listeners", name, "spec") for name, listener in config.listeners.items()
        }
        for name, service in config.services.items():
            if service.spec is not None:
                wanted.setdefault(service.spec, ("services", name, "spec"))
        folders = spec_folders(config, self.plan.folder)
        for spec, place in wanted.items():
            path = find_spec(spec, folders)
            if path is None:
                known = sorted(known_specs(folders))
                self.report("E-CFG-06", place, "no such spec", f"one of {', '.join(known)}" + _nearest(spec, known))
            else:
                self._gather(lambda name=spec, file=path: self.plan.specs.update({name: read_spec(file)}))  # type: ignore[misc]

    # --- listeners and services -------------------------------------------------------------------------------------

    def _listener(self, name: str, listener: Listener) -> None:
        tls = listener.tls
        if listener.owners and listener.spec in self.plan.specs and self.plan.specs[listener.spec].owner is None:
            self.report(
                "E-CFG-07", ("listeners", name, "owners"), "the spec names no owner field", do="remove `owners`, or set `owner` in the spec"
            )
        if tls is None:
            return
        where = f"listeners.{name}.tls"

        def load() -> None:
            certificate, key = self._path(tls.certificate) or "", self._path(tls.key) or ""
            self.plan.server_tls[name] = server_context(
                certificate, key, self._path(tls.client_ca), tls.client_certificate, tls.profile, where=where
            )
            self.plan.expires[name] = certificate_facts(certificate, where=where).expires_at

        self._gather(load)

    def _service(self, name: str, service: Service) -> None:
        if isinstance(service, HandlerService):
            self._handler(name, service)
            return
        tls = service.tls
        if tls is not None or (isinstance(service, HttpService) and service.url.scheme == "https"):

            def load() -> None:
                ca, certificate, key = (tls.ca, tls.certificate, tls.key) if tls is not None else (None, None, None)
                where = f"services.{name}.tls"
                self.plan.client_tls[name] = client_context(self._path(ca), self._path(certificate), self._path(key), where=where)

            self._gather(load)
        if isinstance(service, HttpService):
            self._mapping(name, service)

    def _handler(self, name: str, service: HandlerService) -> None:
        module, _, function = service.handler.partition(":")
        place = ("services", name, "handler")
        folder = str(self.plan.folder.resolve())
        if folder not in sys.path:
            sys.path.insert(0, folder)  # handlers live beside the configuration, or are installed
        try:
            found = getattr(importlib.import_module(module), function, None)
        except Exception as error:
            self.report(
                "E-CFG-08",
                place,
                f"importing the module fails with {type(error).__name__}",
                do="see that it can be imported beside this file",
            )
            return
        if found is None:
            self.report("E-CFG-08", place, "the module has no such function")
        elif not is_handler(found):
            self.report("E-CFG-08", place, "is not an async def", "async def NAME(telegram) -> telegram")
        else:
            self.plan.handlers[name] = found

    def _mapping(self, name: str, service: HttpService) -> None:
        spec = self.plan.specs.get(self.plan.config.spec_of(name))
        if spec is None:
            return
        response = service.response if "response" in service.model_fields_set else None
        messages = self._messages_for(name, spec)
        self._requests(name, service, messages)
        mapping = JsonMapping(spec, messages, request=service.request, response=response, literals=service.set)
        for problem in mapping.problems:
            self.report("E-CFG-04", ("services", name, *problem.key), problem.what, problem.expected)
        self.plan.mappings[name] = mapping

    def _requests(self, name: str, service: HttpService, messages: list[str]) -> None:
        """What cannot be put into a request is found now, not at the first telegram."""
        for message in messages:
            try:
                HttpRequestTemplate(path_of(service, message), host_header(service), service.headers)
            except ValueError as error:
                self.report("E-CFG-04", ("services", name, "url"), f"no request can be made of it for {message}", str(error))
                return

    def _messages_for(self, service: str, spec: Spec) -> list[str]:
        """Messages that some route may lead to this service, by the key values that its matches allow."""
        key = spec.family.key
        found = []
        for message in spec.messages.values():
            values = dict(zip(key, message.key, strict=True))
            for route in self.plan.config.routes:
                rules = {name: rule for name, rule in route.match.items() if name in values}
                if (
                    message.kind != "reply"
                    and route.service == service
                    and all(_allows(rule, values[name]) for name, rule in rules.items())
                ):
                    found.append(message.name)
                    break
        return found

    # --- routes -----------------------------------------------------------------------------------------------------

    def _route(self, place: int, route: Route) -> None:
        for kind, name in route.sources:
            spec_name = self.plan.config.listeners[name].spec if kind == "listener" else self.plan.config.spec_of(name)
            spec = self.plan.specs.get(spec_name)
            if spec is None:
                continue
            if route.to_listener is not None and spec.owner is None:
                self.report("E-CFG-07", ("routes", place, "to_listener"), "the spec names no owner field, so no session can be chosen")
            tests = {key: self._test(place, key, rule, spec) for key, rule in route.match.items()}
            self.plan.tests[place] = {key: test for key, test in tests.items() if test is not None}

    def _test(self, place: int, key: str, rule: Rule, spec: Spec) -> Test | None:
        path = ("routes", place, "match", key)
        known = list(spec.header_fields)
        if key not in known:
            self.report("E-CFG-06", path, "no such header field", f"one of {', '.join(known)}" + _nearest(key, known))
            return None
        width = spec.header_fields[key][1]

        def wire(value: str) -> bytes:
            raw = value.encode(spec.encoding, errors="replace")
            if len(raw) > width:
                self.report("E-CFG-04", path, f"a value of {len(raw)} bytes", f"at most {width}, the size of the field")
            return raw

        if isinstance(rule, Exact):
            return Among(frozenset(wire(value).ljust(width) for value in rule.values))
        if isinstance(rule, Prefix):
            return BeginsWith(wire(rule.prefix))
        return Between(wire(rule.min).ljust(width), wire(rule.max).ljust(width))


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]}?" if close else ""


def _allows(rule: Rule, value: str) -> bool:
    if isinstance(rule, Exact):
        return value in rule.values
    if isinstance(rule, Prefix):
        return value.startswith(rule.prefix)
    return rule.min <= value <= rule.max


def path_of(service: HttpService, message: str) -> str:
    """Where the requests of a message are posted."""
    return service.url.target.replace("{message}", message)


def host_header(service: HttpService) -> str:
    """The host of its URL, with the port unless it is the scheme's own."""
    url = service.url
    host = f"[{url.host}]" if ":" in url.host else url.host
    return host if url.port == {"http": 80, "https": 443}[url.scheme] else f"{host}:{url.port}"


def backends_of(service: TelegramService | HttpService) -> list[tuple[str, int]]:
    """The addresses of a service."""
    if isinstance(service, HttpService):
        return [(service.url.host, service.url.port)]
    return [(address.host, address.port) for address in service.backends]
