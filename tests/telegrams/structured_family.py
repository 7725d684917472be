"""Small made-up families with groups, tables, views, versions and every kind of field, for tests of the exporters."""

from decimal import Decimal
from functools import cache

from telegram_router.telegrams import (
    Amount,
    Binary,
    Code,
    Date,
    Digits,
    Edited,
    Family,
    Filler,
    FixedSize,
    Flags,
    Float,
    Framing,
    LengthField,
    Message,
    Occurs,
    Packed,
    Redefines,
    Reply,
    Spec,
    Struct,
    Telegram,
    Text,
    Time,
    Versions,
    Zoned,
    between,
    compile_family,
)

HEADER = Struct(
    "type" / Code(2, log="clear") * "구분 type",
    "number" / Digits(4, log="clear") * "번호 number",
    "sent_date" / Date(8, blank="error", log="clear") * "전송일자 date sent",
)
ITEM = Struct("name" / Text(8) * "품명 name", "amount" / Digits(9, scale=2) * "금액 amount", Filler(1))
ORDER = Struct(
    "lines" / Occurs(3, Text(6)) * "적요 lines",
    "address" / Struct("city" / Text(10) * "도시 city", "zip" / Code(5, digits=True)) * "주소 address",
    "item_count" / Digits(1, blank="error", log="clear") * "건수 items",
    "items" / Occurs(between(0, 4, depending="item_count"), ITEM) * "내역 items",
    "kind" / Code(1, {"1": "개인 person", "2": "법인 company", "9": "기타 other"}, required=True) * "고객구분 kind",
    Redefines(
        by="kind",
        views={
            "person": Struct("rrn" / Code(13, digits=True), "holder" / Text(6)),
            "company": Struct("brn" / Code(10, digits=True) * "사업자번호 business number"),
            "code": Text(5),
        },
        when={"1": "person", "2": "company"},
        default="code",
    ),
    Versions("sent_date", {"": Struct(Filler(6)), "20250301": Struct("bank3" / Digits(3) * "은행3 bank", Filler(3))}),
    "part_count" / Digits(2, blank="error") * "부분수 parts",
    "parts" / Occurs(between(0, 5, depending="part_count", storage="shift"), Struct("part" / Digits(3), "mark" / Code(1))) * "부분 parts",
    "tail" / Code(4, log="clear") * "끝 tail",
)
# The field that chooses stands behind the bytes, as in Japanese transfer files.
TRANSFER = Struct(
    "payee" / Text(10) * "受取人 payee",
    Redefines(
        by="mark",
        views={"edi": Text(20), "customer": Struct("first" / Code(10), "second" / Code(10))},
        when={"Y": "edi"},
        default="customer",
    ),
    "designation" / Code(1),
    "mark" / Code(1) * "識別表示 mark",
)


@cache
def structured() -> Spec:
    messages = [
        Message("order", "주문 order", ("01",), ORDER, kind="oneway", reply=Reply.none()),
        Message("transfer", "振込 transfer", ("02",), TRANSFER, kind="oneway", reply=Reply.none()),
    ]
    framing = Framing(LengthField())
    return compile_family(
        Family("structured", HEADER, messages, framing, ("type",), ("number",), title="구조 structured", encoding="cp949")
    )


KINDS = Struct(
    "name" / Text(12) * "이름 name",
    "branch" / Text(6, align="right"),
    "code" / Code(4, {("0001", "0099"): "domestic", "0100": "abroad"}) * "지점 branch",
    "plain" / Zoned(5, sign=None),
    "zoned" / Zoned(5),
    "leading" / Zoned(5, scale=2, sign="leading"),
    "separate" / Zoned(5, sign="trailing separate"),
    "front" / Zoned(5, sign="leading separate"),
    "packed" / Packed(7, scale=2),
    "even" / Packed(4),
    "unsigned" / Packed(5, signed=False),
    "bare" / Packed(4, nibble_sign=False),
    "wide" / Packed(18),
    "half" / Binary(2, 4),
    "word" / Binary(4, 9, scale=2),
    "double" / Binary(8),
    "native" / Binary(4, order="little", signed=False),
    "large" / Binary(16),
    "single" / Float(4),
    "exact" / Float(8, order="little"),
    "ibm" / Float(4, form="ibm"),
    "printed" / Edited("Z(5)9.99-"),
    "flags" / Flags(2, {"urgent": 0x8000, "test": 0x0001, "signed": 0x0400}),
    "amount" / Amount(7, scale=2),
    "day" / Date(8),
    "short" / Date(6, form="YYMMDD"),
    "dotted" / Date(10, form="YYYY-MM-DD"),
    "at" / Time(14, form="YYYYMMDDhhmmss"),
    "scaled" / Digits(3, scale=5),
    "thousands" / Digits(3, scale=-3),
    Filler(4),
)


