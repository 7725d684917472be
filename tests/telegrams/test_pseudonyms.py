"""Pseudonyms: one-to-one, the same under one key, of the same shape, and nobody's number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telegram_router.telegrams.fields.checks import is_luhn_number, is_resident_number
from telegram_router.telegrams.pseudonyms import Pseudonyms, shape_of

KEY = b"0123456789abcdef"
OURS = Pseudonyms(KEY)


def test_twenty_thousand_accounts_have_as_many_pseudonyms():
    assert len({OURS.place(11_000_000_000_000 + number * 37, 10**14, b"digits14") for number in range(20_000)}) == 20_000


@pytest.mark.parametrize("size", [1, 2, 3, 10, 97, 336, 1000, 10_000])
def test_every_place_of_a_domain_is_taken_once(size: int):
    assert sorted(OURS.place(value, size, b"test") for value in range(size)) == list(range(size))


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_every_number_of_a_width_is_taken_once(width: int):
    every = [f"{number:0{width}d}" for number in range(10**width)]
    assert sorted(map(OURS.digits, every)) == every


def test_the_same_key_gives_the_same_and_another_key_another():
    other = Pseudonyms(b"another key of many bytes")
    assert OURS.digits("11012345678901") == Pseudonyms(KEY).digits("11012345678901") != other.digits("11012345678901")
    assert OURS.key_id == Pseudonyms(KEY).key_id != other.key_id
    assert KEY.decode() not in OURS.key_id


@pytest.mark.parametrize("page", ["cp949", "euc_kr", "utf-8", "cp933"])
@given(text=st.text("가나하홍길동ABCxyz0189 -,.()", max_size=30))
def test_a_text_keeps_its_size_its_blanks_and_its_scripts(page: str, text: str):
    made = OURS.text(text, page)
    assert made is not None and len(made) == len(text)
    assert len(made.encode(page)) == len(text.encode(page))
    for was, now in zip(text, made, strict=True):
        assert (was in " -,.()") == (now in " -,.()")
        assert ("가" <= was <= "힣") == ("가" <= now <= "힣")
        assert was.isdigit() == now.isdigit()


def test_a_long_text_is_masked_to_its_end():
    text = "가" * 200
    made = OURS.text(text, "cp949")
    assert made is not None and len(set(made)) > 150


def test_letters_of_a_script_without_a_table_are_not_masked_half():
    assert OURS.text("홍길동 Ж", "utf-8") is None


@given(st.integers(0, 99), st.sampled_from(["0101", "0229", "1231"]), st.integers(1, 8), st.integers(0, 99_999))
def test_what_looks_like_a_resident_number_becomes_one_that_nobody_has_and_back(year: int, day: str, sex: int, serial: int):
    front = f"{year:02d}{day}{sex}{serial:05d}"
    number = next(front + last for last in "0123456789" if is_resident_number(front + last))
    made = OURS.digits(number)
    assert 21 <= int(made[2:4]) <= 32 and is_resident_number(made)
    assert shape_of(OURS.digits(made)) == ("rrn", True)  # the place that was left free


@given(st.text("0123456789", min_size=1, max_size=20))
def test_no_number_becomes_one_that_somebody_could_have(number: str):
    shape = shape_of(number)
    made = shape_of(OURS.digits(number))
    assert len(OURS.digits(number)) == len(number)
    assert made is None if shape is None else made == (shape[0], not shape[1])


def test_cards_and_phones_become_none():
    assert is_luhn_number(OURS.digits("4111111111111111")) and OURS.digits("4111111111111111")[0] in "0178"
    assert OURS.text("010-1234-5678", "ascii")[:2] == "09"  # type: ignore[index]
