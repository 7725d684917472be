"""Prometheus metrics: the one table of names, and a collector that reads plain counters when it is asked."""

# Rules this file keeps:
#
# 1. METRICS is the only list of names. A sample whose name or labels are not in it is a bug and says so.
# 2. Label values come from the configuration, the specs and closed sets of ours; never from a telegram or a peer.

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat
from types import MappingProxyType
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from telegram_router.errors import RouterError

PREFIX = "telegram_router_"
FIRST_BUCKET, LAST_BUCKET = 6, 26  # 64 microseconds to 67 seconds; what is outside is in the first one or in +Inf
BOUNDS = tuple(repr(2**place / 1e6) for place in range(FIRST_BUCKET, LAST_BUCKET + 1))


class Kind(enum.Enum):
    """What Prometheus calls the type of a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Described:
    """One row of the table."""

    kind: Kind
    labels: tuple[str, ...]
    help: str


class Histogram(NamedTuple):
    """Durations: counts[i] of those whose microseconds have the bit length i, so less than 2**i; and their sum."""

    counts: Sequence[int]
    seconds: float


Value = int | float | Histogram
Sample = tuple[tuple[str, ...], Value]  # label values, in the order of the table
Family = tuple[str, Iterable[Sample]]  # name without the prefix
Collect = Callable[[], Iterable[Family]]


def _table() -> dict[str, Described]:
    counter, gauge, histogram = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM
    rows: list[tuple[str, Kind, tuple[str, ...], str]] = [
        ("build_info", gauge, ("version",), "Always 1; the label names the running version."),
        # connections
        ("sessions_active", gauge, ("listener",), "Sessions that are open."),
        ("sessions_total", counter, ("listener",), "Sessions accepted."),
        ("sessions_closed_total", counter, ("listener", "reason"), "Sessions ended, by reason: an error code, or `peer`, `drain`."),
        ("rate_limited_total", counter, ("limit",), "Requests that a limit or quota refused."),
        ("delayed_total", counter, ("limit",), "Requests that a limit had wait for their time."),
        ("bulkhead_refused_total", counter, ("limit",), "Requests refused because their user had `in_flight` of a limit open (E-LIM-02)."),
        ("bulkhead_in_flight", gauge, ("limit",), "Open requests that an `in_flight` of a limit counts, of all users together."),
        ("backpressure_seconds_total", counter, ("listener",), "How long sessions were not read because they had no room, added up over all of them."),
        ("limit_keys", gauge, ("listener", "limit"), "Keys that a limit or quota counts at the moment."),
        ("quota_used_ratio", gauge, ("quota",), "The highest part of its quota that any key has used in this window; 1 is all of it."),
        ("backend_in_use", gauge, ("service", "backend"), "1 while the backend is given requests."),
        ("backend_state", gauge, ("service", "backend", "state"), "1 for the backend's state: `up`, `unreachable`, `down`, `ejected`, `drain`, `maint`; else 0."),
        ("backend_weight_ratio", gauge, ("service", "backend"), "The part of its weight that the backend gets while it starts slowly; else 1."),
        ("health_checks_total", counter, ("service", "backend", "outcome"), "Probes: `ok` or `failed`."),
        ("health_transitions_total", counter, ("service", "backend", "to"), "How often probes changed what is thought of the backend, to `up` or `down`."),
        ("ejections_total", counter, ("service",), "Backends left out because they failed requests."),
        ("ejections_active", gauge, ("service",), "Backends that are left out so at the moment."),
        ("ejections_suppressed_total", counter, ("service",), "Ejections that were due and not made, because too few backends would have been left."),
        ("failovers_total", counter, ("service", "from_priority", "to_priority"), "Moves to backends of a worse priority."),
        ("failbacks_total", counter, ("service", "from_priority", "to_priority"), "Moves back to backends of a better one."),
        ("backend_failures_total", counter, ("service", "backend"), "Requests that the backend failed: no answer, a lost link, or an answer that says so."),
        ("links_active", gauge, ("service", "backend"), "Links that are open and may carry requests."),
        ("reconnect_attempts", gauge, ("service", "backend"), "Attempts to connect in a row that came to nothing."),
        ("reconnect_wait_seconds", gauge, ("service", "backend"), "Time to the next attempt to connect; 0 while none is waited for."),
        ("connects_total", counter, ("service", "backend", "outcome"), "Attempts to connect to a backend: `ok`, or an error code."),
        ("backends_refused_total", counter, ("service", "code"), "Connections of hosts that dial us which got no link: of nobody's, one too many, or without the sign-on."),
        ("standby", gauge, ("service",), "1 while the service stands by, by itself or with the whole router; else 0."),
        ("business_open", gauge, ("listener", "service"), "0 outside the business hours of a listener or a service, else 1; the label of the other is empty."),
        ("sign_ons_total", counter, ("listener", "service", "result"), "Sign-ons of clients of a listener, or of ours at the hosts of a service: `accepted`, `refused`, or `late` when none came, or no answer."),
        ("heartbeats_lost_total", counter, ("listener", "service"), "Heartbeats that nothing followed in time; `misses` in a row end a connection."),
        ("handshake_failures_total", counter, ("listener", "code"), "TLS handshakes that failed."),
        ("certificate_expiry_timestamp_seconds", gauge, ("used_by", "kind", "file"), "When the first `certificate` of a file, `ca` or `crl` ends, as Unix time."),
        # telegrams
        ("telegrams_received_total", counter, ("listener", "message"), "Telegrams that came from sessions; `_OTHER` is no message of the spec."),
        ("telegrams_sent_total", counter, ("listener",), "Telegrams sent to sessions."),
        ("telegram_bytes_total", counter, ("listener", "direction"), "Bytes of sessions, framing included: `received` or `sent`."),
        ("framing_errors_total", counter, ("listener", "code"), "Streams that lost their framing; each ended its session."),
        ("invalid_telegrams_total", counter, ("listener", "code"), "Telegrams refused for what they hold; their session went on."),
        ("refused_total", counter, ("listener", "code"), "Telegrams refused by a rule or a bound; nothing was sent on."),
        # requests
        ("requests_total", counter, ("listener", "route", "service", "result"), "Requests that ended, by a result of the closed set below. What was refused before it was a request is in `refused_total`."),
        ("request_duration_seconds", histogram, ("route", "service", "result_class"), "From a request's arrival to its end: `ok` for those answered, `error` for those that failed, or whose answer says that the system behind is in trouble."),
        ("request_phase_duration_seconds", histogram, ("service", "phase"), "Its parts: `queue` until a link had room, `answer` from then on."),
        ("requests_in_flight", gauge, ("service",), "Requests sent and not answered yet."),
        ("requests_pending", gauge, ("service", "class"), "Requests that wait for room at the service, by class."),
        ("requests_delayed", gauge, ("service",), "Requests that wait for their time, for a limit or behind one that does."),
        ("shed_total", counter, ("service", "class"), "Requests refused because the queue was needed for more urgent ones (E-LIM-07)."),
        ("retries_total", counter, ("service",), "Requests given to another link because theirs was lost before a byte of them can have left."),
        ("retries_denied_total", counter, ("service", "reason"), "Requests in that case that were refused instead (`not_sent`): after `max_attempts`."),
        ("overflow_total", counter, ("service",), "Requests answered `overflow`: no room, or none in time."),
        ("late_replies_total", counter, ("service",), "Answers that came after their request's timeout; recorded, paired with nothing."),
        ("unmatched_replies_total", counter, ("service",), "Answers that match no request; the log names the nearest one."),
        ("duplicates_total", counter, ("service",), "Requests refused because their key is open or reserved."),
        ("delivery_unknown_total", counter, ("listener", "route", "service"), "Requests that ended `sent_unknown`: the number to raise an alarm on."),
        # the router itself
        ("config_info", gauge, ("digest",), "Always 1; the label is the front of the SHA-256 of the configuration file that the router works by."),
        ("config_last_success_timestamp_seconds", gauge, (), "When that file was taken over, as Unix time."),
        ("config_reloads_total", counter, ("outcome",), "Reloads: `ok` or `refused`."),
        ("containments_total", counter, (), "Unexpected exceptions that were kept to one connection; each is a bug with a log line."),
        ("access_records_total", counter, (), "Access records handed to their file."),
        ("access_records_dropped_total", counter, (), "Access records lost: they came faster than they were written, or the file takes none."),
        ("spans_total", counter, (), "Requests whose spans were handed over to be sent."),
        ("spans_dropped_total", counter, (), "Requests whose spans were lost: they came faster than they were sent."),
        ("log_lines_dropped_total", counter, (), "Log lines lost to the rate bound or to a reader that does not read."),
        ("store_up", gauge, (), "0 while what is counted for quotas and usage cannot be stored; else 1. Without quotas and usage there is none."),
        ("store_failures_total", counter, (), "Attempts to store it that failed."),
        ("usage_missed_total", counter, (), "Requests that usage could not count, since more ended in one turn than there is room for."),
        ("turn_seconds", histogram, (), "How long the turns of the event loop took."),
        ("slow_steps_total", counter, (), "Steps of the event loop that took over 20 ms; the log names them."),
    ]  # fmt: skip
    return {name: Described(kind, labels, text) for name, kind, labels, text in rows}


METRICS = MappingProxyType(_table())


class RouterCollector(Collector):
    """Makes Prometheus families of whatever `collect` tells when it is asked. Names that it leaves out are empty."""

    def __init__(self, collect: Collect) -> None:
        self._collect = collect

    def collect(self) -> Iterator[Metric]:
        return (metric for metric, _ in self.pieces(sys.maxsize))

    def pieces(self, at_once: int) -> Iterator[tuple[Metric, bool]]:
        """The same, of a family no more than so many samples at a time; True where a piece goes on with the family before it."""
        told = {name: list(samples) for name, samples in self._collect()}
        unknown = told.keys() - METRICS.keys()
        if unknown:
            raise RouterError("E-INT-01", f"metrics that are not in the table: {', '.join(sorted(unknown))}")
        for name, described in METRICS.items():
            samples = told.get(name, [])
            for at in range(0, max(1, len(samples)), at_once):
                yield _family(name, described, samples[at : at + at_once]), at > 0


def _family(name: str, described: Described, samples: list[Sample]) -> Metric:
    full, labels = PREFIX + name, described.labels
    for values, value in samples:
        if len(values) != len(labels) or isinstance(value, Histogram) != (described.kind is Kind.HISTOGRAM):
            raise RouterError("E-INT-01", f"a sample of {name} is not as the table says")
    if described.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(full, described.help, labels=labels)
        for values, value in samples:
            if isinstance(value, Histogram):
                histogram.add_metric(values, _buckets(value.counts), value.seconds)
        return histogram
    family = (CounterMetricFamily if described.kind is Kind.COUNTER else GaugeMetricFamily)(full, described.help, labels=labels)
    for values, value in samples:
        if not isinstance(value, Histogram):
            family.add_metric(values, value)
    return family


def _buckets(counts: Sequence[int]) -> list[tuple[str, float]]:
    """Cumulative counts by upper bound in seconds, as Prometheus wants them."""
    below = [*accumulate(counts), *repeat(sum(counts), LAST_BUCKET + 1 - len(counts))]
    return [*zip(BOUNDS, below[FIRST_BUCKET : LAST_BUCKET + 1], strict=True), ("+Inf", below[-1])]
