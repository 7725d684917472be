"""Zoned, packed, binary and floating-point numbers: bytes measured elsewhere, every pattern of short fields, and the way back."""

import struct
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from one_field import OneField

from telegram_router.errors import CODES, FieldError
from telegram_router.telegrams import Amount, Binary, Digits, FieldFault, Float, Packed, Zoned
from telegram_router.telegrams.fields import binary_length

LETTERS = "ascii-ebcdic-letters"
D = Decimal


def shown(value):
    return getattr(value, "rule", type(value).__name__)


# As GnuCOBOL 3.1.2, a mainframe's documents and Cobrix' examples have them.
KNOWN = [
    (Zoned(6, 2), b"01234u", D("-123.45")),
    (Zoned(7, 2), b"0012345", D("123.45")),
    (Zoned(7, 2), b"001234u", D("-123.45")),
    (Zoned(7, 2, dialect=LETTERS), b"001234N", D("-123.45")),
    (Zoned(1, dialect=LETTERS), b"E", 5),
    (Zoned(1, dialect=LETTERS), b"}", 0),
    (Zoned(3, sign="leading", dialect=LETTERS), b"J23", -123),
    (Zoned(3, sign="leading"), b"q23", -123),
    (Zoned(3, dialect="ebcdic"), b"\xf1\xf2\xc3", 123),
    (Zoned(3, dialect="ebcdic"), b"\xf1\xf2\xd3", -123),
    (Zoned(3, dialect="ebcdic"), b"\xf1\xf2\xf3", 123),
    (Zoned(3, dialect="ebcdic"), "12L".encode("cp037"), -123),
    (Zoned(3, sign="leading", dialect="ebcdic"), "A2".encode("cp037") + b"\xf3", 123),
    (Zoned(3, sign="trailing separate"), b"123-", -123),
    (Zoned(3, sign="leading separate"), b"+123", 123),
    (Zoned(3, sign="leading separate", dialect="ebcdic"), b"\x60\xf1\xf2\xf3", -123),
    (Zoned(3, sign=None, dialect="ebcdic"), b"\xf1\xf2\xf3", 123),
    (Zoned(3), b"   ", None),
    (Zoned(3, dialect="ebcdic"), b"\x40\x40\x40", None),
    (Zoned(3, null="low"), b"\0\0\0", None),
    (Zoned(3, blank="when zero"), b"   ", 0),
    (Packed(5), bytes.fromhex("12345c"), 12345),
    (Packed(5, 2), bytes.fromhex("12345d"), D("-123.45")),
    (Packed(4), bytes.fromhex("01234f"), 1234),
    (Packed(4), bytes.fromhex("91234c"), 1234),
    (Packed(4, signed=False), bytes.fromhex("01234f"), 1234),
    (Packed(5), bytes.fromhex("12345a"), 12345),
    (Packed(5), bytes.fromhex("12345b"), -12345),
    (Packed(5), bytes.fromhex("00000d"), 0),
    (Packed(4, nibble_sign=False), bytes.fromhex("0012"), 12),
    (Packed(3, nibble_sign=False), bytes.fromhex("0123"), 123),
    (Packed(3, null="low"), b"\0\0", None),
    (Packed(3, null="blank"), b"\x40\x40", None),
    (Packed(31), bytes.fromhex("1" * 31 + "d"), -int("1" * 31)),
    (Binary(2, 4), b"\x00\x0c", 12),
    (Binary(2, 4), b"\xff\xfe", -2),
    (Binary(2, order="little"), b"\xfe\xff", -2),
    (Binary(2, signed=False), b"\xff\xff", 65535),
    (Binary(3, 5), b"\x01\x86\x9f", 99999),
    (Binary(4, 9, 2), b"\xff\xff\xff\x85", D("-1.23")),
    (Binary(8, 18), b"\x0d\xe0\xb6\xb3\xa7\x63\xff\xff", 999999999999999999),
    (Digits(5, scale=8), b"12345", D("0.00012345")),
    (Digits(5, scale=-3), b"00012", 12000),
    (Zoned(5, 8), b"1234u", D("-0.00012345")),
    (Zoned(5, -3), b"0001r", -12000),
    (Packed(5, 8), bytes.fromhex("12345d"), D("-0.00012345")),
    (Packed(5, -3), bytes.fromhex("00012d"), -12000),
    (Binary(2, 4, -2), b"\xff\xfe", -200),
    (Binary(2, 4, 6), b"\x00\x0c", D("0.000012")),
    (Float(4), bytes.fromhex("3f800000"), D(1)),
    (Float(4), bytes.fromhex("3dcccccd"), D("0.1")),
    (Float(4, order="little"), bytes.fromhex("cdcccc3d"), D("0.1")),
    (Float(8), bytes.fromhex("c05edccccccccccd"), D("-123.45")),
    (Float(4, "ibm"), bytes.fromhex("c276a000"), D("-118.625")),  # the example of IBM's own descriptions
    (Float(4, "ibm"), bytes.fromhex("41100000"), D(1)),
    (Float(4, "ibm"), bytes.fromhex("42010000"), D(1)),  # the same, not normalised
    (Float(8, "ibm"), bytes.fromhex("4019999999999999"), D("0.09999999999999999")),
    (Amount(3, plus="0"), b"0042", 42),
    (Amount(3, signs="+-"), b"-042", -42),
    (Amount(3, null="low"), b"\0\0\0\0", None),
    (Amount(3, blank="when zero"), b"    ", 0),
    (Digits(3, null="low"), b"\0\0\0", None),
    (Digits(3, null="low"), b"   ", None),
    (Digits(3, blank="when zero"), b"   ", 0),
    (Digits(3, blank="when zero"), b"000", 0),
    (Digits(3, most=500), b"500", 500),
    (Amount(40, 20, plus=" "), b"-" + b"1" * 40, D("-" + "1" * 20 + "." + "1" * 20)),
]


