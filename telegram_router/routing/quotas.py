"""How much may come in a calendar hour, day, week or month, by key: requests, or the sum of what they ask for."""

# Rules this file keeps, all of them tested:
#
# 1. In no window is more admitted for a key than its quota, whatever the clock does: a window that was left is found again with
#    what was counted in it, and one that was forgotten is never begun anew.
# 2. A request counts when it is let through. It is given back if it never left, and its window still is the one that is counted.
# 3. Nothing is forgotten to make room: at KEYS keys another one is refused.
# 4. Amounts are whole numbers of the field's last digit, never floats, and none of them lowers what has been used.

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from hashlib import blake2b
from heapq import nlargest
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from telegram_router.errors import FieldError
from telegram_router.routing.limits import KEYS, Admission, ByKey, Part, Refusal
from telegram_router.routing.routes import clear_names
from telegram_router.telegrams import PlannedField
from telegram_router.telegrams.fields import Number
from telegram_router.telegrams.single_field import SingleField

if TYPE_CHECKING:
    from telegram_router.routing.peers import Peer
    from telegram_router.routing.routes import Entry
    from telegram_router.telegrams import Spec

WINDOWS = 8  # of one quota that are remembered: a clock that was set wrong may visit as many
LINE = 500  # keys that are told of at a time
SLICE = 5_000  # keys that are compared at a time: half a millisecond

T = TypeVar("T")

Amounts = Callable[[bytes, "Entry"], int | None]  # None: this message has no such field, and does not count


class Window(NamedTuple):
    """Whole seconds since 1970, the end excluded."""

    begin: int
    end: int


NEVER = Window(0, 0)  # before anybody has told the time


class Counted(NamedTuple):
    """What some keys of a quota have used in one window: all of it, not what has been added."""

    window: Window
    used: dict[str, int]


