"""A spec at work: keys, correlation, replies, error telegrams, polls; driven with frames."""

import operator

import pytest
from composed import FIRST_SAMPLE, samples
from construct import Struct
from hypothesis import given, settings
from hypothesis import strategies as st
from shipped import message_of, shipped

from telegram_router.errors import CODES, Delivery, FieldError
from telegram_router.telegrams import (
    OUR_CODE,
    Code,
    Digits,
    ErrorReply,
    Family,
    Filler,
    Fixed,
    Framing,
    LengthField,
    Message,
    Plus,
    Reply,
    Table,
    Telegram,
    compile_family,
)
from telegram_router.telegrams.spec import fused

NOT_SENT, UNKNOWN, ANSWERED = Delivery.NOT_SENT, Delivery.SENT_UNKNOWN, Delivery.ANSWERED
TRANSFER = FIRST_SAMPLE
FIRM = ("2000", "100")


# ------------------------------------------------------------------------------------------------ what the switch reads


def test_adjacent_key_fields_are_one_slice_of_the_frame():
    spec = shipped("firmbanking")
    assert isinstance(spec.key_of, operator.itemgetter)
    assert spec.key_of(TRANSFER) == b"2000100"
    assert spec.by_key[b"2000100"].name == "transfer.request"
    assert spec.message_of(TRANSFER) is spec.messages["transfer.request"]


def test_correlation_is_the_fields_in_as_few_slices_as_there_are_gaps():
    spec = shipped("firmbanking")
    assert isinstance(spec.correlate, operator.itemgetter)
    assert spec.correlate(TRANSFER) == (b"TESTCO000001088", b"00000120240315")
    assert [(name, TRANSFER[at]) for name, at in spec.correlation_fields] == [
        ("company_number", b"TESTCO000001"),
        ("bank_code", b"088"),
        ("sent_date", b"20240315"),
        ("message_number", b"000001"),
    ]


def test_a_repeat_count_is_no_part_of_the_correlation():
    repeated = TRANSFER[:35] + b"2" + TRANSFER[36:]
    assert shipped("firmbanking").correlate(repeated) == shipped("firmbanking").correlate(TRANSFER)


@pytest.mark.parametrize("family", ["firmbanking", "ksnet", "hmfb"])
def test_a_request_and_its_reply_correlate_and_no_two_requests_do(family):
    spec, frames = shipped(family), samples()[family]
    seen = set()
    for key, frame in frames.items():
        message = message_of(family, key)
        if message.kind == "request":
            assert spec.correlate(frame) == spec.correlate(frames[message.reply.message.key])
            assert spec.correlate(frame) not in seen
            seen.add(spec.correlate(frame))


def test_offsets_of_header_fields_are_the_telegrams_and_slices_the_frames():
    spec = shipped("firmbanking")
    assert spec.header_fields["message_type"] == (24, 4)
    assert spec.header_slice("message_type") == slice(28, 32)
    assert shipped("hmfb").header_slice("message_type") == slice(43, 47)
    with pytest.raises(KeyError):
        spec.header_slice("amount")


def test_the_owner_is_the_company():
    assert TRANSFER[shipped("firmbanking").owner] == b"TESTCO000001"
    assert shipped("firmbanking").carrier is None and shipped("firmbanking").carrier_width == 0


def test_the_labs_sequence_is_its_correlation_and_its_carrier():
    spec = shipped("lab")
    frame = b"02960200TR0000000017" + b"x" * 280
    assert spec.correlate(frame) == b"0000000017" == frame[spec.carrier]
    assert spec.carrier_width == 10
    assert spec.message_of(frame).reply.message.name == "work.response"


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(1, 9)).map(lambda p: slice(p[0], sum(p))),
        min_size=1,
        max_size=5,
        unique_by=lambda s: s.start,
    )
)
def test_fused_slices_cover_the_same_bytes(places):
    raw = bytes(range(64))
    assert b"".join(raw[s] for s in fused(places)) == b"".join(raw[s] for s in sorted(places, key=lambda s: s.start))


