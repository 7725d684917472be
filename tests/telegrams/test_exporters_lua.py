"""The Wireshark dissector, in tshark: captures go in, fields with the same values as our own decoding come out."""

import random
import socket
import subprocess
import threading
import time
from decimal import Decimal

import pytest
from captures import capture, cut, dissect, tshark
from construct import Struct
from parcel_family import SPEC as PARCEL
from parcel_family import order_frame
from shipped import ROOT, shipped

from telegram_router.errors import FieldError
from telegram_router.telegrams import (
    Code,
    Digits,
    Family,
    Filler,
    FixedSize,
    Framing,
    Length,
    LengthField,
    Message,
    Poll,
    Reply,
    Telegram,
    Terminated,
    Text,
    compile_family,
)
from telegram_router.telegrams.exporters.lua import dissector
from telegram_router.telegrams.generate import sample
from telegram_router.telegrams.layout import is_flat

PORTS = dict(enumerate(sorted(file.stem for file in (ROOT / "specs").glob("*.py")), 9001))
TRANSFER = (ROOT / "specs" / "samples" / "firmbanking" / "transfer.request.telegram").read_bytes()


def sample_frames(name):
    return {message: (ROOT / "specs" / "samples" / name / f"{message}.telegram").read_bytes() for message in shipped(name).messages}


def shown_as(value) -> str:
    """A value as tshark writes it."""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return ":".join(f"{byte:02x}" for byte in value) if isinstance(value, bytes) else str(value)


def same_values(telegram: Telegram, seen) -> None:
    """Every value that we decode is in the tree, under the filter name of its path."""
    assert seen.message == telegram.message.name
    for planned in telegram.message.fields if is_flat(telegram.message.tree) else ():
        value = telegram[planned.name] if planned.name else None
        if value is None:
            continue
        assert seen.fields[planned.path] == [shown_as(value)], planned.path
    assert not seen.experts


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("capture")


@pytest.fixture(scope="module")
def shipped_telegrams(folder):
    """All samples of the shipped specs, one behind the other on a connection of each, in segments that cut them anywhere."""
    segments = []
    for port, name in PORTS.items():
        stream = b"".join(sample_frames(name).values())
        segments += [(port, True, piece) for piece in cut(stream, [1, 3, 500, 299, 304, 1300, 2])]
    specs = {port: shipped(name) for port, name in PORTS.items()}
    return dissect(folder, specs, capture(segments))


class TestShippedSpecs:
    @pytest.mark.parametrize(("port", "name"), PORTS.items())
    def test_every_sample_is_found_however_it_was_cut_and_shows_the_values_that_we_decode(self, shipped_telegrams, port, name):
        spec, frames = shipped(name), sample_frames(name)
        seen = [each for each in shipped_telegrams if each.port == port]
        assert [each.message for each in seen] == list(frames)
        for found, frame in zip(seen, frames.values(), strict=True):
            same_values(spec.decode(frame), found)

    def test_korean_labels_and_meanings_are_shown(self, shipped_telegrams):
        notice = next(each for each in shipped_telegrams if each.message == "deposit_notice.request")
        assert "입출취소구분 direction: 11 (입금 deposit)" in notice.shown
        assert any(line.startswith("거래일자 date of the deal: ") and line.endswith(")") for line in notice.shown)
        transfer = next(each for each in shipped_telegrams if each.message == "transfer.request")
        assert "적요 text in the passbook: 홍길동급여" in transfer.shown
        assert "출금금액 withdrawal amount: 1234500 (1,234,500)" in transfer.shown
        assert "예비 reserved: 53 bytes, blank" in transfer.shown

    def test_masked_fields_are_shown_and_the_file_says_so(self, shipped_telegrams):
        transfer = next(each for each in shipped_telegrams if each.message == "transfer.request")
        assert transfer.fields["body.withdrawal_account"] == ["110123456789"]
        assert "Everything that is on the wire is shown" in dissector(shipped("firmbanking"))


def column(folder, options, file, *fields):
    (folder / "c.pcap").write_bytes(file)
    script = folder / "firmbanking.lua"
    script.write_text(dissector(shipped("firmbanking")), "utf-8")
    named = [part for each in fields for part in ("-e", each)]
    return tshark("-X", f"lua_script:{script}", "-r", str(folder / "c.pcap"), "-T", "fields", *named, *options).splitlines()


