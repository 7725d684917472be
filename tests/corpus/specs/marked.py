"""A line with STX in front of four ASCII digits and ETX behind each telegram."""

from construct import Struct

from telegram_router.telegrams import *

spec = Family(
    name="marked",
    version="1",
    framing=Framing(LengthField(offset=1, width=4, kind="ascii", counts="payload", before=b"\x02", end=b"\x03"), header=14),
    header=Struct(
        "message_type" / Code(4, required=True, log="clear"),
        "message_number" / Code(6, digits=True, required=True, log="clear"),
        "response_code" / Code(4, log="clear"),
    ),
    key=("message_type",),
    correlation=("message_number",),
    reply_rule=Plus("message_type", 100),
    errors=ErrorReply(field="header.response_code", not_sent="N999", sent_unknown="U999"),
    messages=[Message("work.request", "work", ("2000",), Struct("content" / Opaque()))],
)