@pytest.mark.parametrize(("kind", "raw", "value"), KNOWN, ids=shown)
def test_it_reads_bytes_that_others_wrote(kind, raw, value):
    read = OneField(kind).reads(raw)
    assert read == value and type(read) is type(value)


REFUSED = [
    (Zoned(3), b"12}", "E-FLD-01"),
    (Zoned(3), b"12z", "E-FLD-01"),
    (Zoned(3), b"1 2", "E-FLD-01"),
    (Zoned(3), b"p12", "E-FLD-01"),
    (Zoned(3, sign=None), b"12p", "E-FLD-01"),  # 25 of the corpus: a sign in a number without one
    (Zoned(3, dialect="ebcdic"), b"123", "E-FLD-01"),
    (Zoned(3, dialect="ebcdic"), b"\xc1\xf2\xf3", "E-FLD-01"),
    (Zoned(3, sign="leading separate"), b" 123", "E-FLD-01"),
    (Zoned(3, sign="leading separate"), b"+12p", "E-FLD-01"),
    (Zoned(3), b"\0\0\0", "E-FLD-01"),
    (Zoned(3, blank="error"), b"   ", "E-FLD-06"),
    (Packed(3), b"\x12\x34", "E-FLD-01"),
    (Packed(3), b"\x1a\x3c", "E-FLD-01"),
    (Packed(3), b"\0\0", "E-FLD-01"),
    (Packed(3), b"\x40\x40", "E-FLD-01"),
    (Packed(3, signed=False), b"\x12\x3d", "E-FLD-01"),
    (Packed(2, nibble_sign=False), b"\x1c", "E-FLD-01"),
    (Binary(2, 4), b"\x27\x10", "E-FLD-01"),  # 10000 in S9(4)
    (Binary(2, 4), b"\xd8\xf0", "E-FLD-01"),
    (Float(4), bytes.fromhex("7f800000"), "E-FLD-01"),
    (Float(4), bytes.fromhex("7fc00000"), "E-FLD-01"),
    (Float(8, order="little"), bytes.fromhex("000000000000f07f"), "E-FLD-01"),
    (Digits(3, most=500), b"501", "E-FLD-02"),  # 24 of the corpus
    (Digits(3, least=1), b"000", "E-FLD-02"),
    (Digits(5, 2, most="100.00"), b"10001", "E-FLD-02"),
    (Amount(3, least=-5), b"-006", "E-FLD-02"),
    (Zoned(3, most=0), b"001", "E-FLD-02"),
    (Packed(3, least="-1.5"), b"\x00\x2d", "E-FLD-02"),
    (Binary(2, most=3), b"\x00\x04", "E-FLD-02"),
    (Binary(2, 4, 2, most=3), b"\x01\x2d", "E-FLD-02"),
    (Amount(3, signs="+-"), b" 042", "E-FLD-01"),
    (Amount(3, negative_zero="error"), b"-000", "E-FLD-01"),
    (Digits(3), b"\0\0\0", "E-FLD-01"),
    (Digits(3, null="low", blank="error"), b"   ", "E-FLD-06"),
]


