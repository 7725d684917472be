"""The HTTP client as bytes out and bytes in: which answers count, and that nothing else is ever taken for one."""

from __future__ import annotations

import gc
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from telegram_router.errors import BackendError, Delivery
from telegram_router.wire.http import HEADS_KEPT, HttpReply, HttpRequestTemplate, Response, header_lines, outcome, status_error

OK = b"HTTP/1.1 200 OK\r\n"
JSON = b"Content-Type: application/json\r\n"
BODY = b'{"code":"0000"}'
LENGTH = b"Content-Length: 15\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
ANSWER = OK + JSON + LENGTH + b"\r\n" + BODY
CHUNKS = OK + JSON + CHUNKED + b"\r\n7;why=not\r\n" + BODY[:7] + b"\r\n8\r\n" + BODY[7:] + b"\r\n0\r\nDigest: x\r\n\r\n"


def waiting(**limits: int) -> HttpReply:
    reply = HttpReply(**limits)
    reply.expect()
    return reply


def read(data: bytes, cut: int = 0, **limits: int) -> tuple[Response, HttpReply]:
    """The answer and the reader after it; `cut` bytes at a time, 0 for all at once."""
    reply = waiting(**limits)
    step = cut or len(data)
    found = [answer for at in range(0, len(data), step) if (answer := reply.feed(data[at : at + step]))]
    assert len(found) == 1
    return found[0], reply


def refusal(data: bytes, cut: int = 0, **limits: int) -> BackendError:
    """The error of an answer, always sent_unknown, after which the connection is of no use."""
    reply = waiting(**limits)
    step = cut or len(data)
    with pytest.raises(BackendError) as caught:
        for at in range(0, len(data), step):
            assert reply.feed(data[at : at + step]) is None
    assert caught.value.delivery is Delivery.SENT_UNKNOWN
    assert caught.value.__cause__ is None and not reply.reusable and reply.tainted
    assert reply.feed(ANSWER) is None
    return caught.value


# -- answers that count


@pytest.mark.parametrize("cut", [0, 1, 7])
@pytest.mark.parametrize("data", [ANSWER, CHUNKS], ids=["length", "chunks"])
def test_a_whole_answer_is_returned_and_the_connection_takes_the_next_request(data: bytes, cut: int) -> None:
    answer, reply = read(data, cut)
    assert answer == Response(200, BODY, keep_alive=True)
    assert reply.reusable and not reply.tainted
    reply.expect()
    assert reply.feed(data) == answer


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "Application/JSON; charset=UTF-8",
        'application/json;charset="utf-8"',
        "application/problem+json",
        "application/json; v=1",
    ],
)
def test_json_is_known_by_its_content_type(kind: str) -> None:
    assert read(OK + f"content-type: {kind}\r\n".encode() + LENGTH + b"\r\n" + BODY)[0].body == BODY


def test_header_names_may_have_any_case() -> None:
    assert read(OK + b"CONTENT-TYPE: application/json\r\ncontent-LENGTH: 15\r\n\r\n" + BODY)[0].body == BODY


@pytest.mark.parametrize("cut", [0, 1])
def test_interim_answers_are_skipped_and_their_headers_do_not_count(cut: int) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Type: text/html\r\nLink: </x>\r\n\r\n"
    assert read(interim + ANSWER, cut)[0] == Response(200, BODY, keep_alive=True)
    assert refusal(b"HTTP/1.1 103 Early Hints\r\n" + JSON + b"\r\n" + OK + LENGTH + b"\r\n" + BODY).code == "E-BCK-06"


