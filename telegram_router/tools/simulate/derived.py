"""A scenario derived from a capture, for people to go on from: how each message was answered, how often and how fast."""

# Values of telegrams that are not log="clear" never enter its text: rules name the exchange of the capture whose reply is given, and
# the fields that every reply had from its request.

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from telegram_router.errors import RouterError
from telegram_router.storage.capture_records import Record
from telegram_router.telegrams import Spec
from telegram_router.tools.pairing import WAITING_AT_MOST
from telegram_router.tools.recorded import message_of
from telegram_router.tools.simulate.learned import volatile_header

KINDS_AT_MOST: Final = 16  # of answers to one message; what is rarer is counted with the first


@dataclass
class _Kind:
    """Answers with the same codes."""

    count: int
    exchange: str
    codes: dict[str, str]
    echoed: set[str]  # fields of the body that all of them had from their request


@dataclass
class _Asked:
    """What became of one message."""

    count: int = 0
    wants_answer: bool = True
    kinds: dict[tuple[str, ...], _Kind] = field(default_factory=dict)

    @property
    def answered(self) -> int:
        return sum(kind.count for kind in self.kinds.values())


def scenario_text(spec: Spec, records: Iterable[Record], capture: str) -> Iterator[str]:
    """The lines of a scenario. `capture`: what the file is called from where the scenario will be."""
    asked = _counted(spec, records)
    yield f"# Made from {capture}: edit it freely. Rules are tried in their order; `rate` is the share that was seen of what comes that far.\n"
    yield f"\n[scenario]\nspec = {json.dumps(spec.name)}\n"
    for name, seen in sorted(asked.items()):
        left = seen.count
        unanswered = seen.count - seen.answered if seen.wants_answer else 0
        if unanswered and seen.kinds:
            yield from _rule(f"{name}: no answer", name, unanswered, seen.count, rate=unanswered / left)
            left -= unanswered
        kinds = sorted(seen.kinds.values(), key=lambda kind: kind.count)
        for kind in kinds:
            codes = ", ".join(f"{field} {value}" for field, value in kind.codes.items())
            rate = kind.count / left if kind is not kinds[-1] else None
            yield from _rule(f"{name}: {codes or 'answered'}", name, kind.count, seen.count, rate=rate, kind=kind, capture=capture)
            left -= kind.count
        if not seen.kinds:
            yield from _rule(f"{name}: no answer", name, seen.count, seen.count)


def _rule(
    title: str, message: str, count: int, total: int, *, rate: float | None = None, kind: _Kind | None = None, capture: str = ""
) -> Iterator[str]:
    yield f"\n[[rule]]  # {count:,} of {total:,}\nname = {json.dumps(title)}\nmatch = 'msg={message}'\n"
    if rate is not None:
        yield f"rate = {min(max(rate, 1e-6), 1.0):.6f}\n"
    if kind is not None:
        yield f"delay = {{ capture = {json.dumps(capture)} }}\n"
        values = ", ".join(f'{name} = "{{{name}}}"' for name in sorted(kind.echoed))
        more = f", set = {{ {values} }}" if values else ""
        yield f"reply = {{ recorded = {json.dumps(capture)}, exchange = {json.dumps(kind.exchange)}{more} }}\n"


def _counted(spec: Spec, records: Iterable[Record]) -> dict[str, _Asked]:
    found: dict[str, _Asked] = {}
    waiting: dict[str, tuple[str, bytes]] = {}
    for record in records:
        if record["k"] != "m" or not record["raw"]:
            continue
        message, exchange = message_of(spec, record["raw"]), record.get("x")
        if message is None or exchange is None:
            continue
        if record["d"] == ">" and exchange in waiting:
            continue  # a router's copy of the request
        if record["d"] == ">" and message.kind != "reply":
            seen = found.setdefault(message.name, _Asked())
            seen.count += 1
            seen.wants_answer = message.reply.message is not None
            if seen.wants_answer and len(waiting) < WAITING_AT_MOST:
                waiting[exchange] = message.name, record["raw"]
        elif exchange in waiting and record["d"] == "<":
            name, request = waiting.pop(exchange)
            _answered(spec, found[name], exchange, request, record["raw"])
    return found


def _answered(spec: Spec, seen: _Asked, exchange: str, request: bytes, reply: bytes) -> None:
    try:
        asked, told = spec.decode(request), spec.decode(reply)
    except RouterError:
        return  # it breaks its spec, and is no example to go by
    echoed = {name for name, value in told.body.items() if _plain(value) and name in asked.body and asked.body[name] == value}
    codes = _codes(spec, told, request, reply)
    key = tuple(codes.values())
    kind = seen.kinds.get(key)
    if kind is None and len(seen.kinds) >= KINDS_AT_MOST:
        kind = next(iter(seen.kinds.values()))
    if kind is None:
        seen.kinds[key] = _Kind(1, exchange, codes, echoed)
    else:
        kind.count += 1
        kind.echoed &= echoed


def _codes(spec: Spec, told: Any, request: bytes, reply: bytes) -> dict[str, str]:
    """Clear fields of the header that the host has filled in, such as a response code."""
    volatile, places = volatile_header(spec), {planned.name: planned for planned in told.message.fields if planned.section == "header"}
    return {
        name: str(told.header.get(name))
        for name, planned in places.items()
        if planned.log == "clear" and name not in volatile and name not in spec.family.key
        if reply[spec.header_slice(name)] != request[spec.header_slice(name)]
    }


def _plain(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)
