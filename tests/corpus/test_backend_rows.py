"""Backends that answer badly, through a listening router: the asker is told that nobody knows, and nobody else notices."""

from __future__ import annotations

import json

import pytest
import trio
from running_router import (
    ACCOUNT,
    NAME,
    RESIDENT,
    Behaviour,
    Host,
    HostOfBytes,
    HttpService,
    Line,
    answer_to,
    answers,
    closes,
    companies,
    config,
    credit,
    field,
    good_neighbour,
    http,
    put,
    reframed,
    running,
    says,
    transfer,
)

from telegram_router.telegrams import Telegram
from telegram_router.wire.handlers import Handler

SECRET = f"{ACCOUNT} {NAME} {RESIDENT}"  # what a careless service may put into an error page
PAGE = f"<html><body>Internal error for {SECRET}</body></html>".encode()
OK = {"header": {"response_code": "0000"}}


# --- telegram hosts -------------------------------------------------------------------------------------------------

ANSWER = answer_to(transfer(7))

BAD_TELEGRAMS = [
    pytest.param(says(reframed(ANSWER[4:250])), "E-BCK-06", "E-BCK-06", id="short"),
    pytest.param(says(reframed(ANSWER[4:] + b"    ")), "E-BCK-06", "E-BCK-06", id="long"),
    pytest.param(says(put(ANSWER, message_type="2110")), "E-TXN-02", "E-BCK-05", id="of-no-known-type"),
    pytest.param(says(put(ANSWER, business_code="200")), "E-BCK-07", "E-BCK-05", id="another-message"),
    pytest.param(says(transfer(7)), "E-TXN-02", "E-BCK-05", id="the-request-itself"),
    pytest.param(says(b"<html><body>" + PAGE), "E-FRM-01", "E-BCK-02", id="an-HTML-page"),
    pytest.param(says(http(PAGE, "500 Internal Server Error")), "E-FRM-12", "E-BCK-02", id="HTTP"),
    pytest.param(says(b"\x15\x03\x01\x00\x02\x02\x28"), "E-FRM-11", "E-BCK-02", id="a-TLS-alert"),
    pytest.param(says(b"9999" + ANSWER[4:]), None, "E-BCK-02", id="more-announced-than-sent"),
    pytest.param(says(ANSWER[:150], then_close=True), "E-FRM-05", "E-BCK-02", id="half-an-answer-then-the-end"),
    pytest.param(closes, None, "E-BCK-02", id="the-end"),
]


@pytest.mark.parametrize(("behave", "code", "end"), BAD_TELEGRAMS)
async def test_a_host_that_answers_badly_leaves_its_asker_with_unknown_and_its_link_as_it_must(
    behave: Behaviour, code: str | None, end: str
):
    """Row 53: telegram hosts. `code` is what came, `end` how the request ended: the link is closed only where framing was lost."""
    # Half a frame must be given up well before the request is, on a busy machine too.
    async with companies(behave, service='frame_timeout = "40ms"') as (router, core):
        client, other = await router.connect(), await router.connect()
        assert await client.asks(transfer(7)) == answer_to(transfer(7), "VTIM")
        if code is not None:
            await router.logged(code)
        await client.got_nothing()
        core.behave = answers
        assert await other.asks(transfer(8)) == answer_to(transfer(8))
        assert len(core.lines) == (2 if end == "E-BCK-02" else 1)
        (line,) = router.log.named("failed")
        assert (line["code"], line["delivery"], line["service"]) == (end, "sent_unknown", "core")
    assert core.frames == [transfer(7), transfer(8)]  # never sent again


async def test_an_answer_whose_text_cannot_be_read_is_unknown_where_every_field_is_checked():
    """Row 53: bad encoding. Where only headers are checked it passes as it is."""
    unreadable = put(ANSWER, deposit_holder=b"\xff\xfe\x80")
    async with companies(says(unreadable), route='validate = "full"') as (router, core):
        client = await router.connect()
        assert field(await client.asks(transfer(7)), "response_code") == "VTIM"
        (line,) = await router.logged("E-BCK-06")
        assert "body.deposit_holder" in str(line)
        core.behave = answers
        assert await client.asks(transfer(8)) == answer_to(transfer(8))
        assert len(core.lines) == 1
    async with companies(says(unreadable)) as (router, _):
        client = await router.connect()
        assert await client.asks(transfer(7)) == unreadable


