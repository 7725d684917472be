"""Bad fields through a listening router: the telegram is refused by its own header, its session lives, nobody is asked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from running_router import (
    ACCOUNT,
    ROOT,
    Host,
    HttpService,
    Running,
    answer_to,
    companies,
    config,
    credit,
    field,
    good_neighbour,
    http,
    place_of,
    put,
    running,
    says,
    transfer,
)

from telegram_router.telegrams import Telegram

FULL = 'validate = "full"'


def bad(row: int, name: str, code: str, path: str, value: bytes, build: Callable[..., bytes] = transfer) -> object:
    return pytest.param(build(1, **{path.partition(".")[2]: value}), code, path, id=f"row-{row}-{name}")


BAD_FIELDS = [
    *(
        bad(23, name, "E-FLD-01", "body.amount", value)
        for name, value in {
            "letter": b"00000000A1000",
            "blank-inside": b"0000 00001000",
            "blank-in-front": b"    123456789",
            "underscore": b"0000000_01000",
            "plus": b"+000000001000",
            "minus": b"-000000001000",
            "decimal-point": b"00000001000.5",
            "full-width": "１２３４５６0".encode("cp949"),
            "superscript": "²²²²²²²²²²²²²".encode("latin-1"),
            "NUL": bytes(13),
        }.items()
    ),
    bad(25, "negative-zero", "E-FLD-01", "body.fee", b"-00000000"),
    bad(25, "overpunch-plus", "E-FLD-01", "body.fee", b"00000012{"),
    bad(25, "overpunch-minus", "E-FLD-01", "body.fee", b"00000012R"),
    *(
        bad(26, f"sent-{value.decode()}", "E-FLD-03", "header.sent_date", value)
        for value in (b"20260230", b"00000000", b"00000101", b"99999999")
    ),
    *(bad(26, f"due-{value.decode()}", "E-FLD-03", "body.due_date", value, credit) for value in (b"20270229", b"00000000", b"2026 101")),
    *(bad(27, value.decode(), "E-FLD-03", "header.sent_time", value) for value in (b"246060", b"235960", b"240000", b"2359 9")),
    bad(29, "hangul-cut-in-half", "E-ENC-01", "body.memo", ACCOUNT.encode() + b"0" + "가".encode("cp949")[:1]),
    bad(29, "hangul-cut-behind-hangul", "E-ENC-01", "body.memo", ("가나다라마바".encode("cp949") + b"A" + "사".encode("cp949")[:1])),
    bad(32, "byte-80", "E-ENC-01", "body.memo", b"AB\x80CD"),
    bad(32, "byte-FF", "E-ENC-01", "body.memo", b"\xff"),
    bad(32, "no-second-byte", "E-ENC-01", "body.memo", b"\xb0\x20\x20"),
    *(
        bad(33, f"{value[2]:02X}", "E-ENC-04", "body.memo", value)
        for value in (b"AB\x00CD", b"AB\x1b[31m", b"AB\r\nCD", b"AB\nCD", b"AB\x7fCD", b"AB\tCD")
    ),
    bad(33, "in-a-code", "E-ENC-04", "body.withdrawal_account", ACCOUNT.encode() + b"\n"),
    bad(36, "amount", "E-FLD-06", "body.amount", b""),
    bad(36, "date", "E-FLD-06", "header.sent_date", b""),
    bad(36, "action", "E-FLD-06", "body.action", b"", credit),
    bad(37, "action", "E-FLD-07", "body.action", b"99", credit),
]
RESPONSES = {"E-FLD-01": "SB21", "E-FLD-03": "SB23", "E-FLD-06": "SB26", "E-FLD-07": "SB27", "E-ENC-01": "SB31", "E-ENC-04": "SB34"}


@pytest.mark.parametrize(("frame", "code", "path"), BAD_FIELDS)
async def test_a_bad_field_is_refused_by_its_name_and_nothing_is_sent(frame: bytes, code: str, path: str):
    """Rows 23, 25, 26, 27, 29, 32, 33, 36 and 37."""
    async with companies(route=FULL) as (router, core):
        client = await router.connect()
        await client.sends(frame + transfer(2))
        refused = await client.got()
        assert refused == answer_to(frame, RESPONSES[code])  # its own header and body, not a byte more
        assert await client.got() == answer_to(transfer(2))
        (line,) = router.log.of(code)
        place = place_of(frame, path.partition(".")[2])
        (problem,) = line["problems"]
        assert problem.startswith(f"{code}: ") and path in problem and f"offset {place.start - 4} " in problem
    assert core.frames == [transfer(2)]


async def test_every_bad_field_of_a_telegram_is_named_at_once():
    """Rows 23, 26 and 33 in one telegram."""
    frame = transfer(1, amount=b"12345678901.5", sent_time=b"256060", memo=b"\x00", deposit_bank_code=b"0A4")
    async with companies(route=FULL) as (router, core):
        client = await router.connect()
        assert field(await client.asks(frame), "response_code") == "SB23"  # the first of them
        (line,) = router.log.named("refused")
        assert [problem[:8] for problem in line["problems"]] == ["E-FLD-03", "E-FLD-01", "E-FLD-01", "E-ENC-04"]
    assert core.frames == []


async def test_hangul_that_a_partner_does_not_have_is_refused_where_the_spec_is_strict(tmp_path: Path):
    """Row 30: a syllable that is in cp949 and not in KS X 1001."""
    source = (ROOT / "specs" / "firmbanking.py").read_text("utf-8")
    (tmp_path / "firmbanking.py").write_text(source.replace('encoding="cp949",', 'encoding="cp949",\n    strict="ksx1001",'), "utf-8")
    within = transfer(2, memo="급여", deposit_holder="홍길동")
    frame = put(within, memo="똠")
    async with Host() as core, Host() as steady:
        text = config(core, steady, route=FULL).replace(str(ROOT / "tests" / "corpus" / "specs"), str(tmp_path))
        async with running(text) as router, good_neighbour(router):
            client = await router.connect()
            assert field(await client.asks(frame), "response_code") == "SB99"
            assert await client.asks(within) == answer_to(within)
            (line,) = router.log.of("E-ENC-02")
            assert line["problems"][0].startswith("E-ENC-02: character at byte 1 of the field is not in KS X 1001")
        assert core.frames == [within]


async def test_where_only_headers_are_checked_a_bad_body_passes_as_it_is():
    """Rows 23 and 29: between telegram peers the router does not judge what it does not read."""
    frame = transfer(1, amount=b"12345678901.5", memo=b"A" * 13 + b"\xb0")
    async with companies() as (router, core):
        client = await router.connect()
        assert await client.asks(frame) == answer_to(frame)
        assert router.log.codes == []
    assert core.frames == [frame]


# --- what a handler or an HTTP service may answer -------------------------------------------------------------------

ANSWERS = [
    pytest.param({"memo": "송금 😀"}, "E-ENC-03", id="row-31-emoji"),
    pytest.param({"memo": "\u9f98\u9f98"}, "E-ENC-03", id="row-31-kanji-outside-the-set"),
    pytest.param({"memo": "가\u11a8\u1100"}, "E-ENC-05", id="row-34-a-part-that-composes-to-nothing"),
    pytest.param({"memo": "a\u0085b"}, "E-ENC-04", id="row-33-next-line"),
    pytest.param({"memo": "a\u2028b"}, "E-ENC-04", id="row-33-line-separator"),
    pytest.param({"memo": "a\x00b"}, "E-ENC-04", id="row-33-NUL"),
    pytest.param({"memo": "가나다라마바사아"}, "E-FLD-05", id="row-35-eight-characters-in-fourteen-bytes"),
    pytest.param({"memo": "x" * 15}, "E-FLD-05", id="row-35-one-byte-more"),
    pytest.param({"amount": 10**13}, "E-FLD-05", id="row-35-a-digit-more"),
    pytest.param({"fee": -97531}, "E-FLD-01", id="row-25-negative"),
]
given: dict[str, object] = {}  # what the handler below answers with
asked: list[Telegram] = []


async def answering(telegram: Telegram) -> Telegram:
    asked.append(telegram)
    return telegram.reply(given, response_code="0000")


@pytest.mark.parametrize(("body", "code"), ANSWERS)
async def test_an_answer_that_does_not_fit_its_telegram_is_unknown_to_the_asker_and_never_cut(body: dict[str, object], code: str):
    """Rows 25, 31, 33, 34 and 35: from a handler."""
    given.clear()
    asked.clear()
    own = '[services.own]\nhandler = "test_field_rows:answering"\ntimeout = "200ms"\n'
    own += '[[routes]]\nlistener = "companies"\nservice = "own"\nmatch = { message_type = "2000", business_code = "100" }\n'
    async with Host() as steady, running(config(None, steady, more=own)) as router, good_neighbour(router):
        client = await router.connect()
        given.update(body)
        assert field(await client.asks(transfer(1)), "response_code") == "VTIM"
        (line,) = router.log.named("handler_answer_invalid")
        assert line["code"] == "E-BCK-06" and line["problems"][0].startswith(f"{code}: ")
        assert not any(str(value) in router.log.text for value in body.values())
        given.clear()
        assert field(await client.asks(transfer(2)), "response_code") == "0000"
    assert [each["message_number"] for each in asked] == ["000001", "000002"]


@pytest.mark.parametrize(("body", "code"), ANSWERS)
async def test_json_that_does_not_fit_its_telegram_is_unknown_to_the_asker_and_never_cut(body: dict[str, object], code: str):
    """Rows 25, 31, 33, 34 and 35: from an HTTP service."""
    body = {name: str(value) for name, value in body.items()}
    async with HttpService(says(http({"body": body}))) as rest, Host() as steady, bridge(rest, steady) as router, good_neighbour(router):
        client = await router.connect()
        assert field(await client.asks(transfer(1)), "response_code") == "VTIM"
        (line,) = router.log.named("http_answer_refused")
        assert line["code"] == "E-BCK-06" and code in line["what"]
        (ended,) = router.log.named("failed")
        assert all(line[key] == ended[key] for key in ("service", "asker", "answerer", "message"))
        assert not any(value in router.log.text for value in body.values())
        rest.behave = says(http({"header": {"response_code": "0000"}}))
        assert field(await client.asks(transfer(2)), "response_code") == "0000"
    assert len(rest.requests) == 2


def bridge(rest: HttpService, steady: Host) -> AbstractAsyncContextManager[Running]:
    keys = f'[services.rest]\nurl = "http://{rest.address}/credit/{{message}}"\ntimeout = "200ms"\n'
    keys += '[[routes]]\nlistener = "companies"\nservice = "rest"\nmatch = { message_type = ["2000", "5000"], business_code = "100" }\n'
    return running(config(None, steady, more=keys))
