"""Dates and times in all their forms: what exists, what does not, and which day is meant."""

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from one_field import OneField

from telegram_router.errors import CODES, FieldError, SpecError
from telegram_router.telegrams import (
    Code,
    Date,
    Family,
    FieldFault,
    FixedSize,
    Framing,
    Message,
    Occurs,
    Reply,
    Struct,
    Time,
    compile_family,
)
from telegram_router.telegrams.generate import sample

READS = [
    (Date(8, "YYYYMMDD"), b"20240229", "2024-02-29"),
    (Date(6, "YYMMDD"), b"240229", None),  # which century is not said
    (Date(6, "YYMMDD", century=1950), b"491231", "2049-12-31"),
    (Date(6, "YYMMDD", century=1950), b"500101", "1950-01-01"),
    (Date(6, "YYMMDD", century=1930), b"000229", "2000-02-29"),
    (Date(4, "MMDD"), b"0229", None),
    (Date(8, "DDMMYYYY"), b"29022024", "2024-02-29"),
    (Date(6, "YYYYMM"), b"202412", None),
    (Date(4, "MMYY"), b"1224", None),
    (Date(7, "YYYYDDD"), b"2024366", "2024-12-31"),
    (Date(5, "YYDDD", century=1970), b"24001", "2024-01-01"),
    (Date(10, "YYYY-MM-DD"), b"2024-02-29", "2024-02-29"),
    (Date(10, "YYYY.MM.DD"), b"2024.02.29", "2024-02-29"),
    (Date(8, "YY/MM/DD", century=2000), b"24/02/29", "2024-02-29"),
    (Date(7, "EYYMMDD"), b"R060229", "2024-02-29"),
    (Date(7, "EYYMMDD"), b"H310430", "2019-04-30"),
    (Date(7, "EYYMMDD"), b"R010501", "2019-05-01"),
    (Date(7, "EYYMMDD"), b"S640107", "1989-01-07"),
    (Date(7, "EYYMMDD"), b"H010108", "1989-01-08"),
    (Date(7, "EYYMMDD"), b"T151225", "1926-12-25"),
    (Date(7, "EYYMMDD"), b"S011225", "1926-12-25"),
    (Date(7, "EYYMMDD"), b"M450730", "1912-07-30"),
    (Date(7, "EYYMMDD", era="digit"), b"5060229", "2024-02-29"),
    (Date(7, "EYYMMDD", era="letter"), b"R060229", "2024-02-29"),
    (Date(6, "YYMMDD", era="R"), b"060229", "2024-02-29"),
    (Date(6, "YYMMDD", era="H"), b"010108", "1989-01-08"),
    (Time(14, "YYYYMMDDhhmmss"), b"20240229235959", "2024-02-29"),
    (Time(17, "YYYYMMDDhhmmssfff"), b"20240229235959123", "2024-02-29"),
    (Time(19, "YYYY-MM-DDThh:mm:ss"), b"2024-02-29T23:59:59", "2024-02-29"),
    (Time(19, "YYYY-MM-DD hh:mm:ss"), b"2024-02-29 23:59:59", "2024-02-29"),
    (Time(4, "hhmm"), b"2359", None),
    (Time(5, "hh:mm"), b"23:59", None),
    (Time(9, "hhmmssfff"), b"235959999", None),
    (Time(10, "MMDDhhmmss"), b"0229235959", None),
]


@pytest.mark.parametrize(("kind", "raw", "day"), READS, ids=lambda v: getattr(v, "rule", None))
@pytest.mark.parametrize("encoding", ["ascii", "cp037", "cp933", "cp930"])
def test_it_reads_a_moment_as_the_text_it_is_and_knows_the_day(kind, raw, day, encoding):
    one = OneField(kind, encoding)
    wire = one.kind.charset.wire(raw)
    assert (wire == raw) == (encoding == "ascii")
    for _ in range(2):  # the second time the date is known
        assert one.reads(wire) == raw.decode()
    assert one.writes(raw.decode()) == wire
    assert kind.day(raw.decode()) == (None if day is None else datetime.date.fromisoformat(day))


