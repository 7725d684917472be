"""How many series each metric would have by a configuration: more than a time-series database bears well are refused."""

from __future__ import annotations

from collections.abc import Mapping

from telegram_router.config import Config, TelegramService
from telegram_router.ops.metrics import FIRST_BUCKET, LAST_BUCKET
from telegram_router.routing.backends import STATES
from telegram_router.telegrams import Spec

MOST = 10_000  # of one metric
PER_HISTOGRAM = LAST_BUCKET - FIRST_BUCKET + 4  # its buckets, the one without bound, sum and count
PER_ROUTE = 12  # results with which a request may end
PHASES = 2


def series(config: Config, specs: Mapping[str, Spec]) -> dict[str, int]:
    """By metric, those that grow with the configuration."""
    backends = sum(len(each.backends) if isinstance(each, TelegramService) else 1 for each in config.services.values())
    messages = [len(specs[each.spec].messages) + 1 for each in config.listeners.values() if each.spec in specs]
    return {
        "requests_total": sum(len(route.sources) for route in config.routes) * PER_ROUTE,
        "request_phase_duration_seconds": len(config.services) * PHASES * PER_HISTOGRAM,
        "telegrams_received_total": sum(messages),
        "backend_state": backends * len(STATES),
        "limit_keys": len(config.listeners) * (len(config.limits) + len(config.quotas)),
    }


def too_many(config: Config, specs: Mapping[str, Spec]) -> dict[str, int]:
    """The metrics that would have more series than MOST."""
    return {name: count for name, count in series(config, specs).items() if count > MOST}