def test_keys_that_are_not_neighbours_are_a_tuple():
    family = Family(
        name="apart",
        header=Struct("type" / Code(2), "number" / Code(4), "code" / Code(3)),
        framing=Framing(LengthField()),
        key=("type", "code"),
        correlation=("number",),
        messages=[Message("ask", key=("A", "B"), reply=Reply.none())],
    )
    spec = compile_family(family)
    frame = b"0009A 0001B  "
    assert spec.key_of(frame) == (b"A ", b"B  ")
    assert spec.message_of(frame).name == "ask"


# ------------------------------------------------------------------------------------------------ messages


def test_a_familys_reply_rule_declares_the_replies_that_the_author_left_out():
    spec = shipped("firmbanking")
    reply = spec.messages["balance.request"].reply
    assert (reply.kind, reply.message.name, reply.message.key, reply.message.kind) == ("one", "balance.response", ("7100", "200"), "reply")
    assert [f.path for f in reply.message.fields] == [f.path for f in spec.messages["balance.request"].fields]
    assert shipped("ksnet").messages["balance.request"].reply.message.key == ("0610", "300")


def test_a_declared_reply_is_taken_in_place_of_a_derived_one():
    spec = shipped("firmbanking")
    reply = spec.messages["transfer.request"].reply.message
    assert reply is spec.messages["transfer.response"]
    assert reply.encode(*(lambda t: (t.header, t.body))(spec.decode(TRANSFER).reply(response_code="0000")))[142:143] == b"+"


def test_a_reply_has_no_reply():
    for message in shipped("firmbanking").messages.values():
        assert (message.kind == "reply") == (message.reply.kind == "none") == (message.reply.message is None)


def test_a_table_gives_the_replies_of_types_that_no_sum_explains():
    family = family_of(reply_rule=Table("type", {"AA": "ZZ"}), messages=[Message("ask", key=("AA",), body=Struct("x" / Code(1)))])
    assert compile_family(family).messages["ask"].reply.message.key == ("ZZ",)


def test_until_gives_the_places_of_part_and_total_in_the_replys_frame():
    parts = Struct("total" / Digits(2), "current" / Digits(2), Filler(4))
    family = family_of(
        messages=[
            Message("ask", key=("AA",), reply=Reply.until("part", current="current", total="body.total")),
            Message("part", key=("AB",), body=parts, kind="reply"),
        ]
    )
    rule = compile_family(family).messages["ask"].reply
    assert (rule.kind, rule.message.name, rule.current, rule.total) == ("until", "part", slice(16, 18), slice(14, 16))


def test_sizes_count_the_framing():
    transfer = shipped("firmbanking").messages["transfer.request"]
    assert (transfer.min_frame, transfer.max_frame, transfer.frame_size) == (304, 304, 304)
    work = shipped("lab").messages["work.request"]
    assert (work.min_frame, work.max_frame, work.frame_size) == (20, 10_003, None)


def test_check_size_names_the_code_and_the_field():
    spec = shipped("firmbanking")
    message = spec.message_of(TRANSFER)
    assert spec.check_size(TRANSFER, message) is None
    too_long, too_short = spec.check_size(TRANSFER + b"x", message), spec.check_size(TRANSFER[:-55], message)
    assert too_long.code == "E-FRM-07" and "1 bytes beyond" in str(too_long)
    assert too_short.code == "E-FRM-08" and "body.fund_kind" in str(too_short) and "offset 245" in str(too_short)


def test_fields_are_found_by_path_and_by_name():
    message = shipped("firmbanking").messages["transfer.request"]
    planned = message.field("body.amount")
    assert planned is message.field("amount")
    assert (planned.path, planned.offset, planned.length, planned.rule, planned.log) == ("body.amount", 129, 13, "9(13)", "clear")
    assert "출금금액" in planned.label
    assert message.field("filler@247") is None
    assert shipped("firmbanking").messages["deposit_notice.request"].field("direction").codes["11"] == "입금 deposit"


