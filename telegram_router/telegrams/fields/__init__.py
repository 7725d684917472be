"""The field kinds a spec is written with: what bytes each accepts, what value they mean, and the way back."""

from telegram_router.telegrams.fields.binary import Binary, binary_length
from telegram_router.telegrams.fields.charset import ASCII, CharKind, Charset, alphabet_of, charset_of
from telegram_router.telegrams.fields.codes import Code
from telegram_router.telegrams.fields.edited import Edited
from telegram_router.telegrams.fields.encodings import BIJECTIVE, blank_of, encoding_mistakes, strict_encoding, strictness_mistakes
from telegram_router.telegrams.fields.flags import Flags
from telegram_router.telegrams.fields.floats import Float
from telegram_router.telegrams.fields.kind import (
    CONTROL_BYTES,
    LATIN,
    MISSING,
    SPEC_MARK,
    Alphabet,
    FieldFault,
    Kind,
    Mistake,
    Place,
    declared_line,
)
from telegram_router.telegrams.fields.moments import Date, Time
from telegram_router.telegrams.fields.numbers import Amount, Digits, Number, Written
from telegram_router.telegrams.fields.packed import Packed
from telegram_router.telegrams.fields.structure import Filler, Fixed, Length, Opaque
from telegram_router.telegrams.fields.text import Text
from telegram_router.telegrams.fields.zoned import Zoned

__all__ = [
    "ASCII",
    "BIJECTIVE",
    "CONTROL_BYTES",
    "LATIN",
    "MISSING",
    "SPEC_MARK",
    "Alphabet",
    "Amount",
    "Binary",
    "CharKind",
    "Charset",
    "Code",
    "Date",
    "Digits",
    "Edited",
    "FieldFault",
    "Filler",
    "Fixed",
    "Flags",
    "Float",
    "Kind",
    "Length",
    "Mistake",
    "Number",
    "Opaque",
    "Packed",
    "Place",
    "Text",
    "Time",
    "Written",
    "Zoned",
    "alphabet_of",
    "binary_length",
    "blank_of",
    "charset_of",
    "declared_line",
    "encoding_mistakes",
    "strict_encoding",
    "strictness_mistakes",
]