class Quota(ByKey):
    """One quota over many keys.

    most      what each key may use in a window: requests, or units of the amount
    spell     a key as text, for the store and for people
    refuses   whether nothing is let through while what is counted cannot be stored
    """

    result = "quota_exceeded"

    def __init__(
        self,
        name: str,
        most: int,
        parts: Sequence[Part],
        spell: Callable[[Hashable], str],
        services: frozenset[str] = frozenset(),
        pass_without_key: bool = False,
        *,
        amounts: Amounts | None = None,
        refuses: bool = True,
        identity: str = "",
    ) -> None:
        super().__init__(name, parts, services, pass_without_key)
        self.most = most
        self.refuses = refuses
        self.identity = identity  # what it counts and by what: what was counted by something else is not its own
        self.unstored = False  # what is counted cannot be stored at the moment
        self.window = NEVER  # that of the clock
        self.whole = amounts is not None
        self._spell = spell
        self._amounts = amounts
        self._following: Window | None = None
        self._until = float("inf")  # of the clock that requests are timed by
        self._since = float("-inf")
        self._counted = self.window  # the one that requests count in
        self._used: dict[Hashable, int] = {}
        self._known: dict[Window, dict[Hashable, int]] = {}
        self._restored: dict[Window, dict[str, int]] = {}  # what was stored of keys that have not been met since
        self._changed: dict[Window, dict[Hashable, None]] = {self._counted: {}}
        self._forgotten = -1  # no window that begins here or before is begun anew
        self._highest = 0
        self._lowered = False

    def __len__(self) -> int:
        return len(self._used) + len(self._restored.get(self._counted, ()))

    def adopt(self, other: Quota) -> None:
        """Take over the numbers of a quota that counts the same. What was counted stays counted."""
        self.most, self.services, self.refuses = other.most, other.services, other.refuses
        self._parts, self._only, self._passes = other._parts, other._only, other._passes
        self._spell, self._amounts = other._spell, other._amounts

    # --- requests

    def judge(self, peer: Peer, frame: bytes, entry: Entry, now: float) -> Admission | Refusal | None:
        if now >= self._until:
            self._turn(now)
        key = self._key_of(peer, frame, entry)
        if key is None:
            return None if self._passes else self._refuse(None)
        amount = self._amounts(frame, entry) if self._amounts is not None else 1
        if amount is None:
            return None
        if self.unstored and self.refuses:
            return self._refuse(None, "E-STO-03")
        used = self._used.get(key)
        if used is None:
            used = self._meet(key)
        if used + amount > self.most:
            return self._refuse(None if amount > self.most else max(0.0, self._until - now))
        return key, amount

    def admit(self, admission: Admission, now: float) -> None:
        key, amount = admission
        used = self._used.get(key, 0) + int(amount)
        self._used[key] = used
        self._changed[self._counted][key] = None
        if used > self._highest:
            self._highest = used

    def give_back(self, peer: Peer, frame: bytes, entry: Entry, at: float) -> None:
        key = self._key_of(peer, frame, entry)
        try:
            amount = self._amounts(frame, entry) if self._amounts is not None else 1
        except FieldError:  # a reload has brought another layout since
            return
        used = self._used.get(key, 0)
        if at < self._since or not amount or not used:
            return
        self._lowered = self._lowered or used == self._highest
        self._used[key] = max(0, used - amount)
        self._changed[self._counted][key] = None

    def _meet(self, key: Hashable) -> int:
        """What a key not met before has used; all there is when there is no room for it."""
        restored = self._restored.get(self._counted)
        used = restored.pop(self._spell(key), None) if restored else None
        if used is None:
            return 0 if len(self) < KEYS else self.most
        self._used[key] = used
        return used

    # --- time

    def keep_time(self, window: Window, following: Window, until: float, now: float) -> None:
        """It is this window, until that moment of the clock by which requests are timed; then the following one."""
        self._following, self._until = following, until
        if window != self.window or not self._known:
            self._begin(window, now)

    def _turn(self, now: float) -> None:
        following = self._following
        if following is not None:  # else nobody has told the time for a whole window: what is counted now stays counted
            self._until += following.end - following.begin
            self._following = None
            self._begin(following, now)

    def _begin(self, window: Window, now: float) -> None:
        self.window = window
        self._changed.pop(NEVER, None)
        if window not in self._known:
            window = self._made_room_for(window)
        self._counted, self._since = window, now
        self._used = self._known.setdefault(window, {})
        self._changed.setdefault(window, {})
        self._highest, self._lowered = 0, True

    def _made_room_for(self, window: Window) -> Window:
        """The window itself, or the one nearest to it when it may not be begun."""
        if self._known and window.begin <= self._forgotten:
            return min(self._known)
        if len(self._known) >= WINDOWS:
            oldest = min(self._known)
            if oldest.begin > window.begin:  # the clock was set ahead again and again: all of them may come once more
                return oldest
            self._forget(oldest)
        return window

    def _forget(self, window: Window) -> None:
        self._forgotten = max(self._forgotten, window.begin)
        self._restored.pop(window, None)
        del self._known[window]

    # --- what is seen and stored

    @property
    def used_ratio(self) -> float:
        """The highest part of its quota that any key has used in this window."""
        if self._lowered:
            restored = self._restored.get(self._counted, {})
            self._highest = max(max(self._used.values(), default=0), max(restored.values(), default=0))
            self._lowered = False
        return self._highest / self.most

    def highest(self, count: int) -> list[tuple[str, int]]:
        """The keys that have used most."""
        return list(self.find_highest(count))[-1]

    def find_highest(self, count: int) -> Iterator[list[tuple[str, int]]]:
        """The same, some keys at a time: what is known by then, and last what was asked for. Of the window that it is at the beginning."""
        known, stored = self._used, self._restored.get(self._counted, {})
        met: list[tuple[Hashable, int]] = []
        for keys in _some(list(known), SLICE):
            met = nlargest(count, [*met, *((key, known[key]) for key in keys if key in known)], key=_second)
            yield []
        left: list[tuple[str, int]] = []
        for names in _some(list(stored), SLICE):
            left = nlargest(count, [*left, *((name, stored[name]) for name in names if name in stored)], key=_second)
            yield []
        yield nlargest(count, [*((self._spell(key), used) for key, used in met), *left], key=_second)

    def restore(self, stored: Mapping[Window, Mapping[str, int]]) -> None:
        """What was stored before this router began. Only the latest windows are of use."""
        latest = sorted(stored)[-WINDOWS:]
        self._forgotten = max([self._forgotten, *(window.begin for window in stored if window not in latest)])
        for window in latest:
            self._restored[window] = dict(stored[window])
            self._known.setdefault(window, {})

    def take_changes(self) -> Iterator[Counted]:
        """What has been counted since this was last asked, some keys at a time, as it is when each is asked for. To be read to its end."""
        for window in list(self._changed):
            changed = list(self._changed.pop(window))
            if window == self._counted:
                self._changed[window] = {}
            for some in _some(changed, LINE):
                known = self._known.get(window, {})
                yield Counted(window, {self._spell(key): known.get(key, 0) for key in some})

    def everything(self) -> Iterator[Counted]:
        """All that is known, some keys at a time, the oldest window first."""
        for window in sorted(self._known):
            for some in _some(list(self._known.get(window, {})), LINE):
                known = self._known.get(window, {})
                yield Counted(window, {self._spell(key): known[key] for key in some if key in known})
            for keys in _some(list(self._restored.get(window, {})), LINE):
                restored = self._restored.get(window, {})
                yield Counted(window, {key: restored[key] for key in keys if key in restored})