SENSITIVE = ("account", "password", "holder", "id_number", "name", "memo", "depositor", "borrower", "check_number", "cms")
CLEAR = (
    "message_type",
    "business_code",
    "response_code",
    "amount",
    "balance",
    "date",
    "time",
    "company_number",
    "bank_code",
    "message_number",
)


@pytest.mark.parametrize("family", ["firmbanking", "ksnet", "hmfb"])
def test_persons_and_accounts_are_masked_and_what_operators_need_is_clear(family):
    for message in shipped(family).messages.values():
        for planned in message.fields:
            if any(word in planned.name for word in SENSITIVE) and not planned.name.endswith(("bank_code", "amount")):
                assert planned.log == "masked", planned.path
            elif any(planned.name.startswith(word) or planned.name.endswith(word) for word in CLEAR):
                assert planned.log == "clear", planned.path


# ------------------------------------------------------------------------------------------------ telegrams


def test_a_frame_of_no_message_is_refused_by_its_key():
    with pytest.raises(FieldError) as error:
        shipped("firmbanking").decode(TRANSFER.replace(b"2000100", b"2000999"))
    (problem,) = error.value.problems
    assert (problem.code, problem.offset, problem.length) == ("E-RTE-01", 24, 7)
    with pytest.raises(FieldError, match="E-RTE-01"):
        shipped("firmbanking").decode(b"")


def test_a_frame_whose_length_lies_is_refused():
    with pytest.raises(FieldError, match="E-FRM-04"):
        shipped("firmbanking").decode(b"0304" + TRANSFER[4:])


def test_a_telegram_shows_no_value_in_its_repr():
    assert repr(shipped("firmbanking").decode(TRANSFER)) == "<Telegram firmbanking transfer.request>"


def test_values_are_found_in_the_body_and_then_in_the_header():
    telegram = shipped("firmbanking").decode(TRANSFER)
    assert (telegram["amount"], telegram["company_number"]) == (1234500, "TESTCO000001")
    assert "amount" in telegram and "nothing" not in telegram
    with pytest.raises(KeyError):
        telegram["nothing"]


def test_telegrams_are_equal_when_the_same_bytes_would_be_written():
    spec = shipped("firmbanking")
    assert spec.decode(TRANSFER) == spec.decode(TRANSFER)
    assert spec.decode(TRANSFER) != spec.decode(samples()["firmbanking"]["2000", "200"])
    assert spec.decode(TRANSFER) != 1


def test_a_reply_takes_header_and_common_body_fields_and_then_what_is_given():
    spec = shipped("firmbanking")
    reply = spec.decode(TRANSFER).reply({"balance_after": -500}, response_code="0000")
    frame = spec.encode(reply)
    assert frame[:4] == b"0300" and frame[28:35] == b"2100100" and frame[56:60] == b"0000"
    assert frame[146:160] == b"-0000000000500"
    assert spec.correlate(frame) == spec.correlate(TRANSFER)
    assert frame[133:146] == TRANSFER[133:146]


def test_a_reply_echoes_the_headers_reserved_bytes():
    noticed = bytearray(samples()["firmbanking"]["4000", "100"])
    noticed[60:75] = b"BANKS OWN AREA "
    noticed[-1:] = b"x"
    spec = shipped("firmbanking")
    answer = spec.encode(spec.decode(bytes(noticed)).reply(response_code="0000"))
    assert answer[60:75] == b"BANKS OWN AREA "
    assert answer[-1:] == b" "


def test_a_reply_works_its_own_length_out():
    spec = shipped("hmfb")
    reply = spec.decode(samples()["hmfb"]["2000", "100"]).reply(response_code="0000")
    assert "total_length" not in reply.header
    assert spec.encode(reply)[:4] == b"0320"


def test_a_reply_to_a_reply_does_not_exist():
    reply = shipped("firmbanking").decode(TRANSFER).reply(response_code="0000")
    with pytest.raises(ValueError, match="no reply"):
        reply.reply()


def test_a_telegram_can_be_made_from_values_alone():
    spec = shipped("lab")
    made = Telegram(spec, spec.messages["work.request"], {"business_code": "TR", "sequence": "0000000017"}, {"content": b"\x00\xff"})
    assert spec.encode(made) == b"00180200TR0000000017\x00\xff"


