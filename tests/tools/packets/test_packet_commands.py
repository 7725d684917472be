"""`capture import` and `capture convert --to pcapng` as people meet them, with Wireshark's own reader as the judge."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import time
from pathlib import Path

import pytest
import trio
import trio.testing
from click.testing import CliRunner, Result
from made import Packet, Talk, pcap
from running_router import answer_to, spec_named, telegram, transfer

from telegram_router.cli import main
from telegram_router.storage import capture_records as records
from telegram_router.storage.capture_reader import CaptureReader
from telegram_router.storage.capture_writer import CaptureWriter
from telegram_router.telegrams.exporters.lua import dissector
from telegram_router.testing import simulator


def call(*arguments: str | Path, given: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["capture", *map(str, arguments)], input=given, prog_name="telegram-router")


SECOND = 10  # place of the second request of the first company among the packets


def day(lost: int | None = None) -> bytes:
    """Two companies that transfer, three requests each, some answers in another order."""
    talks = [Talk(ports=(40_000 + number, 9_000)) for number in range(2)]
    packets: list[Packet] = [packet for talk in talks for packet in talk.handshake()]
    for number in range(6):
        talk, frame = talks[number % 2], transfer(number + 1)
        packets.append(talk.sends(0, frame))
        packets.append(talk.sends(1, answer_to(frame)))
    packets += [packet for talk in talks for packet in talk.finish()]
    packets.sort(key=lambda packet: packet.at)
    if lost is not None:
        del packets[lost]
    return pcap(packets)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "day.pcap"
    path.write_bytes(day())
    return path


def test_a_packet_capture_becomes_a_capture_and_says_what_it_holds(file: Path, tmp_path: Path):
    out = tmp_path / "day.tgcap.jsonl"
    made = call("import", file, "--spec", "firmbanking", "--port", "9000", "-w", out)
    assert (made.exit_code, made.stderr) == (0, "")
    assert made.stdout.splitlines() == [
        f"24 packets, 2 connections, 12 telegrams in {out}",
        "host 10.0.0.2:9000  connections 2  telegrams 12  (it was connected to)",
    ]
    found = json.loads(call("stat", out, "--json").stdout)
    assert (found["spec"], found["answered"], found["connections"], found["closed_cleanly"]) == ("firmbanking", 6, 2, True)


SAMPLES = Path(__file__).parents[3] / "specs" / "samples"
COMMANDS = (
    (SAMPLES.parents[1] / "docs" / "captures.md").read_text("utf-8").partition("```sh\ntcpdump ")[2].partition("```")[0].splitlines()[1:]
)
SEEN = {"begun": "it was connected to", "midway": "it has the lower port; who connected was not seen"}


def line_of(family: str, begun: bool) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """What tcpdump would have: a line of that family on some port, from its beginning or not, among others' traffic; and what was asked."""
    talk, stranger = Talk(ports=(40_000, 23_817)), Talk(ports=(50_000, 8_080))
    asked = [
        (request.read_bytes(), request.with_name(request.name.replace("request", "response")).read_bytes())
        for request in sorted((SAMPLES / family).glob("*.request.telegram"))
        if request.with_name(request.name.replace("request", "response")).exists()
    ]
    packets = [*stranger.handshake(), *(stranger.sends(0, b"0300" * 400) for _ in range(3))]
    packets += talk.handshake() if begun else []
    packets += [talk.sends(side, frame) for pair in asked for side, frame in enumerate(pair)]
    return pcap(sorted([*packets, *talk.finish()], key=lambda packet: packet.at)), asked


