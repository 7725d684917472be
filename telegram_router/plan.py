"""From a configuration file to everything that a router needs, or to the list of all that is wrong with it.

Nothing is started here: `telegram-router check` stops at this point.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import importlib
import importlib.util
import os
import ssl
import sys
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Literal

from telegram_router.cardinality import MOST, too_many
from telegram_router.config import (
    Access as AccessRecords,
)
from telegram_router.config import (
    Admin,
    AdminTls,
    Backend,
    CertificatePolicy,
    ClientPolicy,
    ClientTls,
    Config,
    Draft,
    Exact,
    HandlerService,
    HttpService,
    Limit,
    Listener,
    Party,
    Prefix,
    Priority,
    Quota,
    Route,
    Rule,
    Service,
    TelegramService,
    TlsName,
    Tracing,
    Usage,
    dotted,
    draft_config,
    timers,
)
from telegram_router.config.lines import line_of
from telegram_router.config.model import specs_by_party
from telegram_router.errors import ConfigError, ConfigProblem, ConfigWarning, places
from telegram_router.offices import is_timezone, wrongs
from telegram_router.ops.access import Access
from telegram_router.ops.tokens import read_token
from telegram_router.routing import Among, Between
from telegram_router.routing import Prefix as BeginsWith
from telegram_router.routing.callers import Caller
from telegram_router.routing.quotas import amount_fields
from telegram_router.routing.routes import BodyTest, Test, clear_names
from telegram_router.routing.usage import has
from telegram_router.telegrams import Code, Digits, FieldFault, MessageLayout, Spec, Text, load_spec
from telegram_router.telegrams.fields import Number
from telegram_router.telegrams.json_mapping import JsonMapping
from telegram_router.telegrams.single_field import SingleField
from telegram_router.telegrams.succession import obstacle
from telegram_router.wire.certificates import certificate_facts, client_context, first_end, server_context
from telegram_router.wire.expiry import Expiry, moment
from telegram_router.wire.expiry import Kind as Ending
from telegram_router.wire.handlers import Handler, is_handler, takes_a_telegram
from telegram_router.wire.http import HttpRequestTemplate
from telegram_router.wire.server_names import ServerContext, ServerNames, covers

Place = tuple[str | int, ...]  # of a key in the file

HASH_KEY = 64  # bytes that the hash takes
DIGITS = 12  # of a digest, for people
LARGEST_FILE = 16 * 1024 * 1024
_ENDING = {"certificate": "certificate", "ca": "CA", "crl": "revocation list"}

SHIPPED = (Path(__file__).parent / "specs", Path(__file__).parent.parent / "specs")


@dataclass
class Plan:
    """A checked configuration with all it names: specs compiled, certificates loaded, handlers imported."""

    config: Config
    folder: Path
    path: Path = Path()  # the configuration file
    spoken: dict[str, str] = field(default_factory=dict)  # the name of the spec of each service
    specs: dict[str, Spec] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)  # what of each spec, and of each party's certificates, was read: a digest
    files: dict[Path, bytes] = field(default_factory=dict)  # all that was read or looked for, and a digest of what was there
    renewed: list[str] = field(default_factory=list)  # specs whose text is another than before, and that take over
    outdated: list[str] = field(default_factory=list)  # likewise, and that cannot: the former text stays until a restart
    server_tls: dict[str, ServerContext] = field(default_factory=dict)  # by listener
    ends: list[Expiry] = field(default_factory=list)  # of own certificates, CAs and revocation lists
    client_tls: dict[str, ssl.SSLContext] = field(default_factory=dict)  # by service
    backend_tls: dict[str, ServerContext] = field(default_factory=dict)  # by service whose backends dial us
    handlers: dict[str, Handler] = field(default_factory=dict)
    mappings: dict[str, JsonMapping] = field(default_factory=dict)
    tests: dict[int, Mapping[str, Test]] = field(default_factory=dict)  # of headers, by place of the route in the file
    body_tests: dict[int, tuple[BodyTest, ...]] = field(default_factory=dict)  # likewise
    choices: dict[int, dict[str, BodyTest]] = field(default_factory=dict)  # likewise: by the value that chooses the service
    warnings: list[ConfigWarning] = field(default_factory=list)
    admin_access: Access = field(default_factory=Access)
    digest: str = ""  # of the configuration file's text
    access_file: Path | None = None  # of access records; None where there are none, or stdout takes them
    access_key: bytes = field(default=b"", repr=False)
    trouble: dict[str, Mapping[str, Test]] = field(default_factory=dict)  # of answers that count against a backend, by service


def read_plan(path: Path, before: Plan | None = None) -> Plan:
    """Check a configuration file and all that it names. Raises ConfigError with every problem found.

    `before`: the plan that is at work. What is as it was there is taken from it: a spec of the same text, certificates of the same files,
    whatever time has made of them.
    """
    digest = digest_of(path)
    text = read_text(path)
    planner = _Planner(draft_config(text, str(path)), path, before)
    planner.plan.files[path] = digest
    planner.plan.digest = hashlib.sha256(text.encode("utf-8")).hexdigest()[:DIGITS]
    planner.check()
    if planner.problems:
        raise ConfigError(sorted(planner.problems, key=lambda problem: problem.line if problem.file == str(path) else sys.maxsize))
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


def _candidates(name: str, folders: Iterable[Path]) -> list[Path]:
    """Where a spec is looked for, up to the file that is it."""
    if name.endswith(".py"):
        return [Path(name)]
    places = [folder / f"{name}.py" for folder in folders]
    found = next((place for place, path in enumerate(places) if path.is_file()), len(places))
    return places[: found + 1]


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

    def __init__(self, draft: Draft, path: Path, before: Plan | None = None) -> None:
        self.plan = Plan(draft.config, path.parent, path)
        self._before = before
        self._parties = specs_by_party(draft.config)
        self.plan.spoken = {name: min(specs) for (kind, name), specs in self._parties.items() if kind == "service" and specs}
        self.problems: list[ConfigProblem] = list(draft.problems)
        self._draft = draft
        self._all_routes = not any(problem.key.startswith("routes") for problem in draft.problems)
        self._all_listeners = not any(problem.key.startswith("listeners") for problem in draft.problems)
        self._filename = str(path)
        self._lines = draft.lines

    def check(self) -> None:
        config = self.plan.config
        if self._load_specs():
            self.problems += self._draft.spec_conflicts
        for name, listener in config.listeners.items():
            self._listener(name, listener)
        if all([self._route(place, route) for place, route in enumerate(config.routes)]):  # noqa: C419 - every one is to be looked at
            self.problems += self._draft.overlaps
        for name, service in config.services.items():
            self._service(name, service)
        for name, limit in config.limits.items():
            self._limit(("limits", name), limit)
            self._delay(("limits", name), limit)
        for name, quota in config.quotas.items():
            self._limit(("quotas", name), quota)
            self._quota(("quotas", name), quota)
        for name, calendar in config.calendars.items():
            if not is_timezone(calendar.timezone):
                self.report("E-CFG-04", ("calendars", name, "timezone"), "no such time zone", 'a name such as "Asia/Seoul" or "UTC"')
        if config.usage is not None:
            self._usage(config.usage)
        if config.admin is not None:
            self._gather(partial(self._admin, config.admin))
        for name, priority in config.priorities.items():
            self._priority(name, priority)
        for metric, count in too_many(config, self.plan.specs).items() if config.metrics is not None else ():
            what = f"telegram_router_{metric} would have {count} series, more than {MOST}"
            self.report("E-CFG-07", ("metrics",), what, do="split the configuration over several routers, or leave out this table")
        if config.access is not None:
            self._gather(partial(self._access, config.access))
        if config.tracing is not None:
            self._tracing(config.tracing)
        for name in config.listeners:
            self._doubt(name)
        for finding in timers.findings(config):
            if finding.works:
                self._warn(finding.path, finding.what, finding.do)
            else:
                self.report("E-CFG-07", finding.path, finding.what, do=finding.do)

    def _admin(self, admin: Admin) -> None:
        tls = admin.tls
        context = self._admin_context(tls) if tls is not None else None
        self._digest(self._path(file) for file in (admin.token_file, admin.viewer_token_file) if file is not None)
        token, viewers_token = (
            read_token(self.plan.folder / file, f"admin.{key}") if file is not None else None
            for key, file in (("token_file", admin.token_file), ("viewer_token_file", admin.viewer_token_file))
        )
        if token is not None and token == viewers_token:
            what = "holds the token of token_file: viewers would be operators"
            self.report("E-CFG-07", ("admin", "viewer_token_file"), what, do="make another token")
        self.plan.admin_access = Access(token, viewers_token, frozenset(admin.operators), frozenset(admin.viewers), context)

    def _access(self, access: AccessRecords) -> None:
        """Where access records go, and by what secret fields are hashed there."""
        if access.file != "-":
            path = self.plan.access_file = self.plan.folder / access.file
            if path.exists() and not path.is_file():
                self.report("E-CFG-01", ("access", "file"), "is no file", do="name a file")
            elif not os.access(path if path.exists() else path.parent, os.W_OK):
                self.report(
                    "E-CFG-01", ("access", "file"), "cannot be written", do="make its folder, and give the router's user write access"
                )
        if access.key_file is not None:
            self._digest([self._path(access.key_file)])
            self.plan.access_key = read_token(self.plan.folder / access.key_file, "access.key_file").encode()[:HASH_KEY]
            return
        for spec in self.plan.specs.values():
            hidden = sorted({name for name, _ in spec.correlation_fields} - clear_names(spec))
            if hidden:
                what = f'correlation fields of {spec.name} are left out of the records, since they are not log="clear": {", ".join(hidden)}'
                self._warn(("access",), what, 'set `key_file`, so that `find` finds telegrams by them, or mark them log="clear"')

    def _tracing(self, tracing: Tracing) -> None:
        if tracing.endpoint is not None and importlib.util.find_spec("opentelemetry") is None:
            what = "needs the packages of OpenTelemetry, which are not installed"
            self.report("E-CFG-07", ("tracing", "endpoint"), what, do='pip install "telegram-router[otel]"')

    def _admin_context(self, tls: AdminTls) -> ssl.SSLContext | None:
        self.plan.texts["admin.tls"] = self._digest(map(self._path, _files(tls)))
        old = self._before.config.admin if self._before is not None else None
        if self._before is not None and old is not None and old.tls == tls and self._is_as_before("admin.tls"):
            return self._before.admin_access.tls
        context = self._context("admin.tls", tls, tls.profile)
        self._ends_of("admin.tls", tls)
        return context

    def _doubt(self, listener: str) -> None:
        """What a listener may be without, but is so by a slip most of the time."""
        config = self.plan.config
        led = {listener for route in config.routes if ("listener", listener) in route.sources or route.to_listener == listener}
        led |= {listener for each in config.listeners.values() if each.answers_to == listener}
        if self._all_routes and not led:
            what = "no route begins at this listener, and none leads to it: every request is refused (E-RTE-01)"
            self._warn(("listeners", listener), what, "add a route, or remove the listener")
        spec = self._spec_of(("listener", listener))
        if spec is not None and spec.family.errors is None:
            what = f"the spec {spec.name} has no `errors`: who sends what is refused, or is not answered in time, is told nothing"
            self._warn(("listeners", listener, "spec"), what, "declare an ErrorReply in the spec, if the family has a way to refuse")

    def _warn(self, path: tuple[str | int, ...], what: str, do: str) -> None:
        self.plan.warnings.append(ConfigWarning(self._filename, line_of(self._lines, path), dotted(path), what, do))

    def report(self, code: str, path: tuple[str | int, ...], what: str, expected: str = "", do: str = "") -> None:
        problem = ConfigProblem(code, self._filename, line_of(self._lines, path), dotted(path), what, expected, do)
        if problem not in self.problems:
            self.problems.append(problem)

    def _spec_of(self, party: Party) -> Spec | None:
        """The spec of a listener or service; None when it has none that can be read."""
        names = self._parties.get(party, set())
        return self.plan.specs.get(min(names)) if len(names) == 1 else None

    def _gather(self, step: Callable[[], None]) -> None:
        try:
            step()
        except ConfigError as error:
            self.problems.extend(error.problems)

    def _digest(self, files: Iterable[str | Path | None]) -> bytes:
        """Whether files hold what they held before. One that has just been taken away holds nothing."""
        found = hashlib.sha256()
        for path in (Path(file) for file in files if file is not None):
            self.plan.files[path] = digest_of(path)
            found.update(self.plan.files[path].ljust(32))
        return found.digest()

    def _path(self, name: str | None) -> str | None:
        return None if name is None else str(self.plan.folder / name)

    # --- specs ----------------------------------------------------------------------------------------------------

    def _load_specs(self) -> bool:
        """Read every spec. False when one does not exist."""
        config = self.plan.config
        wanted: dict[str, tuple[str | int, ...]] = {
            listener.spec: ("listeners", name, "spec") for name, listener in config.listeners.items()
        }
        for name, service in config.services.items():
            if service.spec is not None:
                wanted.setdefault(service.spec, ("services", name, "spec"))
        folders = spec_folders(config, self.plan.folder)
        for each in config.specs:
            if not (self.plan.folder / each).is_dir():  # else a spec that ships with the router would silently take its place
                self.report("E-CFG-01", ("specs",), f"there is no folder {each}", do="make it, or leave it out")
        for name in wanted:  # a file that comes into being in a folder before the others is the spec from then on
            self.plan.files |= {path: digest_of(path) for path in _candidates(name, folders)}
        found = {spec: path if (path := find_spec(spec, folders)) and path.is_file() else None for spec in wanted}
        for spec, place in wanted.items():
            path = found[spec]
            if path is None:
                known = sorted(known_specs(folders))
                self.report("E-CFG-06", place, "no such spec", f"one of {', '.join(known)}" + _nearest(spec, known))
            else:
                self._gather(lambda name=spec, where=place, file=path: self._spec(name, where, file))  # type: ignore[misc]
        return None not in found.values()

    def _spec(self, name: str, place: tuple[str | int, ...], file: Path) -> None:
        text = self._digest([file])
        before = self._before
        former = before.specs.get(name) if before is not None else None
        self.plan.texts[f"specs.{name}"] = text
        if before is None or former is None:
            self._routable(name, place, read_spec(file))
        elif text == before.texts[f"specs.{name}"]:
            self.plan.specs[name] = former
        else:
            self._succeed(name, place, file, former, before)

    def _succeed(self, name: str, place: tuple[str | int, ...], file: Path, former: Spec, before: Plan) -> None:
        """The text of a spec is another one. Telegrams that are on their way were cut and paired by the former."""
        self._routable(name, place, read_spec(file))
        why = obstacle(former, self.plan.specs.get(name, former))
        if not why:
            self.plan.renewed.append(name)
            return
        self.plan.specs[name], self.plan.texts[f"specs.{name}"] = former, before.texts[f"specs.{name}"]
        self.plan.outdated.append(name)
        what = f"{why}: telegrams on their way could not be told apart, so the former text stays until the router is started anew"
        self.plan.warnings.append(
            ConfigWarning(str(file), 0, f"specs.{name}", what, "restart the router, or give the new text another name")
        )

    def _routable(self, name: str, place: tuple[str | int, ...], spec: Spec) -> None:
        """Records of a file have a layout like any telegram, but nothing that says where they go."""
        if spec.family.key:
            self.plan.specs[name] = spec
            return
        lacking = [role for role in ("key", "correlation") if not getattr(spec.family, role)]
        what = f"the spec has no {' and no '.join(lacking)}: its telegrams can be read and written, not routed"
        self.report("E-CFG-07", place, what, do=f"name the header fields in the spec's {' and '.join(lacking)}, or use another spec")

    # --- listeners and services -------------------------------------------------------------------------------------

    def _listener(self, name: str, listener: Listener) -> None:
        tls = listener.tls
        spec = self.plan.specs.get(listener.spec)
        if spec is not None:
            self._owners(("listeners", name, "owners"), listener.owners, spec)
            self._answers_to(("listeners", name, "answers_to"), listener, spec)
            self._conduct(("listeners", name), listener, spec)
            self._room(("listeners", name, "max_frame"), listener.max_frame, spec)
        if tls is None:
            return
        where = f"listeners.{name}.tls"
        self.plan.texts[where] = self._digest(self._path(file) for table in (tls, *tls.names) for file in _files(table))
        old = self._before.config.listeners.get(name) if self._before is not None else None
        if self._before is not None and old is not None and old.tls == tls and self._is_as_before(where):
            self.plan.server_tls[name] = self._before.server_tls[name]
            return

        def load() -> None:
            self.plan.server_tls[name] = self._context(where, tls, tls.profile)
            self._ends_of(where, tls)

        self._gather(load)
        named: dict[str, ServerContext] = {}
        for place, table in enumerate(tls.names):
            self._gather(lambda place=place, table=table: self._named(named, f"{where}.names[{place}]", table, tls.profile))  # type: ignore[misc]
        default = self.plan.server_tls.get(name)
        if (tls.names or tls.unknown_name == "refuse") and default is not None:
            own = certificate_facts(self._path(tls.certificate) or "").dns_names
            ServerNames(default, named, own=own, refuse_unknown=tls.unknown_name == "refuse")

    def _named(self, named: dict[str, ServerContext], where: str, table: TlsName, profile: Literal["intermediate", "modern"]) -> None:
        context = self._context(where, table, profile)
        has = certificate_facts(self._path(table.certificate) or "", where=where).dns_names
        for each in table.names:
            if not covers(has, each):
                what = f"the certificate is not for {each}: clients that ask for it would refuse it"
                do = "name a certificate that has this name, or remove the name"
                self.problems.append(ConfigProblem("E-CFG-07", self._path(table.certificate) or "", 0, f"{where}.names", what, "", do))
            named[each] = context
        self._ends_of(where, table)

    def _is_as_before(self, where: str) -> bool:
        """Whether the files of a table that is the same hold the same. Then what runs by them goes on, and what has ended meanwhile is told:
        it must not keep anything else from being changed."""
        before = self._before
        if before is None or before.folder != self.plan.folder or before.texts.get(where) != self.plan.texts[where]:
            return False
        now = time.time()
        for each in before.ends:
            if each.used_by == where or each.used_by.startswith(f"{where}."):
                self.plan.ends.append(each)
                if each.ends <= now:
                    what = f"the {_ENDING[each.kind]} in {each.file} has expired at {moment(each.ends)}; what runs by it goes on"
                    self.plan.warnings.append(ConfigWarning(self._filename, 0, each.used_by, what, "renew it and reload"))
        return True

    def _ends_of(self, where: str, table: CertificatePolicy | ClientTls) -> None:
        """Remember when what a table names ends. What the system trusts is not the router's to renew."""
        listed = table.crl if isinstance(table, CertificatePolicy) else ()
        trusted = table.client_ca if isinstance(table, CertificatePolicy) else table.ca
        files: list[tuple[Ending, str | None]] = [("certificate", table.certificate), ("ca", trusted), *(("crl", each) for each in listed)]
        for kind, file in files:
            end = first_end(str(self.plan.folder / file), kind, where=where) if file is not None else None
            if file is not None and end is not None:
                self.plan.ends.append(Expiry(where, kind, file, end))

    def _context(self, where: str, table: CertificatePolicy, profile: Literal["intermediate", "modern"]) -> ServerContext:
        return server_context(
            self._path(table.certificate) or "",
            self._path(table.key) or "",
            self._path(table.client_ca),
            table.client_certificate,
            profile,
            key_passphrase_file=self._path(table.key_passphrase_file),
            crl=[str(self.plan.folder / each) for each in table.crl],
            crl_check=table.crl_check,
            clients=table.clients if isinstance(table, ClientPolicy) else (),
            where=where,
        )

    def _answers_to(self, path: tuple[str, ...], listener: Listener, spec: Spec) -> None:
        """Who takes answers must be known for whom, and read them by the spec of the questions."""
        other = self.plan.config.listeners.get(listener.answers_to or "")
        if other is None:
            return
        if spec.owner is None:
            do = "set `owner` in the spec, or leave it out"
            self.report("E-CFG-07", path, "the spec names no owner field, so nothing tells whose answer goes where", do=do)
        if other.spec != listener.spec:
            what = f"{listener.answers_to} speaks another spec ({other.spec})"
            self.report("E-CFG-07", path, what, f"a listener with spec {listener.spec}", "name another one, or use one spec")
        if not other.owners and (other.conduct is None or other.conduct.sign_on == "none"):
            what = f"nothing tells for whom a session of {listener.answers_to} takes answers"
            self.report("E-CFG-07", path, what, do="bind `owners` to certificates there, or demand a sign-on (`sign_on` in `conduct`)")

    def _owners(self, path: tuple[str, ...], owners: Iterable[str], spec: Spec) -> None:
        """An owner that the field cannot hold would never be met: all of its clients would be turned away."""
        field = next((field for field in next(iter(spec.messages.values())).fields if field.path == f"header.{spec.family.owner}"), None)
        if owners and field is None:
            self.report("E-CFG-07", path, "the spec names no owner field", do="remove `owners`, or set `owner` in the spec")
        if field is None:
            return
        for owner in owners:
            try:
                field.kind.write(int(owner) if isinstance(field.kind, Digits) and owner.isdecimal() else owner)
            except FieldFault as fault:
                self.report("E-CFG-04", (*path, owner), f"the owner field cannot hold it: {fault.what}", field.kind.expected)

    def _limit(self, path: tuple[str, str], limit: Limit | Quota) -> None:
        """What a limit or quota counts by must be there where it counts."""
        for listener, settings in self.plan.config.listeners.items():
            if limit.listener and listener not in limit.listener:
                continue
            spec = self.plan.specs.get(settings.spec)
            known = list(spec.header_fields) if spec is not None else []
            for each in limit.key:
                field = each.removeprefix("header.")
                if each.startswith("header.") and spec is not None and field not in known:
                    nearest = _nearest(field, known)
                    what = f"{spec.name}, the spec of the listener {listener}, has no such header field"
                    do = "" if limit.listener else "name the `listener` that it counts at, or count by a field that all have"
                    self.report("E-CFG-06", (*path, "key"), what, f"one of {', '.join(known)}{nearest}", do)
            if (
                "certificate" in limit.key
                and limit.on_missing_key == "deny"
                and (settings.tls is None or not settings.tls.asks_for_certificates)
            ):
                what = f"counts by certificates, and the listener {listener} asks for none: all its requests would be refused"
                self.report("E-CFG-07", (*path, "key"), what, do='give the listener a client_ca, or set on_missing_key = "pass"')

    def _delay(self, path: tuple[str, str], limit: Limit) -> None:
        """A request that waits for its time must have some left for its answer."""
        for name, service in self.plan.config.services.items() if limit.mode == "delay" else ():
            if (not limit.service or name in limit.service) and limit.max_delay >= service.timeout:
                what = f"is not below the timeout of the service {name}: a request could wait until nobody expects its answer"
                self.report("E-CFG-07", (*path, "max_delay"), what, do="shorten it, or name other services")

    def _quota(self, path: tuple[str, str], quota: Quota) -> None:
        self._zone((*path, "timezone"), quota.timezone)
        counted = [name for name in self.plan.config.listeners if not quota.listener or name in quota.listener]
        specs = {spec.name: spec for name in counted if (spec := self._spec_of(("listener", name))) is not None}
        for spec in specs.values() if quota.amount is not None else ():
            self._amount((*path, "amount"), quota.amount or "", spec)

    def _usage(self, usage: Usage) -> None:
        self._zone(("usage", "timezone"), usage.timezone)
        specs = {spec.name: spec for name in self.plan.config.listeners if (spec := self._spec_of(("listener", name))) is not None}
        for name in usage.user:
            field = name.removeprefix("header.")
            if field == name or not specs:
                continue
            having = [spec for spec in specs.values() if has(name, spec)]
            if not having and self._all_listeners:
                known = sorted({each for spec in specs.values() for each in spec.header_fields})
                self.report("E-CFG-06", ("usage", "user"), f"no spec has the header field {field}", f"one of {', '.join(known)}")
            for spec in having:
                if field not in clear_names(spec):
                    what = f"the spec {spec.name} does not let {field} be shown, and users are listed by their names"
                    self.report("E-CFG-07", ("usage", "user"), what, do='use another field, or mark it log="clear" in the spec')
        if usage.amount is not None and specs:
            fields = [(spec, name, each) for spec in specs.values() for name, each in amount_fields(usage.amount, spec).items()]
            if not fields and self._all_listeners:
                self.report("E-CFG-06", ("usage", "amount"), "no request has such a field", do="see `telegram-router spec show`")
            for spec, message, planned in fields:
                if not isinstance(planned.kind, Number):
                    self.report("E-CFG-07", ("usage", "amount"), f"is no number in {message} of {spec.name}", "a field of digits")

    def _amount(self, path: tuple[str, ...], amount: str, spec: Spec) -> None:
        fields = amount_fields(amount, spec)
        if not fields:
            self.report("E-CFG-06", path, f"no request of {spec.name} has such a field", do=f"see `telegram-router spec show {spec.name}`")
        for message, planned in fields.items():
            if not isinstance(planned.kind, Number):
                self.report("E-CFG-07", path, f"is no number in {message} of {spec.name}", "a field of digits, zoned, packed or binary")

    def _zone(self, path: tuple[str, ...], name: str) -> None:
        if not is_timezone(name):
            self.report("E-CFG-04", path, "is no time zone that this machine knows", 'an IANA name, such as "Asia/Seoul"')

    def _priority(self, name: str, priority: Priority) -> None:
        """What a rule looks at must be there where it looks, and able to hold what it looks for."""
        field = priority.key.removeprefix("header.")
        if field == priority.key:
            return
        path = ("priorities", name)
        for listener, settings in self.plan.config.listeners.items():
            spec = self.plan.specs.get(settings.spec)
            if spec is None or (priority.listener and listener not in priority.listener):
                continue
            known = list(spec.header_fields)
            if field not in known:
                what = f"{spec.name} has no such header field"
                self.report("E-CFG-06", (*path, "key"), what, f"one of {', '.join(known)}{_nearest(field, known)}")
            else:
                self._test((*path, "values"), field, Exact(priority.values), spec)

    def _room(self, path: tuple[str, ...], max_frame: int, spec: Spec) -> None:
        least = max(message.min_frame for message in spec.messages.values())
        if max_frame < least:
            self.report("E-CFG-07", path, "is below the size of a telegram of the spec", f"at least {least:,} bytes")

    def _service(self, name: str, service: Service) -> None:
        spec = self._spec_of(("service", name))
        if isinstance(service, TelegramService) and spec is not None:
            if service.mode == "pipelined" and not spec.family.correlation:
                what = f"the spec {spec.name} has no correlation: nothing pairs a reply with its request"
                do = 'set mode = "fifo" if the host answers in order, or mode = "exclusive"; or name header fields in the spec\'s correlation'
                self.report("E-CFG-07", ("services", name, "mode"), what, do=do)
            if service.mode == "exclusive" and not spec.family.correlation and any(each.replies for each in service.backends):
                what = f"has backends with `replies`, and the spec {spec.name} has no correlation to pair them by"
                self.report("E-CFG-07", ("services", name, "backends"), what, do="remove `replies`, or use a spec with correlation")
            self._room(("services", name, "max_frame"), service.max_frame, spec)
        if spec is not None:
            self._policies(name, service, spec)
            self._conduct(("services", name), service, spec)
        if isinstance(service, HandlerService):
            self._handler(name, service)
            return
        if isinstance(service, TelegramService):
            self._callers(name, service, spec)
        tls = service.tls
        if tls is not None or (isinstance(service, HttpService) and service.url.scheme == "https"):
            where = f"services.{name}.tls"
            given = [tls.ca, tls.certificate, tls.key, tls.key_passphrase_file] if tls is not None else [None] * 4
            ca, certificate, key, passphrase_file = map(self._path, given)
            self.plan.texts[where] = self._digest([ca, certificate, key, passphrase_file])

            def load() -> None:
                self.plan.client_tls[name] = client_context(ca, certificate, key, key_passphrase_file=passphrase_file, where=where)
                if tls is not None:
                    self._ends_of(where, tls)

            old = self._before.config.services.get(name) if self._before is not None else None
            known = self._before.client_tls.get(name) if self._before is not None else None
            if known is not None and getattr(old, "tls", None) == tls and tls is not None and self._is_as_before(where):
                self.plan.client_tls[name] = known
            else:
                self._gather(load)
        if isinstance(service, HttpService) and spec is not None and self._all_routes:
            self._mapping(name, service, spec)

    def _signs(self, path: tuple[str | int, ...], backend: Backend, spec: Spec) -> bool:
        """Whether a backend can be told by its sign-on."""
        if spec.formalities is None or "sign_on" not in spec.formalities.roles:
            self.report("E-CFG-07", path, f"the spec {spec.name} declares no sign-on", do="declare `conduct` in the spec, or leave it out")
            return False
        for name in backend.sign_on:
            if name not in spec.header_fields:
                self.report("E-CFG-06", (*path, name), "no such header field", f"one of {', '.join(spec.header_fields)}")
                return False
            try:
                signs_of(backend, spec)
            except FieldFault as fault:
                self.report("E-CFG-04", (*path, name), f"the field cannot hold it: {fault.what}", fault.expected)
                return False
        return True

    def _callers(self, name: str, service: TelegramService, spec: Spec | None) -> None:
        """Backends that dial us: who they are, and by which certificate we are known to them."""
        signing = [(place, each) for place, each in enumerate(service.backends) if each.sign_on]
        paths = [(("services", name, "backends", place, "sign_on"), each) for place, each in signing]
        sound = spec is not None and all([self._signs(path, each, spec) for path, each in paths])  # noqa: C419 - every problem is told
        places = [place for place, each in enumerate(service.backends) if each.address is None]
        for (_, one), (place, other) in combinations(
            zip(places, callers_of(service, spec), strict=True) if spec is not None and sound else (), 2
        ):
            if one.meets(other):
                what = f"is told as {one.backend} is: a host could be both, and would be taken for neither"
                self.report(
                    "E-CFG-07",
                    ("services", name, "backends", place),
                    what,
                    do="give them networks, certificate names or fields of the sign-on that differ",
                )
        tls = service.listen.tls if service.listen is not None else None
        if tls is None:
            return
        where = f"services.{name}.listen.tls"
        self.plan.texts[where] = self._digest(map(self._path, _files(tls)))
        former = self._before.config.services.get(name) if self._before is not None else None
        known = self._before.backend_tls.get(name) if self._before is not None else None
        as_ever = isinstance(former, TelegramService) and former.listen is not None and former.listen.tls == tls
        if known is not None and as_ever and self._is_as_before(where):
            self.plan.backend_tls[name] = known
            return

        def load() -> None:
            self.plan.backend_tls[name] = self._context(where, tls, tls.profile)
            self._ends_of(where, tls)

        self._gather(load)

    def _conduct(self, path: tuple[str, ...], settings: Listener | Service, spec: Spec) -> None:
        for wrong in wrongs(settings, spec):
            self.report(wrong.code, (*path, "conduct", *wrong.key), wrong.what, wrong.expected, wrong.do)

    def _policies(self, name: str, service: Service, spec: Spec) -> None:
        """What balancing and health look at in telegrams."""
        path = ("services", name)
        known = list(spec.header_fields)
        if service.balance_field is not None and service.balance_field not in known:
            nearest = _nearest(service.balance_field, known)
            self.report("E-CFG-06", (*path, "balance_field"), "no such header field", f"one of {', '.join(known)}{nearest}")
        if service.ejection is not None:
            when = service.ejection.failure_when
            tests = {key: self._test((*path, "ejection", "failure_when", key), key, rule, spec) for key, rule in when.items()}
            self.plan.trouble[name] = {key: test for key, test in tests.items() if test is not None}
        if (
            isinstance(service, TelegramService)
            and service.health is not None
            and service.health.probe == "poll"
            and not spec.framing.polls
        ):
            self.report("E-CFG-07", (*path, "health", "probe"), "needs a polling frame, and the spec has none", "connect or tls")

    def _handler(self, name: str, service: HandlerService) -> None:
        module, _, function = service.handler.partition(":")
        place = ("services", name, "handler")
        folder = str(self.plan.folder.resolve())
        if folder not in sys.path:
            sys.path.insert(0, folder)  # handlers live beside the configuration, or are installed
        try:
            with contextlib.redirect_stdout(sys.stderr):  # what a module prints is no part of our own output
                found = getattr(importlib.import_module(module), function, None)
        except (Exception, SystemExit) as error:
            self.report(
                "E-CFG-08",
                place,
                f"importing the module fails with {type(error).__name__}{_where(error)}",
                do="see that it can be imported beside this file",
            )
            return
        if found is None:
            self.report("E-CFG-08", place, "the module has no such function")
        elif not is_handler(found):
            self.report("E-CFG-08", place, "is not an async def", "async def NAME(telegram) -> telegram")
        elif not takes_a_telegram(found):
            self.report("E-CFG-08", place, "cannot be called with one telegram", "async def NAME(telegram) -> telegram")
        else:
            self.plan.handlers[name] = found

    def _mapping(self, name: str, service: HttpService, spec: Spec) -> None:
        response = service.response if "response" in service.model_fields_set else None
        messages = self._messages_for(name, spec)
        if not messages:  # what its routes are wrong in has been told, or it has none
            return
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
        party: Party = ("service", service)
        taken = {name for route in self.plan.config.routes if party in route.targets for name in _taken(route.match, spec)}
        return [name for name in spec.messages if name in taken]

    # --- routes -----------------------------------------------------------------------------------------------------

    def _route(self, place: int, route: Route) -> bool:
        """False when its match is not one that could be held against another's."""
        path = ("routes", self._draft.places[place])
        sound = True
        for source in route.sources:
            spec = self._spec_of(source)
            if spec is None:
                continue
            if route.to_listener is not None and spec.owner is None:
                self.report("E-CFG-07", (*path, "to_listener"), "the spec names no owner field, so no session can be chosen")
            asks = any(spec.messages[each].reply.kind != "none" for each in _taken(route.match, spec))
            if route.to_listener is not None and not spec.family.correlation and asks:
                what = "the spec has no correlation: nothing pairs a session's answer with what the host asked"
                self.report(
                    "E-CFG-07", (*path, "to_listener"), what, do="route one-way messages only, or name header fields in correlation"
                )
            tests = {key: self._test((*path, "match", key), key, rule, spec) for key, rule in route.header_match.items()}
            self.plan.tests[place] = {key: test for key, test in tests.items() if test is not None}
            sound = sound and None not in tests.values() and self._reaches((*path, "match"), route.match, spec)
            self._split(path, route, spec)
            if sound and route.deep:
                self._deep_rules(path, place, route, spec)
        return sound

    def _split(self, path: tuple[str | int, ...], route: Route, spec: Spec) -> None:
        known = list(spec.header_fields)
        if route.split_by is not None and route.split_by not in known:
            self.report(
                "E-CFG-06", (*path, "split_by"), "no such header field", f"one of {', '.join(known)}" + _nearest(route.split_by, known)
            )
        if route.split and route.split_by is None and not spec.family.correlation:
            self.report("E-CFG-07", (*path, "split"), "needs split_by: the spec has no correlation key", f"one of {', '.join(known)}")

    def _deep_rules(self, path: tuple[str | int, ...], place: int, route: Route, spec: Spec) -> None:
        """What a route asks of more than the header, as tests of values."""
        messages = [spec.messages[name] for name in _taken(route.match, spec)]
        rules = [self._body_test((*path, "match", key), key, rule, messages) for key, rule in route.body_match.items()]
        self.plan.body_tests[place] = tuple(test for test in rules if test is not None)
        if route.service_by is not None:
            below = (*path, "service_by")
            chosen = route.service_by.field
            tests = {
                value: self._body_test((*below, "services", value), chosen, Exact((value,)), messages, (*below, "field"))
                for value in route.service_by.services
            }
            self.plan.choices[place] = {value: test for value, test in tests.items() if test is not None}

    def _body_test(
        self, path: Place, field: str, rule: Rule, messages: Sequence[MessageLayout], named_at: Place | None = None
    ) -> BodyTest | None:
        """None when no message has the field, or it cannot have what the rule asks for."""
        found = {message.name: planned for message in messages if (planned := message.field(field)) and planned.path == field}
        if not found:
            known = sorted({each.path for message in messages for each in message.fields if each.name})
            what = f"no telegram that this route takes has a field {field}"
            do = f"compare with `telegram-router spec show {messages[0].spec.name}`" if messages else ""
            self.report("E-CFG-06", named_at or path, what + _nearest(field, known), do=do)
            return None
        fields = {message.name: SingleField(message, found[message.name]) for message in messages if message.name in found}
        try:
            tests = {name: _value_test(rule, each) for name, each in fields.items()}
        except FieldFault as fault:
            self.report("E-CFG-04", path, f"the field cannot hold it: {fault.what}", fault.expected)
            return None
        return BodyTest(field, fields, tests)

    def _reaches(self, path: tuple[str | int, ...], match: Mapping[str, Rule], spec: Spec) -> bool:
        """False for what no message of the spec can have, which is a slip of the pen: the route would never take a telegram."""
        if match.keys().isdisjoint(spec.family.key):  # then it can be any message
            return True
        do = f"compare with `telegram-router spec show {spec.name}`"
        for key, rule in match.items():
            for one in _parts(rule) if key in spec.family.key else ():
                if not _taken({key: one}, spec):
                    self.report("E-CFG-06", (*path, key), f"no request of {spec.name} has {_named(one)} there", do=do)
                    return False
        if not _taken(match, spec):
            self.report("E-CFG-06", path, f"no request of {spec.name} has these values together", do=do)
            return False
        return True

    def _test(self, path: tuple[str | int, ...], key: str, rule: Rule, spec: Spec) -> Test | None:
        def wire(value: str) -> bytes:
            return value.encode(spec.encoding, errors="replace")

        known = list(spec.header_fields)
        if key not in known:
            self.report("E-CFG-06", path, "no such header field", f"one of {', '.join(known)}" + _nearest(key, known))
            return None
        width = spec.header_fields[key][1]
        longest = max(len(wire(value)) for value in _texts(rule))
        if longest > width:
            self.report("E-CFG-04", path, f"a value of {longest} bytes", f"at most {width}, the size of the field")
            return None
        if isinstance(rule, Exact):
            return Among(frozenset(wire(value).ljust(width) for value in rule.values))
        if isinstance(rule, Prefix):
            return BeginsWith(wire(rule.prefix))
        return Between(wire(rule.min).ljust(width), wire(rule.max).ljust(width))