@pytest.mark.parametrize("cut", [0, 1])
@pytest.mark.parametrize(
    ("data", "status"),
    [
        (ANSWER.replace(b"HTTP/1.1", b"HTTP/1.0"), 200),
        (ANSWER.replace(b"HTTP/1.1", b"HTTP/1.0").replace(LENGTH, LENGTH + b"Connection: keep-alive\r\n"), 200),
        (ANSWER.replace(LENGTH, LENGTH + b"Connection: close\r\n"), 200),
        (b"HTTP/1.1 503 Busy\r\nConnection: Close\r\nContent-Length: 15\r\n\r\n" + BODY, 503),
    ],
)
def test_an_answer_that_closes_the_connection_is_valid(data: bytes, status: int, cut: int) -> None:
    answer, reply = read(data, cut)
    assert answer == Response(status, BODY, keep_alive=False)
    assert not reply.reusable and not reply.tainted


@pytest.mark.parametrize(
    ("data", "status", "body"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204, b""),
        (b"HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n", 205, b""),
        (b"HTTP/1.1 422 No\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nno", 422, b"no"),
        (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", 503, b""),
        (b"HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n", 999, b""),
        (OK + b"Upgrade: h2c\r\nConnection: upgrade\r\n" + JSON + b"Content-Length: 2\r\n\r\n{}", 200, b"{}"),
        (OK + JSON + b"Content-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}", 200, b"{}"),
    ],
)
def test_other_whole_answers(data: bytes, status: int, body: bytes) -> None:
    for cut in (0, 1):
        answer, reply = read(data, cut)
        assert answer == Response(status, body, keep_alive=True) and reply.reusable


# -- bytes that belong to nobody


STRAY = [ANSWER, b"H", b"\r\n", b"\n", b"\x00", b"{}", b"HTTP/1.1 500 x\r\n\r\n", b"\r\n\r\n\r\n"]


@pytest.mark.parametrize("stray", STRAY)
@pytest.mark.parametrize("data", [ANSWER, CHUNKS, ANSWER.replace(LENGTH, LENGTH + b"Connection: close\r\n"), b"HTTP/1.1 204 x\r\n\r\n"])
@pytest.mark.parametrize("together", [True, False])
def test_bytes_behind_an_answer_pair_with_nothing(data: bytes, stray: bytes, together: bool) -> None:
    reply = waiting()
    answer = reply.feed(data + stray) if together else reply.feed(data)
    assert answer is not None and answer.body in (BODY, b"")
    if not together:
        assert reply.feed(stray) is None
    assert reply.tainted and not reply.reusable
    assert not (together and answer.keep_alive)
    with pytest.raises(RuntimeError):
        reply.expect()


def test_a_body_that_ends_in_a_line_end_has_nothing_behind_it() -> None:
    answer, reply = read(OK + JSON + b"Content-Length: 3\r\n\r\n{}\n")
    assert answer.body == b"{}\n" and reply.reusable
    answer, reply = read(OK + JSON + b"Content-Length: 3\r\n\r\n{}\n\n")
    assert answer.body == b"{}\n" and reply.tainted


@pytest.mark.parametrize("stray", STRAY)
def test_bytes_on_an_idle_connection_taint_it(stray: bytes) -> None:
    reply = HttpReply()
    assert reply.feed(b"") is None and reply.reusable
    assert reply.feed(stray) is None
    assert reply.tainted and not reply.reusable


def test_the_end_of_an_idle_connection_is_no_fault() -> None:
    reply = HttpReply()
    reply.end()
    _, used = read(ANSWER)
    used.end()


@pytest.mark.parametrize("length", range(len(CHUNKS)))
def test_an_end_before_the_end_of_the_answer_is_no_answer(length: int) -> None:
    reply = waiting()
    assert reply.feed(CHUNKS[:length]) is None
    with pytest.raises(BackendError) as caught:
        reply.end()
    assert caught.value.code == "E-BCK-02" and caught.value.delivery is Delivery.SENT_UNKNOWN
    assert ("inside" if length else "before") in caught.value.what
    assert not reply.reusable


def test_a_second_request_must_wait_for_the_first_answer() -> None:
    reply = waiting()
    assert reply.expecting
    with pytest.raises(RuntimeError):
        reply.expect()


