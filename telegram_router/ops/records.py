"""Access records: one JSON line for every telegram that ended, made in batches at the end of the hub's turns."""

# Rules this file keeps, all of them tested:
#
# 1. A record holds no body, and of the header the correlation fields alone: as they are where the spec marks them log="clear",
#    else as a keyed hash, by which `find` still finds them.
# 2. Records of what went well may be sampled; of anything else each is written.
# 3. A turn makes at most SLICE records. What ended beyond that waits, at most WAITING of it.
# 4. What cannot be written is dropped and counted: nobody waits for a record.

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from operator import itemgetter
from typing import Any, Protocol

import msgspec

from telegram_router.ops.record_file import RecordFile
from telegram_router.routing import Ended, Listener, Peer
from telegram_router.routing.routes import Entry, Origin, clear_names
from telegram_router.routing.traces import parent_of
from telegram_router.telegrams.fields.charset import charset_of
from telegram_router.telegrams.lengths import LengthField

SLICE = 1_000  # records of one turn: about a millisecond
WAITING = 65_536
BATCH = 1_024  # records that are handed over at once: each time costs a change of threads
ORIGINS = 1_000
WAYS = 16_384
SIZES = 4_096
FRESH = 256
HASHED = "~"
HASH_BYTES = 8
_READABLE = re.compile(rb"[ -~]*")
_PLAIN = re.compile(rb"[ !#-\[\]-~]*")  # readable, and means nothing to JSON


NONE = 0.0  # one object: defaults are left out by identity


class Record(msgspec.Struct, gc=False, omit_defaults=True):
    """One line. What is empty is left out."""

    ts: str
    result: str
    delivery: str = ""
    code: str = ""
    message: str = ""
    listener: str = ""
    session: str = ""
    user: str = ""  # the names of its certificate
    address: str = ""
    route: str = ""
    service: str = ""
    backend: str = ""
    link: str = ""
    asked_by: str = ""  # "link" for what a host asked
    key: dict[str, str] = {}
    attempts: int = 1
    queue_ms: float = NONE
    answer_ms: float = NONE
    bytes_in: int = 0  # of the request, or of an answer that pairs with nothing
    bytes_out: int = 0
    trace: str = ""
    span: str = ""
    parent: str = ""  # the span that the telegram named


def hashed(text: str, secret: bytes) -> str:
    """What stands for a value that may not be shown. Blanks around it and zeros in front make no difference."""
    plain = text.strip().lstrip("0").encode()
    return HASHED + hashlib.blake2b(plain, digest_size=HASH_BYTES, key=secret).hexdigest()


class _Telegrams:
    """What can be told of the telegrams of one origin: their correlation fields and their size."""

    def __init__(self, origin: Origin, secret: bytes) -> None:
        spec = origin.spec
        clear = clear_names(spec)
        self._fields = [(name, place, name in clear) for name, place in spec.correlation_fields]
        self._charset = charset_of(spec.encoding)
        self._secret = secret
        self._length = spec.framing.length
        at = self._length.offset if isinstance(self._length, LengthField) else 0
        self.length_at = slice(at, at + self._length.width if isinstance(self._length, LengthField) else 0)
        self._sizes: dict[bytes, int] = {}  # at most SIZES, forgotten together
        self._kept = spec.kept.stop
        # The usual family has clear fields in ASCII: their texts are put into the line as they are.
        self.usual = spec.trace is None and self._charset.is_ascii and bool(self._fields) and all(shown for _, _, shown in self._fields)
        self.alone = len(self._fields) == 1
        self.texts: Callable[[bytes], Any] = itemgetter(*(place for _, place, _ in self._fields)) if self._fields else bytes
        self.key_line = b'"key":{' + b",".join(b'"%b":"%%b"' % name.encode() for name, _, _ in self._fields) + b"}"

    def padded(self, frame: bytes) -> tuple[bytes, ...] | None:
        """The fields without the blanks around them; None where one of them cannot be put into a line as it is."""
        found = tuple(frame[place].strip() for _, place, _ in self._fields)
        return found if all(map(_PLAIN.fullmatch, found)) else None

    def size(self, frame: bytes) -> int:
        """Of the whole telegram, though perhaps its header alone has been kept; 0 where that does not tell."""
        if self._kept is None or len(frame) > self._kept:
            return len(frame)
        if not isinstance(self._length, LengthField):
            return 0
        field = frame[self.length_at]
        found = self._sizes.get(field)
        if found is None:
            if len(self._sizes) >= SIZES:
                self._sizes.clear()
            found = self._sizes[field] = self._length.read(field) or 0
        return found

    def key(self, frame: bytes) -> dict[str, str]:
        found = {}
        for name, place, clear in self._fields:
            raw = self._charset.ascii(frame[place])
            if clear and _READABLE.fullmatch(raw):
                found[name] = raw.decode("ascii").strip()
            elif self._secret:
                found[name] = hashed(raw.decode("latin-1"), self._secret)
        return found


