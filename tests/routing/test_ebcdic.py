"""Families in EBCDIC: an operator reads their clear fields as any others."""

from __future__ import annotations

from construct import Struct

from telegram_router.ops.tail_filter import Filter, clear_fields
from telegram_router.routing import Listener, ListenerPolicy
from telegram_router.telegrams import Code, Conduct, ErrorReply, Family, FixedSize, Formality, Framing, Message, Reply, compile_family


def listener() -> Listener:
    fields = ("kind", 4, "clear"), ("institution", 6, "clear"), ("unit", 2, "clear"), ("account", 8, "masked"), ("reply", 2, "clear")
    header = Struct(*(name / Code(size, log="clear") if log == "clear" else name / Code(size) for name, size, log in fields))
    family = Family(
        name="vault",
        title="vault",
        version="1",
        encoding="cp037",
        framing=Framing(FixedSize(22), header=22),
        header=header,
        key=("kind",),
        correlation=("institution", "unit", "account"),
        owner="institution",
        errors=ErrorReply(field="header.reply", not_sent="99", sent_unknown="91"),
        conduct=Conduct(response="header.reply", accepted=("00",), sign_on=Formality("open.request")),
        messages=[
            Message("open.request", "open", ("OPNQ",), Struct(), reply=Reply.one("open.response")),
            Message("open.response", "open", ("OPNR",), Struct(), kind="reply"),
        ],
    )
    spec = compile_family(family)
    return Listener("vaults", spec, ListenerPolicy())


def telegram(text: str) -> bytes:
    return text.encode("cp037")


def test_names_of_a_telegram_are_readable_and_blanks_are_no_at_signs():
    assert listener().names(telegram("OPNQINST01  1234567800")) == {"kind": "OPNQ", "institution": "INST01", "unit": ""}


def test_the_owner_that_a_refused_telegram_claimed_is_readable():
    assert listener().claim(telegram("OPNQINST01  1234567800")) == {"owner_field": "institution", "owner": "INST01"}


def test_what_is_no_printable_character_is_left_out():
    assert listener().names(b"\x00\x01\x02\x03" + telegram("INST01  1234567800")) == {"institution": "INST01", "unit": ""}


def test_a_tail_is_filtered_by_clear_fields():
    vaults = listener()
    chosen = Filter("institution=INST*", clear_fields(vaults))
    assert chosen.takes_frame(vaults, telegram("OPNQINST01  1234567800"))
    assert not chosen.takes_frame(vaults, telegram("OPNQBANK01  1234567800"))


def test_the_code_by_which_a_host_refused_the_sign_on_is_readable():
    assert listener().spec.formalities.said("sign_on", telegram("OPNRINST01  1234567842")) == "42"
