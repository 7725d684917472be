"""One small language to say which telegrams: `msg=transfer.* and f.amount > 1000000 and not f.response_code in [0000, VTIM]`."""

# Rules this file keeps:
#
# 1. A name that a telegram does not have makes its test false, whatever the test is. `not` turns that round.
# 2. Numbers are compared as numbers where both sides are numbers, as texts otherwise; what is quoted is equal to the same text alone.
#    No float is made of anything.
# 3. Nothing in a filter is ever executed.

from __future__ import annotations

import fnmatch
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from telegram_router.errors import RouterError

Lookup: TypeAlias = Callable[[str], Any]  # the value under a name; None when there is none

LONGEST: Final = 4096  # characters of a filter
DEEPEST: Final = 50  # parentheses
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<string>"[^"]*"|'[^']*')|(?P<op>==|!=|<=|>=|=|<|>|~)|(?P<mark>[()\[\],])|(?P<word>[^\s()\[\],=<>!~"']+))"""
)
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)
_ORDER: Final[Mapping[str, Callable[[Any, Any], bool]]] = MappingProxyType(
    {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
)
_RESERVED: Final = frozenset({"and", "or", "not", "in"})


class FilterError(RouterError):
    """A filter that cannot be understood."""

    def __init__(self, what: str, text: str, at: int) -> None:
        shown = f"{text[:at]}»{text[at:]}" if len(text) < 200 else f"character {at + 1}"
        super().__init__("E-CAP-06", what, where=shown, do="write tests like msg=transfer.* or f.amount>1000, joined by and, or, not")


@dataclass(frozen=True)
class Name:
    """What a value is called: `msg`, `f.amount`, `state.account.balance`."""

    name: str


@dataclass(frozen=True)
class Constant:
    """A value written out. `quoted`: its `*` and `?` are characters like any other."""

    text: str
    quoted: bool = False


Operand: TypeAlias = Name | Constant


@dataclass(frozen=True)
class Compare:
    left: Name
    op: str
    right: Operand

    def __str__(self) -> str:
        right = self.right.name if isinstance(self.right, Name) else self.right.text
        return f"{self.left.name} {self.op} {right}"


@dataclass(frozen=True)
class Among:
    left: Name
    values: tuple[Constant, ...]

    def __str__(self) -> str:
        return f"{self.left.name} in [{', '.join(value.text for value in self.values)}]"


@dataclass(frozen=True)
class Has:
    """A name by itself: there is such a value."""

    left: Name

    def __str__(self) -> str:
        return self.left.name


@dataclass(frozen=True)
class Not:
    inner: Test

    def __str__(self) -> str:
        return f"not {self.inner}"


@dataclass(frozen=True)
class Every:
    parts: tuple[Test, ...]

    def __str__(self) -> str:
        return " and ".join(f"({part})" if isinstance(part, Either) else str(part) for part in self.parts)


@dataclass(frozen=True)
class Either:
    parts: tuple[Test, ...]

    def __str__(self) -> str:
        return " or ".join(map(str, self.parts))


Test: TypeAlias = Compare | Among | Has | Not | Every | Either


@dataclass(frozen=True)
class Predicate:
    """A filter at work."""

    text: str
    test: Test

    @cached_property
    def holds(self) -> Callable[[Lookup], bool]:
        """Whether it holds for what a look-up knows. Put together once: a simulator asks many for each telegram."""
        return _compiled(self.test)

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name that it asks for."""
        return frozenset(_names(self.test))

    @cached_property
    def _parts(self) -> tuple[tuple[Test, Callable[[Lookup], bool]], ...]:
        """The tests all of which must hold."""
        parts = self.test.parts if isinstance(self.test, Every) else (self.test,)
        return tuple((part, _compiled(part)) for part in parts)

    def missed(self, lookup: Lookup) -> list[str]:
        """The tests that do not hold, of those that all must: what a telegram lacks to be one of these."""
        return [str(part) for part, holds in self._parts if not holds(lookup)]

    def may_be(self, message: str) -> bool:
        """Whether its own tests of `msg` let a message through, where all tests must hold: otherwise it can never hold for one."""
        asked = (holds for part, holds in self._parts if isinstance(part, Compare | Among | Has) and part.left.name == "msg")
        return all(holds({"msg": message}.get) for holds in asked)

    def besides(self, message: str) -> Callable[[Lookup], bool] | None:
        """The rest of it, for telegrams of that message: what it asks besides `msg`. None where it can never hold for one."""
        if not self.may_be(message):
            return None
        rest = [part for part, _ in self._parts if not (isinstance(part, Compare | Among | Has) and part.left.name == "msg")]
        return _compiled(Every(tuple(rest)))

    @property
    def size(self) -> int:
        """How many tests all must hold."""
        return len(self._parts)


def _compiled(test: Test) -> Callable[[Lookup], bool]:
    """A test as one function."""
    if isinstance(test, Every | Either):
        tests, stops = tuple(map(_compiled, test.parts)), isinstance(test, Either)

        def several(lookup: Lookup) -> bool:
            for each in tests:  # all() and any() would make a generator for each telegram
                if each(lookup) is stops:
                    return stops
            return not stops

        return several
    if isinstance(test, Not):
        inner = _compiled(test.inner)
        return lambda lookup: not inner(lookup)
    name = test.left.name
    if isinstance(test, Has):
        return lambda lookup: lookup(name) not in (None, "", False)
    if isinstance(test, Among):
        return _of_value(name, _any_of([_equal_to(value) for value in test.values]))
    if isinstance(test.right, Name):
        return _of_both(name, test.right.name, test.op)
    return _of_value(name, _against(test.op, test.right))


def _of_value(name: str, holds: Callable[[Any], bool]) -> Callable[[Lookup], bool]:
    def of_value(lookup: Lookup) -> bool:
        value = lookup(name)
        return value is not None and holds(value)

    return of_value


def _of_both(left: str, right: str, op: str) -> Callable[[Lookup], bool]:
    compare = _ORDER.get(op)

    def of_both(lookup: Lookup) -> bool:
        one, other = lookup(left), lookup(right)
        if one is None or other is None:
            return False
        both = numbers(one, other) or (as_text(one), as_text(other))
        if compare is not None:
            return compare(*both)
        return (as_text(one) == as_text(other) or both[0] == both[1]) == (op == "=")

    return of_both


def _against(op: str, constant: Constant) -> Callable[[Any], bool]:
    if op == "~":
        pattern = re.compile(constant.text)
        return lambda value: pattern.search(as_text(value)) is not None
    if op in ("=", "!="):
        equal = _equal_to(constant)
        return equal if op == "=" else lambda value: not equal(value)
    compare, text, number = _ORDER[op], constant.text, _number(constant.text)

    def ordered(value: Any) -> bool:
        one = _number(value) if number is not None else None
        return compare(as_text(value), text) if one is None else compare(one, number)

    return ordered


def _any_of(tests: Sequence[Callable[[Any], bool]]) -> Callable[[Any], bool]:
    return lambda value: any(test(value) for test in tests)


def _equal_to(constant: Constant) -> Callable[[Any], bool]:
    text = constant.text
    if constant.quoted:
        return lambda value: as_text(value) == text
    if "*" in text or "?" in text:
        pattern = re.compile(fnmatch.translate(text))
        return lambda value: pattern.match(as_text(value)) is not None
    number = _number(text)

    def equal(value: Any) -> bool:
        return as_text(value) == text or (number is not None and _number(value) == number)

    return equal


def parse(text: str) -> Predicate:
    """Read a filter. Raises FilterError with the place."""
    if len(text) > LONGEST:
        raise FilterError(f"the filter is longer than {LONGEST} characters", text, LONGEST)
    return Predicate(text, _Parser(text).whole())


def as_text(value: Any) -> str:
    """A value as it stands in filters and reports."""
    if type(value) is str:
        return value
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.hex() if isinstance(value, bytes) else str(value)


def numbers(left: Any, right: Any) -> tuple[Decimal, Decimal] | None:
    """Both sides as numbers, if both are."""
    one, other = _number(left), _number(right)
    return None if one is None or other is None else (one, other)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | Decimal):
        return Decimal(value)
    return Decimal(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else None


def _names(test: Test) -> Iterator[str]:
    if isinstance(test, Every | Either):
        for part in test.parts:
            yield from _names(part)
    elif isinstance(test, Not):
        yield from _names(test.inner)
    else:
        yield test.left.name
        if isinstance(test, Compare) and isinstance(test.right, Name):
            yield test.right.name


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(self._tokens())
        self.at = 0
        self.depth = 0

    def _tokens(self) -> Iterator[_Token]:
        at = 0
        while at < len(self.text.rstrip()):
            found = _TOKEN.match(self.text, at)
            if found is None:
                raise FilterError("this is no part of a filter", self.text, at)
            kind = found.lastgroup or ""
            yield _Token(kind, found[kind], found.start(kind))
            at = found.end()
        yield _Token("end", "", len(self.text))

    @property
    def next(self) -> _Token:
        return self.tokens[self.at]

    def take(self) -> _Token:
        token = self.next
        self.at += 1
        return token

    def fail(self, what: str, token: _Token | None = None) -> FilterError:
        return FilterError(what, self.text, (token or self.next).at)

    def whole(self) -> Test:
        if self.next.kind == "end":
            raise self.fail("the filter is empty")
        test = self.either()
        if self.next.kind != "end":
            raise self.fail("`and`, `or` or the end was expected here")
        return test

    def either(self) -> Test:
        parts = [self.both()]
        while self.next.kind == "word" and self.next.text == "or":
            self.take()
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def both(self) -> Test:
        parts = [self.single()]
        while self.next.kind == "word" and self.next.text == "and":
            self.take()
            parts.append(self.single())
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def single(self) -> Test:
        token = self.take()
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.fail("this is nested too deeply", token)
        try:
            if token.text == "not" and token.kind == "word":
                return Not(self.single())
            if token.text == "(" and token.kind == "mark":
                inner = self.either()
                self.expect(")")
                return inner
            if token.kind != "word" or token.text in _RESERVED:
                raise self.fail("a name was expected here, such as msg or f.amount", token)
            return self.test(Name(token.text))
        finally:
            self.depth -= 1

    def expect(self, mark: str) -> None:
        if self.next.text != mark or self.next.kind != "mark":
            raise self.fail(f"`{mark}` was expected here")
        self.take()

    def test(self, left: Name) -> Test:
        if self.next.kind == "op":
            op = self.take().text.replace("==", "=")
            right = self.operand()
            if op == "~":
                self.check_pattern(right)
            return Compare(left, op, right)
        if self.next.kind == "word" and self.next.text == "in":
            self.take()
            self.expect("[")
            values = [self.constant()]
            while self.next.text == "," and self.next.kind == "mark":
                self.take()
                values.append(self.constant())
            self.expect("]")
            return Among(left, tuple(values))
        return Has(left)

    def operand(self) -> Operand:
        if self.next.kind == "word" and self.next.text.startswith(("f.", "state.", "request.", "counter.")):
            return Name(self.take().text)
        return self.constant()

    def constant(self) -> Constant:
        token = self.take()
        if token.kind == "string":
            return Constant(token.text[1:-1], quoted=True)
        if token.kind != "word" or token.text in _RESERVED:
            raise self.fail("a value was expected here", token)
        return Constant(token.text)

    def check_pattern(self, right: Operand) -> None:
        if isinstance(right, Name):
            raise self.fail("a pattern in quotes was expected behind ~")
        try:
            re.compile(right.text)
        except re.error:
            raise FilterError("this is no regular expression", self.text, self.tokens[self.at - 1].at) from None
