"""Who has asked for how much: requests by user, service and day, by how they ended."""

# Rules this file keeps, all of them tested:
#
# 1. Every request that ended or was refused counts once, on the day on which it did.
# 2. Users are bounded: those of a day beyond the bound count together as `_OTHER`.
# 3. Per request there is one look-up and a few additions; who the user is is worked out once for a peer and an entry.

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from telegram_router.errors import FieldError
from telegram_router.routing.limits import Part, part
from telegram_router.routing.quotas import Amounts, amount_fields, amounts_of, spelled
from telegram_router.telegrams.lengths import LengthField
from telegram_router.telegrams.spec import fused

if TYPE_CHECKING:
    from telegram_router.routing.ended import Ended
    from telegram_router.routing.peers import Peer
    from telegram_router.routing.routes import Entry
    from telegram_router.telegrams import Spec

OTHER, NOBODY, NOWHERE = "_OTHER", "_NONE", "_NONE"
MET = 8192  # peers and entries whose tallies are known by heart
LINE = 200  # rows told of at a time
COUNTS = ("answered", "sent", "refused", "not_sent", "sent_unknown", "bytes_in", "bytes_out", "amount", "amount_unknown")


class Tally:
    """One user's requests to one service on one day. `codes` counts those that were not answered, by code."""

    __slots__ = (*COUNTS, "changed", "codes")

    def __init__(self) -> None:
        self.answered = self.sent = self.refused = self.not_sent = self.sent_unknown = 0
        self.bytes_in = self.bytes_out = self.amount = self.amount_unknown = 0
        self.codes: dict[str, int] = {}
        self.changed = False

    def row(self) -> list[Any]:
        return [*(getattr(self, name) for name in COUNTS), self.codes]

    def add(self, row: Sequence[Any]) -> None:
        """What was counted before."""
        for name, count in zip(COUNTS, row, strict=False):
            setattr(self, name, getattr(self, name) + count)
        for code, count in row[len(COUNTS)].items():
            self.codes[code] = self.codes.get(code, 0) + count


Place = tuple[str, str]  # service and user


class Terms(NamedTuple):
    """How the telegrams of one spec are counted."""

    names: Sequence[tuple[Part, bool]]  # what tells a user, and whether it is a header field
    header: Callable[[bytes], Hashable]  # the bytes of those fields
    amounts: Mapping[str, Amounts]  # by message
    length: slice  # of a frame: the bytes that say how long it is
    sizes: dict[bytes, int]  # by those bytes
    read: Callable[[bytes], int | None]  # the size by those bytes


NO_TERMS = Terms((), lambda frame: None, {}, slice(0), {}, lambda length: None)
Known = tuple[Tally, int, Amounts | None, Terms]  # size of the request, 0: look; what reads its amount


