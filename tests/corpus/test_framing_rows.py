"""Bad framing through a listening router: its own session ends or its telegram is refused, and nothing else notices."""

from __future__ import annotations

import random
import shutil

import pytest
import trio
from running_router import (
    Client,
    Host,
    Line,
    Running,
    answer_to,
    companies,
    config,
    field,
    good_neighbour,
    reframed,
    running,
    sample,
    transfer,
)

TELEGRAM = transfer()[4:]
CLIENT_HELLO = bytes.fromhex("160301013a01000136") + b"\x03\x03" + bytes(range(256)) + b"\x13\x01" * 27  # 321 bytes: more than a telegram

FOREIGN = [
    pytest.param(CLIENT_HELLO, "E-FRM-11", id="row-16-tls-client-hello"),
    pytest.param(CLIENT_HELLO[:2], "E-FRM-11", id="row-16-two-bytes-of-tls"),
    *(
        pytest.param(word + b" / HTTP/1.1\r\nHost: bank.example\r\n\r\n", "E-FRM-12", id=f"row-17-{word.decode()}")
        for word in (b"GET", b"POST", b"HEAD", b"OPTIONS")
    ),
    pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "E-FRM-12", id="row-17-http2"),
    pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n", "E-FRM-13", id="row-18-ssh"),
    pytest.param(b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n" + transfer(), "E-FRM-13", id="row-18-proxy-v1"),
    pytest.param(b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12) + transfer(), "E-FRM-13", id="row-18-proxy-v2"),
    pytest.param(b"\xf0\xf3\xf0\xf0" + TELEGRAM.decode("ascii", "replace").encode("cp037", "replace"), "E-FRM-14", id="row-19-ebcdic"),
]

LENGTHS = [
    pytest.param(b"12A4", "E-FRM-01", id="row-1-a-letter"),
    pytest.param("３００".encode("cp949")[:4], "E-FRM-01", id="row-2-full-width-digits"),
    pytest.param("٣٠".encode(), "E-FRM-01", id="row-2-arabic-digits"),
    *(
        pytest.param(each, "E-FRM-01", id=f"row-2-{each.decode().strip()}")
        for each in (b"1_00", b"+300", b"-300", b" 300", b"300 ", b"3.00")
    ),
    pytest.param("²³¹0".encode("latin-1"), "E-FRM-01", id="row-2-superscripts"),
    pytest.param(b"0000", "E-FRM-02", id="row-3-nothing"),
    pytest.param(b"0050", "E-FRM-02", id="row-4-below-the-header"),
]


async def ends(router: Running, client: Client, code: str) -> dict[str, str]:
    """The client is cut off without a byte, and one line says why; returns the line."""
    assert await client.closed() == b""
    (line,) = await router.logged(code)
    assert [each for each in router.log.codes if each.startswith("E-FRM")] == [code]
    return line


@pytest.mark.parametrize(("sent", "code"), FOREIGN)
async def test_a_client_of_another_protocol_is_cut_off_and_named(sent: bytes, code: str):
    """Rows 16, 17, 18 and 19."""
    async with companies() as (router, core):
        client = await router.connect()
        await client.sends(sent)
        line = await ends(router, client, code)
        assert "like" in line["what"] and line["expected"] and line["do"]
    assert core.frames == []


@pytest.mark.parametrize(("length", "code"), LENGTHS)
async def test_a_length_that_is_none_ends_its_session_and_no_other(length: bytes, code: str):
    """Rows 1, 2, 3 and 4: at the front of a connection."""
    async with companies() as (router, core):
        client = await router.connect()
        await client.sends(length + TELEGRAM)
        await ends(router, client, code)
    assert core.frames == []


