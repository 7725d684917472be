"""Which field kind a row of a layout sheet means: from its type, its length, and the words of its name."""

# What a name decides, and why no more than that:
#
# 1. X is Text, which takes everything; Code, which takes ASCII only, where the name says code, number or flag.
# 2. 9 is Digits, a number, where the name says amount or count; else it is a Code of digits, whose zeros in front count.
# 3. A date or time is checked against the calendar where its name says so and its length fits a form.

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from telegram_router.telegrams.importers.source import quoted
from telegram_router.telegrams.importers.tables_headings import plain
from telegram_router.telegrams.importers.tables_types import CellType

Codes: TypeAlias = dict[str | tuple[str, str], str]


@dataclass(frozen=True)
class Meaning:
    """A declaration as it stands in a spec, with `{codes}` where its codes belong, and its bytes."""

    kind: str
    length: int
    codes: Mapping[str | tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """All that decides a field's kind."""

    names: str  # label and English name
    type: CellType
    length: int
    note: str = ""
    codes: Mapping[str | tuple[str, str], str] = field(default_factory=dict)
    required: bool = False
    clear: bool = False  # may stand in logs
    routing: bool = False  # the router reads it: a key, or part of the correlation
    constant: str = ""


FILLER: Final = re.compile(
    r"(예비|여유|미사용|공란|여백|공백)(영역|필드|정보|부|란|항목|용|사항|space|filler|구역)*\d*|(filler|필러|reserved?|spare|unused|dummy|space|rsv|rfu)(area|field|영역)*\d*"
)
_AMOUNT: Final = re.compile(
    r"금액|잔액|수수료|한도|건수|횟수|회수|이자|원금|이율|율$|환율|수량|합계|총액|매수|잔고|세액|세금|가액|액$|대금|(?<![가-힣])금$|"
    r"amount|amt|balance|fee$|count$|cnt$|rate$|total|qty|limit$"
)
_CODE: Final = re.compile(r"번호|코드|구분|여부|부호|종류|유형|계좌|식별|기호|flag|code|cd$|no$|number|id$|yn$|type$|account|acct|gubun")
_FREE_TEXT: Final = re.compile(r"성명|예금주|명$|이름|적요|메모|내용|메시지|주소|name|memo|remark|message|text|addr")
_DATE: Final = re.compile(r"일자|날짜|년월일|연월일|기준일|만기일|발행일|거래일$|date")
_TIME: Final = re.compile(r"시간|시각|시분초|time")
_MOMENT: Final = re.compile(r"일시|timestamp|datetime")
_FORM: Final = re.compile(r"YYYY[-./]?MM[-./]?DD(?:\s?HH[:]?MI?M?[:]?SS)?|YYMMDD|MMDD(?:HHMMSS)?|HH[:]?M[MI][:]?SS|HHM[MI]", re.IGNORECASE)
_FORMS: Final = {
    **dict.fromkeys(("YYYYMMDD", "YYMMDD", "MMDD"), "Date"),
    **dict.fromkeys(("hhmmss", "hhmm", "YYYYMMDDhhmmss", "YYYYMMDDhhmm", "MMDDhhmmss"), "Time"),
}


def is_filler(label: str, english: str) -> bool:
    """Whether a name says that the bytes are reserved."""
    return any(FILLER.fullmatch(plain(name)) is not None for name in (label, english) if name)


def meaning(wanted: Wanted) -> Meaning:
    """The field kind of a row whose type and length are known."""
    form, length = wanted.type.form, wanted.length
    if form == "filler":
        return Meaning(f"Filler({length})", length)
    if form == "packed":
        return _packed(wanted)
    if form == "binary":
        return _binary(wanted)
    if form == "bytes":
        return Meaning(_call("Text", length, 'encoding="latin-1"', *_log(wanted)), length)
    if wanted.constant:
        return Meaning(_call("Fixed", quoted(wanted.constant), "or_blank=True"), length)
    if form == "digits" and (wanted.type.signed or _scale(wanted)):
        return _number(wanted)
    if wanted.codes:
        return _coded(wanted)
    return _moment(wanted) or _plain(wanted)


def _plain(wanted: Wanted) -> Meaning:
    if wanted.type.form != "digits":
        return _text(wanted)
    if not wanted.routing and (
        _AMOUNT.search(plain(wanted.names)) or (10 <= wanted.length <= 18 and not _CODE.search(plain(wanted.names)))
    ):
        return _number(wanted)
    return Meaning(_call("Code", wanted.length, "digits=True", *_required(wanted), *_log(wanted)), wanted.length)


def _text(wanted: Wanted) -> Meaning:
    words = plain(wanted.names)
    coded = wanted.type.form != "hangul" and _CODE.search(words) and not _FREE_TEXT.search(words)
    return Meaning(_call("Code" if wanted.routing or coded else "Text", wanted.length, *_required(wanted), *_log(wanted)), wanted.length)


def _coded(wanted: Wanted) -> Meaning:
    digits = wanted.type.form == "digits" and all(
        isinstance(code, str) and code.isdecimal() and len(code) == wanted.length for code in wanted.codes
    )
    shown = _call("Code", wanted.length, "{codes}", *(["digits=True"] if digits else []), *_required(wanted), *_log(wanted))
    return Meaning(shown, wanted.length, wanted.codes)


def _scale(wanted: Wanted) -> int:
    pair = wanted.type.pair
    return pair[1] if pair else wanted.type.scale


def _number(wanted: Wanted) -> Meaning:
    scale = _scale(wanted)
    arguments = [f"scale={scale}"] if scale else []
    blank = ['blank="error"'] if wanted.required else []
    if not wanted.type.signed:
        return Meaning(_call("Digits", wanted.length, *arguments, *blank, *_log(wanted)), wanted.length)
    digits = sum(wanted.type.pair) if wanted.type.pair else wanted.type.size
    if digits is not None and wanted.length == digits + 1:
        return Meaning(_call("Amount", digits, *arguments, *blank, *_log(wanted)), wanted.length)
    return Meaning(_call("Zoned", wanted.length, *arguments, *_log(wanted)), wanted.length)


def _packed(wanted: Wanted) -> Meaning:
    digits = wanted.type.size or (sum(wanted.type.pair) if wanted.type.pair else wanted.length * 2 - 1)
    scale = _scale(wanted)
    unsigned = [] if wanted.type.signed or wanted.type.size is None else ["signed=False"]
    return Meaning(_call("Packed", digits, *([f"scale={scale}"] if scale else []), *unsigned, *_log(wanted)), wanted.length)


def _binary(wanted: Wanted) -> Meaning:
    digits = [f"digits={wanted.type.size}"] if wanted.type.size else []
    scale = [f"scale={_scale(wanted)}"] if _scale(wanted) else []
    unsigned = [] if wanted.type.signed else ["signed=False"]
    return Meaning(_call("Binary", wanted.length, *digits, *scale, *unsigned, *_log(wanted)), wanted.length)


def _moment(wanted: Wanted) -> Meaning | None:
    form = moment_form(wanted.names, wanted.note, wanted.length, wanted.type)
    if form is None:
        return None
    kind = _FORMS[form]
    given = [] if (kind, form) in (("Date", "YYYYMMDD"), ("Time", "hhmmss")) else [f'form="{form}"']
    blank = ['blank="error"'] if wanted.required else ['blank="zeros"'] if wanted.type.form == "digits" and form != "hhmm" else []
    if kind == "Time" and "D" not in form:  # zeros are midnight
        blank = [each for each in blank if "zeros" not in each]
    return Meaning(_call(kind, wanted.length, *given, *blank, *_log(wanted)), wanted.length)


def moment_form(names: str, note: str, length: int, kind: CellType) -> str | None:
    """The form of a date or time, by its note, or else by its name and its length."""
    for found in _FORM.finditer(note):
        form = _canonical(found[0])
        if form in _FORMS and len(form) == length:
            return form
    words = plain(names)
    if kind.form in ("date", "time") or _MOMENT.search(words):
        return {14: "YYYYMMDDhhmmss", 12: "YYYYMMDDhhmm", 8: "YYYYMMDD"}.get(length) or (
            "hhmmss" if kind.form == "time" and length == 6 else "YYMMDD" if kind.form == "date" and length == 6 else None
        )
    if _DATE.search(words) and not _CODE.search(words):
        return {14: "YYYYMMDDhhmmss", 8: "YYYYMMDD", 6: "YYMMDD"}.get(length)
    if _TIME.search(words) and not _CODE.search(words):
        return {6: "hhmmss", 14: "YYYYMMDDhhmmss"}.get(length)
    return None


def _canonical(form: str) -> str:
    """YYYYMMDD HH:MI:SS as YYYYMMDDhhmmss."""
    letters = re.sub(r"[^A-Za-z]", "", form).upper().replace("HHMI", "HHMM")
    date, cut, time = letters.partition("HH")
    return date + (cut + time).lower()


def _required(wanted: Wanted) -> list[str]:
    return ["required=True"] if wanted.required else []


def _log(wanted: Wanted) -> list[str]:
    return ['log="clear"'] if wanted.clear else []


def _call(kind: str, *arguments: object) -> str:
    return f"{kind}({', '.join(map(str, arguments))})"


# --- codes ------------------------------------------------------------------------------------------------------

_PIECES: Final = re.compile(r"[,;\n/·|]+")
_CODE_PAIR: Final = re.compile(r"""\s*["'“]?([0-9A-Za-z]{1,8})["'”]?\s*(?:[:：=\-–→.)]|\s)\s*(\D.*?)\s*""", re.DOTALL)
_CODE_ALONE: Final = re.compile(r"""\s*["'“]?([0-9A-Za-z]{1,8})["'”]?\s*""")
_LONGEST_MEANING: Final = 40


def codes_in(text: str, length: int, certain: bool) -> Codes:
    """Codes and their meanings that a remark lists: `11 입금, 21 출금`. `certain`: the column is for nothing else.

    Of a remark nothing is taken unless all of it is codes of the field's full length, and there are two of them.
    """
    pieces = [piece for piece in _PIECES.split(text) if piece.strip()]
    if len(pieces) == 1 and text.count(":") > 1:
        pieces = re.findall(r"[0-9A-Za-z]{1,8}\s*:\s*[^:]+?(?=\s+[0-9A-Za-z]{1,8}\s*:|\s*$)", text)
    found: Codes = {}
    for piece in pieces:
        pair = _CODE_PAIR.fullmatch(piece)
        alone = _CODE_ALONE.fullmatch(piece) if certain else None
        if pair is None and alone is None:
            return {}
        code, what = (pair[1], pair[2]) if pair else (alone[1], "")  # type: ignore[index]
        fits = len(code) <= length if certain else len(code) == length
        if not fits or len(what) > _LONGEST_MEANING or code in found:
            return {}
        found[code] = " ".join(what.split())
    return found if len(found) >= (1 if certain else 2) else {}
