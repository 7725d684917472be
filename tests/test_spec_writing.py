"""The page on writing specs: its example works as it says, and it names what there is."""

from __future__ import annotations

import inspect
import re
from decimal import Decimal
from pathlib import Path

import pytest

from telegram_router import telegrams
from telegram_router.telegrams import Kind, Spec, Telegram, from_json, load_spec, to_json

PAGE = (Path(__file__).parent.parent / "docs" / "spec-writing.md").read_text("utf-8")
DECLARED = {
    "Occurs",
    "between",
    "Redefines",
    "Versions",
    "Overlay",
    "Family",
    "Message",
    "Reply",
    "Plus",
    "Table",
    "ErrorReply",
    "Framing",
    "LengthField",
    "FixedSize",
    "Terminated",
    "Poll",
}

EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
EXPORTED = {name: getattr(telegrams, name) for name in telegrams.__all__}
KINDS = sorted(name for name, each in EXPORTED.items() if inspect.isclass(each) and issubclass(each, Kind) and each is not Kind)


@pytest.fixture(scope="module")
def spec() -> Spec:
    return load_spec(EXAMPLES[0], "docs/spec-writing.md")


def transfer(spec: Spec) -> Telegram:
    header = {"branch": "0001", "number": "000042", "sent_at": "20240315101112", "code": ""}
    body = {
        "account": "11012345678901",
        "holder": "홍길동",
        "amount": 1234500,
        "rate": Decimal("1.0525"),
        "balance": -7,
        "value_date": None,
    }
    return Telegram(spec, spec.messages["transfer.request"], header, body)


def test_the_example_is_a_spec_whose_telegrams_go_both_ways(spec: Spec):
    frame = spec.encode(transfer(spec))
    assert frame.startswith(b"0111" + b"0200" + b"0001" + b"000042")
    decoded = spec.decode(frame)
    assert decoded["holder"] == "홍길동" and decoded["rate"] == Decimal("1.0525") and decoded["balance"] == -7
    assert spec.encode(from_json(spec, to_json(decoded))) == frame


def test_the_example_has_every_kind_of_reply(spec: Spec):
    assert {name: layout.reply.kind for name, layout in spec.messages.items() if layout.kind != "reply"} == {
        "transfer.request": "one",
        "list.request": "until",
        "advice": "none",
    }
    assert spec.poll_answer(b"0010PING101112") == b"0010PONG101112"


FAMILY = """
spec = Family(
    name="orders",
    encoding="cp949",
    header=Struct("kind" / Code(2), "sent_date" / Date(8)),
    framing=Framing(LengthField()),
    key=("kind",),
    correlation=(),
    messages=[Message("order", "", ("OR",), ORDER, kind="oneway")],
)
"""


def test_the_example_of_groups_and_tables_goes_both_ways():
    spec = load_spec(EXAMPLES[1] + FAMILY, "docs/spec-writing.md")
    header = {"kind": "OR", "sent_date": "20250401"}
    body = {
        "buyer": {"name": "홍길동", "post_code": "04524"},
        "remarks": ["first", "", ""],
        "items": [{"code": "A1", "price": 1000}, {"code": "B2", "price": None}],
        "payer_kind": "2",
        "company": {"number": "1234567890"},
        "bank": "088",
        "channel": "",
    }
    frame = spec.encode(Telegram(spec, spec.messages["order"], header, body))
    decoded = spec.decode(frame)
    assert decoded.body == body | {"item_count": 2}
    assert spec.encode(from_json(spec, to_json(decoded))) == frame


def test_every_field_kind_has_a_row_in_the_table():
    assert set(re.findall(r"^\| `([A-Z][a-z]+)\(", PAGE, re.MULTILINE)) == set(KINDS)


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_every_declaration_is_named_with_the_arguments_it_has(name: str):
    assert name in telegrams.__all__
    assert re.search(rf"`?\b{name}\b", PAGE)
    known = set(inspect.signature(getattr(telegrams, name)).parameters) if name != "Reply" else {"current", "total"}
    for arguments in re.findall(rf"\b{name}\(([^()]*)\)", PAGE):
        assert set(re.findall(r"\b(\w+)=", arguments)) <= known


@pytest.mark.parametrize("name", KINDS)
def test_every_option_of_a_field_kind_is_named(name: str):
    for option in list(inspect.signature(getattr(telegrams, name)).parameters)[1:]:
        assert re.search(rf"\b{option}\b", PAGE), (name, option)
