"""telegram_router.testing: what users' tests are offered."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from basket_family import SPEC as BASKET
from construct import Struct
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from parcel_family import SPEC as PARCEL

from telegram_router import testing
from telegram_router.errors import SpecError
from telegram_router.telegrams import (
    Amount,
    Binary,
    Code,
    Date,
    Digits,
    Edited,
    Family,
    Fixed,
    Flags,
    Float,
    Framing,
    LengthField,
    Message,
    Opaque,
    Packed,
    Reply,
    Text,
    Time,
    Zoned,
    compile_family,
    from_json,
    to_json,
)
from telegram_router.telegrams.domains import holds
from telegram_router.telegrams.fields import Kind

FIRMBANKING = testing.read("firmbanking")
first = settings(max_examples=2000, deadline=None, database=None, phases=[Phase.generate])
quick = settings(max_examples=60, deadline=None)

KINDS = {
    "text": Text(9, "cp949"),
    "unicode": Text(6, "utf-8"),
    "ebcdic": Text(5, "cp037"),
    "kana": Text(5, "shift_jis"),
    "right": Text(4, pad=b"0", align="right"),
    "required": Text(2, "cp949", required=True),
    "code": Code(4),
    "filled": Code(4, required=True),
    "digits code": Code(6, digits=True),
    "named": Code(2, {"A": "a", "BB": "b"}, required=True),
    "number": Digits(5),
    "rate": Digits(7, scale=5, blank="error"),
    "zero": Digits(3, blank="zero"),
    "amount": Amount(9, scale=2),
    "trailing": Amount(4, sign="trailing", plus=" "),
    "day": Date(),
    "short day": Date(6, "YYMMDD", "zeros"),
    "month day": Date(4, "MMDD", "error"),
    "moment": Time(14, "YYYYMMDDhhmmss"),
    "time": Time(),
    "minute": Time(4, "hhmm"),
    "constant": Fixed("IN", or_blank=True),
    "rest": Opaque(1, 9),
    "zoned": Zoned(5, 2),
    "zoned separate": Zoned(4, sign="leading separate", dialect="ebcdic"),
    "unsigned": Zoned(4, sign=None, blank="when zero"),
    "packed": Packed(6, 2),
    "packed or not": Packed(5, null="low"),
    "no nibble": Packed(4, nibble_sign=False),
    "full": Binary(4, order="little"),
    "comp": Binary(2, digits=4, signed=False),
    "scaled away": Digits(5, scale=8),
    "thousands": Digits(3, scale=-3),
    "limited": Digits(6, scale=2, least="10.005", most=99),
    "edited": Edited("$$,$$9.99-"),
    "cheque": Edited("**9.99", blank="when zero"),
    "flags": Flags(2, {"urgent": 0x8000, "test": 1}),
    "ranges": Code(3, {("100", "104"): "first", ("500", "999"): "second", "777": "third"}),
    "business": Code(10, check="business", required=True),
    "resident": Code(13, digits=True, check="rrn"),
    "card": Code(16, check="luhn"),
    "era": Date(7, "EYYMMDD"),
    "era digit": Date(7, "EYYMMDD", era="digit"),
    "one era": Date(6, "YYMMDD", era="S"),
    "century": Date(6, "YYMMDD", century=1950),
    "day of the year": Date(5, "YYDDD"),
    "written": Time(19, "YYYY-MM-DD hh:mm:ss"),
    "fraction": Time(12, "hhmmssffffff"),
    "mixed": Text(9, "cp933"),
    "double": Text(8, "cp933", double_byte=True),
    "strict": Text(6, "cp949", strict="ksx1001"),
    "wide": Text(8, "cp949", wide=True),
    "short float": Float(4),
    "long ibm float": Float(8, form="ibm", order="little"),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_value_of_a_kind_can_be_written_and_comes_back(kind: Kind):
    @settings(max_examples=30, deadline=None)
    @given(testing.values(kind))
    def held(value: object) -> None:
        assert holds(kind, value)

    held()


EXTREMES = {
    "the largest number": (Digits(3), lambda value: value == 999),
    "no number": (Digits(3), lambda value: value is None),
    "the most negative number": (Amount(3), lambda value: value == -999),
    "a blank in front": (Code(3), lambda value: value.startswith(" ") and value.strip(" ")),
    "no code": (Code(1, ["A"]), lambda value: value == ""),
    "a syllable outside KS X 1001": (Text(2, "cp949"), lambda value: value and 0x80 < value.encode("cp949")[0] < 0xA1),
    "a full field": (Text(4, "cp949"), lambda value: len(value.encode("cp949")) == 4 and len(value) < 4),
    "the first day": (Date(), lambda value: value == "00010101"),
    "the last day": (Date(6, "YYMMDD"), lambda value: value == "991231"),
    "a leap day": (Date(4, "MMDD"), lambda value: value == "0229"),
    "the last second": (Time(), lambda value: value == "235959"),
    "a constant left blank": (Fixed("IN", or_blank=True), lambda value: value == ""),
    "bytes of any value": (Opaque(0, 2), lambda value: max(value, default=0) > 0xF0),
}


@pytest.mark.parametrize(("kind", "is_it"), EXTREMES.values(), ids=EXTREMES)
def test_the_extreme_values_are_among_them(kind: Kind, is_it: Callable[[object], bool]):
    assert is_it(find(testing.values(kind), is_it, settings=first))


@quick
@given(testing.telegrams(FIRMBANKING))
def test_a_telegram_of_any_message_becomes_bytes_and_comes_back_by_way_of_json_too(telegram):
    frame = FIRMBANKING.encode(telegram)
    assert FIRMBANKING.decode(frame) == telegram
    assert FIRMBANKING.encode(from_json(FIRMBANKING, to_json(telegram))) == frame


@quick
@given(testing.frames(FIRMBANKING, "transfer.request"))
def test_frames_are_those_of_the_message_that_was_asked_for(frame):
    assert len(frame) == 304
    assert FIRMBANKING.decode(frame).message.name == "transfer.request"


def test_the_smallest_telegram_is_shown_when_a_test_fails():
    large = find(testing.telegrams(PARCEL, "order.response"), lambda telegram: (telegram["amount"] or 0) >= 1000)
    assert large["amount"] == 1000 and len(large["account"] + large["note"]) <= 2 and large["fee"] in (0, None)


def test_tables_views_versions_and_overlays_are_made_too():
    testing.check_spec(BASKET, examples=60)
    seen = [testing.sample(BASKET, seed="all", number=number).body for number in range(60)]
    assert {len(body["items"]) for body in seen} == {0, 1, 2, 3, 4}
    assert {key for body in seen for key in body} >= {"person", "company", "code", "signed", "word", "bank3", "new"}
    assert all(body["count"] == len(body["items"]) and body["entries"] == len(body["more"]) for body in seen)


def test_the_most_items_and_every_version_are_among_what_is_picked():
    full = find(testing.telegrams(BASKET), lambda telegram: len(telegram["items"]) == 5, settings=first)
    assert full["count"] == 5
    old = find(testing.telegrams(BASKET), lambda telegram: "bank3" not in telegram.body, settings=first)
    assert old.header["sent"] < "20250301"


def test_a_length_inside_the_telegram_is_among_its_values():
    spec = testing.read("hmfb")
    assert testing.sample(spec, "transfer.request")["total_length"] == 320
    testing.check_spec(spec, "transfer.request", examples=20)


def test_a_value_of_a_key_field_is_the_messages_own():
    planned = FIRMBANKING.messages["transfer.request"].field("header.message_type")
    assert planned is not None
    assert find(testing.values(planned), lambda value: True, settings=first) == "2000"
    with pytest.raises(NoSuchExample):
        find(testing.values(planned), lambda value: value != "2000", settings=first)


class Forgetful(Digits):
    """A kind that reads its number one too small from a thousand on: a bug to be found."""

    def read(self, raw: bytes):
        number = super().read(raw)
        return number - 1 if number is not None and number >= 1000 else number

    def source_of_read(self, place):
        return place.slow


def test_a_kind_that_reads_other_values_than_it_writes_is_found():
    spec = compile_family(
        Family(
            name="wrong",
            header=Struct("type" / Code(2, log="clear"), "number" / Code(4, log="clear")),
            framing=Framing(LengthField()),
            key=("type",),
            correlation=("number",),
            messages=[Message("one", key=("AA",), body=Struct("amount" / Forgetful(6, blank="error")), kind="oneway", reply=Reply.none())],
        )
    )
    with pytest.raises(AssertionError, match="one: reading gives other values"):
        testing.check_spec(spec)


def test_a_spec_is_read_by_name_or_by_the_path_of_its_file(tmp_path: Path):
    assert testing.read("ksnet").name == "ksnet"
    broken = tmp_path / "broken.py"
    broken.write_text("spec = 7\n")
    with pytest.raises(SpecError):
        testing.read(broken)
    with pytest.raises(LookupError, match="firmbanking, hmfb"):
        testing.read("no_such_spec")


def test_hypothesis_is_imported_only_for_strategies_and_without_it_the_rest_works():
    code = "import sys\nfrom telegram_router import testing\n"
    code += "spec = testing.read('ksnet'); print(len(spec.encode(testing.sample(spec, seed=1))), 'hypothesis' in sys.modules)\n"
    code += "sys.modules['hypothesis'] = None\n"
    code += "try: testing.telegrams(spec)\nexcept ImportError as error: print(error)\n"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert found.stdout.splitlines() == ["300 False", "this needs hypothesis: pip install 'telegram-router[testing]'"], found.stderr


def test_strategies_go_into_strategies_of_others():
    strategy = st.lists(testing.frames(FIRMBANKING, "open.request"), min_size=2, max_size=2)
    assert len(find(strategy, lambda found: True, settings=first)) == 2