@pytest.mark.parametrize(("length", "code"), LENGTHS)
async def test_what_was_asked_before_a_bad_length_is_still_answered(length: bytes, code: str):
    """Rows 1, 2, 3 and 4: behind good telegrams, in one segment with them. The answer comes after framing was lost."""

    async def answers_late(line: Line, frame: bytes) -> None:
        await trio.sleep(0.02)
        await line.sends(answer_to(frame))

    async with companies(answers_late) as (router, core):
        client = await router.connect()
        await client.sends(transfer(1) + transfer(2) + length + TELEGRAM)
        assert await client.closed() == answer_to(transfer(1)) + answer_to(transfer(2))
        (line,) = await router.logged(code)
        assert "hex" not in line["what"]  # only the very first bytes of a connection may be shown
    assert core.frames == [transfer(1), transfer(2)]


@pytest.mark.parametrize(
    ("length", "limit"), [pytest.param(b"9999", "1KiB", id="row-5-ascii"), pytest.param(b"0997", "1000B", id="row-5-one-too-many")]
)
async def test_a_length_above_the_maximum_ends_its_session_before_a_byte_of_it_has_come(length: bytes, limit: str):
    """Row 5."""
    async with companies(listener=f'max_frame = "{limit}"') as (router, core):
        client = await router.connect()
        await client.sends(length)
        line = await ends(router, client, "E-FRM-03")
        assert str(int(length) + 4) in line["what"]
    assert core.frames == []


def work(number: int, content: bytes = b"anything") -> bytes:
    """A telegram of the tests' own specs, without its frame."""
    return b"2000%06d    " % number + content


@pytest.mark.parametrize(
    ("length", "code"),
    [
        pytest.param(b"\xff\xff\xff\xff", "E-FRM-03", id="row-5-binary"),
        pytest.param((-300).to_bytes(4, "big", signed=True), "E-FRM-03", id="row-6-negative"),
        pytest.param((2**31).to_bytes(4, "big"), "E-FRM-03", id="row-6-the-sign-bit-alone"),
        pytest.param(bytes(4), "E-FRM-02", id="row-3-binary"),
    ],
)
async def test_a_binary_length_out_of_bounds_ends_its_session_and_no_other(length: bytes, code: str):
    """Rows 3, 5 and 6: where any four bytes are a number."""

    def framed(telegram: bytes) -> bytes:
        return len(telegram).to_bytes(4, "big") + telegram

    async with Host(echo_work, spec="binary") as core, running(config(core, spec="binary")) as router:
        neighbour, client = await router.connect(), await router.connect()
        assert (await neighbour.asks(framed(work(1))))[4:8] == b"2100"
        await client.sends(length + work(2))
        await ends(router, client, code)
        assert (await neighbour.asks(framed(work(3))))[4:8] == b"2100"
    assert len(core.frames) == 2


async def echo_work(line: Line, frame: bytes) -> None:
    await line.sends(frame.replace(b"2000", b"2100", 1))


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(b"\x0302200000001    xxxx\x03", id="row-14-wrong-stx"),
        pytest.param(b"\x020018200000000001    xxx!", id="row-14-wrong-etx"),
        pytest.param(b"\x020018200000000001    xxxxx\x03", id="row-14-etx-one-late"),
    ],
)
async def test_a_frame_without_its_marks_ends_its_session_and_no_other(broken: bytes):
    """Row 14."""

    def framed(telegram: bytes) -> bytes:
        return b"\x02%04d" % (len(telegram) + 1) + telegram + b"\x03"

    async with Host(echo_work, spec="marked") as core, running(config(core, spec="marked")) as router:
        neighbour, client = await router.connect(), await router.connect()
        assert (await neighbour.asks(framed(work(1))))[5:9] == b"2100"
        await client.sends(broken)
        await ends(router, client, "E-FRM-09")
        assert (await neighbour.asks(framed(work(3))))[5:9] == b"2100"
    assert len(core.frames) == 2