@pytest.mark.parametrize(("kind", "raw", "code"), REFUSED, ids=shown)
def test_it_refuses_bytes(kind, raw, code):
    assert OneField(kind).reads(raw) == code in CODES


WRITTEN = [
    (Zoned(5, 2), D("-1.5"), b"0015p"),
    (Zoned(5, 2, dialect=LETTERS), D("1.5"), b"0015{"),
    (Zoned(3, sign="trailing separate"), 7, b"007+"),
    (Zoned(3, dialect="ebcdic"), 7, b"\xf0\xf0\xc7"),
    (Zoned(3, dialect="ebcdic"), 0, b"\xf0\xf0\xc0"),
    (Zoned(3, dialect="ebcdic"), None, b"\x40\x40\x40"),
    (Zoned(3, sign=None), -1, "E-FLD-01"),
    (Zoned(3), 1000, "E-FLD-05"),
    (Zoned(3, -2), 150, "E-FLD-05"),
    (Zoned(3, -2), 1200, b"012"),
    (Zoned(3, 5), D("0.001"), b"100"),
    (Zoned(3, 5), D("0.01"), "E-FLD-05"),
    (Zoned(3, blank="when zero"), 0, b"   "),
    (Zoned(3, blank="when zero"), -1, b"00q"),
    (Zoned(3, most=99), 100, "E-FLD-02"),
    (Zoned(3, 1, least=0), D("-0.1"), "E-FLD-02"),
    (Packed(5), -12, bytes.fromhex("00012d")),
    (Packed(4), 12, bytes.fromhex("00012c")),
    (Packed(4), 12345, "E-FLD-05"),
    (Packed(4, 2), D("123.45"), "E-FLD-05"),
    (Packed(4, 2), D("12.345"), "E-FLD-05"),
    (Packed(4, 2), D("12.3"), bytes.fromhex("01230c")),
    (Packed(4, 2), D("12.34"), bytes.fromhex("01234c")),
    (Packed(3), 12345, "E-FLD-05"),
    (Packed(3), 1234, "E-FLD-05"),
    (Packed(3, signed=False), 12, bytes.fromhex("012f")),
    (Packed(3, signed=False), -12, "E-FLD-01"),
    (Packed(4, nibble_sign=False), 12, bytes.fromhex("0012")),
    (Packed(4, nibble_sign=False), 12345, "E-FLD-05"),
    (Packed(4, nibble_sign=False), -1, "E-FLD-01"),
    (Packed(3), None, "E-FLD-06"),
    (Packed(3, null="low"), None, b"\0\0"),
    (Binary(2, 4), 9999, b"\x27\x0f"),
    (Binary(2, 4), 10000, "E-FLD-05"),
    (Binary(2), 32767, b"\x7f\xff"),
    (Binary(2), 32768, "E-FLD-05"),
    (Binary(2, signed=False), -1, "E-FLD-01"),
    (Binary(2), None, "E-FLD-12"),
    (Binary(2), D(1), "E-FLD-12"),
    (Binary(2, 4, 2), D("1.23"), b"\x00\x7b"),
    (Binary(2, 4, -2), 1200, b"\x00\x0c"),
    (Float(4), D("0.1"), bytes.fromhex("3dcccccd")),
    (Float(4), 0.1, bytes.fromhex("3dcccccd")),
    (Float(4), D(16777217), "E-FLD-05"),
    (Float(4), D("1E+39"), "E-FLD-05"),
    (Float(4), D("1E+999999"), "E-FLD-05"),
    (Float(4), D("1E-999999"), "E-FLD-05"),
    (Float(4), D("0E+999999"), b"\0\0\0\0"),
    (Float(4), 10**5000, "E-FLD-05"),
    (Float(8), float("nan"), "E-FLD-05"),
    (Float(8), D("Infinity"), "E-FLD-05"),
    (Float(8), True, "E-FLD-12"),
    (Float(8), "1", "E-FLD-12"),
    (Float(8), D("0.1000000000000000055511151231257827021181583404541015625"), bytes.fromhex("3fb999999999999a")),
    (Float(8), D("0.10000000000000000001"), "E-FLD-05"),
    (Float(4, "ibm"), D("-118.625"), bytes.fromhex("c276a000")),
    (Float(4, "ibm"), D("1E+76"), "E-FLD-05"),
    (Amount(3, plus="0"), 42, b"0042"),
    (Amount(3, null="low"), None, b"\0\0\0\0"),
    (Amount(3, blank="when zero"), 0, b"    "),
    (Amount(3, most=5), 6, "E-FLD-02"),
    (Digits(3, blank="when zero"), 0, b"   "),
    (Digits(3, blank="when zero"), 7, b"007"),
    (Digits(3, null="low"), None, b"\0\0\0"),
    (Digits(7, 2), D("1.50"), b"0000150"),
    (Digits(7, 2), D("1234567.89"), "E-FLD-05"),
    (Digits(7, 2), D("12345678.9"), "E-FLD-05"),
    (Digits(3, most=500), 501, "E-FLD-02"),
    (Digits(5, scale=-3), 12345, "E-FLD-05"),
    (Digits(5, scale=-3), 12000, b"00012"),
    (Digits(5, scale=8), D("0.00012345"), b"12345"),
    (Digits(5, scale=8), D("0.000000001"), "E-FLD-05"),
    (Digits(5, scale=8), D("0.001"), "E-FLD-05"),
]


