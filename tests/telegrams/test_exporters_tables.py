"""Specs as sheets and back: the same layout, field by field, and nothing lost that is not listed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from telegram_router.cli import main
from telegram_router.errors import SpecError
from telegram_router.telegrams import Spec, load_spec
from telegram_router.telegrams.exporters.tables import export_csv, export_xlsx, not_carried
from telegram_router.telegrams.importers.source import spec_source
from telegram_router.telegrams.importers.tables import import_table_file
from telegram_router.telegrams.spelling import spelled

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.py"))
FORMS: dict[str, Callable[[Spec], bytes]] = {"csv": export_csv, "xlsx": export_xlsx}


@cache
def loaded(path: Path) -> Spec:
    return load_spec(path.read_text(encoding="utf-8"), path.name)


def back(content: bytes, name: str) -> Spec:
    found = import_table_file(content, name)
    assert found.spec is not None, [finding.text() for finding in found.findings]
    return load_spec(spec_source(found.spec), f"{name}.py")


def rows(spec: Spec) -> list[tuple[object, ...]]:
    return [
        (message.name, field.path, field.label, field.offset, field.length, field.key, type(field.kind), spelled(field.kind))
        for message in spec.messages.values()
        for field in message.fields
    ]


def told(spec: Spec) -> dict[str, object]:
    """All that a family says beside its fields, as text."""
    family = spec.family
    facts = {
        each.name: spelled(value) if not isinstance(value, str | tuple) else value
        for each in dataclasses.fields(family)
        if each.name not in ("header", "messages", "line") and (value := getattr(family, each.name)) is not None
    }
    messages = [(m.name, m.title, m.key, m.kind, m.synthetic, m.reply and spelled(m.reply)) for m in family.messages]
    return facts | {"messages": messages}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_shipped_spec_comes_back_from_its_sheets_as_it_was(path: Path, form: str):
    spec = loaded(path)
    again = back(FORMS[form](spec), f"{path.stem}.{form}")
    assert rows(again) == rows(spec)
    assert told(again) == told(spec)
    assert not_carried(spec) == []


def test_a_reply_that_follows_from_the_reply_rule_has_a_sheet_too():
    spec = loaded(next(path for path in SPECS if path.stem == "firmbanking"))
    again = back(export_csv(spec, spec.messages["recall.response"]), "recall.csv")
    assert [row for row in rows(again) if row[0] == "recall.response"] == [row for row in rows(spec) if row[0] == "recall.response"]


def test_nothing_is_said_to_a_sheet_of_ours_that_nobody_changed():
    for path in SPECS:
        assert import_table_file(export_csv(loaded(path)), f"{path.stem}.csv").findings == ()


# --- structure, and every kind ----------------------------------------------------------------------------------

NESTED = '''
"""Groups, tables, views, versions and overlays."""

from telegram_router.telegrams import *

ITEM = Struct("code" / Code(2, {"01": "가, 나", "02": "다/라: 마"}) * "코드", "amounts" / Occurs(2, Digits(5, scale=2)) * "금액", Filler(1))
PERSON = Struct("given" / Text(6) * "이름", "number" / Code(4, digits=True))

spec = Family(
    name="nested",
    encoding="cp949",
    framing=Framing(Terminated(b"\\x03")),
    header=Struct(
        "kind" / Code(2, required=True, log="clear"),
        "number" / Code(4, digits=True) * "번호",
        "sent_date" / Date(8, log="clear"),
        Fixed("A=B,") * "고정",
        Overlay(6, Struct("branch" / Code(4) * "지점")),
    ),
    key=("kind",),
    correlation=("number",),
    owner="number",
    messages=[
        Message(
            "list.request",
            "=목록",
            ("01",),
            Struct(
                "view" / Code(1, log="clear"),
                "item_count" / Digits(2) * "건수",
                "sender" / PERSON * "보낸이",
                "lines" / Occurs(3, Text(10)),
                Redefines(by="view", views={"person": PERSON, "code": Text(8)}, when={("1", "2"): "person"}, default="code"),
                Versions("sent_date", {"": Struct("old" / Text(4)), "20250301": Struct("new" / Digits(3), Filler(1))}),
                "items" / Occurs(between(0, 5, depending="item_count"), ITEM),
                "tail" / Text(3, pad=b"0", align="right", log="clear"),
            ),
            reply=Reply.one("list.response"),
        ),
        Message("list.response", "목록 응답", ("02",), Struct("count" / Digits(2), "items" / Occurs(between(1, 4, depending="count", storage="shift"), ITEM)), kind="reply"),
        Message("bare", "머리만", ("03",), kind="oneway", synthetic=True),
        Message("rest", "나머지", ("04",), Struct("text" / Text(2), "rest" / Opaque(max=100)), reply=Reply.none()),
    ],
)
'''


@pytest.mark.parametrize("form", FORMS)
def test_groups_tables_views_versions_and_overlays_come_back(form: str):
    spec = load_spec(NESTED, "nested.py")
    content = FORMS[form](spec)
    found = import_table_file(content, f"nested.{form}")
    assert [finding.text() for finding in found.findings if finding.level != "note"] == []
    again = back(content, f"nested.{form}")
    assert told(again) == told(spec)
    assert [message.tree for message in again.messages.values()] and rows(again) == rows(spec)
    line = b"011234" + b"20250401" + b"A=B," + b"BR01  " + b"1" + b"02" + b"NAME  1234" + b"LINE      " * 3 + b"NAME  1234" + b"123 "
    line += (b"01" + b"00100" * 2 + b" ") * 2 + b" " * 39 + b"00A\x03"
    assert again.decode(line).body == spec.decode(line).body


@pytest.mark.parametrize("form", FORMS)
def test_one_message_is_a_layout_of_its_own(form: str):
    spec = loaded(next(path for path in SPECS if path.stem == "firmbanking"))
    message = spec.messages["transfer.request"]
    again = back(FORMS[form](spec, message), f"one.{form}")  # type: ignore[call-arg]
    assert [name for name, *_ in rows(again) if name == "transfer.request"] and "recall.request" not in again.messages
    assert [row for row in rows(again) if row[0] == message.name] == [row for row in rows(spec) if row[0] == message.name]


# --- sheets of ours that somebody has changed -------------------------------------------------------------------


@cache
def sheet_of(spec: Spec) -> str:
    return export_csv(spec).decode("utf-8-sig")


def edited(old: str, new: str) -> tuple[list[str], Spec | None]:
    """What the importer says to firm banking's sheet with one text in it changed, and the spec."""
    spec = loaded(next(path for path in SPECS if path.stem == "firmbanking"))
    sheet = sheet_of(spec)
    assert old in sheet
    found = import_table_file(sheet.replace(old, new, 1).encode(), "firmbanking.csv")
    problems = [finding.text() for finding in found.findings if finding.level != "note"]
    return problems, None if found.spec is None else load_spec(spec_source(found.spec), "again.py")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("transfer,amount,129", "transfer,amount,129", ""),
        ('129,13,142,9(13),Y,,,"Digits(13, ', '129,13,142,9(13),Y,,,"Digits(12, ', "declaration has 12 bytes, the length column 13"),
        ('129,13,142,9(13),Y,,,"Digits(13, ', '129,13,142,9(12),Y,,,"Digits(13, ', "the type and the declaration say different things"),
        ('129,13,142,9(13),Y,,,"Digits(13, blank=""error"", ', '129,13,142,9(13),Y,,,"Digits(13, ', "column of required fields"),
        ("11: 입금 deposit\n", "12: 입금 deposit\n", "column of codes"),
        ("Filler(15)", "Filler(15", "is not of the form Kind(...)"),
        ("Filler(15)", "__import__('os').system('true')", "is not a declaration of this language"),
        ("Filler(15)", "Filler(*range(1))", "neither a literal nor a declaration"),
        ("Filler(15)", '"Filler(15, 16)"', "does not take these arguments"),
        ("Filler(15)", '"Digits(15, scale=99)"', "is wrong: scale"),
        ("Filler(15)", "Reply.none()", "is no field kind"),
        ("Filler(15)", "'Text(15)'", "is no field kind"),
        ("Framing(LengthField()", "Framing(open(1)", "framing open is not a declaration"),
        ('"Plus(""message_type"", 100)"', "Filler(3)", "reply_rule is no Plus or Table"),
        ("종류 kind,request", "종류 kind,question", "is none of request, reply, oneway"),
        ("owner,company_number", "ownr,company_number", "'ownr' is not known"),
        ("length,300", "length,many", "length is no whole number"),
        ("100,15,115", "101,15,115", "offset 101, by the lengths above 100"),
    ],
)  # fmt: skip
def test_a_change_that_contradicts_another_cell_is_told(old: str, new: str, words: str):
    if not words:
        old = new = "종류 kind,request"
    problems, spec = edited(old, new)
    assert (spec is not None and not problems) if not words else any(words in problem for problem in problems), problems