class TestInWireshark:
    def test_the_info_column_names_each_message(self, folder):
        file = capture([(9001, True, TRANSFER + b"0020HDRREQPOLL0315101112"), (9001, False, TRANSFER[:50])])
        seen = column(folder, ["-d", "tcp.port==9001,telegram.firmbanking"], file, "_ws.col.Protocol", "_ws.col.Info")
        assert seen[0] == "FIRMBANKING\ttransfer.request 지급이체 transfer (송금) | poll"
        assert seen[1].startswith("TCP\t")  # not a whole telegram yet

    def test_ports_are_a_preference(self, folder):
        file = capture([(9001, True, TRANSFER), (9105, True, TRANSFER), (9200, True, TRANSFER)])
        seen = column(folder, ["-o", "telegram.firmbanking.ports:9001,9100-9110"], file, "telegram.firmbanking.message")
        assert seen == ["transfer.request", "transfer.request", ""]

    def test_amounts_can_be_compared_in_a_filter(self, folder):
        file = capture([(9001, True, TRANSFER), (9001, True, TRANSFER.replace(b"0000001234500", b"0000000000500"))])
        options = ["-d", "tcp.port==9001,telegram.firmbanking", "-Y", "telegram.firmbanking.body.amount > 1000000"]
        assert column(folder, options, file, "frame.number") == ["1"]


def flow(name: str, framing: Framing, encoding: str = "ascii", **more) -> object:
    """A small family in some framing."""
    header = Struct(*more.pop("front", []), "type" / Code(2, log="clear") * "구분 type", "number" / Digits(4, log="clear"))
    body = Struct("memo" / Text(8) * "적요 memo", Filler(2))
    messages = [Message("note", "쪽지 note", ("01",), body, kind="oneway", reply=Reply.none()), Message("bare", "", ("02",), kind="oneway")]
    return compile_family(Family(name, header, messages, framing, ("type",), ("number",), encoding=encoding, **more))


FRAMINGS = {
    "ascii": Framing(LengthField(0, 4, "ascii")),
    "self": Framing(LengthField(0, 3, "ascii", "self")),
    "bcd": Framing(LengthField(0, 2, "bcd")),
    "hex": Framing(LengthField(0, 4, "hex")),
    "ebcdic": Framing(LengthField(0, 4, "ebcdic")),
    "big": Framing(LengthField(0, 2, "u_be")),
    "little": Framing(LengthField(0, 4, "u_le", "self")),
    "marked_length": Framing(LengthField(2, 2, "u_be", before=b"\x02\x7e", after=b"\x00", end=b"\x03", add=-1)),
    "fixed": Framing(FixedSize(16)),
    "terminated": Framing(Terminated(b"\x03", b"\x02")),
    "lines": Framing(Terminated(b"\r\n")),
}


def flows():
    """A family for each framing, by the port that it is spoken on."""
    specs = {}
    for port, (name, framing) in enumerate(FRAMINGS.items(), 9300):
        messages = {"length": 16} if name == "fixed" else {}
        spec = flow(name, framing, "cp949", **messages) if name != "fixed" else fixed_flow()
        specs[port] = spec
    inside = Framing(LengthField(3, 4, "ascii", "all"))
    specs[9399] = flow("inside", inside, "cp949", front=["mark" / Code(3, log="clear"), "length" / Length(4)])
    return specs


def fixed_flow():
    header = Struct("type" / Code(2, log="clear"), "number" / Digits(4, log="clear"))
    body = Struct("memo" / Text(8) * "적요 memo", Filler(2))
    note = Message("note", "쪽지 note", ("01",), body, kind="oneway", reply=Reply.none())
    return compile_family(Family("fixed", header, [note], FRAMINGS["fixed"], ("type",), ("number",), encoding="cp949"))


@pytest.fixture(scope="module")
def framed_telegrams(folder):
    """Twelve telegrams in each framing, cut anywhere."""
    specs, segments, frames = flows(), [], {}
    for port, spec in specs.items():
        names = list(spec.messages)
        frames[port] = [spec.encode(sample(spec, names[n % len(names)], "framing", n)) for n in range(12)]
        segments += [(port, True, piece) for piece in cut(b"".join(frames[port]), [1, 2, 7, 30, 1, 100])]
    return specs, frames, dissect(folder, specs, capture(segments))


@pytest.mark.parametrize("port", flows())
def test_frames_of_every_framing_are_put_together(framed_telegrams, port):
    specs, frames, telegrams = framed_telegrams
    found = [each for each in telegrams if each.port == port]
    assert len(found) == len(frames[port])
    for each, frame in zip(found, frames[port], strict=True):
        same_values(specs[port].decode(frame), each)


