"""Records of all kinds beside each other, in tables too: generated code, interpreted construct and the kept bytes agree on any bytes."""

import pytest
from construct import ConstructError
from construct.lib import Container
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.errors import FieldError
from telegram_router.telegrams import (
    Amount,
    Binary,
    Code,
    Date,
    Digits,
    Edited,
    Family,
    Filler,
    Fixed,
    FixedSize,
    Flags,
    Float,
    Framing,
    Message,
    Occurs,
    Packed,
    Reply,
    Struct,
    Text,
    Time,
    Zoned,
    compile_family,
)
from telegram_router.telegrams.generate import sample

KINDS = [
    Digits(4),
    Digits(5, 2, null="low"),
    Digits(4, blank="when zero"),
    Digits(3, scale=-2),
    Amount(4),
    Amount(5, 2, plus=" ", sign="trailing"),
    Zoned(4),
    Zoned(5, 2, sign="leading separate"),
    Zoned(4, dialect="ebcdic"),
    Zoned(4, dialect="ascii"),
    Zoned(4, dialect="ascii-ebcdic-letters", sign="leading"),
    Packed(5, 2),
    Packed(4),
    Packed(3, null="low"),
    Packed(4, nibble_sign=False),
    Binary(2, 4),
    Binary(4, order="little"),
    Binary(3, 6, 2, least=-100),
    Float(4),
    Float(8, "ibm"),
    Edited("ZZ9.99-"),
    Flags(1, {"urgent": 0x80, "test": 0x01}),
    Code(3),
    Code(4, digits=True),
    Code(2, {"01": "one", ("10", "19"): "teens"}),
    Text(6),
    Text(4, required=True),
    Text(4, "cp949"),
    Date(),
    Date(7, "EYYMMDD", "zeros"),
    Date(8, blank="low"),
    Time(5, "hh:mm"),
]


@st.composite
def records(draw):
    """A layout of some kinds, a few of them again in a table, between filler and constants."""
    names = iter(range(1000))

    def members(most):
        chosen = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=most))
        return [f"f{next(names)}" / kind for kind in chosen]

    table = "rows" / Occurs(draw(st.sampled_from([1, 3, 12])), Struct(*members(5)))
    body = [*members(8), Filler(2), table, Fixed("AB"), *members(3)]
    return compile_family(
        Family(
            name="record",
            title="a record",
            version="1",
            encoding=draw(st.sampled_from(["ascii", "cp949", "cp037", "cp500", "cp1047", "cp933", "cp930"])),
            framing=Framing(FixedSize(1 + sum(member.sizeof() for member in map(sized, body)))),
            header=Struct("key" / Code(1)),
            key=("key",),
            correlation=("key",),
            messages=[Message("m", "a record", ("1",), Struct(*body), reply=Reply.none())],
        )
    ).messages["m"]


def sized(member):
    return Struct(member)


def plain(value):
    """Without construct's containers."""
    if isinstance(value, dict | Container):
        return {name: plain(inner) for name, inner in value.items() if not name.startswith("_")}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def read_both_ways(message, raw):
    """Values as both read them, None where both refuse."""
    try:
        parsed = plain(message.construct.parse(raw))
    except ConstructError:
        with pytest.raises(FieldError):
            message.decode(raw)
        return None
    telegram = message.decode(raw)
    assert telegram.body == parsed["body"] and telegram.header == parsed["header"]
    return telegram


@settings(deadline=None, max_examples=15)
@given(records(), st.data())
def test_all_ways_agree_on_valid_and_on_broken_records(message, data):
    for number in range(3):
        made = sample(message.spec, "m", seed=data.draw(st.integers(0, 999)), number=number)
        raw = message.encode(made.header, made.body)
        assert message.construct.build({"header": made.header, "body": made.body}) == raw
        telegram = read_both_ways(message, raw)
        assert telegram.body == made.body and telegram.residue is None
        broken = bytearray(raw)
        for _ in range(data.draw(st.integers(1, 4))):
            broken[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.sampled_from(b"\0\x05\x0c\x1d\x20\x40\x60\xc3\xd9\xf5\xff05A+-"))
        telegram = read_both_ways(message, bytes(broken))
        if telegram is not None:
            assert message.encode(telegram.header, telegram.body, telegram.residue) == bytes(broken)
