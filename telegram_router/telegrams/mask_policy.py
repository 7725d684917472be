"""What masking does with each field: by what the spec says that it holds, and by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from telegram_router.errors import RouterError
from telegram_router.telegrams.fields.kind import PII

ACTIONS: Final = ("keep", "fixed", "partial", "pseudonym", "drop")
WIPING: Final = ("fixed", "drop")


class MaskError(RouterError):
    """A key or a policy that cannot be used."""


@dataclass(frozen=True)
class Action:
    """`fixed` and `partial` write the fill in the place of what they take away; `partial` leaves characters at both ends."""

    name: str = "pseudonym"
    fill: str = "0"
    first: int = 0
    last: int = 0


DROP: Final = Action("drop")
KEEP: Final = Action("keep")
PSEUDONYM: Final = Action()


@dataclass(frozen=True)
class Policy:
    """Actions by `pii`, and by field: `transfer.request.body.memo`, `body.memo` or `memo`, of which the longest counts."""

    name: str = "default"
    actions: Mapping[str, Action] = field(default_factory=dict)
    fields: Mapping[str, Action] = field(default_factory=dict)

    def action(self, pii: str, message: str, path: str) -> Action:
        """What becomes of a field. Secrets are wiped whatever anybody says."""
        found = self.named(message, path) or self.actions.get(pii, PSEUDONYM)
        return DROP if pii == "pin" and found.name not in WIPING else found

    def named(self, message: str, path: str) -> Action | None:
        """What was said of this very field."""
        names = (f"{message}.{path}", path, path.partition(".")[2], path.rpartition(".")[2])
        return next((self.fields[name] for name in names if name in self.fields), None)


DEFAULT: Final = Policy()


def policy_of(table: Mapping[str, Any]) -> Policy:
    """A policy as a TOML file has it: `name`, `[actions]` by pii, `[fields]` by field. Raises MaskError E-CAP-09."""
    unknown = table.keys() - {"name", "actions", "fields"}
    if unknown:
        raise _wrong(f"unknown key {sorted(unknown)[0]}", "name, actions, fields")
    if not isinstance(table.get("name", ""), str):
        raise _wrong("name is no text", "a text")
    actions = {pii: _action(f"actions.{pii}", told) for pii, told in _table(table, "actions").items()}
    strange = actions.keys() - set(PII)
    if strange:
        raise _wrong(f"actions.{sorted(strange)[0]}: no such kind of value", f"one of {', '.join(PII)}")
    if "pin" in actions and actions["pin"].name not in WIPING:
        raise _wrong(f'actions.pin: secrets are always wiped, never "{actions["pin"].name}"', "fixed or drop")
    fields = {path: _action(f"fields.{path}", told) for path, told in _table(table, "fields").items()}
    return Policy(table.get("name", "policy"), actions, fields)


def _table(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = table.get(name, {})
    if not isinstance(found, Mapping):
        raise _wrong(f"{name} is no table", "a table")
    return found


def _action(where: str, told: Any) -> Action:
    table: Any = {"action": told} if isinstance(told, str) else told
    if not isinstance(table, Mapping) or table.get("action") not in ACTIONS:
        raise _wrong(f"{where}: no such action", f"one of {', '.join(ACTIONS)}")
    if table.keys() - {"action", "fill", "first", "last"}:
        raise _wrong(f"{where}: unknown key", "action, fill, first, last")
    fill, first, last = table.get("fill", "0"), table.get("first", 0), table.get("last", 0)
    if not (isinstance(fill, str) and len(fill) == 1 and fill.isascii() and fill.isprintable()):
        raise _wrong(f"{where}: fill is not one character", "one printable ASCII character")
    if not all(type(count) is int and count >= 0 for count in (first, last)):
        raise _wrong(f"{where}: first and last are no numbers of characters", "whole numbers from 0")
    return Action(str(table["action"]), fill, first, last)


def _wrong(what: str, expected: str) -> MaskError:
    return MaskError("E-CAP-09", what, expected=expected, do="mend the policy")
