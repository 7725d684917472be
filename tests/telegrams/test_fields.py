"""Each field kind by itself: what it takes, what it refuses and with which code, and the way back."""

from decimal import Decimal

import pytest
from construct import ConstructError, Struct
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.errors import CODES
from telegram_router.telegrams import Amount, Code, Date, Digits, FieldFault, Filler, Fixed, Length, Opaque, Text, Time
from telegram_router.telegrams.fields import BIJECTIVE

K = "cp949"
NAME = "홍길동".encode(K)

READS = [
    (Text(10, K), NAME + b"    ", "홍길동"),
    (Text(10, K), b" " * 10, ""),
    (Text(10, K), b"  a b     ", "  a b"),
    (Text(4, K), "똠a".encode(K) + b" ", "똠a"),
    (Text(6, K, align="right"), b"   abc", "abc"),
    (Text(6, K, pad=b"\x00"), b"ab \x00\x00\x00", "ab "),
    (Text(6, "cp037", pad=b"\x40"), "ABC".encode("cp037") + b"\x40" * 3, "ABC"),
    (Text(6, K), "　가".encode(K) + b"  ", "　가"),  # an ideographic blank is a character like any other
    (Code(4), b"A1  ", "A1"),
    (Code(4), b" A1 ", " A1"),
    (Code(4), b"    ", ""),
    (Code(4, digits=True), b"0042", "0042"),
    (Code(4, digits=True), b"    ", ""),
    (Code(2, ["11", "21"]), b"21", "21"),
    (Code(2, {"1": "one"}), b"1 ", "1"),
    (Code(2, ["11"]), b"  ", ""),
    (Digits(5), b"00042", 42),
    (Digits(5), b"     ", None),
    (Digits(5, blank="zero"), b"     ", 0),
    (Digits(30), b"9" * 30, 10**30 - 1),
    (Digits(6, scale=2), b"001234", Decimal("12.34")),
    (Digits(3, scale=3), b"007", Decimal("0.007")),
    (Digits(40, scale=20), b"1" * 40, Decimal("1" * 20 + "." + "1" * 20)),
    (Amount(3), b"+042", 42),
    (Amount(3), b" 042", 42),
    (Amount(3), b"0042", 42),
    (Amount(3), b"-042", -42),
    (Amount(3), b"-000", 0),
    (Amount(3), b"    ", None),
    (Amount(3, sign="trailing"), b"042-", -42),
    (Amount(4, scale=2), b"-0150", Decimal("-1.50")),
    (Date(), b"20240229", "20240229"),
    (Date(), b"        ", None),
    (Date(blank="zeros"), b"00000000", None),
    (Date(6, "YYMMDD"), b"240229", "240229"),
    (Date(4, "MMDD"), b"0229", "0229"),
    (Time(), b"235959", "235959"),
    (Time(), b"000000", "000000"),
    (Time(4, "hhmm"), b"2359", "2359"),
    (Time(14, "YYYYMMDDhhmmss"), b"20240229235959", "20240229235959"),
    (Time(10, "MMDDhhmmss"), b"0229235959", "0229235959"),
    (Filler(3), b"\x00xy", None),
    (Fixed("AB"), b"AB", "AB"),
    (Fixed("AB", or_blank=True), b"  ", ""),
    (Opaque(), b"\x00\xff", b"\x00\xff"),
]


@pytest.mark.parametrize(("kind", "raw", "value"), READS, ids=lambda v: getattr(v, "rule", None))
def test_it_reads(kind, raw, value):
    read = kind.read(raw)
    assert read == value and type(read) is type(value)
    assert Struct("field" / kind).parse(raw)["field"] == value if kind.is_named else True


