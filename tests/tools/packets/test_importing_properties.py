"""Any stream, cut, copied, swapped and cut into by the network: what is given was sent, in order, once; what is lost is counted."""

from __future__ import annotations

import random
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import pytest
from made import ACK, FORMS, PSH, Packet, Talk, ask, imported, numbers, pcap, pcapng
from test_importing import FIXTURES, split

from telegram_router.storage.capture_records import CaptureError

WINDOW = 5  # packets that may come in another order


def segments(chance: random.Random, *, drops: bool) -> tuple[int, list[Packet]]:
    """A number of telegrams, and the packets of a connection that sends them."""
    count = chance.randint(1, 12)
    stream = b"".join(map(ask, range(count)))
    talk = Talk(isn=(chance.choice((2**32 - chance.randint(1, 800), chance.getrandbits(32))), chance.getrandbits(32)))
    packets = talk.handshake()
    cuts = sorted({0, len(stream), *(chance.randrange(1, len(stream)) for _ in range(chance.randint(0, 20)))})
    pieces = list(pairwise(cuts))
    for _ in range(chance.randint(0, 5)):  # copies of what was sent, cut otherwise
        low = chance.randrange(len(stream))
        pieces.insert(chance.randint(0, len(pieces)), (low, min(low + chance.randint(1, 200), len(stream))))
    pieces = [piece for _, piece in sorted((index + chance.uniform(0, WINDOW), piece) for index, piece in enumerate(pieces))]
    if drops:
        pieces = [piece for piece in pieces if chance.random() < 0.7]
    data = [talk.packet(0, ACK | PSH, stream[low:high], position=low) for low, high in pieces]
    if chance.random() < 0.5:
        data.insert(chance.randint(max(0, len(data) - WINDOW), len(data)), talk.packet(1, ACK, acknowledged=len(stream)))
    talk.sent[0] = len(stream)
    return count, [*packets, *data, *talk.finish()]


def test_two_thousand_streams_of_which_nothing_is_missing_are_given_whole_whatever_was_done_to_them():
    for seed in range(2_000):
        count, packets = segments(random.Random(seed), drops=False)
        found, report = imported(pcap(packets))
        assert numbers(found) == list(range(count)), seed
        assert not report.gaps and not report.conflicts and not report.lost and not report.junk, seed


def test_of_two_thousand_streams_with_holes_no_telegram_is_made_up_or_given_twice_and_what_is_lost_is_counted():
    whole = 0
    for seed in range(2_000):
        count, packets = segments(random.Random(seed), drops=True)
        found, report = imported(pcapng(packets))
        telegrams = [record for record in found if record["k"] == "m"]
        known = numbers(telegrams)
        assert known == sorted(set(known)), seed
        assert [record["raw"] for record in telegrams] == [ask(number) for number in known], seed
        if known:  # a connection without a telegram is not ours
            assert report.lost == count - len(known), seed
            assert bool(report.gaps) == (len(known) < count), seed
        whole += len(known) == count
    assert 100 < whole < 1_900


@pytest.mark.parametrize("name", [name for name in FIXTURES if name != "gap"])
def test_tshark_sees_the_same_bytes(name: str, tmp_path: Path):
    file = tmp_path / "day.pcap"
    file.write_bytes(pcap(FIXTURES[name]()))
    followed = subprocess.run(
        ["tshark", "-r", str(file), "-o", "tcp.reassemble_out_of_order:TRUE", "-q", "-z", "follow,tcp,raw,0"],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    lines = [line for line in followed.splitlines() if line and all(each in "0123456789abcdef\t" for each in line)]
    mine = b"".join(record["raw"] for record in imported(file.read_bytes())[0] if record["k"] == "m")
    assert bytes.fromhex("".join(line.strip() for line in lines)) == mine


def test_ten_thousand_damaged_files_cost_nobody_anything():
    chance = random.Random(7)
    packets = split()[:7]
    whole = [form(packets) for form in FORMS.values()]
    slowest = 0.0
    for number in range(10_000):
        data = bytearray(whole[number % len(whole)])
        for _ in range(chance.randint(1, 6)):
            place = chance.randrange(len(data))
            done = chance.randrange(4)
            if done == 0:
                data[place] = chance.randrange(256)
            elif done == 1:
                del data[place : place + chance.randint(1, 20)]
            elif done == 2:
                data[place:place] = chance.randbytes(chance.randint(1, 20))
            else:
                data[place : place + 4] = chance.choice((b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff"))
        began = time.process_time()
        try:
            imported(bytes(data))
        except CaptureError:
            pass
        slowest = max(slowest, time.process_time() - began)
    assert slowest < 1.0
