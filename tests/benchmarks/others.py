"""The same telegrams with other tools, as one writes it with them: construct's own parts, struct and slices, kaitaistruct.

They do what they are usually made to do: sizes, digits and signs are checked where the tool checks them, nothing else is. None
keeps the bytes that its values do not give back.
"""

import importlib.util
import io
import struct
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from construct import Adapter, Array, Bytes, Int16sb, Int32sb, Int64sb, Struct, ValidationError

from telegram_router.telegrams import Amount, Binary, Digits, MessageLayout, Packed, PlannedField, Zoned

EBCDIC_PLUS, EBCDIC_MINUS = "{ABCDEFGHI", "}JKLMNOPQR"


# --- one value ----------------------------------------------------------------------------------------------------


def scaled(digits: str, scale: int) -> int | Decimal:
    return Decimal(f"{digits[:-scale]}.{digits[-scale:]}") if scale else int(digits)


def units(value: int | Decimal, scale: int) -> int:
    return int(value.scaleb(scale)) if scale and isinstance(value, Decimal) else int(value)


def text_pair(codec: str, length: int) -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
    blank = " ".encode(codec)
    return lambda raw: raw.rstrip(blank).decode(codec), lambda value: value.encode(codec).ljust(length, blank)


def number_pair(codec: str, length: int, scale: int) -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
    def read(raw: bytes) -> Any:
        digits = raw.decode(codec)
        if not digits.isdecimal():
            raise ValueError("not digits")
        return scaled(digits, scale)

    return read, lambda value: f"{units(value, scale):0{length}d}".encode(codec)


def packed_pair(length: int, scale: int, signed: bool) -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
    def read(raw: bytes) -> Any:
        halves = raw.hex()
        if not halves[:-1].isdecimal():
            raise ValueError("not digits")
        number = scaled(halves[:-1], scale)
        return -number if halves[-1] == "d" else number

    def write(value: Any) -> bytes:
        number = units(value, scale)
        sign = "d" if number < 0 else "c" if signed else "f"
        return bytes.fromhex(f"{abs(number):0{2 * length - 1}d}{sign}")

    return read, write


def zoned_pair(length: int, scale: int) -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
    def read(raw: bytes) -> Any:
        text = raw.decode("cp037")
        negative = text[-1] in EBCDIC_MINUS
        digits = text[:-1] + str((EBCDIC_MINUS if negative else EBCDIC_PLUS).index(text[-1]))
        if not digits.isdecimal():
            raise ValueError("not digits")
        return -scaled(digits, scale) if negative else scaled(digits, scale)

    def write(value: Any) -> bytes:
        number = units(value, scale)
        digits = f"{abs(number):0{length}d}"
        return (digits[:-1] + (EBCDIC_MINUS if number < 0 else EBCDIC_PLUS)[int(digits[-1])]).encode("cp037")

    return read, write


def pair_of(planned: PlannedField, codec: str) -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
    kind = planned.kind
    if isinstance(kind, Packed):
        return packed_pair(kind.length, kind.scale, kind.signed)
    if isinstance(kind, Zoned):
        return zoned_pair(kind.length, kind.scale)
    if isinstance(kind, Binary):
        form = {2: ">h", 4: ">i", 8: ">q"}[kind.length]
        return lambda raw: struct.unpack(form, raw)[0], lambda value: struct.pack(form, value)
    if isinstance(kind, Digits) and not isinstance(kind, Amount):
        return number_pair(codec, kind.length, kind.scale)
    return text_pair(codec, kind.length)


# --- construct ----------------------------------------------------------------------------------------------------


class Converted(Adapter):
    def __init__(self, length: int, read: Callable[[bytes], Any], write: Callable[[Any], bytes]) -> None:
        super().__init__(Bytes(length))
        self.read, self.write = read, write

    def _decode(self, obj: Any, context: Any, path: str) -> Any:
        try:
            return self.read(obj)
        except ValueError:
            raise ValidationError("not digits", path=path) from None

    def _encode(self, obj: Any, context: Any, path: str) -> Any:
        return self.write(obj)


def plain_construct(message: MessageLayout) -> Struct:
    """construct's own parts, and one adapter for each field that needs one."""
    return Struct(*_members(message.tree, message.spec.encoding))