@pytest.mark.parametrize("pieces", [1, 3], ids=["alone", "three-in-a-row"])
async def test_a_length_that_counts_itself_is_named_with_the_setting_that_would_suit_it(pieces: int):
    """Row 7: four bytes more than there are. What was cut of it is refused, not sent."""
    async with companies() as (router, core):
        client = await router.connect()
        await client.sends(reframed(TELEGRAM, 304) * pieces)
        rest = await client.closed()
        (line,) = await router.logged("E-FRM-04")
        assert "4 bytes earlier" in line["what"] and 'counts = "self"' in line["do"]
        assert len(rest) == (0 if pieces == 1 else 304)
        assert not rest or field(rest, "response_code") == "SB11"
    assert core.frames == []


async def test_a_length_that_leaves_itself_out_is_named_with_the_setting_that_would_suit_it():
    """Row 7: the other way round, on a line whose length counts everything."""
    short = b"0316" + sample("transfer.request", "hmfb")[4:]
    async with Host(spec="hmfb") as core, running(config(core, spec="hmfb")) as router, good_neighbour(router):
        client = await router.connect()
        await client.sends(short * 2)
        refused = await client.closed()
        assert field(refused, "response_code", "hmfb") == "H999"
        (line,) = await router.logged("E-FRM-04")
        assert "4 bytes later" in line["what"] and 'counts = "payload"' in line["do"]
    assert short not in core.frames


@pytest.mark.parametrize("size", [1, 3, 4, 5, 100, 303], ids=lambda size: f"after-{size}-bytes")
async def test_a_client_that_ends_inside_a_telegram_is_told_apart_from_one_that_ends_behind_it(size: int):
    """Row 8: what came whole before is answered all the same."""
    async with companies() as (router, core):
        client, polite = await router.connect(), await router.connect()
        assert await client.asks(transfer(1)) == answer_to(transfer(1))
        await client.sends(transfer(2)[:size])
        await client.goes()
        (line,) = await router.logged("E-FRM-05")
        assert f"got {size}" in line["what"]
        assert await polite.asks(transfer(3)) == answer_to(transfer(3))
        await polite.goes()
        await router.until(lambda: len(router.log.named("session_closed")) == 2)
        assert len(router.log.of("E-FRM-05")) == 1
    assert core.frames == [transfer(1), transfer(3)]


async def test_one_and_a_half_telegrams_then_the_end_forwards_the_whole_one_only():
    """Rows 8 and 11."""
    async with companies() as (router, core):
        client = await router.connect()
        await client.sends(transfer(1) + transfer(2)[:150])
        await client.hangs_up()
        assert await client.closed() in (b"", answer_to(transfer(1)))
        await router.logged("E-FRM-05")
        await router.until(lambda: core.frames)
    assert core.frames == [transfer(1)]


@pytest.mark.parametrize("begun", [1, 4, 200], ids=lambda size: f"{size}-bytes-at-once")
async def test_a_telegram_that_dribbles_is_given_up_in_time(begun: int):
    """Row 9: each byte that comes renews nothing."""
    async with companies() as (router, core):
        client = await router.connect()
        assert await client.asks(transfer(1)) == answer_to(transfer(1))
        await client.sends(transfer(2)[:begun])
        started = trio.current_time()
        async with trio.open_nursery() as nursery:

            async def dribble() -> None:
                for byte in transfer(2)[begun:]:
                    await client.sends(bytes((byte,)))
                    await trio.sleep(0.02)

            nursery.start_soon(dribble)
            assert await client.closed() == b""
            nursery.cancel_scope.cancel()
        assert 0.1 < trio.current_time() - started < 0.4
        (line,) = await router.logged("E-FRM-06")
        assert "within 0.15 s" in line["what"]
    assert core.frames == [transfer(1)]


async def test_bytes_that_come_one_by_one_make_the_same_telegrams():
    """Row 10."""
    asked = [transfer(number) for number in range(1, 3)]
    async with companies(listener='frame_timeout = "2s"') as (router, core):
        client = await router.connect()
        for byte in b"".join(asked):
            await client.sends(bytes((byte,)))
            await trio.lowlevel.checkpoint()
        assert [await client.got() for _ in asked] == [answer_to(frame) for frame in asked]
        assert router.log.codes == []
    assert core.frames == asked


