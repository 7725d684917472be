"""What the router counts, as metric families: read only when somebody asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from telegram_router import __version__
from telegram_router.ops.answers import StoreSeen
from telegram_router.ops.metrics import Family, Histogram, Sample
from telegram_router.routing import Service, Switch
from telegram_router.routing.backends import STATES
from telegram_router.routing.bulkheads import Bulkhead
from telegram_router.routing.classes import CLASSES
from telegram_router.routing.limits import Limit
from telegram_router.routing.quotas import Quota
from telegram_router.routing.routes import Origin
from telegram_router.wire.expiry import Expiry
from telegram_router.wire.hub import Hub
from telegram_router.wire.links import Outcomes
from telegram_router.wire.listeners import Acceptor

ENDS = {"closed by the client": "peer", "stopped": "drain", "drained": "drain"}  # of sessions, where no error ended them
INVALID = ("E-FLD", "E-ENC", "E-FRM")  # refused for what they hold; all other codes are rules and bounds
ENDED = ("E-BCK",)  # codes with which requests end; all others that a spec may name refuse telegrams


def families(
    switch: Switch,
    hub: Hub,
    acceptors: Mapping[str, Acceptor],
    outcomes: Mapping[tuple[str, str], Outcomes],
    ends: Iterable[Expiry],
    log_lines_dropped: int,
    store: StoreSeen | None = None,
    records: tuple[int, int] = (0, 0),
    missed: int | None = None,
) -> Iterator[Family]:
    """Every family of the table in ops.metrics. Services answer for both directions: a listener's sessions may answer too.

    `records`: access records written and dropped.
    """
    yield "build_info", [((__version__,), 1)]
    yield from _connections(hub, acceptors, outcomes, ends)
    yield from _telegrams(switch, hub)
    yield from _requests(switch)
    yield from _backends(switch)
    yield from _limits(switch)
    yield "containments_total", [((), hub.containments)]
    yield "access_records_total", [((), records[0])]
    yield "access_records_dropped_total", [((), records[1])]
    yield "log_lines_dropped_total", [((), log_lines_dropped)]
    if store is not None:
        yield "store_up", [((), int(not store.failure))]
        yield "store_failures_total", [((), store.failures)]
    if missed is not None:
        yield "usage_missed_total", [((), missed)]
    yield "turn_seconds", [((), Histogram(hub.turn_times, hub.turn_seconds))]
    yield "slow_steps_total", [((), hub.slow_steps)]


def _connections(
    hub: Hub, acceptors: Mapping[str, Acceptor], outcomes: Mapping[tuple[str, str], Outcomes], ends: Iterable[Expiry]
) -> Iterator[Family]:
    yield "sessions_active", [((name,), each.open) for name, each in acceptors.items()]
    yield "sessions_total", [((name,), each.total) for name, each in acceptors.items()]
    closed: dict[tuple[str, ...], int] = {}
    for (group, reason), count in hub.closed.items():
        if group in acceptors:
            key = (group, ENDS.get(reason, reason))
            closed[key] = closed.get(key, 0) + count
    refused = [((name, "E-LIM-05"), each.turned_away) for name, each in acceptors.items()]
    yield "sessions_closed_total", [*closed.items(), *refused]
    yield "links_active", [(key, each.up) for key, each in outcomes.items()]
    tried: list[Sample] = [((*key, "ok"), each.connected) for key, each in outcomes.items()]
    yield "connects_total", tried + [((*key, "E-BCK-10"), each.failed) for key, each in outcomes.items()]
    yield "handshake_failures_total", [(key, count) for key, count in hub.handshake_failures.items() if key[0] in acceptors]
    yield "certificate_expiry_timestamp_seconds", list({(each.used_by, each.kind, each.file): each.ends for each in ends}.items())


def _limits(switch: Switch) -> Iterator[Family]:
    """A limit of several listeners counts in one or, when they speak several specs, in as many: they are added up."""
    every = list({limit: None for listener in switch.listeners.values() for limit in listener.limits})
    bulkheads = [limit for limit in every if isinstance(limit, Bulkhead)]
    rates = [limit for limit in every if not isinstance(limit, Bulkhead)]
    known = [
        ((name, limit.name), limit)
        for name, listener in switch.listeners.items()
        for limit in listener.limits
        if not isinstance(limit, Bulkhead)
    ]
    yield "quota_used_ratio", list(_used_ratios(switch).items())
    yield "rate_limited_total", _added((limit.name, limit.refused) for limit in rates)
    yield "delayed_total", _added((limit.name, limit.delayed) for limit in rates if isinstance(limit, Limit) and limit.delays)
    yield "bulkhead_refused_total", _added((limit.name, limit.refused) for limit in bulkheads)
    yield "bulkhead_in_flight", _added((limit.name, limit.open) for limit in bulkheads)
    yield "limit_keys", [(key, len(limit)) for key, limit in known]


def _added(pairs: Iterable[tuple[str, int]]) -> list[Sample]:
    sums: dict[str, int] = {}
    for name, count in pairs:
        sums[name] = sums.get(name, 0) + count
    return [((name,), count) for name, count in sums.items()]


def _used_ratios(switch: Switch) -> dict[tuple[str, ...], float]:
    """By name; a quota that counts the telegrams of several specs apart is shown by the highest of them."""
    found: dict[tuple[str, ...], float] = {}
    for quota in {limit: None for listener in switch.listeners.values() for limit in listener.limits}:
        if isinstance(quota, Quota):
            found[(quota.name,)] = max(found.get((quota.name,), 0.0), quota.used_ratio)
    return found


def _backends(switch: Switch) -> Iterator[Family]:
    known = [(name, each) for name, service in switch.services.items() for each in service.pool.backends.values()]
    yield "backend_in_use", [((name, each.name), int(each.in_use)) for name, each in known]
    yield "backend_state", [((name, each.name, state), int(each.state == state)) for name, each in known for state in STATES]
    yield "backend_failures_total", [((name, each.name), each.failed) for name, each in known]


def _telegrams(switch: Switch, hub: Hub) -> Iterator[Family]:
    received: list[Sample] = []
    volume: list[Sample] = []
    invalid: list[Sample] = []
    refused: list[Sample] = []
    for name, listener in switch.listeners.items():
        received += [((name, message), count) for message, count in listener.received.items()]
        received.append(((name, "_OTHER"), listener.strangers))
        volume += [((name, "received"), listener.bytes_in), ((name, "sent"), listener.bytes_out)]
        for code, count in {**_zeros(listener, ended=False), **listener.refused}.items():
            (invalid if code.startswith(INVALID) else refused).append(((name, code), count))
    yield "telegrams_received_total", received
    yield "telegrams_sent_total", [((name,), listener.frames_out) for name, listener in switch.listeners.items()]
    yield "telegram_bytes_total", volume
    yield "framing_errors_total", [(key, count) for key, count in hub.framing_errors.items() if key[0] in switch.listeners]
    yield "invalid_telegrams_total", invalid
    yield "refused_total", refused


def _zeros(origin: Origin, *, ended: bool) -> dict[str, int]:
    """The codes that a spec's error reply names begin at zero: a rate over a series that appears with its first error misses it."""
    errors = origin.spec.family.errors
    return {code: 0 for code in (errors.codes if errors else ()) if code.startswith(ENDED) == ended}