# -- answers that are none


REFUSED = {
    "two lengths": (OK + JSON + LENGTH + b"Content-Length: 16\r\n\r\n" + BODY, "E-BCK-06"),
    "length and chunks": (OK + JSON + LENGTH + CHUNKED + b"\r\n", "E-BCK-06"),
    "chunks and length": (OK + JSON + CHUNKED + LENGTH + b"\r\n", "E-BCK-06"),
    "no length": (OK + JSON + b"\r\n" + BODY, "E-BCK-06"),
    "no length, closing": (OK + JSON + b"Connection: close\r\n\r\n" + BODY, "E-BCK-06"),
    "no length, an error status": (b"HTTP/1.1 500 x\r\n\r\n<html>", "E-BCK-06"),
    "signed length": (OK + JSON + b"Content-Length: +2\r\n\r\n{}", "E-BCK-06"),
    "hexadecimal length": (OK + JSON + b"Content-Length: 0x2\r\n\r\n{}", "E-BCK-06"),
    "list of lengths": (OK + JSON + b"Content-Length: 2, 2\r\n\r\n{}", "E-BCK-06"),
    "empty length": (OK + JSON + b"Content-Length:\r\n\r\n{}", "E-BCK-06"),
    "length of 25 digits": (OK + JSON + b"Content-Length: " + b"9" * 25 + b"\r\n\r\n", "E-BCK-06"),
    "chunk size that is no number": (OK + JSON + CHUNKED + b"\r\nzz\r\n", "E-BCK-06"),
    "chunk without its end": (OK + JSON + CHUNKED + b"\r\n2\r\n{}x", "E-BCK-06"),
    "bare line feeds": (ANSWER.replace(b"\r\n", b"\n"), "E-BCK-06"),
    "folded header": (OK + b"X: a\r\n b\r\n" + JSON + LENGTH + b"\r\n", "E-BCK-06"),
    "NUL in a header": (OK + b"X: a\x00\r\n" + JSON + LENGTH + b"\r\n", "E-BCK-06"),
    "space before the colon": (OK + JSON + b"Content-Length : 15\r\n\r\n" + BODY, "E-BCK-06"),
    "status that is no number": (b"HTTP/1.1 OK 200\r\n\r\n", "E-BCK-06"),
    "status below 100": (b"HTTP/1.1 042 x\r\nContent-Length: 0\r\n\r\n", "E-BCK-06"),
    "HTTP/2": (b"HTTP/2.0 200 OK\r\n" + JSON + LENGTH + b"\r\n" + BODY, "E-BCK-06"),
    "HTTP/0.9": (b"HTTP/0.9 200 OK\r\n" + JSON + LENGTH + b"\r\n" + BODY, "E-BCK-06"),
    "HTTP/3": (b"HTTP/3.0 200 OK\r\n\r\n", "E-BCK-06"),
    "chunks in HTTP/1.0": (b"HTTP/1.0 200 OK\r\n" + JSON + CHUNKED + b"\r\n0\r\n\r\n", "E-BCK-06"),
    "RTSP": (b"RTSP/1.0 200 OK\r\n" + JSON + LENGTH + b"\r\n" + BODY, "E-BCK-06"),
    "blank line first": (b"\r\n" + ANSWER, "E-BCK-06"),
    "a telegram": (b"02960210TR" + b"0" * 290, "E-BCK-06"),
    "TLS": (b"\x15\x03\x03\x00\x02\x02\x28", "E-BCK-06"),
    "HTML": (OK + b"Content-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>", "E-BCK-06"),
    "no content type": (OK + LENGTH + b"\r\n" + BODY, "E-BCK-06"),
    "two content types": (OK + JSON + b"Content-Type: text/html\r\n" + LENGTH + b"\r\n" + BODY, "E-BCK-06"),
    "not quite JSON": (OK + b"Content-Type: application/jsonp\r\n" + LENGTH + b"\r\n" + BODY, "E-BCK-06"),
    "JSON in EUC-KR": (OK + b"Content-Type: application/json; charset=euc-kr\r\n" + LENGTH + b"\r\n" + BODY, "E-BCK-06"),
    "JSON in UTF-16": (OK + b'Content-Type: application/json; charset="utf-16"\r\n' + LENGTH + b"\r\n" + BODY, "E-BCK-06"),
    "gzip": (OK + JSON + b"Content-Encoding: gzip\r\n" + LENGTH + b"\r\n" + BODY, "E-BCK-04"),
    "gzip on an error": (b"HTTP/1.1 422 x\r\nContent-Encoding: gzip\r\n" + LENGTH + b"\r\n" + BODY, "E-BCK-04"),
    "brotli over identity": (OK + JSON + b"Content-Encoding: identity\r\nContent-Encoding: br\r\n" + LENGTH + b"\r\n" + BODY, "E-BCK-04"),
    "gzip as transfer": (OK + JSON + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "E-BCK-04"),
    "chunked twice": (OK + JSON + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n", "E-BCK-04"),
    "chunked not last": (OK + JSON + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", "E-BCK-04"),
    "switching protocols": (b"HTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nabc", "E-BCK-04"),
    "switching without saying to what": (b"HTTP/1.1 101 x\r\n\r\nabc", "E-BCK-04"),
    "moved": (b"HTTP/1.1 301 x\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n", "E-BCK-04"),
    "see elsewhere": (b"HTTP/1.1 307 x\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "E-BCK-04"),
    "not modified": (b"HTTP/1.1 304 x\r\n\r\n", "E-BCK-04"),
    "announced too long": (OK + JSON + b"Content-Length: 1048577\r\n\r\n", "E-BCK-03"),
}


@pytest.mark.parametrize("cut", [0, 1])
@pytest.mark.parametrize("name", REFUSED)
def test_an_answer_that_is_none_is_refused(name: str, cut: int) -> None:
    data, code = REFUSED[name]
    error = refusal(data, cut)
    assert error.code == code and error.do


def test_an_error_says_what_a_backend_of_another_protocol_speaks() -> None:
    assert "it sent" not in refusal(ANSWER.replace(LENGTH, b"Content-Length: x\r\n")).what
    assert "the backend sent a telegram without TLS" in refusal(b"0296" + b"x" * 296).what
    assert "the backend sent a TLS handshake" in refusal(b"\x15\x03\x03\x00\x02\x02\x28").what


def test_an_error_never_repeats_what_the_backend_sent() -> None:
    secret = b"880101-1234567"
    for data in (OK + JSON + b"Content-Length: " + secret, OK + b"Content-Type: " + secret + b"\r\n" + LENGTH + b"\r\n", secret):
        assert secret.decode() not in refusal(data + b"\r\n\r\n").text()


# -- limits


@pytest.mark.parametrize("cut", [0, 1, 4096])
def test_a_header_is_counted_to_the_byte(cut: int) -> None:
    bare = OK + JSON + LENGTH + b"X: \r\n\r\n"
    longest = bare.replace(b"X: ", b"X: " + b"x" * (16_384 - len(bare)))
    assert len(longest) == 16_384
    assert read(longest + BODY, cut)[0].body == BODY
    assert refusal(longest.replace(b"X: ", b"X: x") + BODY, cut).code == "E-BCK-03"


def test_an_answer_that_is_whole_at_the_limit_may_still_be_followed_by_strays() -> None:
    bare = b"HTTP/1.1 204 x\r\nX: \r\n\r\n"
    answer, reply = read(bare.replace(b"X: ", b"X: " + b"x" * (300 - len(bare))) + b"stray", max_header=300)
    assert answer.status == 204 and not answer.keep_alive and reply.tainted


@pytest.mark.parametrize("cut", [0, 1000])
def test_a_flood_of_interim_answers_counts_as_one_header(cut: int) -> None:
    flood = b"HTTP/1.1 100 Continue\r\n\r\n" * 1000
    error = refusal(flood, cut)
    assert error.code == "E-BCK-03" and "1xx" in error.what
    assert read(flood[: 25 * 500] + ANSWER)[0].body == BODY


@pytest.mark.parametrize("cut", [0, 999])
def test_a_body_is_counted_to_the_byte(cut: int) -> None:
    def chunks(size: int) -> bytes:
        return OK + JSON + CHUNKED + b"\r\n" + b"".join(b"64\r\n" + b"x" * 100 + b"\r\n" for _ in range(size // 100)) + b"0\r\n\r\n"

    assert len(read(chunks(20_000), cut, max_body=20_000)[0].body) == 20_000
    assert refusal(chunks(20_100), cut, max_body=20_000).code == "E-BCK-03"
    assert refusal(OK + JSON + b"Content-Length: 20001\r\n\r\n", cut, max_body=20_000).code == "E-BCK-03"


def test_chunks_of_one_byte_are_fine_and_endless_extensions_are_not() -> None:
    single = OK + JSON + CHUNKED + b"\r\n" + b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n"
    assert len(read(single, 1000, max_body=5000)[0].body) == 5000
    wordy = OK + JSON + CHUNKED + b"\r\n" + (b"1;" + b"e" * 1000 + b"\r\nx\r\n") * 5000
    assert "chunk extensions" in refusal(wordy, 1500, max_body=5000).what


@pytest.mark.parametrize(
    "endless", [b"2;" + b"e" * 40_000, b"2\r\n{}\r\n0\r\n" + b"T: t\r\n" * 10_000, b"2\r\n{}\r\n0\r\nT: " + b"t" * 40_000]
)
def test_extensions_and_trailers_without_end_are_given_up(endless: bytes) -> None:
    error = refusal(OK + JSON + CHUNKED + b"\r\n" + endless, 1000)
    assert error.code == "E-BCK-03" and "trailers" in error.what


def test_trailers_change_nothing() -> None:
    data = OK + JSON + CHUNKED + b"\r\n2\r\n{}\r\n0\r\nContent-Encoding: gzip\r\nContent-Type: text/html\r\n\r\n"
    for cut in (0, 1):
        answer, reply = read(data, cut)
        assert answer == Response(200, b"{}", keep_alive=True)
        reply.expect()
        assert reply.feed(ANSWER) == Response(200, BODY, keep_alive=True)


# -- properties


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, Response]:
    status = draw(st.sampled_from([200, 201, 400, 404, 422, 500, 503]))
    body = draw(st.binary(max_size=200))
    close = draw(st.booleans())
    interim = b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\n" * draw(st.integers(0, 2))
    names = draw(st.lists(st.sampled_from([b"Server: x\r\n", b"Date: today\r\n", b"Set-Cookie: a=b\r\n", b"X-Empty:\r\n"]), max_size=3))
    head = b"HTTP/1.1 %d Words of any kind\r\n" % status + b"".join(names) + JSON + (b"Connection: close\r\n" if close else b"")
    if draw(st.booleans()):
        wire = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    else:
        size = draw(st.integers(1, 60))
        parts = [body[at : at + size] for at in range(0, len(body), size)]
        wire = head + CHUNKED + b"\r\n" + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    return interim + wire, Response(status, body, not close)


@settings(deadline=None)
@given(conversation=st.lists(answers(), min_size=1, max_size=3), sizes=st.lists(st.integers(1, 80), min_size=1, max_size=20))
def test_chunking_never_changes_an_answer(conversation: list[tuple[bytes, Response]], sizes: list[int]) -> None:
    reply = HttpReply()
    for wire, expected in conversation:
        reply.expect()
        found, at, turn = [], 0, 0
        while at < len(wire):
            size = sizes[turn % len(sizes)]
            found.append(reply.feed(wire[at : at + size]))
            at, turn = at + size, turn + 1
        assert found[-1] == expected and found[:-1] == [None] * (len(found) - 1)
        assert not reply.tainted
        if not expected.keep_alive:
            assert not reply.reusable
            return


class Forgets(dict[bytes, tuple[int, int]]):
    """A memory of heads that keeps none, so that the parser reads everything."""

    def __setitem__(self, head: bytes, known: tuple[int, int]) -> None:
        pass


@st.composite
def repeated(draw: st.DrawFn) -> list[list[bytes]]:
    """Answers of few heads, some with a byte changed, in pieces as they come."""
    few = draw(st.lists(answers().map(lambda each: each[0]), min_size=1, max_size=2))
    conversation = []
    for wire in draw(st.lists(st.sampled_from(few), min_size=2, max_size=6)):
        if draw(st.integers(0, 3)) == 0:
            at = draw(st.integers(0, len(wire) - 1))
            wire = wire[:at] + draw(st.binary(max_size=2)) + wire[at + draw(st.integers(0, 1)) :]
        cut = draw(st.one_of(st.just(len(wire)), st.integers(0, len(wire))))
        conversation.append([piece for piece in (wire[:cut], wire[cut:]) if piece])
    return conversation


@settings(max_examples=2 * settings.default.max_examples, deadline=None)
@given(conversation=repeated())
def test_what_is_remembered_of_heads_never_changes_what_comes_of_an_answer(conversation: list[list[bytes]]) -> None:
    remembers, forgets = HttpReply(), HttpReply(heads=Forgets())
    for pieces in conversation:
        for reply in (remembers, forgets):
            if reply.reusable:
                reply.expect()
        for piece in pieces:
            assert came_of(remembers, piece) == came_of(forgets, piece)
            assert remembers.expecting == forgets.expecting and remembers.tainted == forgets.tainted


def came_of(reply: HttpReply, data: bytes) -> Response | str | None:
    try:
        return reply.feed(data)
    except BackendError as error:
        return error.text()


def test_a_known_head_spares_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    reply = waiting()
    assert reply.feed(ANSWER) == Response(200, BODY, keep_alive=True)
    monkeypatch.setattr(HttpReply, "_feed_parser", None)
    for body in (BODY, b"another of 15 b"):
        reply.expect()
        assert reply.feed(ANSWER.replace(BODY, body)) == Response(200, body, keep_alive=True)


def test_after_a_known_head_the_body_is_still_counted() -> None:
    _, reply = read(ANSWER)
    reply.expect()
    assert reply.feed(ANSWER[:-1]) is None
    assert reply.feed(BODY[-1:]) == Response(200, BODY, keep_alive=True)
    reply.expect()
    assert reply.feed(ANSWER + b"x") == Response(200, BODY, keep_alive=False)
    assert reply.tainted


def test_the_end_of_a_head_that_came_in_pieces_is_not_taken_for_a_head() -> None:
    reply = waiting()
    for _ in range(2):
        assert reply.feed(OK) is None
        assert reply.feed(ANSWER[len(OK) :]) == Response(200, BODY, keep_alive=True)
        reply.expect()
    with pytest.raises(BackendError, match="not an HTTP answer"):
        reply.feed(ANSWER[len(OK) :])


def test_a_head_with_an_interim_answer_before_it_is_not_remembered() -> None:
    heads: dict[bytes, tuple[int, int]] = {}
    reply = HttpReply(heads=heads)
    reply.expect()
    assert reply.feed(b"HTTP/1.1 102 Processing\r\n\r\n" + ANSWER) == Response(200, BODY, keep_alive=True)
    assert not heads


def test_few_heads_are_remembered_and_none_that_is_long() -> None:
    heads: dict[bytes, tuple[int, int]] = {}
    reply = HttpReply(heads=heads)
    for number in range(200):
        reply.expect()
        reply.feed(OK + JSON + LENGTH + b"X-Request: %d\r\n\r\n" % number + BODY)
        assert 1 <= len(heads) <= HEADS_KEPT
    heads.clear()
    reply.expect()
    assert reply.feed(OK + JSON + LENGTH + b"X: " + b"x" * 1024 + b"\r\n\r\n" + BODY) == Response(200, BODY, keep_alive=True)
    assert not heads


@settings(deadline=None)
@given(wire=answers(), stray=st.binary(min_size=1, max_size=20))
def test_an_answer_with_strays_is_the_same_answer_on_a_tainted_connection(wire: tuple[bytes, Response], stray: bytes) -> None:
    reply = waiting()
    answer = reply.feed(wire[0] + stray)
    assert answer == Response(wire[1].status, wire[1].body, keep_alive=False)
    assert reply.tainted


@settings(deadline=None)
@given(
    start=st.sampled_from([b"", b"HTTP/1.1 ", OK, OK + JSON, OK + JSON + CHUNKED + b"\r\n"]),
    parts=st.lists(st.binary(max_size=60), max_size=6),
)
@example(b"", [b"HTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx"])
def test_arbitrary_bytes_raise_nothing_but_backend_error(start: bytes, parts: list[bytes]) -> None:
    reply = waiting()
    try:
        for part in (start, *parts):
            reply.feed(part)
        reply.end()
    except BackendError as error:
        assert error.delivery is Delivery.SENT_UNKNOWN and error.code in ("E-BCK-02", "E-BCK-03", "E-BCK-04", "E-BCK-06")


@settings(deadline=None)
@given(wire=answers(), at=st.integers(0, 500), byte=st.integers(0, 255))
def test_a_damaged_answer_is_an_answer_or_a_backend_error(wire: tuple[bytes, Response], at: int, byte: int) -> None:
    data = bytearray(wire[0])
    data[at % len(data)] = byte
    reply = waiting()
    try:
        answer = reply.feed(bytes(data))
        assert answer is None or isinstance(answer, Response)
    except BackendError as error:
        assert error.delivery is Delivery.SENT_UNKNOWN


def test_a_fault_in_a_callback_is_not_blamed_on_the_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: HttpReply, body: bytes) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(HttpReply, "on_body", broken)
    with pytest.raises(ZeroDivisionError):
        waiting().feed(ANSWER)


def test_a_closed_or_failed_reader_leaves_no_cycle_behind() -> None:
    gc.collect()
    gc.disable()
    try:
        _, reply = read(ANSWER)
        reply.close()
        assert not reply.reusable
        failed = waiting()
        try:
            failed.feed(b"HTTP/1.1 301 x\r\n\r\n")
        except BackendError:
            pass
        del reply, failed
        assert gc.collect() == 0
    finally:
        gc.enable()


# -- what a status means


@pytest.mark.parametrize(
    ("status", "meaning", "code", "delivery"),
    [
        (200, "answer", None, None),
        (201, "answer", None, None),
        (202, "answer", None, None),
        (299, "answer", None, None),
        (204, "unknown", "E-BCK-04", Delivery.SENT_UNKNOWN),
        (205, "unknown", "E-BCK-04", Delivery.SENT_UNKNOWN),
        (422, "rejected", "E-BCK-09", Delivery.NOT_SENT),
        (503, "rejected", "E-BCK-09", Delivery.NOT_SENT),
        (400, "unknown", "E-BCK-04", Delivery.SENT_UNKNOWN),
        (500, "unknown", "E-BCK-04", Delivery.SENT_UNKNOWN),
        (999, "unknown", "E-BCK-04", Delivery.SENT_UNKNOWN),
    ],
)
def test_what_a_status_means(status: int, meaning: str, code: str | None, delivery: Delivery | None) -> None:
    definite = frozenset((422, 503))
    assert outcome(status, definite) == meaning
    error = status_error(status, definite)
    assert (error and error.code, error and error.delivery) == (code, delivery)
    assert error is None or str(status) in error.what


def test_success_is_never_a_rejection() -> None:
    assert outcome(200, frozenset((200, 204))) == "answer" and outcome(204, frozenset((200, 204))) == "unknown"


# -- requests


TRACE = bytes(range(24)).hex().encode() + b"01"


def test_a_request_as_it_goes_out() -> None:
    template = HttpRequestTemplate("/credit?x=1", "10.0.0.9:8080", {"Authorization": "Bearer t", "X-Bank": "088"})
    request = template.request_bytes(b"{}", TRACE, 9500, header_lines({"Idempotency-Key": "ab12"}))
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode("ascii").split("\r\n")
    assert (first, body) == ("POST /credit?x=1 HTTP/1.1", b"{}")
    fields = dict(line.split(": ", 1) for line in lines)
    assert len(fields) == len(lines)
    assert fields.pop("user-agent").startswith("telegram-router/")
    assert fields == {
        "host": "10.0.0.9:8080",
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "Authorization": "Bearer t",
        "X-Bank": "088",
        "traceparent": "00-000102030405060708090a0b0c0d0e0f-1011121314151617-01",
        "x-request-id": "1011121314151617",
        "x-deadline-ms": "9500",
        "content-length": "2",
        "Idempotency-Key": "ab12",
    }


def test_user_agent_and_accept_may_be_set() -> None:
    request = HttpRequestTemplate("/", "h", {"User-Agent": "bank/1", "ACCEPT": "*/*"}).request_bytes(b"", TRACE, 1)
    assert request.lower().count(b"user-agent:") == request.lower().count(b"accept:") == 1


@settings(max_examples=50, deadline=None)
@given(body=st.binary(max_size=300))
def test_the_length_counts_bytes(body: bytes) -> None:
    request = HttpRequestTemplate("/", "h").request_bytes(body, TRACE, 1)
    assert request.endswith(b"content-length: %d\r\n\r\n%b" % (len(body), body))


def test_korean_json_is_sent_as_its_bytes() -> None:
    body = json.dumps({"name": "홍길동"}, ensure_ascii=False).encode()
    assert HttpRequestTemplate("/", "h").request_bytes(body, TRACE, 1).endswith(body)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "a\r\nX-B: b"}, {"X-A": "a\nb"}, {"X-A": "a\x00"}, {"X-A": " a"}, {"X-A": "a "}, {"X-A": ""}, {"X-A": "\ud64d"}, {"X A": "a"},
        {"X-A:": "a"}, {"": "a"}, {"X-A\r\n": "a"}, {"Host": "x"}, {"Content-Length": "1"}, {"Transfer-Encoding": "chunked"},
        {"Connection": "close"}, {"Traceparent": "x"}, {"X-Request-Id": "x"}, {"x-deadline-ms": "1"}, {"Content-Type": "text/plain"},
        {"Accept-Encoding": "gzip"}, {"Expect": "100-continue"},
    ],
)  # fmt: skip
def test_a_header_that_would_change_the_framing_is_refused_without_its_value(headers: dict[str, str]) -> None:
    for attempt in (lambda: HttpRequestTemplate("/", "h", headers), lambda: header_lines(headers)):
        with pytest.raises(ValueError, match="header") as caught:
            attempt()
        [value] = headers.values()
        assert len(value) < 4 or value not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "host"),
    [("x", "h"), ("/a b", "h"), ("/a\r\nX: y", "h"), ("/a#b", "h"), ("/", ""), ("/", "h\r\nX: y"), ("/", "u@h"), ("/", "h/x")],
)
def test_a_path_or_host_that_would_change_the_request_is_refused(path: str, host: str) -> None:
    with pytest.raises(ValueError, match="of a request"):
        HttpRequestTemplate(path, host)