REFUSED_BYTES = [
    # 23 and 25 of the corpus: what Python's int() takes, and more
    *[
        (Digits(5), raw, "E-FLD-01")
        for raw in (b"12A45", b"12 45", b"1_000", b"+0042", b"-0042", b"00.42", b" 0042", b"0042\n", "²0042".encode("latin-1"))
    ],
    (Digits(6), "٣٣٣".encode(), "E-FLD-01"),
    (Digits(4, scale=2), b"1.50", "E-FLD-01"),
    (Amount(3), b"*042", "E-FLD-01"),
    (Amount(3), b"+0-2", "E-FLD-01"),
    (Amount(3), b"+   ", "E-FLD-01"),
    (Amount(3, sign="trailing"), b"+042", "E-FLD-01"),
    (Digits(3), b"01}", "E-FLD-01"),  # overpunched sign
    (Code(4, digits=True), b"042 ", "E-FLD-01"),
    (Code(4, digits=True), b"+042", "E-FLD-01"),
    # 26 and 27
    *[
        (Date(), raw, "E-FLD-03")
        for raw in (b"20260230", b"00000000", b"00000101", b"99999999", b"20241301", b"2024022 ", b"2024-2-9", b"20230229")
    ],
    *[(Time(), raw, "E-FLD-03") for raw in (b"246060", b"235960", b"240000", b"126000", b"12345 ", b"12:3:4")],
    (Time(14, "YYYYMMDDhhmmss"), b"20260230101112", "E-FLD-03"),
    (Time(14, "YYYYMMDDhhmmss"), b"20240229246060", "E-FLD-03"),
    (Date(4, "MMDD"), b"0230", "E-FLD-03"),
    (Date(6, "YYMMDD"), b"230229", "E-FLD-03"),
    # 29 and 32
    (Text(5, K), "홍길".encode(K) + b"\xb5", "E-ENC-01"),
    (Text(6, K), "홍길".encode(K) + b"\xb5 ", "E-ENC-01"),
    (Text(2, K), b"\x80 ", "E-ENC-01"),
    (Text(2, K), b"a\xff", "E-ENC-01"),
    (Text(2, "ascii"), b"a\xe9", "E-ENC-01"),
    (Code(2), b"a\xe9", "E-ENC-01"),
    # 33
    *[(Text(4, K), b"a" + bytes([c]) + b"b ", "E-ENC-04") for c in (0x00, 0x1B, 0x0A, 0x0D, 0x09, 0x7F)],
    (Text(3, "utf-8"), "\u2028".encode(), "E-ENC-04"),
    (Text(2, "utf-8"), "\u0085".encode(), "E-ENC-04"),
    (Code(3), b"a\x00b", "E-ENC-04"),
    # 36
    (Text(3, K, required=True), b"   ", "E-FLD-06"),
    (Code(3, required=True), b"   ", "E-FLD-06"),
    (Code(2, ["11"], required=True), b"  ", "E-FLD-06"),
    (Digits(3, blank="error"), b"   ", "E-FLD-06"),
    (Amount(3, blank="error"), b"    ", "E-FLD-06"),
    (Date(blank="error"), b"        ", "E-FLD-06"),
    # 37
    (Code(2, ["11", "21"]), b"12", "E-FLD-07"),
    (Fixed("AB"), b"AC", "E-FLD-13"),
    (Fixed("AB"), b"  ", "E-FLD-13"),
    (Opaque(2), b"x", "E-FRM-08"),
    (Opaque(0, 2), b"xyz", "E-FRM-07"),
]


@pytest.mark.parametrize(("kind", "raw", "code"), REFUSED_BYTES)
def test_it_refuses_bytes(kind, raw, code):
    with pytest.raises(FieldFault) as fault:
        kind.read(raw)
    assert fault.value.code == code in CODES
    assert isinstance(fault.value, ConstructError)
    with pytest.raises(FieldFault) as fault:
        Struct("field" / kind).parse(raw)
    assert fault.value.code == code and "field" in str(fault.value.path)


WRITES = [
    (Text(10, K), "홍길동", NAME + b"    "),
    (Text(10, K), "", b" " * 10),
    (Text(6, K, align="right"), "가", b"    " + "가".encode(K)),
    (Text(4, "cp037", pad=b"\x40"), "AB", "AB".encode("cp037") + b"\x40\x40"),
    (Code(4), "A1", b"A1  "),
    (Code(4, digits=True), "", b"    "),
    (Code(2, ["11"]), "11", b"11"),
    (Digits(5), 42, b"00042"),
    (Digits(5), None, b"     "),
    (Digits(6, scale=2), Decimal("12.34"), b"001234"),
    (Digits(6, scale=2), Decimal("1.2E+1"), b"001200"),
    (Digits(6, scale=2), Decimal("1.3400000"), b"000134"),
    (Digits(6, scale=2), 12, b"001200"),
    (Digits(6, scale=2), Decimal("-0.00"), b"000000"),
    (Digits(6, scale=2), Decimal("0E+999999"), b"000000"),
    (Amount(3), 42, b"+042"),
    (Amount(3, plus=" "), 42, b" 042"),
    (Amount(3), -42, b"-042"),
    (Amount(3), 0, b"+000"),
    (Amount(3, sign="trailing"), -42, b"042-"),
    (Amount(4, scale=2), Decimal("-1.5"), b"-0150"),
    (Date(), None, b"        "),
    (Date(), "", b"        "),
    (Date(blank="zeros"), None, b"00000000"),
    (Date(blank="zeros"), "00000000", b"00000000"),
    (Time(), "235959", b"235959"),
    (Filler(3), None, b"   "),
    (Fixed("AB"), "AB", b"AB"),
    (Fixed("AB"), None, b"AB"),
    (Fixed("AB", or_blank=True), "", b"  "),
    (Opaque(), b"\x00\xff", b"\x00\xff"),
]


