"""What GnuCOBOL's programs write is what our specs of the same copybooks read, and the other way round."""

# GnuCOBOL 3.1.2 is no judge of these, which are left out: PIC P with COMP-3 (it stores garbage); COMP-5 and floating point with
# -std=ibm (little-endian and IEEE, as the machine it runs on has them); the length of a record whose tables slide behind a
# REDEFINES (it counts the redefined bytes twice), or stand before other fields and do not slide (it counts neither all items nor
# those that there are); 0 moved to a binary field of PIC 9P (it never comes back).

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from gnucobol import Shown, imported, loaded, shown, size_of, some_values

from telegram_router.telegrams import PlannedField, Telegram, Text
from telegram_router.telegrams.importers.copybook import CopybookOptions, selection
from telegram_router.telegrams.importers.model import Imported, ImportedField, ImportedGroup, ImportedTable
from telegram_router.telegrams.layout import Node, PlannedGroup, PlannedTable

pytestmark = pytest.mark.skipif(shutil.which("cobc") is None, reason="needs GnuCOBOL's cobc")

BOOKS = ("scalars.cpy", "natives.cpy", "cust.cpy", "nested.cpy", "sync.cpy", "inherited.cpy", "redefines.cpy", "copying.cpy")
EXTREMES = ("low", "high", "zero", "", "", "", "")
REDEFINES = ("-findirect-redefines", "-flarger-redefines-ok")
FLAGS = {
    "gnucobol": ("-std=default", "-fcomplex-odo", *REDEFINES),
    "ibm": ("-std=ibm", "-fcomplex-odo"),
    "mf": ("-std=mf", "-fcomplex-odo"),
    "letters": ("-std=ibm", "-fcomplex-odo", "-fsign=EBCDIC"),
    "slides": ("-std=default", "-fodoslide"),
}
BY_TYPE = tuple(each for each in [selection("CUST-COMPANY-NAMES=CUST-TYPE:C,K")] if each)
OPTIONS = {
    "gnucobol": CopybookOptions("gnucobol", "ascii"),
    "ibm": CopybookOptions("ibm", "ascii", sign="ascii"),
    "mf": CopybookOptions("mf", "ascii"),
    "letters": CopybookOptions("ibm", "ascii"),
    "slides": CopybookOptions("gnucobol", "ascii", storage="shift", framing="rdw"),
}


def books(variant: str) -> tuple[str, ...]:
    left_out = {"ibm": ("natives.cpy",), "letters": ("natives.cpy",), "slides": {*BOOKS} - {"nested.cpy"}}.get(variant, ())
    return tuple(book for book in BOOKS if book not in left_out)


CASES = [(variant, book) for variant in FLAGS for book in books(variant)]


def options(variant: str, book: str) -> CopybookOptions:
    return replace(OPTIONS[variant], selections=BY_TYPE) if book == "cust.cpy" else OPTIONS[variant]


@cache
def values_of(variant: str, book: str) -> list[dict[str, Any]]:
    given = options(variant, book)
    spec = loaded(book, given)
    kinds = {leaf.name: leaf.kind for leaf in fields(next(iter(spec.messages.values())).tree) if leaf.name}
    return [some_values(imported(book, given), kinds, seed, extreme) for seed, extreme in enumerate(EXTREMES)]


def fields(nodes: Sequence[Node]) -> Iterator[PlannedField]:
    for node in nodes:
        if isinstance(node, PlannedField):
            yield node
        elif isinstance(node, PlannedGroup):
            yield from fields(node.members)
        elif isinstance(node, PlannedTable):
            inner = [*fields([node.item])]
            yield from (replace(leaf, name=leaf.name or node.name) for leaf in inner)
        else:
            yield from (leaf if leaf.name else replace(leaf, name=name) for name, view in node.views for leaf in fields([view]))


@cache
def records(variant: str) -> dict[str, list[Shown]]:
    """What one program, compiled once, makes of the values for all copybooks of a variant."""
    cases = [(book, imported(book, options(variant, book)), values_of(variant, book)) for book in books(variant)]
    return dict(zip(books(variant), shown(cases, FLAGS[variant]), strict=True))


def frame_of(spec: Any, record: Shown, variant: str) -> bytes:
    content = record.content[: record.size] if variant == "slides" else record.content
    return bytes(spec.framing.wrap(content))


@pytest.mark.parametrize(("variant", "book"), CASES)
def test_records_of_cobol_are_read_as_the_values_they_were_given(variant: str, book: str):
    spec = loaded(book, options(variant, book))
    for values, record in zip(values_of(variant, book), records(variant)[book], strict=True):
        assert spec.decode(frame_of(spec, record, variant)).body == values


