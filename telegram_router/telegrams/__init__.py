"""What telegrams look like: field kinds, specs, layouts, framing. Bytes in, values out; no I/O."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from telegram_router.telegrams.declare import (
    NOW,
    NUMBER,
    OUR_CODE,
    TODAY,
    Conduct,
    ErrorReply,
    Family,
    Formality,
    Message,
    Plus,
    Reply,
    Table,
)
from telegram_router.telegrams.diagnosis import diagnose, foreign_protocol
from telegram_router.telegrams.fields import (
    Amount,
    Binary,
    Code,
    Date,
    Digits,
    Edited,
    FieldFault,
    Filler,
    Fixed,
    Flags,
    Float,
    Kind,
    Length,
    Opaque,
    Packed,
    Text,
    Time,
    Zoned,
)
from telegram_router.telegrams.framer import Framer
from telegram_router.telegrams.framing import FixedSize, Framing, LengthField, Poll, Terminated
from telegram_router.telegrams.groups import Occurs, Overlay, Redefines, Struct, Versions, between
from telegram_router.telegrams.layout import PlannedField
from telegram_router.telegrams.loading import compile_family, load_spec
from telegram_router.telegrams.spec import MessageLayout, ReplyRule, Spec
from telegram_router.telegrams.telegram import Telegram

if TYPE_CHECKING:
    from telegram_router.telegrams.json_form import from_json, from_object, masked_object, to_json, to_object
    from telegram_router.telegrams.json_mapping import JsonMapping, MappingProblem

__all__ = [
    "NOW",
    "NUMBER",
    "OUR_CODE",
    "TODAY",
    "Amount",
    "Binary",
    "Code",
    "Conduct",
    "Date",
    "Digits",
    "Edited",
    "ErrorReply",
    "Family",
    "FieldFault",
    "Filler",
    "Fixed",
    "FixedSize",
    "Flags",
    "Float",
    "Formality",
    "Framer",
    "Framing",
    "JsonMapping",
    "Kind",
    "Length",
    "LengthField",
    "MappingProblem",
    "Message",
    "MessageLayout",
    "Occurs",
    "Opaque",
    "Overlay",
    "Packed",
    "PlannedField",
    "Plus",
    "Poll",
    "Redefines",
    "Reply",
    "ReplyRule",
    "Spec",
    "Struct",
    "Table",
    "Telegram",
    "Terminated",
    "Text",
    "Time",
    "Versions",
    "Zoned",
    "between",
    "compile_family",
    "diagnose",
    "foreign_protocol",
    "from_json",
    "from_object",
    "load_spec",
    "masked_object",
    "to_json",
    "to_object",
]

# JSON is imported when it is asked for: whoever only reads and writes telegrams waits for no JSON library.
_LATER = {
    **dict.fromkeys(("from_json", "from_object", "masked_object", "to_json", "to_object"), "json_form"),
    **dict.fromkeys(("JsonMapping", "MappingProblem"), "json_mapping"),
}

if not TYPE_CHECKING:  # a type checker that saw it would take any name to exist

    def __getattr__(name: str) -> Any:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
        return found