REFUSED = [
    (Date(6, "YYMMDD", century=1900), b"000229"),  # 1900 had no such day
    (Date(7, "YYYYDDD"), b"2023366"),
    (Date(7, "YYYYDDD"), b"2024000"),
    (Date(7, "YYYYDDD"), b"0000001"),
    (Date(7, "YYYYDDD"), b"9999999"),
    (Date(10, "YYYY-MM-DD"), b"2024/02/29"),
    (Date(10, "YYYY-MM-DD"), b"2024-02-30"),
    (Date(10, "YYYY-MM-DD"), b"20240229  "),
    (Date(7, "EYYMMDD"), b"R010430"),  # still Heisei
    (Date(7, "EYYMMDD"), b"H310501"),  # Reiwa already
    (Date(7, "EYYMMDD"), b"S640108"),
    (Date(7, "EYYMMDD"), b"R000501"),
    (Date(7, "EYYMMDD"), b"X060229"),
    (Date(7, "EYYMMDD"), b"5060229"),
    (Date(7, "EYYMMDD"), b"\xff060229"),
    (Date(7, "EYYMMDD", era="digit"), b"R060229"),
    (Date(7, "EYYMMDD", era="digit"), b"6060229"),
    (Date(6, "YYMMDD", era="R"), b"000229"),
    (Date(6, "YYMMDD", era="R"), b"010430"),
    (Date(6, "YYYYMM"), b"202413"),
    (Time(9, "hhmmssfff"), b"23595999x"),
    (Time(5, "hh:mm"), b"24:00"),
    (Time(5, "hh:mm"), b"23-59"),
    (Time(19, "YYYY-MM-DDThh:mm:ss"), b"2024-02-29 23:59:59"),
]


@pytest.mark.parametrize(("kind", "raw"), REFUSED, ids=lambda v: getattr(v, "rule", None))
def test_it_refuses_what_is_not_in_the_calendar(kind, raw):
    one = OneField(kind)
    assert one.reads(raw) == "E-FLD-03" in CODES
    assert one.writes(raw.decode("latin-1")) == "E-FLD-03"


NOTHING = [
    (Date(10, "YYYY-MM-DD"), b" " * 10, b" " * 10),
    (Date(10, "YYYY-MM-DD", "zeros"), b"0000-00-00", b"0000-00-00"),
    (Date(10, "YYYY-MM-DD", "zeros"), b" " * 10, b"0000-00-00"),
    (Date(7, "EYYMMDD", "zeros"), b"0000000", b"0000000"),
    (Date(8, "YYYYMMDD", "low"), b"\0" * 8, b"\0" * 8),
    (Date(8, "YYYYMMDD", "low"), b" " * 8, b"\0" * 8),
    (Time(6, "hhmmss", "low"), b"\0" * 6, b"\0" * 6),
]


@pytest.mark.parametrize(("kind", "raw", "canonical"), NOTHING, ids=lambda v: getattr(v, "rule", None))
def test_no_date_is_no_value_and_is_written_in_the_partners_way(kind, raw, canonical):
    one = OneField(kind)
    assert one.reads(raw) is None
    assert one.writes(None) == canonical


def test_low_values_are_no_date_unless_the_spec_says_so():
    assert OneField(Date()).reads(b"\0" * 8) == "E-FLD-03"


@settings(deadline=None, max_examples=100)
@given(st.dates(datetime.date(1868, 1, 25)), st.sampled_from(["EYYMMDD", "YYYYDDD", "YYYY/MM/DD", "DDMMYYYY"]))
def test_every_day_has_a_text_in_every_form_and_is_found_again(day, form):
    from telegram_router.telegrams.fields.calendars import ERAS

    era = next(era for era in reversed(ERAS) if era.first <= day)
    if form[0] == "E" and day.year - era.first.year >= 99:
        return
    text = form.replace("YYYY", f"{day.year:04}").replace("YY", f"{day.year - era.first.year + 1:02}").replace("E", era.letter)
    text = text.replace("MM", f"{day.month:02}").replace("DDD", f"{day.timetuple().tm_yday:03}").replace("DD", f"{day.day:02}")
    kind = Date(len(form), form)
    assert kind.day(kind.read(text.encode())) == day


