"""What bad fields have in common when each is read by itself in another way: by another sign, code page, order. See causes.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from telegram_router.telegrams.fields import Code, Date, FieldFault, Kind, Number, Packed, Text, Zoned
from telegram_router.telegrams.fit import Fit, fields_at
from telegram_router.telegrams.layout import PlannedField
from telegram_router.telegrams.repairs import Cause, converted, named_page, seen

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import Spec

_NAMED: Final = 3  # fields that a cause names


def of_fields(spec: Spec, telegram: bytes, now: Fit) -> Iterator[Cause]:
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
            names = ", ".join(planned.path for planned in fits[:_NAMED]) + (f" and {len(fits) - _NAMED} more" if len(fits) > _NAMED else "")
            yield Cause(f"{names}: {what}", "read so", seen(now), seen(now) - len(fits), do)
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
    (f"text in {named_page(page)}", f"convert the text, or declare Text(…, {page!r})", _as_text(page))
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


def doubts(spec: Spec, telegram: bytes, now: Fit) -> Iterator[Cause]:
    """What reads without a fault and is yet hardly meant: Hangul or kana in UTF-8 that another code page takes for other characters."""
    if now.message is None:
        return
    names = []
    for planned in fields_at(now.message, telegram):
        part = telegram[planned.offset : planned.end]
        text = converted(part, "utf-8", "utf-8") if isinstance(planned.kind, Text) and not part.isascii() else None
        if text is not None and _wide(text.decode()) >= 2:  # no Hangul of KS X 1001, and no frequent kanji, begins with these bytes
            names.append(planned.path)
    if names:
        yield Cause(
            f"{', '.join(names[:_NAMED])}: Hangul or kana in UTF-8, by their bytes", "read so", 0, 0, "convert them to the spec's encoding"
        )


def _wide(text: str) -> int:
    return sum("가" <= each <= "힣" or "ぁ" <= each <= "ヿ" for each in text)