class RecordMaker:
    """Makes records of what the switch tells. `clock` is that of the hub, `now` gives seconds since 1970, `digits` 48 at a time."""

    def __init__(self, clock: Callable[[], float], now: Callable[[], float], digits: Iterator[bytes], secret: bytes = b"") -> None:
        self._clock = clock
        self._now = now
        self._digits = digits
        self._secret = secret
        self._telegrams: dict[Origin, _Telegrams] = {}  # at most ORIGINS, forgotten together
        self._ways: dict[tuple[Entry | None, Peer, Peer | None], tuple[str, str]] = {}  # at most WAYS, forgotten together
        self._encoder = msgspec.json.Encoder()
        self._traces: list[bytes] = []  # at most FRESH, of which nobody knows yet: 32 digits and the end of a line

    def _more_traces(self) -> list[bytes]:
        digits = b"".join(islice(self._digits, FRESH))
        self._traces = [digits[at : at + 32] + b'"}\n' for at in range(0, len(digits), 48)][::-1]
        return self._traces

    def write(self, ended: Sequence[Ended], out: list[bytes]) -> int:
        """Append a line for each, in pieces that are to be joined; returns how many lines. The usual takes a fifth of the time."""
        # Telegrams that ended together are alike, and lines of one kind share their pieces: one is made when something in it is
        # another than in the line before, and no line is put together here.
        met: Peer | None = None
        met_entry: Entry | None = None
        met_answerer: Peer | None = None
        ended_at = asked_at = -1.0
        asked_size = answer_size = -1
        length_field = front = back = b""
        size = ""
        for each in ended:
            result, at, exchange, peer, entry, frame, _, _, waited = each
            if result != "ok" or exchange is None or waited or exchange.trace or exchange.attempts != 1:
                out.append(self._whole(each))
                continue
            if peer is not met or exchange.answerer is not met_answerer or entry is not met_entry or at != ended_at:
                telegrams = self._telegrams.get(peer.group) or self._learn(peer.group)
                usual, texts, alone, key_line = telegrams.usual, telegrams.texts, telegrams.alone, telegrams.key_line
                length_at = telegrams.length_at
                path, size = self._ways.get((entry, peer, exchange.answerer)) or self._way(each)
                if at != ended_at:
                    stamp = self._stamp(at)
                front = f'{{"ts":"{stamp}"{path}'.encode()
                met, met_answerer, met_entry, ended_at, answer_size = peer, exchange.answerer, entry, at, -1
            header = exchange.frame
            found = texts(header) if usual else None
            if found is not None and not (found if alone else b"".join(found)).isalnum():
                found = telegrams.padded(header)
            if found is None:
                out.append(self._whole(each))
                continue
            if len(frame) != answer_size or header[length_at] != length_field or exchange.at != asked_at or len(header) != asked_size:
                asked_at, asked_size, answer_size, length_field = exchange.at, len(header), len(frame), header[length_at]
                back = f'{_took(at - asked_at)}{size or size_line(telegrams.size(header))}{answer_size},"trace":"'.encode()
            out += (front, key_line % found, back, (self._traces or self._more_traces()).pop())
        return len(ended)

    def _way(self, ended: Ended) -> tuple[str, str]:
        """What lines of the same message between the same two peers have in common, in front of the key and behind the times."""
        if len(self._ways) >= WAYS:
            self._ways.clear()
        record = self.record(ended)
        self._traces.append(record.trace.encode() + b'"}\n')
        record.ts, record.key, record.answer_ms, record.bytes_in, record.bytes_out, record.trace = "", {}, NONE, 0, 0, ""
        text = self._encoder.encode(record).decode("utf-8").removeprefix('{"ts":""').removesuffix("}") + ","
        entry = ended[4]
        size = size_line(entry.low) if entry is not None and entry.low == entry.high else ""
        exchange = ended[2]
        self._ways[entry, ended[3], exchange.answerer if exchange is not None else None] = text, size
        return text, size

    def _whole(self, ended: Ended) -> bytes:
        return self._encoder.encode(self.record(ended)) + b"\n"

    def record(self, ended: Ended) -> Record:
        """All that a record tells."""
        result, at, exchange, peer, _, frame, code, delivery, waited = ended
        if exchange is None:
            return self._unpaired(ended)
        group, entry, answerer = peer.group, exchange.entry, exchange.answerer
        telegrams = self._telegrams.get(group) or self._learn(group)
        took = at - exchange.at
        if answerer is None:
            waited = took
        session, link = (peer, answerer) if type(group) is Listener else (answerer, peer)
        trace = (exchange.trace or (self._traces or self._more_traces()).pop()[:32]).decode("ascii")
        parent = parent_of(exchange.frame[group.spec.trace]) if group.spec.trace is not None else None
        return Record(
            self._stamp(at),
            result,
            delivery,
            code,
            entry.message.name,
            session.group.name if session is not None else "",
            session.name if session is not None else "",
            _user(session) if session is not None else "",
            session.address if session is not None else "",
            entry.route.name if entry.route is not None else "",
            link.group.name if link is not None else entry.target.name,
            link.backend_name if link is not None else "",
            link.name if link is not None else "",
            "" if session is peer else "link",
            telegrams.key(exchange.frame),
            exchange.attempts,
            round(waited * 1000, 3) or NONE,
            round((took - waited) * 1000, 3) or NONE,
            entry.low if entry.low == entry.high else telegrams.size(exchange.frame),
            len(frame),
            trace[:32],
            trace[32:48],
            parent.span.decode("ascii") if parent is not None else "",
        )

    def _unpaired(self, ended: Ended) -> Record:
        """A telegram that never became an exchange: a refusal, or an answer that pairs with nothing."""
        result, at, _, peer, entry, frame, code, delivery, _ = ended
        group, spec = peer.group, peer.group.spec
        asks = type(group) is Listener
        telegrams = self._telegrams.get(group) or self._learn(group)
        parent = parent_of(frame[spec.trace]) if spec.trace is not None else None
        route = entry.route if entry is not None else None
        return Record(
            ts=self._stamp(at),
            result=result,
            delivery=delivery,
            code=code,
            message=entry.message.name if entry is not None else "",
            listener=group.name if asks else "",
            session=peer.name if asks else "",
            user=_user(peer),
            address=peer.address,
            route=route.name if route is not None else "",
            service=(route.target.name if route is not None else "") if asks else group.name,
            backend=peer.backend_name,
            link="" if asks else peer.name,
            asked_by="" if asks else "link",
            key=telegrams.key(frame) if entry is not None else {},
            bytes_in=len(frame),
            trace=parent.trace.decode("ascii") if parent is not None else "",
            parent=parent.span.decode("ascii") if parent is not None else "",
        )

    def _learn(self, origin: Origin) -> _Telegrams:
        if len(self._telegrams) >= ORIGINS:
            self._telegrams.clear()
        made = self._telegrams[origin] = _Telegrams(origin, self._secret)
        return made

    def _stamp(self, at: float) -> str:
        wall = datetime.fromtimestamp(self._now() - self._clock() + at, UTC)
        return wall.isoformat(timespec="microseconds").replace("+00:00", "Z")


