"""Generated reading and writing, held against interpreted construct and against a decoder written without our field classes."""

import pytest
from composed import FIRST_SAMPLE, samples
from construct import Struct
from hypothesis import given, settings
from hypothesis import strategies as st
from offset_tables import TABLES
from second_decoder import Refused
from second_decoder import decode as second_decode
from shipped import message_of, shipped

from telegram_router.errors import FieldError
from telegram_router.telegrams import (
    Amount,
    Code,
    Date,
    Digits,
    Family,
    FieldFault,
    Filler,
    Fixed,
    Framing,
    LengthField,
    Message,
    Opaque,
    Reply,
    Text,
    Time,
    compile_family,
)
from telegram_router.testing import telegrams

CASES = [(family, key) for family, keys in TABLES.items() for key in keys]
PLAIN = settings(deadline=None)

korean = st.text(st.sampled_from("가힣홍길동똠쀍漢 ABz09-가"), max_size=12)
pieces = st.one_of(
    st.binary(min_size=1, max_size=15),
    st.sampled_from(
        [b" ", b"0", b"9", b"+", b"-", b"\x00", b"\x7f", b"\x80", b"\xff", b"\xb0", b"\xc8\xab", b"\x1b[", b"\r\n", "٣".encode(), b"_"]
    ),
    korean.map(lambda text: text.encode("cp949")),
    st.integers(1, 40).map(lambda n: b" " * n),
    st.integers(1, 14).map(lambda n: b"0" * n),
    st.sampled_from([b"20260230", b"20240229", b"00000000", b"99999999", b"246060", b"235959", b"11", b"01"]),
)


@st.composite
def mutated(draw):
    """A sample with some of its bytes or whole fields overwritten, and now and then cut or lengthened."""
    family, key = draw(st.sampled_from(CASES))
    raw = bytearray(shipped(family).framing.telegram(samples()[family][key]))
    starts = [row[1] for row in TABLES[family][key]]
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.one_of(st.sampled_from(starts), st.integers(0, len(raw) - 1)))
        piece = draw(pieces)[: len(raw) - at]
        raw[at : at + len(piece)] = piece
    size = draw(st.sampled_from([len(raw)] * 12 + [0, 1, 99, 100, len(raw) - 1, len(raw) + 1, len(raw) + 300]))
    return family, key, bytes(raw[:size]).ljust(size)


def ours(family, key, raw):
    try:
        return message_of(family, key).decode(raw), set()
    except FieldError as error:
        return None, {(problem.offset, problem.code) for problem in error.problems}


@PLAIN
@given(mutated())
def test_the_second_decoder_finds_the_same_values_and_the_same_faults(case):
    telegram, faults = ours(*case)
    try:
        values = second_decode(*case)
    except Refused as refused:
        assert faults == refused.found
    else:
        assert telegram is not None
        assert telegram.header | telegram.body == values
        assert [type(v) for v in (telegram.header | telegram.body).values()] == [type(v) for v in values.values()]


@PLAIN
@given(mutated())
def test_interpreted_construct_finds_the_same_values_and_the_same_first_fault(case):
    family, key, raw = case
    telegram, faults = ours(family, key, raw)
    try:
        parsed = message_of(family, key).construct.parse(raw)
    except FieldFault as fault:
        assert faults and fault.code == min(faults)[1]
    else:
        assert telegram is not None
        for section, values in (("header", telegram.header), ("body", telegram.body)):
            assert {name: value for name, value in parsed[section].items() if name != "_io"} == values


@PLAIN
@given(mutated())
def test_what_is_accepted_is_written_back_byte_for_byte_even_without_the_bytes_it_came_as(case):
    telegram, _ = ours(*case)
    if telegram is not None:
        telegram.raw = None
        message, raw = telegram.message, case[2]
        assert message.encode(telegram.header, telegram.body, telegram.residue) == raw
        assert message.codec.encode(telegram.header, telegram.body, telegram.residue) == raw


@st.composite
def valued(draw):
    """All that the fields of a table may be given; a length follows from the others."""
    family, key = draw(st.sampled_from(CASES))
    telegram = draw(telegrams(shipped(family), message_of(family, key).name))
    telegram.header.pop("total_length", None)
    return family, key, telegram.header, telegram.body


