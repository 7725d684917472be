"""Values beyond what the spec allows, through a listening router: refused by their own header or never cut, whoever sends them."""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from running_router import RESIDENT, ROOT, Client, Host, HttpService, Line, Running, config, http, running, says, spec_named

from telegram_router.telegrams import Telegram, load_spec

SAMPLE_ID = "8811237654328"  # RESIDENT with the check digit that it should have
PLACES = {"amount": (27, 40), "value_date": (40, 48), "id_number": (48, 61), "memo": (61, 75), "remark": (75, 85), "payout_count": (85, 87)}


def payouts(*amounts: int) -> bytes:
    return b"".join(b"11098800000%d%09d" % (number, amount) for number, amount in enumerate(amounts)).ljust(63)


def loan(number: int, **fields: bytes) -> bytes:
    """A request of 150 bytes, put together by hand."""
    header = b"5600%06d00150" % number + b"20240315" + b"    "
    body = (
        b"0000001000000"
        + b"20240318"
        + SAMPLE_ID.encode()
        + b"%-14b" % "대출 실행".encode("cp949")
        + b"payout    "
        + b"02"
        + payouts(600, 400)
    )
    frame = header + body
    for name, raw in fields.items():
        start, end = PLACES.get(name, (87, 150))
        assert len(raw) == end - start
        frame = frame[:start] + raw + frame[end:]
    return frame


def answer_to(frame: bytes, code: bytes = b"0000") -> bytes:
    return b"5700" + frame[4:23] + code + frame[27:]


async def answers(line: Line, frame: bytes) -> None:
    await line.sends(answer_to(frame))


@asynccontextmanager
async def undisturbed(router: Running) -> AsyncIterator[Client]:
    """Another session of the listener, which is served before and after."""
    if "core" in router.switch.services:
        await router.linked("core")
    other = await router.connect()
    await other.sends(loan(900_001))
    assert (await other.got())[:10] == b"5700900001"
    yield other
    await other.sends(loan(900_002))
    assert (await other.got())[:10] == b"5700900002"


# --- from a telegram client -----------------------------------------------------------------------------------------

BAD = [
    pytest.param("amount", b"9999999999999", "E-FLD-02", "number is above the largest that the spec allows", id="row-24-all-nines"),
    pytest.param(
        "amount", b"0005000000001", "E-FLD-02", "number is above the largest that the spec allows", id="row-24-one-above-the-maximum"
    ),
    pytest.param("value_date", b"20240323", "E-FLD-04", "more than 7 days from header.sent_date", id="row-28-eight-days-later"),
    pytest.param("value_date", b"20240307", "E-FLD-04", "more than 7 days from header.sent_date", id="row-28-eight-days-before"),
    pytest.param("value_date", b"20250318", "E-FLD-04", "more than 7 days from header.sent_date", id="row-28-the-next-year"),
    pytest.param("memo", b"%-14b" % "똠".encode("cp949"), "E-ENC-02", "character at byte 1 of the field", id="row-30-first"),
    pytest.param("memo", b"%-14b" % "대출 뷁".encode("cp949"), "E-ENC-02", "character at byte 6 of the field", id="row-30-behind-others"),
    pytest.param("memo", "가나다라마바".encode("cp949") + b"A\xb0", "E-ENC-01", "ends inside a character", id="row-29-cut"),
    pytest.param("id_number", RESIDENT.encode(), "E-FLD-10", "check digit", id="row-41-wrong-check-digit"),
    pytest.param("payout_count", b"04", "E-FLD-08", "count is out of the table's bounds", id="row-38-one-above-the-maximum"),
    pytest.param("payout_count", b"99", "E-FLD-08", "count is out of the table's bounds", id="row-38-all-nines"),
]


REPLIES = {"E-FLD-02": b"SF02", "E-FLD-04": b"SF04", "E-FLD-08": b"SF08", "E-FLD-10": b"SF10", "E-ENC-01": b"SE01", "E-ENC-02": b"SE02"}


