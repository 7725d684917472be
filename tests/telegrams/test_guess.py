"""Guessing the spec of unknown bytes: sure where it may be, and honest about what it does not know."""

from __future__ import annotations

import json
from functools import cache

import pytest
from click.testing import CliRunner
from composed import SAMPLES, samples
from hypothesis import given, settings
from hypothesis import strategies as st
from parcel_family import SPEC as PARCEL
from shipped import shipped

from telegram_router import testing
from telegram_router.cli import main
from telegram_router.telegrams import Spec
from telegram_router.telegrams.dumps import Reading, readings
from telegram_router.telegrams.fit import fit
from telegram_router.telegrams.generate import sample
from telegram_router.telegrams.guess import PRIOR, Guess, guess

NAMES = sorted(path.stem for path in SAMPLES.parent.glob("*.py"))
HECTO = shipped("firmbanking")
TRANSFER = samples()["firmbanking"]["2000", "100"]


@cache
def known(without: str = "") -> tuple[Spec, ...]:
    return tuple(shipped(name) for name in NAMES if name != without)


def guessed(data: bytes, *specs: Spec, **how: bool) -> Guess:
    return guess(specs or known(), readings(data), **how)[0]


@pytest.mark.parametrize("family", NAMES)
def test_every_sample_of_a_family_is_recognised(family: str):
    for path in sorted((SAMPLES / family).glob("*.telegram")):
        content = path.read_bytes()
        found = guess(known(), readings(content))
        assert found[0].spec.name == family, path.name
        assert found[0].sure > 0.9 or len(content.strip()) < 20, (
            f"{path.name} holds more than a type and two numbers, and is not recognised"
        )
        assert not found[1:] or found[1].sure < 0.1


@pytest.mark.parametrize("family", NAMES)
def test_telegrams_of_a_family_that_is_not_known_are_not_claimed_by_another(family: str):
    spec = shipped(family)
    messages = [*spec.messages]
    for number in range(6):
        data = spec.encode(sample(spec, messages[number % len(messages)], "stranger", number))
        if number % 3 == 0:
            data += b"".join(spec.encode(sample(spec, name, "stranger", number)) for name in messages[:6])
        assert all(each.sure < 0.5 for each in guess(known(without=family), readings(data)))


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=700), st.text("0123456789   ABC", max_size=700).map(str.encode)))
def test_random_bytes_and_random_digits_are_not_known(data: bytes):
    assert all(each.sure < 0.01 for each in guess(known(), readings(data)))


@settings(max_examples=40, deadline=None)
@given(testing.frames(PARCEL))
def test_a_small_family_of_our_own_is_claimed_by_no_shipped_one(frame: bytes):
    assert all(each.sure < 0.5 for each in guess(known(), readings(frame)))


def test_reasons_say_what_fits_and_are_free_of_values():
    found = guessed(TRANSFER * 3)
    assert found.telegrams == 3 and found.fields == (87, 87)
    assert found.reasons == (
        "3 lengths lead from frame to frame, and the last one ends where the input ends",
        "message_type and business_code: a known key in 3 of 3",
        "the size is the message's own in 3 of 3",
        "87 of 87 fields read",
    )
    assert "110123456789" not in json.dumps(found.as_object(), ensure_ascii=False)


def test_a_file_of_records_is_recognised_though_its_last_record_says_nothing_by_itself():
    spec, frames = shipped("zengin"), [path.read_bytes() for path in sorted((SAMPLES / "zengin").glob("*.telegram"))]
    found = guessed(b"".join(frames))
    assert found.spec is spec and found.sure > 0.99 and found.telegrams == len(frames)


def patched(offset: int, content: bytes) -> bytes:
    return TRANSFER[: 4 + offset] + content + TRANSFER[4 + offset + len(content) :]


@pytest.mark.parametrize(
    "data",
    {
        "bad fields": patched(129, b"x" * 80),
        "cut": TRANSFER[:200],
        "a line end behind": TRANSFER + b"\r\n",
        "a byte order mark in front": b"\xef\xbb\xbf" + TRANSFER,
        "two lengths": b"0304" + TRANSFER,
        "as UTF-8": TRANSFER.decode("cp949").encode(),
        "in EBCDIC": TRANSFER.decode("cp949").encode("cp037", "replace"),
        "with another length in front": b"\x01\x2c" + TRANSFER[4:],
        "NUL for blanks": TRANSFER.replace(b" ", b"\0"),
    }.values(),
)
def test_damage_does_not_hide_the_family(data: bytes):
    found = guess(known(), readings(data))
    assert found[0].spec is HECTO and found[0].sure > 0.9