def _members(nodes: Any, codec: str) -> Iterator[Any]:
    for node in nodes:
        if not isinstance(node, PlannedField):
            yield node.name / Array(node.most, Struct(*_members(node.item.members, codec)))
        elif isinstance(node.kind, Binary):
            yield node.name / {2: Int16sb, 4: Int32sb, 8: Int64sb}[node.length]
        elif node.name:
            yield node.name / Converted(node.length, *pair_of(node, codec))
        else:
            yield f"filler{node.offset}" / Bytes(node.length)


# --- struct and slices --------------------------------------------------------------------------------------------


def slices(message: MessageLayout) -> tuple[Callable[[bytes], dict[str, Any]], Callable[[dict[str, Any]], bytes]]:
    """A loop over offsets for reading, a loop over fields for writing."""
    codec, size = message.spec.encoding, message.codec.fixed_size
    plan = list(_plan(message.tree, codec))

    def decode(raw: bytes) -> dict[str, Any]:
        if len(raw) != size:
            raise ValueError(len(raw))
        return _read(plan, raw, 0)

    return decode, lambda values: b"".join(_written(plan, values))


def _plan(nodes: Any, codec: str) -> Iterator[tuple[Any, ...]]:
    for node in nodes:
        if isinstance(node, PlannedField):
            read, write = pair_of(node, codec) if node.name else (bytes, None)
            yield node.name, node.offset, node.end, read, write or " ".encode(codec) * node.length, 0
        else:
            inner = list(_plan(node.item.members, codec))
            yield node.name, node.offset, node.end, inner, node.stride, node.most


def _read(plan: list[tuple[Any, ...]], raw: bytes, base: int) -> dict[str, Any]:
    values = {}
    for name, start, end, read, stride, times in plan:
        if times:
            values[name] = [_read(read, raw, base + number * stride) for number in range(times)]
        elif name:
            values[name] = read(raw[base + start : base + end])
    return values


def _written(plan: list[tuple[Any, ...]], values: dict[str, Any]) -> Iterator[bytes]:
    for name, _, _, inner, write, times in plan:
        if times:
            for item in values[name]:
                yield from _written(inner, item)
        elif name:
            yield write(values[name])
        else:
            yield write


# --- kaitaistruct -------------------------------------------------------------------------------------------------


def kaitai(message: MessageLayout) -> Callable[[bytes], Any] | None:
    """A reader as kaitai-struct-compiler writes it, None where its runtime is not installed. It has no type for EBCDIC digits,
    packed or zoned numbers: they stay bytes, and digits stay text until somebody asks."""
    if importlib.util.find_spec("kaitaistruct") is None:
        return None
    source = "\n".join(
        ["from kaitaistruct import KaitaiStream, KaitaiStruct", *_kaitai_class("Telegram", message.tree, message.spec.encoding)]
    )
    space: dict[str, Any] = {}
    exec(source, space)
    read, stream = space["Telegram"], space["KaitaiStream"]
    return lambda raw: read(stream(io.BytesIO(raw)))


def _kaitai_class(name: str, nodes: Any, codec: str) -> Iterator[str]:
    tables = [node for node in nodes if not isinstance(node, PlannedField)]
    yield f"class {name}(KaitaiStruct):"
    yield "    def __init__(self, _io, _parent=None, _root=None):"
    yield "        self._io = _io"
    yield "        self._parent = _parent"
    yield "        self._root = _root if _root else self"
    yield "        self._read()"
    yield "    def _read(self):"
    blank = " ".encode(codec)[0]
    for node in nodes:
        if node in tables:
            yield f"        self.{node.name} = []"
            yield f"        for i in range({node.most}):"
            yield f"            self.{node.name}.append({name}Item(self._io, self, self._root))"
        elif isinstance(node.kind, Binary):
            yield f"        self.{node.name} = self._io.read_s{node.length}be()"
        elif isinstance(node.kind, Packed | Zoned) or not node.name:
            yield f"        self.{node.name or f'filler{node.offset}'} = self._io.read_bytes({node.length})"
        else:
            yield f"        self.{node.name} = (KaitaiStream.bytes_strip_right(self._io.read_bytes({node.length}), {blank})).decode({codec!r})"
    for node in tables:
        yield from _kaitai_class(f"{name}Item", node.item.members, codec)
