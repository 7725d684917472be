"""The field kinds a spec is written with: what bytes each accepts, what value they mean, and the way back."""

from telegram_router.telegrams.fields.codes import Code
from telegram_router.telegrams.fields.kind import CONTROL_BYTES, MISSING, SPEC_MARK, FieldFault, Kind, Mistake, Place, declared_line
from telegram_router.telegrams.fields.moments import Date, Time
from telegram_router.telegrams.fields.numbers import Amount, Digits
from telegram_router.telegrams.fields.structure import Filler, Fixed, Length, Opaque
from telegram_router.telegrams.fields.text import BIJECTIVE, Text, encoding_mistakes

__all__ = [
    "BIJECTIVE",
    "CONTROL_BYTES",
    "MISSING",
    "SPEC_MARK",
    "Amount",
    "Code",
    "Date",
    "Digits",
    "FieldFault",
    "Filler",
    "Fixed",
    "Kind",
    "Length",
    "Mistake",
    "Opaque",
    "Place",
    "Text",
    "Time",
    "declared_line",
    "encoding_mistakes",
]