@pytest.mark.parametrize(("name", "raw", "code", "says_so"), BAD)
async def test_a_value_beyond_its_limit_is_refused_by_its_field_and_nothing_is_sent(name: str, raw: bytes, code: str, says_so: str):
    """Rows 24, 28, 29, 30, 38 and 41."""
    frame = loan(1, **{name: raw})
    async with (
        Host(answers, spec="loans") as core,
        running(config(core, spec="loans", route='validate = "full"')) as router,
        undisturbed(router),
    ):
        client = await router.connect()
        await client.sends(frame + loan(2))
        refused = await client.got()
        assert refused[:10] == b"5700000001" and refused[23:27] == REPLIES[code]
        assert await client.got() == answer_to(loan(2))  # the link is kept
        (line,) = router.log.of(code)
        (problem,) = line["problems"]
        start, end = PLACES[name]
        assert problem.startswith(f"{code}: ") and says_so in problem
        assert f"at loans loan.request body.{name}, offset {start} (bytes {start + 1}-{end}), rule " in problem
        assert "; expected " in problem
        assert raw.decode("cp949", "ignore").strip() not in problem or name == "payout_count"
    assert core.frames == [loan(900_001), loan(2), loan(900_002)]


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        pytest.param("amount", b"0005000000000", id="row-24-the-maximum-itself"),
        pytest.param("value_date", b"20240322", id="row-28-seven-days-later"),
        pytest.param("memo", b"%-14b" % "퉁쾅힝".encode("cp949"), id="row-30-hangul-of-KS-X-1001"),
        pytest.param("payout_count", b"03", id="row-38-the-maximum-itself"),
    ],
)
async def test_what_is_just_within_its_limit_is_sent_as_it_is(name: str, raw: bytes):
    """Rows 24, 28, 30 and 38."""
    frame = loan(1, **{name: raw, "payouts": payouts(1, 2, 3) if name == "payout_count" else payouts(1, 2)})
    async with Host(answers, spec="loans") as core, running(config(core, spec="loans", route='validate = "full"')) as router:
        client = await router.connect()
        assert await client.asks(frame) == answer_to(frame)
        assert router.log.codes == []
    assert core.frames == [frame]


async def test_a_check_digit_is_a_matter_of_the_spec():
    """Row 41: the same number where the spec asks for no check."""
    frame = loan(1, id_number=RESIDENT.encode())
    source = (ROOT / "tests" / "corpus" / "specs" / "loans.py").read_text("utf-8")
    assert ', check="rrn"' in source
    spec = load_spec(source.replace(', check="rrn"', ""), "loans.py")
    assert spec.decode(frame)["id_number"] == RESIDENT


# --- from a handler or an HTTP service ------------------------------------------------------------------------------

ITEM = {"account": "110988000000", "amount": 1}
ANSWERS = [
    pytest.param({"amount": 5_000_000_001}, "E-FLD-02", id="row-24-one-above-the-maximum"),
    pytest.param({"value_date": "20240401"}, "E-FLD-04", id="row-28-beyond-the-window"),
    pytest.param({"memo": "똠방각하"}, "E-ENC-02", id="row-30-in-cp949-only"),
    pytest.param({"remark": "₩1,000"}, "E-ENC-03", id="row-31-a-won-sign"),
    pytest.param({"memo": "₩1,000"}, "E-ENC-03", id="row-31-a-won-sign-that-is-masked"),
    pytest.param({"remark": unicodedata.normalize("NFD", "똠")}, "E-ENC-02", id="row-34-composed-and-then-refused"),
    pytest.param({"memo": "가나다라마바사아"}, "E-FLD-05", id="row-35-two-bytes-too-long"),
    pytest.param({"payouts": [ITEM] * 4}, "E-FLD-08", id="row-38-an-item-too-many"),
    pytest.param({"payouts": [ITEM, {"account": "110988000000"}]}, "E-FLD-12", id="row-39-half-an-item"),
    pytest.param({"id_number": RESIDENT}, "E-FLD-10", id="row-41-wrong-check-digit"),
    pytest.param({"payout_count": 3}, "E-FLD-11", id="row-42-three-counted-two-there"),
    pytest.param({"length": 149}, "E-FLD-11", id="row-42-another-length-than-the-telegram-has"),
]
given: dict[str, Any] = {}  # what the handler below answers with


