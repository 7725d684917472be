"""`spec import` as its users meet it: from a copybook or a sheet to a decoded telegram in two commands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner, Result

from telegram_router.cli import main
from telegram_router.cli.importing import is_sheet

ROOT = Path(__file__).parent.parent
BOOK = "       01  REC.\n           05  A PIC X(3).\n           05  N PIC S9(3) COMP-3.\n"


def call(*arguments: str | Path, given: bytes | None = None) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments], input=given, prog_name="telegram-router")


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "rec.cpy"
    path.write_text(BOOK, "utf-8")
    return path


def test_a_copybook_becomes_a_decoded_record_in_two_commands(book: Path):
    spec = book.with_suffix(".py")
    made = call("spec", "import", book, "--output", spec)
    assert (made.exit_code, made.stdout) == (0, "")
    assert f"Next: telegram-router decode --spec {spec} FILE" in made.stderr
    decoded = call("decode", "--spec", spec, "--hex", "c1c2c3 123d")
    assert (decoded.exit_code, json.loads(decoded.stdout)["body"]) == (0, {"a": "ABC", "n": "-123"})


def test_a_sheet_becomes_a_decoded_telegram_in_two_commands(tmp_path: Path):
    sheet, spec = tmp_path / "layout.csv", tmp_path / "layout.py"
    sheet.write_text("순번,항목명,타입,길이\n1,계좌번호,X,5\n2,금액,9,4\n", "cp949")
    made = call("spec", "import", sheet, "--output", spec)
    assert made.exit_code == 0, made.stderr
    decoded = call("decode", "--spec", spec, given="A-1  0042".encode("cp949"))
    assert (decoded.exit_code, [*json.loads(decoded.stdout)["body"].values()]) == (0, ["A-1", "42"])


def test_without_output_the_spec_goes_to_stdout_and_the_report_to_stderr(book: Path):
    made = call("spec", "import", book)
    assert made.exit_code == 0
    assert made.stdout.startswith('"""REC of the copybook rec.cpy')
    assert "rec: 5 bytes, 2 fields" in made.stderr
    assert f"Next: telegram-router spec import {book} --output specs/rec.py" in made.stderr


def test_a_file_is_never_overwritten_without_force(book: Path):
    spec = book.with_suffix(".py")
    spec.write_text("mine", "utf-8")
    made = call("spec", "import", book, "--output", spec)
    assert (made.exit_code, spec.read_text("utf-8")) == (2, "mine")
    assert "--force" in made.stderr
    assert call("spec", "import", book, "--output", spec, "--force").exit_code == 0
    assert "Family(" in spec.read_text("utf-8")


def test_a_broken_copybook_is_told_with_its_place_and_nothing_is_written(book: Path):
    book.write_text(BOOK.replace("S9(3)", "S9(3"), "utf-8")
    spec = book.with_suffix(".py")
    made = call("spec", "import", book, "--output", spec)
    assert (made.exit_code, spec.exists()) == (78, False)
    assert "error  E-IMP-05  rec.cpy:3:22  the picture S9(3 of N is not possible" in made.stderr
    assert "No spec was written: 1 error in rec.cpy." in made.stderr
    made = call("spec", "import", book, "--output", spec, "--despite-errors")
    assert (made.exit_code, spec.exists()) == (78, True)


@pytest.mark.parametrize("name", ["layout.csv", "layout.xlsx"])
def test_a_sheet_whose_offsets_disagree_is_told_with_its_rows_and_nothing_is_written(name: str, tmp_path: Path):
    rows = [["순번", "항목명", "타입", "길이", "누적"], [1, "계좌번호", "X", 5, 5], [2, "금액", "9", 4, 10], [3, "적요", "X", 6, 16]]
    sheet, spec = tmp_path / name, tmp_path / "layout.py"
    if name.endswith("csv"):
        sheet.write_text("\n".join(",".join(map(str, row)) for row in rows), "cp949")
    else:
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        book.save(sheet)
    made = call("spec", "import", sheet, "--output", spec)
    assert (made.exit_code, spec.exists()) == (78, False)
    (told,) = [line for line in made.stderr.splitlines() if line.startswith("error")]
    assert re.fullmatch(rf"error +E-IMP-03  {name}, .*row 3 +금액.*: cumulative length 10, the lengths up to here make 9, 1 byte.*", told)
    assert f"No spec was written: 1 error in {name}." in made.stderr


