"""How fast packet captures are read: packets a second and memory, parsing, reassembly and cutting included.

python tests/benchmarks/bench_packets.py [PACKETS]
"""

from __future__ import annotations

import io
import resource
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / part) for part in ("tools/packets", "flows")]

from made import Talk, pcap  # noqa: E402
from running_router import answer_to, spec_named, transfer  # noqa: E402

from telegram_router.storage.capture_records import Record  # noqa: E402
from telegram_router.tools.packets.files import PacketFile  # noqa: E402
from telegram_router.tools.packets.importing import Importer  # noqa: E402


def traffic(count: int) -> bytes:
    """Twenty connections, each packet a telegram of 304 bytes, every other one a bare acknowledgement."""
    talks = [Talk(ports=(40_000 + number, 9_000), step=1_000) for number in range(20)]
    packets = [packet for talk in talks for packet in talk.handshake()]
    number = 0
    while len(packets) < count:
        talk = talks[number % 20]
        number += 1
        frame = transfer(number % 1_000_000)
        packets += [talk.sends(0, frame), talk.packet(1, 16), talk.sends(1, answer_to(frame)), talk.packet(0, 16)]
    return pcap(packets)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    data = traffic(count)
    spec = spec_named("firmbanking")
    seen = 0

    def take(record: Record) -> None:
        nonlocal seen
        seen += record["k"] == "m"

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    report = Importer(PacketFile(io.BytesIO(data), "made"), spec, take).run(lambda t0: None)
    took = time.process_time() - began
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    sys.stdout.write(
        f"{report.packets:,} packets ({len(data) / 1e6:,.0f} MB), {seen:,} telegrams in {took:.2f} s of CPU: "
        f"{report.packets / took:,.0f} packets/s, {seen / took:,.0f} telegrams/s; memory grew by {grown / 1024:,.0f} MiB\n"
    )


if __name__ == "__main__":
    main()