@pytest.mark.parametrize(("kind", "value", "raw"), WRITTEN, ids=shown)
def test_it_writes_or_refuses(kind, value, raw):
    assert OneField(kind).writes(value) == raw


# --- every pattern ------------------------------------------------------------------------------------------------
# Reference functions, written from the tables of COBOL's storage forms and nothing else.

PLUS, MINUS = (0xA, 0xC, 0xE, 0xF), (0xB, 0xD)


def packed(raw, signed=True):
    """Value of COMP-3 bytes of an odd number of digits, None where they are none."""
    halves = [half for byte in raw for half in (byte >> 4, byte & 15)]
    sign = halves.pop()
    if max(halves) > 9 or sign not in PLUS + MINUS or (sign in MINUS and not signed):
        return None
    total = 0
    for half in halves:
        total = 10 * total + half
    return -total if sign in MINUS else total


def comp6(raw):
    total = 0
    for byte in raw:
        if byte >> 4 > 9 or byte & 15 > 9:
            return None
        total = 100 * total + 10 * (byte >> 4) + (byte & 15)
    return total


def zoned_ebcdic(raw):
    first, last = raw
    if first == last == 0x40:
        return "blank"
    if first >> 4 != 0xF or first & 15 > 9 or last & 15 > 9 or last >> 4 not in PLUS + MINUS:
        return None
    total = 10 * (first & 15) + (last & 15)
    return -total if last >> 4 in MINUS else total