async def answering(telegram: Telegram) -> Telegram:
    header = {"length": given["length"]} if "length" in given else {}
    body = {name: value for name, value in given.items() if name != "length"}
    return telegram.reply(body, code="0000", **header)


OWN = '[services.own]\n{}\ntimeout = "300ms"\n[[routes]]\nlistener = "companies"\nservice = "own"\ndefault = true\n'
HANDLER = OWN.format('handler = "test_limit_rows:answering"')


@pytest.mark.parametrize(("values", "code"), ANSWERS)
async def test_an_answer_beyond_a_limit_is_unknown_to_the_asker_and_never_cut(values: dict[str, Any], code: str):
    """Rows 24, 28, 30, 31, 34, 35, 38, 39, 41 and 42: from a handler."""
    given.clear()
    async with running(config(spec="loans", more=HANDLER)) as router, undisturbed(router):
        client = await router.connect()
        given.update(values)
        assert (await client.asks(loan(1)))[23:27] == b"VTIM"
        (line,) = router.log.named("handler_answer_invalid")
        assert line["code"] == "E-BCK-06" and line["problems"][0].startswith(f"{code}: ")
        (name,) = values
        assert f"{'header' if name == 'length' else 'body'}.{name}" in line["problems"][0]
        assert ("(U+20A9)" in router.log.text) == (values == {"remark": "₩1,000"})  # what it is, where the field is clear
        given.clear()
        assert (await client.asks(loan(2)))[23:27] == b"0000"


@pytest.mark.parametrize(("values", "code"), [each for each in ANSWERS if each.id != "row-42-another-length-than-the-telegram-has"])
async def test_json_beyond_a_limit_is_unknown_to_the_asker_and_never_cut(values: dict[str, Any], code: str):
    """Rows 24, 28, 30, 31, 34, 35, 38, 39, 41 and 42: from an HTTP service."""
    body = {name: str(value) if isinstance(value, int) else value for name, value in values.items()}
    if "payouts" in body:
        body["payouts"] = [{name: str(value) for name, value in item.items()} for item in body["payouts"]]
    async with (
        HttpService(says(http({"header": {"code": "0000"}}))) as rest,
        running(config(spec="loans", more=OWN.format(f'url = "http://{rest.address}/loan"'))) as router,
        undisturbed(router),
    ):
        rest.behave = says(http({"body": body}))
        client = await router.connect()
        assert (await client.asks(loan(1)))[23:27] == b"VTIM"
        (line,) = router.log.named("http_answer_refused")
        assert line["code"] == "E-BCK-06" and code in line["what"]
        rest.behave = says(http({"header": {"code": "0000"}}))
        assert (await client.asks(loan(2)))[23:27] == b"0000"


DECOMPOSED = unicodedata.normalize("NFD", "대출 실행")


async def test_hangul_in_parts_is_composed_before_it_is_written():
    """Row 34: what macOS sends, from a handler and from an HTTP service."""
    assert len(DECOMPOSED) > 5
    expected = b"5700" + loan(1)[4:23] + b"0000" + loan(1, memo=b"%-14b" % "대출 실행".encode("cp949"))[27:]
    given.clear()
    given["memo"] = DECOMPOSED
    blank = loan(1, memo=b" " * 14)
    async with running(config(spec="loans", more=HANDLER)) as router:
        client = await router.connect()
        assert await client.asks(blank) == expected
        assert router.log.codes == []
    given.clear()
    async with (
        HttpService(says(http({"header": {"code": "0000"}, "body": {"memo": DECOMPOSED}}))) as rest,
        running(config(spec="loans", more=OWN.format(f'url = "http://{rest.address}/loan"'))) as router,
    ):
        client = await router.connect()
        assert await client.asks(blank) == expected
        assert router.log.codes == []


def test_the_places_above_are_those_of_the_spec():
    """Rows 24, 28 and 41: the tests' own arithmetic."""
    (message,) = [each for each in spec_named("loans").messages.values() if each.kind == "request"]
    for name, (start, end) in PLACES.items():
        planned = message.field(name)
        assert planned is not None and (planned.offset, planned.end) == (start, end)
