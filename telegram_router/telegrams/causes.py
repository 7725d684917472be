"""Why a telegram does not fit: the nearest plausible cause, proven by undoing it and reading again."""

# Rules this file keeps, all of them tested:
#
# 1. A cause is named only when undoing it takes most of the problems away, and it says how many.
# 2. It names fields, places and counts, never what a field holds.
# 3. The work is bounded: bytes, fields and trials have a limit each.

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from telegram_router.telegrams.fields import Code, Date, FieldFault, Kind, Number, Packed, Text, Zoned
from telegram_router.telegrams.fit import FIRST_BAD, MORE_BAD, Fit, fields_at, fit
from telegram_router.telegrams.layout import PlannedField, is_flat
from telegram_router.telegrams.lengths import LengthField

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout, Spec

LARGEST: Final = 64 * 1024  # bytes that are tried on; beyond them nobody reads a table either
MOST_FIELDS: Final = 400  # tried as the place of a shift
REACH: Final = 8  # bytes of a shift
_ALONE: Final = 9.0  # bits that a shift must prove where a single field is bad: it may just be bad
_SHOWN: Final = 3


@dataclass(frozen=True)
class Cause:
    """What probably happened. `before` and `after` count the problems without and with the trial that undoes it."""

    what: str
    trial: str
    before: int
    after: int
    do: str = ""

    def left(self) -> str:
        """What the trial leaves."""
        return f"{self.after} of {_problems(self.before)} {'is' if self.after == 1 else 'are'} left" if self.after else "no problem is left"

    def as_object(self) -> dict[str, Any]:
        return {"what": self.what, "trial": self.trial, "problems_before": self.before, "problems_after": self.after, "do": self.do}


@dataclass(frozen=True)
class _Repair:
    """Something undone: what it would mean, and the telegram without it."""

    what: str
    trial: str
    telegram: bytes
    do: str = ""
    message: MessageLayout | None = None
    least: int = 1  # problems that must go, where there are many ways to repair
    blamed: PlannedField | None = None
    gain: float = -1.0  # bits that must be proven more than before


def causes(spec: Spec, data: bytes, *, framed: bool = True) -> list[Cause]:
    """The likeliest causes of what is wrong with a frame, or with a telegram without its framing; the best first.

    Nothing when all is well, and nothing when no trial explains it.
    """
    if len(data) > LARGEST:
        return []
    prefix, suffix = (spec.framing.prefix, spec.framing.suffix) if framed else (0, 0)
    telegram = data[prefix : max(prefix, len(data) - suffix)]
    now = fit(spec, telegram)
    size = spec.framing.length.front(data, 0, spec.framing.bounds(0, max_frame=1 << 24)) if framed else len(data)
    misframed = size != len(data)
    if not now.problems and not misframed:
        return list(_doubts(spec, telegram, now))
    found: list[tuple[float, Cause, bytes]] = []
    for number, repair in enumerate(_repairs(spec, data, telegram, now, framed, misframed)):
        then = _tried(spec, repair)
        if _explains(now, then, repair, misframed):
            rank = 10_000 * then.problems - 100 * round(then.proof / 4) + min(number, 99)
            found.append((rank, _cause(repair, now, then, misframed), repair.telegram))
    found.sort(key=lambda each: each[0])
    best = [*_distinct(found)][:_SHOWN]
    if best and not best[0].after:
        return best
    return best + list(_dialects(spec, telegram, now))[: _SHOWN - len(best)]


def _tried(spec: Spec, repair: _Repair) -> Fit:
    """What a repair gives. The field that is to blame for a shift may hold anything."""
    then = fit(spec, repair.telegram, repair.message)
    blamed = tuple(planned for planned in then.bad if planned is not repair.blamed)
    return replace(then, bad=blamed) if len(blamed) < len(then.bad) else then


def _distinct(found: Sequence[tuple[float, Cause, bytes]]) -> Iterator[Cause]:
    """Those that leave as few problems as the best and prove about as much; of several that give the same bytes one."""
    seen: set[bytes] = set()
    for rank, cause, telegram in found:
        if rank < found[0][0] + 200 and telegram not in seen:
            seen.add(telegram)
            yield cause


def _cause(repair: _Repair, now: Fit, then: Fit, misframed: bool) -> Cause:
    return Cause(repair.what, repair.trial, _seen(now) + misframed, _seen(then), repair.do)