def _second(pair: tuple[Hashable, int]) -> int:
    return pair[1]


def _some(keys: list[T], many: int) -> Iterator[list[T]]:
    return (keys[at : at + many] for at in range(0, len(keys), many))


# --- keys as text


def speller(names: Sequence[str], spec: Spec) -> Callable[[Hashable], str]:
    """Spells the keys that are counted by these. What a header field holds is only shown where the spec lets it be."""
    shown = clear_names(spec)
    clear = [name.removeprefix("header.") in shown for name in names]

    def spell(key: Hashable) -> str:
        parts = key if isinstance(key, tuple) else (key,)
        texts = [
            spelled(value, spec.encoding) if may or not isinstance(value, bytes) else f"#{blake2b(value, digest_size=12).hexdigest()}"
            for value, may in zip(parts, clear, strict=True)
        ]
        return "|".join(text.replace("|", "||") for text in texts)

    return spell


def spelled(value: object, encoding: str) -> str:
    """A part of a key as text: the bytes of a header field, the names of a certificate, an address."""
    if isinstance(value, bytes):
        return value.decode(encoding, "backslashreplace").rstrip()
    return "+".join(sorted(value)) if isinstance(value, frozenset) else str(value)


# --- amounts


def amounts_of(path: str, spec: Spec) -> Amounts:
    """Reads a numeric field as a whole number of units: those of the smallest digit that any message has there."""
    fields = {name: SingleField(spec.messages[name], planned) for name, planned in amount_fields(path, spec).items()}
    finest = finest_digit(path, spec)

    def amount(frame: bytes, entry: Entry) -> int | None:
        field = fields.get(entry.message.name)
        value = field(frame) if field is not None else None
        if field is None or value is None:
            return None if field is None else 0
        kind = field.planned.kind
        assert isinstance(kind, Number)  # the plan has seen to it
        return max(0, kind.units(value)) * 10 ** (finest - kind.scale)  # type: ignore[no-any-return]  # the exponent is never negative

    return amount


def amount_fields(path: str, spec: Spec) -> dict[str, PlannedField]:
    """The field of each request that has it, by message."""
    found = {message.name: message.field(path) for message in spec.messages.values() if message.kind != "reply"}
    return {name: field for name, field in found.items() if field is not None}


def finest_digit(path: str, spec: Spec) -> int:
    """How many digits behind the point the amounts of a field have at most."""
    return max([0, *(field.kind.scale for field in amount_fields(path, spec).values() if isinstance(field.kind, Number))])