@PLAIN
@given(valued())
def test_written_values_are_read_back_by_all_three(case):
    family, key, header, body = case
    message = message_of(family, key)
    raw = message.encode(header, body)
    telegram = message.decode(raw)
    read = telegram.header | telegram.body
    read.pop("total_length", None)
    assert read == header | body
    second = second_decode(family, key, raw)
    second.pop("total_length", None)
    assert second == header | body
    assert message.construct.build({"header": header, "body": body}) == raw
    assert message.codec.encode(header, body) == raw
    assert telegram.residue is None


# ------------------------------------------------------------------------------------------------ layouts of every kind and option


def kinds():
    size = st.integers(1, 9)
    blank = st.sampled_from(["null", "error", "zero"])
    scaled = st.tuples(size, st.integers(0, 9)).map(lambda pair: (pair[0], min(pair)))
    encoding = st.sampled_from(
        [None, "cp949", "ascii", "utf-8", "cp037", "shift_jis", "cp949_ksx1001", "cp932", "latin-1", "cp933", "jisx0201"]
    )
    moment = st.sampled_from(["null", "error", "zeros"])
    return st.one_of(
        st.builds(
            lambda n, encoding, align, required, pad: Text(n, encoding, pad if encoding not in ("cp037", "cp933") else None, align, required),
            size, encoding, st.sampled_from(["left", "right"]), st.booleans(), st.sampled_from([b" ", b"\x00", b"0"]),
        ),
        st.builds(lambda n, required: Code(n, None, False, required), size, st.booleans()),
        st.builds(lambda n, required: Code(n, None, True, required), size, st.booleans()),
        st.builds(lambda n, required: Code(n, ["0" * n, "9" * n], True, required), size, st.booleans()),
        st.builds(lambda n, required: Code(n, {"A": "a", "B" * n: "b"}, False, required), size, st.booleans()),
        st.builds(lambda pair, blank: Digits(*pair, blank), scaled, blank),
        st.builds(
            lambda pair, sign, plus, blank: Amount(*pair, sign, plus, blank),
            scaled, st.sampled_from(["leading", "trailing"]), st.sampled_from(["+", " "]), blank,
        ),
        st.builds(lambda form, blank: Date(len(form), form, blank), st.sampled_from(["YYYYMMDD", "YYMMDD", "MMDD", "YYYYMMDDhhmmss", "MMDDhhmmss"]), moment),
        st.builds(lambda form, blank: Time(len(form), form, blank), st.sampled_from(["hhmmss", "hhmm"]), st.sampled_from(["null", "error"])),
        st.builds(Filler, size),
        st.builds(Fixed, st.sampled_from(["IN", "A", b"\x02\xff", "  "]), st.booleans()),
    )  # fmt: skip


@st.composite
def families(draw):
    """A small family with any kinds in its body, named or not, perhaps with bytes of any number behind them."""
    fields = []
    for number, kind in enumerate(draw(st.lists(kinds(), min_size=1, max_size=6))):
        unnamed = isinstance(kind, Filler) or (isinstance(kind, Fixed) and draw(st.booleans()))
        fields.append(kind if unnamed else f"field{number}" / kind)
    if draw(st.booleans()):
        fields.append("rest" / Opaque(draw(st.integers(0, 2)), draw(st.sampled_from([None, 2, 9]))))
    family = Family(
        name="any",
        header=Struct("type" / Code(2), "number" / Digits(4)),
        key=("type",),
        correlation=("number",),
        encoding="cp949",
        framing=Framing(LengthField()),
        messages=[Message("ask", key=("AA",), body=Struct(*fields), reply=Reply.none())],
    )
    return compile_family(family).messages["ask"]


field_bytes = st.one_of(
    pieces,
    st.sampled_from(
        [
            b"A",
            b"BBBB",
            b"\x40",
            b"\xc1\xc2",
            "ァ".encode("shift_jis"),
            b"\x5c~",
            b"\xa4\xd4\xa4\xb6\xa4\xd0\xa4\xd4",
            b"-0000",
            b"00-",
            b"IN",
            b"\x02\xff",
            b"1231",
            b"0229",
        ]
    ),
)


def readable(planned, content):
    try:
        planned.kind.read(content)
    except FieldFault:
        return False
    return True