@pytest.mark.parametrize(("kind", "value", "raw"), WRITES)
def test_it_writes(kind, value, raw):
    assert kind.write(value) == raw
    if kind.is_named:
        assert Struct("field" / kind).build({"field": value}) == raw


REFUSED_VALUES = [
    # 31
    (Text(10, K), "😀", "E-ENC-03"),
    (Text(10, K), "₩", "E-ENC-03"),
    (Text(10, K), "\ud800", "E-ENC-03"),
    (Text(10, "ascii"), "é", "E-ENC-03"),
    (Text(10, "euc_kr"), "똠", "E-ENC-03"),  # Python's euc_kr spells it in eight bytes
    (Text(10, "shift_jis"), "¥", "E-ENC-03"),  # shift_jis answers with a backslash
    (Code(4), "é", "E-ENC-03"),
    (Text(10, K), "a\x00", "E-ENC-04"),
    (Text(10, K), "a\u2028", "E-ENC-04"),
    (Text(10, K), "a\x85", "E-ENC-04"),
    (Code(4), "a\n", "E-ENC-04"),
    # 35
    (Text(5, K), "홍길동", "E-FLD-05"),
    (Text(3, K), "abc ", "E-FLD-05"),
    (Code(2), "abc", "E-FLD-05"),
    (Digits(3), 1000, "E-FLD-05"),
    (Digits(3), 10**5000, "E-FLD-05"),
    (Digits(3, scale=1), Decimal("100"), "E-FLD-05"),
    (Digits(3, scale=1), Decimal("1.23"), "E-FLD-05"),
    (Digits(3, scale=1), Decimal("1E-999999"), "E-FLD-05"),
    (Digits(3, scale=1), Decimal("1E+999999"), "E-FLD-05"),
    (Digits(3, scale=1), 10**5000, "E-FLD-05"),
    (Amount(3), -1000, "E-FLD-05"),
    (Text(3, K, required=True), "", "E-FLD-06"),
    (Text(3, K, required=True), "  ", "E-FLD-06"),
    (Code(3, required=True), "", "E-FLD-06"),
    (Digits(3, blank="error"), None, "E-FLD-06"),
    (Digits(3, blank="zero"), None, "E-FLD-06"),
    (Date(blank="error"), None, "E-FLD-06"),
    (Digits(3), -1, "E-FLD-01"),
    (Digits(3, scale=1), Decimal("-1"), "E-FLD-01"),
    (Code(3, digits=True), "12", "E-FLD-01"),
    (Code(3, digits=True), "1 2", "E-FLD-01"),
    (Code(2, ["11"]), "12", "E-FLD-07"),
    (Date(), "20260230", "E-FLD-03"),
    (Date(), "2024022", "E-FLD-03"),
    (Date(), "٢٠٢٤٠٢٢٩", "E-FLD-03"),
    (Time(), "246060", "E-FLD-03"),
    (Fixed("AB"), "AC", "E-FLD-13"),
    (Fixed("AB"), "", "E-FLD-13"),
    # wrong Python types: True is no number, a float is no amount, a number is no text
    *[(Text(5, K), value, "E-FLD-12") for value in (None, 1, True, b"a", ["a"])],
    *[(Code(5), value, "E-FLD-12") for value in (None, 1, True, b"a")],
    *[(Digits(5), value, "E-FLD-12") for value in (True, "1", 1.0, Decimal(1), b"1")],
    *[(Digits(5, scale=1), value, "E-FLD-12") for value in (True, "1", 1.0, Decimal("NaN"), Decimal("Infinity"), Decimal("-Infinity"))],
    *[(Amount(5), value, "E-FLD-12") for value in (True, "1", 1.0, Decimal(1))],
    *[(Date(), value, "E-FLD-12") for value in (20240229, True)],
    (Fixed("AB"), 1, "E-FLD-12"),
    (Opaque(), "text", "E-FLD-12"),
    (Opaque(), bytearray(b"x"), "E-FLD-12"),
    (Opaque(2), b"x", "E-FRM-08"),
]


