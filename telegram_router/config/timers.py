"""Times of a configuration that do not go together: what cannot work, and what is unwise. Each finding names both keys and values."""

# Rules this file keeps:
#
# 1. Every finding names two keys, both their values, and what to do.
# 2. Of a key that the file does not name only that is said by which something cannot work: a default is nobody's mistake.

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from telegram_router.config.backends import Health
from telegram_router.config.lines import Path
from telegram_router.config.listeners import Listener
from telegram_router.config.model import Config
from telegram_router.config.services import HttpService, Service, TelegramService


class Finding(NamedTuple):
    """`path` is the key that is to be changed, or the likelier one of the two."""

    path: Path
    what: str
    do: str
    works: bool  # it is a warning only


def findings(config: Config) -> Iterator[Finding]:
    """All that is wrong with the times of a configuration."""
    for name, service in config.services.items():
        yield from _service(("services", name), service)
    for name, listener in config.listeners.items():
        yield from _clients(name, listener, config)
    if "drain" in config.model_fields_set:
        yield from _drain(config)


def _service(path: Path, service: Service) -> Iterator[Finding]:
    timeout = service.timeout
    if isinstance(service, TelegramService):
        if service.tombstone <= timeout:
            what = (
                f"is {text(service.tombstone)}, not above timeout = {text(timeout)}: a late reply may meet another request of the same key"
            )
            yield Finding((*path, "tombstone"), what, "raise it well above timeout, to the longest delay ever seen", works=False)
        if "write_timeout" in service.model_fields_set and service.write_timeout >= timeout:
            what = (
                f"is {text(service.write_timeout)}, not below timeout = {text(timeout)}: "
                "requests time out on a link that takes nothing before it is closed"
            )
            yield Finding((*path, "write_timeout"), what, "lower it below timeout", works=True)
        grace = service.poison_grace
        if grace is not None and grace > service.tombstone:
            what = f"is {text(grace)}, above tombstone = {text(service.tombstone)}: a number is free again while its late reply is awaited"
            yield Finding((*path, "poison_grace"), what, "lower it, or raise tombstone", works=True)
    if "pending_timeout" in service.model_fields_set and service.pending_timeout >= timeout:
        what = (
            f"is {text(service.pending_timeout)}, not below timeout = {text(timeout)}: what waits for room is given up "
            "at its timeout already"
        )
        yield Finding((*path, "pending_timeout"), what, "lower it below timeout", works=True)
    if isinstance(service, TelegramService | HttpService) and service.health is not None:
        yield from _health((*path, "health"), service.health)


def _health(path: Path, health: Health) -> Iterator[Finding]:
    if health.timeout > health.interval:
        what = (
            f"is {text(health.timeout)}, above interval = {text(health.interval)}: a backend that hangs is found later than interval says"
        )
        yield Finding((*path, "timeout"), what, "lower it to interval or below", works=True)


def _clients(name: str, listener: Listener, config: Config) -> Iterator[Finding]:
    """What the clients of a listener are known to wait, against what the services may take to which they are led."""
    waits = listener.client_timeout
    if waits is None:
        return
    led = {target: None for route in config.routes for target in route.targets if ("listener", name) in route.sources}
    for kind, service in led:
        took = config.services[service].timeout if kind == "service" and service in config.services else 0.0
        if took >= waits:
            what = (
                f"is {text(took)}, not below client_timeout = {text(waits)} of listeners.{name}: "
                "its clients give up before they can be told that the result is unknown"
            )
            yield Finding(
                ("services", service, "timeout"), what, "lower it below client_timeout, or let the clients wait longer", works=False
            )


def _drain(config: Config) -> Iterator[Finding]:
    longest = max(config.services, key=lambda name: config.services[name].timeout, default=None)
    if longest is not None and config.drain < config.services[longest].timeout:
        what = (
            f"is {text(config.drain)}, below timeout = {text(config.services[longest].timeout)} of services.{longest}: "
            "a stop may cut requests off that would still have been answered in time"
        )
        yield Finding(("drain",), what, "raise it to the longest timeout, or accept that", works=True)


def text(seconds: float) -> str:
    """A duration as people write it."""
    return f"{seconds * 1000:g}ms" if 0 < seconds < 1 else f"{seconds:g}s"