def test_utf_16_is_read_in_either_order_of_its_bytes(folder):
    """Put together by hand: 00 41 is A, 00 E9 is é, AC00 is 가, 3000 the wide blank; D8 3D begins a pair, which is no character here."""
    body = Struct(
        "name" / Text(10, "utf-16-be", double_byte=True),
        "right" / Text(6, "utf_16_le", align="right", double_byte=True),
        "low" / Text(6, "UTF-16BE", double_byte=True, null="low"),
    )
    messages = [Message("record", "", (), body, kind="oneway")]
    framing = Framing(FixedSize(22))
    spec = compile_family(Family("wide", Struct(), messages, framing, (), (), encoding="cp037"))
    good = bytes.fromhex("0041 00e9 ac00 3000 00200030 2000 00acac00 0000 0000")
    bad = bytes.fromhex("0041 d83d de00 0020 00202000 2000 20000020 0020 0020")
    seen = dissect(folder, {9201: spec}, capture([(9201, True, good), (9201, True, bad)]))
    assert [[each.fields[f"body.{name}"] for name in ("name", "right", "low")] for each in seen[:1]] == [[["Aé가"], ["가"], ["가"]]]
    same_values(spec.decode(good), seen[0])
    assert seen[1].experts == ["body.name: byte 3 of the field begins no character of utf-16-be"]


def framed(telegram):
    return b"%04d" % len(telegram) + telegram


def bad_telegram():
    telegram = bytearray(TRANSFER[4:])
    telegram[129:142] = b"00000012A4500"
    telegram[38:46] = b"20240230"
    telegram[142:143] = b"?"
    telegram[199:213] = b"\xc8\xab\xb1\xe6\x80ABCDEFGHI"
    return bytes(telegram)


STARTS = (b"abcd", b"    ", b"\x00\x00\x00\x00", b"00-1", "００".encode())
SIZES = range(1, 300, 3)
# What is sent on a connection of its own each, and in the words of which spec.
BAD = {
    "sizes": [framed(TRANSFER[4 : 4 + size]) for size in SIZES],
    "beyond": [framed(TRANSFER[4:] + b"abc")],
    "fields": [framed(bad_telegram())],
    "key": [TRANSFER.replace(b"2000100", b"9999999", 1)],
    **{f"start {start!r}": [start + b"rest of it"] for start in STARTS},
    "above": [b"99999rest of it"],
    "unmarked": [b"nothing of ours\x03"],
    "polls": [b"0008PING1234", b"0008PONG1234"],
}


@pytest.fixture(scope="module")
def bad(folder):
    """What tshark makes of each."""
    other = {
        "above": flow("narrow", Framing(LengthField(0, 4, "ascii"), max=9000), "cp949"),
        "unmarked": flow("marks", FRAMINGS["terminated"], "cp949"),
        "polls": flow("polled", Framing(LengthField(), polls=[Poll(b"PING", b"PONG", 4)]), "cp949"),
    }
    ports = dict(zip(BAD, range(9500, 9999), strict=False))
    specs = {ports[name]: other.get(name, shipped("firmbanking")) for name in BAD}
    found = dissect(folder, specs, capture((ports[name], True, frame) for name, frames in BAD.items() for frame in frames))
    return {name: [each for each in found if each.port == port] for name, port in ports.items()}