# ------------------------------------------------------------------------------------------------ polls


def test_a_poll_is_answered_with_its_own_timestamp():
    spec = shipped("firmbanking")
    asked = b"0020HDRREQPOLL0315101112"
    assert spec.poll_answer(asked) == b"0020HDRRESPOLL0315101112"
    assert spec.is_poll(asked) and spec.is_poll(b"0020HDRRESPOLL0315101112")
    assert spec.poll_answer(b"0020HDRRESPOLL0315101112") is None
    assert spec.poll_answer(TRANSFER) is None and not spec.is_poll(TRANSFER)
    assert spec.message_of(asked) is None


# ------------------------------------------------------------------------------------------------ error telegrams


def test_a_refused_request_comes_back_as_its_reply_with_a_response_code():
    refused = shipped("firmbanking").error_reply(TRANSFER, "E-RTE-01", NOT_SENT)
    changed = bytearray(TRANSFER)
    changed[28:32], changed[56:60] = b"2100", b"SB01"
    assert refused == bytes(changed)


@pytest.mark.parametrize(
    ("code", "delivery", "shown"),
    [
        ("E-RTE-01", NOT_SENT, b"SB01"),
        ("E-LIM-01", NOT_SENT, b"SB05"),
        ("E-FLD-13", NOT_SENT, b"SB99"),  # has no code of its own
        ("E-NEW-99", NOT_SENT, b"SB99"),
        ("E-BCK-05", UNKNOWN, b"VTIM"),
        ("E-BCK-02", UNKNOWN, b"VTIM"),
        ("E-RTE-01", UNKNOWN, b"VTIM"),  # the caller knows better than the table
        ("E-RTE-01", ANSWERED, b"VTIM"),
        ("E-BCK-05", NOT_SENT, b"SB99"),
    ],
)
def test_the_response_code_says_whether_money_may_have_moved(code, delivery, shown):
    refused = shipped("firmbanking").error_reply(TRANSFER, code, delivery)
    assert refused[56:60] == shown
    assert shipped("firmbanking").decode(refused)["response_code"] == shown.decode()


@pytest.mark.parametrize("family", ["firmbanking", "ksnet", "hmfb", "lab"])
def test_no_error_code_ever_says_not_sent_when_the_request_may_have_been_executed(family):
    frame = b"02960200TR0000000017" + b"x" * 280 if family == "lab" else samples()[family][FIRM if family != "ksnet" else ("0100", "100")]
    spec = shipped(family)
    place = {"firmbanking": slice(56, 60), "ksnet": slice(47, 51), "hmfb": slice(71, 75), "lab": slice(20, 21)}[family]
    shown = {delivery: {spec.error_reply(frame, code, delivery)[place] for code in CODES} for delivery in Delivery}
    assert not shown[NOT_SENT] & shown[UNKNOWN]
    assert not shown[NOT_SENT] & shown[ANSWERED]


@pytest.mark.parametrize("family", ["firmbanking", "ksnet", "hmfb"])
def test_every_request_of_every_family_can_be_refused_in_its_own_words(family):
    spec = shipped(family)
    for key, frame in samples()[family].items():
        message = message_of(family, key)
        refused = spec.error_reply(frame, "E-BCK-01", NOT_SENT)
        if message.kind == "request":
            telegram = spec.decode(refused)
            assert telegram.message is message.reply.message
            assert spec.correlate(refused) == spec.correlate(frame)
        else:
            assert refused is None


def test_an_answer_is_never_answered():
    spec = shipped("firmbanking")
    assert spec.error_reply(samples()["firmbanking"]["2100", "100"], "E-TXN-01", NOT_SENT) is None
    assert spec.error_reply(TRANSFER.replace(b"2000100", b"2100999"), "E-RTE-01", NOT_SENT) is None
    assert spec.error_reply(TRANSFER.replace(b"2000100", b"8000100"), "E-RTE-01", NOT_SENT) is None
    assert spec.error_reply(b"0020HDRREQPOLL0315101112", "E-RTE-01", NOT_SENT) is None
    lab = shipped("lab")
    for type_ in (b"0210", b"0299"):
        assert lab.error_reply(b"0016" + type_ + b"TR0000000017", "E-TXN-01", NOT_SENT) is None


