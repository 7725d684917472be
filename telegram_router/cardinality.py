"""How many combinations of label values each metric would have by a configuration: more than a database bears well are refused."""

from __future__ import annotations

from collections.abc import Mapping

from telegram_router.config import Config, TelegramService
from telegram_router.routing.backends import STATES
from telegram_router.telegrams import Spec

MOST = 10_000  # of one metric; the buckets of a histogram are not counted
PER_ROUTE = 12  # results with which a request may end
PHASES = 2
RESULT_CLASSES = 2


def series(config: Config, specs: Mapping[str, Spec]) -> dict[str, int]:
    """By metric, those that grow with the configuration."""
    backends = sum(len(each.backends) if isinstance(each, TelegramService) else 1 for each in config.services.values())
    messages = [len(specs[each.spec].messages) + 1 for each in config.listeners.values() if each.spec in specs]
    return {
        "requests_total": sum(len(route.sources) for route in config.routes) * PER_ROUTE,
        "request_duration_seconds": sum(len(route.sources) for route in config.routes) * RESULT_CLASSES,
        "request_phase_duration_seconds": len(config.services) * PHASES,
        "telegrams_received_total": sum(messages),
        "backend_state": backends * len(STATES),
        "limit_keys": len(config.listeners) * (len(config.limits) + len(config.quotas)),
    }


def too_many(config: Config, specs: Mapping[str, Spec]) -> dict[str, int]:
    """The metrics that would have more series than MOST."""
    return {name: count for name, count in series(config, specs).items() if count > MOST}