MISTAKES = [
    (Date(8, "YYYYMMYY"), "form must be"),
    (Date(8, "hhmmYYYY"), "form must be"),
    (Date(6, "YYYYMD"), "form must be"),
    (Time(2, "hh"), "form must be"),
    (Date(3, "DDD"), "form must be"),
    (Date(8, ""), "form must be"),
    (Date(8, form=8), "form must be a text"),
    (Date(8, "YYYYMMDD", century=1950), "century is"),
    (Date(6, "YYMMDD", century=0), "century is"),
    (Date(6, "YYMMDD", century=1950, era="R"), "century is"),
    (Date(6, "YYMMDD", era="X"), "era must be"),
    (Date(6, "YYMMDD", era="digit"), "era must be"),
    (Date(7, "EYYMMDD", era="R"), "era must be"),
    (Date(8, "YYYYMMDD", era="R"), "era must be"),
    (Date(8, blank="nil"), "blank must be"),
    (Date(6, "YYYYMMDD"), "8 bytes, the field 6"),
    (Time(blank="zeros"), "midnight"),
]


@pytest.mark.parametrize(("kind", "words"), MISTAKES, ids=lambda v: v if isinstance(v, str) else None)
def test_a_wrong_declaration_is_told_at_load(kind, words):
    assert any(words in what and code in CODES for code, what in kind.mistakes())


# --- windows --------------------------------------------------------------------------------------------------------


def parcel(**options):
    """A layout with a date in the header and one that must be near it in the body."""
    return compile_family(
        Family(
            name="parcel",
            title="parcels",
            version="1",
            encoding="ascii",
            framing=Framing(FixedSize(17)),
            header=Struct("key" / Code(1), "sent" / Date()),
            key=("key",),
            correlation=("sent",),
            messages=[Message("m", "message", ("1",), Struct("due" / Date(**{"within": 7, "of": "sent"} | options)), reply=Reply.none())],
        )
    ).messages["m"]


NEAR = [(b"20240308", ""), (b"20240223", ""), (b"20240309", "E-FLD-04"), (b"20240222", "E-FLD-04"), (b"        ", "")]  # 28 of the corpus


@pytest.mark.parametrize(("due", "code"), NEAR)
def test_a_date_must_be_near_the_date_of_the_header(due, code):
    message = parcel()
    raw = b"1" + b"20240301" + due
    header, body = {"sent": "20240301"}, {"due": due.decode().strip() or None}
    for read, write in ((message.decode, message.encode), (message.construct.parse, build_with(message))):
        if not code:
            assert read(raw) and write(header, body) == raw
            continue
        for refuse in (lambda read=read: read(raw), lambda write=write: write(header, body)):
            with pytest.raises((FieldError, FieldFault)) as refused:
                refuse()
            assert code in str(refused.value) and due.decode() not in str(refused.value)


def build_with(message):
    return lambda header, body: message.construct.build({"header": header, "body": body})


def test_no_date_in_the_header_is_near_everything():
    assert parcel().decode(b"1" + b" " * 8 + b"20240309").body["due"] == "20240309"


WINDOW_MISTAKES = [
    ({"of": None}, "give both"),
    ({"within": -1}, "days from 0"),
    ({"of": "key"}, "no date of the header"),
    ({"of": "nothing"}, "no date of the header"),
    ({"within": "7"}, "within must be a whole number"),
    ({"form": "MMDD", "length": 4}, "says the day and the year"),
]


@pytest.mark.parametrize(("options", "words"), WINDOW_MISTAKES, ids=lambda v: v if isinstance(v, str) else None)
def test_a_wrong_window_is_told_at_load(options, words):
    with pytest.raises(SpecError) as refused:
        parcel(**options)
    assert words in "\n".join(problem.text() for problem in refused.value.problems)


def test_a_window_inside_a_table_is_told_at_load():
    family = Family(
        name="parcel",
        title="parcels",
        version="1",
        encoding="ascii",
        framing=Framing(FixedSize(17)),
        header=Struct("key" / Code(1), "sent" / Date()),
        key=("key",),
        correlation=("sent",),
        messages=[Message("m", "", ("1",), Struct("parts" / Occurs(1, Struct("due" / Date(within=7, of="sent")))), reply=Reply.none())],
    )
    with pytest.raises(SpecError, match="no group and no table"):
        compile_family(family)


def test_telegrams_that_are_made_up_have_dates_within_their_windows():
    message = parcel(blank="error")
    for number in range(20):
        telegram = sample(message.spec, "m", number=number)
        assert message.decode(message.encode(telegram.header, telegram.body)) == telegram