def _seen(found: Fit) -> int:
    """Problems as they are counted for a person."""
    return found.problems - (999 if found.message is None else 0)


def _explains(now: Fit, then: Fit, repair: _Repair, misframed: bool) -> bool:
    if then.message is None:
        return False
    before = now.problems + misframed
    left = then.problems - (repair.message is not None)  # the key is still wrong
    if before - left < repair.least or then.problems * 3 > before or _seen(now) + misframed <= then.problems:
        return False
    return then.proof >= now.proof + repair.gain if now.message is not None else then.proof > 20


def _repairs(spec: Spec, data: bytes, telegram: bytes, now: Fit, framed: bool, misframed: bool) -> Iterator[_Repair]:
    """The likeliest first: of two that repair as much, the first one is named."""
    yield from _of_editors(spec, data, telegram, framed)
    yield from _of_framing(spec, data, now, framed, misframed)
    if not now.problems:
        return
    yield from _of_code_pages(spec, telegram)
    yield from _of_size(spec, telegram, now)
    yield from _of_messages(spec, telegram, now)
    yield from _of_shifts(spec, telegram, now)


# --- framing ------------------------------------------------------------------------------------------------------


def _of_framing(spec: Spec, data: bytes, now: Fit, framed: bool, misframed: bool) -> Iterator[_Repair]:
    shape, prefix = spec.framing.length, spec.framing.prefix
    if framed and misframed and isinstance(shape, LengthField):
        yield from _of_counting(shape, data, data[prefix : len(data) - spec.framing.suffix])
    if framed and prefix:
        yield _Repair(
            "these are telegrams without their framing",
            f"read from byte 0 rather than behind {prefix} bytes of framing",
            data,
            "give --unframed, or send the length that the spec's framing declares",
        )
    if not framed and prefix:
        wrapped = data[prefix : len(data) - spec.framing.suffix]
        yield _Repair("the framing is still around the telegram", f"read without its first {prefix} bytes", wrapped, "leave --unframed out")
    for at in range(1, 2 * REACH + 1):
        if framed and at != prefix:
            yield _Repair(
                f"{_bytes(at)} stand in front of the telegram, where the spec's framing has {prefix}",
                f"read from byte {at}",
                data[at : len(data) - spec.framing.suffix],
                least=2,
            )


def _of_counting(shape: LengthField, data: bytes, telegram: bytes) -> Iterator[_Repair]:
    """Another way to count that gives the number of bytes that are there."""
    counts = [(replace(shape, counts=word), f'counts = "{word}"') for word in ("payload", "self", "all") if word != shape.counts]
    adds = [(replace(shape, add=shape.add + more), f"add = {shape.add + more}") for more in (1, 2, 4, -1, -2, -4)]
    for other, setting in (*counts, *adds):
        if other.uncounted != shape.uncounted and other.read(shape.field_of(data)) == len(data):
            yield _Repair(
                f"the length counts otherwise: {other.describe().partition(' counting ')[2]}",
                "counted so it agrees with the bytes that are there",
                telegram,
                f"set {setting} in the spec's framing, or mend the peer",
            )
            return


# --- editors and transports ---------------------------------------------------------------------------------------


def _of_editors(spec: Spec, data: bytes, telegram: bytes, framed: bool) -> Iterator[_Repair]:
    def cut(changed: bytes) -> bytes:
        prefix, suffix = (spec.framing.prefix, spec.framing.suffix) if framed else (0, 0)
        return changed[prefix : max(prefix, len(changed) - suffix)]

    if data.startswith(b"\xef\xbb\xbf"):
        yield _Repair("an editor put a byte order mark (EF BB BF) in front", "without it", cut(data[3:]), "save without BOM")
    tail = len(data) - len(data.rstrip(b"\r\n\x1a\0"))
    if tail:
        yield _Repair(f"{_of_tail(data[-tail:])} behind the telegram", "without them", cut(data[:-tail]), "send bytes, not lines of text")
    if b"\r\n" in data:
        yield _Repair("line ends were made CR LF on the way", "with LF alone", cut(data.replace(b"\r\n", b"\n")), "transfer as binary")
    ends = data.count(b"\n") + data.count(b"\r")
    if ends:
        yield _Repair(
            f"line ends were put inside ({_bytes(ends)})",
            "without them",
            cut(data.translate(None, b"\r\n")),
            "a viewer or editor wraps lines",
        )
    if telegram.count(b"\0") > 2 and telegram.strip(b"\0"):
        yield _Repair(
            "padded with NUL (00) instead of blanks", "with blanks in their stead", telegram.replace(b"\0", b" "), "pad with 0x20"
        )
    if b"\t" in telegram:
        yield _Repair("a blank or several became tabs", "with one blank for each", telegram.replace(b"\t", b" "))
    if b"\xef\xbf\xbd" in telegram:
        lost = telegram.count(b"\xef\xbf\xbd")
        yield _Repair(
            f"{lost} bytes were replaced by EF BF BD: a program read the telegram as UTF-8, and what stood there is lost",
            "with one byte for each",
            telegram.replace(b"\xef\xbf\xbd", b" "),
            "look for the telegram before that program",
        )


