"""For the tests of whoever uses a spec: telegrams that hypothesis picks and shrinks, realistic ones from a seed, and a spec's own property.

hypothesis is needed for the strategies only: `pip install 'telegram-router[testing]'`.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from telegram_router.telegrams import PlannedField, Spec, Telegram, from_json, to_json
from telegram_router.telegrams.domains import Characters, Choice, Domain, Moment, Number, Octets, Real, Subset, domain_of, fitted
from telegram_router.telegrams.fields import Kind
from telegram_router.telegrams.generate import made, sample

if TYPE_CHECKING:
    from hypothesis import strategies as st
    from hypothesis.strategies import DrawFn, SearchStrategy

    from telegram_router.config import Address
    from telegram_router.tools.simulate.fixture import Host
else:

    class _Strategies:
        """hypothesis.strategies, imported by whoever first needs one."""

        def __getattr__(self, name: str) -> Any:
            return getattr(_hypothesis().strategies, name)

    st = _Strategies()

__all__ = ["check_spec", "frames", "read", "sample", "simulator", "telegrams", "values"]

T = TypeVar("T")

_DAY: Final = 24 * 3600 * 1_000_000  # microseconds
_FEW: Final = 4  # items of a table beyond the fewest: more take long to draw and to make small again
_MANY: Final = 64  # the most is tried too, up to here
_MOST_OCTETS: Final = 200  # of a field without a largest size


def read(name: str | Path) -> Spec:
    """A spec by its name, if it ships with the router, or by the path of its file.

    Raises SpecError with every problem of the file, and LookupError for a name that no spec has.
    """
    from telegram_router.plan import SHIPPED, find_spec, known_specs, read_spec  # which brings much that a test may not need

    path = find_spec(str(name), SHIPPED)
    if path is None:
        raise LookupError(f"no spec is called {name}; there are {', '.join(sorted(known_specs(SHIPPED)))}, and any path of a .py file")
    return read_spec(path)


def simulator(
    scenario: str | Path, *, seed: int = 42, sockets: bool = False, role: str = "host", to: Host | Address | None = None, **more: Any
) -> AbstractAsyncContextManager[Host]:
    """A simulated host for a trio test: `async with simulator("core.toml") as host: caller = await host.connect()`.

    `scenario` is the path of a scenario or of a capture, or a scenario's text. In memory, so that it runs on trio's MockClock; with
    `sockets` on a port of this machine, `host.address`. `start` is the date and time at which it begins, `record` a capture to write,
    `allow_code` lets a scenario's Python run.

    A client (a scenario's own role, or `role="client"` for a capture) connects `to` another simulator in memory, or to an address;
    without either the test is its host: `caller = await client.accept()`.
    """
    from telegram_router.tools.simulate.fixture import run_simulator

    def find(name: str, folder: Path) -> Spec:
        return read(folder / name if name.endswith(".py") else name)

    return run_simulator(scenario, find, seed=seed, sockets=sockets, role=role, to=to, **more)


def _hypothesis() -> Any:
    try:
        import hypothesis
    except ImportError:
        raise ImportError("this needs hypothesis: pip install 'telegram-router[testing]'") from None
    return hypothesis


# --- strategies -------------------------------------------------------------------------------------------------


def telegrams(spec: Spec, message: str | None = None) -> SearchStrategy[Telegram]:
    """Valid telegrams of a message, or of any message of the spec: every value that each field can hold."""
    chosen = [spec.messages[message]] if message is not None else [*spec.messages.values()]
    of_fields: dict[PlannedField, SearchStrategy[Any]] = {}

    def drawn(draw: DrawFn) -> Telegram:
        layout = chosen[0] if len(chosen) == 1 else draw(st.sampled_from(chosen))
        return made(layout, _Drawn(draw, of_fields))

    return st.composite(drawn)()


def frames(spec: Spec, message: str | None = None) -> SearchStrategy[bytes]:
    """Valid frames, as they stand on the wire."""
    return telegrams(spec, message).map(spec.encode)


def values(field: PlannedField | Kind) -> SearchStrategy[Any]:
    """Every value of one field, of a message's layout or of a kind alone."""
    kind = field.kind if isinstance(field, PlannedField) else field
    if isinstance(field, PlannedField) and field.key is not None:
        return st.just(field.key)
    return _of_domain(kind, domain_of(kind))


class _Drawn:
    """Lets hypothesis decide. The strategies of fields are kept: making them takes longer than drawing from them."""

    def __init__(self, draw: DrawFn, of_fields: dict[PlannedField, SearchStrategy[Any]]) -> None:
        self._draw = draw
        self._of_fields = of_fields

    def value(self, planned: PlannedField, domain: Domain) -> Any:
        if planned not in self._of_fields:
            self._of_fields[planned] = _of_domain(planned.kind, domain)
        return self._draw(self._of_fields[planned])

    def count(self, least: int, most: int) -> int:
        few = st.integers(least, min(most, least + _FEW))
        return self._draw(few | st.just(most) if most <= _MANY else few)

    def one_of(self, options: Sequence[T]) -> T:
        return self._draw(st.sampled_from(options))


def _of_domain(kind: Kind, domain: Domain) -> SearchStrategy[Any]:
    usual = _of_what(kind, domain)
    return st.one_of(usual, st.sampled_from(domain.absent)) if domain.absent else usual


def _of_what(kind: Kind, domain: Domain) -> SearchStrategy[Any]:
    what = domain.what
    if isinstance(what, Choice):
        return st.sampled_from(what.values)
    if isinstance(what, Number):
        return st.integers(what.least, what.most).map(what.value)
    if isinstance(what, Real):
        return st.builds(what.value, st.integers(1 - 10**what.digits, 10**what.digits - 1), st.integers(-what.power, what.power))
    if isinstance(what, Octets):
        return st.binary(min_size=what.least, max_size=what.least + _MOST_OCTETS if what.most is None else what.most)
    if isinstance(what, Moment):
        ends = [day for day in (what.first, what.last, datetime.date(2000, 2, 29)) if what.first <= day <= what.last]
        days = st.one_of(st.dates(what.first, what.last), st.sampled_from(ends))
        return st.builds(what.text, days, st.integers(0, _DAY - 1) | st.just(_DAY - 1))
    if isinstance(what, Subset):
        return st.sets(st.sampled_from(what.names)).map(lambda chosen: [name for name in what.names if name in chosen])
    return _text(kind, what, domain)


def _text(kind: Kind, characters: Characters, domain: Domain) -> SearchStrategy[str]:
    alphabet = st.characters(exclude_categories=("C", "Zl", "Zp")) if characters.alphabet is None else st.sampled_from(characters.alphabet)
    texts = st.text(alphabet, min_size=characters.least, max_size=characters.most).map(lambda text: fitted(kind, text) or "")
    return texts if "" in domain.absent else texts.filter(bool)


# --- a spec's own property --------------------------------------------------------------------------------------


def check_spec(spec: Spec, message: str | None = None, *, examples: int = 100) -> None:
    """What must hold of every spec, tried with that many telegrams for each message: values become bytes and are read back the
    same, and so by way of JSON. Raises AssertionError with the smallest telegram for which it does not.
    """
    hypothesis = _hypothesis()
    for layout in spec.messages.values():
        if message in (None, layout.name):
            how = hypothesis.settings(max_examples=examples, deadline=None, database=None)
            check: Callable[[], None] = how(hypothesis.given(telegrams(spec, layout.name))(_check))
            check()


def _check(telegram: Telegram) -> None:
    spec = telegram.spec
    frame = spec.encode(telegram)
    read = spec.decode(frame)
    assert read == telegram, f"{telegram.message.name}: reading gives other values than were written"
    assert spec.encode(read) == frame, f"{telegram.message.name}: writing what was read gives other bytes"
    assert spec.encode(from_json(spec, to_json(read))) == frame, f"{telegram.message.name}: by way of JSON the bytes are others"
