"""What must be found before anything listens: one clear message each, the right exit code, and no traceback."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from authority import DAY, Authority
from click.testing import CliRunner
from running_router import ROOT

from telegram_router.cli import main

GOOD = """
[listeners.companies]
address = "127.0.0.1:0"
spec = "firmbanking"

[services.core]
backends = ["127.0.0.1:9"]

[[routes]]
listener = "companies"
match = { message_type = "2000", business_code = ["100", "200"] }
service = "core"
"""

SPEC = '''"""A line of the tests."""

from construct import Struct

from telegram_router.telegrams import *

spec = Family(
    name="own",
    version="1",
    framing=Framing(LengthField(offset=0, width=4), header=10),
    header=Struct("message_type" / Code(4, required=True), "message_number" / Code(6, digits=True)),
    key=("message_type",),
    correlation=("message_number",),
    reply_rule=Plus("message_type", 100),
    messages=[Message("work.request", "work", ("2000",), Struct("content" / Text(10), "rest" / Text(10)))],
)
'''


@dataclass
class Outcome:
    code: int
    lines: list[str]


def told(*command: str) -> Outcome:
    """Exit code and what was said on stderr; never a traceback."""
    result = CliRunner().invoke(main, command)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output and "E-INT" not in result.output
    return Outcome(result.exit_code, result.stderr.splitlines())


def refused(file: Path, text: str, *codes: str) -> list[str]:
    """Both commands say the same of a configuration: one line a problem, each with its code."""
    file.write_text(text, "utf-8")
    ran, checked = told("run", str(file)), told("check", str(file))
    assert ran.code == checked.code == 78
    assert ran.lines == checked.lines[:-1]
    assert [line.split(":")[0] for line in ran.lines] == list(codes), ran.lines
    assert checked.lines[-1].startswith(f"{len(codes)} problem")
    return ran.lines


def at(line: str, file: Path) -> int:
    """The line number that a message names."""
    found = re.search(re.escape(str(file)) + r":(\d+)", line)
    assert found, line
    return int(found[1])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "router.toml"


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def test_a_good_configuration_is_good(config: Path):
    """Rows 40, 44 and 63: what the bad ones differ from."""
    config.write_text(GOOD, "utf-8")
    assert told("check", str(config)) == Outcome(0, [])


# --- specs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["items", "keys", "update", "clear", "pop", "_secret"])
def test_a_field_named_like_a_method_is_refused_with_its_line(config: Path, name: str):
    """Row 40."""
    spec = config.parent / "own.py"
    spec.write_text(SPEC.replace('"rest"', f'"{name}"'), "utf-8")
    (line,) = refused(config, f'specs = "."\n{GOOD.replace("firmbanking", "own").replace(CODES_OF_GOOD, "")}', "E-CFG-22")
    assert at(line, spec) == line_of(SPEC, '"rest"') and name in line


CODES_OF_GOOD = ', business_code = ["100", "200"]'


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        pytest.param("Text(10), ", "Text(10), oops, ", "E-CFG-20", id="an-unknown-name"),
        pytest.param("Text(10), ", "Text(10, ", "E-CFG-20", id="no-Python"),
        pytest.param('"rest" / Text(10)', '"rest" / Text(lambda this: 10)', "E-CFG-23", id="a-lambda"),
        pytest.param("Text(10), ", 'Text(10, "cp9949"), ', "E-CFG-20", id="an-unknown-code-page"),
        pytest.param('version="1"', 'version="1", encoding="cp9949"', "E-CFG-20", id="an-unknown-code-page-of-the-family"),
        pytest.param('version="1"', 'version="1", encoding="euc_kr"', "E-CFG-20", id="a-code-page-that-writes-eight-bytes"),
        pytest.param('version="1"', 'version="1", strict="ksx1001"', "E-CFG-20", id="a-strictness-of-another-code-page"),
        pytest.param('correlation=("message_number",)', 'correlation=("message_nummer",)', "E-CFG-24", id="no-such-key"),
        pytest.param('    reply_rule=Plus("message_type", 100),\n', "", "E-CFG-25", id="no-reply-rule"),
        pytest.param("width=4", "width=40", "E-CFG-27", id="impossible-framing"),
        pytest.param("import *", "import *\n\n1 / 0", "E-CFG-20", id="an-exception"),
        pytest.param("spec = Family", "other = Family", "E-CFG-20", id="no-spec-in-it"),
    ],
)
def test_a_bad_spec_is_one_message_with_file_and_line(config: Path, old: str, new: str, code: str):
    """Row 40: whatever else is wrong with a spec."""
    assert old in SPEC
    spec = config.parent / "own.py"
    spec.write_text(SPEC.replace(old, new), "utf-8")
    lines = refused(config, f'specs = "."\n{GOOD.replace("firmbanking", "own").replace(CODES_OF_GOOD, "")}', *code.split())
    assert all(str(spec) in line for line in lines)


def test_all_that_is_wrong_is_said_at_once(config: Path):
    """Rows 40, 44 and 63 in one file: a problem in one part hides none in another."""
    (config.parent / "own.py").write_text(SPEC.replace('"rest"', '"items"'), "utf-8")
    text = (
        GOOD + '[listeners.more]\naddress = "127.0.0.1:0"\nspec = "own"\n[listeners.last]\naddress = "127.0.0.1:0"\nspec = "firmbankin"\n'
    )
    lines = refused(config, f'specs = "."\n{text}', "E-CFG-06", "E-CFG-22")
    assert "did you mean firmbanking?" in lines[0]


def test_a_wrong_value_hides_no_wrong_file(config: Path):
    """Rows 44 and 63: what cannot be read of the file itself, and what is wrong with all that it names."""
    text = (
        "drian = 1\n"
        + GOOD.replace('"firmbanking"', '"frimbanking"\ntls = { certificate = "no.pem", key = "no.key" }').replace(
            'service = "core"', 'service = "coer"'
        )
        + '[services.other]\nspec = "firmbanking"\nhandler = "json:load"\ntimeout = 3\n'
        + '[services.desk]\nspec = "firmbanking"\nhandler = "no_such_module:answer"\n'
    )
    lines = refused(config, text, "E-CFG-03", "E-CFG-06", "E-CFG-06", "E-CFG-04", "E-CFG-08", "E-CFG-01", "E-CFG-01")
    assert "there is no module no_such_module" in lines[4]


def test_what_follows_from_a_wrong_name_is_not_told_beside_it(config: Path):
    """Row 44: routes that overlap only because a match names no field, specs that differ only because one does not exist."""
    route = '[[routes]]\nlistener = "companies"\nmatch = {{ {} }}\nservice = "core"\n'
    (line,) = refused(config, GOOD + route.format('mesage_type = "7000"'), "E-CFG-06")
    assert "routes[1].match.mesage_type" in line and "did you mean message_type?" in line
    second = '[listeners.more]\naddress = "127.0.0.1:0"\nspec = "firmbankin"\n'
    (line,) = refused(config, GOOD.replace('listener = "companies"', 'listener = ["companies", "more"]') + second, "E-CFG-06")
    assert "did you mean firmbanking?" in line


# --- routes and values ----------------------------------------------------------------------------------------------


def test_two_routes_that_take_the_same_telegrams_are_refused(config: Path):
    """Row 44."""
    text = GOOD + '[[routes]]\nlistener = "companies"\nmatch = { business_code = "200", message_type = "2000" }\nservice = "core"\n'
    (line,) = refused(config, text, "E-CFG-05")
    assert at(line, config) == line_of(text, 'business_code = "200", message_type') - 2  # the table of the second one


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        pytest.param("spec = ", "max_sesions = 5\nspec = ", "E-CFG-03", "max_sessions", id="unknown-key"),
        pytest.param('address = "127.0.0.1:0"', "address = 9001", "E-CFG-04", "host:port", id="wrong-type"),
        pytest.param('"firmbanking"', '"frimbanking"', "E-CFG-06", "firmbanking", id="no-such-spec"),
        pytest.param('service = "core"', 'service = "coer"', "E-CFG-06", "core", id="no-such-service"),
        pytest.param("message_type = ", "mesage_type = ", "E-CFG-06", "message_type", id="no-such-header-field"),
        pytest.param('"2000"', '"20000"', "E-CFG-04", "at most 4", id="a-value-that-never-fits"),
        pytest.param('"2000"', '"200"', "E-CFG-06", 'no request of firmbanking has "200" there', id="a-value-that-is-cut"),
        pytest.param('"2000"', '"2100"', "E-CFG-06", 'no request of firmbanking has "2100" there', id="a-reply"),
        pytest.param('"200"]', '"999"]', "E-CFG-06", 'no request of firmbanking has "999" there', id="one-value-of-many-that-nobody-has"),
        pytest.param('["100", "200"]', '"600"', "E-CFG-06", "these values together", id="values-that-do-not-go-together"),
        pytest.param('["100", "200"]', '{ prefix = "x" }', "E-CFG-06", 'the prefix "x"', id="a-prefix-that-nobody-has"),
        pytest.param(
            'spec = "firmbanking"',
            'spec = "firmbanking"\nmax_frame = "300B"',
            "E-CFG-07",
            "at least 304 bytes",
            id="no-room-for-a-telegram",
        ),
        pytest.param(
            'backends = ["127.0.0.1:9"]', 'handler = "asyncio.runners:run"', "E-CFG-08", "async def", id="a-function-that-runs-others"
        ),
        pytest.param('backends = ["127.0.0.1:9"]', 'handler = "asyncio:sleep_ms"', "E-CFG-08", "no such function", id="no-such-function"),
        pytest.param('backends = ["127.0.0.1:9"]', 'handler = "asyncio:wait_for"', "E-CFG-08", "one telegram", id="a-function-of-two"),
        pytest.param('[services.core]\nbackends = ["127.0.0.1:9"]', "[services.core]\nbackends = [", "E-CFG-02", "", id="no-TOML"),
        pytest.param('backends = ["127.0.0.1:9"]', 'handler = "no_such_module:answer"', "E-CFG-08", "import", id="no-such-handler"),
        pytest.param('backends = ["127.0.0.1:9"]', 'handler = "json:loads"', "E-CFG-08", "async def", id="a-plain-function"),
        pytest.param('backends = ["127.0.0.1:9"]', "backends = []", "E-CFG-04", "", id="no-backend"),
        pytest.param(
            'backends = ["127.0.0.1:9"]',
            'url = "http://127.0.0.1:9/"\nheaders = { X-Request-Id = "7" }',
            "E-CFG-04",
            "router sets itself",
            id="a-header-of-ours",
        ),
        pytest.param(
            'backends = ["127.0.0.1:9"]',
            'backends = ["127.0.0.1:9"]\ntls = { verify = false }',
            "E-CFG-03",
            "verify",
            id="row-62-verification-off",
        ),
    ],
)
def test_a_bad_value_is_one_message_with_its_line(config: Path, old: str, new: str, code: str, says: str):
    """Rows 44 and 62: whatever else is wrong with a configuration; verification cannot be switched off."""
    assert old in GOOD
    (line,) = refused(config, GOOD.replace(old, new), code)
    assert says in line and at(line, config)


def test_what_cannot_be_posted_is_found_before_the_first_telegram(config: Path):
    """Row 44: a message's name that is no part of a path."""
    (config.parent / "own.py").write_text(SPEC.replace('"work.request"', '"work request"'), "utf-8")
    text = (
        GOOD.replace("firmbanking", "own")
        .replace(CODES_OF_GOOD, "")
        .replace('backends = ["127.0.0.1:9"]', 'url = "http://127.0.0.1:9/{message}"')
    )
    (line,) = refused(config, f'specs = "."\n{text}', "E-CFG-04")
    assert "services.core.url" in line and "work request" in line