@st.composite
def content_of(draw, planned):
    """Bytes for a field: mostly such as it accepts, else anything."""
    if planned.is_opaque:
        return draw(st.binary(max_size=9))
    n = planned.length
    usual = [
        b"%0*d" % (n, draw(st.integers(0, 10**n - 1))),
        b" " * n,
        b"A" * n,
        b"B" * n,
        b"-" + b"0" * (n - 2) + b"5",
        b"0" * (n - 1) + b"+",
    ]
    usual += [b"20240229", b"240229", b"0229", b"20240229235959", b"0229235959", b"235959", b"2359", getattr(planned.kind, "constant", b"")]
    usual = [content[:n].ljust(n) for content in usual]
    good = [content for content in usual if readable(planned, content)]
    if good and draw(st.integers(0, 7)):
        return draw(st.sampled_from(good))
    return draw(field_bytes)[:n].ljust(n)


@settings(deadline=None)
@given(st.data())
def test_any_layout_reads_as_interpreted_construct_does_and_writes_back_what_it_read(data):
    message = data.draw(families())
    for _ in range(6):
        raw = b"AA0001" + b"".join(data.draw(content_of(planned)) for planned in message.fields if planned.section == "body")
        try:
            telegram = message.decode(raw)
        except FieldError as error:
            with pytest.raises(FieldFault) as fault:
                message.construct.parse(raw)
            assert fault.value.code == error.problems[0].code
        else:
            parsed = message.construct.parse(raw)
            assert {n: v for n, v in parsed["body"].items() if n != "_io"} == telegram.body
            assert message.encode(telegram.header, telegram.body, telegram.residue) == raw
            if not telegram.residue:
                assert message.construct.build({"header": telegram.header, "body": telegram.body}) == raw


any_value = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(0, 99), st.floats(), st.decimals(), st.decimals(0, 9, places=2), korean, st.text(max_size=9),
    st.binary(max_size=5), st.sampled_from(["", " ", "A", "20240229", "0229", "1231235959", "2359", "IN", "😀", "가", "\x7f", "99", "٣"]),
    st.just([]), st.just({}), st.dates(),
)  # fmt: skip


@st.composite
def value_of(draw, planned):
    """A value: mostly one that the field can have, else anything."""
    content = draw(content_of(planned))
    if readable(planned, content) and draw(st.integers(0, 7)):
        return planned.kind.read(content)
    return draw(any_value)


@settings(deadline=None)
@given(st.data())
def test_the_quick_way_of_writing_refuses_and_writes_as_the_slow_way_does(data):
    message = data.draw(families())
    for _ in range(6):
        header = {"type": "AA", "number": 7 if data.draw(st.integers(0, 7)) else data.draw(any_value)}
        body = {planned.name: data.draw(value_of(planned)) for planned in message.fields if planned.section == "body" and planned.name}
        if data.draw(st.integers(0, 9)) == 0:
            body["unknown"] = 1
        try:
            raw = message.codec.encode(header, body)
        except FieldError as error:
            with pytest.raises(FieldError) as quick:
                message.encode(header, body)
            assert quick.value.problems == error.problems
        else:
            assert message.encode(header, body) == raw
            assert message.construct.build({"header": header, "body": body}) == raw
            assert message.encode(*(lambda t: (t.header, t.body, t.residue))(message.decode(raw))) == raw


# ------------------------------------------------------------------------------------------------ particular cases


TRANSFER = FIRST_SAMPLE[4:]


def transfer(**changes: bytes) -> bytes:
    """The published transfer with fields overwritten."""
    raw = bytearray(TRANSFER)
    for name, content in changes.items():
        offset, length = next((row[1], row[2]) for row in TABLES["firmbanking"]["2000", "100"] if row[0] == name)
        raw[offset : offset + length] = content.ljust(length)
    return bytes(raw)


def test_all_bad_fields_are_reported_at_once_in_the_order_of_their_offsets():
    raw = transfer(amount=b"12A4", deposit_holder=b"\x00", sent_date=b"20260230", deposit_bank_code=b"0A4", company_number=b"")
    with pytest.raises(FieldError) as error:
        message_of("firmbanking", ("2000", "100")).decode(raw)
    assert [(p.code, p.path, p.offset, p.length) for p in error.value.problems] == [
        ("E-FLD-06", "header.company_number", 9, 12),
        ("E-FLD-03", "header.sent_date", 38, 8),
        ("E-FLD-01", "body.amount", 129, 13),
        ("E-FLD-01", "body.deposit_bank_code", 156, 3),
        ("E-ENC-04", "body.deposit_holder", 226, 12),
    ]
    first = error.value.problems[2]
    assert (first.spec, first.message, first.rule, first.expected) == ("firmbanking", "transfer.request", "9(13)", "13 digits 0-9")


