"""Masking of telegrams: equal length, still of their spec, nothing of anybody left, and closed where it cannot read."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telegram_router.errors import ConfigError
from telegram_router.telegrams import (
    Amount,
    Binary,
    Code,
    Date,
    Digits,
    Edited,
    Family,
    Filler,
    Flags,
    Float,
    Framing,
    LengthField,
    Message,
    Opaque,
    Packed,
    Reply,
    Spec,
    Struct,
    Telegram,
    Text,
    Time,
    Zoned,
    compile_family,
    load_spec,
)
from telegram_router.telegrams.fields.checks import is_business_number, is_luhn_number, is_resident_number
from telegram_router.telegrams.mask_policy import MaskError, Policy, policy_of
from telegram_router.telegrams.masking import Masker
from tests.telegrams.random_specs import Sample, samples

SPECS = Path(__file__).parent.parent.parent / "specs"
KEY = b"0123456789abcdef"


def spec_of(*fields: Any, encoding: str = "cp949") -> Spec:
    return compile_family(
        Family(
            name="kinds",
            header=Struct("kind" / Code(1, required=True, log="clear"), "day" / Date(8, log="clear")),
            key=("kind",),
            correlation=("kind",),
            encoding=encoding,
            framing=Framing(LengthField(offset=0, width=4, kind="u_be", counts="payload")),
            messages=[Message("only", "", ("A",), Struct(*fields), reply=Reply.none())],
        )
    )


def message_frame(spec: Spec, message: str, header: dict[str, Any], body: dict[str, Any]) -> bytes:
    return spec.encode(Telegram(spec, spec.messages[message], header, body))


def masked(spec: Spec, policy: Policy | None = None, **body: Any) -> dict[str, Any]:
    frame = message_frame(spec, "only", {"kind": "A", "day": "20260101"}, body)
    made = Masker(spec, KEY, policy or Policy()).mask(frame).frame
    assert made is not None and len(made) == len(frame)
    return spec.decode(made).body


KINDS = [
    (Code(14), "11012345678901"),
    (Code(13, digits=True, check="rrn"), "9001011234568"),
    (Code(10, digits=True, check="business"), "1208147521"),
    (Code(16, digits=True, check="luhn"), "4111111111111111"),
    (Code(2, ["AA", "BB", "CC", "DD", "EE"]), "AA"),
    (Digits(14), 11012345678901),
    (Digits(5, least=10_000, most=20_000), 12_345),
    (Amount(13), -1_234_567_890_123),
    (Packed(13, scale=2), Decimal("-123456789.01")),
    (Packed(9, nibble_sign=False), 123456789),
    (Zoned(11), -98765432109),
    (Binary(8), -1234567890123),
    (Binary(4, signed=False), 3_123_456_789),
    (Edited("ZZ,ZZZ,ZZ9"), 1234567),
    (Text(20), "홍길동"),
    (Text(20, align="right"), "가나다라"),
    (Text(20, wide=True), "박세리"),
    (Date(8), "19900412"),
    (Date(6, form="YYMMDD", century=1950), "900412"),
    (Date(7, form="YYYYDDD"), "1990123"),
    (Time(14, form="YYYYMMDDhhmmss"), "20240229135959"),
]


@pytest.mark.parametrize("encoding", ["cp949", "cp933"])
@pytest.mark.parametrize(("kind", "value"), KINDS, ids=[f"{index}-{type(kind).__name__}" for index, (kind, _) in enumerate(KINDS)])
def test_every_kind_gets_another_value_of_the_same_kind(kind: Any, value: Any, encoding: str):
    spec = spec_of("secret" / kind, encoding=encoding)
    made = masked(spec, secret=value)["secret"]
    assert type(made) is type(value) and made != value
    assert masked(spec, secret=value)["secret"] == made


def test_check_digits_are_right_afterwards():
    for check, is_right, value in (
        ("rrn", is_resident_number, "9001011234568"),
        ("business", is_business_number, "1208147521"),
        ("luhn", is_luhn_number, "4111111111111111"),
    ):
        spec = spec_of("secret" / Code(len(value), digits=True, check=check))  # type: ignore[arg-type]
        assert is_right(masked(spec, secret=value)["secret"])


def test_an_account_is_the_same_in_every_kind_of_field_and_message():
    spec = spec_of("one" / Code(20), "two" / Text(14), "three" / Digits(14), "four" / Zoned(14), "five" / Packed(14))
    made = masked(spec, one="11012345678901", two="11012345678901", three=11012345678901, four=11012345678901, five=11012345678901)
    assert len({str(value).zfill(14) for value in made.values()}) == 1


def test_a_sign_a_blank_and_a_clear_field_stay():
    spec = spec_of("amount" / Amount(13), "empty" / Text(10), "none" / Digits(5), "shown" / Text(10, log="clear"))
    made = masked(spec, amount=-5, empty="", none=None, shown="영업점")
    assert made["amount"] < 0 and made["empty"] == "" and made["none"] is None and made["shown"] == "영업점"


def test_secrets_bytes_and_reserved_places_are_wiped_whatever_a_policy_says():
    spec = spec_of("pin" / Code(8, pii="pin"), "must" / Code(4, required=True, pii="pin"), Filler(6), "rest" / Opaque())
    told = Policy(fields={"pin": policy_of({"fields": {"x": "keep"}}).fields["x"]})
    frame = message_frame(spec, "only", {"kind": "A", "day": None}, {"pin": "12345678", "must": "4321", "rest": b"secret"})
    frame = frame[:-12] + b"hidden" + frame[-6:]
    made = Masker(spec, KEY, told).mask(frame).frame
    assert made is not None and len(made) == len(frame)
    for left in (b"1234", b"4321", b"hidden", b"secret"):
        assert left not in made
    assert Masker(spec, KEY, told).invalidated == ["only.body.must", "only.body.pin", "only.body.rest"]


def test_flags_and_floats_say_nothing_afterwards():
    made = masked(spec_of("bits" / Flags(1, {"vip": 0x80, "blocked": 0x01}), "ratio" / Float(8)), bits=["vip"], ratio=3.25)
    assert made == {"bits": [], "ratio": Decimal(0)}


@pytest.mark.parametrize(
    ("told", "value"),
    [
        ("keep", "홍길동 A12"),
        ("fixed", "가가가 X00"),
        ({"action": "fixed", "fill": "*"}, "가가가 ***"),
        ({"action": "partial", "first": 1, "last": 2}, "홍가가 X12"),
        ({"action": "partial", "first": 9}, "가가가 X00"),  # it would keep all
        ("drop", ""),
    ],
    ids=str,
)
def test_a_policy_decides_by_what_a_field_holds_and_by_its_name(told: Any, value: str):
    spec = spec_of("who" / Text(20, pii="name"))
    for policy in (policy_of({"actions": {"name": told}}), policy_of({"actions": {"name": "pseudonym"}, "fields": {"body.who": told}})):
        assert masked(spec, policy, who="홍길동 A12")["who"] == value


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"action": {}}, "unknown key"),
        ({"actions": {"pin": "keep"}}, "always wiped"),
        ({"actions": {"card": "drop"}}, "no such kind"),
        ({"actions": {"name": "hide"}}, "no such action"),
        ({"fields": {"memo": {"action": "fixed", "fill": "ab"}}}, "fill"),
        ({"fields": {"memo": {"action": "partial", "first": -1}}}, "first and last"),
        ({"fields": "memo"}, "no table"),
    ],
    ids=["key", "pin", "pii", "action", "fill", "first", "table"],
)
def test_a_policy_that_cannot_be_used_is_refused(table: dict[str, Any], says: str):
    with pytest.raises(MaskError, match=says):
        policy_of(table)


def test_what_nobody_has_said_anything_about_is_kept_only_by_its_name():
    spec = spec_of("told" / Text(12, pii="free"), "untold" / Text(12))
    kept = masked(spec, policy_of({"actions": {"free": "keep"}}), told="급여", untold="홍길동")
    assert kept["told"] == "급여" and kept["untold"] != "홍길동"
    assert masked(spec, policy_of({"fields": {"untold": "keep"}}), told="급여", untold="홍길동")["untold"] == "홍길동"


OF_PEOPLE = re.compile(
    r"계좌번호|성명|예금주명|차주|상호|실명번호|사업자번호|생년월일|전화|휴대|비밀번호|口座番号|受取人|PHONE|ACCOUNT-NUMBER", re.IGNORECASE
)


@pytest.mark.parametrize("name", sorted(path.stem for path in SPECS.glob("*.py")))
def test_what_says_something_of_people_is_marked_in_the_shipped_specs(name: str):
    spec = load_spec((SPECS / f"{name}.py").read_text("utf-8"), f"{name}.py")
    fields = [field for message in spec.messages.values() for field in message.fields if field.name and not isinstance(field.kind, Date)]
    unmarked = {field.path: field.label for field in fields if OF_PEOPLE.search(field.label) and field.kind.pii is None}
    assert not unmarked


def test_a_short_key_is_refused():
    with pytest.raises(MaskError, match="16 or more"):
        Masker(spec_of("who" / Text(20)), b"short")


@pytest.mark.parametrize("kind", [Text(9, pii="nome"), Text(9, pii="name", log="clear")], ids=["unknown", "clear"])  # type: ignore[arg-type]
def test_the_lint_refuses_a_pii_that_contradicts(kind: Any):
    with pytest.raises(ConfigError, match="pii"):
        spec_of("who" / kind)


def test_what_cannot_be_decoded_leaves_a_length_and_a_digest():
    spec = spec_of("account" / Digits(14))
    frame = message_frame(spec, "only", {"kind": "A", "day": None}, {"account": 11012345678901})
    for bad in (frame[:-1] + b"x", frame[:4] + b"Z" + frame[5:], b"", b"\xff" * 3, frame + b"1"):
        made = Masker(spec, KEY).mask(bad)
        assert made.frame is None and len(made.digest) == 32
    assert Masker(spec, KEY).mask(frame + b"1").digest == Masker(spec, KEY).mask(frame + b"1").digest


@pytest.mark.parametrize("name", sorted(path.stem for path in SPECS.glob("*.py")))
def test_samples_of_the_shipped_specs_are_masked_and_decode(name: str):
    spec = load_spec((SPECS / f"{name}.py").read_text(encoding="utf-8"), f"{name}.py")
    masker = Masker(spec, KEY)
    for file in sorted((SPECS / "samples" / name).glob("*.telegram")):
        frame = file.read_bytes()
        made = masker.mask(frame).frame
        assert made is not None and len(made) == len(frame), file
        was, now = spec.decode(frame), spec.decode(made)
        assert was.message is now.message
        for planned in was.message.fields_of(spec.framing.telegram(frame)):
            part = slice(spec.framing.prefix + planned.offset, spec.framing.prefix + planned.end)
            if planned.log == "clear" and not planned.is_opaque:
                assert frame[part] == made[part], planned.path


@settings(suppress_health_check=list(HealthCheck), deadline=None)
@given(samples(), st.data())
def test_masked_telegrams_of_any_spec_decode_and_keep_what_decides_on_the_layout(sample: Sample, data: st.DataObject):
    header, body = sample.values(data.draw)
    spec = sample.spec
    frame = message_frame(spec, "sample", header, body)
    made = Masker(spec, KEY).mask(frame).frame
    assert made is not None and len(made) == len(frame)
    was, now = spec.decode(frame), spec.decode(made)
    assert now.header == was.header
    assert shape(now.body) == shape(was.body)


def shape(value: Any) -> Any:
    """What a value is made of, without what it says."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    return [shape(each) for each in value] if isinstance(value, list) else type(value)