def _files(table: CertificatePolicy) -> tuple[str | None, ...]:
    return (table.certificate, table.key, table.key_passphrase_file, table.client_ca, *table.crl)


def digest_of(path: Path) -> bytes:
    """Of what a file holds; b"" when it cannot be read, or is larger than anything that a configuration names."""
    try:
        if path.stat().st_size > LARGEST_FILE or not path.is_file():
            return b""
        return hashlib.sha256(path.read_bytes()).digest()
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return b""


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]}?" if close else ""


def _where(error: BaseException) -> str:
    """Where an import failed, as far as that is no text of the module's own."""
    if isinstance(error, ModuleNotFoundError):
        return f": there is no module {error.name}"
    if isinstance(error, SyntaxError):
        return f" at {Path(error.filename or '').name}:{error.lineno}"
    return f" at {places(error)[-1]}"


def _value_test(rule: Rule, field: SingleField) -> Test:
    """A rule as a test of the field's values. Raises FieldFault where the field cannot have them."""
    if isinstance(rule, Exact):
        values = [field.value_of(text) for text in rule.values]
        if any(isinstance(value, Hashable) is False for value in values):
            raise FieldFault("E-CFG-04", "its values are lists", "a field with one value")
        return Among(frozenset(values))
    if isinstance(rule, Prefix):
        if not isinstance(field.planned.kind, Text | Code):
            raise FieldFault("E-CFG-04", "only texts and codes begin with something", "a list of values, or a range")
        return BeginsWith(rule.prefix)
    low, high = field.value_of(rule.min), field.value_of(rule.max)
    if low > high:
        raise FieldFault("E-CFG-04", "min is above max", "the smaller value first")
    return Between(low, high)


