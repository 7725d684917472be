"""Values that do not go together, though each may be what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from telegram_router.config.backends import Health, Listen
from telegram_router.config.certificates import ListenerTls
from telegram_router.config.lines import Path, dotted
from telegram_router.config.model import Config
from telegram_router.config.operations import Admin
from telegram_router.config.problems import Problems
from telegram_router.config.routes import Route
from telegram_router.config.services import AnyService, HandlerService, HttpService, TelegramService
from telegram_router.config.values import Range, Rule
from telegram_router.written import Address


def check_values(problems: Problems, config: Config, routes: Sequence[tuple[Path, Route]]) -> None:
    for name in sorted(config.limits.keys() & config.quotas.keys()):
        do = "give each its own name, since a refusal names one of them"
        problems.report("E-CFG-07", ("quotas", name), "is the name of a limit too", do=do)
    if config.metrics and not config.metrics.address.loopback and not config.metrics.insecure_public:
        problems.report(
            "E-CFG-07", ("metrics", "address"), "can be reached from other machines", do="use 127.0.0.1, or insecure_public = true"
        )
    if config.admin is not None and config.admin.address is not None and not config.admin.address.loopback:
        _admin_from_afar(problems, config.admin)
    for name, listener in config.listeners.items():
        if listener.tls is not None:
            _server_names(problems, ("listeners", name, "tls", "names"), listener.tls)
    for name, service in config.services.items():
        _service(problems, ("services", name), service)
    for path, route in routes:
        _route(problems, path, route, config)
    names: set[str] = set()
    for path, route in routes:
        if route.name in names:
            problems.report("E-CFG-07", (*path, "name"), "is the name of an earlier route too", do="give each route its own name")
        names |= {route.name} if route.name is not None else set()


def _service(problems: Problems, path: Path, service: AnyService) -> None:
    if isinstance(service, TelegramService):
        _links(problems, path, service)
        _mode(problems, path, service)
        _callers(problems, path, service)
    if isinstance(service, HttpService):
        _http(problems, path, service)
    _backends(problems, path, service)
    if service.ejection is not None:
        _ranges(problems, (*path, "ejection", "failure_when"), service.ejection.failure_when)


def _links(problems: Problems, path: Path, service: TelegramService) -> None:
    if service.reconnect_min > service.reconnect_max:
        problems.report("E-CFG-07", (*path, "reconnect_min"), "is above reconnect_max", do="lower it, or raise reconnect_max")
    if service.links_min > service.links:
        problems.report("E-CFG-07", (*path, "links_min"), "is above links", do="lower it, or raise links")
    if service.source is not None and 0 < len(service.source.ports) < service.links:
        what = f"has {len(service.source.ports)} ports for {service.links} links"
        problems.report("E-CFG-07", (*path, "source"), what, do="widen the range, or lower links")


def _admin_from_afar(problems: Problems, admin: Admin) -> None:
    what = "can be reached from other machines"
    if admin.tls is None and not admin.plain_http:
        do = "add tls, use 127.0.0.1 or a socket, or say plain_http = true where something else encrypts"
        problems.report("E-CFG-07", ("admin", "address"), f"{what} without TLS", do=do)
    if not (admin.token_file or admin.viewer_token_file or admin.operators or admin.viewers):
        do = "use 127.0.0.1 or a socket, or add token_file, or operators by their certificates"
        problems.report("E-CFG-07", ("admin", "address"), f"{what} by anybody", do=do)


def _server_names(problems: Problems, path: Path, tls: ListenerTls) -> None:
    known: set[str] = set()
    for place, table in enumerate(tls.names):
        for each in table.names:
            if each in known:
                problems.report(
                    "E-CFG-07", (*path, place, "names"), "holds a name twice, or one of an earlier table", do="keep one of them"
                )
            known.add(each)


def _mode(problems: Problems, path: Path, service: TelegramService) -> None:
    for place, backend in enumerate(service.backends):
        below = (*path, "backends", place, "replies")
        if backend.replies is not None and service.mode == "fifo":
            what = "belongs to modes whose replies are paired by their key, and this service is fifo"
            problems.report("E-CFG-07", below, what, do="remove it, or choose another mode")
        if backend.replies is not None and backend.replies == backend.address:
            what = "is the address for requests too: one connection carries both"
            problems.report("E-CFG-07", below, what, do="remove it, or give the host's second port")
    if service.poison_grace is not None and service.mode != "fifo":
        problems.report("E-CFG-07", (*path, "poison_grace"), f'belongs to mode = "fifo", and this is {service.mode}', do="remove it")
    if service.mode == "exclusive" and "in_flight" in service.model_fields_set and service.in_flight != 1:
        do = "remove it, or choose another mode; more `links` carry more requests at a time"
        problems.report("E-CFG-07", (*path, "in_flight"), "is 1 where mode is exclusive", do=do)


def _backends(problems: Problems, path: Path, service: AnyService) -> None:
    if (service.balance == "hash") != (service.balance_field is not None):
        problems.report("E-CFG-07", path, 'has one of balance = "hash" and balance_field', do="give both, or neither")
    if service.ejection is not None and service.ejection.base > service.ejection.longest:
        problems.report("E-CFG-07", (*path, "ejection", "base"), "is above longest", do="lower it, or raise longest")
    if isinstance(service, TelegramService | HttpService) and service.health is not None:
        _health(problems, (*path, "health"), service.health, service)


def _health(problems: Problems, path: Path, health: Health, service: TelegramService | HttpService) -> None:
    if (health.probe == "http") != isinstance(service, HttpService) and health.probe in ("http", "poll"):
        wanted = "connect, tls or http" if isinstance(service, HttpService) else "connect, tls or poll"
        problems.report("E-CFG-07", (*path, "probe"), f"is not for {service.kind} services", wanted)
    if "path" in health.model_fields_set and health.probe != "http":
        problems.report("E-CFG-07", (*path, "path"), "belongs to the probe http", do="remove it")
    secure = service.tls is not None or (isinstance(service, HttpService) and service.url.scheme == "https")
    if health.probe == "tls" and not secure:
        problems.report("E-CFG-07", (*path, "probe"), "needs TLS towards the backends", do="add tls, or probe by connect")


def _callers(problems: Problems, path: Path, service: TelegramService) -> None:
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
                    problems.report("E-CFG-07", (*below, key), "is for a backend that dials us, and this one is dialled", do="remove it")
        elif each.replies is not None:
            problems.report("E-CFG-07", (*below, "replies"), "is for a backend that is dialled, and this one dials us", do="remove it")
        elif each.name is None or not (each.networks or each.certificate or each.sign_on):
            expected = "an address, or for one that dials us a name, with from, certificate or sign_on"
            problems.report("E-CFG-04", (*below, "address"), "is missing", expected)
        elif each.certificate and not _asks(service.listen):
            what = "needs the certificates of those who connect"
            problems.report("E-CFG-07", (*below, "certificate"), what, do="add tls with a client_ca to listen, and require it")
        if names.index(each.known_as) != place:
            problems.report("E-CFG-07", below, "is the same as one before", do="remove one of them")
    calling = any(each.name is not None for each in service.backends)
    if calling and service.listen is None:
        problems.report("E-CFG-04", (*path, "listen"), "is missing, and backends are to connect to us", "an address to listen at")
    if not calling and service.listen is not None:
        problems.report("E-CFG-07", (*path, "listen"), "is where nobody is expected", do="add a backend with a name, or remove listen")
    if service.health is not None and all(each.address is None for each in service.backends):
        problems.report("E-CFG-07", (*path, "health"), "probes backends that are dialled, and there is none", do="remove it")


def _asks(listen: Listen | None) -> bool:
    """Whether everybody who connects there must show a certificate."""
    tls = listen.tls if listen is not None else None
    return tls is not None and tls.client_ca is not None and tls.client_certificate == "required"


def _http(problems: Problems, path: Path, service: HttpService) -> None:
    if service.source is not None and service.source.ports:
        what = "names ports, and the connections of an HTTP service come and go"
        problems.report("E-CFG-07", (*path, "source"), what, do="give the address alone")
    if service.tls is not None and service.url.scheme == "http":
        problems.report("E-CFG-07", (*path, "tls"), "is set for a plain http URL", do="use an https URL, or remove tls")
    for field in sorted(service.set.keys() & service.response.keys()):
        problems.report("E-CFG-07", (*path, "set", field), "is taken from the response as well", do="keep one of them")


def _ranges(problems: Problems, path: Path, match: Mapping[str, Rule]) -> None:
    """Header fields are compared as bytes."""
    for field, rule in match.items():
        if isinstance(rule, Range) and (len(rule.min) != len(rule.max) or rule.min > rule.max):
            problems.report("E-CFG-04", (*path, field), "is an empty range", "min and max of the same length, min not above max")


def _route(problems: Problems, path: Path, route: Route, config: Config) -> None:
    _ranges(problems, (*path, "match"), route.header_match)
    source = config.services.get(route.from_service or "")
    if source is not None and not isinstance(source, TelegramService):
        what = f"is a {source.kind} service, which sends nothing of its own"
        problems.report("E-CFG-07", (*path, "from_service"), what, do="name a telegram service")
    if route.from_service is not None and ("service", route.from_service) in route.targets:
        problems.report("E-CFG-07", (*path, "service"), "is where the telegrams come from", do="name another service, or a to_listener")
    if route.to_listener is not None and route.urgency != "normal":
        problems.report("E-CFG-07", (*path, "class"), "means nothing to sessions, which are asked at once", do="remove it")
    for kind, name in route.targets:
        target = config.services.get(name) if kind == "service" else None
        if isinstance(target, HttpService | HandlerService) and "validation" in route.model_fields_set and route.validation != "full":
            what = f'is always "full" for a {target.kind} service, which needs every field'
            problems.report("E-CFG-07", (*path, "validate"), what, do="remove it")


def check_addresses(problems: Problems, config: Config) -> None:
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
            problems.report("E-CFG-07", later, f"is the address of {dotted(earlier[:-1])} too", do="give each its own port")
