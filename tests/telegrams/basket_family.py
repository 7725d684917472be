"""A made-up family with tables, views, versions and an overlay in every combination that a generator could get wrong."""

from telegram_router.telegrams import (
    Binary,
    Code,
    Date,
    Digits,
    Edited,
    Family,
    Filler,
    Flags,
    Framing,
    LengthField,
    Message,
    Occurs,
    Overlay,
    Packed,
    Redefines,
    Reply,
    Struct,
    Text,
    Time,
    Versions,
    Zoned,
    between,
    compile_family,
)

PARTY = Redefines(
    by="kind",
    views={
        "person": Struct("name" / Text(12), "born" / Date(log="clear")),
        "company": Struct("registered" / Code(10, check="business")),
        "code": Text(10),
    },
    when={"1": "person", "2": "company"},
    default="code",
)
ITEM = Struct("amount" / Packed(7, 2, log="clear"), "flags" / Flags(1, {"urgent": 0x80, "test": 0x01}), "lines" / Occurs(2, Text(4)))
INNER = Struct(
    "k" / Digits(1, blank="error", log="clear"),
    "sub" / Occurs(between(0, 2, depending="k", storage="shift"), Code(3)),
    "day" / Date(log="clear"),
    "at" / Time(log="clear"),
    "share" / Edited("ZZ9.99", log="clear"),
)

BODY = Struct(
    "kind" / Code(1, {"1": "person", "2": "company", "9": "other"}, required=True, log="clear"),
    PARTY,
    "count" / Digits(2, blank="error", log="clear"),
    "items" / Occurs(between(0, 5, depending="count", storage="max"), ITEM),
    "entries" / Binary(2, digits=4, signed=False, log="clear"),
    "more" / Occurs(between(1, 3, depending="entries", storage="shift"), INNER),
    Versions("sent", {"": Struct(Filler(13)), "20250301": Struct("bank3" / Digits(3), Filler(10))}),
    Overlay(8, Struct("new" / Digits(3, blank="error"))),
    Redefines(by="late_kind", views={"signed": Zoned(5, dialect="ebcdic"), "word": Text(5)}, when={"N": "signed", "W": "word"}),
    "late_kind" / Code(1, ["N", "W"], required=True, log="clear"),
)
HEADER = Struct("type" / Code(2, log="clear"), "number" / Code(6, digits=True, log="clear"), "sent" / Date(blank="error", log="clear"))

FAMILY = Family(
    name="basket",
    header=HEADER,
    framing=Framing(LengthField()),
    key=("type",),
    correlation=("number",),
    encoding="cp949",
    messages=[Message("one", key=("AA",), kind="oneway", reply=Reply.none(), body=BODY)],
)
SPEC = compile_family(FAMILY)