def test_the_report_is_json_for_scripts(book: Path):
    book.write_text(BOOK.replace("COMP-3", "COMP-3 SPARKLING"), "utf-8")
    made = call("spec", "import", book, "--json")
    report = json.loads(made.stdout)
    assert (made.exit_code, report["spec"], report["file"], report["problems"]) == (0, "rec", None, [])
    assert "Family(" in report["source"]
    assert report["findings"] == [
        {
            "level": "warning",
            "code": "E-IMP-04",
            "where": "rec.cpy:3:35",
            "what": "the clause SPARKLING is not known: left out",
            "do": "",
        }
    ]


def test_copied_texts_are_found_beside_the_copybook_and_in_folders(book: Path, tmp_path: Path):
    folder = tmp_path / "lib"
    folder.mkdir()
    book.write_text(f"{BOOK}           COPY NEAR.\n           COPY FAR REPLACING ==:T:== BY ==HOME==.\n", "utf-8")
    (tmp_path / "near.CPY").write_text("           05  B PIC X.\n", "utf-8")
    (folder / "FAR.cbl").write_text("           05  :T:-C PIC X.\n", "cp949")
    made = call("spec", "import", book, "--copy-folder", folder)
    assert made.exit_code == 0, made.stderr
    assert '"b" / Text(1)' in made.stdout
    assert '"home_c" / Text(1)' in made.stdout
    assert call("spec", "import", book).exit_code == 78


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["gone.cpy"], "E-CFG-01"),
        (["rec.cpy", "--select", "nonsense"], "VIEW=FIELD:VALUE"),
        (["rec.cpy", "--dialect", "klingon"], "--dialect"),
        (["rec.cpy", "--source-encoding", "klingon"], "--source-encoding"),
        (["rec.cpy", "--source-encoding", "undefined"], "--source-encoding"),
        (["rec.cpy", "--source-encoding", "idna"], "--source-encoding"),
        (["rec.cpy", "--encoding", "klingon"], "E-IMP-05"),
        (["rec.cpy", "--encoding", "utf-16"], "E-IMP-05"),
        (["rec.cpy", "--output", "rec.cpy/x.py"], "E-CFG-01"),
    ],
)
def test_wrong_arguments_are_told_without_a_traceback(book: Path, arguments: list[str], told: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(book.parent)
    made = call("spec", "import", *arguments)
    assert made.exit_code in (2, 78)
    assert told in made.stderr
    assert "Traceback" not in made.output


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", b"", True),
        ("a.XLSX", b"", True),
        ("a", b"PK\x03\x04", True),
        ("a.txt", b"NO,NAME,LEN\n1,a,3\n", True),
        ("a.cpy", b"NO,NAME,LEN\n1,a,3\n", False),
        ("a.txt", BOOK.encode(), False),
        ("a.txt", BOOK.encode("cp037"), False),
        ("a", b"       01 R.\n           COPY A, B.\n", False),
    ],
)
def test_the_ending_or_else_the_content_says_what_a_file_is(name: str, content: bytes, expected: bool):
    assert is_sheet(name, content) is expected


def test_the_guide_shows_what_its_commands_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = (ROOT / "docs" / "importing.md").read_text("utf-8")
    (block,) = (each for each in re.findall(r"^```text\n(.*?)^```$", page, re.DOTALL | re.MULTILINE) if "my/customer.py" in each)
    (tmp_path / "specs").symlink_to(ROOT / "specs")
    monkeypatch.chdir(tmp_path)
    shown = re.split(r"^\$ telegram-router (.*)\n", block, flags=re.MULTILINE)[1:]
    for command, output in zip(shown[::2], shown[1::2], strict=True):
        made = call(*command.split(" "))
        assert made.exit_code == 0
        assert (made.stderr + made.stdout).startswith(output.partition("…")[0]), command


