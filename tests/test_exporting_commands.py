"""`spec export` and `spec diff` as their users meet them: files, folders, exit codes, colours, bad input."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from telegram_router.cli import main

ROOT = Path(__file__).parent.parent
SPEC = ROOT / "specs" / "firmbanking.py"
COMMAND = [sys.executable, "-m", "telegram_router"]
TEXTS = ("markdown", "html", "json-schema", "lua", "mermaid")


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments], prog_name="telegram-router")


def export(*arguments: str | Path) -> Result:
    return call("spec", "export", *arguments)


def on_terminal(*arguments: str) -> bytes:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    ) as child:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:  # the other end is closed
            pass
        child.wait(timeout=60)
    os.close(ours)
    return shown


# --- export


@pytest.mark.parametrize("form", TEXTS)
def test_a_document_goes_to_stdout_a_file_or_a_folder(form: str, tmp_path: Path):
    shown = export("hmfb", "--format", form)
    assert shown.exit_code == 0 and shown.stdout
    told = export("hmfb", "--format", form, "--output", tmp_path / "one")
    assert told.stdout == f"{tmp_path / 'one'}\n"
    assert (tmp_path / "one").read_text("utf-8") == shown.stdout
    folder = export("hmfb", "--format", form, "--output", f"{tmp_path}/new/folder/")
    written = folder.stdout.splitlines()
    assert written and all(Path(each).is_file() for each in written)
    assert len(written) == {"json-schema": 8, "mermaid": 9}.get(form, 1)


def test_one_message_is_its_own_document(tmp_path: Path):
    assert export("hmfb", "--format", "markdown", "--message", "transfer.request").stdout.startswith("# transfer.request\n")
    schema = json.loads(export("hmfb", "--format", "json-schema", "--message", "transfer.request").stdout)
    assert schema["title"] == "transfer.request" and "$defs" not in schema
    assert export("hmfb", "--format", "mermaid", "--message", "transfer.request").stdout.splitlines()[3] == "packet-beta"
    assert export("hmfb", "--format", "html", "--message", "transfer.request").stdout.count('<section class="message"') == 1
    export("hmfb", "--format", "markdown", "--message", "transfer.request", "--output", f"{tmp_path}/")
    assert [each.name for each in tmp_path.iterdir()] == ["hmfb.transfer.request.md"]


def test_a_dissector_is_of_a_whole_spec():
    result = export("hmfb", "--format", "lua", "--message", "transfer.request")
    assert result.exit_code == 2 and "leave --message out" in result.stderr


def test_samples_beside_the_spec_file_are_shown(tmp_path: Path):
    (tmp_path / "mine.py").write_text(SPEC.read_text("utf-8"), "utf-8")
    samples = tmp_path / "samples" / "mine"
    samples.mkdir(parents=True)
    frame = (ROOT / "specs" / "samples" / "firmbanking" / "transfer.request.telegram").read_bytes()
    assert "Made up" in export(tmp_path / "mine.py", "--format", "markdown", "--message", "transfer.request").stdout
    (samples / "transfer.request.telegram").write_bytes(frame.replace("홍길동급여".encode("cp949"), "다른사람임".encode("cp949")))
    assert "`다른사람임`" in export(tmp_path / "mine.py", "--format", "markdown", "--message", "transfer.request").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("nobody", "--format", "markdown"), 2, "No such spec"),
        (("hmfb", "--format", "word"), 2, "'word' is not one of"),
        (("hmfb",), 2, "Missing option '--format'"),
        (("hmfb", "--format", "html", "--message", "transfer.requst"), 2, "Did you mean transfer.request?"),
        (("hmfb", "--format", "html", "--output", "/dev/null/x/y.html"), 1, "Not a directory"),
    ],
)
def test_what_cannot_be_exported_is_one_clear_line(arguments: tuple[str, ...], code: int, told: str):
    result = export(*arguments)
    assert result.exit_code == code
    assert told in result.stderr and "Traceback" not in result.output


def test_a_bad_spec_file_is_told_with_its_lines(tmp_path: Path):
    (tmp_path / "bad.py").write_text(SPEC.read_text("utf-8").replace("length=300", "length=301"), "utf-8")
    result = export(tmp_path / "bad.py", "--format", "markdown")
    assert result.exit_code == 78 and "E-CFG-" in result.stderr


# --- diff


def changed(folder: Path, *changes: tuple[str, str]) -> Path:
    """The firm banking spec with some texts replaced."""
    text = SPEC.read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "changed.py"
    path.write_text(text, "utf-8")
    return path


def diff(*arguments: str | Path) -> Result:
    return call("spec", "diff", *arguments)


def test_a_spec_is_the_same_as_itself():
    result = diff("firmbanking", SPEC)
    assert result.exit_code == 0
    assert result.stdout == "firmbanking 2024.03 -> firmbanking 2024.03\nno differences\n"


def test_differences_are_told_and_end_with_exit_code_1(tmp_path: Path):
    new = changed(
        tmp_path, ('version="2024.03"', 'version="2025.01"'), ('"32": "출금취소 withdrawal cancelled",', ""), ('"payer_number"', '"payer"')
    )
    result = diff("firmbanking", new)
    assert result.exit_code == 1
    assert "  harmless  changed  version  2024.03 -> 2025.01\n" in result.stdout
    assert "  risky  codes  body.direction  removed 32\n" in result.stdout
    assert "  harmless  renamed  body.payer  body.payer_number -> body.payer, same place\n" in result.stdout
    assert result.stdout.endswith("old telegrams still decode: only some\n")


def test_compatible_asks_only_whether_old_telegrams_decode(tmp_path: Path):
    harmless = changed(tmp_path, ('"fund_kind" / Code(2, log="clear")', '"funds" / Code(2, log="clear")'))
    assert diff("firmbanking", harmless).exit_code == 1
    assert diff("firmbanking", harmless, "--compatible").exit_code == 0
    breaking = changed(
        tmp_path,
        (
            '"account" / Code(15, pii="account") * "계좌번호 account",\n    "credit_limit"',
            '"account" / Code(16, pii="account") * "계좌번호 account",\n    "credit_limit"',
        ),
        ("Filler(105)", "Filler(104)"),
    )
    result = diff("firmbanking", breaking, "--compatible")
    assert result.exit_code == 1
    assert "breaking  moved  body.credit_limit … body.payable_amount  6 fields by +1 bytes" in result.stdout


def test_json_has_all_that_the_text_has(tmp_path: Path):
    result = diff("firmbanking", changed(tmp_path, ('"32": "출금취소 withdrawal cancelled",', "")), "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["same"], found["decodes"]) == (1, False, "some")
    notice = next(message for message in found["messages"] if message["new"] == "deposit_notice.request")
    assert notice["why"] == ["body.direction: 32 refused now"]
    assert notice["tried"] > notice["decoded"] > 0
    (change,) = notice["changes"]
    assert change == {
        "what": "codes",
        "path": "body.direction",
        "text": "removed 32",
        "severity": "risky",
        "old": {"path": "body.direction", "offset": 122, "length": 2, "rule": "X(2)"},
        "new": {"path": "body.direction", "offset": 122, "length": 2, "rule": "X(2)"},
    }


def test_a_terminal_gets_colours_and_a_pipe_none(tmp_path: Path):
    new = changed(tmp_path, ('"32": "출금취소 withdrawal cancelled",', ""))
    assert b"\x1b[33m" in on_terminal("spec", "diff", str(SPEC), str(new))
    assert "\x1b" not in diff("firmbanking", new).stdout


def test_specs_are_read_from_pipes_too(tmp_path: Path):
    """As in `diff <(git show main:specs/bank.py) specs/bank.py`."""
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m telegram_router spec diff <(cat {SPEC}) {SPEC}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_spec_that_does_not_load_is_told(tmp_path: Path):
    (tmp_path / "bad.py").write_text("spec = 1", "utf-8")
    assert diff("firmbanking", tmp_path / "bad.py").exit_code == 78
    assert diff("firmbanking", "nobody").exit_code == 2