class TestBadBytes:
    """Whatever stands on the wire: no error of the script itself, and what is wrong is told as expert information."""

    def test_telegrams_of_every_size_are_shown_as_far_as_they_go(self, bad):
        assert len(bad["sizes"]) == len(SIZES)
        for seen, size in zip(bad["sizes"], SIZES, strict=True):
            assert size < 31 or any("bytes, " in each and " left" in each for each in seen.experts)
        assert bad["sizes"][SIZES.index(130)].experts == ["body.amount needs 13 bytes, 1 left"]

    def test_bytes_beyond_the_layout_are_told(self, bad):
        assert bad["beyond"][0].experts == ["3 bytes beyond the layout of transfer.request"]

    def test_each_bad_field_is_told_by_its_path(self, bad):
        assert bad["fields"][0].experts == [
            "header.sent_date: no such date or time",
            "body.amount: field is not all digits",
            "body.balance_after: sign is none of + - blank 0",
            "body.memo: byte 5 of the field begins no character of cp949",
        ]

    def test_a_key_of_no_message_shows_the_header_only(self, bad):
        (seen,) = bad["key"]
        assert seen.message == "no message of this key"
        assert "no message of the spec has this key" in seen.experts
        assert seen.fields["header.company_number"] == ["TESTCO000001"]
        assert "200 bytes of a body that is not known" in seen.shown

    @pytest.mark.parametrize("name", [*(f"start {start!r}" for start in STARTS), "above"])
    def test_lost_framing_is_told(self, bad, name):
        (seen,) = bad[name]
        assert len(seen.experts) == 1 and seen.experts[0].startswith("length ")

    def test_what_begins_with_no_start_mark_is_told(self, bad):
        assert bad["unmarked"][0].experts == ["start mark is missing where a frame must begin"]

    def test_polls_are_known(self, bad):
        assert [each.message for each in bad["polls"]] == ["poll", "answer to a poll"]

    def test_mutated_telegrams_are_told_where_we_refuse_them(self, folder):
        chance = random.Random(20240315)
        frames = []
        for _ in range(120):
            frame = bytearray(order_frame())
            for _ in range(chance.randint(1, 20)):
                frame[chance.randrange(4, len(frame))] = chance.randrange(256)
            frames.append(bytes(frame))
        seen = dissect(folder, {9001: PARCEL}, capture((9001, True, frame) for frame in frames))
        assert len(seen) == 120
        for found, frame in zip(seen, frames, strict=True):
            try:
                PARCEL.decode(frame)
            except FieldError as error:
                assert found.experts, error.problems


def may_capture() -> bool:
    """Whether this user may record the loopback device: root may, and so may who has been given the capability."""
    looked = subprocess.run(["tcpdump", "-i", "lo", "-d"], capture_output=True, check=False, timeout=20)
    return looked.returncode == 0


@pytest.mark.skipif(not may_capture(), reason="recording the loopback device needs root or CAP_NET_RAW")
def test_real_traffic_that_tcpdump_recorded_is_dissected(folder):
    """Sockets of this machine, recorded on the loopback device."""
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    file = folder / "real.pcap"
    recorder = subprocess.Popen(
        ["tcpdump", "-i", "lo", "--immediate-mode", "-U", "-w", str(file), "tcp", "port", str(port)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        assert recorder.stderr is not None
        assert b"listening on" in recorder.stderr.readline()
        answerer = threading.Thread(target=answer, args=(server,))
        answerer.start()
        with socket.create_connection(("127.0.0.1", port)) as asker:
            asker.sendall(TRANSFER[:100])
            asker.sendall(TRANSFER[100:] * 1)
            while asker.recv(4096):
                pass
        answerer.join(timeout=10)
        deadline = time.monotonic() + 5
        while file.stat().st_size < 600 and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        recorder.terminate()
        recorder.communicate(timeout=10)
        server.close()
    seen = dissect(folder, {port: shipped("firmbanking")}, file.read_bytes())
    assert [each.message for each in seen] == ["transfer.request", "transfer.response"]
    assert seen[1].fields["body.memo"] == ["홍길동급여"]


def answer(server):
    line, _ = server.accept()
    with line:
        got = b""
        while len(got) < len(TRANSFER):
            got += line.recv(4096)
        line.sendall((ROOT / "specs" / "samples" / "firmbanking" / "transfer.response.telegram").read_bytes())


def test_labels_with_quotes_and_names_in_korean_make_a_valid_script(folder):
    header = Struct(
        "구분" / Code(2, {"01": 'a "quoted" \\ meaning\n'}, log="clear") * 'say "type" \\ \n', "number" / Digits(4, log="clear")
    )
    message = Message("note", 'a "title"\\', ("01",), Struct("메모" / Text(8) * "적요"), kind="oneway")
    spec = compile_family(
        Family("전문", header, [message], Framing(LengthField()), ("구분",), ("number",), title="한글 전문", encoding="cp949")
    )
    text = dissector(spec)
    assert "Proto(SPEC.proto" in text
    (folder / "hangul.lua").write_text(text, "utf-8")
    (folder / "hangul.pcap").write_bytes(
        capture([(9001, True, spec.encode(Telegram(spec, message_of(spec), {"number": 7}, {"메모": "홍길동"})))])
    )
    seen = tshark(
        "-X", f"lua_script:{folder / 'hangul.lua'}", "-r", str(folder / "hangul.pcap"), "-d", "tcp.port==9001,telegram._c804_bb38", "-V"
    )
    assert "적요: 홍길동" in seen
    assert 'say "type" \\' in seen


def message_of(spec):
    return next(iter(spec.messages.values()))
