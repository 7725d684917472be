"""Which spec some unknown bytes may be of, and how sure that is."""

# Rules this file keeps, all of them tested:
#
# 1. "Not known" is one of the candidates, and wins unless a spec proves itself. Telegrams of other families share digits and blanks.
# 2. A guess says why: what chains, which keys are known, how many fields read.
# 3. It names counts and fields, never what a field holds.

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from telegram_router.telegrams.dumps import Reading, damaged
from telegram_router.telegrams.fit import Fit, fit
from telegram_router.telegrams.framing import Bounds
from telegram_router.telegrams.lengths import FixedSize, LengthField, Refusal, Shape

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import Spec

PRIOR: Final = 22.0  # bits that a spec must prove before it is likelier than "not known"
LOOKED_AT: Final = 8  # telegrams of an input
LARGEST: Final = 1 << 20
_CHAIN: Final = 3.0  # bits for a frame that ends where the next one begins: many families are framed alike
_POLL: Final = 30.0  # bits for a poll of the family
_NO_KEY: Final = 3.0  # bits that a header without a known key stays behind "not known"
_UNUSUAL: Final = 3.0  # bits that a framing other than the declared one must prove more
_DAMAGED: Final = 10.0  # bits for having tried many
_STRANGERS: Final = 12.0  # bits for telegrams without a known key, as far as all are
_MOST: Final = 400.0


@dataclass(frozen=True)
class Guess:
    """One spec, with the way in which it fits best."""

    spec: Spec
    form: str  # of the dump
    content: bytes
    framed: bool
    framing: str  # in words
    shape: Shape | None  # when it is not the declared one
    telegrams: int
    fields: tuple[int, int]  # that read, of how many
    bits: float
    reasons: tuple[str, ...]
    sure: float = 0.0  # from 0 to 1

    def cut(self) -> Iterator[tuple[int, bytes]]:
        """Offset and bytes of each telegram, without its framing, where the framing is not the declared one."""
        shape, at = self.shape or FixedSize(len(self.content)), 0
        bounds, prefix = Bounds(max(shape.smallest, 1), len(self.content), frozenset()), shape.auto_prefix
        while at < len(self.content):
            size = shape.front(self.content, at, bounds)
            whole = size if isinstance(size, int) else len(self.content) - at
            yield at, self.content[at + prefix : at + whole]
            at += whole

    def as_object(self) -> dict[str, Any]:
        return {
            "spec": self.spec.name,
            "version": self.spec.version,
            "sure": round(self.sure, 4),
            "input": self.form,
            "framed": self.framed,
            "framing": self.framing,
            "telegrams": self.telegrams,
            "fields_read": self.fields[0],
            "fields": self.fields[1],
            "reasons": list(self.reasons),
        }


def guess(specs: Iterable[Spec], given: Sequence[Reading], *, unframed: bool = False) -> list[Guess]:
    """The specs that the bytes may be of, the likeliest first; their `sure` leaves room for "not known".

    `unframed`: the bytes are known to be one telegram without its framing.
    """
    known = list(specs)
    best = [found for spec in known if (found := _best(spec, given, unframed)) is not None]
    if best and max(each.bits for each in best) < PRIOR:
        others = list(damaged(given[-1].content[:LARGEST]))
        best += [replace(found, bits=found.bits - _DAMAGED) for spec in known if (found := _best(spec, others, unframed)) is not None]
    best.sort(key=lambda each: -each.bits)
    best = [each for number, each in enumerate(best) if each.spec not in [other.spec for other in best[:number]]]
    top = max([PRIOR, *(each.bits for each in best)])
    weights = [2.0 ** (each.bits - top) for each in best]
    whole = sum(weights) + 2.0 ** (PRIOR - top)
    return [replace(each, sure=weight / whole) for each, weight in zip(best, weights, strict=True)]


def _best(spec: Spec, given: Sequence[Reading], unframed: bool) -> Guess | None:
    tries = [each for reading in given if reading.content for each in _ways(spec, reading) if not (unframed and each.framed)]
    return max(tries, key=lambda each: each.bits, default=None)


def _ways(spec: Spec, reading: Reading) -> Iterator[Guess]:
    data = reading.content[:LARGEST]
    declared = spec.framing.length
    yield _judged(spec, reading, _cut(declared, data), spec.framing.prefix, declared.describe(), None, framed=True)
    for shape in _other_shapes(spec):
        frames = _cut(shape, data)
        if len(frames[0]) + frames[1] > 0:
            yield _judged(spec, reading, frames, _prefix_of(shape), shape.describe(), shape, framed=True)
    yield _judged(spec, reading, ([data], True), 0, "none: one telegram", None, framed=False)