@pytest.mark.parametrize(("family", "beginning"), [("firmbanking", "begun"), ("ksnet", "midway"), ("hmfb", "begun")])
def test_the_commands_of_the_page_lead_from_an_unknown_line_to_a_simulator(
    family: str, beginning: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file, asked = line_of(family, beginning == "begun")
    (tmp_path / "day.pcap").write_bytes(file)
    monkeypatch.chdir(tmp_path)
    imported, simulated = (command.split()[1:] for command in COMMANDS)
    made = CliRunner().invoke(main, imported)
    assert made.exit_code == 0, made.output
    assert made.stderr.startswith(f"spec: {family}, ") and "left out: 10.0.0.1:50000 to 10.0.0.2:8080" in made.stderr
    assert f"host 10.0.0.2:23817  connections 1  telegrams {2 * len(asked)}  ({SEEN[beginning]}" in made.stdout
    ran = CliRunner().invoke(main, [*simulated, "--listen", "127.0.0.1:0", "--duration", "20ms", "--control", "control"])
    assert ran.exit_code == 0 and ran.stdout == "day: 0 connections  0 received  0 sent\n"

    async def ask() -> None:
        async with simulator(simulated[1]) as host:
            caller = await host.connect()
            for request, answer in asked:
                await caller.send(request)
                assert await caller.receive() == answer

    trio.run(ask, clock=trio.testing.MockClock(autojump_threshold=0))


def test_the_hosts_with_most_telegrams_are_told_first_and_ten_of_them(tmp_path: Path):
    talks = [Talk(ports=(40_000, 9_000 + number)) for number in range(12)]
    packets = [packet for talk in talks for packet in talk.handshake()]
    packets += [talk.sends(0, transfer(number)) for number, talk in enumerate([*talks, talks[11]], 1)]
    (tmp_path / "day.pcap").write_bytes(pcap(sorted(packets, key=lambda packet: packet.at)))
    made = call("import", tmp_path / "day.pcap", "--spec", "firmbanking", "-w", tmp_path / "day.tgcap.jsonl").stdout.splitlines()
    assert made[1] == "host 10.0.0.2:9011  connections 1  telegrams 2  (it was connected to)"
    assert made[11] == "and 2 more hosts with fewer telegrams (--json has all)" and len(made) == 12


def test_a_file_of_other_traffic_is_told_and_ends_with_one(tmp_path: Path):
    path = tmp_path / "other.pcap"
    talk = Talk(ports=(50_000, 443))
    path.write_bytes(pcap([*talk.handshake(), talk.sends(0, b"\x16\x03\x01\x02\x00" + bytes(600)), *talk.finish()]))
    made = call("import", path, "--spec", "firmbanking", "-w", tmp_path / "a.tgcap.jsonl")
    assert made.exit_code == 1 and "10.0.0.1:50000 to 10.0.0.2:443: TLS, which cannot be read here" in made.stderr
    guessed = call("import", path, "-w", tmp_path / "b.tgcap.jsonl")
    assert guessed.exit_code == 2 and "No spec that can be found has telegrams" in guessed.stderr


def test_a_hole_is_told_with_its_place_and_is_an_error_when_strictness_is_asked_for(tmp_path: Path):
    path, out = tmp_path / "day.pcap", tmp_path / "a.tgcap.jsonl"
    path.write_bytes(day(lost=SECOND))  # the second request of the first company
    made = call("import", path, "--spec", "firmbanking", "-w", out)
    assert made.exit_code == 0
    assert "day.pcap: 304 bytes missing at offset 304 on c1 >; about 1 telegrams lost, in step again at frame" in made.stderr
    assert call("import", path, "--spec", "firmbanking", "-w", out, "--strict").exit_code == 5
    assert call("verify", out, "--strict").exit_code == 5


def test_a_damaged_file_ends_with_five_and_gives_what_is_whole(tmp_path: Path):
    out = tmp_path / "a.tgcap.jsonl"
    made = call("import", "-", "--spec", "firmbanking", "-w", out, given=gzip.compress(day())[:-40])
    assert made.exit_code == 5 and "the file ends inside packet" in made.stderr
    assert 0 < len(list(CaptureReader(out).telegrams())) <= 12
    refused = call("import", "-", "--spec", "firmbanking", "-w", out, given=b"GET / HTTP/1.1")
    assert refused.exit_code == 5 and "E-CAP-08" in refused.stderr


@pytest.mark.parametrize("form", ["pcapng", "pcapng-tcp"])
def test_wireshark_reads_what_is_written_for_it(file: Path, tmp_path: Path, form: str):
    out, made, lua = tmp_path / "a.tgcap.jsonl", tmp_path / "made.pcapng", tmp_path / "firmbanking.lua"
    call("import", file, "--spec", "firmbanking", "-w", out)
    assert call("convert", out, "--to", form, "-w", made).exit_code == 0
    lua.write_text(dissector(spec_named("firmbanking")), "utf-8")
    shown = subprocess.run(
        ["tshark", "-X", f"lua_script:{lua}", "-d", "tcp.port==9000,telegram.firmbanking", "-o", "tcp.check_checksum:TRUE", "-r", str(made),
         "-Y", "telegram.firmbanking", "-T", "fields", "-e", "frame.time_epoch", "-e", "telegram.firmbanking.message", "-e", "tcp.checksum.status"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    lines = [line.split("\t") for line in shown.stdout.splitlines()]
    assert [line[1] for line in lines] == ["transfer.request", "transfer.response"] * 6 or sorted(line[1] for line in lines) == sorted(
        ["transfer.request", "transfer.response"] * 6
    )
    assert lines[0][0].startswith("1700000000.00")
    assert all(line[2] == "1" for line in lines) or form == "pcapng"


def test_a_capture_written_as_packets_and_imported_again_is_the_same(file: Path, tmp_path: Path):
    out, packets, again = tmp_path / "a.tgcap.jsonl", tmp_path / "a.pcapng", tmp_path / "b.tgcap.jsonl"
    call("import", file, "--spec", "firmbanking", "-w", out)
    call("convert", out, "--to", "pcapng-tcp", "-w", packets)
    call("import", packets, "--spec", "firmbanking", "-w", again)
    one, other = (
        [{key: value for key, value in record.items() if key != "src"} for record in CaptureReader(path)] for path in (out, again)
    )
    assert one == other
    assert len(one) == 16


def test_connections_whose_ports_nobody_knows_stay_apart_as_packets(tmp_path: Path):
    known, packets, again = tmp_path / "a.tgcap.jsonl", tmp_path / "a.pcapng", tmp_path / "b.tgcap.jsonl"
    writer = CaptureWriter(known, records.head(t0=1_700_000_000 * 10**9, spec="firmbanking", source="router"))
    for name in ("companies#1", "companies#2"):
        writer.write(records.opened(0, name, leg="front", peer="127.0.0.1", local="companies"))
    for number in range(6):
        name = f"companies#{number % 2 + 1}"
        writer.write(records.telegram(number * 1000, name, ">", transfer(number)))
        writer.write(records.telegram(number * 1000 + 1, name, "<", answer_to(transfer(number))))
    writer.close()
    call("convert", known, "--to", "pcapng-tcp", "-w", packets)
    assert call("import", packets, "--spec", "firmbanking", "-w", again).stderr == ""
    one, other = ([record["raw"] for record in CaptureReader(path) if record["k"] == "m"] for path in (known, again))
    assert one == other and len(one) == 12


def test_no_capture_is_written_over_and_the_new_name_is_told(file: Path, tmp_path: Path):
    out = tmp_path / "day.tgcap.jsonl"
    call("import", file, "--spec", "firmbanking", "-w", out)
    before = out.read_bytes()
    assert str(tmp_path / "day-2.tgcap.jsonl") in call("import", file, "--spec", "firmbanking", "-w", out).stdout
    assert out.read_bytes() == before and len([*CaptureReader(tmp_path / "day-2.tgcap.jsonl")]) == 16


def test_what_tcpdump_records_is_imported_to_exactly_what_was_sent(tmp_path: Path):
    """A real connection on this machine, recorded by tcpdump on the loopback."""
    path, out = tmp_path / "real.pcap", tmp_path / "a.tgcap.jsonl"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with subprocess.Popen(
            ["tcpdump", "-i", "lo", "-U", "-w", str(path), "-B", "8192", f"tcp port {port}"], stderr=subprocess.PIPE, text=True
        ) as recorder:
            assert recorder.stderr is not None
            assert any("listening" in line for line in recorder.stderr)
            sent = [telegram("transfer.request", number=number) for number in range(1, 51)]
            with socket.create_connection(("127.0.0.1", port)) as client:
                accepted, _ = server.accept()
                with accepted:
                    for frame in sent:
                        client.sendall(frame)
                        assert accepted.recv(len(frame), socket.MSG_WAITALL) == frame
                        accepted.sendall(answer_to(frame))
                        client.recv(304, socket.MSG_WAITALL)
                    client.shutdown(socket.SHUT_WR)
                    assert accepted.recv(1) == b""
            soon = time.monotonic() + 3
            while path.read_bytes().count(b"SETTLEBNK") < 100 and time.monotonic() < soon:  # it is a little behind
                time.sleep(0.01)
            recorder.terminate()
    made = call("import", path, "--spec", "firmbanking", "--port", str(port), "-w", out)
    assert made.exit_code == 0, made.stderr
    found = list(CaptureReader(out).telegrams())
    assert [record["raw"] for record in found if record["d"] == ">"] == sent
    assert [record["raw"] for record in found if record["d"] == "<"] == [answer_to(frame) for frame in sent]


def test_packets_that_were_recorded_in_part_and_telegrams_of_another_spec_are_told(file: Path, tmp_path: Path):
    head, packets = file.read_bytes()[:24], []
    place, data = 24, file.read_bytes()
    while place < len(data):
        size = int.from_bytes(data[place + 8 : place + 12], "little")
        kept = data[place + 16 : place + 16 + size][:80]
        packets.append(data[place : place + 8] + len(kept).to_bytes(4, "little") + data[place + 12 : place + 16] + kept)
        place += 16 + size
    short = tmp_path / "short.pcap"
    short.write_bytes(head + b"".join(packets))
    refused = call("import", short, "--spec", "firmbanking", "-w", tmp_path / "a.tgcap.jsonl")
    assert refused.exit_code == 1 and "packets were recorded in part (snaplen)" in refused.stderr
    strange = call("import", file, "--spec", "ksnet", "-w", tmp_path / "b.tgcap.jsonl")
    assert strange.exit_code == 1 and "of ksnet: is it the right spec?" in strange.stderr
    missing = call("import", tmp_path / "none.pcap", "-w", tmp_path / "c.tgcap.jsonl")
    assert missing.exit_code == 2 and "E-CAP-04" in missing.stderr
