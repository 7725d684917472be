"""The commands as their users meet them: good input, bad input, exit codes, pipes, signals."""

from __future__ import annotations

import errno
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router import __version__, app, cli
from telegram_router.cli import main
from telegram_router.cli.shown import in_lines, widths
from telegram_router.telegrams.explain import display_width

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "specs" / "samples" / "firmbanking"
TRANSFER = (SAMPLES / "transfer.request.telegram").read_bytes()
POLL = b"0020HDRREQPOLL0315101112"
COMMAND = [sys.executable, "-m", "telegram_router"]

CONFIG = """
[listeners.branches]
address = "127.0.0.1:0"
spec = "firmbanking"

[services.transfer]
backends = ["127.0.0.1:{port}"]

[services.credit]
url = "http://127.0.0.1:9/credit"

[[routes]]
name = "transfers"
listener = "branches"
match = {{ message_type = "2000", business_code = "100" }}
service = "transfer"

[[routes]]
listener = "branches"
match = {{ message_type = {{ prefix = "5" }} }}
service = "credit"

[[routes]]
name = "notices"
from_service = "transfer"
match = {{ message_type = "4000" }}
to_listener = "branches"
"""


def call(*arguments: str | Path, given: bytes | None = None) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments], input=given, prog_name="telegram-router")


def patched(offset: int, content: bytes, frame: bytes = TRANSFER) -> bytes:
    at = 4 + offset
    return frame[:at] + content + frame[at + len(content) :]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "bank.toml"
    path.write_text(CONFIG.format(port=9), "utf-8")
    return path


