"""What changed between two specs, and whether old telegrams still decode: by rules, held against telegrams."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shipped import ROOT, shipped
from structured_family import structured, structured_frames

from telegram_router.telegrams import (
    Amount,
    Code,
    Date,
    Digits,
    Family,
    Filler,
    Fixed,
    Framing,
    LengthField,
    Message,
    Occurs,
    Plus,
    Poll,
    Redefines,
    Reply,
    Struct,
    Text,
    Time,
    Versions,
    between,
    compile_family,
)
from telegram_router.telegrams.compare import Severity, compare
from telegram_router.telegrams.compare_kinds import Answer
from telegram_router.telegrams.trial import MADE_UP

YES, SOME, NO = Answer.YES, Answer.SOME, Answer.NO
FRAMING = Framing(LengthField())


def family(*body, header=(), messages=None, **changed):
    """One message with this body; `changed` replaces what the family says."""
    front = Struct("type" / Code(2, log="clear"), "number" / Digits(4, log="clear"), *header)
    note = [Message("note", "쪽지", ("01",), Struct(*body) if body else None, kind="oneway", reply=Reply.none())]
    facts = {
        "name": "notes",
        "version": "1",
        "framing": FRAMING,
        "key": ("type",),
        "correlation": ("number",),
        "encoding": "cp949",
    } | changed
    return compile_family(Family(header=front, messages=messages or note, **facts))


def compared(old, new):
    """Both bodies filled to 40 bytes and compared; the comparison of their one message."""
    (message,) = compare(*(family(*filled(body)) for body in (old, new))).messages
    return message


def filled(body):
    used = sum(getattr(field, "subcon", field).sizeof() for field in body)
    return [*body, Filler(40 - used)] if used < 40 else body


def field(name, kind, label=""):
    return name / kind * label if label else name / kind


CASES = [
    # what was, what is, what is said of it, whether old telegrams decode
    ([field("a", Text(10))], [field("a", Text(10))], [], YES),
    ([field("a", Text(10))], [field("a", Text(10), "이름 name")], [("label", "body.a", "harmless")], YES),
    ([field("a", Text(10))], [field("b", Text(10))], [("renamed", "body.b", "harmless")], YES),
    ([], [field("a", Code(3))], [("appeared", "body.a", "harmless")], YES),
    ([], [field("a", Digits(3))], [("appeared", "body.a", "harmless")], YES),
    ([], [field("a", Digits(3, blank="error"))], [("appeared", "body.a", "breaking")], NO),
    ([], [field("a", Code(3, required=True))], [("appeared", "body.a", "breaking")], NO),
    ([field("a", Code(3))], [], [("vanished", "body.a", "risky")], YES),
    ([field("a", Text(10))], [field("a", Text(14))], [("grew", "body.a", "harmless")], YES),
    ([field("a", Text(10))], [field("a", Text(8))], [("shrank", "body.a", "risky")], SOME),
    ([field("a", Digits(10))], [field("a", Digits(12))], [("grew", "body.a", "breaking")], NO),
    ([field("a", Digits(10))], [Filler(1), field("a", Digits(10))], [("moved", "body.a", "breaking")], NO),
    ([field("a", Digits(10))], [Filler(1), field("a", Digits(8))], [("moved and shrank", "body.a", "breaking")], NO),
    ([field("a", Digits(10))], [field("a", Digits(10, scale=2))], [("scale", "body.a", "breaking")], NO),
    ([field("a", Digits(10))], [field("a", Digits(10, blank="error"))], [("rule", "body.a", "risky")], SOME),
    ([field("a", Digits(10, blank="error"))], [field("a", Digits(10))], [("rule", "body.a", "harmless")], YES),
    ([field("a", Digits(10))], [field("a", Digits(10, most=10))], [("rule", "body.a", "risky")], SOME),
    ([field("a", Digits(10, most=10))], [field("a", Digits(10))], [("rule", "body.a", "harmless")], YES),
    ([field("a", Code(2))], [field("a", Code(2, required=True))], [("required", "body.a", "risky")], SOME),
    ([field("a", Code(2, required=True))], [field("a", Code(2))], [("required", "body.a", "harmless")], YES),
    ([field("a", Code(2, ["01", "02"]))], [field("a", Code(2, ["01", "02", "03"]))], [("codes", "body.a", "harmless")], YES),
    ([field("a", Code(2, ["01", "02"]))], [field("a", Code(2, ["01"]))], [("codes", "body.a", "risky")], SOME),
    ([field("a", Code(2, ["01"]))], [field("a", Code(2))], [("codes", "body.a", "harmless")], YES),
    ([field("a", Code(2, {"01": "in"}))], [field("a", Code(2, {"01": "out"}))], [("codes", "body.a", "harmless")], YES),
    ([field("a", Code(6, digits=True))], [field("a", Code(6))], [("rule", "body.a", "harmless")], YES),
    ([field("a", Code(8))], [field("a", Date(8))], [("type", "body.a", "risky")], SOME),
    ([field("a", Code(8))], [field("a", Text(8))], [("type", "body.a", "harmless")], YES),
    ([field("a", Text(8))], [field("a", Text(8, "ascii"))], [("encoding", "body.a", "risky")], SOME),
    ([field("a", Amount(9))], [field("a", Amount(9, sign="trailing"))], [("rule", "body.a", "breaking")], NO),
    ([field("a", Code(2, log="masked"))], [field("a", Code(2, log="clear"))], [("masking", "body.a", "risky")], YES),
    ([field("a", Digits(2))], [field("a", Digits(2, json="number"))], [("json", "body.a", "risky")], YES),
]


@pytest.mark.parametrize(("old", "new", "changes", "decodes"), CASES)
def test_each_change_is_named_and_judged(old, new, changes, decodes):
    found = compared(old, new)
    assert [(change.what, change.path, change.severity.value) for change in found.changes] == changes
    assert found.decodes is decodes


def test_the_words_of_a_change_say_where_the_field_was_and_is():
    (change,) = compared([field("a", Text(10))], [field("a", Text(14))]).changes
    assert change.text == "X(10) at 6-15 -> X(14) at 6-19"
    assert (change.old.offset, change.old.length, change.new.length) == (6, 10, 14)
    (change,) = compared([field("a", Code(3))], []).changes
    assert change.text == "X(3) at 6-8: its bytes are reserved now"
    (change,) = compared([], [field("a", Code(3))]).changes
    assert change.text == "X(3) at 6-8, in reserved bytes"
    changes = compared([field("a", Code(3)), field("b", Code(3))], [field("c", Text(6))]).changes
    assert [change.text for change in changes] == [
        "X(3) at 6-8: its bytes belong to body.c now",
        "X(6) at 6-11, in place of body.a, body.b",
        "X(3) at 9-11: its bytes belong to body.c now",
    ]


class TestTheFamily:
    def changed(self, **changed):
        old = {"messages": messages()} | changed.pop("old", {})
        return compare(family(**old), family(**({"messages": messages()} | changed)))

    @pytest.mark.parametrize(
        ("name", "changed", "severity", "decodes"),
        [
            ("framing", {"framing": Framing(LengthField(kind="hex"))}, Severity.BREAKING, NO),
            ("polls", {"framing": Framing(LengthField(), polls=[Poll(b"HELLO", None)])}, Severity.RISKY, YES),
            ("largest frame", {"framing": Framing(LengthField(), max=900)}, Severity.RISKY, YES),
            ("correlation", {"correlation": ("type", "number")}, Severity.BREAKING, YES),
            ("reply rule", {"reply_rule": Plus("type", 10)}, Severity.BREAKING, None),
            ("version", {"version": "2"}, Severity.HARMLESS, YES),
            ("title", {"title": "쪽지"}, Severity.HARMLESS, YES),
            ("owner", {"owner": "number"}, Severity.RISKY, YES),
            ("trace", {"trace": "number"}, Severity.RISKY, YES),
        ],
    )
    def test_each_fact_is_compared(self, name, changed, severity, decodes):
        found = self.changed(**changed)
        change = next(each for each in found.family if each.path == name)
        assert change.severity is severity
        assert decodes is None or found.decodes is decodes

    def test_messages_are_the_same_by_their_key(self):
        renamed = [Message("memo", "쪽지", ("01",), BODY, kind="oneway"), *messages()[1:]]
        (first, *_) = self.changed(messages=renamed).messages
        assert (first.old, first.new, first.decodes) == ("note", "memo", YES)
        assert [change.what for change in first.changes] == ["renamed"]

    def test_messages_that_came_and_went_are_told(self):
        found = self.changed(messages=[messages()[0], Message("third", "", ("03",), BODY, kind="oneway")])
        assert [(each.old, each.new, each.decodes) for each in found.messages] == [
            ("note", "note", YES),
            ("other", None, NO),
            (None, "third", None),
        ]
        assert found.decodes is SOME

    def test_a_key_at_another_place_leaves_nothing_readable(self):
        found = compare(
            family(Filler(4)),
            family(Filler(2), header=[Filler(2)], key=("number",), messages=[Message("note", "", ("0001",), None, kind="oneway")]),
        )
        assert found.decodes is NO

    def test_a_reply_of_another_message_is_told(self):
        asks = [
            Message("ask", "", ("01",), BODY, reply=Reply.one("told")),
            Message("told", "", ("02",), BODY, kind="reply"),
            Message("else", "", ("03",), BODY, kind="reply"),
        ]
        other = [Message("ask", "", ("01",), BODY, reply=Reply.one("else")), *asks[1:]]
        found = compare(family(messages=asks), family(messages=other))
        assert ("changed", "reply", "one 02 -> one 03") in [(c.what, c.path, c.text) for c in found.messages[0].changes]

    def test_a_size_that_changed_is_told(self):
        found = compare(family("a" / Text(4)), family("a" / Text(4), Filler(3)))
        assert [(c.path, c.text) for c in found.messages[0].changes if c.path == "size"] == [("size", "10 bytes -> 13 bytes")]
        assert found.decodes is NO


BODY = Struct("memo" / Text(8), Filler(4))


def messages():
    return [Message("note", "쪽지", ("01",), BODY, kind="oneway"), Message("other", "", ("02",), BODY, kind="oneway")]


@pytest.mark.parametrize("name", sorted(file.stem for file in (ROOT / "specs").glob("*.py")))
def test_a_spec_does_not_differ_from_itself_and_reads_its_own_samples(name):
    frames = [file.read_bytes() for file in (ROOT / "specs" / "samples" / name).glob("*.telegram")]
    found = compare(shipped(name), shipped(name), frames)
    assert found.same
    assert found.decodes is YES
    assert all(message.trial == (1, 1) for message in found.messages)


def test_samples_are_tried_beside_telegrams_that_are_made_up():
    old, new = family("a" / Code(4)), family("a" / Code(4, check=None, digits=False, values=["0000", "1111"]))
    frame = old.framing.wrap(b"010001ZZZZ")
    assert compare(old, new, [frame]).messages[0].trial.tried == MADE_UP + 1
    assert compare(old, new, [b"0003bad"]).messages[0].trial.tried == MADE_UP


KINDS = [
    *(Text(8), Text(8, "ascii"), Text(8, required=True), Text(8, align="right"), Text(8, pad=b"0", align="right")),
    *(
        Code(8),
        Code(8, digits=True),
        Code(8, required=True),
        Code(8, ["A", "B"]),
        Code(8, ["A", "B", "C"], required=True),
        Code(8, ["00000001", "20240315"]),
    ),
    *(Digits(8), Digits(8, scale=2), Digits(8, blank="error"), Digits(8, blank="zero"), Digits(8, most=1000), Digits(8, least=5, most=10)),
    *(Amount(7), Amount(7, plus=" "), Amount(7, sign="trailing"), Amount(7, scale=2)),
    *(Date(8), Date(8, blank="error"), Date(8, blank="zeros"), Time(8, form="MMDDhhmm")),
    *(Fixed("ABCDEFGH"), Fixed("ABCDEFGH", or_blank=True), Filler(8)),
]


@settings(deadline=None)
@given(st.sampled_from(KINDS), st.sampled_from(KINDS))
def test_what_the_rules_promise_holds_for_every_telegram_that_is_tried(old, new):
    """Any kind in place of any other: where the rules alone say that all decode, all do; where they say none, none does but by chance."""
    body = ["a" / kind if kind.is_named else kind for kind in (old, new)]
    (message,) = compare(family(body[0]), family(body[1])).messages
    promised = not [change for change in message.changes if change.severity is not Severity.HARMLESS]
    if promised and new.is_named and old.is_named:
        assert message.trial.decoded == message.trial.tried
        assert message.decodes is YES
    if message.decodes is YES:
        assert message.trial.decoded == message.trial.tried
    if type(old) is type(new) and old is new:
        assert message.decodes is YES


# --- tables, views and versions


ITEM = ("name" / Text(4), "amount" / Digits(4))


def tabled(most=4, storage="max", item=ITEM, label=""):
    rows = Occurs(between(0, most, depending="count", storage=storage), Struct(*item))
    return [
        "count" / Digits(1, blank="error"),
        "rows" / rows * label if label else "rows" / rows,
        *([Filler(40 - 8 * most)] if storage == "max" else []),
    ]


def viewed(**when):
    views = {"a": Struct("one" / Code(4)), "b": Struct("two" / Digits(4)), "c": Text(4)}
    return ["kind" / Code(1), Redefines(by="kind", views=views, when=when, default="c")]


STRUCTURES = [
    (tabled(), tabled(), [], YES),
    (tabled(), tabled(label="내역"), [("label", "body.rows", "harmless")], YES),
    (tabled(storage="shift"), tabled(5, storage="shift"), [("changed", "size", "harmless"), ("table", "body.rows", "harmless")], YES),
    (tabled(5, storage="shift"), tabled(storage="shift"), [("changed", "size", "risky"), ("table", "body.rows", "risky")], SOME),
    (
        tabled(),
        tabled(item=("name" / Text(4), "amount" / Digits(4, scale=2))),
        [("scale", "body.rows[0].amount", "breaking")],
        NO,
    ),
    (
        tabled(),
        tabled(item=("name" / Text(4), "total" / Digits(4))),
        [("renamed", "body.rows[0].total", "harmless")],
        YES,
    ),
    (viewed(A="a", B="b"), viewed(A="a", B="b"), [], YES),
    (viewed(A="a", B="b"), viewed(A="a"), [("views", "body.(a …)", "risky")], SOME),
    (viewed(A="a"), viewed(A="a", B="b"), [("views", "body.(a …)", "risky")], SOME),
    (["g" / Struct("a" / Code(2))], ["g" / Struct("a" / Code(2)) * "그룹"], [("label", "body.g", "harmless")], YES),
    (["g" / Struct("a" / Code(2))], ["g" / Struct("a" / Code(2), "b" / Code(2)), Filler(2)], None, NO),
]


@pytest.mark.parametrize(("old", "new", "changes", "decodes"), STRUCTURES)
def test_changes_of_structure_are_named_and_judged(old, new, changes, decodes):
    (message,) = compare(family(*old), family(*new)).messages
    assert changes is None or [(change.what, change.path, change.severity.value) for change in message.changes] == changes
    assert message.decodes is decodes
    if decodes is YES and changes:
        assert message.trial == (MADE_UP, MADE_UP)


def test_a_table_whose_items_grew_is_read_from_other_bytes():
    old, new = tabled(4, "shift"), tabled(4, "shift", ("name" / Text(4), "amount" / Digits(4), "more" / Code(2)))
    (message,) = compare(family(*old), family(*new)).messages
    assert ("table", "body.rows", "breaking") in [(change.what, change.path, change.severity.value) for change in message.changes]
    assert message.decodes is NO


def test_a_version_that_colonises_old_filler_leaves_old_telegrams_readable():
    header = ["day" / Date(8, blank="error")]
    old = family("a" / Code(4), Filler(13), header=header)
    later = Versions("day", {"": Struct(Filler(13)), "29990101": Struct("bank3" / Digits(3), Filler(10))})
    (message,) = compare(old, family("a" / Code(4), later, header=header)).messages
    assert [(change.what, change.path) for change in message.changes] == [("appeared", "body.bank3")]
    assert message.decodes is YES


def test_structured_specs_do_not_differ_from_themselves():
    found = compare(structured(), structured(), structured_frames())
    assert found.same and found.decodes is YES
    assert [message.trial for message in found.messages] == [(4, 4), (2, 2)]
