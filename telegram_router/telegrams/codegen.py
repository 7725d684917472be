"""Straight-line Python for one message: read it and write it in one go, without a loop over its fields."""

# Rules this file keeps, all of them tested against interpreted construct and against a decoder written without our kinds:
#
# 1. Reading checks the exact size first, then every byte of every field.
# 2. What the generated lines do not recognise at a glance they hand to Codec, which decides. They never reject anything
#    themselves, and never accept what Codec would not.
# 3. Writing is a guess that all is as usual. It counts only when the result has the exact size and no control byte; else
#    Codec writes the telegram again, and says what is wrong.
# 4. Only names that a spec's author chose and numbers get into the source, names always through repr().

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from telegram_router.errors import FieldError
from telegram_router.telegrams.codec import Codec
from telegram_router.telegrams.fields import CONTROL_BYTES, Alphabet, FieldFault, Fixed, Length, Place, alphabet_of
from telegram_router.telegrams.layout import PlannedField
from telegram_router.telegrams.nested_codec import NestedCodec, NotAsUsual
from telegram_router.telegrams.nested_codegen import NestedWriter
from telegram_router.telegrams.nested_parts import looking
from telegram_router.telegrams.telegram import Telegram

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout, Spec

Decode = Callable[[bytes], Telegram]
Encode = Callable[..., bytes]


def generate(codec: Codec, spec: Spec, message: MessageLayout) -> tuple[Decode, Encode, str]:
    """The two functions of a message, and their source for whoever wants to read it."""
    if isinstance(codec, NestedCodec):
        return _generate_nested(codec, spec, message)
    writer = _Writer(codec, alphabet_of(spec.encoding))
    source = "\n".join([*writer.decoder(), "", *writer.encoder(), ""])
    space: dict[str, Any] = writer.constants | {
        "codec": codec,
        "slow": codec.slow,
        "put": writer.put,
        "settle": codec.settle,
        "restore": codec.restore,
        "Telegram": Telegram,
        "FieldError": FieldError,
        "NOT_AS_USUAL": (KeyError, TypeError, ValueError, AttributeError, FieldFault),
        "CONTROLS": CONTROL_BYTES,
        "spec": spec,
        "message": message,
    }
    return (*_functions(source, codec, space), source)


def _generate_nested(codec: NestedCodec, spec: Spec, message: MessageLayout) -> tuple[Decode, Encode, str]:
    writer = NestedWriter(codec, alphabet_of(spec.encoding), not any(map(_may_hold_controls, codec.fields)))

    def complete(raw: bytes) -> Telegram:
        header, body, residue = codec.decoded(raw)
        return Telegram(spec, message, header, body, residue, raw)

    def restore(raw: bytes, header: dict[str, Any], body: dict[str, Any], residue: dict[int, bytes]) -> bytes:
        restored = codec.laid_over(raw, residue)
        if restored is not None and _reads_as(decode, restored, (header, body, residue)):
            return restored
        return codec.encode(header, body, residue)

    source = writer.source()
    space: dict[str, Any] = writer.constants | {
        "codec": codec,
        "complete": complete,
        "restore": restore,
        "glance": codec.glance,
        "spares": codec.spares,
        "put": writer.put,
        "Telegram": Telegram,
        "FieldError": FieldError,
        "NotAsUsual": NotAsUsual,
        "NOT_AS_USUAL": (KeyError, TypeError, ValueError, AttributeError, FieldFault, NotAsUsual),
        "CONTROLS": CONTROL_BYTES,
        "spec": spec,
        "message": message,
    }
    decode, encode = _functions(source, codec, space)
    return decode, encode, source


def _reads_as(decode: Decode, raw: bytes, given: tuple[dict[str, Any], dict[str, Any], dict[int, bytes]]) -> bool:
    try:
        telegram = decode(raw)
    except FieldError:
        return False
    return (telegram.header, telegram.body, telegram.residue) == given