# --- files ----------------------------------------------------------------------------------------------------------


def test_a_byte_order_mark_of_a_windows_editor_is_no_part_of_a_file(config: Path):
    """Row 44: not a bad file at all."""
    (config.parent / "own.py").write_text(SPEC, "utf-8-sig")
    text = f'specs = "."\n{GOOD.replace("firmbanking", "own").replace(CODES_OF_GOOD, "")}'
    config.write_text(text, "utf-8-sig")
    assert told("check", str(config)).code == 0


@pytest.mark.parametrize("what", ["missing", "a-folder", "not-UTF-8"])
def test_a_configuration_that_cannot_be_read_is_one_message(config: Path, what: str):
    """Row 63: the file itself."""
    if what == "a-folder":
        config.mkdir()
    elif what == "not-UTF-8":
        config.write_bytes("이름 = 1".encode("cp949"))
    ran, checked = told("run", str(config)), told("check", str(config))
    assert ran.code == checked.code and ran.code in (2, 78)
    assert str(config) in " ".join(ran.lines)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("startup"), "ours")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("mismatch", "E-CFG-11"),
        ("expired", "E-CFG-12"),
        ("not-yet-valid", "E-CFG-12"),
        ("encrypted", "E-CFG-13"),
        ("no-key-in-it", "E-CFG-13"),
        ("readable-by-all", "E-CFG-14"),
        ("no-certificate-in-it", "E-CFG-15"),
        ("missing", "E-CFG-01"),
        ("missing-ca", "E-CFG-01"),
    ],
)
@pytest.mark.parametrize("side", ["listener", "service"])
def test_a_wrong_certificate_or_key_is_one_message(config: Path, authority: Authority, side: str, kind: str, code: str):
    """Row 63."""
    starts, ends = {"expired": (-2 * DAY, -DAY), "not-yet-valid": (DAY, 2 * DAY)}.get(kind, (-DAY, DAY))
    name = f"{side}-{kind}"
    pair = authority.issue(name, starts=starts, ends=ends, password=b"secret" if kind == "encrypted" else None)
    certificate, key, ca = pair.certificate, pair.key, authority.file
    if kind == "mismatch":
        key = authority.issue(f"{name}-other").key
    elif kind == "no-key-in-it":
        Path(key).write_text("nothing", "ascii")
    elif kind == "readable-by-all":
        Path(key).chmod(0o644)
    elif kind == "no-certificate-in-it":
        Path(certificate).write_text("nothing", "ascii")
    elif kind == "missing":
        Path(certificate).unlink()
    elif kind == "missing-ca":
        ca += ".gone"
    files = f'certificate = "{certificate}", key = "{key}", {"client_ca" if side == "listener" else "ca"} = "{ca}"'
    place = 'spec = "firmbanking"' if side == "listener" else 'backends = ["127.0.0.1:9"]'
    (line,) = refused(config, GOOD.replace(place, f"{place}\ntls = {{ {files} }}"), code)
    assert ".tls." in line and "secret" not in line


