"""Words by which a layout's sheets name what a family needs: its keys, its correlation, its length, its code page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from telegram_router.telegrams.fields import charset_of
from telegram_router.telegrams.importers.tables_blocks import FieldRow
from telegram_router.telegrams.importers.tables_headings import outside_brackets, plain

# All are matched against `plain` text: letters and digits only, in lower case.
TYPE_FIELDS: Final = re.compile(
    r"전문(종별|구분|유형|종류)?코드|전문(종별|구분|유형|종류)|메시지(타입|구분|유형)(코드)?|(전문)?messagetype(code)?|msg(type|cd|gubun|tp)|mti|"
    r"거래종별코드|거래종별|레코드구분|recordtype|데이터구분|전문타입"
)
BUSINESS_FIELDS: Final = re.compile(
    r"(업무|거래|서비스|처리)(구분|종류|유형|종별)?코드|(업무|거래|서비스)구분|businesscode|trancode|txcode|tran(saction)?(type|cd|code)|svccode|servicecode|업무종류"
)
TYPE_FACTS: Final = re.compile(
    r"전문(종별|구분|유형|종류)?코드|전문(종별|구분|유형|종류|타입)|메시지(타입|구분|유형)(코드)?|messagetype|mti|레코드구분|거래종별(코드)?"
)
BUSINESS_FACTS: Final = re.compile(
    r"(업무|거래|서비스|처리)(구분|종류|유형|종별)?코드|(업무|거래|서비스)구분|businesscode|trancode|servicecode|업무종류"
)

NAME_FACTS: Final = re.compile(r"인터페이스id|전문id|interfaceid|messageid|message|거래id|서비스id|전문영문명|ifid")
TITLE_FACTS: Final = re.compile(
    r"인터페이스명|전문명|전문명칭|거래명|업무명|서비스명|전문한글명|interfacename|messagename|title|전문이름|업무구분명|테이블명"
)
TOTAL_FACTS: Final = re.compile(r"(전체|총|전문|전문전체|총전문|전문총|total|message)+(길이|length|len|크기|byte|bytes)|length|길이")
ENCODING_FACTS: Final = re.compile(r"문자셋|인코딩|문자코드|코드체계|한글코드|encoding|charset|characterset|codepage|코드페이지|캐릭터셋")

LENGTH_FIELDS: Final = re.compile(
    r"(전체|총|전문|전문전체|총전문|전문총)+(길이|len|length)|(total|message|msg|tlgm|data)?(length|len|lth)|(전문|전체)?길이|datalen"
)
NUMBER_FIELDS: Final = re.compile(
    r"(전문|전문관리|메시지|거래고유|거래|거래추적|전문추적|고유|추적|일련|송신|전문일련|거래일련|관리|전문고유|취급기관|은행거래고유|기관거래고유)번호|"
    r"(message|msg|trace|tran|transaction|seq|sequence)(no|number|num|seq|id)|seqno|guid|전문seq|stan"
)
CORRELATION_FIELDS: Final = re.compile(
    r"(업체|기관|회사|이용기관|은행|가맹점|취급기관)(번호|코드)|(company|institution|bank|org)(no|number|code|cd)|"
    r"(전송|거래|전문전송|송신|전문송신)일자|(sent|tran|send|trx)(date|dt)"  # no 일시: replies have a time of their own
)

_CODE_PAGES: Final = (
    (re.compile(r"euckr|ksc5601|ksx1001|cp949|ms949|uhc|완성형|한글|949"), "cp949"),
    (re.compile(r"utf8"), "utf-8"),
    (re.compile(r"shiftjis|sjis|cp932|ms932|windows31j"), "cp932"),
    (re.compile(r"ascii"), "ascii"),
    (re.compile(r"cp(\d{3,4})|ibm(\d{3,4})"), ""),
    (re.compile(r"ebcdic"), "cp037"),
)


def code_page(words: str) -> str | None:
    """Python's name of a code page that a sheet names in plain letters, None when it is not known."""
    for pattern, name in _CODE_PAGES:
        found = pattern.search(words)
        if found:
            return name or f"cp{found[1] or found[2]}"
    return None


def codes_of(text: str, length: int, is_number: bool) -> list[str]:
    """The key values that a cell gives a field of some bytes: `0200`, `0200/0210`, `2000 (이체)`.

    A number in a workbook has lost the zeros in front of it: 200 for four bytes is 0200.
    """
    found = [each for each in re.findall(r"[0-9A-Za-z]+", text) if len(each) == length]
    if not found:
        alone = re.findall(r"[0-9A-Za-z]+", text)
        if len(alone) == 1 and len(alone[0]) < length:
            found = [alone[0].zfill(length) if is_number or alone[0].isdecimal() else alone[0]]
    return list(dict.fromkeys(found))


def reply_step(types: Iterable[str]) -> int | None:
    """By how much replies' message types are above their requests', where the sheets have both: 2000 and 2100, 0200 and 0210.

    0200 and 0300 are two requests."""
    known = {kind for kind in types if kind.isdecimal()}
    for step in (100, 10):
        if any(int(kind) % (10 * step) == 0 and str(int(kind) + step).zfill(len(kind)) in known for kind in known):
            return step
    return None


def framing_of(sizes: Sequence[int], header: int, length: tuple[int, int] | None, counts: str, encoding: str) -> str:
    """A framing that can read what the sheets describe. `length` is where a length stands among the header's fields, `counts` what it
    or four digits in front count; "" for telegrams that all have one size."""
    smallest = min(header, *sizes) if header else min(sizes)
    kind = "ascii" if charset_of(encoding).is_ascii else "ebcdic"
    if length is not None:
        offset, width = length
        prefix = "" if counts == "all" or offset else ", prefix=0"
        return f'Framing(LengthField(offset={offset}, width={width}, kind="{kind}", counts="{counts}"){prefix}, header={smallest})'
    if not counts:
        return f"Framing(FixedSize({sizes[0]}), header={smallest})"
    return f'Framing(LengthField(offset=0, width={max(4, len(str(max(sizes))))}, kind="{kind}", counts="payload"), header={smallest})'


def matches(pattern: re.Pattern[str], row: FieldRow) -> bool:
    """Whether a field's label or English name is of that kind."""
    return any(pattern.fullmatch(plain(name)) for name in (outside_brackets(row.label), row.label, row.english) if name)
