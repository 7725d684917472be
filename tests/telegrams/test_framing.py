"""Framing: chunks of bytes in, whole frames out, and a clear refusal of everything else."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.errors import FramingError
from telegram_router.telegrams.framer import Framer
from telegram_router.telegrams.framing import FRONTS_KEPT, FixedSize, Framing, LengthField, Poll, Terminated
from telegram_router.telegrams.lengths import REMEMBERED_SIZES

POLL = Poll(request=b"HDRREQPOLL", answer=b"HDRRESPOLL", echo=10)
FIRM = Framing(LengthField(), polls=[POLL])  # 4 digits that exclude themselves, as firm banking has it
TELEGRAM = b"SETTLEBNK".ljust(300)
FRAME = b"0300" + TELEGRAM

quick = settings(deadline=None)


def framer(framing: Framing = FIRM, *, min_telegram: int = 100, max_frame: int = 8192) -> Framer:
    return Framer(framing, min_telegram=min_telegram, max_frame=max_frame)


def refusal(stream: bytes, framing: Framing = FIRM, **sizes: int) -> FramingError:
    """What taking from this stream raises."""
    peer = framer(framing, **sizes)
    peer.feed(stream)
    with pytest.raises(FramingError) as caught:
        while peer.take():
            pass
    return caught.value


def frames_seen(framing: Framing, chunks: list[bytes], limit: int = 64, min_telegram: int = 0) -> list[bytes]:
    peer = framer(framing, min_telegram=min_telegram)
    seen: list[bytes] = []
    for chunk in chunks:
        peer.feed(chunk)
        while frames := peer.take(limit):
            seen += frames
    return seen


# --- the bad-input corpus ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [b"12A4", b"03 0", b"03.0", b"    ", b"\0\0\0\0", b"\xff\xff\xff\xff"])
def test_row_1_a_length_that_is_not_digits_is_refused(length):
    assert refusal(length + TELEGRAM).code == "E-FRM-01"


@pytest.mark.parametrize(
    "length", [b"1_00", b"+100", b" 100", b"100 ", b"-100", b"\n100", "１２".encode("cp949"), "٣٣".encode(), b"\xb2\xb2\xb2\xb2"]
)
def test_row_2_what_int_would_read_but_is_no_digit_is_refused(length):
    assert len(length) == 4
    assert refusal(length + TELEGRAM).code == "E-FRM-01"


def test_row_3_length_zero_is_refused():
    error = refusal(b"0000" + TELEGRAM)
    assert error.code == "E-FRM-02"
    assert "at least 104 bytes" in error.expected


def test_row_4_a_length_below_the_header_is_refused():
    assert refusal(b"0099" + TELEGRAM).code == "E-FRM-02"
    assert refusal(b"0002" + TELEGRAM, Framing(LengthField(counts="self")), min_telegram=0).code == "E-FRM-02"


@pytest.mark.parametrize(
    ("framing", "length"),
    [
        (FIRM, b"9999"),
        (Framing(LengthField(width=4, kind="u_be")), b"\xff\xff\xff\xfe"),
        (Framing(LengthField(width=2, kind="u_le")), b"\xff\xff"),
        (Framing(LengthField(width=8, kind="hex")), b"FFFFFFFF"),
    ],
)
def test_row_5_a_length_above_the_maximum_is_refused_and_nothing_is_allocated(framing, length):
    cut = framing.cutter(max_frame=8192)
    tracemalloc.start()
    with pytest.raises(FramingError) as caught:
        cut(length, 0, 64)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.code == "E-FRM-03"
    assert peak < 20_000


def test_row_6_a_negative_binary_length_is_above_the_maximum():
    assert refusal((-1).to_bytes(4, "big", signed=True), Framing(LengthField(kind="u_be"))).code == "E-FRM-03"


def test_row_7_a_peer_that_counts_its_length_field_gets_a_diagnosis():
    error = refusal((b"0304" + TELEGRAM) * 2)
    assert error.code == "E-FRM-04"
    assert 'counts = "self"' in error.do


@pytest.mark.parametrize("cut_at", [1, 3, 4, 5, 299, 303])
def test_row_8_the_end_of_the_stream_inside_a_frame_is_told_from_one_between_frames(cut_at):
    whole, torn = framer(), framer()
    whole.feed(FRAME)
    assert whole.take() == [FRAME]
    whole.end()
    torn.feed(FRAME + FRAME[:cut_at])
    assert torn.take() == [FRAME]
    with pytest.raises(FramingError) as caught:
        torn.end()
    assert caught.value.code == "E-FRM-05"
    assert f"got {cut_at} " in caught.value.what


def test_row_9_a_frame_that_is_not_complete_in_time_is_given_up():
    slow = framer()
    for byte in FRAME[:100]:
        slow.feed(bytes([byte]))
        assert slow.take() == []
    error = slow.timed_out(10)
    assert error.code == "E-FRM-06"
    assert "got 100 of 304 bytes" in error.what and "10 s" in error.what


def test_row_10_slices_of_one_byte_are_frames_like_any_other():
    assert frames_seen(FIRM, [bytes([byte]) for byte in FRAME * 3]) == [FRAME] * 3


def test_row_11_many_frames_in_a_segment_come_out_in_order():
    other = FIRM.wrap(b"B" * 120)
    half = len(FRAME) // 2
    assert frames_seen(FIRM, [FRAME + other + FRAME]) == [FRAME, other, FRAME]
    assert frames_seen(FIRM, [FRAME + other[:half], other[half:]]) == [FRAME, other]


def test_row_14_marks_that_are_not_there_are_refused():
    stx = Framing(LengthField(offset=1, before=b"\x02", end=b"\x03"))
    good = b"\x020006hello\x03"
    assert frames_seen(stx, [good * 2]) == [good, good]
    assert refusal(b"\x010006hello\x03", stx, min_telegram=0).code == "E-FRM-09"
    assert refusal(b"\x020006hello!", stx, min_telegram=0).code == "E-FRM-09"
    assert refusal(good + b"\x020006hello!", stx, min_telegram=0).code == "E-FRM-09"
    assert refusal(b"X" * 9000, Framing(Terminated(b"\x03")), min_telegram=0).code == "E-FRM-09"
    assert refusal(b"hello\x03", Framing(Terminated(b"\x03", start=b"\x02")), min_telegram=0).code == "E-FRM-09"


@pytest.mark.parametrize(
    ("first_bytes", "code"),
    [
        (bytes.fromhex("16030100"), "E-FRM-11"),
        (b"GET / HTTP/1.1\r\n", "E-FRM-12"),
        (b"POST /credit HTTP/1.1\r\n", "E-FRM-12"),
        (b"DELE", "E-FRM-12"),
        (b"PRI * HTTP/2.0\r\n", "E-FRM-12"),
        (b"HTTP/1.1 400 Bad Request\r\n", "E-FRM-12"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "E-FRM-13"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "E-FRM-13"),
        (b"\r\n\r\n\x00\r\nQUIT\n\x21\x11", "E-FRM-13"),
        ("0300".encode("cp037") + TELEGRAM, "E-FRM-14"),
    ],
)
def test_rows_16_to_19_other_protocols_are_named(first_bytes, code):
    assert refusal(first_bytes).code == code


@pytest.mark.parametrize("flood", [b"\0" * (1 << 20), b"\xff" * (1 << 20), bytes(range(256)) * 4096])
def test_row_20_a_flood_of_garbage_is_one_error_and_little_work(flood):
    started = time.process_time()
    error = refusal(flood)
    assert error.code in ("E-FRM-01", "E-FRM-09")
    assert time.process_time() - started < 0.5


# --- what a framer promises -------------------------------------------------------------------------------------


def test_good_frames_before_a_bad_one_are_handed_out_first():
    cut = FIRM.cutter(min_telegram=100)
    assert cut(FRAME * 2 + b"oops", 0, 64) == ([FRAME, FRAME], 2 * len(FRAME))
    with pytest.raises(FramingError):
        cut(FRAME * 2 + b"oops", 2 * len(FRAME), 64)


def test_once_lost_stays_lost():
    peer = framer()
    peer.feed(b"what?")
    with pytest.raises(FramingError) as first:
        peer.take()
    for again in (lambda: peer.feed(FRAME), peer.take, peer.end):
        with pytest.raises(FramingError) as caught:
            again()
        assert caught.value is first.value
    assert peer.timed_out() is peer.lost is first.value


def test_no_more_frames_than_asked_for_are_cut():
    cut = FIRM.cutter()
    assert cut(FRAME * 5, 0, 2) == ([FRAME, FRAME], 2 * len(FRAME))
    assert cut(FRAME * 5, 0, 0) == ([], 0)
    peer = framer()
    peer.feed(FRAME * 3)
    assert [len(peer.take(2)), len(peer.take(2)), len(peer.take(2))] == [2, 1, 0]
    assert peer.pending == 0


def test_a_poll_below_the_smallest_telegram_is_let_in_and_nothing_else():
    poll = FIRM.wrap(b"HDRREQPOLL0315101112")
    assert frames_seen(FIRM, [FRAME + poll + FRAME], min_telegram=100) == [FRAME, poll, FRAME]
    assert refusal(FIRM.wrap(b"x" * 21)).code == "E-FRM-02"


def test_errors_carry_no_bytes_of_the_peer_as_their_context():
    cut = FIRM.cutter()
    with pytest.raises(FramingError) as caught:
        cut(b"1234567", 0, 1) and cut(b"SECR", 0, 1)
    assert caught.value.__context__ is None
    assert "SECR" not in str(caught.value) and "53 45" not in str(caught.value)


def test_what_is_remembered_of_lengths_is_bounded():
    cut = FIRM.cutter()
    for size in range(REMEMBERED_SIZES * 2 + 1):
        assert len(cut(FIRM.wrap(b"x" * size), 0, 1)[0]) == 1
    sizes = next(cell.cell_contents for cell in cut.__closure__ if isinstance(cell.cell_contents, dict))
    assert 0 < len(sizes) <= REMEMBERED_SIZES


# --- framings ---------------------------------------------------------------------------------------------------

PRESETS = {
    "ascii": LengthField(),
    "ascii including itself": LengthField(counts="self"),
    "in the telegram, counting all": LengthField(counts="all"),
    "insurance relay": LengthField(offset=9, width=7, counts="all"),
    "bancassurance": LengthField(offset=12, width=5, counts="all"),
    "in the telegram, counting what follows": LengthField(offset=3, width=4),
    "nac": LengthField(width=2, kind="u_be"),
    "amex": LengthField(width=2, kind="u_be", counts="self"),
    "gicc": LengthField(offset=2, width=2, kind="u_be", before=b"\0\0"),
    "vap": LengthField(width=2, kind="u_be", after=b"\0\0"),
    "base24 tcp": LengthField(width=2, kind="u_be", end=b"\x03"),
    "base24 tcp, mark not counted": LengthField(width=2, kind="u_be", end=b"\x03", add=1),
    "little endian": LengthField(width=4, kind="u_le"),
    "bcd": LengthField(width=2, kind="bcd"),
    "hex": LengthField(width=4, kind="hex"),
    "ebcdic": LengthField(width=4, kind="ebcdic"),
    "counts two bytes too few": LengthField(add=2),
    "stx and etx": LengthField(offset=1, before=b"\x02", end=b"\x03"),
    "terminated": Terminated(b"\x03"),
    "terminated, marks kept out": Terminated(b"\x03", start=b"\x02"),
    "terminated by two bytes": Terminated(b"\r\n"),
}


@pytest.mark.parametrize("shape", PRESETS.values(), ids=PRESETS)
@quick
@given(telegrams=st.lists(st.binary(min_size=20, max_size=120), max_size=6), sizes=st.lists(st.integers(1, 90)), limit=st.integers(1, 4))
def test_chunking_never_changes_the_frames(shape, telegrams, sizes, limit):
    framing = Framing(shape)
    marks = bytes([2, 3, 13, 10]) if isinstance(shape, Terminated) else b""
    frames = [framing.wrap(telegram.translate(None, marks).ljust(20)) for telegram in telegrams]
    assert frames_seen(framing, chunked(b"".join(frames), sizes), limit) == frames


@quick
@given(count=st.integers(0, 5), sizes=st.lists(st.integers(1, 90)), limit=st.integers(1, 4))
def test_frames_of_a_fixed_size_need_no_length(count, sizes, limit):
    framing = Framing(FixedSize(30))
    frames = [framing.wrap(bytes([65 + n]) * 30) for n in range(count)]
    assert frames_seen(framing, chunked(b"".join(frames), sizes), limit) == frames


def chunked(stream: bytes, sizes: list[int]) -> list[bytes]:
    chunks = []
    for size in sizes:
        chunks.append(stream[:size])
        stream = stream[size:]
    return [*chunks, stream]


@pytest.mark.parametrize("shape", PRESETS.values(), ids=PRESETS)
@quick
@given(
    stream=st.one_of(st.binary(max_size=200), st.text("0123456789 ABF", max_size=60).map(str.encode)), sizes=st.lists(st.integers(1, 50))
)
def test_no_bytes_raise_anything_but_a_framing_error(shape, stream, sizes):
    peer = framer(Framing(shape), min_telegram=0, max_frame=150)
    try:
        for chunk in chunked(stream, sizes):
            peer.feed(chunk)
            while frames := peer.take(2):
                assert all(0 < len(frame) <= 150 for frame in frames)
        peer.end()
    except FramingError as error:
        assert str(error).startswith("E-FRM-")
        assert peer.timed_out(1) is peer.lost


@pytest.mark.parametrize("shape", [*PRESETS.values(), FixedSize(25)], ids=[*PRESETS, "fixed"])
def test_a_wrapped_telegram_is_found_again(shape):
    framing = Framing(shape)
    telegram = b"0" * 25
    frame = framing.wrap(telegram)
    assert len(frame) == framing.prefix + 25 + framing.suffix
    found = framing.telegram(frame)
    if isinstance(shape, LengthField) and not framing.prefix:  # the length is part of the telegram: wrapping sets it
        assert framing.wrap(found) == frame
        found = found[: shape.offset] + b"0" * shape.width + found[shape.offset + shape.width :]
    assert found == telegram


@settings(max_examples=2 * settings.default.max_examples, deadline=None)
@given(
    shape=st.sampled_from([*PRESETS.values()]),
    prefix=st.sampled_from([None, None, 3]),
    body=st.text("0x", min_size=20, max_size=24),
    at=st.integers(-3, 28),
    byte=st.sampled_from([b"", b"0", b"\x00", b"\x03", b"a"]),
)
def test_what_is_remembered_of_frames_changes_no_frame(shape, prefix, body, at, byte):
    telegram = body.encode()
    framing, fresh = Framing(shape, prefix=prefix), Framing(shape, prefix=prefix)
    frame = framing.wrap(telegram)
    assert framing.wrap(telegram) == frame
    near = frame[:at] + byte + frame[at:][1:]
    held = framing.telegram(near)
    try:
        wrapped = fresh.wrap(held)
    except FramingError:
        return
    assert framing.is_wrapped(held, near) == (wrapped == near)


def test_frames_are_remembered_in_bounds():
    framing = Framing(LengthField())
    for size in range(FRONTS_KEPT * 2 + 1):
        assert framing.wrap(b"x" * size) == b"%04d" % size + b"x" * size
        assert 0 < len(framing._fronts) <= FRONTS_KEPT


@pytest.mark.parametrize(
    ("shape", "prefix"),
    [
        ("ascii", 4),
        ("ascii including itself", 4),
        ("in the telegram, counting all", 0),
        ("bancassurance", 0),
        ("nac", 2),
        ("gicc", 4),
        ("vap", 4),
    ],
)
def test_the_prefix_follows_from_the_length_field(shape, prefix):
    assert Framing(PRESETS[shape]).prefix == prefix


@pytest.mark.parametrize(
    ("shape", "telegram", "frame"),
    [
        ("ascii", b"ab", b"0002ab"),
        ("ascii including itself", b"ab", b"0006ab"),
        ("amex", b"ab", b"\x00\x04ab"),
        ("little endian", b"ab", b"\x02\x00\x00\x00ab"),
        ("bcd", b"a" * 12, b"\x00\x12" + b"a" * 12),
        ("hex", b"a" * 31, b"001F" + b"a" * 31),
        ("ebcdic", b"ab", b"\xf0\xf0\xf0\xf2ab"),
        ("gicc", b"ab", b"\x00\x00\x00\x02ab"),
        ("vap", b"ab", b"\x00\x02\x00\x00ab"),
        ("base24 tcp", b"ab", b"\x00\x03ab\x03"),
        ("counts two bytes too few", b"abc", b"0001abc"),
        ("in the telegram, counting all", b"????ab", b"0006ab"),
    ],
)
def test_lengths_are_written_as_the_field_says(shape, telegram, frame):
    assert Framing(PRESETS[shape]).wrap(telegram) == frame


@pytest.mark.parametrize(
    ("shape", "largest"),
    [("ascii", 9999), ("nac", 65535), ("amex", 65533), ("bcd", 9999), ("hex", 65535), ("ebcdic", 9999), ("base24 tcp", 65534)],
)
def test_a_length_that_does_not_fit_is_refused_and_never_wraps_around(shape, largest):
    framing = Framing(PRESETS[shape])
    frame = framing.wrap(b"x" * largest)
    assert framing.cutter(max_frame=100_000)(frame, 0, 1) == ([frame], len(frame))
    with pytest.raises(FramingError) as caught:
        framing.wrap(b"x" * (largest + 1))
    assert caught.value.code == "E-FRM-03"


def test_a_telegram_that_its_framing_cannot_carry_is_refused():
    for shape, telegram in (
        (FixedSize(10), b"x" * 9),
        (Terminated(b"\x03"), b"a\x03b"),
        (PRESETS["bancassurance"], b"short"),
        (LengthField(add=2), b""),
    ):
        with pytest.raises(FramingError):
            Framing(shape).wrap(telegram)


def test_marks_may_stay_in_the_telegram():
    framing = Framing(Terminated(b"\x03", start=b"\x02", keep=True))
    assert framing.wrap(b"\x02hello\x03") == framing.telegram(b"\x02hello\x03") == b"\x02hello\x03"
    with pytest.raises(FramingError):
        framing.wrap(b"hello")


def test_the_familys_own_maximum_counts_where_it_is_lower():
    assert refusal(FRAME, Framing(LengthField(), max=200)).code == "E-FRM-03"


# --- polls ------------------------------------------------------------------------------------------------------


def test_a_poll_is_answered_with_its_own_timestamp():
    assert FIRM.poll_answer(b"0020HDRREQPOLL0315101112") == b"0020HDRRESPOLL0315101112"
    assert FIRM.poll_request(b"0315101112") == b"0020HDRREQPOLL0315101112"


def test_requests_and_answers_of_polls_are_polls_and_nothing_else_is():
    assert FIRM.is_poll(b"0020HDRREQPOLL0315101112")
    assert FIRM.is_poll(b"0020HDRRESPOLL0315101112")
    assert FIRM.poll_answer(b"0020HDRRESPOLL0315101112") is None
    for other in (FRAME, b"0020HDRXXXPOLL0315101112", b"0019HDRREQPOLL031510111"):
        assert not FIRM.is_poll(other)
        assert FIRM.poll_answer(other) is None


def test_an_empty_frame_can_be_a_poll():
    framing = Framing(LengthField(), polls=[Poll(b"", b"")])
    assert framing.poll_answer(b"0000") == b"0000"
    assert frames_seen(framing, [FRAME + b"0000" + FRAME], min_telegram=100) == [FRAME, b"0000", FRAME]


def test_a_poll_may_want_no_answer_and_a_framing_may_have_no_poll():
    quiet = Framing(LengthField(), polls=[Poll(b"PING", None)])
    assert quiet.is_poll(b"0004PING") and quiet.poll_answer(b"0004PING") is None
    assert Framing(LengthField()).poll_request() is None
    assert not Framing(LengthField()).is_poll(FRAME)


# --- lint -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [*PRESETS.values(), FixedSize(300)], ids=[*PRESETS, "fixed"])
def test_framings_of_the_field_are_possible(shape):
    assert Framing(shape).problems([300]) == []


def test_firm_banking_is_possible():
    assert Framing(LengthField(), polls=[POLL], max=8192, header=100).problems([300]) == []


@pytest.mark.parametrize(
    ("framing", "says"),
    [
        (Framing(LengthField(width=0)), "width 0"),
        (Framing(LengthField(width=5, kind="bcd")), "width 5"),
        (Framing(LengthField(offset=1, before=b"\x02\x02")), "no room"),
        (Framing(LengthField(), prefix=2), "prefix 2"),
        (Framing(LengthField(offset=2), prefix=6), "nothing fills"),
        (Framing(LengthField(offset=1, before=b"\x02", counts="all")), "need a prefix"),
        (Framing(FixedSize(300), prefix=4), "prefix 4"),
        (Framing(FixedSize(0)), "size 0"),
        (Framing(FixedSize(200)), "never fits"),
        (Framing(Terminated(b"")), "empty end mark"),
        (Framing(LengthField(width=2)), "tells at most 101"),
        (Framing(LengthField(), max=200), "above the framing's max"),
        (Framing(LengthField(), max=3), "below the smallest"),
        (Framing(LengthField(offset=301, counts="all")), "no room for its length"),
        (Framing(LengthField(), polls=[Poll(b"P", b"P")]), "for ever"),
        (Framing(LengthField(), polls=[Poll(b"P", b"Q"), Poll(b"P", b"R")]), "same request"),
        (Framing(LengthField(), polls=[Poll(b"P", b"Q", echo=-1)]), "echoes -1"),
        (Framing(LengthField(), polls=[Poll(b"P" * 500, b"Q")], max=400), "above the framing's max"),
        (Framing(FixedSize(300), polls=[Poll(b"P", b"Q")]), "cannot be framed"),
    ],
)
def test_an_impossible_framing_is_told(framing, says):
    assert any(says in problem for problem in framing.problems([300])), framing.problems([300])


def test_unknown_words_are_told():
    field = LengthField(kind="utf8", counts="most")  # type: ignore[arg-type]
    problems = list(field.problems())
    assert len(problems) == 2 and "'utf8'" in problems[0] and "'most'" in problems[1]
