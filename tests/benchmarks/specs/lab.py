"""The load lab's telegram: "0296" "0200" "TR" and ten digits of sequence, then bytes that only the two ends understand."""

from construct import Struct

from telegram_router.telegrams import *

ANY = Struct("content" / Opaque())

spec = Family(
    name="lab",
    title="load lab",
    version="1",
    framing=Framing(LengthField(offset=0, width=4, kind="ascii", counts="payload"), header=16),
    header=Struct(
        "message_type" / Code(4, required=True, log="clear"),
        "business_code" / Code(2, log="clear"),
        "sequence" / Code(10, digits=True, required=True, log="clear"),
    ),
    key=("message_type",),
    correlation=("sequence",),
    carrier="sequence",  # each connection may count for itself
    errors=ErrorReply(field="body.outcome", not_sent="N", sent_unknown="U", message="refusal", set={"body.error_code": OUR_CODE}),
    messages=[
        Message("work.request", "work", ("0200",), ANY, reply=Reply.one("work.response")),
        Message("work.response", "work done", ("0210",), ANY, kind="reply"),
        Message(
            "refusal",
            "not done, or not known to be done",
            ("0299",),
            Struct(
                "outcome" / Code(1, {"N": "not sent", "U": "may have been executed"}, required=True, log="clear"),
                "error_code" / Code(8, required=True, log="clear"),
            ),
            kind="reply",
        ),
    ],
)
