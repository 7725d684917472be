"""Random message bodies for hypothesis: groups, tables, views, versions in each other, with values that fit them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from telegram_router.telegrams import (
    Amount,
    Code,
    Date,
    Digits,
    Family,
    Filler,
    Framing,
    LengthField,
    Message,
    Occurs,
    Overlay,
    Packed,
    Redefines,
    Reply,
    Spec,
    Struct,
    Text,
    Versions,
    between,
    compile_family,
)

Draw = Callable[[Any], Any]
Values = dict[str, Any]

DAYS = ("20240101", "20250228", "20250301", "20260712")
HEADER = Struct(
    "kind" / Code(2, required=True, log="clear"),
    "number" / Code(4, digits=True, required=True, log="clear"),
    "day" / Date(8, blank="error", log="clear"),
    "total" / Digits(1, blank="error", log="clear"),
)


@dataclass
class Part:
    """Something declared, and how to make values for it: `fill` puts them into the dict of the group around it."""

    declared: list[Any]
    fill: Callable[[Draw, Values, Values], None]  # draw, values of the group, values of the header
    fixed: bool = True  # whether what follows stands at a fixed offset


@dataclass
class Names:
    """Every name once: in one telegram none shall be mistaken for another."""

    taken: int = 0
    total_used: bool = False

    def next(self, letter: str) -> str:
        self.taken += 1
        return f"{letter}{self.taken}"


LEAVES: list[tuple[Callable[[], Any], Any]] = [
    (lambda: Digits(3), st.none() | st.integers(0, 999)),
    (lambda: Digits(5, blank="error", log="clear"), st.integers(0, 99_999)),
    (lambda: Amount(4), st.none() | st.integers(-9999, 9999)),
    (lambda: Text(6), st.text("AZ09 가힣", max_size=3).map(str.rstrip)),
    (lambda: Code(2, ["A", "BB"]), st.sampled_from(["", "A", "BB"])),
    (lambda: Packed(3), st.integers(-999, 999)),
    (lambda: Date(8), st.none() | st.sampled_from(DAYS)),
]  # fmt: skip


@dataclass
class Maker:
    """Makes parts, at most `depth` groups within each other."""

    draw: Draw
    texts: Any
    names: Names = field(default_factory=Names)

    def parts(self, depth: int, moving: bool, most: int = 4) -> list[Part]:
        makers = [self.leaf, self.leaf, self.filler]
        if depth:
            makers += [self.group, self.fixed_table, self.counted_table, self.views, self.views, self.versions, self.overlay]
        chosen = self.draw(st.lists(st.sampled_from(makers), min_size=1, max_size=most))
        return [make(depth - 1, moving) for make in chosen]

    def struct(self, depth: int, moving: bool) -> tuple[Any, Callable[[Draw, Values], Values], bool]:
        """A group of at least one byte, and how to make its dict."""
        parts = [self.leaf(0, moving), *self.parts(depth, moving, 3)]

        def values(draw: Draw, header: Values) -> Values:
            made: Values = {}
            for part in parts:
                part.fill(draw, made, header)
            return made

        return Struct(*(declared for part in parts for declared in part.declared)), values, all(part.fixed for part in parts)

    def kind(self) -> tuple[Any, Any]:
        make, values = self.draw(st.sampled_from(LEAVES))
        kind = make()
        return kind, self.texts if isinstance(kind, Text) else values

    def leaf(self, depth: int, moving: bool) -> Part:
        name, (kind, values) = self.names.next("f"), self.kind()
        return Part([name / kind], lambda draw, made, header: made.update({name: draw(values)}))

    def filler(self, depth: int, moving: bool) -> Part:
        return Part([Filler(self.draw(st.integers(1, 3)))], lambda draw, made, header: None)

    def group(self, depth: int, moving: bool) -> Part:
        name = self.names.next("g")
        struct, values, fixed = self.struct(depth, moving)
        return Part([name / struct], lambda draw, made, header: made.update({name: values(draw, header)}), fixed)

    def item(self, depth: int, moving: bool) -> tuple[Any, Callable[[Draw, Values], Any], bool]:
        if depth and self.draw(st.booleans()):
            return self.struct(depth, moving)
        kind, values = self.kind()
        return kind, lambda draw, header: draw(values), True

    def fixed_table(self, depth: int, moving: bool) -> Part:
        name, many = self.names.next("t"), self.draw(st.integers(1, 6))
        item, value, fixed = self.item(depth, moving)
        return Part(
            [name / Occurs(many, item)],
            lambda draw, made, header: made.update({name: [value(draw, header) for _ in range(many)]}),
            fixed,
        )

    def counted_table(self, depth: int, moving: bool) -> Part:
        storage = self.draw(st.sampled_from(["max", "shift"])) if moving else "max"
        name, counter = self.names.next("t"), self.names.next("n")
        by_header = not self.names.total_used and self.draw(st.booleans())
        self.names.total_used = self.names.total_used or by_header
        item, value, fixed = self.item(depth, storage == "shift")
        least, most = self.draw(st.integers(0, 1)), self.draw(st.integers(1, 7))
        table = Occurs(between(least, most, depending="header.total" if by_header else counter, storage=storage), item)

        def fill(draw: Draw, made: Values, header: Values) -> None:
            # What a counter in the header counts may be a table inside another: then all its lists have one length.
            many = header.setdefault("total", draw(st.integers(least, most))) if by_header else draw(st.integers(least, most))
            if not by_header:
                made[counter] = many
            made[name] = [value(draw, header) for _ in range(many)]

        declared = [name / table] if by_header else [counter / Digits(2), name / table]
        return Part(declared, fill, fixed and not (storage == "shift" and least < most))

    def views(self, depth: int, moving: bool) -> Part:
        names = [self.names.next("v") for _ in range(self.draw(st.integers(1, 3)))]
        made = [self.item(depth, moving=False) for _ in names]
        views = {name: item for name, (item, _, _) in zip(names, made, strict=True)}
        makers = {name: value for name, (_, value, _) in zip(names, made, strict=True)}
        how = self.draw(st.sampled_from(["first", "before", "behind"]))
        if how == "first":
            return Part([Redefines(views=views)], lambda draw, out, header: out.update({names[0]: makers[names[0]](draw, header)}))
        by = self.names.next("b")
        when: dict[Any, str] = {str(number): name for number, name in enumerate(names)}
        if self.draw(st.booleans()):
            when = {(code, f"{code}x"): name for code, name in when.items()}
        default = self.draw(st.none() | st.sampled_from(names))
        place = Redefines(by=by, views=views, when=when, default=default)
        codes = {code: name for key, name in when.items() for code in (key if isinstance(key, tuple) else (key,))}
        if default is not None:
            codes["zz"] = default

        def fill(draw: Draw, out: Values, header: Values) -> None:
            out[by] = draw(st.sampled_from(sorted(codes)))
            name = codes[out[by]]
            out[name] = makers[name](draw, header)

        return Part([by / Code(2), place] if how == "before" else [place, by / Code(2)], fill)

    def versions(self, depth: int, moving: bool) -> Part:
        name, (kind, values) = self.names.next("w"), self.kind()
        first = self.draw(st.sampled_from(DAYS))
        rest = self.draw(st.integers(0, 2))
        later = Struct(name / kind, *([Filler(rest)] if rest else []))

        def fill(draw: Draw, made: Values, header: Values) -> None:
            if header["day"] >= first:
                made[name] = draw(values)

        return Part([Versions("day", {"": Struct(Filler(kind.length + rest)), first: later})], fill)

    def overlay(self, depth: int, moving: bool) -> Part:
        name = self.names.next("y")
        place = Overlay(5, Struct(name / Digits(3, blank="error")))
        return Part([place], lambda draw, made, header: made.update({name: draw(st.none() | st.integers(0, 999))}))


@dataclass
class Sample:
    """A spec of one message, and how to make values for it."""

    spec: Spec
    parts: list[Part]

    def values(self, draw: Draw) -> tuple[Values, Values]:
        header: Values = {"number": "0001", "day": draw(st.sampled_from(DAYS))}
        body: Values = {}
        for part in self.parts:
            part.fill(draw, body, header)
        header.setdefault("total", 0)
        return {"kind": "AA", **{name: header[name] for name in ("number", "day", "total")}}, body


@st.composite
def samples(draw: Draw) -> Sample:
    encoding = draw(st.sampled_from(["cp949", "cp949", "cp037"]))
    texts = st.text("AZ09 가힣" if encoding == "cp949" else "AZ09 ", max_size=3).map(str.rstrip)
    maker = Maker(draw, texts)
    nested = draw(st.sampled_from([maker.group, maker.fixed_table, maker.counted_table, maker.views, maker.versions]))
    parts = [nested(2, True), *maker.parts(3, moving=True)]
    family = Family(
        name="random",
        header=HEADER,
        key=("kind",),
        correlation=("number",),
        encoding=encoding,
        framing=Framing(LengthField(offset=0, width=4, kind="ascii", counts="payload")),
        messages=[Message("sample", "", ("AA",), Struct(*declared_of(parts)), reply=Reply.none())],
    )
    return Sample(compile_family(family), parts)


def declared_of(parts: list[Part]) -> Iterator[Any]:
    return (declared for part in parts for declared in part.declared)