def _of_tail(tail: bytes) -> str:
    names = {
        b"\r\n": "a line end (CR LF) stands",
        b"\n": "a line end (LF) stands",
        b"\0": "a NUL byte stands",
        b"\x1a": "Ctrl-Z (1A) stands",
    }
    return names.get(tail, f"{len(tail)} line ends or NUL bytes stand")


# --- code pages ---------------------------------------------------------------------------------------------------

_PAGES: Final = ("utf-8", "cp949", "shift_jis", "utf-16-le", "utf-16-be")
_EBCDIC: Final = ("cp037", "cp933", "cp939")


def _of_code_pages(spec: Spec, telegram: bytes) -> Iterator[_Repair]:
    own = spec.encoding
    for page in (*_PAGES, *_EBCDIC):
        changed = _by_fields(spec, telegram, page) if page in _EBCDIC else _converted(telegram, page, own)
        if page != own and changed is not None and changed != telegram:
            yield _Repair(
                f"the whole telegram is in {_named(page)}, the spec says {own}",
                f"converted to {own}",
                changed,
                f"convert it back, or set the spec's encoding to {page}",
            )
    twice = _converted(telegram, "utf-8", "latin-1")
    if twice is not None and twice != telegram:
        yield _Repair("every byte above 7F was taken for Latin-1 and written as UTF-8", "with that undone", twice, "transfer as binary")


def _by_fields(spec: Spec, telegram: bytes, page: str) -> bytes | None:
    """From EBCDIC: shift codes make texts longer than they are elsewhere, so each field is filled up again."""
    front = _converted(telegram[: spec.header_size], "cp037", spec.encoding)
    message = None if front is None else spec.message_of(bytes(spec.framing.prefix) + front)
    if message is None:
        return None
    parts = []
    if not is_flat(message.tree):
        return None  # counts and packed numbers stand between: where its texts are, only the right code page tells
    for planned in message.fields:
        part = telegram[planned.offset : None if planned.is_opaque else planned.end]
        changed = _converted(part, page, spec.encoding)
        parts.append(part if changed is None else changed[: len(part)].ljust(len(part)))
    end = message.codec.fixed_size
    return b"".join(parts) + (b"" if message.codec.opaque else telegram[end:])


def _converted(telegram: bytes, page: str, own: str) -> bytes | None:
    try:
        text = telegram.decode(page)
        return text.encode(own, "strict" if page.startswith("utf") else "replace")
    except (UnicodeError, LookupError):
        return None


def _named(page: str) -> str:
    return f"EBCDIC ({page})" if page in _EBCDIC else page


# --- size ---------------------------------------------------------------------------------------------------------


def _of_size(spec: Spec, telegram: bytes, now: Fit) -> Iterator[_Repair]:
    if now.message is None or not now.missing:
        return
    if now.missing < 0:
        extra = telegram[now.missing :]
        yield _Repair(
            f"{_bytes(-now.missing)} too many at the end" + (", all of them blank" if not extra.strip(b" ") else ""),
            "without them",
            telegram[: now.missing],
        )
        return
    blank = " ".encode(_single(spec.encoding)) * now.missing
    cut = next((planned for planned in fields_at(now.message, telegram) if planned.end > len(telegram)), None)
    yield _Repair(
        f"the last {_bytes(now.missing)} are missing",
        "with blanks in their place",
        telegram + blank,
        "something cut the telegram, or took the blanks off its end",
        blamed=cut,
    )


