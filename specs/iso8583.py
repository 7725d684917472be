"""ISO 8583 behind a binary length of two bytes that counts what follows: an ASCII header, the rest as it is.

The header is the one of BASE24 links: the letters ISO, nine digits, message type, the first bitmap in sixteen hexadecimal digits.
The data elements behind it are not looked at, so no field at a fixed place pairs a reply with its request: services that speak
this spec over telegram links are `mode = "fifo"`, if the host answers in order, or `mode = "exclusive"`. For the same reason no sign-on,
sign-off or echo is declared: one message, 0800, serves all three, and what it is for (element 70) and whether its answer is yes (39) stand
behind the bitmap. Network management telegrams are routed like any other.
"""

from construct import Struct

from telegram_router.telegrams import *

HEADER = Struct(
    Fixed("ISO") * "header literal",
    "product" / Code(2, {"01": "ATM", "02": "POS", "00": "network management"}, log="clear") * "product indicator",
    "release" / Code(2, digits=True, log="clear") * "release number",
    "status" / Code(3, digits=True, log="clear") * "status, 000 when nothing is wrong",
    "originator" / Code(1, log="clear") * "originator code",
    "responder" / Code(1, log="clear") * "responder code",
    "message_type" / Code(4, required=True, log="clear") * "전문종별 message type indicator",
    "bitmap" / Code(16, required=True, log="clear") * "primary bitmap, hexadecimal",
)

DATA = Struct("data" / Opaque(max=9_999) * "data elements, passed through")

spec = Family(
    name="iso8583",
    title="ISO 8583, ASCII header",
    version="1987",
    framing=Framing(LengthField(offset=0, width=2, kind="u_be", counts="payload"), header=32),
    header=HEADER,
    key=("message_type",),
    correlation=(),
    reply_rule=Plus("message_type", 10),
    messages=[
        Message("authorization.request", "승인 authorization", ("0100",), DATA),
        Message("financial.request", "거래 financial request", ("0200",), DATA),
        Message("financial_advice.request", "거래통지 financial advice", ("0220",), DATA),
        Message("reversal.request", "취소 reversal", ("0400",), DATA),
        Message("reversal_advice.request", "취소통지 reversal advice", ("0420",), DATA),
        Message("network.request", "망관리 network management", ("0800",), DATA),
    ],
)