class Day:
    """The tallies of one day."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tallies: dict[Place, Tally] = {}
        self.restored = False  # what was stored of this day before is in them
        self._users: set[str] = set()

    def tally(self, service: str, user: str, most: int) -> Tally:
        if user not in self._users:
            if len(self._users) >= most:
                user = OTHER
            else:
                self._users.add(user)
        place = service, user
        found = self.tallies.get(place)
        if found is None:
            found = self.tallies[place] = Tally()
        return found

    def restore(self, stored: Mapping[str, Mapping[str, Sequence[Any]]], most: int) -> None:
        """What was stored of this day, by service and user, in addition to what has been counted since."""
        for service, users in stored.items():
            for user, row in users.items():
                tally = self.tally(service, user, max(most, len(self._users) + 1))
                tally.add(row)
                tally.changed = True
        self.restored = True

    def take_changes(self) -> Iterator[tuple[str, dict[str, list[Any]]]]:
        """Rows that have changed since this was last asked, by service, some at a time."""
        return self._told([place for place, tally in self.tallies.items() if tally.changed])

    def everything(self) -> Iterator[tuple[str, dict[str, list[Any]]]]:
        return self._told(list(self.tallies))

    def _told(self, places: list[Place]) -> Iterator[tuple[str, dict[str, list[Any]]]]:
        places.sort()
        for start in range(0, len(places), LINE):
            by_service: dict[str, dict[str, list[Any]]] = {}
            for service, user in places[start : start + LINE]:
                tally = self.tallies[service, user]
                tally.changed = False
                by_service.setdefault(service, {})[user] = tally.row()
            yield from by_service.items()


class Usage:
    """Reads what the switch tells of what ended.

    names   what tells who a user is, the first that a request has: certificate, address, or `header.` and a field
    amount  the path of a numeric field whose sum is counted; None: nothing is
    most    users of a day
    """

    def __init__(self, names: Sequence[str], amount: str | None, most: int, day: str) -> None:
        self.names = tuple(names)
        self.amount = amount
        self.most = most
        self.missed = 0  # requests of which the switch had no room to tell
        self.days: dict[str, Day] = {}
        self._by_header = any(name.startswith("header.") for name in names)
        self._specs: dict[Spec, Terms] = {}
        self._known: dict[Hashable, Known] = {}
        self.day = Day(day)
        self.turn(day)

    def turn(self, day: str) -> None:
        """It is this day."""
        self.day = self.days.setdefault(day, self.day if self.day.name == day else Day(day))
        self.forget()

    def forget(self) -> None:
        """What is known by heart holds peers and entries that may be gone by now."""
        self._known.clear()
        self._specs.clear()

    def read(self, ended: Sequence[Ended], dropped: int) -> None:
        """What ended in one turn."""
        self.missed += dropped
        of = self._of if self._by_header else None
        # Answers come in the order of the requests more often than not, and many of one session one after the other.
        last: tuple[object, object, object] = (None, None, None)
        tally, size, amounts, header, terms = Tally(), 0, None, None, NO_TERMS
        sizes, place = terms.sizes, terms.length
        for result, _, exchange, peer, entry, frame, code, delivery, _ in ended:
            if exchange is None:
                if delivery:
                    self._refused(peer, entry, frame, code)
                continue
            if of is not None:
                header = of(peer.group.spec).header(exchange.frame)
            if peer is not last[0] or entry is not last[1] or header != last[2]:
                if not delivery:
                    continue
                last = peer, entry, header
                found = self._known.get(last)
                if found is None:
                    found = self._meet(last, peer, exchange.frame, entry)
                tally, size, amounts, terms = found
                sizes, place = terms.sizes, terms.length
                tally.changed = True
            if result == "ok" and delivery == "answered" and amounts is None:
                tally.answered += 1
                tally.bytes_in += size or sizes.get(exchange.frame[place]) or self._size_of(exchange.frame, terms)
                tally.bytes_out += len(frame)
            elif delivery:
                tally.bytes_in += size or self._size_of(exchange.frame, terms)
                _count(tally, code, delivery, frame, 0 if amounts is None else _amount(amounts, exchange.frame, exchange.entry))

    def _refused(self, peer: Peer, entry: Entry | None, frame: bytes, code: str) -> None:
        tally = self._tally(peer, frame, entry)
        tally.changed = True
        tally.refused += 1
        tally.bytes_in += len(frame)
        tally.codes[code] = tally.codes.get(code, 0) + 1

    def _meet(self, key: Hashable, peer: Peer, frame: bytes, entry: Entry | None) -> Known:
        assert entry is not None  # an exchange has one
        if len(self._known) >= MET:
            self.forget()
        terms = self._of(peer.group.spec)
        size = entry.message.frame_size or 0
        found = self._known[key] = self._tally(peer, frame, entry), size, terms.amounts.get(entry.message.name), terms
        return found

    @staticmethod
    def _size_of(frame: bytes, terms: Terms) -> int:
        """Of a request of which perhaps no more than the header is left."""
        length = frame[terms.length]
        size = terms.read(length) if length else None
        if size is None:
            return len(frame)
        if len(terms.sizes) >= MET:
            terms.sizes.clear()
        terms.sizes[length] = size
        return size

    def _tally(self, peer: Peer, frame: bytes, entry: Entry | None) -> Tally:
        target = entry.target if entry is not None else None
        service = NOWHERE if target is None else f"listener {target.name}" if hasattr(target, "listener") else target.name
        return self.day.tally(service, self._user(peer, frame), self.most)

    def _user(self, peer: Peer, frame: bytes) -> str:
        group = peer.group
        if peer.backend is not None:
            return f"service {group.name}"  # a host that asks
        whole = len(frame) >= group.header_end
        for name, in_header in self._of(group.spec).names:
            value = name(peer, frame, None) if whole or not in_header else None  # type: ignore[arg-type]  # none of them looks at an entry
            if value is not None:
                return spelled(value, group.spec.encoding)
        return NOBODY

    def _of(self, spec: Spec) -> Terms:
        found = self._specs.get(spec)
        if found is None:
            words = [name for name in self.names if has(name, spec)]
            names = [(part(name, spec), name.startswith("header.")) for name in words]
            places = fused(spec.header_slice(name.removeprefix("header.")) for name in words if name.startswith("header."))
            amounts = dict.fromkeys(amount_fields(self.amount, spec), amounts_of(self.amount, spec)) if self.amount else {}
            length = spec.framing.length
            place = slice(length.offset, length.offset + length.width) if isinstance(length, LengthField) else slice(0)
            read = length.read if isinstance(length, LengthField) else NO_TERMS.read
            found = self._specs[spec] = Terms(names, itemgetter(*places) if places else NO_TERMS.header, amounts, place, {}, read)
        return found


def _count(tally: Tally, code: str, delivery: str, frame: bytes, amount: int) -> None:
    setattr(tally, delivery, getattr(tally, delivery) + 1)
    tally.bytes_out += len(frame)
    if delivery in ("answered", "sent"):
        tally.amount += amount
    elif delivery == "sent_unknown":
        tally.amount_unknown += amount
    if code or delivery == "not_sent":
        code = code or "withdrawn"
        tally.codes[code] = tally.codes.get(code, 0) + 1


def _amount(amounts: Amounts, frame: bytes, entry: Entry) -> int:
    """One that nobody can read adds nothing: the request has gone its way, and this only counts."""
    try:
        return amounts(frame, entry) or 0
    except FieldError:
        return 0


def has(name: str, spec: Spec) -> bool:
    """Whether telegrams of a spec can have what tells a user."""
    return not name.startswith("header.") or name.removeprefix("header.") in spec.header_fields


def whole_messages(spec: Spec, amount: str | None) -> frozenset[str]:
    """Requests that have to be kept whole: those with an amount, and those whose header does not say how long they are."""
    found = set(amount_fields(amount, spec)) if amount is not None else set()
    if not isinstance(spec.framing.length, LengthField):
        found |= {message.name for message in spec.messages.values() if message.frame_size is None}
    return frozenset(found)