@cache
def kinds(encoding: str) -> Spec:
    """Every kind of field, in an encoding."""
    header = Struct("type" / Code(2, log="clear"), "number" / Digits(4, log="clear"))
    message = Message("record", "레코드 record", ("01",), KINDS, kind="oneway", reply=Reply.none())
    size = sum(member.sizeof() for member in KINDS.subcons) + 6
    framing = Framing(FixedSize(size), header=6)
    return compile_family(Family(f"kinds-{encoding}", header, [message], framing, ("type",), ("number",), encoding=encoding, length=size))


def order_values(kind: str = "1", day: str = "20250315", items: int = 2, parts: int = 3) -> tuple[dict, dict]:
    """Header and body of an order."""
    views = {"1": {"person": {"rrn": "8001011234567", "holder": "홍길동"}}, "2": {"company": {"brn": "1234567890"}}, "9": {"code": "X-1"}}
    version = {"bank3": 88} if day >= "20250301" else {}
    body = {
        "lines": ["가나다", "둘째", ""],
        "address": {"city": "서울", "zip": "04524"},
        "item_count": items,
        "items": [{"name": f"품목{n}", "amount": n * 100 + 5} for n in range(items)],
        "kind": kind,
        **views[kind],
        **version,
        "part_count": parts,
        "parts": [{"part": n, "mark": "ABCDE"[n]} for n in range(parts)],
        "tail": "TAIL",
    }
    return {"type": "01", "number": 7, "sent_date": day}, body


def record_values(encoding: str) -> dict:
    """A value for every kind of field."""
    return {
        "name": "HONG" if encoding == "cp037" else "홍길동",
        "branch": "AB",
        "code": "0042",
        "plain": 123,
        "zoned": -45,
        "leading": Decimal("-1.25"),
        "separate": -7,
        "front": 8,
        "packed": Decimal("-12345.67"),
        "even": 1234,
        "unsigned": 54321,
        "bare": 99,
        "wide": -999999999999999999,
        "half": -1234,
        "word": Decimal("-1234567.89"),
        "double": -(2**63),
        "native": 4294967295,
        "large": 2**126 + 1,
        "single": Decimal("0.1"),
        "exact": Decimal("-12345.678901"),
        "ibm": Decimal("-118.625"),
        "printed": Decimal("-1234.56"),
        "flags": ["urgent", "signed"],
        "amount": Decimal("-12345.67"),
        "day": "20240229",
        "short": "240315",
        "dotted": "2024-03-15",
        "at": "20240315101112",
        "scaled": Decimal("0.00123"),
        "thousands": 456000,
    }


def transfer_values(mark: str) -> tuple[dict, dict]:
    """Header and body of a transfer whose last byte chooses the view before it."""
    view = {"edi": "EDI-INFO"} if mark == "Y" else {"customer": {"first": "C1", "second": "C2"}}
    return {"type": "02", "number": 8, "sent_date": "20250315"}, {"payee": "가나", **view, "designation": "7", "mark": mark}


def frame(spec: Spec, message: str, values: tuple[dict, dict]) -> bytes:
    return spec.encode(Telegram(spec, spec.messages[message], *values))


ORDERS = [("1", "20250315", 2, 3), ("2", "20240101", 4, 0), ("9", "20250301", 0, 5), ("1", "20250228", 1, 1)]


def structured_frames() -> list[bytes]:
    """Orders with other views, versions and counts, and transfers with either view."""
    spec = structured()
    return [*(frame(spec, "order", order_values(*each)) for each in ORDERS), *(frame(spec, "transfer", transfer_values(m)) for m in "YN")]


def record_frame(encoding: str) -> bytes:
    return frame(kinds(encoding), "record", ({"type": "01", "number": 1}, record_values(encoding)))