def test_an_error_never_shows_what_stood_in_the_field():
    secret = "주민등록번호8001011".encode("cp949")[:14]
    raw = transfer(memo=secret[:13] + b"\xb0", passbook_password=b"pw\x00d", withdrawal_account=b"11012345\x01", amount=b"77777777x")
    with pytest.raises(FieldError) as error:
        message_of("firmbanking", ("2000", "100")).decode(raw)
    shown = str(error.value) + repr(error.value) + "".join(p.text() + repr(p) for p in error.value.problems)
    assert error.value.__cause__ is None and error.value.__context__ is None
    for hidden in ("주민", "pw", "1101234", "7777777", "8001"):
        assert hidden not in shown


def test_a_long_telegram_says_how_many_bytes_are_too_many():
    with pytest.raises(FieldError) as error:
        message_of("firmbanking", ("2000", "100")).decode(TRANSFER + b"xyz")
    (problem,) = error.value.problems
    assert (problem.code, problem.what, problem.offset) == ("E-FRM-07", "3 bytes beyond the layout", 300)


def test_a_short_telegram_names_the_first_field_that_is_not_whole():
    with pytest.raises(FieldError) as error:
        message_of("firmbanking", ("2000", "100")).decode(TRANSFER[:135])
    (problem,) = error.value.problems
    assert (problem.code, problem.path, problem.what) == ("E-FRM-08", "body.amount", "field needs 13 bytes, 6 left")


def test_an_empty_telegram_is_refused():
    with pytest.raises(FieldError, match="E-FRM-08"):
        message_of("firmbanking", ("2000", "100")).decode(b"")


def test_bytes_in_reserved_places_are_kept_beside_the_values():
    raw = bytearray(TRANSFER)
    raw[60:64] = b"\x00\xff!!"
    raw[247:249] = b"zz"
    telegram = message_of("firmbanking", ("2000", "100")).decode(bytes(raw))
    assert set(telegram.residue) == {56, 247}
    assert telegram.message.encode(telegram.header, telegram.body, telegram.residue) == bytes(raw)


def test_a_sign_written_another_way_is_kept_until_the_amount_changes():
    raw = transfer(balance_after=b"+0000000000005")  # a request's canonical plus is a blank
    telegram = message_of("firmbanking", ("2000", "100")).decode(raw)
    assert telegram["balance_after"] == 5
    assert telegram.residue == {142: b"+0000000000005"}
    assert telegram.message.encode(telegram.header, telegram.body, telegram.residue) == raw
    telegram.body["balance_after"] = -7
    assert telegram.message.encode(telegram.header, telegram.body, telegram.residue) == transfer(balance_after=b"-0000000000007")


@pytest.mark.parametrize("sign", [b"-", b"0", b"+", b" "])
def test_every_way_to_write_zero_reads_as_zero_and_is_written_back(sign):
    raw = transfer(balance_after=sign + b"0" * 13)
    telegram = message_of("firmbanking", ("2000", "100")).decode(raw)
    assert telegram["balance_after"] == 0
    assert telegram.message.encode(telegram.header, telegram.body, telegram.residue) == raw


def test_residue_that_is_no_field_of_the_layout_is_refused():
    telegram = message_of("firmbanking", ("2000", "100")).decode(TRANSFER)
    for residue in ({57: b"x"}, {56: b"x"}, {1000: b"x"}):
        with pytest.raises(FieldError) as error:
            telegram.message.encode(telegram.header, telegram.body, residue)
        assert error.value.problems[0].code == "E-FLD-12"


def test_residue_that_breaks_its_field_is_not_written():
    telegram = message_of("firmbanking", ("2000", "100")).decode(TRANSFER)
    assert telegram.message.encode(telegram.header, telegram.body, {129: b"A" * 13, 142: b"x" * 14}) == TRANSFER


