"""The JSON of an HTTP service with a shape of its own: checked whole when it is made, strict when it is used."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parcel_family import HEADER_VALUES, SPEC, order, order_frame

from telegram_router.errors import BackendError, Delivery, FieldError
from telegram_router.telegrams import JsonMapping, Telegram, to_object

REQUEST = {
    "customer.account": "body.account",
    "customer.name": "body.memo",
    "order.amount": "body.amount",
    "order.rate": "body.rate",
    "id": "header.number",
}
RESPONSE = {"body.note": "result.notes.0", "body.fee": "fee"}
LITERALS = {"header.response": "0000"}


def mapping(**tables: object) -> JsonMapping:
    made = JsonMapping(SPEC, ["order.request"], **({"request": REQUEST, "response": RESPONSE, "literals": LITERALS} | tables))
    assert made.problems == ()
    return made


def problems(**tables: object) -> list[tuple[tuple[str, ...], str, str]]:
    return [(problem.key, problem.what, problem.expected) for problem in JsonMapping(SPEC, ["order.request"], **tables).problems]


def request() -> Telegram:
    return SPEC.decode(order_frame())


def refusal(text: bytes, made: JsonMapping | None = None) -> BackendError:
    with pytest.raises(BackendError) as caught:
        (made or mapping()).response(request(), text)
    assert caught.value.code == "E-BCK-06"
    assert caught.value.delivery is Delivery.SENT_UNKNOWN
    assert caught.value.__context__ is None
    return caught.value


# --- out --------------------------------------------------------------------------------------------------------


def test_fields_go_where_the_mapping_says():
    assert json.loads(mapping().request(request())) == {
        "customer": {"account": "110123456789", "name": "홍길동급여"},
        "order": {"amount": "1234500", "rate": "1.500"},
        "id": "000007",
    }


def test_without_a_request_table_the_message_form_is_sent():
    assert json.loads(mapping(request=None).request(request())) == to_object(request())


def test_a_field_that_a_message_does_not_have_is_left_out():
    made = JsonMapping(SPEC, request={"account": "body.account", "amount": "body.amount"})
    ask = Telegram(SPEC, SPEC.messages["ask.request"], {**HEADER_VALUES, "type": "4000"}, {"account": "1"})
    assert made.problems == ()
    assert json.loads(made.request(ask)) == {"account": "1"}


def test_a_handlers_value_of_the_wrong_type_is_not_sent():
    with pytest.raises(FieldError):
        mapping().request(order(rate="1.5"))


def test_a_message_that_the_mapping_is_not_for_is_refused():
    letter = Telegram(SPEC, SPEC.messages["letter"], {**HEADER_VALUES, "type": "3000"}, {"text": b""})
    with pytest.raises(FieldError):
        mapping().request(letter)


# --- and back ---------------------------------------------------------------------------------------------------


def test_a_reply_is_the_requests_header_its_own_fields_and_what_came_back():
    reply = mapping().response(request(), '{"result": {"notes": ["고맙습니다"]}, "fee": "-1.50", "more": 1.5}'.encode())
    assert reply.message.name == "order.response"
    assert reply.header == {**HEADER_VALUES, "type": "2100", "response": "0000"}
    assert reply.body == {"account": "110123456789", "amount": 1234500, "fee": Decimal("-1.50"), "note": "고맙습니다"}
    assert SPEC.decode(SPEC.encode(reply)).body == reply.body


def test_the_reserved_bytes_of_the_header_come_back_as_they_were():
    frame = bytearray(order_frame())
    frame[36:40] = b"KEEP"
    reply = mapping().response(SPEC.decode(bytes(frame)), b'{"result": {"notes": [""]}, "fee": null}')
    assert SPEC.encode(reply)[36:40] == b"KEEP"


@pytest.mark.parametrize(
    ("text", "pointer", "what"),
    [
        (b'{"fee": "1.00"}', "/result/notes/0", "missing"),
        (b'{"result": {"notes": []}, "fee": "1.00"}', "/result/notes/0", "missing"),
        (b'{"result": {"notes": {"0": 7}}, "fee": "1.00"}', "/result/notes/0", "a number"),
        (b'{"result": {"notes": [7]}, "fee": "1.00"}', "/result/notes/0", "a number"),
        (b'{"result": [], "fee": "1.00"}', "/result/notes/0", "missing"),
        (b'{"result": {"notes": ["x"]}, "fee": 1.5}', "/fee", "fraction"),
        (b'{"result": {"notes": ["x"]}, "fee": "abc"}', "/fee", "not a number"),
        (b"[]", "/result/notes/0", "and 1 more"),
        (b"null", "/result/notes/0", "missing"),
        (b"<html>", "/", "malformed"),
        (b"", "/", "malformed"),
        (b"[" * 1000, "/", "deeper"),
    ],
)
def test_an_answer_that_cannot_be_read_is_told_by_its_place(text, pointer, what):
    error = refusal(text)
    assert error.where == pointer
    assert what in error.what


def test_what_cannot_be_read_is_never_repeated():
    assert "SECRET" not in str(refusal(b'{"result": {"notes": [["SECRET"]]}, "fee": "SECRET"}'))


def test_without_a_response_table_the_service_answers_in_the_message_form():
    made = mapping(response=None)
    reply = made.response(request(), '{"message": "order.response", "header": {"response": "VTIM"}, "body": {"note": "네"}}'.encode())
    assert reply.body == {"account": "110123456789", "amount": 1234500, "fee": Decimal("-12.30"), "note": "네"}
    assert reply.header["response"] == "0000"  # a literal wins
    assert JsonMapping(SPEC).response(request(), b'{"header": {"response": "VTIM"}, "body": {"note": ""}}').header["response"] == "VTIM"


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        (b'{"body": {}}', "/body/note"),
        (b'{"body": {"note": "x", "nte": "y"}}', "/body"),
        (b'{"body": {"note": 7}}', "body.note"),
        (b'{"message": "order.request", "body": {"note": "x"}}', "/message"),
        (b'{"header": {"number": "000008"}, "body": {"note": "x"}}', "/header/number"),
        (b'{"header": {"type": "2000"}, "body": {"note": "x"}}', "/header/type"),
        (b"[]", "/"),
    ],
)
def test_a_message_form_must_be_the_reply_to_this_very_request(text, pointer):
    assert refusal(text, JsonMapping(SPEC)).where == pointer


def test_an_answer_to_a_message_without_reply_is_the_callers_mistake():
    letter = Telegram(SPEC, SPEC.messages["letter"], {**HEADER_VALUES, "type": "3000"}, {"text": b""})
    with pytest.raises(ValueError, match="no reply"):
        JsonMapping(SPEC).response(letter, b"{}")


@settings(max_examples=100, deadline=None)
@given(
    text=st.one_of(
        st.binary(max_size=40),
        st.dictionaries(
            st.sampled_from(["result", "fee", "body", "header", "$filler"]),
            st.none() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=2),
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_no_answer_raises_anything_but_a_backend_error(text):
    for made in (mapping(), JsonMapping(SPEC)):
        try:
            made.response(request(), text)
        except BackendError as error:
            assert error.code == "E-BCK-06"


# --- what is wrong with a mapping is told when it is made -------------------------------------------------------


def test_field_paths_must_exist_and_a_near_one_is_offered():
    assert problems(request={"a": "body.acount"}) == [
        (("request", "a"), "no message of the service has the field body.acount", "body.account")
    ]
    assert problems(request={"a": "amount"})[0][2] == "body.amount"
    assert problems(literals={"body.nope": "x"})[0][0] == ("set", "body.nope")
    assert problems(response={"body.nte": "a", "body.note": "b"})[0] == (
        ("response", "body.nte"),
        "no message of the service has the field body.nte",
        "body.note",
    )


def test_a_value_cannot_hold_others():
    assert problems(request={"a": "body.account", "a.b": "body.memo"}) == [
        (("request", "a"), "is a value and holds other values", "a path of its own")
    ]


@pytest.mark.parametrize("field", ["header.type", "header.number", "header.company"])
def test_what_pairs_a_reply_with_its_request_cannot_be_mapped(field):
    assert [key for key, _, _ in problems(response={field: "a", "body.note": "b"})] == [("response", field)]
    assert [key for key, _, _ in problems(literals={field: "0000"})] == [("set", field)]


@pytest.mark.parametrize(
    ("field", "text", "ok"),
    [
        ("header.response", "0000", True),
        ("header.response", "", True),
        ("header.response", "9999", False),
        ("header.response", "00000", False),
        ("body.amount", "0000000000007", True),
        ("body.amount", "7", False),
        ("body.fee", "-000000150", True),
        ("body.fee", "-1.50", False),
        ("body.note", "고맙습니다", True),
        ("body.note", "고맙습니다.", False),
        ("body.note", "\U0001f600", False),
    ],
)
def test_a_literal_is_written_as_in_the_telegram(field, text, ok):
    assert (problems(literals={field: text}) == []) is ok


def test_literals_are_values_of_their_fields():
    made = JsonMapping(SPEC, literals={"body.note": "끝", "body.amount": "0000000000007", "body.fee": "-000000150"})
    assert made.problems == ()
    assert made.response(request(), b"{}").body == {"account": "110123456789", "amount": 7, "fee": Decimal("-1.50"), "note": "끝"}


def test_a_field_comes_from_one_place():
    assert [key for key, _, _ in problems(response={"body.note": "a"}, literals={"body.note": "b"})] == [("set", "body.note")]


def test_fields_of_the_reply_must_come_from_somewhere():
    found = problems(response={"body.fee": "fee"})
    assert found == [(("response",), "order.response has fields that come from nowhere: body.note", "them mapped or set")]
    assert JsonMapping(SPEC, response={"body.fee": "fee", "body.note": "a"}).problems != ()  # ask.request has no amount to copy
    assert problems(response={"body.fee": "fee"}, literals={"body.note": ""}) == []


def test_a_mapping_for_messages_without_reply_says_so():
    found = JsonMapping(SPEC, ["letter"], response={"body.note": "a"}).problems
    assert [problem.what for problem in found] == ["no message of the service has a reply"]
