"""Numbers as a COBOL compiler stores and prints them: programs move values into items and write the records, our kinds read them."""

import subprocess
from dataclasses import dataclass
from decimal import Decimal

import pytest

from telegram_router.telegrams import Binary, Digits, Edited, Float, Kind, Packed, Zoned
from telegram_router.telegrams.fields import binary_length

LETTERS = "ascii-ebcdic-letters"


@dataclass(frozen=True)
class Item:
    """An item of a record, the kind it should be, and the values that are moved to it."""

    clause: str
    kind: Kind
    values: tuple[str, ...]

    def value(self, number):
        text = self.values[number % len(self.values)]
        return Decimal(text) if isinstance(self.kind, Float) or self.kind.scale > 0 else int(text)


WHOLE = ("0", "7", "-7", "12345", "-99999")
PLACES = ("0", "1.25", "-1.25", "99999.99", "-0.01")

STORED = [
    Item("9(5)", Digits(5), ("0", "7", "99999")),
    Item("9(5)V99", Digits(7, 2), ("0", "0.05", "12345.67")),
    Item("S9(5)", Zoned(5), WHOLE),
    Item("S9(5)V99", Zoned(7, 2), PLACES),
    Item("S9(5)V99 SIGN LEADING", Zoned(7, 2, sign="leading"), PLACES),
    Item("S9(5)V99 SIGN TRAILING SEPARATE", Zoned(7, 2, sign="trailing separate"), PLACES),
    Item("S9(5)V99 SIGN LEADING SEPARATE", Zoned(7, 2, sign="leading separate"), PLACES),
    Item("S9(5)PPP", Zoned(5, -3), ("0", "12000", "-99999000")),
    Item("SPPP9(5)", Zoned(5, 8), ("0", "0.00012345", "-0.00099999")),
    Item("9(5) BLANK WHEN ZERO", Digits(5, blank="when zero"), ("0", "7", "99999")),
    Item("S9(5)V99 COMP-3", Packed(7, 2), PLACES),
    Item("S9(4) COMP-3", Packed(4), ("0", "7", "-7", "9999", "-9999")),
    Item("9(5) COMP-3", Packed(5, signed=False), ("0", "7", "99999")),
    Item("S9(18) COMP-3", Packed(18), ("0", "123456789012345678", "-999999999999999999")),
    Item("9(5) COMP-6", Packed(5, nibble_sign=False), ("0", "12", "99999")),
    Item("9(4) COMP-6", Packed(4, nibble_sign=False), ("0", "12", "9999")),
    Item("S9(9) COMP", Binary(4, 9), ("0", "7", "-7", "999999999", "-999999999")),
    Item("S9(15)V9(3) COMP", Binary(8, 18, 3), ("0", "0.001", "-123456789012345.678")),
    Item("9(9) COMP", Binary(4, 9, signed=False), ("0", "7", "999999999")),
    Item("S9(4) COMP-5", Binary(2, order="little"), ("0", "7", "-2", "9999")),
    Item("S9(9) COMP-5", Binary(4, order="little"), ("0", "-7", "999999999")),
    Item("COMP-1", Float(4, order="little"), ("0", "0.1", "-118.625", "123456")),
    Item("COMP-2", Float(8, order="little"), ("0", "0.5", "-123.25", "123456789.0625")),
]

LETTERED = [
    Item("S9(5)V99", Zoned(7, 2, dialect=LETTERS), PLACES),
    Item("S9(5) SIGN LEADING", Zoned(5, sign="leading", dialect=LETTERS), WHOLE),
]

MONEY = ("0", "0.05", "1.5", "-3", "123.4", "-1234.56", "9999.99")
COUNTS = ("0", "5", "-5", "12", "-120", "999")

