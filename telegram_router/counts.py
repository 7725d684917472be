"""What the router counts, as metric families: read only when somebody asks."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from telegram_router import __version__
from telegram_router.ops.answers import StoreSeen
from telegram_router.ops.metrics import Family, Histogram, Sample
from telegram_router.routing import Service, Switch
from telegram_router.routing.backends import STATES, Pool
from telegram_router.routing.bulkheads import Bulkhead
from telegram_router.routing.classes import CLASSES
from telegram_router.routing.durations import Durations
from telegram_router.routing.ended import result_of
from telegram_router.routing.limits import Limit
from telegram_router.routing.peers import Target
from telegram_router.routing.quotas import Quota
from telegram_router.routing.routes import Origin
from telegram_router.wire.expiry import Expiry
from telegram_router.wire.hub import Hub
from telegram_router.wire.links import Outcomes
from telegram_router.wire.listeners import Acceptor

ENDS = {"closed by the client": "peer", "stopped": "drain", "drained": "drain"}  # of sessions, where no error ended them
INVALID = ("E-FLD", "E-ENC", "E-FRM")  # refused for what they hold; all other codes are rules and bounds
ENDED = ("E-BCK",)  # codes with which requests end; all others that a spec may name refuse telegrams


RESULTS = (
    *("ok", "backend_error", "backend_rejected", "timeout", "link_lost", "backend_protocol_error", "no_backend", "overflow"),
    *("nobody_connected", "client_closed", "draining", "internal_error"),
)  # with which requests of any route may end; their series begin at zero
FORMER = "_FORMER"  # routes that are no more


@dataclass(frozen=True)
class About:
    """What is counted beside switch and hub."""

    records: int = 0
    records_dropped: int = 0
    spans: int = 0
    spans_dropped: int = 0
    digest: str = ""
    taken_at: float = 0.0
    missed: int | None = None  # what ended and is not in the usage
    refused_backends: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # connections, by service and code
    standing_by: Container[str] = ()  # services
    reloads: Mapping[str, int] = field(default_factory=lambda: {"ok": 0, "refused": 0})


def families(
    switch: Switch,
    hub: Hub,
    acceptors: Mapping[str, Acceptor],
    outcomes: Mapping[tuple[str, str], Outcomes],
    ends: Iterable[Expiry],
    log_lines_dropped: int,
    store: StoreSeen | None = None,
    about: About | None = None,
) -> Iterator[Family]:
    """Every family of the table in ops.metrics. Services answer for both directions: a listener's sessions may answer too."""
    about = about or About()
    yield "build_info", [((__version__,), 1)]
    yield from _connections(hub, acceptors, outcomes, ends)
    yield from _telegrams(switch, hub)
    yield from _requests(switch)
    yield from _backends(switch)
    yield from _lines(switch, about)
    yield from _limits(switch)
    yield "containments_total", [((), hub.containments)]
    yield "access_records_total", [((), about.records)]
    yield "access_records_dropped_total", [((), about.records_dropped)]
    yield "spans_total", [((), about.spans)]
    yield "spans_dropped_total", [((), about.spans_dropped)]
    yield "config_info", [((about.digest,), 1)]
    yield "config_last_success_timestamp_seconds", [((), about.taken_at)]
    yield "config_reloads_total", [((outcome,), count) for outcome, count in about.reloads.items()]
    yield "log_lines_dropped_total", [((), log_lines_dropped)]
    if store is not None:
        yield "store_up", [((), int(not store.failure))]
        yield "store_failures_total", [((), store.failures)]
    if about.missed is not None:
        yield "usage_missed_total", [((), about.missed)]
    yield "turn_seconds", [((), Histogram(hub.turn_times, hub.turn_seconds))]
    yield "slow_steps_total", [((), hub.slow_steps)]


def _connections(
    hub: Hub, acceptors: Mapping[str, Acceptor], outcomes: Mapping[tuple[str, str], Outcomes], ends: Iterable[Expiry]
) -> Iterator[Family]:
    yield "sessions_active", [((name,), each.open) for name, each in acceptors.items()]
    yield "sessions_total", [((name,), each.total) for name, each in acceptors.items()]
    closed: dict[tuple[str, ...], int] = {(name, reason): 0 for name in acceptors for reason in ("peer", "drain")}
    for (group, reason), count in hub.closed.items():
        if group in acceptors:
            key = (group, ENDS.get(reason, reason))
            closed[key] = closed.get(key, 0) + count
    refused = [((name, "E-LIM-05"), each.turned_away) for name, each in acceptors.items()]
    yield "sessions_closed_total", [*closed.items(), *refused]
    yield "links_active", [(key, each.up) for key, each in outcomes.items()]
    tried: list[Sample] = [((*key, "ok"), each.connected) for key, each in outcomes.items()]
    tried += [((*key, "E-BCK-10"), each.failed - each.refused) for key, each in outcomes.items()]
    yield "connects_total", tried + [((*key, "E-BCK-15"), each.refused) for key, each in outcomes.items()]
    yield "reconnect_attempts", [(key, each.attempts) for key, each in outcomes.items()]
    now = hub.clock()
    waits = [(key, 0.0 if each.next_at is None else max(0.0, each.next_at - now)) for key, each in outcomes.items()]
    yield "reconnect_wait_seconds", waits
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


def measured(switch: Switch) -> Iterator[None]:
    """Has each quota look for its highest use, one in a step: with as many keys as there may be that takes a millisecond."""
    for quota in _quotas(switch):
        yield
        _ = quota.used_ratio


def _quotas(switch: Switch) -> list[Quota]:
    limits = {limit: None for listener in switch.listeners.values() for limit in listener.limits}
    return [each for each in limits if isinstance(each, Quota)]