def test_the_spec_of_customers_is_what_its_copybook_becomes():
    folder = ROOT / "specs" / "samples" / "customer"
    made = call("spec", "import", folder / "customer.cpy", "--encoding", "cp933", "--select", "CUST-COMPANY-DATA=CUST-TYPE:C,G")
    assert made.exit_code == 0, made.stderr
    by_hand = r', pii="\w+"|What a field says of people .*\n'
    assert made.stdout == re.sub(by_hand, "", (ROOT / "specs" / "customer.py").read_text("utf-8"))


def test_the_ranges_of_level_88_are_shown_with_their_names():
    shown = call("spec", "show", "customer", "customer_record")
    assert shown.exit_code == 0
    assert "10-19 CUST-DORMANT; 00 CUST-ACTIVE; 90 CUST-CLOSED" in shown.stdout
    fields = json.loads(call("spec", "show", "customer", "customer_record", "--json").stdout)["fields"]
    assert next(each for each in fields if each["path"] == "body.cust_status")["values"]["10-19"] == "CUST-DORMANT"


@pytest.mark.parametrize("encoding", ["euc-kr", "utf-16", "rot13", "nothing"])
def test_an_encoding_that_fields_cannot_have_is_told_before_anything_is_written(encoding: str, book: Path, tmp_path: Path):
    sheet, spec = tmp_path / "layout.csv", tmp_path / "made.py"
    sheet.write_text("순번,항목명,타입,길이\n1,계좌번호,X,5\n", "cp949")
    for layout in (book, sheet):
        made = call("spec", "import", layout, "--encoding", encoding, "--output", spec)
        assert (made.exit_code, spec.exists()) == (78, False)
        assert f"error  E-IMP-05  {layout.name}  encoding '{encoding}' " in made.stderr


def test_fields_of_level_77_beside_a_record_are_left_out_aloud(book: Path):
    book.write_text(BOOK + "       77  COUNTER PIC 9(4) COMP.\n", "utf-8")
    made = call("spec", "import", book)
    assert made.exit_code == 0 and "counter" not in made.stdout
    assert "note  E-IMP-09  rec.cpy:4:8  COUNTER of level 77 is part of no record: left out" in made.stderr


@pytest.mark.parametrize("name", ["rec.cpy", "layout.csv"])
def test_what_is_larger_than_any_layout_is_refused_in_words(name: str, tmp_path: Path):
    fields = range(10_001)
    book = "       01  REC.\n" + "".join(f"           05  F{number} PIC X.\n" for number in fields)
    sheet = "순번,항목명,타입,길이\n" + "".join(f"{number},f{number},X,1\n" for number in fields)
    file = tmp_path / name
    file.write_text(book if name.endswith(".cpy") else sheet, "utf-8")
    made = call("spec", "import", file)
    assert (made.exit_code, made.stdout) == (78, "")
    assert "E-IMP-05" in made.stderr and name in made.stderr
    assert "has 10,001 fields, more than 10,000" in made.stderr


def test_a_copybook_of_too_many_words_is_refused_in_words(book: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("telegram_router.telegrams.importers.copybook_text._MAX_TOKENS", 500)
    book.write_text("       01  REC.\n" + "           05  F PIC X.\n" * 130, "utf-8")
    made = call("spec", "import", book)
    assert made.exit_code == 78
    assert "it has 653 words, more than 500" in made.stderr and "copied" not in made.stderr


def test_a_finding_about_a_file_that_is_no_copybook_stays_readable(book: Path):
    book.write_text(">>SOURCE FORMAT FREE\n" + "A" * 10_000 + "\n", "utf-8")
    made = call("spec", "import", book)
    assert made.exit_code == 78 and len(made.stderr) < 1000 and "AAA…" in made.stderr