PRINTED = [
    *[
        Item(picture, Edited(picture), tuple(value for value in MONEY if signed or value[0] != "-"))
        for picture, signed in (
            ("Z(8)9.99-", True),
            ("Z(8)9.99+", True),
            ("-(6)9.99", True),
            ("+(6)9.99", True),
            ("-9(5).99", True),
            ("+Z(4)9.99", True),
            ("$$,$$9.99CR", True),
            ("$$$,$$9.99DB", True),
            ("$Z,ZZ9.99-", True),
            ("$*,**9.99-", True),
            ("ZZ,ZZZ.ZZ", False),
            ("**,***.**", False),
            ("$$,$$$.$$", False),
            ("--,---.--", True),
            ("++,+++.++", True),
            ("Z,ZZ9.99", False),
            ("9(4).9(2)", False),
            ("9(4)V99", False),
            ("9,999.99", False),
            ("ZZZ9B.99", False),
        )
    ],
    *[
        Item(picture, Edited(picture), tuple(value for value in COUNTS if signed or value[0] != "-"))
        for picture, signed in (
            ("ZZ9", False),
            ("ZZZ", False),
            ("***", False),
            ("Z,999", False),
            ("+++9", True),
            ("----", True),
            ("ZZZ-", True),
            ("999+", True),
            ("-999", True),
            ("9B9B9", False),
            ("9/99", False),
            ("9(3)0(2)", False),
            ("ZZ9CR", True),
            ("$ZZ9", False),
            ("$999", False),
        )
    ],
    Item("ZZ9.99 BLANK WHEN ZERO", Edited("ZZ9.99", "when zero"), ("0", "0.05", "999.99")),
    Item("99/99/99 BLANK WHEN ZERO", Edited("99/99/99", "when zero"), ("0", "240229")),
]


def program(items, records):
    """Source of a program that writes so many records of the items."""
    yield "IDENTIFICATION DIVISION."
    yield "PROGRAM-ID. NUMBERS."
    yield "ENVIRONMENT DIVISION."
    yield "INPUT-OUTPUT SECTION."
    yield "FILE-CONTROL."
    yield '    SELECT OUT-FILE ASSIGN TO "records" ORGANIZATION IS SEQUENTIAL.'
    yield "DATA DIVISION."
    yield "FILE SECTION."
    yield "FD OUT-FILE."
    yield "01 OUT-RECORD."
    for number, item in enumerate(items):
        picture = item.clause if item.clause in ("COMP-1", "COMP-2") else f"PIC {item.clause}"
        yield f"   05 ITEM-{number} {picture}."
    yield "PROCEDURE DIVISION."
    yield "    OPEN OUTPUT OUT-FILE."
    for record in range(records):
        for number, item in enumerate(items):
            yield f"    MOVE {item.values[record % len(item.values)]} TO ITEM-{number}."
        yield "    WRITE OUT-RECORD."
    yield "    CLOSE OUT-FILE."
    yield "    STOP RUN."


def written_by_cobol(folder, items, *options):
    """The records, one for each of the longest list of values."""
    records = max(len(item.values) for item in items)
    (folder / "numbers.cob").write_text("\n".join([*program(items, records), ""]))
    subprocess.run(["cobc", "-x", "-free", *options, "numbers.cob"], cwd=folder, check=True, capture_output=True, timeout=60)
    subprocess.run(["./numbers"], cwd=folder, check=True, capture_output=True, timeout=10)
    content = (folder / "records").read_bytes()
    size = sum(item.kind.length for item in items)
    assert len(content) == records * size
    return [content[at : at + size] for at in range(0, len(content), size)]


@pytest.mark.parametrize(
    ("items", "options"),
    [(STORED, ()), (LETTERED, ("-fsign=EBCDIC",)), (PRINTED, ())],
    ids=["as stored", "signs as letters", "as printed"],
)
def test_what_cobol_wrote_is_read_and_what_we_write_is_what_cobol_wrote(tmp_path, items, options):
    for number, record in enumerate(written_by_cobol(tmp_path, items, *options)):
        at = 0
        for item in items:
            raw, value = record[at : at + item.kind.length], item.value(number)
            at += item.kind.length
            assert item.kind.write(value) == raw, (item.clause, value, raw)
            assert item.kind.read(raw) == value, (item.clause, value, raw)


SIZES = {"ibm": ["-std=ibm"], "gnucobol": [], "mf": ["-std=mf"]}


@pytest.mark.parametrize("dialect", SIZES)
def test_binary_items_have_the_lengths_of_the_dialect(tmp_path, dialect):
    items = [
        Item(f"{'S' if signed else ''}9({digits}) COMP", Binary(binary_length(digits, dialect, signed), digits, signed=signed), ("1", "9"))
        for digits in range(1, 19)
        for signed in (True, False)
    ]
    for number, record in enumerate(written_by_cobol(tmp_path, items, *SIZES[dialect])):
        assert record == b"".join(item.kind.write(item.value(number)) for item in items)