def _other_shapes(spec: Spec) -> Iterator[Shape]:
    """Framings that partners use in place of the declared one."""
    declared = spec.framing.length
    if isinstance(declared, LengthField) and spec.framing.prefix:
        for word in ("payload", "self"):
            for kind, width in (
                ("ascii", 4),
                ("ascii", 5),
                ("ascii", 6),
                ("ascii", 8),
                ("u_be", 2),
                ("u_be", 4),
                ("ebcdic", 4),
                ("bcd", 2),
            ):
                other = replace(LengthField(), width=width, kind=kind, counts=word)  # type: ignore[arg-type]
                if other != declared:
                    yield other
    sizes = {message.codec.sizes() for message in spec.messages.values()}
    for least, most in sorted(sizes, key=str):
        if least == most and len(sizes) == 1 and not (isinstance(declared, FixedSize) and declared.size == least):
            yield FixedSize(least)
            break
    if isinstance(declared, FixedSize):
        for word in ("payload", "self"):
            for kind, width in (("ascii", 4), ("u_be", 2)):
                yield replace(LengthField(), width=width, kind=kind, counts=word)  # type: ignore[arg-type]


def _prefix_of(shape: Shape) -> int:
    return shape.auto_prefix


def _cut(shape: Shape, data: bytes) -> tuple[list[bytes], bool]:
    """The first frames, and whether the input ends where a frame does (or holds more of them than are looked at)."""
    frames: list[bytes] = []
    at, bounds = 0, Bounds(max(shape.smallest, 1), LARGEST, frozenset())
    while at < len(data):
        if len(frames) == LOOKED_AT:
            return frames, True
        size = shape.front(data, at, bounds)
        if not isinstance(size, int) or isinstance(size, Refusal) or at + size > len(data):
            return frames, not data[at:].strip(b"\r\n \0")
        frames.append(data[at : at + size])
        at += size
    return frames, True


def _judged(
    spec: Spec, reading: Reading, cut: tuple[list[bytes], bool], prefix: int, framing: str, shape: Shape | None, *, framed: bool
) -> Guess:
    frames, whole = cut
    suffix = spec.framing.suffix if framed and shape is None else 0
    told = frames if frames else [reading.content[:LARGEST]]
    polls = [frame for frame in frames if framed and shape is None and spec.is_poll(frame)]
    fits = [fit(spec, frame[prefix : len(frame) - suffix]) for frame in told if frame not in polls]
    counted = framed and isinstance(shape or spec.framing.length, LengthField)
    bits = _proof_of(fits) + (_POLL if polls else 0.0)
    bits += min(len(frames), 2) * _CHAIN * framed / (1 if counted else 2) if whole else -_CHAIN
    bits -= _UNUSUAL * (shape is not None or not framed)
    if not polls and all(each.message is None for each in fits):
        bits = min(bits, PRIOR - _NO_KEY)
    good, all_fields = sum(each.good for each in fits), sum(each.good + len(each.bad) for each in fits)
    return Guess(
        spec,
        reading.form,
        reading.content,
        framed,
        framing,
        shape,
        len(told),
        (good, all_fields),
        max(min(bits, _MOST), -_MOST),
        tuple(_reasons(spec, frames, whole, fits, len(polls), counted)),
    )


def _proof_of(fits: Sequence[Fit]) -> float:
    """What the telegrams prove together: as much as the better half of them, since some hold hardly anything, and little more, since
    they are alike: if one header fits by accident, so do the others."""
    if not fits:
        return 0.0
    better = sorted((each.proof for each in fits), reverse=True)[: (len(fits) + 1) // 2]
    strangers = sum(each.message is None for each in fits) / len(fits)
    return sum(better) / len(better) + 2.0 * math.log2(len(fits)) - _STRANGERS * strangers


def _reasons(spec: Spec, frames: Sequence[bytes], whole: bool, fits: Sequence[Fit], polls: int, counted: bool) -> Iterator[str]:
    if counted and frames:
        ends = "the last one ends where the input ends" if whole else "what follows them does not"
        yield f"{_counted(len(frames), 'length')} {'leads' if len(frames) == 1 else 'lead'} from frame to frame, and {ends}"
    elif counted:
        yield "no frame could be cut by its length"
    if polls:
        yield f"{_counted(polls, 'poll')} of this family"
    known = [each for each in fits if each.message is not None]
    if fits and spec.family.key:
        names = " and ".join(spec.family.key)
        yield f"{names}: {'a known key' if known else 'no key of the spec'}" + (
            f" in {len(known)} of {len(fits)}" if known and len(fits) > 1 else ""
        )
    right = sum(each.missing == 0 for each in known)
    if known:
        yield (
            "the size is the message's own" + (f" in {right} of {len(known)}" if len(known) > 1 else "")
            if right
            else "the size is not the message's"
        )
    good, all_fields = sum(each.good for each in fits), sum(each.good + len(each.bad) for each in fits)
    if all_fields:
        yield f"{good} of {all_fields} fields read"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