def test_a_field_without_its_declaration_goes_by_its_columns():
    problems, spec = edited('129,13,142,9(13),Y,,,"Digits(13, blank=""error"", log=""clear"")"', "129,13,142,9(13),Y,,,")
    assert not problems and spec is not None
    kind = spec.messages["transfer.request"].field("amount").kind  # type: ignore[union-attr]
    assert spelled(kind) == 'Digits(13, blank="error")'


def test_what_a_sheet_cannot_carry_is_listed_on_it_and_told():
    source = NESTED.replace("Occurs(2, Digits(5, scale=2))", "Occurs(2, Occurs(1, Digits(5, scale=2)))")
    try:
        spec = load_spec(source, "nested.py")
    except SpecError:
        pytest.fail("tables of tables are legal")
    assert any("table of tables" in what for what in not_carried(spec))
    assert "담지 못한 것 not carried" in export_csv(spec).decode("utf-8-sig")
    assert back(export_csv(spec), "nested.csv").messages["list.request"].max_frame == spec.messages["list.request"].max_frame


# --- by the commands --------------------------------------------------------------------------------------------


def command(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments], prog_name="telegram-router")


@pytest.mark.parametrize("form", FORMS)
def test_two_commands_lead_from_a_spec_to_its_sheets_and_back_to_its_telegrams(tmp_path: Path, form: str):
    sheet, spec = tmp_path / f"partner.{form}", tmp_path / "partner.py"
    assert command("spec", "export", "firmbanking", "--format", form, "--output", sheet).exit_code == 0
    imported = command("spec", "import", sheet, "--output", spec)
    assert imported.exit_code == 0, imported.output
    sample = SPECS[0].parent / "samples/firmbanking/transfer.request.telegram"
    ours, theirs = (command("decode", "--spec", each, sample) for each in ("firmbanking", spec))
    assert ours.exit_code == theirs.exit_code == 0
    assert ours.stdout == theirs.stdout != ""


def test_a_sheet_that_disagrees_ends_with_a_report_and_no_spec(tmp_path: Path):
    sheet, spec = tmp_path / "wrong.csv", tmp_path / "wrong.py"
    sheet.write_text("항목명,타입,길이,누적\n계좌,AN,14,14\n금액,N,13,28\n", "utf-8")
    refused = command("spec", "import", sheet, "--output", spec)
    assert refused.exit_code == 78 and not spec.exists()
    assert "wrong.csv, row 3" in refused.stderr and "cumulative length 28" in refused.stderr
    forced = command("spec", "import", sheet, "--output", spec, "--despite-errors")
    assert forced.exit_code == 78 and load_spec(spec.read_text("utf-8"), "wrong.py").length == 27