def zoned_ascii(raw, minus="pqrstuvwxy", plus="0123456789"):
    first, last = map(chr, raw)
    if first == last == " ":
        return "blank"
    if first not in "0123456789" or last not in minus + plus + "0123456789":
        return None
    digit = minus.index(last) if last in minus else plus.index(last) if last in plus else int(last)
    total = 10 * int(first) + digit
    return -total if last in minus else total


def zoned_letters(raw):
    return zoned_ascii(raw, "}JKLMNOPQR", "{ABCDEFGHI")


def binary(raw, least=-(2**15), most=2**15 - 1, little=False):
    first, last = reversed(raw) if little else raw
    number = 256 * first + last
    number -= 65536 if number >= 32768 and least < 0 else 0
    return number if least <= number <= most else None


def one_place(raw):
    """Value of two digits, one of them behind the point; the half byte in front of them is over."""
    return None if packed(raw) is None else D(packed(bytes([raw[0] & 15, raw[1]]))) / 10


EXHAUSTIVE = [
    (Packed(3), packed),
    (Packed(2, 1), one_place),
    (Packed(3, signed=False), lambda raw: packed(raw, signed=False)),
    (Packed(4, nibble_sign=False), comp6),
    (Zoned(2, dialect="ebcdic"), zoned_ebcdic),
    (Zoned(2), zoned_ascii),
    (Zoned(2, dialect=LETTERS), zoned_letters),
    (Binary(2), binary),
    (Binary(2, 4), lambda raw: binary(raw, -9999, 9999)),
    (Binary(2, signed=False), lambda raw: binary(raw, 0, 65535)),
    (Binary(2, 3, order="little", signed=False), lambda raw: binary(raw, 0, 999, little=True)),
]


def refused(read, raw):
    try:
        read(raw)
    except (FieldFault, FieldError):
        return True
    return False


@pytest.mark.parametrize(("kind", "reference"), EXHAUSTIVE, ids=shown)
def test_every_pattern_of_two_bytes_is_read_as_the_reference_reads_it_and_written_back(kind, reference):
    one = OneField(kind)
    decode, encode, key = one.message.decode, one.message.encode, one.key
    for pattern in range(0x10000):
        raw = pattern.to_bytes(2, "big")
        expected = reference(raw)
        if expected is None:
            assert refused(one.kind.read, raw), raw.hex()
            assert pattern % 64 or refused(decode, key + raw), raw.hex()
            continue
        telegram = decode(key + raw)
        assert telegram.body["field"] == (None if expected == "blank" else expected), raw.hex()
        assert encode(telegram.header, telegram.body, telegram.residue) == key + raw


# --- the way back ---------------------------------------------------------------------------------------------------

scales = st.integers(-6, 12)
signs = st.sampled_from(["trailing", "leading", "trailing separate", "leading separate", None])
KINDS = st.one_of(
    st.builds(Digits, st.integers(1, 20), scales),
    st.builds(Amount, st.integers(1, 20), scales, st.sampled_from(["leading", "trailing"]), st.sampled_from("+ 0")),
    st.builds(Zoned, st.integers(1, 20), scales, signs, st.sampled_from(["ebcdic", "ascii", LETTERS, None])),
    st.builds(Packed, st.integers(1, 20), scales, st.booleans(), st.booleans()),
    st.builds(Binary, st.integers(1, 16), st.none() | st.integers(1, 2), scales, st.booleans(), st.sampled_from(["big", "little"])),
)


@settings(deadline=None)
@given(KINDS, st.data())
def test_a_number_that_is_written_is_read_again(kind, data):
    one = OneField(kind, data.draw(st.sampled_from(["ascii", "cp037", "cp933"])))
    units = data.draw(st.integers(-(10**kind.digits) + 1, 10**kind.digits - 1))
    value = units * 10**-kind.scale if kind.scale <= 0 else D(units).scaleb(-kind.scale)
    raw = one.writes(value)
    if isinstance(raw, bytes):
        assert one.reads(raw) == value
    else:
        assert raw == "E-FLD-01" if units < 0 and not kind.signed else isinstance(kind, Binary) and raw == "E-FLD-05"