def test_a_module_that_prints_is_no_part_of_the_answer(config: Path):
    """Row 63: what a script reads from stdout is ours alone."""
    (config.parent / "talkative.py").write_text('print("loaded")\n\n\nasync def answer(telegram):\n    return telegram.reply()\n', "utf-8")
    config.write_text(GOOD.replace('backends = ["127.0.0.1:9"]', 'handler = "talkative:answer"'), "utf-8")
    result = CliRunner().invoke(main, ["check", str(config), "--json"])
    assert result.exit_code == 0 and json.loads(result.stdout)["ok"]
    assert result.stderr == "loaded\n"


def test_what_is_hardly_meant_is_told_and_does_not_stop_the_router(config: Path):
    """Row 63: a listener that leads nowhere, and a spec that cannot refuse."""
    (config.parent / "specs").mkdir()
    (config.parent / "specs" / "own.py").write_text(SPEC, "utf-8")
    text = 'specs = "specs"\n[listeners.lonely]\naddress = "127.0.0.1:0"\nspec = "own"\n' + GOOD
    config.write_text(text, "utf-8")
    outcome = told("check", str(config))
    assert outcome.code == 0
    nowhere, wordless = outcome.lines
    assert nowhere.startswith(f"warning: {config}:{line_of(text, 'lonely')}: listeners.lonely: no route begins at this listener")
    assert wordless.startswith(f"warning: {config}:{line_of(text, 'own')}: listeners.lonely.spec: the spec own has no `errors`")
    warnings = json.loads(CliRunner().invoke(main, ["check", str(config), "--json"]).stdout)["warnings"]
    assert [warning["key"] for warning in warnings] == ["listeners.lonely", "listeners.lonely.spec"]