@pytest.mark.parametrize("size", [0, 1, 3, 4, 303, 304, 305, 500, 608])
async def test_of_what_a_host_has_read_before_it_died_nobody_says_that_it_was_not_sent(size: int):
    """Row 53: three requests in one write, of which the host reads k bytes."""
    async with HostOfBytes(size) as core, Host() as steady, running(config(core, steady)) as router, good_neighbour(router):
        client = await router.connect()
        await client.sends(transfer(1) + transfer(2) + transfer(3))
        told = [field(await client.got(), "response_code") for _ in range(3)]
    assert set(told) <= {"VTIM", "SB05", "SB07"}
    begun = -(-size // 304)
    assert told[:begun] == ["VTIM"] * begun


async def test_an_answer_that_dribbles_byte_by_byte_is_an_answer():
    """Row 53: slow is not bad."""
    async with companies(says(*(bytes((byte,)) for byte in ANSWER)), service='timeout = "2s"\nframe_timeout = "2s"') as (router, _):
        client = await router.connect()
        assert await client.asks(transfer(7)) == ANSWER
        assert router.log.codes == []


# --- handlers -------------------------------------------------------------------------------------------------------


async def raises(telegram: Telegram) -> Telegram:
    raise ValueError(f"no such account: {telegram['withdrawal_account']}")


async def never_returns(telegram: Telegram) -> Telegram:
    await trio.sleep_forever()
    return telegram


async def returns_nothing(telegram: Telegram) -> Telegram:
    return None  # type: ignore[return-value]


async def returns_the_request(telegram: Telegram) -> Telegram:
    return telegram


async def answers_another(telegram: Telegram) -> Telegram:
    return telegram.reply(message_number="000099")


async def gives_up(telegram: Telegram) -> Telegram:
    raise BaseExceptionGroup(SECRET, [ValueError(SECRET), KeyError(SECRET)])


async def fails_while_cancelled(telegram: Telegram) -> Telegram:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError(SECRET)


async def exits(telegram: Telegram) -> Telegram:
    raise SystemExit(SECRET)


@pytest.mark.parametrize(
    ("handler", "code"),
    [
        (fails_while_cancelled, "E-BCK-05"),
        (exits, "E-BCK-08"),
        (raises, "E-BCK-08"),
        (gives_up, "E-BCK-08"),
        (never_returns, "E-BCK-05"),
        (returns_nothing, "E-BCK-08"),
        (returns_the_request, "E-BCK-08"),
        (answers_another, "E-BCK-08"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
async def test_a_handler_that_fails_leaves_its_asker_with_unknown_and_the_log_without_its_words(handler: Handler, code: str):
    """Row 53: Python handlers."""
    own = f'[services.own]\nhandler = "test_backend_rows:{handler.__name__}"\ntimeout = "60ms"\nconcurrency = 1\n'
    own += '[[routes]]\nlistener = "companies"\nservice = "own"\nmatch = { message_type = "2000", business_code = "100" }\n'
    async with Host() as steady, running(config(None, steady, more=own)) as router, good_neighbour(router):
        client = await router.connect()
        for number in (1, 2):  # and its place is free again
            assert await client.asks(transfer(number)) == answer_to(transfer(number), "VTIM")
        assert {line["code"] for line in router.log.named("failed")} == {code}


# --- HTTP services --------------------------------------------------------------------------------------------------


def raw(*lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def chunked(*chunks: bytes, end: bool = True) -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + (b"0\r\n\r\n" if end else b"")
    return raw("HTTP/1.1 200 OK", "Content-Type: application/json", "Transfer-Encoding: chunked", body=body)


async def floods(line: Line, _head: bytes) -> None:
    """More body than anybody wants, without an announcement."""
    await line.sends(raw("HTTP/1.1 200 OK", "Content-Type: application/json", "Transfer-Encoding: chunked"))
    for _ in range(1600):
        try:
            await line.stream.send_all(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        except trio.BrokenResourceError:
            return
    raise AssertionError("100 MiB were read")


async def endless_chunks(line: Line, _head: bytes) -> None:
    """A header that is good, then chunk extensions for ever."""
    await line.sends(raw("HTTP/1.1 200 OK", "Content-Type: application/json", "Transfer-Encoding: chunked"))
    with trio.move_on_after(2):
        await line.stream.send_all(b"1;")
        while True:
            try:
                await line.stream.send_all(b"x" * 4096)
            except trio.BrokenResourceError:
                return
    raise AssertionError("read for ever")


async def interim_flood(line: Line, _head: bytes) -> None:
    for _ in range(100_000):
        try:
            await line.stream.send_all(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 64)
        except trio.BrokenResourceError:
            return
    raise AssertionError("1xx were read for ever")


async def silence(line: Line, _head: bytes) -> None:
    await trio.sleep_forever()


BAD_HTTP = [
    pytest.param(says(http(PAGE, kind="text/html")), "E-BCK-06", id="200-with-an-HTML-page"),
    pytest.param(says(http(PAGE, "500 Internal Server Error", kind="text/html")), "E-BCK-04", id="500-with-an-HTML-page"),
    pytest.param(says(http(PAGE)), "E-BCK-06", id="200-with-non-JSON"),
    pytest.param(says(http(b'{"body": {"memo": "' + SECRET.encode() + b'"')), "E-BCK-06", id="JSON-cut"),
    pytest.param(says(http(b"")), "E-BCK-06", id="no-JSON"),
    pytest.param(says(http(b'["' + SECRET.encode() + b'"]')), "E-BCK-06", id="JSON-of-another-shape"),
    pytest.param(says(http(b'{"body": ' * 5000 + b"}" * 5000)), "E-BCK-06", id="JSON-too-deep"),
    pytest.param(says(http('{"body": {"memo": "가"}}'.encode("cp949"))), "E-BCK-06", id="JSON-in-cp949"),
    pytest.param(says(http({"body": {"memo": 12345}})), "E-BCK-06", id="wrong-type"),
    pytest.param(says(http({"body": {"amount": 1.5}})), "E-BCK-06", id="amount-as-a-float"),
    pytest.param(says(http({"body": {"loan_balance": True}})), "E-BCK-06", id="amount-as-a-truth"),
    pytest.param(says(http({"body": {"nobody_knows": SECRET}})), "E-BCK-06", id="unknown-field"),
    pytest.param(says(http({"message": "transfer.response"})), "E-BCK-06", id="another-message"),
    pytest.param(says(http(b'{"body": {"memo": NaN}}')), "E-BCK-06", id="NaN"),
    pytest.param(says(http(OK, "302 Found", ["Location: http://169.254.169.254/"])), "E-BCK-04", id="redirect"),
    pytest.param(says(http(OK, "404 Not Found")), "E-BCK-04", id="404"),
    pytest.param(says(http(OK, "503 Service Unavailable")), "E-BCK-04", id="503"),
    pytest.param(says(http(b"", "204 No Content")), "E-BCK-04", id="204"),
    pytest.param(says(raw("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade")), "E-BCK-04", id="101"),
    pytest.param(says(http(OK, headers=["Content-Encoding: gzip"])), "E-BCK-04", id="gzip"),
    pytest.param(
        says(raw("HTTP/1.1 200 OK", "Content-Type: application/json", "Content-Length: 104857600")), "E-BCK-03", id="100-MiB-announced"
    ),
    pytest.param(floods, "E-BCK-03", id="100-MiB-sent"),
    pytest.param(endless_chunks, "E-BCK-03", id="endless-chunk-extensions"),
    pytest.param(interim_flood, "E-BCK-03", id="1xx-flood"),
    pytest.param(says(raw("HTTP/1.1 200 OK", *(f"X-{n}: {'y' * 1000}" for n in range(20)), body=b"{}")), "E-BCK-03", id="20-KiB-header"),
    pytest.param(says(raw("HTTP/1.1 200 OK", "Content-Type: application/json", body=b"{}"), then_close=True), "E-BCK-06", id="no-length"),
    pytest.param(
        says(raw("HTTP/1.1 200 OK", "Content-Type: application/json", "Content-Length: 2", "Content-Length: 3", body=b"{}x")),
        "E-BCK-06",
        id="two-lengths",
    ),
    pytest.param(
        says(raw("HTTP/1.1 200 OK", "Content-Type: application/json", "Content-Length: 2", "Transfer-Encoding: chunked", body=b"{}")),
        "E-BCK-06",
        id="length-and-chunks",
    ),
    pytest.param(
        says(raw("HTTP/1.1 200 OK", "Set-Cookie: a=b\nX: " + ACCOUNT, "Content-Length: 2", body=b"{}")),
        "E-BCK-06",
        id="bare-LF-in-a-header",
    ),
    pytest.param(
        says(raw("HTTP/1.1 200 OK", "Set-Cookie: a=b\rX: " + ACCOUNT, "Content-Length: 2", body=b"{}")),
        "E-BCK-06",
        id="bare-CR-in-a-header",
    ),
    pytest.param(says(raw("HTTP/1.1 200 OK", "X: a\x00b", "Content-Length: 2", body=b"{}")), "E-BCK-06", id="NUL-in-a-header"),
    pytest.param(says(raw("HTTP/2 200 OK", "Content-Length: 2", body=b"{}")), "E-BCK-06", id="HTTP-2"),
    pytest.param(says(b"SSH-2.0-OpenSSH_9.6\r\n"), "E-BCK-06", id="SSH"),
    pytest.param(says(reframed(ANSWER[4:])), "E-BCK-06", id="a-telegram"),
    pytest.param(says(chunked(b'{"body":', b"{}}", end=False), then_close=True), "E-BCK-02", id="chunks-without-an-end"),
    pytest.param(says(http(OK)[:60], then_close=True), "E-BCK-02", id="half-a-header"),
    pytest.param(closes, "E-BCK-02", id="the-end"),
    pytest.param(silence, "E-BCK-05", id="silence"),
    pytest.param(says(http(OK)[:60]), "E-BCK-05", id="half-an-answer-then-silence"),
]


def bridged(rest: HttpService, steady: Host, keys: str = "", timeout: str = "200ms") -> str:
    own = f'[services.rest]\nurl = "http://{rest.address}/credit"\ntimeout = "{timeout}"\nconnections = 2\n{keys}\n'
    own += '[[routes]]\nlistener = "companies"\nservice = "rest"\nmatch = { message_type = "5000", business_code = "100" }\n'
    return config(None, steady, more=own)


@pytest.mark.parametrize(("behave", "code"), BAD_HTTP)
async def test_an_http_service_that_answers_badly_leaves_its_asker_with_unknown(behave: Behaviour, code: str):
    """Row 53: HTTP services. Nothing is resent, the connection is not used again, and the next request is answered."""
    async with HttpService(behave) as rest, Host() as steady, running(bridged(rest, steady)) as router, good_neighbour(router):
        client = await router.connect()
        asked = credit(7)
        assert await client.asks(asked) == answer_to(asked, "VTIM")
        lines = await router.logged(code, 1 if code == "E-BCK-05" else 2)  # why, and how the request ended
        assert {line["service"] for line in lines} == {"rest"} and lines[-1]["delivery"] == "sent_unknown"
        rest.behave = says(http(OK))
        assert await client.asks(credit(8)) == answer_to(credit(8))
        await client.got_nothing()
    assert [json.loads(body)["header"]["message_number"] for _, body in rest.requests] == ["000007", "000008"]


@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(says(raw("HTTP/1.1 100 Continue"), raw("HTTP/1.1 103 Early Hints", "Link: </a>"), http(OK)), id="1xx-before-it"),
        pytest.param(says(chunked(json.dumps(OK).encode()[:9], json.dumps(OK).encode()[9:])), id="in-chunks"),
        pytest.param(says(*(bytes((byte,)) for byte in http(OK))), id="byte-by-byte"),
        pytest.param(says(http(OK, headers=["Connection: close"]), then_close=True), id="and-closed"),
        pytest.param(says(http(OK, headers=["Set-Cookie: a=b; Path=/", "Set-Cookie: c=d"])), id="with-cookies"),
    ],
)
async def test_an_unusual_answer_of_an_http_service_is_an_answer(behave: Behaviour):
    """Row 53: what is good must stay good."""
    async with (
        HttpService(behave) as rest,
        Host() as steady,
        running(bridged(rest, steady, timeout="2s")) as router,
        good_neighbour(router),
    ):
        client = await router.connect()
        for number in (7, 8):
            assert await client.asks(credit(number)) == answer_to(credit(number))
        assert router.log.codes == []
    assert all(b"cookie" not in head.lower() for head, _ in rest.requests)


async def test_bytes_behind_an_answer_pair_with_nothing_and_end_their_connection():
    """Rows 52 and 53: a second answer right behind the first, and one on an idle connection."""
    second = http({"header": {"response_code": "9999"}})
    async with (
        HttpService(says(http(OK) + second)) as rest,
        Host() as steady,
        running(bridged(rest, steady)) as router,
        good_neighbour(router),
    ):
        client = await router.connect()
        assert await client.asks(credit(7)) == answer_to(credit(7))
        rest.behave = says(http(OK))
        assert await client.asks(credit(8)) == answer_to(credit(8))
        await rest.line.sends(second)
        assert await client.asks(credit(9)) == answer_to(credit(9))
        assert router.log.codes == []
    assert len(rest.lines) == 3 and len(rest.requests) == 3


async def test_a_definite_status_says_that_nothing_was_done():
    """Row 53: the only statuses that do."""
    page = says(http(PAGE, "409 Conflict", kind="text/html"))
    async with (
        HttpService(page) as rest,
        Host() as steady,
        running(bridged(rest, steady, "definite = [409]")) as router,
        good_neighbour(router),
    ):
        client = await router.connect()
        assert await client.asks(credit(7)) == answer_to(credit(7), "SB08")
        await router.logged("E-BCK-09")


async def test_what_nobody_could_be_reached_for_was_not_sent():
    """Row 53: the one case of a backend's fault that is definite."""
    async with HttpService(silence) as gone, Host() as lost:
        pass
    keys = 'pending_timeout = "60ms"\nconnect_timeout = "200ms"'
    async with Host() as steady:
        text = bridged(gone, steady, keys)
        async with running(text) as router, good_neighbour(router):
            client = await router.connect()
            assert await client.asks(credit(7)) == answer_to(credit(7), "SB07")
            await router.logged("E-BCK-10")
    async with Host() as steady, running(config(lost, steady, service=keys)) as router, good_neighbour(router):
        client = await router.connect()
        assert await client.asks(transfer(7)) == answer_to(transfer(7), "SB07")
        await router.logged("E-BCK-10")