@pytest.mark.parametrize(("variant", "book"), CASES)
def test_values_are_written_as_cobol_writes_them(variant: str, book: str):
    spec = loaded(book, options(variant, book))
    (message,) = spec.messages.values()
    for values, record in zip(values_of(variant, book), records(variant)[book], strict=True):
        assert spec.encode(Telegram(spec, message, {}, values)) == frame_of(spec, record, variant)


@pytest.mark.parametrize(("variant", "book"), [case for case in CASES if case[1] != "nested.cpy" or case[0] == "slides"])
def test_a_record_is_as_long_as_cobol_says(variant: str, book: str):
    most = EXTREMES.index("high")  # with all items of every table
    assert records(variant)[book][most].size == size_of(imported(book, options(variant, book)))


def test_a_record_that_ends_with_a_table_is_as_short_as_cobol_says():
    """Read with a table that shifts, from the program whose tables do not slide: at a record's end both are the same bytes."""
    given = replace(options("gnucobol", "cust.cpy"), storage="shift", framing="rdw")
    spec = loaded("cust.cpy", given)
    for values, record in zip(values_of("gnucobol", "cust.cpy"), records("gnucobol")["cust.cpy"], strict=True):
        assert record.size == 79 + 25 * values["acct_count"]
        frame = spec.framing.wrap(record.content[: record.size])
        assert spec.decode(frame).body == values
        assert spec.encode(spec.decode(frame)) == frame


INITIAL = {
    "val_text": "TEXT",
    "val_digits": 42,
    "val_signed": Decimal("-1.50"),
    "val_packed": 7,
    "val_binary": -2,
    "val_kind": "B",
    "val_zero": 0,
    "val_blank": "",
    "val_split": "A'B\"C",
}


def test_values_of_the_copybook_are_what_a_record_holds_at_first():
    given = OPTIONS["gnucobol"]
    spec = loaded("values.cpy", given)
    (message,) = spec.messages.values()
    ((record,),) = shown([("values.cpy", imported("values.cpy", given), [None])], FLAGS["gnucobol"])
    assert spec.decode(record.content).body == INITIAL
    assert spec.encode(Telegram(spec, message, {}, INITIAL)) == record.content  # fillers have their texts again


# --- EBCDIC


def translated(nodes: Sequence[Imported], content: bytes, encoding: str, at: int = 0) -> bytearray:
    """A record of an ASCII machine as a mainframe has it: characters translated, binary and packed numbers as they are."""
    done = bytearray()
    for node in nodes:
        here = at + len(done)
        if isinstance(node, ImportedTable):
            for _ in range(node.most):
                done += translated([node.item], content, encoding, at + len(done))
        elif isinstance(node, ImportedGroup):
            done += translated(node.members, content, encoding, here)
        elif isinstance(node, ImportedField):
            raw = content[here : here + node.length]
            is_blank = raw == b" " * len(raw)  # an unused place of a table
            done += raw if node.kind.startswith(("Binary", "Packed")) and not is_blank else raw.decode("ascii").encode(encoding)
        else:
            done += translated([node.views[0]], content[: here + node.size], encoding, here)
            done += b"\x40" * (here + node.size - at - len(done))
    return done


@pytest.mark.parametrize("encoding", ["cp037", "cp500", "cp1047", "cp933"])
@pytest.mark.parametrize("book", ["scalars.cpy", "inherited.cpy", "sync.cpy", "nested.cpy"])
def test_the_same_records_in_ebcdic_are_read_as_the_same_values(book: str, encoding: str):
    given = CopybookOptions("ibm", encoding)
    spec = loaded(book, given)
    (message,) = spec.messages.values()
    for values, record in zip(values_of("letters", book), records("letters")[book], strict=True):
        if not all(text.isascii() and {*text} <= set(SAME_EVERYWHERE) for text in texts_of(values)):
            continue
        frame = bytes(translated(imported(book, given).messages[0].body, record.content, encoding))
        assert spec.decode(frame).body == values
        assert spec.encode(Telegram(spec, message, {}, values)) == frame


SAME_EVERYWHERE = " ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijklmnopqrstuvwxyz-/."


def texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts_of(each)


def test_every_field_kind_of_copybooks_is_among_what_was_compared():
    compared = {type(leaf.kind).__name__ for variant, book in CASES for leaf in fields(tree(variant, book))}
    assert compared >= {"Text", "Code", "Digits", "Zoned", "Packed", "Binary", "Float", "Edited", "Filler"}
    assert any(isinstance(leaf.kind, Text) and leaf.kind.align == "right" for leaf in fields(tree("ibm", "scalars.cpy")))


def tree(variant: str, book: str) -> tuple[Node, ...]:
    (message,) = loaded(book, options(variant, book)).messages.values()
    return tuple(message.tree)