@settings(deadline=None)
@given(KINDS, st.data())
def test_whatever_is_read_is_written_back_byte_for_byte(kind, data):
    one = OneField(kind, data.draw(st.sampled_from(["ascii", "cp500"])))
    mostly = st.sampled_from(b"0123456789+- {}ApJ\x00\x0c\x1d\x40\xf0\xf5\xc3\xd9\xff")
    for raw in data.draw(
        st.lists(st.lists(mostly | st.integers(0, 255), min_size=kind.length, max_size=kind.length), min_size=5, max_size=5)
    ):
        one.reads(bytes(raw))


@settings(deadline=None, max_examples=2 * settings.default.max_examples)
@given(st.sampled_from([(4, "ieee"), (8, "ieee"), (4, "ibm"), (8, "ibm")]), st.sampled_from(["big", "little"]), st.data())
def test_every_finite_pattern_of_a_float_comes_back_from_its_decimal_and_from_its_json(form, order, data):
    kind = Float(*form, order)
    raw = data.draw(st.binary(min_size=form[0], max_size=form[0]))
    try:
        value = kind.read(raw)
    except FieldFault:
        assert form[1] == "ieee" and not abs(struct.unpack((">" if order == "big" else "<") + "fd"[form[0] == 8], raw)[0]) < float("inf")
        return
    assert kind.of_json(kind.as_json(value)) == value
    pattern = raw if order == "big" else raw[::-1]
    unique = value and (form[1] == "ieee" or pattern[1] >> 4 or pattern[0] & 0x7F == 0)
    assert (kind.write(value) == raw) or not unique
    assert kind.read(kind.write(value)) == value


def test_all_patterns_around_the_edges_of_single_precision_come_back():
    for pattern in [*range(1, 300), *range(0x007FFFF0, 0x00800010), *range(0x3F7FFFF0, 0x3F800010), *range(0x7F7FFFF0, 0x7F800000)]:
        raw = pattern.to_bytes(4, "big")
        assert Float(4).write(Float(4).read(raw)) == raw


@settings(deadline=None, max_examples=2 * settings.default.max_examples)
@given(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=3), st.sampled_from(["ieee", "ibm"])
)
def test_a_decimal_of_few_digits_goes_into_a_double_and_comes_back(value, form):
    assert Float(8, form).read(Float(8, form).write(value)) == value


@pytest.mark.parametrize("encoding", ["ascii", "cp037", "cp1047", "cp933"])
@pytest.mark.parametrize(
    "kind",
    [
        Digits(9),
        Digits(9, 2),
        Amount(9),
        Amount(9, 2, plus=" "),
        Amount(9, sign="trailing"),
        Zoned(9),
        Zoned(9, 2),
        Zoned(9, sign="trailing separate"),
        Zoned(9, 2, sign="leading separate"),
        Zoned(9, sign="leading"),
        Zoned(9, 2, sign="leading", dialect="ebcdic"),
        Zoned(9, 2, dialect=LETTERS),
        Packed(9),
        Packed(8, 2),
        Packed(9, 2),
        Packed(9, signed=False),
        Packed(8, nibble_sign=False),
        Binary(4, 9),
        Binary(4, order="little"),
    ],
    ids=shown,
)
def test_the_usual_number_never_takes_the_slow_way(kind, encoding):
    one = OneField(kind, encoding)
    values = [D("1234.56"), D("-0.05")] if kind.scale else [123456, -7, 0]
    written = {value: one.writes(value) for value in values if value >= 0 or kind.signed}
    short = OneField(kind, encoding)
    read, write = short.message.decode, short.message.encode
    short.message.codec.__dict__.clear()  # so that the slow way fails
    for value, raw in written.items():
        assert read(short.key + raw).body["field"] == value
        assert write({}, {"field": value}) == short.key + raw


# --- sizes ----------------------------------------------------------------------------------------------------------


