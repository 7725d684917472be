"""What may have happened to a whole telegram, undone: framing, editors, code pages, its end, its key. See causes.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from telegram_router.telegrams.fields import charset_of
from telegram_router.telegrams.fit import Fit, fields_at
from telegram_router.telegrams.layout import PlannedField, is_flat
from telegram_router.telegrams.lengths import LengthField

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout, Spec

REACH: Final = 8  # bytes of a shift, and of what may stand in front


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
        return (
            f"{self.after} of {in_problems(self.before)} {'is' if self.after == 1 else 'are'} left" if self.after else "no problem is left"
        )

    def as_object(self) -> dict[str, Any]:
        return {"what": self.what, "trial": self.trial, "problems_before": self.before, "problems_after": self.after, "do": self.do}


@dataclass(frozen=True)
class Repair:
    """Something undone: what it would mean, and the telegram without it."""

    what: str
    trial: str
    telegram: bytes
    do: str = ""
    message: MessageLayout | None = None
    least: int = 1  # problems that must go, where there are many ways to repair
    blamed: PlannedField | None = None
    gain: float = -1.0  # bits that must be proven more than before


def seen(found: Fit) -> int:
    """Problems as they are counted for a person."""
    return found.problems - (999 if found.message is None else 0)


# --- framing ------------------------------------------------------------------------------------------------------


def of_framing(spec: Spec, data: bytes, now: Fit, framed: bool, misframed: bool) -> Iterator[Repair]:
    shape, prefix = spec.framing.length, spec.framing.prefix
    if framed and misframed and isinstance(shape, LengthField):
        yield from _of_counting(shape, data, data[prefix : len(data) - spec.framing.suffix])
    if framed and prefix:
        yield Repair(
            "these are telegrams without their framing",
            f"read from byte 0 rather than behind {prefix} bytes of framing",
            data,
            "give --unframed, or send the length that the spec's framing declares",
        )
    if not framed and prefix:
        wrapped = data[prefix : len(data) - spec.framing.suffix]
        yield Repair("the framing is still around the telegram", f"read without its first {prefix} bytes", wrapped, "leave --unframed out")
    for at in range(1, 2 * REACH + 1):
        if framed and at != prefix:
            yield Repair(
                f"{in_bytes(at)} stand in front of the telegram, where the spec's framing has {prefix}",
                f"read from byte {at}",
                data[at : len(data) - spec.framing.suffix],
                least=2,
            )


def _of_counting(shape: LengthField, data: bytes, telegram: bytes) -> Iterator[Repair]:
    """Another way to count that gives the number of bytes that are there."""
    counts = [(replace(shape, counts=word), f'counts = "{word}"') for word in ("payload", "self", "all") if word != shape.counts]
    adds = [(replace(shape, add=shape.add + more), f"add = {shape.add + more}") for more in (1, 2, 4, -1, -2, -4)]
    for other, setting in (*counts, *adds):
        if other.uncounted != shape.uncounted and other.read(shape.field_of(data)) == len(data):
            yield Repair(
                f"the length counts otherwise: {other.describe().partition(' counting ')[2]}",
                "counted so it agrees with the bytes that are there",
                telegram,
                f"set {setting} in the spec's framing, or mend the peer",
            )
            return


# --- editors and transports ---------------------------------------------------------------------------------------


def of_editors(spec: Spec, data: bytes, telegram: bytes, framed: bool, misframed: bool) -> Iterator[Repair]:
    def cut(changed: bytes) -> bytes:
        prefix, suffix = (spec.framing.prefix, spec.framing.suffix) if framed else (0, 0)
        return changed[prefix : max(prefix, len(changed) - suffix)]

    if data.startswith(b"\xef\xbb\xbf"):
        yield Repair("an editor put a byte order mark (EF BB BF) in front", "without it", cut(data[3:]), "save without BOM")
    tail = len(data) - len(data.rstrip(b"\r\n\x1a\0"))
    if tail:
        yield Repair(f"{_of_tail(data[-tail:])} behind the telegram", "without them", cut(data[:-tail]), "send bytes, not lines of text")
    if b"\r\n" in data:
        yield Repair("line ends were made CR LF on the way", "with LF alone", cut(data.replace(b"\r\n", b"\n")), "transfer as binary")
    ends = data.count(b"\n") + data.count(b"\r")
    if ends:
        without = cut(data.translate(None, b"\r\n"))
        pushed_out = framed and not misframed  # a frame that was cut by its length has lost as many bytes at its end
        yield Repair(
            f"line ends were put inside ({in_bytes(ends)})",
            "without them" + (", and with blanks for what they pushed out of the frame" if pushed_out else ""),
            without.ljust(len(telegram), " ".encode(single_byte(spec.encoding))) if pushed_out else without,
            "a viewer or editor wraps lines",
        )
    if telegram.count(b"\0") > 2 and telegram.strip(b"\0"):
        yield Repair("padded with NUL (00) instead of blanks", "with blanks in their stead", telegram.replace(b"\0", b" "), "pad with 0x20")
    if b"\t" in telegram:
        yield Repair("a blank or several became tabs", "with one blank for each", telegram.replace(b"\t", b" "))
    if b"\xef\xbf\xbd" in telegram:
        lost = telegram.count(b"\xef\xbf\xbd")
        yield Repair(
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
_HOSTS: Final = ("cp037", "cp500", "cp1047")  # as programs convert whole files by, byte for byte
_EBCDIC: Final = ("cp037", "cp933", "cp939")


def of_code_pages(spec: Spec, telegram: bytes, now: Fit) -> Iterator[Repair]:
    own = spec.encoding
    right_size = now.message is not None and not now.missing  # then what was longer in the other page has been cut off
    for page in (*_PAGES, *_EBCDIC):
        changed = _by_fields(spec, telegram, page) if page in _EBCDIC else converted(telegram, page, own)
        if changed is not None and right_size:
            changed = changed[: len(telegram)].ljust(len(telegram), " ".encode(single_byte(own)))
        if page != own and changed is not None and changed != telegram:
            yield Repair(
                f"the whole telegram is in {named_page(page)}, the spec says {own}",
                f"converted to {own}",
                changed,
                f"convert it back, or set the spec's encoding to {page}",
            )
    if charset_of(own).codec:
        for page in _HOSTS:
            back = converted(telegram, "latin-1", page)
            if back is not None:
                yield Repair(
                    f"converted from EBCDIC ({page}) to Latin-1 on the way",
                    "converted back",
                    back,
                    "transfer as binary: packed and binary numbers are no text",
                )
    twice = converted(telegram, "utf-8", "latin-1")
    if twice is not None and twice != telegram:
        yield Repair("every byte above 7F was taken for Latin-1 and written as UTF-8", "with that undone", twice, "transfer as binary")


def _by_fields(spec: Spec, telegram: bytes, page: str) -> bytes | None:
    """From EBCDIC: shift codes make texts longer than they are elsewhere, so each field is filled up again."""
    front = converted(telegram[: spec.header_size], "cp037", spec.encoding)
    message = None if front is None else spec.message_of(bytes(spec.framing.prefix) + front)
    if message is None:
        return None
    parts = []
    if not is_flat(message.tree):
        return None  # counts and packed numbers stand between: where its texts are, only the right code page tells
    for planned in message.fields:
        part = telegram[planned.offset : None if planned.is_opaque else planned.end]
        changed = converted(part, page, spec.encoding)
        parts.append(part if changed is None else changed[: len(part)].ljust(len(part)))
    end = message.codec.fixed_size
    return b"".join(parts) + (b"" if message.codec.opaque else telegram[end:])


def converted(telegram: bytes, page: str, own: str) -> bytes | None:
    try:
        text = telegram.decode(page)
        return text.encode(own, "strict" if page.startswith("utf") else "replace")
    except (UnicodeError, LookupError):
        return None


def named_page(page: str) -> str:
    return f"EBCDIC ({page})" if page in _EBCDIC else page


# --- size ---------------------------------------------------------------------------------------------------------


def of_size(spec: Spec, telegram: bytes, now: Fit) -> Iterator[Repair]:
    if now.message is None or not now.missing:
        return
    if now.missing < 0:
        extra = telegram[now.missing :]
        yield Repair(
            f"{in_bytes(-now.missing)} too many at the end" + (", all of them blank" if not extra.strip(b" ") else ""),
            "without them",
            telegram[: now.missing],
        )
        return
    blank = " ".encode(single_byte(spec.encoding)) * now.missing
    cut = next((planned for planned in fields_at(now.message, telegram) if planned.end > len(telegram)), None)
    yield Repair(
        f"the last {in_bytes(now.missing)} are missing",
        "with blanks in their place",
        telegram + blank,
        "something cut the telegram, or took the blanks off its end",
        blamed=cut,
    )


def single_byte(encoding: str) -> str:
    try:
        return encoding if len(" ".encode(encoding)) == 1 else "ascii"
    except LookupError:
        return "ascii"


# --- messages -----------------------------------------------------------------------------------------------------


def of_messages(spec: Spec, telegram: bytes, now: Fit) -> Iterator[Repair]:
    key = " and ".join(f"header.{name}" for name in spec.family.key)
    for message in spec.messages.values():
        if message is not now.message:
            says = "is of no message" if now.message is None else f"says {now.message.name}"
            yield Repair(
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


# --- words --------------------------------------------------------------------------------------------------------


def in_problems(count: int) -> str:
    return f"{count} problem" if count == 1 else f"{count} problems"


def in_bytes(count: int) -> str:
    return f"{count} byte" if count == 1 else f"{count} bytes"