def _single(encoding: str) -> str:
    try:
        return encoding if len(" ".encode(encoding)) == 1 else "ascii"
    except LookupError:
        return "ascii"


# --- messages -----------------------------------------------------------------------------------------------------


def _of_messages(spec: Spec, telegram: bytes, now: Fit) -> Iterator[_Repair]:
    key = " and ".join(f"header.{name}" for name in spec.family.key)
    for message in spec.messages.values():
        if message is not now.message:
            says = "is of no message" if now.message is None else f"says {now.message.name}"
            yield _Repair(
                f"it looks like {message.name}, but its key ({key}) {says}",
                f"read as {message.name}",
                _with_key(spec, message, telegram),
                message=message,
                least=2,
            )


def _with_key(spec: Spec, message: MessageLayout, telegram: bytes) -> bytes:
    made = bytearray(telegram)
    for planned in message.fields:
        if planned.key is not None:
            made[planned.offset : planned.end] = planned.kind.write(planned.key)
    return bytes(made)


# --- shifts -------------------------------------------------------------------------------------------------------


def _of_shifts(spec: Spec, telegram: bytes, now: Fit) -> Iterator[_Repair]:
    """A field that is some bytes too long or too short moves all that follows."""
    if now.message is None or not now.problems:
        return
    gain = -1.0 if now.missing or len(now.bad) > 1 else _ALONE
    fields = fields_at(now.message, telegram)
    first = next((number for number, planned in enumerate(fields) if planned in now.bad), len(fields) - 1)
    places = [planned for planned in fields[: first + 1] if not planned.is_opaque][-MOST_FIELDS:]
    for by in sorted(range(-REACH, REACH + 1), key=abs):
        tried = [_Shift(spec, telegram, planned, by) for planned in places] if by else []
        good = [each for each in tried if each.then is not None and each.then.message is now.message]
        if not good:
            continue
        chosen = min(good, key=lambda each: each.rank)
        if chosen.then is None or chosen.then.proof < now.proof + gain:
            continue
        others = [each.planned for each in good if each.rank[:2] == chosen.rank[:2]]
        yield _Repair(
            f"{_blame(chosen.planned, others)} {_bytes(abs(by))} too {'long' if by > 0 else 'short'}"
            f": what follows stands {_bytes(abs(by))} too {'late' if by > 0 else 'early'}",
            f"with {_bytes(abs(by))} {'taken out of' if by > 0 else 'put into'} {chosen.planned.path}",
            chosen.changed or b"",
            gain=gain,
            blamed=chosen.planned,
        )
        if not chosen.rank[0]:
            return


def _blame(chosen: PlannedField, others: Sequence[PlannedField]) -> str:
    """The field, or the fields among which nothing decides."""
    if len(others) < 2:
        return f"{chosen.path} is"
    return (
        f"a field from {others[0].path} to {others[-1].path} is"
        if chosen.path in (others[0].path, others[-1].path)
        else (f"{chosen.path}, or another field from {others[0].path} to {others[-1].path}, is")
    )


class _Shift:
    """A trial: one field brought back to its length, and how the rest then fits."""

    def __init__(self, spec: Spec, telegram: bytes, planned: PlannedField, by: int) -> None:
        self.planned = planned
        self.changed = _shifted(spec, telegram, planned, by)
        self.then = None if self.changed is None else fit(spec, self.changed)
        self.rank = self._rank(telegram, by) if self.then is not None else (0, 0, 0, 0)

    def _rank(self, telegram: bytes, by: int) -> tuple[int, int, int, int]:
        """The least is the likeliest: problems left (its own do not count), what the rest proves, how much it looks to blame."""
        assert self.then is not None
        mine = self.planned in self.then.bad  # it may hold anything, and what it holds is not held against it
        proof = self.then.proof + (FIRST_BAD if len(self.then.bad) == 1 else MORE_BAD) * mine
        return self.then.problems - mine, -round(proof / 4), -_overfull(self.planned, telegram, by), -self.planned.offset


