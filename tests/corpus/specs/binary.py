"""A line whose length is four bytes, unsigned, big-endian: any bytes are a length there."""

from construct import Struct

from telegram_router.telegrams import *

spec = Family(
    name="binary",
    version="1",
    framing=Framing(LengthField(offset=0, width=4, kind="u_be", counts="payload"), header=14),
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