def _used_ratios(switch: Switch) -> dict[tuple[str, ...], float]:
    """By name; a quota that counts the telegrams of several specs apart is shown by the highest of them."""
    found: dict[tuple[str, ...], float] = {}
    for quota in _quotas(switch):
        found[(quota.name,)] = max(found.get((quota.name,), 0.0), quota.used_ratio)
    return found


def _backends(switch: Switch) -> Iterator[Family]:
    known = [(name, each) for name, service in switch.services.items() for each in service.pool.backends.values()]
    yield "backend_in_use", [((name, each.name), int(each.in_use)) for name, each in known]
    yield "backend_state", [((name, each.name, state), int(each.state == state)) for name, each in known for state in STATES]
    turned = [(name, each, service) for name, service in switch.services.items() for each in service.pool.backends.values()]
    yield "backend_weight_ratio", [((name, each.name), each.share(switch.now, to.policy.failover.slow_start)) for name, each, to in turned]
    yield "health_checks_total", [((name, each.name, outcome), count) for name, each in known for outcome, count in each.checks.items()]
    yield "health_transitions_total", [((name, each.name, to), count) for name, each in known for to, count in each.turns.items()]
    pools = [(name, service.pool) for name, service in switch.services.items()]
    yield "ejections_total", [((name,), pool.ejections) for name, pool in pools]
    yield "ejections_active", [((name,), sum(each.ejected_until is not None for each in pool.backends.values())) for name, pool in pools]
    yield "ejections_suppressed_total", [((name,), pool.ejections_suppressed) for name, pool in pools]
    for kind in ("failover", "failback"):
        yield f"{kind}s_total", [each for name, pool in pools for each in _moves(name, pool, kind)]
    yield "backend_failures_total", [((name, each.name), each.failed) for name, each in known]


def _lines(switch: Switch, about: About) -> Iterator[Family]:
    """What becomes of the lines themselves; of listeners and services alike, told apart by which label is empty."""
    codes = [((name, code), count) for name, refused in about.refused_backends.items() for code, count in refused.items()]
    yield "backends_refused_total", codes
    yield "standby", [((name,), int(name in about.standing_by)) for name in switch.services]
    parties = [((name, ""), each) for name, each in switch.listeners.items()] + [
        (("", name), each) for name, each in switch.services.items()
    ]
    yield "business_open", [(key, int(not each.shut)) for key, each in parties]
    offices = [(key, each.office) for key, each in parties if each.office is not None]
    yield "heartbeats_lost_total", [(key, office.beats_lost) for key, office in offices if office.terms.rules.heartbeat is not None]
    signing = [(key, office) for key, office in offices if office.terms.rules.sign_on]
    yield "sign_ons_total", [((*key, result), count) for key, office in signing for result, count in office.sign_ons.items()]


def _moves(service: str, pool: Pool, kind: str) -> list[Sample]:
    """Between all its priorities, and those that it had before."""
    levels = sorted({each.priority for each in pool.backends.values()})
    pairs = [(one, other) for one in levels for other in levels if (one < other if kind == "failover" else one > other)]
    counts = dict.fromkeys(pairs, 0) | {(was, now): count for (name, was, now), count in pool.moves.items() if name == kind}
    return [((service, str(was), str(now)), count) for (was, now), count in counts.items()]


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
    now = hub.clock()
    yield "backpressure_seconds_total", [((name,), each.seconds_paused(now)) for name, each in switch.listeners.items()]
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
    unknown: dict[tuple[str, ...], int] = {}
    took: dict[tuple[str, ...], Durations] = {}
    overflow: dict[str, int] = {}
    for name, origin in [*switch.listeners.items(), *switch.services.items()]:
        origin.add_up()
        for route in (*origin.routes.counted, *origin.former_routes):
            score, place = route.score, (name, route.name or FORMER, route.target.name)
            overflow[route.target.name] = overflow.get(route.target.name, 0) + score.failed.get("E-LIM-01", 0)
            unknown[place] = unknown.get(place, 0) + score.unknown
            for result in RESULTS:
                ended.setdefault((*place, result), 0)
            ended[(*place, "ok")] += score.ok - score.troubled
            ended[(*place, "backend_error")] += score.troubled
            for word, durations in (("ok", score.answered_in), ("error", score.failed_in)):
                took.setdefault((place[1], place[2], word), Durations()).add(durations)
            for code, count in score.failed.items():
                key = (*place, result_of(code))
                ended[key] = ended.get(key, 0) + count
    yield "requests_total", list(ended.items())
    targets = list(
        dict.fromkeys(route.target for origin in [*switch.listeners.values(), *switch.services.values()] for route in origin.routes.routes)
    )
    yield "request_duration_seconds", [(key, Histogram(each.counts, each.seconds)) for key, each in took.items()]
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
    yield "delivery_unknown_total", list(unknown.items())
    yield "request_phase_duration_seconds", [((each.name, phase), told) for each in targets for phase, told in _phases(each)]


def _phases(target: Target) -> list[tuple[str, Histogram]]:
    """Most requests wait for nothing: those that did are counted apart, all others have waited no time."""
    phases, latency = target.phases, target.latency
    queue, answer, together = phases.queue, phases.answer, phases.together
    at_once = [every - waited for every, waited in zip(latency.counts, together.counts, strict=True)]
    queued = list(queue.counts)
    queued[0] += sum(at_once)
    answered = [one + other for one, other in zip(at_once, answer.counts, strict=True)]
    return [("queue", Histogram(queued, queue.seconds)), ("answer", Histogram(answered, latency.seconds - queue.seconds))]