def test_a_listener_that_only_hosts_ask_is_nothing_to_warn_of(config: Path):
    """Row 63."""
    text = GOOD.replace('listener = "companies"\nmatch = { message_type = "2000", business_code = ["100", "200"] }\nservice = "core"',
                        'from_service = "core"\nto_listener = "companies"\nmatch = { message_type = "4000", business_code = "100" }')  # fmt: skip
    assert text != GOOD
    config.write_text(text, "utf-8")
    assert told("check", str(config)) == Outcome(0, [])


def test_an_owner_that_the_field_cannot_hold_is_refused(config: Path, authority: Authority):
    """Row 63: nobody could ever speak for it, and all of its clients would be turned away."""
    pair = authority.issue("owners")
    tls = f'tls = {{ certificate = "{pair.certificate}", key = "{pair.key}", client_ca = "{authority.file}" }}'
    good = GOOD.replace('spec = "firmbanking"', f'spec = "firmbanking"\n{tls}\nowners = {{ TESTCO000001 = ["a.example"] }}')
    config.write_text(good, "utf-8")
    assert told("check", str(config)).code == 0
    (line,) = refused(config, good.replace("TESTCO000001", "TESTCO0000001"), "E-CFG-04")
    assert "owners.TESTCO0000001" in line and "13 bytes" in line


# --- addresses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["listener", "metrics"])
def test_a_port_in_use_is_one_message_and_exit_code_69(config: Path, place: str):
    """Row 63: found at start, before anything is served. `check` does not listen, so it cannot see it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = (
            GOOD.replace("127.0.0.1:0", f"127.0.0.1:{port}") if place == "listener" else GOOD + f'[metrics]\naddress = "127.0.0.1:{port}"\n'
        )
        config.write_text('[log]\nlevel = "error"\n' + text, "utf-8")
        outcome = told("run", str(config))
    assert outcome.code == 69
    (line,) = outcome.lines
    assert line.startswith("E-CFG-09: ") and str(port) in line


def test_a_real_process_says_no_more_than_that(config: Path):
    """Rows 44 and 63: nothing of the interpreter's own on stderr."""
    config.write_text(GOOD.replace('"firmbanking"', '"frimbanking"'), "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "telegram_router", "run", str(config)], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (78, "")
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["E-CFG-06"]
