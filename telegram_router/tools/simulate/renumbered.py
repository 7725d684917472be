"""Requests that refer to others, where those came under another number or date than in the capture that is answered from."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, TypeAlias

from telegram_router.telegrams import MessageLayout, Spec
from telegram_router.telegrams.volatile import volatile_fields, volatile_of

KEPT: Final = 100_000
_DAY: Final = 8  # characters of a date in front of a moment

Scope: TypeAlias = tuple[bytes, ...]


class Renumbered:
    """What the numbers of a run were in the capture, as far as requests were answered from it."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        told = map(volatile_of, spec.family.volatile.values())
        self._referred = {each.of for each in told if each is not None and each.of}
        self._scope = [place for name, place in spec.correlation_fields if name not in spec.family.volatile]
        self._recorded: OrderedDict[tuple[str, Scope, bytes], bytes] = OrderedDict()  # by field, whose it is, and the value now

    def note(self, message: MessageLayout, recorded: bytes, frame: bytes) -> None:
        """A request is taken for one of the capture: whoever refers to it means that one."""
        prefix = self._spec.framing.prefix
        for name in self._referred:
            planned = message.field(name)
            if planned is None or planned.shifts or "[" in planned.path:
                continue
            place = slice(prefix + planned.offset, prefix + planned.end)
            self._put(name, frame, frame[place], recorded[place])
            if getattr(planned.kind, "form", "").startswith("YYYYMMDD") and planned.length > _DAY:
                self._put(name, frame, frame[place][:_DAY], recorded[place][:_DAY])  # another field may name the day alone

    def _put(self, name: str, frame: bytes, now: bytes, then: bytes) -> None:
        self._recorded[name, self._of(frame), now] = then
        if len(self._recorded) > KEPT:
            self._recorded.popitem(last=False)

    def _of(self, frame: bytes) -> Scope:
        return tuple([frame[place] for place in self._scope])

    def as_recorded(self, message: MessageLayout, frame: bytes) -> bytes:
        """The request with what it refers to as that was called in the capture."""
        if not self._recorded:
            return frame
        made, prefix = bytearray(frame), self._spec.framing.prefix
        for planned, volatile in volatile_fields(message):
            if volatile.role == "ref_of" and not planned.shifts:
                place = slice(prefix + planned.offset, prefix + planned.end)
                then = self._recorded.get((volatile.of, self._of(frame), frame[place]))
                if then is not None and len(then) == planned.length:
                    made[place] = then
        return bytes(made)
