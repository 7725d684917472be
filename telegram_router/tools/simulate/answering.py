"""Replies made: the request's own values, what a rule sets, templates filled in; bytes out, or the reason why not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from telegram_router.errors import FieldError, RouterError
from telegram_router.telegrams import FieldFault, MessageLayout, PlannedField, Spec, Telegram
from telegram_router.telegrams.fields import MISSING, Kind, Number
from telegram_router.telegrams.generate import sample
from telegram_router.telegrams.json_values import reader_of
from telegram_router.tools.simulate.learned import fitted
from telegram_router.tools.simulate.scenario import Push, Reply
from telegram_router.tools.simulate.seen import Seen
from telegram_router.tools.simulate.templates import NoValue, Template

_STEP: Final = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


class CannotAnswer(Exception):
    """A reply that cannot be made; the argument says why, without values."""


@contextmanager
def _told() -> Iterator[None]:
    """What keeps a reply from being made, as CannotAnswer."""
    try:
        yield
    except NoValue as missing:
        raise CannotAnswer(f"nothing is called {missing}") from None
    except FieldError as error:
        raise CannotAnswer(
            "; ".join(f"{problem.path}: {problem.what}, expected {problem.expected}" for problem in error.problems[:3])
        ) from None


def answer(
    reply: Reply, request: Seen, spec: Spec, at: float, recorded: Mapping[tuple[str, str], tuple[bytes, bytes]], purpose: str
) -> bytes:
    """The frame of a reply. Raises CannotAnswer."""
    with _told():
        if reply.recorded is not None:
            before = recorded[reply.recorded, reply.exchange or ""]
            telegram = spec.decode(fitted(spec, *before, request.frame))
        else:
            telegram = _from_request(reply, request.telegram or spec.decode(request.frame))  # which says why it cannot be decoded
        put_all(telegram, reply.values, request, at, purpose)
        return spec.encode(telegram)


def pushed(push: Push, seen: Seen, spec: Spec, at: float, seed: int) -> bytes:
    """The frame of a telegram that nobody asked for: a realistic one, and what is set. Raises CannotAnswer."""
    with _told():
        telegram = sample(spec, push.msg, f"{seed} {seen.connection} {push.name}", seen.number)
        put_all(telegram, push.values, seen, at, push.name)
        return spec.encode(telegram)


def changed(frame: bytes, spec: Spec, values: Mapping[str, Template], request: Seen, at: float, purpose: str) -> bytes:
    """A frame with other values in some fields. Raises CannotAnswer."""
    try:
        telegram = spec.decode(frame)
        put_all(telegram, values, request, at, purpose)
        return spec.encode(telegram)
    except NoValue as missing:
        raise CannotAnswer(f"nothing is called {missing}") from None
    except RouterError as error:
        raise CannotAnswer(error.what) from None


def _from_request(reply: Reply, request: Telegram) -> Telegram:
    message = request.message.reply.message if reply.msg is None else request.spec.messages[reply.msg]
    if message is None:
        raise CannotAnswer(f"{request.message.name} has no reply in the spec: name one with msg")
    names = message.body_names if reply.echo is None else message.body_names & set(reply.echo)
    body = {name: deepcopy(value) if isinstance(value, list | dict) else value for name, value in request.body.items() if name in names}
    kept = {at: raw for at, raw in (request.residue or {}).items() if at < request.spec.header_size} or None
    made = Telegram(request.spec, message, message.header_of_reply(request.header), body, kept)
    made.body = {**_blanks(message), **body}
    return made


@lru_cache(maxsize=1024)
def _blanks(message: MessageLayout) -> dict[str, Any]:
    """What the body has where the request has nothing."""
    return {
        planned.name: _blank(planned.kind)
        for planned in message.fields
        if planned.section == "body" and "." not in planned.path.removeprefix("body.") and "[" not in planned.path
        if planned.name and not planned.may_be_left_out
    }


def _blank(kind: Kind) -> Any:
    if kind.default is not MISSING:
        return kind.default
    if isinstance(kind, Number):
        return 0
    for blank in ("", None):
        try:
            kind.write_in(blank, 0)
        except FieldFault:
            continue
        return blank
    return ""


def put_all(telegram: Telegram, values: Mapping[str, Template], seen: Seen, at: float, purpose: str) -> None:
    """Set fields. Raises NoValue, FieldError."""
    find = seen.filling(at, purpose)
    for name, template in values.items():
        put(telegram, name, template.filled(find))


def put(telegram: Telegram, name: str, text: str) -> None:
    """Set one field from a text. Raises FieldError."""
    place = _place(telegram.message, name)
    if place is None:
        raise CannotAnswer(f"{telegram.message.name} has no field {name}")
    try:
        value = place.read(text)
    except FieldFault as fault:
        raise FieldError([place.planned.problem(fault, telegram.spec.name, telegram.message.name)]) from None
    _set(telegram.header if place.planned.section == "header" else telegram.body, place.steps, value, name)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value of a message goes, and how it is read from a text."""

    planned: PlannedField
    steps: tuple[str | int, ...]
    read: Callable[[Any], Any]


@lru_cache(maxsize=4096)
def _place(message: MessageLayout, name: str) -> _Place | None:
    planned = field_named(message, name)
    if planned is None:
        return None
    path = planned.path.partition(".")[2]
    return _Place(planned, tuple(each[1] or int(each[2]) for each in _STEP.finditer(path)), reader_of(planned.kind))


def field_named(message: MessageLayout, name: str) -> PlannedField | None:
    """A field by its path or by its name alone: the body's, or else the header's."""
    return message.field(f"body.{name}") or message.field(f"header.{name}") or message.field(name)


def _set(values: Any, steps: Sequence[str | int], value: Any, name: str) -> None:
    at = values
    try:
        for step in steps[:-1]:
            at = at[step]
        at[steps[-1]] = value
    except (KeyError, IndexError, TypeError):
        raise CannotAnswer(f"the telegram has no place for {name}") from None