def test_binary_items_have_the_sizes_that_compilers_give_them():
    assert [binary_length(digits, "ibm") for digits in (1, 4, 5, 9, 10, 18, 19)] == [2, 2, 4, 4, 8, 8, 16]
    assert [binary_length(digits, "gnucobol") for digits in (1, 2, 3, 4, 5, 9, 10, 18)] == [1, 1, 2, 2, 4, 4, 8, 8]
    assert [binary_length(digits, "mf") for digits in (2, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 16, 17, 18)] == [
        1,
        2,
        3,
        3,
        4,
        4,
        5,
        5,
        6,
        6,
        7,
        7,
        8,
        8,
    ]
    assert [binary_length(digits, "mf", signed=False) for digits in (7, 8, 12, 13, 16)] == [3, 4, 5, 6, 7]
    with pytest.raises(ValueError, match="1 to 38"):
        binary_length(39)


# --- what is told ---------------------------------------------------------------------------------------------------

RULES = [
    (Zoned(9, 2), "S9(7)V9(2)"),
    (Zoned(9, 2, sign="leading separate"), "S9(7)V9(2) SIGN LEADING SEPARATE"),
    (Packed(9, 2), "S9(7)V9(2) COMP-3"),
    (Packed(9, 2, signed=False), "9(7)V9(2) COMP-3"),
    (Packed(4, nibble_sign=False), "9(4) COMP-6"),
    (Binary(4, 9), "S9(9) COMP"),
    (Binary(4, signed=False), "9(9) COMP-5"),
    (Float(4), "COMP-1"),
    (Float(8), "COMP-2"),
    (Digits(5, scale=8), "VP(3)9(5)"),
    (Digits(5, scale=-3), "9(5)P(3)"),
    (Digits(2, scale=2), "V9(2)"),
]


@pytest.mark.parametrize(("kind", "rule"), RULES, ids=lambda v: v if isinstance(v, str) else None)
def test_the_rule_is_told_in_cobols_terms(kind, rule):
    assert kind.rule == rule and kind.expected


def test_a_fault_names_the_half_byte_and_never_shows_it():
    with pytest.raises(FieldFault, match="right half of byte 2 of the field is not a digit"):
        Packed(5).read(bytes.fromhex("122a5c"))
    with pytest.raises(FieldFault, match="left half of byte 1 of the field is not a digit"):
        Packed(5).read(bytes.fromhex("a2345c"))
    with pytest.raises(FieldFault, match=r"byte 3 of the field is no digit with a sign in it \(ascii\)"):
        Zoned(3).read(b"12}")


MISTAKES = [
    (Zoned(0), "digits must be"),
    (Zoned("3"), "must be a whole number"),
    (Zoned(3, sign="left"), "sign must be"),
    (Zoned(3, dialect="cobol"), "dialect must be"),
    (Zoned(3, 99), "scale must be"),
    (Zoned(3, null="zero"), "null must be"),
    (Packed(3, null="zero"), "null must be"),
    (Packed(3, signed=1), "signed must be"),
    (Packed(3, nibble_sign=False, null="low"), "is zero"),
    (Binary(17), "at most 16 bytes"),
    (Binary(0), "length must be"),
    (Binary(2, 9), "hold no number of 9 digits"),
    (Binary(2, order="network"), "order must be"),
    (Float(6), "4 or 8 bytes"),
    (Float(4, "vax"), "form must be"),
    (Float(4, order="middle"), "order must be"),
    (Digits(3, most="many"), "most must be a number"),
    (Digits(3, most=1.5), "most must be"),
    (Digits(3, least=2, most=1), "least 2 is above most 1"),
    (Amount(3, signs="+"), "signs must be"),
    (Amount(3, plus="0", signs="+-"), "signs must be"),
    (Amount(3, negative_zero="keep"), "negative_zero must be"),
    (Packed(15, json="number", scale=-1), "at most 15 digits"),
]


@pytest.mark.parametrize(("kind", "words"), MISTAKES, ids=lambda v: v if isinstance(v, str) else None)
def test_a_wrong_declaration_is_told_at_load(kind, words):
    assert any(words in what and code in CODES for code, what in kind.mistakes())
