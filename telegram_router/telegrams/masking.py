"""Telegrams with other people's values taken out of their bytes: equal in length, still of their spec, the same ones under one key."""

# Rules this file keeps, all of them tested:
#
# 1. Masking fails closed: what cannot be decoded, before or behind, is given back as nothing but a length and a keyed digest.
# 2. Fields are masked unless the spec says log="clear"; kept are keys, lengths, constants, counts and what chooses a view, without
#    which no byte of the rest could be read.
# 3. Secrets (pii="pin"), bytes that the spec does not look into and what stands in reserved bytes are wiped.
# 4. A field's bytes depend on its kind, its value and the key alone, not on its name or message: joins survive.

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final, NamedTuple

from telegram_router.errors import FieldError
from telegram_router.telegrams.fields import Code, Date, FieldFault, Filler, Fixed, Kind, Length, Number, Opaque, Text, Time
from telegram_router.telegrams.fields.encodings import codec_of_text
from telegram_router.telegrams.layout import Node, PlannedField, PlannedGroup, PlannedTable, PlannedViews
from telegram_router.telegrams.mask_policy import DEFAULT, DROP, KEEP, PSEUDONYM, Action, MaskError, Policy
from telegram_router.telegrams.pseudonyms import Pseudonyms, letters_of
from telegram_router.telegrams.spec import MessageLayout, Spec

CACHED: Final = 100_000  # masked fields
SHORTEST_KEY: Final = 16
_TRIES: Final = 1_000  # of a permutation until a value is one that the field may have
_INDEX: Final = re.compile(r"\[\d+\]")
_FORM: Final = re.compile(r"Y+|M+|D+|h+|m+|s+|f+")


class Masked(NamedTuple):
    """A frame, masked; None where it could not be, with what is kept instead."""

    frame: bytes | None
    message: str | None
    digest: str


class CannotMask(Exception):
    """No value can be found that the field may have."""


class Masker:
    """Masks the telegrams of a spec with a key. Raises MaskError E-CAP-09 for a key that is too short."""

    def __init__(self, spec: Spec, key: bytes, policy: Policy = DEFAULT) -> None:
        self.spec = spec
        self.policy = policy
        self.pseudonyms = Pseudonyms(checked_key(key))
        self._kept = {message.name: set(_choosers(message.tree)) for message in spec.messages.values()}
        self._actions: dict[tuple[str, str], Action] = {}  # at most one for each field of the spec, since paths have no indices
        self._known: dict[tuple[int, Action, bytes], bytes] = {}

    @property
    def told(self) -> dict[str, Any]:
        """What the head of a capture says of masking: never the key."""
        return {"policy": self.policy.name, "key_id": self.pseudonyms.key_id, "invalidated": self.invalidated}

    @property
    def invalidated(self) -> list[str]:
        """Fields of which nothing is left that anybody could check: secrets such as codes of authentication, and bytes not looked into."""
        found = set()
        for message in self.spec.messages.values():
            for planned in message.fields:
                action = self.action(message.name, planned)
                if planned.name and action.name == "drop":
                    found.add(f"{message.name}.{_INDEX.sub('[0]', planned.path)}")
        return sorted(found)

    # -- a telegram

    def mask(self, frame: bytes) -> Masked:
        """A frame as it may be kept."""
        digest = self.pseudonyms.digest(frame)
        if self.spec.is_poll(frame):  # it has no fields, and may have bytes that are only sent back
            return Masked(None, None, digest)
        try:
            message = self.spec.decode(frame).message
            made = self._masked(frame, message)
            if len(made) != len(frame) or self.spec.decode(made).message is not message:
                raise CannotMask
        except (FieldError, FieldFault, CannotMask, IndexError):
            return Masked(None, self._name(frame), digest)
        return Masked(made, message.name, "")

    def _name(self, frame: bytes) -> str | None:
        if len(frame) < self.spec.framing.prefix + self.spec.header_size:
            return None
        found = self.spec.message_of(frame)
        return None if found is None else found.name

    def _masked(self, frame: bytes, message: MessageLayout) -> bytes:
        prefix, telegram = self.spec.framing.prefix, self.spec.framing.telegram(frame)
        parts, at = [frame[:prefix]], 0
        for planned in message.fields_of(telegram):
            end = len(telegram) if planned.is_opaque else planned.end
            if planned.offset != at or end > len(telegram):
                raise CannotMask  # a byte that belongs to no field would stay as it is
            parts.append(self._field(message.name, planned, telegram[at:end], len(telegram)))
            at = end
        if at != len(telegram):
            raise CannotMask
        parts.append(frame[prefix + len(telegram) :])
        return b"".join(parts)

    def _field(self, message: str, planned: PlannedField, raw: bytes, total: int) -> bytes:
        action = self._actions.get((message, planned.path))
        if action is None:
            path = _INDEX.sub("[0]", planned.path)
            action = self._actions.get((message, path)) or self._actions.setdefault((message, path), self.action(message, planned))
        if action is KEEP:
            return raw
        known = self._known.get((id(planned.kind), action, raw))
        if known is None:
            known = masked_field(planned.kind, action, raw, total, self.pseudonyms)
            if len(self._known) >= CACHED:
                self._known.clear()
            self._known[id(planned.kind), action, raw] = known
        return known

    def action(self, message: str, planned: PlannedField) -> Action:
        """What becomes of a field."""
        kind = planned.kind
        path = _INDEX.sub("[0]", planned.path)
        needed = planned.key is not None or planned.counts or isinstance(kind, Length | Fixed) or path in self._kept[message]
        if needed or (kind.log == "clear" and kind.pii is None and self.policy.named(message, path) is None):
            return KEEP
        if isinstance(kind, Filler):
            return DROP
        found = self.policy.action(kind.pii or "free", message, path)
        if found.name == "keep":
            if kind.pii is not None or self.policy.named(message, path) is not None:
                return KEEP
            found = PSEUDONYM  # what no spec has said anything of may say anything
        return DROP if isinstance(kind, Opaque) else found