def test_all_values_that_do_not_fit_are_reported_at_once():
    telegram = message_of("firmbanking", ("2000", "100")).decode(TRANSFER)
    body = telegram.body | {"amount": 10**13, "memo": "가나다라마바사아", "fee": True, "deposit_holder": "😀", "nonsense": 1}
    del body["cms_code"]
    with pytest.raises(FieldError) as error:
        telegram.message.encode(telegram.header, body)
    assert [(p.code, p.path) for p in error.value.problems] == [
        ("E-FLD-12", "body"),
        ("E-FLD-05", "body.amount"),
        ("E-FLD-12", "body.fee"),
        ("E-FLD-12", "body.cms_code"),
        ("E-FLD-05", "body.memo"),
        ("E-ENC-03", "body.deposit_holder"),
    ]
    assert error.value.problems[4].what == "text needs 16 bytes, field holds 14"


def test_a_text_too_long_by_as_many_bytes_as_it_has_control_characters_does_not_pass():
    telegram = message_of("firmbanking", ("2000", "100")).decode(TRANSFER)
    with pytest.raises(FieldError) as error:
        telegram.message.encode(telegram.header, telegram.body | {"memo": "123456789012\x003", "fund_kind": "1\x00x"})
    assert [(p.code, p.path) for p in error.value.problems] == [("E-ENC-04", "body.memo"), ("E-FLD-05", "body.fund_kind")]


def test_a_control_character_does_not_hide_behind_a_constant_that_has_one():
    fields = Struct("mark" / Fixed(b"\x02", or_blank=True), "memo" / Text(4))
    family = Family(
        name="marked",
        header=Struct("type" / Code(2), "number" / Digits(4)),
        key=("type",),
        correlation=("number",),
        framing=Framing(LengthField()),
        messages=[Message("ask", key=("AA",), body=fields, reply=Reply.none())],
    )
    message = compile_family(family).messages["ask"]
    assert message.encode({"number": 1}, {"memo": "ab"}) == b"AA0001\x02ab  "
    for body in ({"memo": "a\x01b"}, {"memo": "a\x01b", "mark": ""}, {"memo": "a\x01bcd", "mark": ""}):
        with pytest.raises(FieldError):
            message.encode({"number": 1}, body)


def test_a_name_that_came_from_outside_is_not_repeated_in_the_error():
    telegram = message_of("firmbanking", ("2000", "100")).decode(TRANSFER)
    with pytest.raises(FieldError) as error:
        telegram.message.encode(telegram.header | {"8001011234567": 1}, telegram.body)
    assert "8001011234567" not in error.value.problems[0].text()


def test_key_fields_may_be_left_out_and_may_not_be_another_message():
    message = message_of("firmbanking", ("2000", "100"))
    telegram = message.decode(TRANSFER)
    without = {name: value for name, value in telegram.header.items() if name not in ("message_type", "business_code", "transaction_code")}
    assert message.encode(without, telegram.body) == TRANSFER
    with pytest.raises(FieldError, match="E-FLD-07"):
        message.encode(telegram.header | {"message_type": "2100"}, telegram.body)


def test_hangul_in_parts_is_composed_where_the_encoding_has_no_parts():
    import unicodedata

    message = message_of("firmbanking", ("2000", "100"))
    telegram = message.decode(TRANSFER)
    assert message.encode(telegram.header, telegram.body | {"memo": unicodedata.normalize("NFD", "홍길동급여")}) == TRANSFER


def test_a_length_inside_the_telegram_is_checked_and_worked_out():
    spec, message = shipped("hmfb"), message_of("hmfb", ("2000", "100"))
    raw = samples()["hmfb"]["2000", "100"]
    assert raw[:4] == b"0320" and spec.decode(raw)["total_length"] == 320
    with pytest.raises(FieldError, match="E-FLD-11"):
        message.decode(b"0316" + raw[4:])
    with pytest.raises(FieldError, match="E-FLD-01"):
        message.decode(b"32O0" + raw[4:])
    telegram = message.decode(raw)
    del telegram.header["total_length"]
    assert message.encode(telegram.header, telegram.body) == raw
    with pytest.raises(FieldError, match="E-FLD-11"):
        message.encode(telegram.header | {"total_length": 300}, telegram.body)


def test_the_literal_flag_is_a_constant_that_must_be_there():
    raw = bytearray(samples()["hmfb"]["2000", "100"])
    raw[10:12] = b"EX"
    with pytest.raises(FieldError, match="E-FLD-13"):
        message_of("hmfb", ("2000", "100")).decode(bytes(raw))


def test_generated_source_can_be_read():
    source = message_of("firmbanking", ("2000", "100")).source
    assert "def decode(b):" in source and "def encode(h, b, residue=None):" in source
