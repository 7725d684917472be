"""What a broken byte stream looks like, and what to set: a pure function from bytes to one FramingError."""

# Rules this file keeps, all of them tested:
#
# 1. A message shows at most 4 bytes, only of the length field, and only when it is the first of its connection at the
#    very front of a frame. Anywhere else the bytes may be a customer's.
# 2. A guess is named only when whole frames bear it out, and it says "looks like".
# 3. Once a frame boundary was confirmed by the frame behind it, the peer's counting is not in doubt any more.

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

from telegram_router.errors import CODES, FramingError
from telegram_router.telegrams.framing import DEFAULT_MAX_FRAME, Framing
from telegram_router.telegrams.lengths import Bounds, LengthField, Refusal

When: TypeAlias = Literal["bad", "eof", "timeout"]

_HTTP = (b"GET ", b"POST ", b"PUT ", b"HEAD ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"TRACE ", b"PRI ", b"HTTP/")
_BANNERS = ((b"SSH-", "an SSH banner"), (b"PROXY ", "a PROXY v1 header"), (b"\r\n\r\n\x00\r\nQUIT\n", "a PROXY v2 header"))

# What else a length at the front of a frame is in the field; the first that whole frames bear out is named.
_PRESETS = (
    LengthField(0, 4, "ascii"),
    LengthField(0, 2, "u_be"),
    LengthField(0, 4, "u_be"),
    LengthField(0, 2, "bcd"),
    LengthField(0, 4, "hex"),
    LengthField(0, 4, "ebcdic"),
    LengthField(0, 2, "u_le"),
    LengthField(0, 4, "u_le"),
    LengthField(0, 2, "u_be", after=b"\0\0"),
    LengthField(0, 3, "u_be"),
    *(LengthField(0, width, "ascii") for width in (5, 6, 8, 3, 2)),
)

# Bytes that peers forget to count, or count too many: line ends, ETX, checksums, a length field of another width.
_OFTEN_MISCOUNTED = (1, -1, 2, -2, 4, -4, 3, -3, 8, -8)


@dataclass(frozen=True)
class _Scene:
    """All that is known when framing is lost."""

    framing: Framing
    bounds: Bounds
    rest: bytes  # from the frame that is bad or never came whole
    before: bytes  # the frame cut before it, or nothing
    good: int  # frames cut from this connection so far
    when: When
    where: str

    @property
    def all(self) -> bytes:
        return self.before + self.rest


def diagnose(
    framing: Framing,
    buffer: bytes,
    previous_frame: bytes | None = None,
    at: When = "bad",
    *,
    good: int | None = None,
    min_telegram: int | None = None,
    extra_sizes: Sequence[int] = (),
    max_frame: int = DEFAULT_MAX_FRAME,
    offset: int | None = None,
    seconds: float | None = None,
) -> FramingError:
    """Why the frame at the start of `buffer` cannot be cut, as well as the bytes can tell.

    `at` says what happened: "bad" (the cutter refused), "eof" (the peer closed) or "timeout" (`seconds` passed).
    `good` counts the frames cut from this connection before (1 when only `previous_frame` is given). `offset` is the
    place of `buffer` in the connection's stream. The sizes are those that were given to `Framing.cutter`.
    """
    before = previous_frame or b""
    scene = _Scene(
        framing,
        framing.bounds(min_telegram, extra_sizes, max_frame),
        buffer,
        before,
        good if good is not None else int(bool(before)),
        at,
        "the front frame" if offset is None else f"byte {offset} of the stream",
    )
    return _stranger(scene) or _ebcdic(scene) or _miscounted(scene) or _plain(scene, seconds)


def foreign_protocol(buffer: bytes) -> tuple[str, str] | None:
    """(code, what it is) when the first bytes of a connection are TLS, HTTP, an SSH banner or a PROXY header."""
    if buffer[:1] in (b"\x15", b"\x16") and buffer[1:2] == b"\x03":
        return "E-FRM-11", "TLS"
    if _begins(buffer, _HTTP):
        return "E-FRM-12", "HTTP"
    for banner, name in _BANNERS:
        if _begins(buffer, (banner,)):
            return "E-FRM-13", name
    return None


def _begins(buffer: bytes, words: Sequence[bytes]) -> bool:
    """Starts with one of the words, or is cut off inside one after at least three bytes."""
    return buffer.startswith(tuple(words)) or (len(buffer) >= 3 and any(word.startswith(buffer) for word in words))


def _stranger(scene: _Scene) -> FramingError | None:
    if scene.good:
        return None
    found = foreign_protocol(scene.rest)
    if found is None:
        return None
    code, name = found
    return FramingError(
        code,
        f"the first bytes look like {name}",
        where=scene.where,
        expected=f"telegrams framed by {scene.framing.describe()}",
        do=CODES[code].do,
    )


def _ebcdic(scene: _Scene) -> FramingError | None:
    shape = scene.framing.length
    if scene.good or not isinstance(shape, LengthField) or shape.kind != "ascii":
        return None
    if replace(shape, kind="ebcdic").read(shape.field_of(scene.rest)) is None or len(scene.rest) < shape.head:
        return None
    return FramingError(
        "E-FRM-14",
        f"the length looks like EBCDIC digits (hex {_shown(scene, shape)})",
        where=scene.where,
        expected=shape.describe(),
        do='set kind = "ebcdic" in the spec\'s framing, and an EBCDIC encoding, or convert at the peer',
    )


# --- lengths that count other bytes -----------------------------------------------------------------------------


def _miscounted(scene: _Scene) -> FramingError | None:
    shape = scene.framing.length
    if not isinstance(shape, LengthField) or not scene.all or scene.good > 1:
        return None
    fits = [
        (way, other, setting)
        for other, setting in _other_counts(shape)
        if (way := _borne_out(scene, shape, other, setting.startswith("counts")))
    ]
    if not fits:
        return None
    _, other, setting = max(fits, key=lambda fit: fit[0].weight)
    return _miscount_error(scene, shape, other, setting)


def _other_counts(shape: LengthField) -> Iterator[tuple[LengthField, str]]:
    """Other ways to count, the likeliest first, each with the setting that declares it."""
    tried = {shape.uncounted}
    counts: tuple[Literal["self", "all", "payload"], ...] = ("self", "all", "payload")
    for word in counts:
        other = replace(shape, counts=word)
        if other.uncounted not in tried:
            tried.add(other.uncounted)
            yield other, f'counts = "{word}"'
    for difference in _OFTEN_MISCOUNTED:
        other = replace(shape, add=shape.add + difference)
        if other.uncounted not in tried:
            yield other, f"add = {other.add}"


class Way(NamedTuple):
    """How far a stream can be walked when its lengths are read one way."""

    sizes: tuple[int, ...]  # of the frames found, the last may be incomplete
    exact: bool  # the last one ends where the stream ends

    @property
    def weight(self) -> tuple[bool, int, int]:
        """To choose between ways that all fit: every byte explained, the same size again, more frames."""
        return self.exact, self.sizes.count(self.sizes[0]), len(self.sizes)

    def proves(self, shape: LengthField, doubtful: bool = False) -> bool:
        """Two lengths in a row are no accident where a length has a form. Any bytes are a binary number, any digits are BCD."""
        enough = 4 if doubtful or _formless(shape) else 2
        return len(self.sizes) >= enough or (len(self.sizes) >= 2 and self.exact)


def _borne_out(scene: _Scene, shape: LengthField, other: LengthField, by_design: bool) -> Way | None:
    """The way through the stream when the length is counted the other way, if whole frames bear it out.

    Two lengths in a row do, or (only for the common ways) a first frame that ends exactly where the bytes end. A
    good length at the front speaks for the declared way: then the other must explain every byte.
    """
    way = walk(other, scene.all, scene.bounds, begun=scene.when == "bad")
    front = shape.front(scene.rest, 0, scene.bounds) if scene.before else None
    if way.proves(other, doubtful=isinstance(front, int)):
        return way
    if len(way.sizes) != 1 or not way.exact:
        return None
    stray = scene.when != "bad" and front is None and bool(scene.before) and not _may_be_length(shape, scene.rest)
    return way if stray or (by_design and front != len(scene.before)) else None


def _formless(shape: LengthField) -> bool:
    return shape.kind in ("u_be", "u_le", "bcd")


def _may_be_length(shape: LengthField, begun: bytes) -> bool:
    """Could these bytes be the beginning of a frame whose length has not come whole?"""
    begun = begun[shape.offset : shape.offset + shape.width]
    return not begun or shape.read(begun + shape.write(shape.uncounted)[len(begun) :]) is not None


def walk(shape: LengthField, stream: bytes, bounds: Bounds, begun: bool = False) -> Way:
    """Cut the stream this way; no sizes when it cannot be.

    With `begun`, a length that has only begun to arrive may stand behind the last frame. Eight frames are proof
    enough: the work stays bounded.
    """
    at = 0
    sizes: list[int] = []
    while len(sizes) < 8 and at < len(stream):
        size = shape.front(stream, at, bounds)
        if isinstance(size, Refusal):
            return Way((), False)
        if size is None:
            seen = begun and len(stream) - at > shape.offset and not _formless(shape)
            return Way(tuple(sizes), seen and _may_be_length(shape, stream[at:]))
        sizes.append(size)
        at += size
    return Way(tuple(sizes), at == len(stream))


def _miscount_error(scene: _Scene, shape: LengthField, other: LengthField, setting: str) -> FramingError:
    difference = other.uncounted - shape.uncounted
    side = "later" if difference > 0 else "earlier"
    return FramingError(
        "E-FRM-04",
        f"the frame ended {_bytes(abs(difference))} {side} than its length says",
        where=f"the frame before {scene.where}" if scene.before else scene.where,
        expected=shape.describe(),
        do=f"the peer's length looks like one counting {other.describe().partition(' counting ')[2]}: set {setting} in the spec's framing",
    )


# --- no better idea: say what happened --------------------------------------------------------------------------


def _plain(scene: _Scene, seconds: float | None) -> FramingError:
    refusal = scene.framing.length.front(scene.rest, 0, scene.bounds)
    if isinstance(refusal, Refusal):
        return _refused(scene, refusal)
    got = f"got {len(scene.rest)} of {_bytes(refusal)}" if refusal else f"got {_bytes(len(scene.rest))}"
    hint = _preset_hint(scene)
    if scene.when == "timeout":
        limit = "" if seconds is None else f" within {seconds:g} s"
        return FramingError(
            "E-FRM-06",
            f"frame not complete{limit}: {got}",
            where=scene.where,
            expected=scene.framing.describe(),
            do=hint or "look at the peer or the network; frame_timeout sets the limit",
        )
    return FramingError(
        "E-FRM-05",
        f"connection ended inside a frame: {got}",
        where=scene.where,
        expected=scene.framing.describe(),
        do=hint or "look at the peer: it closed or died while sending",
    )


def _refused(scene: _Scene, refusal: Refusal) -> FramingError:
    return FramingError(
        refusal.code,
        refusal.what + _got(scene, refusal),
        where=scene.where,
        expected=refusal.expected,
        do=_preset_hint(scene) or "check the peer's framing against the spec's",
    )


def _got(scene: _Scene, refusal: Refusal) -> str:
    """What came instead: a number of bytes, or what kind of bytes; in hex only where rule 1 allows."""
    shape = scene.framing.length
    if not isinstance(shape, LengthField):
        return ""
    shown = _shown(scene, shape)
    if refusal.size is not None and shown:
        return f": {_bytes(refusal.size)} on the wire (hex {shown})"
    if refusal.code != "E-FRM-01":
        return ""
    return f": got {kind_of_bytes(shape.field_of(scene.rest))}" + (f" (hex {shown})" if shown else "")


def _shown(scene: _Scene, shape: LengthField) -> str:
    if scene.good or shape.offset != len(shape.before):
        return ""
    return shape.field_of(scene.rest)[:4].hex(" ")


def kind_of_bytes(field: bytes) -> str:
    """The type of some bytes, for messages that must not show them."""
    if len(set(field)) == 1 and field[:1] in (b" ", b"\0", b"\xff"):
        return {b" ": "blanks", b"\0": "NUL bytes", b"\xff": "FF bytes"}[field[:1]]
    if field.isdigit():
        return "ASCII digits"
    if _all_in(field, 0xF0, 0xF9):
        return "EBCDIC digits"
    if _all_in(field, 0x20, 0x7E):
        return "ASCII letters" if field.isalpha() else "ASCII characters that are not all digits"
    return "bytes that are not ASCII"


def _all_in(field: bytes, low: int, high: int) -> bool:
    return bool(field) and low <= min(field) and max(field) <= high


def _preset_hint(scene: _Scene) -> str:
    """Another framing that the first frames would fit, where there is one."""
    if scene.good > 1:
        return ""
    declared = scene.framing.length
    counts: tuple[Literal["payload", "self"], ...] = ("payload", "self")
    for preset in _PRESETS:
        for word in counts:
            other = replace(preset, counts=word)
            if other != declared and _fits(other, scene):
                return f"this looks like {other.describe()}: check the peer, or declare {_declaration(other)}"
    return ""


def _fits(other: LengthField, scene: _Scene) -> bool:
    bounds = scene.bounds._replace(least=max(other.smallest + 1, scene.bounds.least - scene.framing.prefix))
    way = walk(other, scene.all, bounds)
    return way.proves(other) or (len(way.sizes) == 1 and way.exact)


def _declaration(shape: LengthField) -> str:
    plain = LengthField()
    words = [
        f"{name}={value!r}"
        for name in ("offset", "width", "kind", "counts", "before", "after")
        if (value := getattr(shape, name)) != getattr(plain, name)
    ]
    return f"LengthField({', '.join(words)})"


def _bytes(count: int) -> str:
    return f"{count} byte" if count == 1 else f"{count} bytes"