def _shifted(spec: Spec, telegram: bytes, planned: PlannedField, by: int) -> bytes | None:
    """The telegram with a field brought back to its length; its end is filled up or cut to the old size where that was right."""
    blank = " ".encode(_single(spec.encoding))
    numeric = isinstance(planned.kind, Number) and planned.kind.length == planned.length
    if by > 0:
        at = planned.offset if numeric else planned.end
        changed = telegram[:at] + telegram[at + by :]
    elif -by >= planned.length:
        return None
    else:
        at = planned.offset if numeric else planned.end + by
        changed = telegram[:at] + (_zero(planned.kind) if numeric else blank) * -by + telegram[at:]
    message = spec.message_of(bytes(spec.framing.prefix) + changed)
    if message is None:
        return None
    least, most = message.codec.sizes()
    if least == most and len(telegram) == least:
        changed = changed[:least].ljust(least, blank)
    return changed


def _zero(kind: Kind) -> bytes:
    try:
        return kind.write(0)[:1]
    except FieldFault:
        return b"0"


def _overfull(planned: PlannedField, telegram: bytes, by: int) -> int:
    """How much a field looks like the one to blame: text that fills its field to the brim, or another one that does not end in padding."""
    if by < 0:
        return isinstance(planned.kind, Text)
    part = telegram[planned.offset : planned.end + by]
    if isinstance(planned.kind, Text):
        return 2 if part[-by:].strip(b" \x40\0") and not part.isascii() else 1 if not part.isascii() else 0
    return 0


# --- sign dialects and text of one field ----------------------------------------------------------------------------


def _dialects(spec: Spec, telegram: bytes, now: Fit) -> Iterator[Cause]:
    """What all bad fields of a kind have in common, each read by itself."""
    if now.message is None:
        return
    for kinds, trials in ((Number, _NUMBERS), (Text, _TEXTS), (Date, _DATES), (Code, _CODES)):
        bad = [planned for planned in now.bad if isinstance(planned.kind, kinds) and planned.end <= len(telegram)]
        yield from _common(bad, telegram, trials, now)


Trial = Callable[[PlannedField, bytes], bool]


def _common(bad: Sequence[PlannedField], telegram: bytes, trials: Sequence[tuple[str, str, Trial]], now: Fit) -> Iterator[Cause]:
    for what, do, reads in trials:
        fits = [planned for planned in bad if reads(planned, telegram[planned.offset : planned.end])]
        if fits and len(fits) * 2 > len(bad):
            names = ", ".join(planned.path for planned in fits[:_SHOWN]) + (f" and {len(fits) - _SHOWN} more" if len(fits) > _SHOWN else "")
            yield Cause(f"{names}: {what}", "read so", _seen(now), _seen(now) - len(fits), do)
            return


def _reads(kind: Kind, part: bytes) -> bool:
    if kind.length != len(part):
        return False
    try:
        return kind.read(part) is not None
    except FieldFault:
        return False


def _as_zoned(dialect: Any, sign: Any = "trailing") -> Trial:
    def reads(planned: PlannedField, part: bytes) -> bool:
        digits = len(part) - (1 if "separate" in sign else 0)
        kind = planned.kind
        same = isinstance(kind, Zoned) and (getattr(kind, "marks", None), kind.sign) == (dialect, sign)
        return digits > 1 and not same and _reads(Zoned(digits, sign=sign, dialect=dialect), part)

    return reads


def _as_packed(planned: PlannedField, part: bytes) -> bool:
    written = sum(0x30 <= byte <= 0x39 or byte == 0x20 for byte in part)  # digits and blanks of ASCII: hardly packed
    return len(part) > 1 and 2 * written < len(part) and not isinstance(planned.kind, Packed) and _reads(Packed(2 * len(part) - 1), part)


def _padded(planned: PlannedField, part: bytes) -> bool:
    content = part.strip(b" \0")
    return bool(content) and content.isdigit() and len(content) < len(part)


def _pointed(planned: PlannedField, part: bytes) -> bool:
    content = part.strip(b" ")
    return content.count(b".") + content.count(b",") > 0 and content.translate(None, b".,-+").isdigit()


def _minus(planned: PlannedField, part: bytes) -> bool:
    content = part.strip(b" ")
    return content[:1] in (b"-", b"+") and content[1:].isdigit()


