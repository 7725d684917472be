"""What is different in another configuration, in names of tables and keys: never a value, which may be a secret."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

from telegram_router.config import Config, Route, Settings, TelegramService
from telegram_router.plan import Plan

FIXED = ("state", "standby")  # keys that are read at start only


@dataclass(frozen=True)
class Differences:
    """Each a key of the file such as `services.transfer.timeout`, or a table such as `services.transfer`."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()  # different too, and only a restart brings it into effect

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.restart)


def differences(before: Plan, after: Plan) -> Differences:
    """What a reload from one plan to the other changes."""
    old, new = before.config, after.config
    added, removed, changed = _tables(old, new)
    for table in ("log", "metrics", "admin", "access", "tracing"):
        was, now = getattr(old, table), getattr(new, table)
        added += [table] * (was is None and now is not None)
        removed += [table] * (was is not None and now is None)
        changed += [f"{table}.{key}" for key in (_unlike(was, now) if was is not None and now is not None else ())]
    for name, service in new.services.items():
        former = old.services.get(name)
        if isinstance(service, TelegramService) and isinstance(former, TelegramService):
            backends = _backends(service), _backends(former)
            added += _without(f"services.{name}.backends", *backends)
            removed += _without(f"services.{name}.backends", *reversed(backends))
    routes = _routes(new), _routes(old)
    added += [name for name in routes[0] if name not in routes[1]]
    removed += [name for name in routes[1] if name not in routes[0]]
    changed += [name for name, route in routes[0].items() if routes[1].get(name, route) != route]
    if _order(routes[0], routes[1]) != _order(routes[1], routes[0]):
        changed.append("routes, their order")
    changed += _certificates(before, after)
    changed += [f"specs.{name}, its text" for name in after.renewed]
    restart = [each for each in FIXED if getattr(old, each) != getattr(new, each)]
    restart += [f"specs.{name}" for name in after.outdated]
    return Differences(tuple(added), tuple(removed), tuple(changed), tuple(restart))


def _tables(old: Config, new: Config) -> tuple[list[str], list[str], list[str]]:
    added: list[str] = []
    removed: list[str] = []
    changed = [key for key in ("specs", "drain", "drain_delay", "spread", "watch", "usage") if getattr(old, key) != getattr(new, key)]
    for kind in ("listeners", "services", "limits", "quotas", "priorities", "calendars"):
        before: Mapping[str, Settings] = getattr(old, kind)
        after: Mapping[str, Settings] = getattr(new, kind)
        added += _without(kind, after, before)
        removed += _without(kind, before, after)
        for name, table in after.items():
            if name in before:
                changed += [f"{kind}.{name}.{key}" for key in _unlike(before[name], table)]
    if _order(old.priorities, new.priorities) != _order(new.priorities, old.priorities):
        changed.append("priorities, their order")
    return added, removed, changed


def _unlike(before: Settings, after: Settings) -> Iterator[str]:
    """Keys with another value. A service of another kind has all its keys."""
    old, new = dict(before), dict(after)
    for key in dict.fromkeys((*new, *old)):
        if key not in old or key not in new or old[key] != new[key]:
            yield key


def _without(path: str, these: Iterable[str], those: Iterable[str]) -> list[str]:
    known = set(those)
    return [f"{path}.{name}" for name in these if name not in known]


def _backends(service: TelegramService) -> list[str]:
    return [backend.known_as for backend in service.backends]


def _routes(config: Config) -> dict[str, Route]:
    """Routes by name; those without one by their place, since nothing else tells them apart."""
    return {f"routes.{route.name or place}": route for place, route in enumerate(config.routes)}


def _order(routes: Iterable[str], others: Container[str]) -> list[str]:
    return [name for name in routes if name in others]


def _certificates(before: Plan, after: Plan) -> list[str]:
    """Certificates, keys or CAs that were renewed under their old names."""
    same = [name for name in after.texts if name in before.texts and not name.startswith("specs.")]
    return [f"{name}, its files" for name in same if after.texts[name] != before.texts[name]]
