"""Which column of a layout sheet holds what, by the words that analysts write above it, in Korean and in English."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from telegram_router.telegrams.importers.workbook import Row

_MOST_LETTERS: Final = 24  # a heading is short: longer cells are prose
_LEAST_ROLES: Final = 3

# The first pattern that matches decides, so the narrow ones stand first. All are matched against `plain` text.
_PATTERNS: Final = [
    (role, re.compile(pattern))
    for role, pattern in (
        ("declaration", r"선언|declaration|선언declaration"),
        ("cumulative", r".*(누적|누계|cumul|accum).*|acc"),
        ("english", r".*(영문|영어|english|tagname|태그|물리|변수|variable|물리명).*|(항목|필드|컬럼|field|element|item|column)?id|tag"),
        ("label", r".*(한글|국문|korean|논리|hangul).*"),
        ("end", r"끝|종료|끝위치|종료위치|끝자리|end|endpos(ition)?|to|endoffset"),
        (
            "offset",
            r"(byte|바이트|char|character|col|column|자리)?(위치|시작|시작위치|시작자리|시작점|옵셋|오프셋|offset|pos|position|start|startpos(ition)?|from)(byte|바이트|from|0부터|1부터|offset)?",
        ),
        ("length", r"(데이터|필드|항목|전체)?(길이|자릿수|자리수|크기|바이트|바이트수|사이즈)(byte|bytes|바이트|len|length)?"),
        ("length", r"(data|field|max)?(len|length|size|byte|bytes|width|lengthbyte|lenbyte)"),
        (
            "type",
            r"(데이터|자료|필드|항목)?(타입|속성|형식|유형|형태|표현|자료형|데이터형)(type|길이|len)?|(data|field)?(type|format|attr|attribute)",
        ),
        ("type", r"pic|picture|타입길이|속성길이|cobol"),
        ("scale", r"소수|소수점|소수자리|소수자릿수|소수점이하|scale|decimals?"),
        ("count", r"반복|반복횟수|반복수|반복건수|반복회수|횟수|배열|occurs?|repeat|count|times|배열수"),
        ("depth", r"레벨|level|depth|lv|lvl|단계|깊이|계층"),
        ("required", r"필수|필수여부|필수구분|필수선택|필수항목|필수옵션|mo|om|mandatory|required|req|옵션|option"),
        ("constant", r"고정값|초기값|기본값|상수|default|defaultvalue|constant|fixedvalue"),
        ("codes", r"코드값|코드내용|코드목록|허용값|값목록|코드정의|코드설명|codes?|values?|codevalues?|codelist"),
        ("number", r"no|순번|번호|항번|연번|순서|seq|sn|항목번호|항목no|필드번호|fieldno|일련번호|index"),
        ("section", r"구분|영역|section|전문부|대분류|부"),
        ("label", r"항목|항목명|항목이름|필드|필드명|명칭|데이터명|컬럼명|전문항목|전문항목명|데이터항목|자료명|item|itemname"),
        ("name", r"field|fieldname|name|element|dataelement|elementname|dataname|column"),
        (
            "note",
            r"비고|설명|내용|참고|주석|상세|상세설명|항목설명|필드설명|설정값|기타|값|remarks?|(field|item|data)?(description|desc)|comments?|notes?|의미|specification|spec|rules?",
        ),
        (
            "mark",
            r"업체|은행|요청|응답|요구|송신|수신|기관|이용기관|취급기관|van|request|response|요청전문|응답전문|보험사|카드사|고객|센터|금융기관",
        ),
    )
]

# Columns that say beside each row which message it belongs to, where one table is for many.
_MESSAGE_COLUMNS: Final = re.compile(
    r"전문(종별|구분|유형)코드|전문코드|전문종별|업무구분코드|업무코드|거래구분코드|거래코드|전문명|거래명|인터페이스명|인터페이스id|전문id|mti|messagetype"
)

_SECTIONS: Final = (
    (
        "header",
        re.compile(
            r".*(공통부|공통정보|공통헤더|전문공통|헤더부|header부|headerpart|commonheader|공통영역|시스템헤더).*|공통|헤더|header|common"
        ),
    ),
    (
        "body",
        re.compile(
            r".*(개별부|업무부|데이터부|본문부|bodypart|개별영역|data부|업무데이터|body부|상세부).*|개별|본문|body|data|데이터|업무|detail|상세"
        ),
    ),
)

_TOTAL: Final = re.compile(
    r"(전문|전체|총|total|합|sum|grand|개별부|공통부|데이터부|헤더부)*"
    r"(length|len|size|bytes?|길이|합계|계|총계|총합|총합계|소계|크기|합|total|sum|subtotal)+(계|합계|byte|bytes|바이트)?"
)


def plain(text: str) -> str:
    """A text without anything but its letters and digits, in lower case and normal width."""
    return "".join(each for each in unicodedata.normalize("NFKC", text).lower() if each.isalnum())


def outside_brackets(text: str) -> str:
    return re.sub(r"[(\[{<].*?[)\]}>]", " ", unicodedata.normalize("NFKC", text))


@lru_cache(maxsize=4096)
def role_of(text: str) -> str | None:
    """What a column with this heading holds, None when it says nothing to us."""
    whole = plain(text)
    if not whole or len(whole) > _MOST_LETTERS:
        return None
    first_line = unicodedata.normalize("NFKC", text).split("\n")[0]
    shapes = dict.fromkeys((whole, plain(outside_brackets(text)), plain(first_line), plain(first_line.split("/")[0])))
    for shape in filter(None, shapes):
        for role, pattern in _PATTERNS:
            if pattern.fullmatch(shape):
                return role
    return "number" if text.strip() == "#" else None


@dataclass(frozen=True)
class Columns:
    """The heading of a table: which column holds what."""

    row: int  # number of its first row
    places: Mapping[str, int]  # role: column
    labels: tuple[int, ...]  # columns that hold names, outermost first
    marks: Mapping[int, str] = field(default_factory=dict)  # columns of ● and ▲, with their headings
    notes: tuple[int, ...] = ()
    facts: Mapping[int, str] = field(default_factory=dict)  # columns that name each row's message, with their headings
    base: int | None = None  # what the heading says that offsets count from

    def get(self, role: str) -> int | None:
        return self.places.get(role)

    @property
    def can_place(self) -> bool:
        """Whether its rows can be laid out: a name, and a length from somewhere."""
        return bool(self.labels or "english" in self.places) and bool(self.places.keys() & {"length", "type", "declaration"})


def columns_of(row: Row, below: Row | None = None) -> tuple[Columns, int] | None:
    """The heading that a row is, alone or with the row below it, and how many rows it takes. None when it is none."""
    alone = _columns(row.number, [cell.text for cell in row.cells])
    both = None
    if below is not None and below.number == row.number + 1 and _continues(below):
        both = _columns(row.number, _joined(row, below))
    own = alone is not None or not _stands_alone(below)
    if both is not None and both.can_place and own and (alone is None or _weight(both) > _weight(alone)):
        return both, 2
    return (alone, 1) if alone is not None and alone.can_place else None


def _stands_alone(row: Row | None) -> bool:
    """Whether a row is a heading without the row above it, which then is no part of it."""
    columns = None if row is None else _columns(row.number, [cell.text for cell in row.cells])
    return columns is not None and columns.can_place


def _weight(columns: Columns) -> int:
    return len(columns.places) + len(columns.labels) + len(columns.marks)


def _continues(below: Row) -> bool:
    """Whether a row can be the second row of a heading: words only."""
    return not any(cell.is_number or plain(cell.text).isdigit() for _, cell in below.filled())


def _joined(row: Row, below: Row) -> list[str]:
    texts = []
    for column in range(max(len(row.cells), len(below.cells))):
        upper, lower = row.cell(column), below.cell(column)
        texts.append(lower.text if lower and role_of(lower.text) else upper.text)
    return texts


def _columns(number: int, texts: list[str]) -> Columns | None:
    places: dict[str, int] = {}
    labels, notes = list[int](), list[int]()
    marks: dict[int, str] = {}
    for column, text in enumerate(texts):
        role = role_of(text)
        if role == "label":
            labels.append(column)
        elif role == "note":
            notes.append(column)
        elif role == "mark":
            marks[column] = text
        elif role is not None:
            places.setdefault(role, column)
    if "name" in places:  # a "Name" is the only name there is, or the English one beside a Korean one
        column = places.pop("name")
        if labels:
            places.setdefault("english", column)
        else:
            labels.append(column)
    if not labels and "english" not in places and notes:  # "Field description" is all the name there is
        labels.append(notes.pop(0))
    if len(places) + bool(labels) + bool(notes) < _LEAST_ROLES:
        return None
    base = _base(texts[places["offset"]]) if "offset" in places else None
    facts = {column: text for column, text in enumerate(texts) if is_message_column(text)}
    return Columns(number, places, tuple(labels), marks, tuple(notes), facts, base)


def is_message_column(heading: str) -> bool:
    """Whether the cells below a heading say which message something belongs to."""
    return role_of(heading) is None and _MESSAGE_COLUMNS.fullmatch(plain(heading)) is not None


def _base(heading: str) -> int | None:
    """The number that a heading says offsets count from."""
    found = re.search(
        r"([01])\s*(부터|-?\s*based|\s*base|~|from)|from\s*([01])|([01])\s*\)", unicodedata.normalize("NFKC", heading).lower()
    )
    return None if found is None else int(next(each for each in (found[1], found[3], found[4]) if each))


def section_of(text: str) -> str | None:
    """`header` or `body` when a text names that part of a telegram."""
    words = plain(outside_brackets(text)) or plain(text)
    if not words or len(words) > _MOST_LETTERS:
        return None
    return next((section for section, pattern in _SECTIONS if pattern.fullmatch(words)), None)


def is_total(text: str) -> bool:
    """Whether a row that begins so is a sum of the rows above it."""
    words = re.sub(r"\d+", "", plain(outside_brackets(text)))
    return bool(words) and _TOTAL.fullmatch(words) is not None