def _functions(source: str, codec: Codec, space: dict[str, Any]) -> tuple[Decode, Encode]:
    exec(compile(source, f"<layout of {codec.spec} {codec.message}>", "exec"), space)  # noqa: S102  # made here, of numbers and repr()ed names
    return space["decode"], space["encode"]


class _Writer:
    def __init__(self, codec: Codec, alphabet: Alphabet) -> None:
        self.codec = codec
        self.alphabet = alphabet
        self.constants: dict[str, object] = {}
        self.opaque = codec.opaque
        self.codecs: dict[str, str] = {}  # by which fields read the whole telegram, and the name of what that gives
        self.checked = not any(map(_may_hold_controls, codec.fields))

    # -- reading

    def decoder(self) -> Iterator[str]:
        """Lines of `decode`."""
        least, most = self.codec.sizes()
        yield "def decode(b):"
        wrong = f"len(b) != {least}" if least == most else f"not {least} <= len(b)" + (f" <= {most}" if most is not None else "")
        yield f"    if {wrong}:"
        yield "        raise FieldError([codec.size_problem(len(b))])"
        header, body = list(self._entries("header")), list(self._entries("body"))
        front = f"b[:{self.codec.fixed_size}]" if self.opaque else "b"
        spelled = "" if self.alphabet.is_latin else f".translate({self._use('SEEN', self.alphabet.seen)})"
        yield f"    t = {front}{spelled}.decode('latin-1')"
        yield from (f"    {name} = {looking(front, codec)}" for codec, name in self.codecs.items())
        if self.checked:
            yield f"    tidy = len({front}.translate(None, CONTROLS)) == {self.codec.fixed_size}"
            yield "    clean = tidy and t.isascii()"
        yield "    found = []"
        yield "    telegram = Telegram(spec, message, {"
        yield from header
        yield "    }, {"
        yield from body
        yield "    }, None, b)"
        yield from self._unnamed()
        yield "    if found:"
        yield "        telegram.residue = settle(found) or None"
        yield "    return telegram"

    def _entries(self, section: str) -> Iterator[str]:
        for number, planned in enumerate(self.codec.fields):
            if planned.section == section and planned.name:
                yield f"        {planned.name!r}: {self._reading(number, planned)},"

    def _reading(self, number: int, planned: PlannedField) -> str:
        if planned.is_opaque:
            return f"b[{planned.offset}:]"
        if isinstance(planned.kind, Length) and self.opaque is None:
            total = self.codec.fixed_size + planned.kind.adjust
            return f"{total} if t[{planned.offset}:{planned.end}] == {self._length_text(planned)!r} else slow({number}, b, found)"
        return planned.kind.source_of_read(self._place(number, planned))

    def _unnamed(self) -> Iterator[str]:
        """Neighbours are compared in one go: they are as expected nearly always."""
        for run in self._unnamed_runs():
            start, end = run[0][1].offset, run[-1][1].end
            yield f"    if t[{start}:{end}] != {self._use(f'UNNAMED{start}', ''.join(self._usual(planned) for _, planned in run))}:"
            yield from (f"        slow({number}, b, found)" for number, _ in run)

    def _unnamed_runs(self) -> Iterator[list[tuple[int, PlannedField]]]:
        by_name = itertools.groupby(enumerate(self.codec.fields), key=lambda pair: (bool(pair[1].name), pair[1].section))
        return (list(run) for (named, _), run in by_name if not named)

    def _usual(self, planned: PlannedField) -> str:
        """What an unnamed field holds nearly always; a text that is never equal where that depends on the telegram."""
        if isinstance(planned.kind, Length):
            return self._length_text(planned) if self.opaque is None else ""
        return self.alphabet.spelled(planned.kind.write(None))

    def _length_text(self, planned: PlannedField) -> str:
        try:
            return self.alphabet.spelled(planned.kind.write_in(None, self.codec.fixed_size))
        except FieldFault:  # the lint says so; until then nothing is ever equal to this
            return ""

    # -- writing

    def encoder(self) -> Iterator[str]:
        """Lines of `encode`."""
        if self.opaque is not None and any(isinstance(f.kind, Length) for f in self.codec.fields):
            yield "encode = codec.encode"  # the length depends on what stands behind it
            return
        yield "def encode(h, b, residue=None):"
        yield f"    if len(h) == {self._expected_names('header', 'h')} and len(b) == {self._expected_names('body', 'b')}:"
        yield "        try:"
        yield "            raw = ''.join(("
        yield from (f"                {piece}," for piece in self._pieces())
        sent = "" if self.alphabet.is_latin else f".translate({self._use('SENT', self.alphabet.sent)})"
        yield f"            )).encode('latin-1'){sent}"
        yield from self._opaque_check()
        yield "        except NOT_AS_USUAL:"
        yield "            pass"
        yield "        else:"
        # Both: a text that is too long by as many bytes as it has control characters must not pass.
        controls = " == len(raw.translate(None, CONTROLS))" if self.checked else ""
        yield f"            if len(raw) == {self.codec.fixed_size}{controls}:"
        yield f"                whole = raw{' + tail' if self.opaque else ''}"
        yield "                return restore(whole, h, b, residue) if residue else whole"
        yield "    return codec.encode(h, b, residue)"

    def _expected_names(self, section: str, variable: str) -> str:
        named = [f for f in self.codec.fields if f.section == section and f.name]
        optional = "".join(f" - ({f.name!r} not in {variable})" for f in named if f.may_be_left_out)
        return f"{len(named)}{optional}"

    def _pieces(self) -> Iterator[str]:
        run = ""  # neighbouring constants become one
        for number, planned in enumerate(self.codec.fields):
            if planned.is_opaque:
                continue
            if not planned.name:
                run += self._constant(planned)
                continue
            if run:
                yield repr(run)
                run = ""
            yield self._writing(number, planned)
        yield repr(run)

    def _constant(self, planned: PlannedField) -> str:
        if isinstance(planned.kind, Length):
            return self._length_text(planned)
        return self.alphabet.spelled(planned.kind.write(None))

    def _writing(self, number: int, planned: PlannedField) -> str:
        variable = "h" if planned.section == "header" else "b"
        if isinstance(planned.kind, Length):
            total = self.codec.fixed_size + planned.kind.adjust
            return f"{self._length_text(planned)!r} if (x := {variable}.get({planned.name!r}, {total})) == {total} and x.__class__ is int else put({number}, x)"
        value = f"{variable}[{planned.name!r}]"
        if planned.may_be_left_out:
            usual = planned.key if planned.key is not None else planned.kind.default
            value = f"{variable}.get({planned.name!r}, {usual!r})"
        return planned.kind.source_of_write(value, self._place(number, planned))

    def _opaque_check(self) -> Iterator[str]:
        if self.opaque is not None:
            yield f"            tail = b[{self.opaque.name!r}]"
            yield f"            codec.fields[{len(self.codec.fields) - 1}].kind.write(tail)"

    # -- constants

    def _place(self, number: int, planned: PlannedField) -> Place:
        return Place(
            planned.offset,
            planned.length,
            f"slow({number}, b, found)",
            lambda value: f"put({number}, {value})",
            self._use,
            self._decoded,
            self.checked,
            self.alphabet,
        )

    def put(self, number: int, value: Any) -> str:
        """One field as text of the alphabet. Raises FieldFault."""
        return self.alphabet.spelled(self.codec.put(number, value))

    def _decoded(self, codec: str) -> str:
        return self.codecs.setdefault(codec, f"t_{len(self.codecs) + 1}")

    def _use(self, name: str, value: object) -> str:
        """A name for a constant, the same name for the same constant."""
        while self.constants.setdefault(name, value) is not value and self.constants[name] != value:
            name += "_"
        return name


def _may_hold_controls(planned: PlannedField) -> bool:
    """Whether control bytes are nothing unusual in a field, so that looking for some in the whole telegram says nothing of its texts."""
    kind = planned.kind
    return kind.binary or (isinstance(kind, Fixed) and kind.constant.translate(None, CONTROL_BYTES) != kind.constant)