_NUMBERS: Final[Sequence[tuple[str, str, Trial]]] = (
    ("padded with blanks or NUL instead of zeros", "fill them with zeros on the left", _padded),
    ("written with a decimal point or commas, which fixed-length numbers leave out", "send the digits only", _pointed),
    ("a sign stands in front, where only digits are declared", "declare Amount or Zoned with a separate sign, or send no sign", _minus),
    ("the sign is in the last digit, as EBCDIC machines have it", 'declare Zoned(…, dialect="ebcdic")', _as_zoned("ebcdic")),
    (
        "the sign is in the last digit, by the letters of EBCDIC in ASCII ({ A-I, } J-R)",
        'declare Zoned(…, dialect="ascii-ebcdic-letters")',
        _as_zoned("ascii-ebcdic-letters"),
    ),
    ("the sign is in the last digit, as ASCII machines have it (p-y)", 'declare Zoned(…, dialect="ascii")', _as_zoned("ascii")),
    (
        "a sign stands behind the digits",
        'declare Zoned(…, sign="trailing separate")',
        _as_zoned("ascii", "trailing separate"),
    ),
    ("packed decimals (COMP-3)", "declare Packed(…)", _as_packed),
)


def _as_text(encoding: str) -> Trial:
    def reads(planned: PlannedField, part: bytes) -> bool:
        for end in range(len(part), max(len(part) - 4, 0), -1):  # the field may have cut its last character
            try:
                text = part[:end].decode(encoding)
            except (UnicodeError, LookupError):
                continue
            return text.isprintable() and _is_language(text)
        return False

    return reads


def _is_language(text: str) -> bool:
    letters = [each for each in text if each.isalnum()]
    return len(letters) * 2 > len(text.strip()) and any(each > "\x7f" or each.isupper() or each.isdigit() for each in letters)


_TEXTS: Final[Sequence[tuple[str, str, Trial]]] = tuple(
    (f"text in {_named(page)}", f"convert the text, or declare Text(…, {page!r})", _as_text(page))
    for page in ("utf-8", "cp949", "shift_jis", "cp037")
)


def _day_first(planned: PlannedField, part: bytes) -> bool:
    return len(part) == 8 and _reads(planned.kind, part[4:] + part[2:4] + part[:2])


def _month_first(planned: PlannedField, part: bytes) -> bool:
    return len(part) == 8 and _reads(planned.kind, part[4:] + part[:4])


def _upper(planned: PlannedField, part: bytes) -> bool:
    return part.upper() != part and _reads(planned.kind, part.upper())


def _right_aligned(planned: PlannedField, part: bytes) -> bool:
    return part[:1] == b" " and _reads(planned.kind, part.strip(b" ").ljust(len(part)))


_DATES: Final[Sequence[tuple[str, str, Trial]]] = (
    ("the day stands first (DDMMYYYY)", "send YYYYMMDD", _day_first),
    ("the month stands first (MMDDYYYY)", "send YYYYMMDD", _month_first),
)
_CODES: Final[Sequence[tuple[str, str, Trial]]] = (
    ("declared codes in small letters", "send them as the spec declares them", _upper),
    ("declared codes at the right end of the field", "send them from its first byte on", _right_aligned),
)


def _doubts(spec: Spec, telegram: bytes, now: Fit) -> Iterator[Cause]:
    """What reads without a fault and is yet hardly meant: Hangul or kana in UTF-8 that another code page takes for other characters."""
    if now.message is None:
        return
    names = []
    for planned in fields_at(now.message, telegram):
        part = telegram[planned.offset : planned.end]
        text = _converted(part, "utf-8", "utf-8") if isinstance(planned.kind, Text) and not part.isascii() else None
        if text is not None and _wide(text.decode()) >= 2:  # no Hangul of KS X 1001, and no frequent kanji, begins with these bytes
            names.append(planned.path)
    if names:
        yield Cause(
            f"{', '.join(names[:_SHOWN])}: Hangul or kana in UTF-8, by their bytes", "read so", 0, 0, "convert them to the spec's encoding"
        )


def _wide(text: str) -> int:
    return sum("가" <= each <= "힣" or "ぁ" <= each <= "ヿ" for each in text)


def _problems(count: int) -> str:
    return f"{count} problem" if count == 1 else f"{count} problems"


def _bytes(count: int) -> str:
    return f"{count} byte" if count == 1 else f"{count} bytes"