async def test_telegrams_in_one_segment_are_answered_in_order_and_half_a_one_waits_for_the_rest():
    """Row 11."""
    asked = [transfer(number) for number in range(1, 5)]
    stream = b"".join(asked)
    async with companies() as (router, core):
        client = await router.connect()
        await client.sends(stream[: 3 * 304 + 152])
        assert [await client.got() for _ in range(3)] == [answer_to(frame) for frame in asked[:3]]
        await client.got_nothing()
        await client.sends(stream[3 * 304 + 152 :])
        assert await client.got() == answer_to(asked[3])
        assert router.log.codes == []
    assert core.frames == asked


@pytest.mark.parametrize(
    ("frame", "code", "response"),
    [
        pytest.param(reframed(TELEGRAM + b"    "), "E-FRM-07", "SB11", id="row-12-four-bytes-more"),
        pytest.param(reframed(TELEGRAM + bytes(500)), "E-FRM-07", "SB11", id="row-12-NUL-behind-it"),
        pytest.param(reframed(TELEGRAM[:250]), "E-FRM-08", "SB12", id="row-13-fifty-bytes-less"),
        pytest.param(reframed(TELEGRAM[:100]), "E-FRM-08", "SB12", id="row-13-the-header-alone"),
    ],
)
async def test_a_telegram_of_another_size_is_refused_and_its_session_lives(frame: bytes, code: str, response: str):
    """Rows 12 and 13."""
    async with companies() as (router, core):
        client = await router.connect()
        await client.sends(frame + transfer(2))
        refused = await client.got()
        assert field(refused, "response_code") == response
        assert len(refused) == 304 and refused[4:13] == b"SETTLEBNK" and field(refused, "message_number") == "000001"
        assert await client.got() == answer_to(transfer(2))
        assert await client.asks(transfer(3)) == answer_to(transfer(3))
        (line,) = router.log.of(code)
        assert (line["event"], line["message"]) == ("refused", "transfer.request")
    assert core.frames == [transfer(2), transfer(3)]


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(bytes(1 << 20), id="NUL"),
        pytest.param(b"\xff" * (1 << 20), id="FF"),
        pytest.param(random.Random(20).randbytes(1 << 20), id="random"),
    ],
)
async def test_a_mebibyte_of_nonsense_costs_one_line_and_hardly_any_work(flood: bytes):
    """Row 20."""
    async with companies() as (router, core):
        client = await router.connect()
        await client.sends(flood)
        await ends(router, client, "E-FRM-01")
        assert len(router.log.named("framing_lost")) == 1
        assert router.switch.listeners["companies"].bytes_in < 1 << 17  # the rest was thrown away unseen
    assert core.frames == []


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(CLIENT_HELLO, "E-FRM-11", id="row-16"),
        pytest.param(b"GET /balance HTTP/1.1\r\nHost: bank.example\r\nCookie: " + b"c" * 300 + b"\r\n\r\n", "E-FRM-12", id="row-17"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", "E-FRM-12", id="row-17-shorter-than-a-telegram"),
    ],
)
async def test_where_every_telegram_has_the_same_size_another_protocol_is_named_all_the_same(sent: bytes, code: str):
    """Rows 16 and 17: without a length anything can be cut, but not read."""
    async with Host(spec="ksnet") as core, running(config(core, spec="ksnet")) as router, good_neighbour(router):
        client = await router.connect()
        await client.sends(sent)
        await ends(router, client, code)
    assert len(core.frames) == 2


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_curl_on_a_telegram_port_gets_no_answer_and_the_log_says_what_came():
    """Row 17: a real HTTP client."""
    async with companies() as (router, core):
        host, port = router.address()
        curl = await trio.run_process(
            ["curl", "-sS", "-m", "2", f"http://{host}:{port}/"], capture_stderr=True, capture_stdout=True, check=False
        )
        assert (curl.returncode, curl.stdout) == (52, b"")  # an empty reply from the server
        (line,) = await router.logged("E-FRM-12")
        assert "HTTP" in line["what"]
    assert core.frames == []