def _requests(switch: Switch) -> Iterator[Family]:
    ended: dict[tuple[str, ...], int] = {}
    overflow: dict[str, int] = {}
    for name, origin in [*switch.listeners.items(), *switch.services.items()]:
        origin.add_up()
        for route in (*origin.routes.counted, *origin.former_routes):
            results = {"ok": route.score.ok, **_zeros(origin, ended=True), **route.score.failed}
            overflow[route.target.name] = overflow.get(route.target.name, 0) + results.get("E-LIM-01", 0)
            for result, count in results.items():
                key = (name, route.target.name, result)
                ended[key] = ended.get(key, 0) + count
    yield "requests_total", list(ended.items())
    targets = list(
        dict.fromkeys(route.target for origin in [*switch.listeners.values(), *switch.services.values()] for route in origin.routes.routes)
    )
    yield "request_duration_seconds", [((each.name,), Histogram(each.latency, each.latency_sum)) for each in targets]
    services = [each for each in targets if isinstance(each, Service)]
    yield "requests_in_flight", [((each.name,), each.in_flight) for each in services]
    waiting = [(each.name, dict(zip(CLASSES, each.waiting.by_class(), strict=True))) for each in services]
    yield "requests_pending", [((name, rank), many) for name, classes in waiting for rank, many in classes.items()]
    yield "requests_delayed", [((each.name,), each.waiting.held) for each in services]
    yield "shed_total", [((each.name, rank), many) for each in services for rank, many in zip(CLASSES, each.shed, strict=True)]
    yield "retries_total", [((each.name,), each.retries) for each in services]
    yield "retries_denied_total", [((each.name, "attempts"), each.retries_denied) for each in services]
    yield "overflow_total", [((each.name,), each.overflow + overflow.get(each.name, 0)) for each in targets]
    yield "late_replies_total", [((each.name,), each.late) for each in targets]
    yield "unmatched_replies_total", [((each.name,), each.unmatched) for each in targets]
    yield "duplicates_total", [((each.name,), each.duplicates) for each in targets]
    yield "delivery_unknown_total", [((each.name,), each.unknown) for each in targets]