def size_line(size: int) -> str:
    """What stands in a line between its times and the size of the answer."""
    return f'"bytes_in":{size},"bytes_out":'


def _took(seconds: float) -> str:
    took = round(seconds * 1000, 3)
    return f',"answer_ms":{took!r},' if took else ","


def _user(session: Peer) -> str:
    return ",".join(sorted(session.identity)) if session.identity else ""


class Makes(Protocol):
    """Appends lines of what ended, in pieces, and says how many lines; of some of it perhaps none."""

    def write(self, ended: Sequence[Ended], out: list[bytes]) -> int: ...


class AccessLog:
    """Reads what ended, turn by turn, and hands lines to a file."""

    def __init__(
        self, maker: Makes, file: RecordFile, chance: Callable[[], float], share: float = 1.0, wake: Callable[[], None] | None = None
    ) -> None:
        self.written = 0
        self._maker = maker
        self._file = file
        self._chance = chance
        self._share = share
        self._wake = wake
        self._lost = 0
        self._waiting: deque[Ended] = deque()  # bounded by WAITING
        self._made: list[bytes] = []  # pieces of at most BATCH lines and one slice
        self._lines = 0

    @property
    def dropped(self) -> int:
        """Records that were to be written and were not."""
        return self._lost + self._file.dropped

    @property
    def failing(self) -> str:
        """Why nothing can be written at the moment."""
        return self._file.failing

    def read(self, ended: list[Ended], dropped: int) -> None:
        """What ended in a turn. Never waits."""
        self._lost += dropped
        if self._share < 1.0:
            ended = [each for each in ended if each[0] != "ok" or self._chance() < self._share]
        if not self._waiting and len(ended) <= SLICE:
            self._make(ended)
            return
        room = WAITING - len(self._waiting)
        self._lost += max(0, len(ended) - room)
        self._waiting.extend(ended[:room])
        self.go_on()

    def go_on(self) -> None:
        """Another slice of what waits."""
        self._make([self._waiting.popleft() for _ in range(min(SLICE, len(self._waiting)))])
        if self._waiting and self._wake is not None:
            self._wake()

    def _make(self, ended: Sequence[Ended]) -> None:
        self._lines += self._maker.write(ended, self._made)
        if self._lines >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Hand over what has been made; called now and then, so that a quiet hour's records are soon in the file."""
        if self._lines:
            if self._file.put(b"".join(self._made)):
                self.written += self._lines
            else:
                self._lost += self._lines
            self._made.clear()
            self._lines = 0

    def reopen(self) -> None:
        """The file was moved away."""
        self._file.reopen()

    def end(self) -> None:
        """No more is read. What there is will be written, as far as the file takes it."""
        while self._waiting:
            self._make([self._waiting.popleft() for _ in range(min(SLICE, len(self._waiting)))])
        self.flush()
        self._file.end()

    def close(self) -> None:
        """As `end`, and waits a little until it is written."""
        self.end()
        self._file.close()
