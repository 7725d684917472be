"""Diagnosis: a peer whose framing differs is told what it looks like and what to set, and nothing of what it sent."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.errors import FramingError
from telegram_router.telegrams.diagnosis import diagnose, foreign_protocol, kind_of_bytes
from telegram_router.telegrams.framer import Framer
from telegram_router.telegrams.framing import FixedSize, Framing, LengthField, Terminated

TELEGRAM = b"SETTLEBNKTESTCO0000010882000100".ljust(300)
quick = settings(deadline=None)


def said(framing: Framing, stream: bytes, then: str = "timeout", min_telegram: int = 100, in_one: bool = True) -> FramingError:
    """What a connection that got this stream is closed with."""
    peer = Framer(framing, min_telegram=min_telegram)
    try:
        for chunk in [stream] if in_one else [stream[at : at + 7] for at in range(0, len(stream), 7)]:
            peer.feed(chunk)
            while peer.take():
                pass
        if then == "eof":
            peer.end()
        return peer.timed_out(10)
    except FramingError as error:
        return error


# --- what the length counts -------------------------------------------------------------------------------------

COUNTS = [
    # declared, what the peer does, what to set
    (LengthField(), LengthField(counts="self"), 'counts = "self"'),
    (LengthField(counts="self"), LengthField(), 'counts = "payload"'),
    (LengthField(width=2, kind="u_be"), LengthField(width=2, kind="u_be", counts="self"), 'counts = "self"'),
    (LengthField(width=2, kind="u_be", counts="self"), LengthField(width=2, kind="u_be"), 'counts = "payload"'),
    (LengthField(kind="ebcdic"), LengthField(kind="ebcdic", counts="self"), 'counts = "self"'),
    (LengthField(offset=12, width=5, counts="all"), LengthField(offset=12, width=5), 'counts = "payload"'),
    (LengthField(offset=12, width=5, counts="all"), LengthField(offset=12, width=5, counts="self"), 'counts = "self"'),
    (LengthField(offset=12, width=5), LengthField(offset=12, width=5, counts="all"), 'counts = "all"'),
]


@pytest.mark.parametrize("then", ["eof", "timeout"])
@pytest.mark.parametrize("telegrams", [1, 2, 3, 10])
@pytest.mark.parametrize(("declared", "actual", "setting"), COUNTS)
def test_a_length_that_counts_other_bytes_is_named_with_what_to_set(declared, actual, setting, telegrams, then):
    stream = Framing(actual).wrap(TELEGRAM) * telegrams
    error = said(Framing(declared), stream, then)
    assert error.code == "E-FRM-04", error
    assert setting in error.do
    assert f"{abs(declared.uncounted - actual.uncounted)} bytes" in error.what


@pytest.mark.parametrize(
    ("forgotten", "setting"), [(b"\n", "add = 1"), (b"\x03", "add = 1"), (b"\r\n", "add = 2"), (b"\0\0\0\0", "add = 4")]
)
@pytest.mark.parametrize("then", ["eof", "timeout"])
@pytest.mark.parametrize("telegrams", [2, 3])
def test_bytes_that_nobody_counts_are_noticed(forgotten, setting, telegrams, then):
    error = said(Framing(LengthField()), (b"0300" + TELEGRAM + forgotten) * telegrams, then)
    assert error.code == "E-FRM-04"
    assert setting in error.do or (len(forgotten) == 4 and 'counts = "' in error.do)


def test_one_stray_byte_after_the_only_telegram_is_noticed_when_the_stream_ends():
    assert "add = 1" in said(Framing(LengthField()), b"0300" + TELEGRAM + b"\n", "eof").do


@pytest.mark.parametrize("missing", [1, 2, 3, 5, 100, 299])
def test_a_truncated_telegram_is_not_taken_for_a_miscounted_one(missing):
    assert said(Framing(LengthField()), (b"0300" + TELEGRAM)[:-missing], "eof").code == "E-FRM-05"
    assert said(Framing(LengthField()), (b"0300" + TELEGRAM)[:-missing], "timeout").code == "E-FRM-06"


def test_a_confirmed_boundary_ends_the_doubt_about_counting():
    stream = b"0300" + TELEGRAM
    assert said(Framing(LengthField()), stream * 3 + stream[:-4], "eof").code == "E-FRM-05"
    assert said(Framing(LengthField()), stream * 3 + stream[:-4], "timeout").code == "E-FRM-06"
    assert said(Framing(LengthField()), stream * 3 + b"    ").code == "E-FRM-01"


def test_a_poll_of_a_peer_that_counts_itself_is_enough():
    assert 'counts = "self"' in said(Framing(LengthField()), b"0024HDRREQPOLL0315101112", min_telegram=20).do


# --- other presets ----------------------------------------------------------------------------------------------

PRESETS = [
    (LengthField(width=2, kind="u_be"), "kind='u_be'"),
    (LengthField(width=4, kind="u_be"), "kind='u_be'"),
    (LengthField(width=2, kind="bcd"), "kind='bcd'"),
    (LengthField(width=4, kind="hex"), "kind='hex'"),
    (LengthField(width=2, kind="u_le"), "kind='u_le'"),
    (LengthField(width=5), "width=5"),
    (LengthField(width=2, kind="u_be", after=b"\0\0"), "after=b'\\x00\\x00'"),
]


@pytest.mark.parametrize("telegrams", [1, 2, 5])
@pytest.mark.parametrize(("actual", "declaration"), PRESETS)
def test_another_preset_that_fits_is_named(actual, declaration, telegrams):
    telegram = TELEGRAM.ljust(0x1AB) if actual.kind == "hex" else TELEGRAM
    error = said(Framing(LengthField()), Framing(actual).wrap(telegram) * telegrams)
    assert error.code in ("E-FRM-01", "E-FRM-02")
    assert "this looks like" in error.do and declaration in error.do


@pytest.mark.parametrize(
    "declared",
    [LengthField(width=2, kind="u_be"), LengthField(width=4, kind="u_be"), LengthField(width=2, kind="bcd"), LengthField(kind="ebcdic")],
)
def test_ascii_digits_on_a_link_of_another_kind_are_named(declared):
    error = said(Framing(declared), b"0300" + TELEGRAM)
    assert "4 ASCII digits" in error.do


def test_a_length_where_none_is_declared_is_named():
    for shape in (FixedSize(300), Terminated(b"\x03")):
        assert "4 ASCII digits" in said(Framing(shape), b"0300" + TELEGRAM, "eof").do


def test_no_preset_is_guessed_where_none_fits():
    error = said(Framing(LengthField()), b"no telegram at all, just a sentence")
    assert error.code == "E-FRM-01"
    assert "looks like" not in error.do


# --- foreign protocols ------------------------------------------------------------------------------------------


def test_tls_on_a_binary_link_is_named_when_the_frame_never_completes():
    hello = bytes.fromhex("1603010200010001fc0303") + bytes(506)
    assert said(Framing(LengthField(width=2, kind="u_be")), hello).code == "E-FRM-11"
    assert said(Framing(FixedSize(600)), hello).code == "E-FRM-11"
    assert said(Framing(Terminated(b"\x7f")), hello, min_telegram=0).code == "E-FRM-11"


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (b"GET", "E-FRM-12"),
        (b"GET /x", "E-FRM-12"),
        (b"PRI * HT", "E-FRM-12"),
        (b"SSH", "E-FRM-13"),
        (b"\r\n\r\n", "E-FRM-13"),
        (b"\x16\x03", "E-FRM-11"),
    ],
)
def test_a_few_bytes_are_enough_to_tell_a_foreign_protocol(first, code):
    found = foreign_protocol(first)
    assert found is not None and found[0] == code


@pytest.mark.parametrize("first", [b"", b"G", b"0300", b"GETX", b"\x16", b"\x16\x02", b"SETTLEBNK"])
def test_telegrams_are_no_foreign_protocol(first):
    assert foreign_protocol(first) is None


def test_a_foreign_protocol_is_only_looked_for_at_the_start_of_a_connection():
    assert said(Framing(LengthField()), b"0300" + TELEGRAM + b"GET / HTTP/1.1").code == "E-FRM-01"


# --- what a message may show ------------------------------------------------------------------------------------


def test_the_first_length_field_is_shown_in_hex_and_nothing_behind_it():
    text = str(said(Framing(LengthField()), b"12A4" + b"110123456789" * 25))
    assert "31 32 41 34" in text
    assert "123456789" not in text and "31 31 30" not in text


def test_once_frames_were_cut_no_byte_is_shown_for_it_may_be_content():
    text = str(said(Framing(LengthField()), b"0300" + TELEGRAM + b"77X7" + TELEGRAM[:100]))
    assert "E-FRM-01" in text and "37 37" not in text and "77X7" not in text


def test_a_length_inside_the_telegram_is_never_shown():
    framing = Framing(LengthField(offset=12, width=5, counts="all"))
    assert "hex" not in str(said(framing, b"TRX      BASSECRETSECRET".ljust(200)))


def test_the_number_itself_is_not_shown_once_it_may_be_content():
    text = str(said(Framing(LengthField(), max=2000), b"0300" + TELEGRAM + b"8765" + b"x" * 20))
    assert "E-FRM-03" in text and "8765" not in text and "8769" not in text


def test_the_place_in_the_stream_is_said():
    assert "byte 304 of the stream" in str(said(Framing(LengthField()), b"0300" + TELEGRAM + b"12"))
    assert "the front frame" in str(diagnose(Framing(LengthField()), b"oops"))


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        (b"    ", "blanks"),
        (b"\0\0", "NUL bytes"),
        (b"\xff\xff", "FF bytes"),
        (b"12", "ASCII digits"),
        (b"\xf1\xf2", "EBCDIC digits"),
        (b"ab", "ASCII letters"),
        (b"a1", "ASCII characters that are not all digits"),
        (b"\x01\x02", "bytes that are not ASCII"),
    ],
)
def test_bytes_are_told_by_their_type(field, kind):
    assert kind_of_bytes(field) == kind


@quick
@given(
    rest=st.binary(max_size=80),
    before=st.none() | st.binary(min_size=1, max_size=80),
    at=st.sampled_from(["bad", "eof", "timeout"]),
    shape=st.sampled_from(
        [LengthField(), LengthField(offset=5, width=2, kind="u_be", counts="all"), LengthField(kind="hex"), FixedSize(20), Terminated()]
    ),
    good=st.none() | st.integers(0, 3),
)
def test_any_bytes_get_a_diagnosis(rest, before, at, shape, good):
    error = diagnose(Framing(shape), rest, before, at, good=good, seconds=10, offset=7)
    assert isinstance(error, FramingError)
    assert error.code.startswith("E-FRM-") and error.expected and error.do


@pytest.mark.parametrize("telegrams", [1, 2, 3])
@pytest.mark.parametrize(("declared", "actual", "setting"), [case for case in COUNTS if not case[0].offset])
def test_a_leading_length_gets_the_same_diagnosis_however_it_is_chunked(declared, actual, setting, telegrams):
    error = said(Framing(declared), Framing(actual).wrap(TELEGRAM) * telegrams, in_one=False)
    assert error.code == "E-FRM-04" and setting in error.do