def checked_key(key: bytes) -> bytes:
    """The key, if it is one. Raises MaskError E-CAP-09 for one that is too short."""
    if len(key) < SHORTEST_KEY:
        raise MaskError("E-CAP-09", f"the key has {len(key)} bytes", expected=f"{SHORTEST_KEY} or more bytes by chance")
    return key


def _choosers(nodes: Iterable[Node]) -> Iterator[str]:
    """Paths of the fields that decide on the layout."""
    for node in nodes:
        if isinstance(node, PlannedGroup):
            yield from _choosers(node.members)
        elif isinstance(node, PlannedTable):
            if node.counter is not None:
                yield node.counter.path
            yield from _choosers([node.item])
        elif isinstance(node, PlannedViews):
            if node.chooser is not None:
                yield node.chooser.path
            yield from _choosers(view for _, view in node.views)


# --- one field --------------------------------------------------------------------------------------------------------


def masked_field(kind: Kind, action: Action, raw: bytes, total: int, pseudonyms: Pseudonyms) -> bytes:
    """The bytes that stand in a field's place. Raises CannotMask, and FieldFault where the field is not valid."""
    if isinstance(kind, Filler):
        blank = kind.charset.blank * len(raw)
        return raw if raw in (blank, bytes(len(raw))) else blank
    if isinstance(kind, Opaque):
        return b" " * len(raw)
    value = kind.read_in(raw, total)
    if value is None or value == "":
        return raw if _is_bare(raw) else kind.write_in(value, total)
    if action.name == "pseudonym":
        made = _pseudonym(kind, value, total, pseudonyms)
        if made is not None:
            return made
    wanted = [_filled(kind, value, action), *_plain(kind, value)]
    if action.name == "drop":
        wanted = [None, "", *_plain(kind, value)]
    for candidate in wanted:
        made = _written(kind, candidate, total)
        if made is not None:
            return made
    raise CannotMask


def _is_bare(raw: bytes) -> bool:
    """Whether a field without a value holds nothing else either."""
    return len(set(raw)) <= 1 or not raw.strip(b" 0")


def _written(kind: Kind, value: Any, total: int) -> bytes | None:
    """A value as bytes, None where the field may not have it."""
    try:
        made = kind.write_in(value, total)
        return made if kind.read_in(made, total) == value or value in (None, "") else None
    except FieldFault:
        return None


def _pseudonym(kind: Kind, value: Any, total: int, pseudonyms: Pseudonyms) -> bytes | None:
    """Goes on along the permutation's cycle until the field may have the value: which keeps it one-to-one."""
    for _ in range(_TRIES):
        value = _other(kind, value, pseudonyms)
        if value is None:
            return None
        made = _written(kind, value, total)
        if made is not None:
            return made
    return None


def _other(kind: Kind, value: Any, pseudonyms: Pseudonyms) -> Any:
    if isinstance(kind, Number):
        return _other_number(kind, value, pseudonyms)
    if isinstance(kind, Date | Time):
        return None if kind.within is not None else _other_moment(kind.form, value, pseudonyms)
    if isinstance(kind, Code) and kind.values is not None:
        codes = sorted(code for code in kind.values if isinstance(code, str))
        if value in codes:
            return codes[pseudonyms.place(codes.index(value), len(codes), "\0".join(codes).encode())]
    if isinstance(kind, Text):
        return pseudonyms.text(value, codec_of_text(kind.encoding, kind.strict))
    return pseudonyms.text(value, "ascii") if isinstance(value, str) else None