@pytest.mark.parametrize(
    ("data", "framed", "framing"),
    [
        (TRANSFER * 2, True, "4 ASCII digits at offset 0 counting what follows it"),
        (TRANSFER[4:], True, "300 bytes each, without a length"),
        (TRANSFER[4:] * 3, True, "300 bytes each, without a length"),
        ((b"0304" + TRANSFER[4:]) * 2, True, "4 ASCII digits at offset 0 counting itself and what follows"),
        ((b"\x01\x2c" + TRANSFER[4:]) * 2, True, "2 bytes, unsigned, big-endian at offset 0 counting what follows it"),
        ((b"00000300" + TRANSFER[4:]) * 2, True, "8 ASCII digits at offset 0 counting what follows it"),
    ],
)
def test_the_framing_is_guessed_with_the_spec(data: bytes, framed: bool, framing: str):
    found = guessed(data)
    assert (found.framed, found.framing, found.sure > 0.99) == (framed, framing, True)
    if found.shape is not None:
        assert [telegram for _, telegram in found.cut()] == [TRANSFER[4:]] * (len(data) // 300)


def test_a_poll_of_the_family_is_recognised():
    assert guessed(b"0020HDRREQPOLL0315101112").sure > 0.9


def test_what_is_said_to_be_unframed_is_not_cut():
    assert guessed(TRANSFER[4:], unframed=True).framed is False


def test_nothing_at_all_is_no_guess():
    assert guess(known(), readings(b"")) == [] or guess(known(), readings(b""))[0].sure < 0.01
    assert guess([], [Reading("bytes", TRANSFER)]) == []


def test_a_known_key_and_a_date_of_our_days_prove_more_than_digits_and_blanks():
    whole = fit(HECTO, TRANSFER[4:])
    assert whole.problems == 0 and whole.proof > 2 * PRIOR
    digits = fit(HECTO, b"1" * 300)
    assert digits.message is None and digits.proof < 0
    other = fit(HECTO, TRANSFER[4:], HECTO.messages["deposit_notice.request"])
    assert other.proof < whole.proof - 20


# --- the command ------------------------------------------------------------------------------------------------


def call(*arguments: str, given: bytes | None = None):
    return CliRunner().invoke(main, arguments, input=given, prog_name="telegram-router")


def test_without_a_spec_the_command_says_what_it_takes_the_input_for_and_explains_it():
    found = call("explain", given=TRANSFER * 2)
    lines = found.stdout.splitlines()
    assert found.exit_code == 0 and lines[0] == "looks like firmbanking 2024.03: more than 99 % sure"
    assert lines[1] == "  608 bytes; framing 4 ASCII digits at offset 0 counting what follows it"
    assert any(line.startswith("next: ") and "less than 1 %" in line for line in lines)
    assert "telegram 2 (at byte 304)" in found.stdout and found.stdout.count("no problems") == 2
    assert "110123456789" not in found.stdout


def test_another_framing_than_the_declared_one_is_said_and_read_all_the_same():
    found = call("explain", given=(b"\x01\x2c" + TRANSFER[4:]) * 2)
    assert "big-endian at offset 0 counting what follows it, which is not what the spec declares" in found.stdout
    assert found.stdout.count("transfer.request") == 2 and found.exit_code == 0


def test_what_is_not_known_is_called_so_with_the_nearest_and_exit_code_1():
    found = call("explain", given=bytes(range(256)))
    assert found.exit_code == 1 and found.stdout.startswith("not known: no spec proves itself in these 256 bytes")
    assert found.stdout.count("nearest: ") == 2 and "--spec" in found.stdout
    told = json.loads(call("explain", "--json", given=bytes(range(256))).stdout)
    assert told["guess"] is None and len(told["nearest"]) == 2


def test_the_guess_stands_in_the_json_of_each_telegram():
    rows = [json.loads(line) for line in call("explain", "--json", given=TRANSFER * 2).stdout.splitlines()]
    assert [row["number"] for row in rows] == [1, 2]
    assert rows[0]["guess"][0]["spec"] == "firmbanking" and rows[0]["guess"][0]["sure"] > 0.99


def test_specs_of_a_folder_are_guessed_too_and_one_that_does_not_load_hides_no_other(tmp_path):
    (tmp_path / "mine.py").write_text((SAMPLES.parent / "firmbanking.py").read_text("utf-8").replace("SETTLEBNK", "MYBANK999"), "utf-8")
    (tmp_path / "broken.py").write_text("spec = 7\n")
    found = call("explain", "--spec-folder", str(tmp_path), given=TRANSFER.replace(b"SETTLEBNK", b"MYBANK999"))
    assert found.stdout.startswith("looks like firmbanking 2024.03")
    assert "broken does not load and is left out: E-CFG-20" in found.stderr


def test_a_spec_that_is_not_the_right_one_is_told_with_the_right_one():
    found = call("explain", "--spec", "ksnet", given=TRANSFER[4:])
    assert found.exit_code == 1
    assert "likely: another spec: this looks like firmbanking 2024.03, more than 99 % sure" in found.stdout
    assert "another spec" not in call("explain", "--spec", "firmbanking", given=patched(24, b"9999")).stdout


def test_empty_input_is_an_error():
    assert call("explain", given=b"").exit_code == 1