def lines_of(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


# --- the whole


def commands(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    below = getattr(command, "commands", {})
    yield path
    for name, sub in below.items():
        yield from commands(sub, (*path, name))


@pytest.mark.parametrize("path", [each for each in commands(main) if each != ("spec",)], ids=" ".join)
def test_every_command_explains_itself_with_an_example(path: tuple[str, ...]):
    result = call(*path, "--help")
    assert result.exit_code == 0
    assert f"Example:\n    telegram-router {' '.join(path)}".rstrip() in result.stdout


def test_version():
    assert call("--version").stdout == f"telegram-router, version {__version__}\n"


def test_help_loads_nothing_heavy():
    heavy = "trio", "pydantic", "construct", "rich", "structlog", "cryptography"
    code = f"""
import sys
from telegram_router.cli import main
try:
    main(["--help"])
except SystemExit:
    assert not set({heavy!r}) & set(sys.modules), set({heavy!r}) & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, timeout=60)


def test_exit_codes_of_the_commands_are_those_of_the_router():
    assert (cli.EXIT_FAILED, cli.EXIT_CANNOT_BIND, cli.EXIT_BUG, cli.EXIT_CONFIG) == (
        app.EXIT_CUT,
        app.EXIT_CANNOT_BIND,
        app.EXIT_BUG,
        app.EXIT_CONFIG,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["run"],
        ["decode", "-"],
        ["decode", "--spec", "nothing", "-"],
        ["encode", "--spec", "firmbanking", "--colour", "-"],
        ["explain", "--spec", "firmbanking", "--number", "0", "-"],
        ["explain", "--spec", "firmbanking", "--listener", "branches", "-"],
        ["spec", "show", "nothing"],
        ["spec", "show", "firmbanking", "transfer.reqest"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2_and_says_what_would_be_right(arguments: list[str]):
    result = call(*arguments)
    assert result.exit_code == 2 and result.stdout == ""
    assert "Usage: telegram-router" in result.stderr and "Traceback" not in result.stderr


def test_a_fault_of_ours_is_exit_code_70_without_a_traceback_or_what_it_said(monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> int:
        raise ValueError("110123456789")

    monkeypatch.setattr("telegram_router.cli.specs.list_specs", broken)
    result = call("spec", "list")
    assert result.exit_code == 70
    assert "E-INT-01" in result.stderr and "ValueError" in result.stderr
    assert "110123456789" not in result.stderr and "Traceback" not in result.stderr


def test_ctrl_c_is_exit_code_130_without_a_word(monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("telegram_router.cli.specs.list_specs", interrupted)
    result = call("spec", "list")
    assert (result.exit_code, result.output) == (130, "")


def test_whoever_reads_half_of_the_output_gets_no_complaint(tmp_path: Path):
    many = tmp_path / "many.bin"
    many.write_bytes(TRANSFER * 2_000)
    with subprocess.Popen(
        [*COMMAND, "decode", "--spec", "firmbanking", str(many)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith(b'{"message":"transfer.request"')
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


def test_output_that_cannot_be_written_is_one_line():
    sample = SAMPLES / "transfer.request.telegram"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "decode", "--spec", "firmbanking", str(sample)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "Error: the output cannot be written: No space left on device\n")


def test_output_that_is_closed_is_wanted_by_nobody():
    command = " ".join([*COMMAND, "spec list >&- 2>&-"])
    assert subprocess.run(["sh", "-c", command], timeout=60, check=False).returncode == 0


@settings(deadline=None, max_examples=200)
@given(
    st.integers(1, 8).flatmap(lambda count: st.lists(st.lists(st.text("a 가", max_size=20), min_size=count, max_size=count), min_size=1)),
    st.integers(0, 120),
)
def test_columns_share_a_terminals_width_and_break_no_word_that_fits(rows: list[list[str]], room: int):
    columns = list(zip(*rows, strict=True))
    natural = [max(display_width(cell) for cell in column) for column in columns]
    words = [max(display_width(word) for cell in column for word in [*cell.split(), ""]) for column in columns]
    found = widths(rows, room)
    if found is None:
        assert sum(natural) > room
        return
    assert sum(found) <= room
    assert all(width <= most for width, most in zip(found, natural, strict=True))
    if sum(words) <= room:
        assert all(width >= word for width, word in zip(found, words, strict=True))
    if sum(natural) <= room:
        assert found == natural


def test_a_row_that_fits_no_terminal_is_told_line_by_line_without_what_is_empty_or_broken_words():
    headings = ("service", "backend", "state", "in use", "changed")
    row = ("transfer", "127.0.0.1:19100", "unreachable", "no", "")
    assert in_lines(headings, row, 40) == ["transfer", "  backend 127.0.0.1:19100", "  state unreachable · in use no"]
    assert in_lines(headings, row, 10)[1:] == ["  backend 127.0.0.1:19100", "  state unreachable", "  in use no"]
    assert in_lines(headings, ("송금", "", "", "", ""), 10) == ["송금"]


# --- decode and encode


def test_telegrams_become_json_lines_and_the_same_bytes_again(tmp_path: Path):
    everything = tmp_path / "day.bin"
    everything.write_bytes(b"".join(path.read_bytes() for path in sorted(SAMPLES.glob("*.telegram"))) + POLL)
    decoded = call("decode", "--spec", "firmbanking", everything)
    assert decoded.exit_code == 0 and decoded.stderr == ""
    encoded = call("encode", "--spec", "firmbanking", "-", given=decoded.stdout_bytes)
    assert encoded.exit_code == 0
    assert encoded.stdout_bytes == everything.read_bytes()


@pytest.mark.parametrize("name", ["ksnet", "hmfb"])
def test_every_shipped_sample_survives_the_round_trip(name: str):
    everything = b"".join(path.read_bytes() for path in sorted((ROOT / "specs" / "samples" / name).glob("*.telegram")))
    decoded = call("decode", "--spec", name, given=everything)
    assert decoded.exit_code == 0
    assert call("encode", "--spec", name, given=decoded.stdout_bytes).stdout_bytes == everything


def test_decode_shows_every_value_and_masks_when_asked():
    assert "110123456789" in call("decode", "--spec", "firmbanking", given=TRANSFER).stdout
    (masked,) = lines_of(call("decode", "--spec", "firmbanking", "--masked", given=TRANSFER + POLL[:0]))
    assert masked["body"]["withdrawal_account"] == "[15 bytes]"  # type: ignore[index]
    assert masked["body"]["amount"] == "1234500"  # type: ignore[index]
    assert lines_of(call("decode", "--spec", "firmbanking", "--masked", given=POLL)) == [{"$poll": "[20 bytes]"}]


def test_a_masked_line_is_no_telegram_again():
    masked = call("decode", "--spec", "firmbanking", "--masked", given=TRANSFER).stdout_bytes
    result = call("encode", "--spec", "firmbanking", given=masked)
    assert (result.exit_code, result.stdout_bytes) == (1, b"") and "masked" in result.stderr


def test_hex_may_stand_on_the_command_line_or_in_a_file(tmp_path: Path):
    expected = call("decode", "--spec", "firmbanking", given=TRANSFER).stdout
    text = TRANSFER.hex(" ")
    dump = tmp_path / "dump.txt"
    dump.write_text("\n".join(text[at : at + 48] for at in range(0, len(text), 48)), "ascii")
    assert call("decode", "--spec", "firmbanking", "--hex", TRANSFER.hex()).stdout == expected
    assert call("decode", "--spec", "firmbanking", "--hex", dump).stdout == expected
    assert call("decode", "--spec", "firmbanking", "--hex", "-", given=text.encode()).stdout == expected
    assert call("encode", "--spec", "firmbanking", "--hex", given=expected.encode()).stdout == TRANSFER.hex() + "\n"


def test_a_telegram_may_come_and_go_without_its_framing():
    decoded = call("decode", "--spec", "firmbanking", "--unframed", given=TRANSFER[4:])
    assert decoded.exit_code == 0
    assert call("encode", "--spec", "firmbanking", "--unframed", given=decoded.stdout_bytes).stdout_bytes == TRANSFER[4:]
    assert call("explain", "--spec", "firmbanking", "--unframed", given=TRANSFER[4:]).exit_code == 0


def test_every_bad_field_is_told_and_the_next_telegram_follows():
    bad = patched(21, b"x88", patched(129, b"00000012A4500"))
    result = call("decode", "--spec", "firmbanking", given=TRANSFER + bad + TRANSFER)
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 2
    told = result.stderr.splitlines()
    assert [line.split(": ")[:2] for line in told[:2]] == [["telegram 2 (at byte 304)", "E-FLD-01"]] * 2
    assert "header.bank_code" in told[0] and "body.amount" in told[1] and told[2] == "2 telegrams, 1 bad"
    assert "12A45" not in result.stderr


def test_lost_framing_ends_the_reading_and_says_where():
    result = call("decode", "--spec", "firmbanking", given=TRANSFER + b"03x0" + TRANSFER[4:])
    assert result.exit_code == 1 and len(result.stdout.splitlines()) == 1
    assert result.stderr.startswith("telegram 2 (at byte 304): E-FRM-01")


@pytest.mark.parametrize(
    ("tail", "says"),
    [
        (b"0300SETTLE", "the input ends inside a telegram, of which 10 bytes are there"),
        (b"\r\n", "behind the last telegram there are only line ends, blanks or zero bytes"),
    ],
)
def test_a_file_that_is_not_whole_or_was_edited_is_told_as_that(tail: bytes, says: str):
    result = call("decode", "--spec", "firmbanking", given=TRANSFER + tail)
    assert result.exit_code == 1 and says in result.stderr and len(result.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no such file"], "No such file"),
        (["/"], "directory"),
        (["--hex", "30 3"], "odd"),
        (["--hex", "30\n3z"], "line 2 holds something else"),
    ],
)
def test_input_that_cannot_be_read_is_one_clear_line(arguments: list[str], says: str):
    result = call("decode", "--spec", "firmbanking", *arguments)
    assert result.exit_code == 1 and result.stdout == ""
    assert says in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{", "malformed"),
        (b'{"message":"nothing"}', "no message of the spec has this name"),
        (b'{"$poll":"00"}', "not a poll"),
        (b'{"$poll":7}', "not a poll"),
        (b'{"a":1,"a":2}', "the same key twice"),
    ],
)
def test_a_bad_line_is_told_with_its_number_and_left_out(line: bytes, says: str):
    good = call("decode", "--spec", "firmbanking", given=TRANSFER).stdout_bytes
    result = call("encode", "--spec", "firmbanking", given=good + b"\n" + line + b"\n" + good)
    assert result.exit_code == 1 and result.stdout_bytes == TRANSFER * 2
    assert result.stderr.startswith("line 3: E-") and says in result.stderr


def test_a_text_that_does_not_fit_is_never_cut():
    good = json.loads(call("decode", "--spec", "firmbanking", given=TRANSFER).stdout)
    good["body"]["memo"] = "홍길동급여와보너스"
    result = call("encode", "--spec", "firmbanking", given=json.dumps(good).encode())
    assert result.exit_code == 1 and result.stdout_bytes == b"" and "E-FLD-05" in result.stderr


# --- specs


def test_specs_are_listed_and_one_that_is_broken_hides_no_other(tmp_path: Path):
    assert [row["name"] for row in json.loads(call("spec", "list", "--json").stdout)] == sorted(
        file.stem for file in (ROOT / "specs").glob("*.py")
    )
    (tmp_path / "broken.py").write_text("spec = 1\n", "utf-8")
    result = call("spec", "list", "--spec-folder", tmp_path)
    assert result.exit_code == 78
    assert "펌뱅킹" in result.stdout and "ksnet" in result.stdout
    assert result.stderr.startswith("E-CFG-20") and "broken.py" in result.stderr


def test_a_spec_that_does_not_load_is_told_with_every_problem(tmp_path: Path):
    broken = tmp_path / "broken.py"
    broken.write_text(
        (ROOT / "specs" / "firmbanking.py").read_text("utf-8").replace("Code(3, digits=True", "Code(4, digits=True", 1), "utf-8"
    )
    result = call("spec", "show", broken)
    assert result.exit_code == 78 and len(result.stderr.splitlines()) > 20
    assert all(line.startswith("E-CFG-") for line in result.stderr.splitlines())


def test_an_input_of_blanks_alone_is_not_said_to_stand_behind_a_telegram():
    result = call("decode", "--spec", "firmbanking", given=b"\0" * 304)
    assert result.exit_code == 1 and "in the input there are only line ends, blanks or zero bytes" in result.stderr


def test_titles_cannot_steer_the_terminal(tmp_path: Path):
    spec = tmp_path / "family.py"
    spec.write_text(
        "from telegram_router.telegrams import *\n"
        "spec = Family(name='family', title='a\\x1b[2Jb', header=Struct(), key=(), correlation=(), framing=Framing(FixedSize(2)),\n"
        "              messages=[Message('m', 'c\\x1b[2Jd', (), Struct('text' / Text(2)), kind='oneway')])\n"
    )
    for shown in (call("spec", "show", str(spec)), call("spec", "show", str(spec), "m"), call("explain", "--spec", str(spec), given=b"ab")):
        assert shown.exit_code == 0 and "\x1b" not in shown.stdout and "\\u{1b}[2J" in shown.stdout


def test_a_spec_shows_its_messages_and_a_message_its_offsets():
    shown = call("spec", "show", "firmbanking").stdout
    assert "company_number, bank_code, sent_date, message_number" in shown and "deposit_notice.request" in shown and "수신" in shown
    table = call("spec", "show", "firmbanking", "deposit_notice.request").stdout
    row = next(line for line in table.splitlines() if "body.direction" in line)
    assert row.split()[:4] == ["122", "123-124", "2", "X(2)"] and "11 입금 deposit" in row


def test_a_spec_and_a_message_as_json():
    spec = json.loads(call("spec", "show", "--json", "firmbanking").stdout)
    assert spec["key"] == ["message_type", "business_code"] and spec["errors"]["sent_unknown"] == "VTIM"
    message = json.loads(call("spec", "show", "--json", "firmbanking", "transfer.request").stdout)
    amount = next(field for field in message["fields"] if field["path"] == "body.amount")
    assert (amount["offset"], amount["length"], amount["rule"], amount["label"]) == (129, 13, "9(13)", "출금금액 withdrawal amount")
    assert sum(field["length"] for field in message["fields"]) == 300


# --- explain


def test_a_telegram_is_explained_field_by_field_without_showing_what_is_not_clear():
    result = call("explain", "--spec", "firmbanking", given=TRANSFER)
    assert result.exit_code == 0 and "no problems" in result.stdout
    assert "출금금액 withdrawal amount" in result.stdout and "1,234,500" in result.stdout
    assert "110123456789" not in result.stdout and "홍길동" not in result.stdout
    assert "홍길동급여" in call("explain", "--spec", "firmbanking", "--show-values", given=TRANSFER).stdout


def test_a_bad_field_is_marked_and_stands_above_its_carets():
    result = call("explain", "--spec", "firmbanking", given=patched(129, b"00000012A4500"))
    assert result.exit_code == 1
    row = next(line for line in result.stdout.splitlines() if "body.amount" in line)
    assert row.startswith("!  129")
    lines = result.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if set(line) == {" ", "^"})
    caret = lines[at].index("^")
    assert lines[at].count("^") == 2
    assert lines[at - 1][caret] == "A" and lines[at - 2][caret : caret + 2] == "41"
    assert lines[at - 3].split() == ["125", "129", "142"]
    assert lines[at - 4].startswith("E-FLD-01: byte 9 of the field is not a digit; at body.amount")


def test_hex_stands_beside_the_values_on_request_and_only_where_they_may_be_seen():
    table = call("explain", "--spec", "firmbanking", "--bytes", given=TRANSFER).stdout
    assert table.index("hex") < table.index("value") and "30303030303031323334353030" in table
    assert "c8abb1e6b5bf" not in table
    unmasked = call("explain", "--spec", "firmbanking", "--bytes", "--unmask", given=TRANSFER).stdout
    row = next(line for line in unmasked.splitlines() if "body.memo" in line)
    assert row.split()[2:] == ["body.memo", "홍길동급여".encode("cp949").ljust(14).hex(), "홍길동급여"]


def test_a_probable_cause_is_told_with_what_was_tried():
    found = call("explain", "--spec", "firmbanking", given=TRANSFER.decode("cp949").encode())
    assert found.exit_code == 1
    assert (
        "likely: the whole telegram is in utf-8, the spec says cp949\n  converted to cp949, no problem is left\n  to do: " in found.stdout
    )
    (line,) = lines_of(call("explain", "--spec", "firmbanking", "--json", given=b"0304" + TRANSFER[4:]))
    causes = line["causes"]
    assert isinstance(causes, list) and causes[0]["problems_after"] == 0 and 'counts = "self"' in causes[0]["do"]


def test_the_ruler_masks_what_is_not_clear():
    result = call("explain", "--spec", "firmbanking", given=patched(213, b"\xb0123456789012"))
    assert result.exit_code == 1 and "123456789" not in result.stdout.replace("110123456789", "")
    assert "  *" * 13 in result.stdout and "** " * 13 in result.stdout


def test_one_telegram_of_many_and_what_is_left_when_the_framing_is_lost():
    many = TRANSFER + patched(129, b"x", TRANSFER) + b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    only = call("explain", "--spec", "firmbanking", "--number", "2", given=many)
    assert only.stdout.startswith("telegram 2 (at byte 304)") and "telegram 3" not in only.stdout
    every = call("explain", "--spec", "firmbanking", given=many)
    assert every.exit_code == 1 and "telegram 3 (at byte 608)" in every.stdout and "framing lost: E-FRM-01" in every.stdout
    none = call("explain", "--spec", "firmbanking", "--number", "9", given=many)
    assert none.exit_code == 1 and "3 telegrams only" in none.stderr


def test_explaining_as_json_is_one_line_for_each_telegram():
    first, second = lines_of(call("explain", "--spec", "firmbanking", "--json", given=TRANSFER + POLL))
    assert (first["number"], first["message"], first["ok"]) == (1, "transfer.request", True)
    assert (second["number"], second["input_offset"], second["title"]) == (2, 304, "poll, answered by the router itself")
    (lost,) = lines_of(call("explain", "--spec", "firmbanking", "--json", given=b"GET / HTTP/1.1\r\n"))
    assert lost["framing_lost"]["code"] == "E-FRM-12"  # type: ignore[index]


@pytest.mark.parametrize(
    ("sample", "summary", "reasons"),
    [
        ("transfer.request", "goes to service transfer by transfers (exact match)", ["message_type is 2000; business_code is 100"]),
        ("credit.request", "goes to service credit by routes.1", ["message_type is 5000, not 2000", "every field is checked"]),
        ("balance.request", "refused with E-RTE-01", ["message_type is 7000, not 5…", "header.response_code is SB01"]),
        ("balance.response", "is a reply: it goes to whoever asked", ["company_number, bank_code"]),
    ],
)
def test_which_way_a_telegram_goes_and_why(config: Path, sample: str, summary: str, reasons: list[str]):
    result = call("explain", "--config", config, given=(SAMPLES / f"{sample}.telegram").read_bytes())
    assert summary in result.stdout
    assert all(reason in result.stdout for reason in reasons), result.stdout
    assert result.exit_code == (1 if "refused" in summary else 0)


def way(config: Path, frame: bytes, *more: str) -> dict[str, object]:
    (line,) = lines_of(call("explain", "--config", config, "--json", *more, given=frame))
    found = line["route"]
    assert isinstance(found, dict)
    return found


def test_what_the_router_would_refuse_is_said_with_its_code(config: Path):
    long = b"0301" + TRANSFER[4:] + b" "
    assert (way(config, long)["outcome"], way(config, long)["code"]) == ("refused", "E-FRM-07")
    assert way(config, patched(24, b"2999", patched(28, b"999")))["notes"] == [
        "nothing is answered: it may be an answer itself, and two routers would answer each other for ever"
    ]
    assert "SB01" in way(config, patched(28, b"999"))["notes"][0]
    assert way(config, b"HELO" + TRANSFER)["outcome"] == "lost"
    assert way(config, POLL)["outcome"] == "poll"
    credit = (SAMPLES / "credit.request.telegram").read_bytes()
    bad = way(config, patched(24 + 14, b"2024AB15", credit))
    assert (bad["outcome"], bad["code"], bad["route"]) == ("refused", "E-FLD-03", "routes.1")


def test_a_telegram_of_a_hosts_own_goes_to_the_session_of_its_owner(config: Path):
    notice = (SAMPLES / "deposit_notice.request.telegram").read_bytes()
    found = way(config, notice, "--from-service", "transfer")
    assert (found["outcome"], found["target"]) == ("routed", "sessions of listener branches")
    assert way(config, TRANSFER, "--from-service", "transfer")["code"] == "E-TXN-02"


def test_an_unknown_listener_is_wrong_usage_and_the_known_ones_are_named(config: Path):
    result = call("explain", "--config", config, "--listener", "brunches", given=TRANSFER)
    assert result.exit_code == 2 and "branches" in result.stderr
    assert call("explain", "--config", config, "--from-service", "transfer", "--listener", "branches", given=TRANSFER).exit_code == 2


# --- check and run


def test_a_good_configuration_is_summed_up(config: Path):
    result = call("check", config)
    assert result.exit_code == 0 and result.stderr == ""
    assert "is good" in result.stdout and "hosts of transfer" in result.stdout and "message_type 5…" in result.stdout
    told = json.loads(call("check", "--json", config).stdout)
    assert told["ok"] and [route["route"] for route in told["routes"]] == ["transfers", "routes.1", "notices"]


def test_every_problem_of_a_configuration_is_told_at_once(tmp_path: Path):
    bad = tmp_path / "bad.toml"
    bad.write_text('[listeners.a]\nadress = "127.0.0.1:0"\nspec = "firmbankin"\n[services.b]\n', "utf-8")
    for command in ("check", "run"):
        result = call(command, bad)
        assert result.exit_code == 78 and result.stdout == ""
        assert sum(line.startswith("E-CFG-") for line in result.stderr.splitlines()) >= 3
        assert "Traceback" not in result.stderr
    told = json.loads(call("check", "--json", bad).stdout)
    assert not told["ok"] and {"code", "file", "line", "key", "what", "expected", "do"} == told["problems"][0].keys()


def test_a_configuration_that_may_not_be_read_is_a_problem_of_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "bank.toml"
    file.write_text("", "utf-8")

    def forbidden(*_: object, **__: object) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    monkeypatch.setattr(Path, "read_bytes", forbidden)
    monkeypatch.setattr(Path, "read_text", forbidden)
    for command in ("check", "run"):
        result = call(command, file)
        assert result.exit_code == 78 and "E-CFG-01" in result.stderr and "Permission denied" in result.stderr


def test_a_missing_configuration_is_one_line():
    result = call("run", "nothing.toml")
    assert (result.exit_code, len(result.stderr.splitlines())) == (78, 1) and "E-CFG-01" in result.stderr


def test_another_system_is_refused_with_a_clear_word(config: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    for arguments in (["run", str(config)], ["demo"]):
        result = call(*arguments)
        assert result.exit_code == 1 and "Linux only" in result.stderr and "darwin" in result.stderr


def test_an_address_in_use_is_exit_code_69(config: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config.write_text(config.read_text("utf-8").replace("127.0.0.1:0", f"127.0.0.1:{port}"), "utf-8")
        done = subprocess.run([*COMMAND, "run", str(config)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr.startswith("E-CFG-09") and str(port) in done.stderr and len(done.stderr.splitlines()) == 1


def test_an_exception_that_escapes_is_one_bug_line_and_exit_code_70(config: Path):
    code = f"""
import sys
from telegram_router import app
from telegram_router.cli import main
async def broken(plan, log, notifier, inherited):
    raise ValueError("110123456789")
app.serve = broken
main(["run", {str(config)!r}])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 70
    (line,) = done.stderr.splitlines()
    assert (json.loads(line)["event"], json.loads(line)["exception"]) == ("bug", "ValueError")
    assert "110123456789" not in line


class Running:
    """A router as a process, with a host that never answers and a session that has asked."""

    def __init__(self, config: Path) -> None:
        self.host = socket.create_server(("127.0.0.1", 0))
        config.write_text(CONFIG.format(port=self.host.getsockname()[1]), "utf-8")
        self.process = subprocess.Popen([*COMMAND, "run", str(config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.log: list[dict[str, object]] = []
        self.link, _ = self.host.accept()
        started = self.wait_for("started")["listeners"]
        assert isinstance(started, dict)
        self.session = socket.create_connection(("127.0.0.1", int(started["branches"].split(":")[1])), timeout=20)

    def wait_for(self, event: str) -> dict[str, object]:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(json.loads(line))
            if self.log[-1]["event"] == event:
                return self.log[-1]
        raise AssertionError(f"no {event} in the log: {self.log}")

    def asks(self) -> None:
        self.session.sendall(TRANSFER)
        self.link.settimeout(20)
        assert self.link.recv(65536) == TRANSFER

    def ended(self) -> tuple[int, str]:
        out, err = self.process.communicate(timeout=30)
        assert "Traceback" not in err
        return self.process.returncode, out

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        for sock in (self.session, self.link, self.host):
            sock.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    found = Running(tmp_path / "bank.toml")
    yield found
    found.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_waits_for_what_is_open_and_ends_well(running: Running, number: signal.Signals):
    running.asks()
    running.process.send_signal(number)
    running.wait_for("draining")
    running.link.sendall(TRANSFER.replace(b"2000100", b"2100100"))
    assert running.session.recv(65536)[28:32] == b"2100"
    assert running.ended() == (0, "")


def test_a_second_signal_ends_at_once_with_exit_code_1(running: Running):
    running.asks()
    running.process.send_signal(signal.SIGTERM)
    running.wait_for("draining")
    began = time.monotonic()
    running.process.send_signal(signal.SIGTERM)
    assert running.ended() == (1, "")
    assert time.monotonic() - began < 10  # `drain` is 30 s


def test_a_terminal_gets_drawn_tables_and_no_raw_telegrams():
    def on_terminal(*arguments: str) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        environment = os.environ | {"COLUMNS": "120", "TERM": "xterm"}
        with subprocess.Popen([*COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=environment) as process:
            os.close(theirs)
            shown = b""
            try:
                while piece := os.read(ours, 65536):
                    shown += piece
            except OSError:  # Linux says EIO when the other side has ended
                pass
            os.close(ours)
            return process.wait(60), shown.decode()

    sample = str(SAMPLES / "transfer.request.telegram")
    code, shown = on_terminal("explain", "--spec", "firmbanking", sample)
    assert code == 0 and "───" in shown and "body.amount" in shown
    assert max(display_width(click.unstyle(line)) for line in shown.splitlines()) <= 120
    code, shown = on_terminal("encode", "--spec", "firmbanking", sample)
    assert code == 2 and "--hex" in shown