def _other_number(kind: Number, value: Any, pseudonyms: Pseudonyms) -> int | Decimal:
    units = kind.units(value)
    if kind.lowest is None and kind.highest is None:
        return kind.number(pseudonyms.digits(f"{abs(units):0{kind.digits}d}"), units < 0)
    most = 10**kind.digits - 1
    low = _units(kind, kind.lowest) if kind.lowest is not None else -most if kind.signed else 0
    high = _units(kind, kind.highest) if kind.highest is not None else most
    low, high = max(low, -most), min(high, most)
    units = pseudonyms.place(units - low, high - low + 1, b"number%d:%d" % (low, high)) + low
    return kind.number(f"{abs(units):0{kind.digits}d}", units < 0)


def _units(kind: Number, limit: int | Decimal) -> int:
    return int(Decimal(limit).scaleb(kind.scale))


_SIZES: Final = {"hh": 24, "mm": 60, "ss": 60}


def _other_moment(form: str, value: str, pseudonyms: Pseudonyms) -> str:
    """Another day of the same year, another time of the day. Days behind the 28th count as the 28th: every month has that."""
    made = list(value)
    days = [found for found in _FORM.finditer(form) if found[0] in ("MM", "DD", "DDD")]
    times = [found for found in _FORM.finditer(form) if found[0] in _SIZES or found[0][0] == "f"]
    for places, sizes in (
        (days, [12 if found[0] == "MM" else 28 if found[0] == "DD" else 365 for found in days]),
        (times, [_SIZES.get(found[0], 10 ** len(found[0])) for found in times]),
    ):
        first = 1 if places is days else 0
        number, size = 0, 1
        for found, each in zip(places, sizes, strict=True):
            number = number * each + min(int(value[found.start() : found.end()]) - first, each - 1)
            size *= each
        number = pseudonyms.place(number, size, b"moment" + form.encode("ascii", "replace"))
        for found, each in zip(reversed(places), reversed(sizes), strict=True):
            number, part = divmod(number, each)
            made[found.start() : found.end()] = f"{part + first:0{len(found[0])}d}"
    return "".join(made)


def _filled(kind: Kind, value: Any, action: Action) -> Any:
    """A value with the fill in the place of its letters and digits, but for those that `partial` leaves."""
    if not isinstance(value, str):
        return None
    first, last = (action.first, action.last) if action.name == "partial" else (0, 0)
    encoding = codec_of_text(kind.encoding, kind.strict) if isinstance(kind, Text) else "ascii"
    end = len(value) - last
    if first >= end:
        first, end = 0, len(value)  # a value that would be kept whole is masked whole
    return value[:first] + "".join(_fill(letter, encoding, action.fill) for letter in value[first:end]) + value[end:]


def _fill(letter: str, encoding: str, fill: str) -> str:
    if letter.isascii():
        return (fill if letter.isdigit() or not fill.isdigit() else "X") if letter.isalnum() else letter
    found = letters_of(letter, encoding)
    return letter if found is None and not letter.isalnum() else fill if found is None else found.characters[0]


def _plain(kind: Kind, value: Any) -> list[Any]:
    """Values that say nothing, of which a field may have one or the other."""
    if isinstance(kind, Number):
        limits = [limit for limit in (kind.lowest, kind.highest) if limit is not None]
        return [0, Decimal(0), *(int(limit) if kind.scale <= 0 else Decimal(limit) for limit in limits)]
    if isinstance(kind, Date | Time):
        return [_first_moment(kind.form, year) for year in ("2000", "2019", "0001")]
    if isinstance(kind, Code) and kind.values is not None:
        return sorted(code if isinstance(code, str) else code[0] for code in kind.values)[:1]
    if isinstance(value, str):
        return ["0" * len(value), "0" * kind.length, "X" * len(value), "X", "0", "가", "　"]
    if isinstance(value, list):
        return [[]]
    return [Decimal(0)] if isinstance(value, Decimal) else []


def _first_moment(form: str, year: str) -> str:
    """The first moment of a year in a form."""
    start = {"Y": year, "M": "01", "D": "001", "h": "00", "m": "00", "s": "00", "f": "0" * len(form)}
    return _FORM.sub(lambda found: start[found[0][0]][-len(found[0]) :], form)