def _taken(match: Mapping[str, Rule], spec: Spec) -> list[str]:
    """The requests and one-way messages whose key values a match allows."""
    found = []
    for message in spec.messages.values():
        values = dict(zip(spec.family.key, message.key, strict=True))
        if message.kind != "reply" and all(_allows(rule, values[name]) for name, rule in match.items() if name in values):
            found.append(message.name)
    return found


def _texts(rule: Rule) -> tuple[str, ...]:
    if isinstance(rule, Exact):
        return rule.values
    return (rule.prefix,) if isinstance(rule, Prefix) else (rule.min, rule.max)


def _parts(rule: Rule) -> list[Rule]:
    """A rule for each value, so that one that is wrong is found among others that are right."""
    return [Exact((value,)) for value in sorted(rule.values)] if isinstance(rule, Exact) else [rule]


def _named(rule: Rule) -> str:
    """A rule in words. A value of a key field is a code of the spec, nobody's secret."""
    if isinstance(rule, Exact):
        return f'"{next(iter(rule.values))}"'
    return f'anything with the prefix "{rule.prefix}"' if isinstance(rule, Prefix) else f'anything from "{rule.min}" to "{rule.max}"'


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
    """The addresses of a service, of those backends that are dialled."""
    if isinstance(service, HttpService):
        return [(service.url.host, service.url.port)]
    return [(backend.address.host, backend.address.port) for backend in service.backends if backend.address is not None]


def callers_of(service: TelegramService, spec: Spec) -> list[Caller]:
    """The backends of a service that dial us."""
    return [
        Caller(each.known_as, each.networks, frozenset(each.certificate), signs_of(each, spec))
        for each in service.backends
        if each.address is None
    ]


def signs_of(backend: Backend, spec: Spec) -> tuple[tuple[int, int, bytes], ...]:
    """Where what stands in the sign-on of a backend. Raises FieldFault for a value that its field cannot hold."""
    fields = {field.path: field for field in next(iter(spec.messages.values())).fields}
    found = []
    for name, value in backend.sign_on.items():
        kind, place = fields[f"header.{name}"].kind, spec.header_slice(name)
        found.append((place.start, place.stop, kind.write(int(value) if isinstance(kind, Digits) and value.isdecimal() else value)))
    return tuple(found)