def test_a_business_code_that_the_spec_does_not_know_is_refused_as_a_reply_of_its_type():
    refused = shipped("firmbanking").error_reply(TRANSFER.replace(b"2000100", b"2000999"), "E-RTE-01", NOT_SENT)
    assert len(refused) == 304 and refused[28:35] == b"2100999" and refused[56:60] == b"SB01"


@pytest.mark.parametrize("size", [104, 303, 305, 600])
def test_a_telegram_of_no_message_and_of_any_size_is_refused_in_the_familys_size(size):
    stranger = TRANSFER.replace(b"2000100", b"2000999").ljust(600, b"x")[:size]
    refused = shipped("firmbanking").error_reply(stranger, "E-RTE-01", NOT_SENT)
    assert len(refused) == 304 and refused.startswith(b"0300")


def test_an_error_message_of_its_own_can_set_fields_of_header_and_body():
    family = family_of(
        messages=[
            Message("ask", key=("AA",), body=Struct("text" / Code(3)), reply=Reply.none()),
            Message("no", key=("NO",), body=Struct(Fixed("<"), "outcome" / Code(1), "why" / Code(8), "by" / Code(3)), kind="reply"),
        ],
        errors=ErrorReply(
            field="outcome", not_sent="N", sent_unknown="U", message="no", set={"why": OUR_CODE, "body.by": "RTR", "header.number": 77}
        ),
        correlation=("type",),
    )
    spec = compile_family(family)
    assert spec.error_reply(b"0013AA00000001xyz", "E-RTE-01", NOT_SENT) == b"0023NO00000077<NE-RTE-01RTR"


def test_an_error_telegram_in_the_form_of_the_reply_can_set_header_fields_too():
    family = family_of(
        header=Struct("type" / Code(4, required=True), "number" / Digits(4), "flag" / Code(1), "code" / Code(2), "why" / Code(8)),
        messages=[Message("ask.request", key=("0100",), body=Struct("text" / Code(3)))],
        reply_rule=Plus("type", 10),
        errors=ErrorReply(field="header.code", not_sent="NO", sent_unknown="UN", set={"header.flag": "2", "header.why": OUR_CODE}),
    )
    spec = compile_family(family)
    asked = b"0022" + b"010000011  " + b" " * 8 + b"xyz"
    assert spec.error_reply(asked, "E-RTE-02", NOT_SENT) == b"0022" + b"011000012NO" + b"E-RTE-02" + b"xyz"
    assert spec.error_reply(asked, "E-BCK-05", Delivery.SENT_UNKNOWN) == b"0022" + b"011000012UN" + b"E-BCK-05" + b"xyz"


def test_a_telegram_of_no_message_is_refused_with_the_same_header_fields_set():
    family = family_of(
        header=Struct("type" / Code(4, required=True), "kind" / Code(1), "number" / Digits(4), "flag" / Code(1), "code" / Code(2)),
        key=("type", "kind"),
        messages=[Message("ask.request", key=("0100", "A"), body=Struct("text" / Code(3)))],
        reply_rule=Plus("type", 10),
        errors=ErrorReply(field="header.code", not_sent="NO", sent_unknown="UN", set={"header.flag": "2"}),
    )
    assert compile_family(family).error_reply(b"0015" + b"0100B00011  xyz", "E-RTE-01", NOT_SENT) == b"0015" + b"0110B00012NOxyz"


def test_a_frame_without_a_whole_header_is_not_answered():
    assert shipped("firmbanking").error_reply(TRANSFER[:103], "E-FRM-08", NOT_SENT) is None
    assert shipped("firmbanking").error_reply(b"", "E-FRM-08", NOT_SENT) is None


