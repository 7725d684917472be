"""The language of filters: what it holds of, and where it says that it cannot be understood."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telegram_router.tools.predicate import FilterError, parse

SEEN: dict[str, Any] = {
    "msg": "transfer.request", "c": "c1", "d": ">", "len": 304, "t": 5, "f.amount": "1234500", "f.code": "0000", "f.memo": "급여 (3월)",
    "f.fee": Decimal("500.50"), "f.blank": "", "f.balance": "1234500", "f.star": "a*b",
}  # fmt: skip

HOLDS = [
    "msg=transfer.request", "msg = transfer.*", "msg=*.request and len=304", "f.amount>1000000", "f.amount>=1234500", "not f.amount>1234500",
    "f.amount = 1234500.0", "f.code=0000", "f.code in [0000, VTIM]", "f.fee=500.5", "f.fee<501", 'f.memo="급여 (3월)"', "f.memo~'^급여'",
    "f.amount=f.balance", "f.amount>=f.balance", "msg=x or c=c1", "msg=x and c=c1 or d='>'", "(msg=x or c=c1) and len>300", "f.memo",
    "not f.blank", "not f.nothing", "not f.nothing=1", "msg!=credit.request", 'f.star="a*b"', "f.star=a*", "not not c=c1", "msg in [a.*, transfer.*]",
]  # fmt: skip
HOLDS_NOT = [
    "msg=transfer", "f.amount>1234500", 'f.code="0"', 'f.code in ["0"]', "f.nothing!=1", "f.nothing", "f.blank", 'f.star="a*"', "len<304",
    "f.memo~'급여$'", "msg=transfer.* and c=c2", "not (c=c1 or c=c2)", "f.amount<f.balance", "f.code=state.x",
]  # fmt: skip


@pytest.mark.parametrize("text", HOLDS)
def test_it_holds(text: str):
    assert parse(text).holds(SEEN.get)


@pytest.mark.parametrize("text", HOLDS_NOT)
def test_it_does_not_hold(text: str):
    assert not parse(text).holds(SEEN.get)


def test_codes_that_are_numbers_are_compared_as_numbers_unless_one_is_none():
    assert parse("f.code=0").holds(SEEN.get)  # 0000 and 0 are one number
    assert not parse("f.code=VTIM").holds(SEEN.get)


WRONG = [
    ("", 0, "empty"), ("msg=", 4, "a value was expected"), ("=5", 0, "a name was expected"), ("msg=a b", 6, "`and`, `or` or the end"),
    ("(msg=a", 6, "`)` was expected"), ("msg in a", 7, "`[` was expected"), ("msg in [a b]", 10, "`]` was expected"), ("f.a~'['", 4, "no regular expression"),
    ("and msg=a", 0, "a name was expected"), ("msg=a and", 9, "a name was expected"), ("f.a~f.b", 7, "a pattern in quotes"), ("a='x", 2, "no part of a filter"),
    ("not " * 60 + "a", 200, "nested too deeply"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "at", "what"), WRONG, ids=[f"{what} {at}" for _, at, what in WRONG])
def test_what_cannot_be_understood_is_told_with_its_place(text: str, at: int, what: str):
    with pytest.raises(FilterError) as caught:
        parse(text)
    assert what in caught.value.what and caught.value.code == "E-CAP-06"
    assert caught.value.where == (f"{text[:at]}»{text[at:]}" if len(text) < 200 else f"character {at + 1}")


def test_it_says_which_of_its_tests_a_telegram_missed():
    predicate = parse("msg=transfer.* and f.amount>9999999 and (c=c2 or c=c3) and not len=304")
    assert predicate.missed(SEEN.get) == ["f.amount > 9999999", "c = c2 or c = c3", "not len = 304"]
    assert predicate.names == {"msg", "f.amount", "c", "len"} and predicate.size == 4


names = st.sampled_from([*SEEN, "f.none"])
values = st.sampled_from(["0", "1234500", "transfer.request", "c1", "VTIM"])
tests = st.builds(lambda name, op, value: f"{name}{op}{value}", names, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), values)
filters = st.recursive(
    tests,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner), st.builds("({} or {})".format, inner, inner), st.builds("not {}".format, inner)
    ),
    max_leaves=8,
)


def by_python(text: str) -> bool:
    """The same filter as Python reads it, each test replaced by what it is."""
    return bool(eval(re.sub(r"[\w.]+(?:=|!=|<=|>=|<|>)[\w.]+", lambda found: str(parse(found[0]).holds(SEEN.get)), text)))  # noqa: S307


@given(filters)
def test_and_or_and_not_are_joined_as_python_joins_them(text: str):
    assert parse(text).holds(SEEN.get) == by_python(text)


@given(filters, st.sampled_from(["transfer.request", "transfer.response", "credit.request"]))
def test_what_a_filter_asks_besides_the_message_is_the_rest_of_it(text: str, message: str):
    predicate, seen = parse(text), SEEN | {"msg": message}
    rest = predicate.besides(message)
    assert predicate.holds(seen.get) == (rest is not None and rest(seen.get))
    assert predicate.may_be(message) or not predicate.holds(seen.get)


@given(st.text(max_size=40))
def test_any_text_is_understood_or_refused_with_its_own_error(text: str):
    try:
        parse(text).holds(SEEN.get)
    except FilterError:
        pass