@pytest.mark.parametrize(("kind", "value", "code"), REFUSED_VALUES, ids=lambda v: getattr(v, "rule", type(v).__name__))
def test_it_refuses_values(kind, value, code):
    with pytest.raises(FieldFault) as fault:
        kind.write(value)
    assert fault.value.code == code in CODES
    with pytest.raises(FieldFault) as fault:
        Struct("field" / kind).build({"field": value})
    assert fault.value.code == code and "field" in str(fault.value.path)


def test_overlong_text_says_how_many_bytes_it_needs_and_how_many_there_are():
    with pytest.raises(FieldFault, match="text needs 6 bytes, field holds 5"):
        Text(5, K).write("홍길동")


def test_a_cut_character_says_where():
    with pytest.raises(FieldFault, match="ends inside a character, at byte 5"):
        Text(5, K).read("홍길".encode(K) + b"\xb5")


def test_the_character_that_cannot_be_written_is_named_only_in_clear_fields():
    with pytest.raises(FieldFault, match=r"character 2 of the text does not exist"):
        Text(5, K).write("a😀")
    with pytest.raises(FieldFault, match=r"character 2 of the text \(U\+1F600\) does not exist"):
        Text(5, K, log="clear").write("a😀")


@pytest.mark.parametrize(("kind", "raw"), [(kind, raw) for kind, raw, _ in REFUSED_BYTES])
def test_a_fault_carries_neither_the_bytes_nor_the_exception_that_has_them(kind, raw):
    with pytest.raises(FieldFault) as fault:
        kind.read(raw)
    shown = str(fault.value)
    assert repr(raw) not in shown and (len(raw.strip()) < 5 or raw.decode("latin-1").strip() not in shown)
    assert fault.value.__context__ is None and fault.value.__cause__ is None


def test_a_short_stream_is_refused_under_construct():
    with pytest.raises(FieldFault, match="field needs 5 bytes, 2 left"):
        Struct("a" / Code(1), "b" / Digits(5)).parse(b"x00")


def test_reading_dates_does_not_keep_more_of_them_than_its_bound():
    from telegram_router.telegrams.fields import calendars

    kind = Date()
    for year in range(1900, 1920):
        for month in range(1, 13):
            for day in range(1, 29):
                assert kind.read(b"%04d%02d%02d" % (year, month, day))
    assert len(calendars.days_of("YYYYMMDD").known) <= calendars._KEPT


def test_a_length_field_counts_what_its_framing_counts():
    kind = Length(4).adjusted(-4)
    assert kind.write_in(None, 304) == b"0300"
    assert kind.read_in(b"0300", 304) == 300
    with pytest.raises(FieldFault, match="E-FLD-11"):
        kind.read_in(b"0304", 304)
    with pytest.raises(FieldFault, match="E-FLD-05"):
        kind.write_in(None, 10_004)
    with pytest.raises(FieldFault, match="E-FLD-12"):
        kind.write_in(True, 5)


def test_a_fixed_struct_of_kinds_knows_its_size_and_an_open_one_says_that_it_has_none():
    assert Struct("a" / Code(3), Filler(2), "b" / Amount(5)).sizeof() == 11
    with pytest.raises(ConstructError):
        Struct("rest" / Opaque()).sizeof()


@pytest.mark.parametrize("codec", sorted(BIJECTIVE))
def test_encodings_trusted_to_round_trip_do_so_for_every_character_and_every_pair_of_bytes(codec):
    for number in range(0x110000 if codec == "utf-8" else 0x10000):
        try:
            content = chr(number).encode(codec)
        except UnicodeEncodeError:
            continue
        assert content.decode(codec) == chr(number)
    for pair in range(0x10000):
        raw = pair.to_bytes(2, "big")
        try:
            text = raw.decode(codec)
        except UnicodeDecodeError:
            continue
        assert text.encode(codec) == raw


@settings(deadline=None)
@given(st.binary(max_size=12), st.sampled_from(["cp949", "euc_kr", "shift_jis", "cp932", "ascii", "utf-8", "cp037", "gbk", "big5"]))
def test_text_that_was_read_is_written_back_or_known_not_to_be(raw, encoding):
    kind = Text(12, encoding)
    raw = raw.ljust(12)
    try:
        value = kind.read(raw)
    except FieldFault:
        return
    if kind.is_canonical(raw, value, 12):
        assert kind.write(value) == raw


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(0, 20), st.decimals(allow_nan=False, allow_infinity=False))
def test_a_scaled_number_is_exact_or_refused(digits, scale, value):
    kind = Amount(digits, min(scale, digits))
    try:
        raw = kind.write(value)
    except FieldFault:
        return
    assert kind.read(raw) == value