@pytest.mark.parametrize("size", [104, 200, 303, 305, 600])
def test_a_frame_of_the_wrong_size_gets_an_error_telegram_of_the_right_one(size):
    refused = shipped("firmbanking").error_reply(TRANSFER.ljust(600, b"x")[:size], "E-FRM-07", NOT_SENT)
    assert len(refused) == 304 and refused.startswith(b"0300") and refused[56:60] == b"SB11"


def test_hmfbs_error_telegram_carries_its_own_length():
    refused = shipped("hmfb").error_reply(samples()["hmfb"]["2000", "100"], "E-BCK-01", NOT_SENT)
    assert refused[:12] == b"0320DHRTCPIN" and refused[43:50] == b"2100100" and refused[71:75] == b"H106"


def test_ksnets_error_telegram_leaves_the_banks_own_code_alone():
    refused = shipped("ksnet").error_reply(samples()["ksnet"]["0100", "100"], "E-BCK-05", UNKNOWN)
    assert refused[19:26] == b"0110100" and refused[47:55] == b"K905    "


def test_the_labs_refusal_is_a_message_of_its_own_with_our_error_code():
    spec = shipped("lab")
    frame = b"02960200TR0000000017" + b"x" * 280
    assert spec.error_reply(frame, "E-LIM-01", NOT_SENT) == b"00250299TR0000000017NE-LIM-01"
    assert spec.error_reply(frame, "E-BCK-05", UNKNOWN) == b"00250299TR0000000017UE-BCK-05"
    unknown_type = b"00200777TR0000000017xxxx"
    assert spec.error_reply(unknown_type, "E-RTE-01", NOT_SENT) == b"00250299TR0000000017NE-RTE-01"


def test_a_family_without_an_error_reply_has_no_error_telegrams():
    spec = compile_family(family_of(messages=[Message("ask", key=("AA",), reply=Reply.none())]))
    assert spec.error_reply(b"0010AA00000001", "E-RTE-01", NOT_SENT) is None


def test_a_message_of_which_nothing_is_said_but_that_no_reply_answers_it_is_one_way():
    family = Family(
        name="small",
        header=Struct("type" / Code(4, required=True), "number" / Code(4)),
        framing=Framing(LengthField(), header=8),
        key=("type",),
        correlation=("number",),
        messages=[Message("note", key=("0400",), reply=Reply.none())],
    )
    assert compile_family(family).messages["note"].kind == "oneway"


def test_a_oneway_message_is_not_answered():
    errors = ErrorReply(field="header.type", not_sent="N", sent_unknown="U")
    family = family_of(messages=[Message("tell", key=("AA",), kind="oneway")], errors=errors)
    assert compile_family(family).error_reply(b"0010AA00000001", "E-RTE-01", NOT_SENT) is None


@settings(deadline=None)
@given(
    st.sampled_from(["firmbanking", "ksnet", "hmfb", "lab"]),
    st.binary(max_size=400),
    st.sampled_from(sorted(CODES)),
    st.sampled_from(list(Delivery)),
)
def test_nothing_a_peer_sends_breaks_the_questions_that_the_switch_asks(family, frame, code, delivery):
    spec = shipped(family)
    message = spec.message_of(frame)
    spec.correlate(frame)
    spec.is_poll(frame)
    spec.poll_answer(frame)
    if message is not None:
        spec.check_size(frame, message)
    spec.error_reply(frame, code, delivery)
    try:
        spec.decode(frame)
    except FieldError:
        pass


def family_of(**changes):
    declared = {
        "name": "small",
        "header": Struct("type" / Code(2, required=True), "number" / Digits(8)),
        "framing": Framing(LengthField()),
        "key": ("type",),
        "correlation": ("number",),
        "reply_rule": None,
    }
    return Family(**(declared | changes))


def test_plus_gives_nothing_where_there_is_no_number_or_no_room():
    assert Plus("t", 100).answer("2000") == "2100"
    assert Plus("t", 10).answer("0100") == "0110"
    assert [Plus("t", 100).answer(value) for value in ("", "AB", "²000", "9950")] == [None] * 4
