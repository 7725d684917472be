"""Dumps: what hexdump, xxd, od, base64 and tcpdump print becomes the bytes again."""

from __future__ import annotations

import base64
import struct
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from composed import samples
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.cli import main
from telegram_router.telegrams.dumps import readings

TRANSFER = samples()["firmbanking"]["2000", "100"]
NOTICE = samples()["firmbanking"]["4000", "100"]


def printed(command: str, given: bytes) -> bytes:
    return subprocess.run(command.split(), input=given, capture_output=True, check=True, timeout=20).stdout


def first(text: bytes) -> tuple[str, bytes]:
    found = readings(text)
    assert found[-1].content == text and found[-1].form == "bytes"
    return found[0].form, found[0].content


COMMANDS = {
    "hexdump -C": "hexdump -C",
    "xxd": "xxd",
    "xxd -g1": "xxd",
    "xxd -p": "hex",
    "od -t x1": "od -t x1",
    "od -t x1z": "od -t x1",
    "od -A d -t x1": "od -A d -t x1",
    "od -A d -t x1z -v": "od -A d -t x1",
    "od -A x -t x1z": "hexdump -C",
    "base64": "base64",
    "xxd -i": "hex as in source code",
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("content", [TRANSFER, NOTICE * 3, b"\0" * 1000 + b"x", bytes(range(256)), b" " * 47])
def test_what_a_tool_prints_becomes_the_bytes_again(command: str, content: bytes):
    assert first(printed(command, content)) == (COMMANDS[command], content)
    assert first(printed(command, content).replace(b"\n", b"\r\n"))[1] == content


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (b"30 33 30 30", b"0300"),
        (b"30:33:30:30\n", b"0300"),
        (b"0x30333030", b"0300"),
        (b"30-33,30 30", b"0300"),
        (b"{0x30, 0x33,\n 0x30, 0x30};", b"0300"),
        (rb'"\x30\x33\x30\x30"', b"0300"),
        (b"\xef\xbb\xbf30333030", b"0300"),
    ],
)
def test_hex_as_people_paste_it(text: bytes, content: bytes):
    assert first(text)[1] == content


@pytest.mark.parametrize("text", [b"", b"hello", TRANSFER, b"303", b"00000000: 30 33 03\n00000020: 30 30 zz\n", b"GET / HTTP/1.1\r\n\r\n"])
def test_what_is_no_dump_is_taken_for_bytes_alone(text: bytes):
    assert [each.form for each in readings(text)] == ["bytes"]


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text("0123456789abcdef :*|\n\t0x", max_size=300).map(str.encode)))
def test_any_bytes_can_be_looked_at(data: bytes):
    assert readings(data)[-1].content == data


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=12, max_size=200))
def test_hex_and_base64_of_anything_are_among_the_readings(data: bytes):
    assert data in [each.content for each in readings(data.hex(" ").encode())]
    assert data in [each.content for each in readings(base64.b64encode(data))]


# --- tcpdump ----------------------------------------------------------------------------------------------------


def segment(source: int, target: int, sequence: int, content: bytes) -> bytes:
    """An IPv4 packet in an Ethernet frame."""
    tcp = struct.pack(">HHIIBBHHH", source, target, sequence, 1, 5 << 4, 0x18, 1000, 0, 0) + content
    ip = (
        struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, bytes([10, 0, 0, source % 7]), bytes([10, 0, 0, target % 7]))
        + tcp
    )
    return b"\x02" * 12 + b"\x08\x00" + ip


def capture(tmp_path: Path, *frames: bytes) -> Path:
    path = tmp_path / "some.pcap"
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    path.write_bytes(head + b"".join(struct.pack("<IIII", 1700000000 + n, 0, len(f), len(f)) + f for n, f in enumerate(frames)))
    return path


@pytest.mark.parametrize("flag", ["-X", "-XX", "-x", "-xx"])
def test_what_tcpdump_prints_becomes_what_each_direction_sent(tmp_path: Path, flag: str):
    frames = [
        segment(40001, 9001, 0xFFFFFF00, TRANSFER[:200]),
        segment(9001, 40001, 7, b""),
        segment(40001, 9001, 0xFFFFFF00 + 200, TRANSFER[200:256]),
        segment(40001, 9001, 0xFFFFFF00, TRANSFER[:200]),  # sent again
        segment(40001, 9001, 0, TRANSFER[256:]),
        segment(9001, 40001, 7, NOTICE),
    ]
    text = printed(f"tcpdump -nn {flag} -r {capture(tmp_path, *frames)}", b"")
    found = {each.form: each.content for each in readings(text)[:-1]}
    assert [*found.values()] == [TRANSFER, NOTICE]
    assert next(iter(found)) == f"tcpdump -X, from 10.0.0.{40001 % 7}:40001 to 10.0.0.{9001 % 7}:9001"


def test_the_command_takes_tcpdumps_text_as_it_is(tmp_path: Path):
    text = printed(f"tcpdump -nn -X -r {capture(tmp_path, segment(40001, 9001, 1, TRANSFER))}", b"")
    found = CliRunner().invoke(main, ["explain"], input=text, prog_name="telegram-router")
    assert found.exit_code == 0 and "tcpdump -X, from 10.0.0." in found.stdout and "transfer.request" in found.stdout


def test_a_dump_is_recognised_with_a_spec_too():
    found = CliRunner().invoke(
        main, ["explain", "--spec", "firmbanking"], input=printed("hexdump -C", TRANSFER), prog_name="telegram-router"
    )
    assert found.exit_code == 0 and found.stdout.startswith("the input is hexdump -C of 304 bytes\n")
