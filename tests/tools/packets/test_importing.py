"""From packets to telegrams: every telegram that was sent and captured, none that was not, none twice."""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import pairwise

import pytest
from made import (
    ACK,
    FORMS,
    PSH,
    RST,
    SERVER,
    SYN,
    T0,
    Packet,
    Talk,
    answer,
    ask,
    enhanced,
    ethernet,
    imported,
    interface,
    ipv4,
    ipv6,
    later,
    numbers,
    obsolete,
    pcap,
    pcapng,
    section,
    simple,
    small,
    tcp,
)

from telegram_router.storage.capture_records import CaptureError

ASKED = b"".join(map(ask, range(6)))


def ordered() -> list[Packet]:
    talk = Talk()
    return [*talk.handshake(), *(talk.sends(0, ask(number)) for number in range(6)), *talk.finish()]


def out_of_order() -> list[Packet]:
    packets = ordered()
    packets[4], packets[6] = packets[6], packets[4]
    return packets


def no_syn() -> list[Packet]:
    return ordered()[3:]


def gap() -> list[Packet]:
    talk = Talk()
    packets = [*talk.handshake(), *(talk.sends(0, ask(number)) for number in range(6)), *talk.finish()]
    return packets[:5] + packets[6:]


def retransmitted() -> list[Packet]:
    talk = Talk()
    first = [*talk.handshake(), *(talk.sends(0, ask(number)) for number in range(3))]
    again = [
        talk.sends(0, ask(1), position=64),  # the same
        talk.sends(0, ask(1)[:20], position=64),  # shorter
        talk.sends(0, (ask(1) + ask(2) + ask(3)), position=64),  # longer: only its end is new
    ]
    talk.sent[0] = 256
    return [*first, *again, talk.sends(0, ask(4)), talk.sends(0, ask(5)), *talk.finish()]


def split() -> list[Packet]:
    talk = Talk()
    cuts = [0, 3, 10, 64, 100, 250, 384]  # inside the length, inside the header, several in one
    pieces = [ASKED[one:other] for one, other in pairwise(cuts)]
    return [*talk.handshake(), *(talk.sends(0, piece) for piece in pieces), *talk.finish()]


def split_out_of_order() -> list[Packet]:
    packets = split()
    packets[4], packets[5], packets[7] = packets[7], packets[4], packets[5]
    return packets


FIXTURES = {each.__name__: each for each in (ordered, out_of_order, no_syn, gap, retransmitted, split, split_out_of_order)}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", FIXTURES)
def test_every_fixture_in_every_form_of_file_gives_exactly_its_telegrams(name: str, form: str):
    found, report = imported(FORMS[form](FIXTURES[name]()))
    assert numbers(found) == ([0, 1, 3, 4, 5] if name == "gap" else list(range(6)))
    gaps = [(record["offset"], record["bytes"]) for record in found if record["k"] == "gap"]
    assert gaps == ([(128, 64)] if name == "gap" else []) and report.lost == (name == "gap")
    (opened,) = (record for record in found if record["k"] == "open")
    assert (opened["peer"], opened["local"], opened["syn"]) == ("10.0.0.1:40000", "10.0.0.2:9000", name != "no_syn")
    (closed,) = (record for record in found if record["k"] == "close")
    assert (closed["how"], closed["pending"]) == ("fin", 0)
    assert [record["t"] for record in found] == sorted(record["t"] for record in found)
    assert not report.warnings and not report.strange and not report.junk


def test_what_was_out_of_order_retransmitted_or_behind_a_gap_is_marked():
    marks = {
        number: record.get("q")
        for record in imported(pcap(out_of_order()))[0]
        if record["k"] == "m"
        for number in [int(record["raw"][8:14])]
    }
    assert marks == {0: None, 1: None, 2: ["ooo"], 3: ["ooo"], 4: None, 5: None}
    assert {record.get("n", 0) for record in imported(pcap(gap()))[0]} == {0}  # numbers are given by the writer
    behind = [record for record in imported(pcap(gap()))[0] if record.get("q") == ["after_gap"]]
    assert numbers(behind) == [3]
    assert [record["q"] for record in imported(pcap(retransmitted()))[0] if "q" in record] == [["retx"]]


def test_times_are_those_of_the_first_and_the_last_byte_and_frames_are_counted_as_wireshark_does():
    found, _ = imported(pcap(split()))
    first, second = [record for record in found if record["k"] == "m"][:2]
    assert (first["t1"], first["t"]) == (3_000_000, 5_000_000) and first["src"] == {"file": "day.pcap", "frames": [4, 6]}
    assert (second["t1"], second["t"]) == (6_000_000, 7_000_000)
    assert "t1" not in imported(pcap(ordered()))[0][1]


def test_requests_and_replies_are_one_exchange_in_both_directions():
    talk = Talk()
    packets = [*talk.handshake()]
    for number in (1, 2):
        packets.append(talk.sends(0, ask(number)))
    packets += [talk.sends(1, answer(2)), talk.sends(1, answer(1)), talk.sends(1, answer(9)), *talk.finish()]
    found, _ = imported(pcapng(packets))
    assert [(record["d"], record["msg"], record.get("x")) for record in found if record["k"] == "m"] == [
        (">", "ask", "x1"), (">", "ask", "x2"), ("<", "answer", "x2"), ("<", "answer", "x1"), ("<", "answer", None),
    ]  # fmt: skip


def test_the_port_decides_who_the_host_is_where_it_is_given():
    talk = Talk(ports=(9_000, 800))
    opened = imported(pcap([talk.sends(1, ask(2)), talk.sends(0, answer(2))]), port=9000)[0][0]
    assert opened["local"] == "10.0.0.1:9000"
    assert imported(pcap(ordered()), port=9001)[0] == []


def test_of_equal_times_the_request_stands_first():
    talk = Talk(step=0)
    handshake = talk.handshake()
    request, reply = talk.sends(0, ask(1)), talk.sends(1, answer(1))
    found, _ = imported(pcap([*handshake, reply, request]))
    assert [record["d"] for record in found if record["k"] == "m"] == [">", "<"]


def test_the_same_ports_used_again_are_another_connection():
    first = Talk()
    packets = [*first.handshake(), first.sends(0, ask(1))]
    second = Talk(isn=(5_000, 7_000), at=first.at)
    packets += [*second.handshake(), second.sends(0, ask(2)), *second.finish()]
    late = Talk(isn=(5_000, 7_000), at=second.at)
    packets.append(late.sends(0, ask(2)))  # a copy that comes after the end
    found, report = imported(pcap(packets))
    assert [(record["c"], int(record["raw"][8:14])) for record in found if record["k"] == "m"] == [("c1", 1), ("c2", 2)]
    assert [record["how"] for record in found if record["k"] == "close"] == ["timeout", "fin"] and report.connections == 2


def test_a_reset_ends_a_connection_and_says_what_was_never_finished():
    talk = Talk()
    packets = [*talk.handshake(), talk.sends(0, ask(1) + ask(2)[:30]), talk.packet(1, RST)]
    closed = imported(pcap(packets))[0][-1]
    assert (closed["how"], closed["by"], closed["pending"]) == ("rst", "<", 30)


def test_a_capture_that_ends_before_the_connection_does_says_so():
    talk = Talk()
    closed = imported(pcap([*talk.handshake(), talk.sends(0, ask(1))]))[0][-1]
    assert (closed["how"], closed["by"]) == ("eof-of-file", "us")


# --- what networks do to packets


def test_the_padding_of_short_ethernet_frames_is_no_part_of_a_telegram():
    talk = Talk(wrap=lambda ends, content: ethernet(ipv4(ends, content)).ljust(60, b"\xee"))
    packets = [*talk.handshake(), *(talk.sends(0, ASKED[at : at + 4]) for at in range(0, 384, 4)), *talk.finish()]
    assert numbers(imported(pcap(packets))[0]) == list(range(6))


def extension(kind: int, following: int) -> bytes:
    return {0: bytes([following, 0]) + bytes(6), 60: bytes([following, 1]) + bytes(14), 51: bytes([following, 4]) + bytes(22)}[kind]


LAYERS: dict[str, tuple[int, Callable[[tuple[str, str], bytes], bytes]]] = {
    "vlan": (1, lambda ends, content: ethernet(ipv4(ends, content), tags=b"\x81\x00\x00\x07")),
    "q in q": (1, lambda ends, content: ethernet(ipv4(ends, content), tags=b"\x88\xa8\x00\x07\x81\x00\x00\x08")),
    "ip options": (1, lambda ends, content: ethernet(ipv4(ends, content, options=b"\x94\x04\x00\x00"))),
    "segmentation offload": (1, lambda ends, content: ethernet(ipv4(ends, content, total=0))),
    "raw": (101, ipv4),
    "raw of bsd": (12, ipv4),
    "null": (0, lambda ends, content: struct.pack("<I", 2) + ipv4(ends, content)),
    "loop": (108, lambda ends, content: struct.pack(">I", 2) + ipv4(ends, content)),
    "linux cooked": (113, lambda ends, content: struct.pack(">HHH8sH", 0, 1, 6, b"\x02" * 8, 0x0800) + ipv4(ends, content)),
    "linux cooked, vlan": (
        113,
        lambda ends, content: struct.pack(">HHH8sH", 0, 1, 6, b"\x02" * 8, 0x8100) + b"\x00\x07\x08\x00" + ipv4(ends, content),
    ),
    "linux cooked 2": (276, lambda ends, content: struct.pack(">HHIHBB8s", 0x0800, 0, 3, 1, 0, 6, b"\x02" * 8) + ipv4(ends, content)),
    "ipv6": (1, lambda ends, content: ethernet(ipv6(V6, content) if ends[0] == "10.0.0.1" else ipv6(V6[::-1], content), kind=0x86DD)),
    "ipv6 extensions": (
        101,
        lambda ends, content: ipv6(
            V6 if ends[0] == "10.0.0.1" else V6[::-1], content, extensions=extension(0, 60) + extension(60, 51) + extension(51, 6), kind=0
        ),
    ),
    "tcp options": (1, lambda ends, content: ethernet(ipv4(ends, content[:12] + b"\x80" + content[13:20] + b"\x01" * 12 + content[20:]))),
}
V6 = ("2001:db8::1", "2001:db8::2")


@pytest.mark.parametrize("name", LAYERS)
def test_telegrams_are_found_below_every_layer(name: str):
    link_type, wrap = LAYERS[name]
    talk = Talk(wrap=wrap)
    packets = [*talk.handshake(), talk.sends(0, ASKED), talk.sends(1, answer(3)), *talk.finish()]
    found, report = imported(pcap(packets, link_type=link_type))
    assert numbers(found) == list(range(6)) and numbers(found, "0210") == [3] and not report.warnings and not report.damaged
    assert found[0]["local"] == ("[2001:db8::2]:9000" if "ipv6" in name else "10.0.0.2:9000")


@pytest.mark.parametrize("version", [4, 6])
def test_fragments_are_put_together_in_whatever_order_they_come(version: int):
    talk = Talk(wrap=lambda ends, content: content)
    handshake = [later(Packet(whole(4, packet.data), packet.at), 0) for packet in talk.handshake()]
    content = talk.sends(0, ASKED).data
    parts = [(at, content[at : at + 160]) for at in range(0, len(content), 160)]
    if version == 4:
        made = [
            ipv4(("10.0.0.1", "10.0.0.2"), part, fragment=at // 8 | (0x2000 if at + 160 < len(content) else 0), identity=77)
            for at, part in parts
        ]
    else:
        handshake = [Packet(whole(6, packet.data), packet.at) for packet in Talk(wrap=lambda ends, content: content).handshake()]
        made = [ipv6(V6, part, extensions=struct.pack(">BBHI", 6, 0, at | (at + 160 < len(content)), 77), kind=44) for at, part in parts]
    fragments = [Packet(data, T0 + 10_000_000 + index) for index, data in enumerate((made[2], made[0], made[1]))]
    assert numbers(imported(pcap([*handshake, *fragments], link_type=101))[0]) == list(range(6))


def whole(version: int, content: bytes) -> bytes:
    from_client = content[:2] == struct.pack(">H", 40_000)
    if version == 4:
        ends = ("10.0.0.1", "10.0.0.2")
        return ipv4(ends if from_client else ends[::-1], content)
    return ipv6(V6 if from_client else V6[::-1], content)


def test_what_the_capture_cut_off_is_a_gap_and_never_data():
    talk = Talk()
    packets = [
        *talk.handshake(),
        talk.sends(0, ask(0)),
        talk.sends(0, ask(1) + ask(2)),
        talk.sends(0, ask(3)),
        talk.sends(0, ask(4)),
        *talk.finish(),
    ]
    cut = packets[4]
    packets[4] = Packet(cut.data[:-50], cut.at, size=len(cut.data))
    found, report = imported(pcap(packets))
    assert numbers(found) == [0, 1, 3, 4]
    assert [(record["offset"], record["bytes"], record["lost_est"]) for record in found if record["k"] == "gap"] == [
        (142, 50, 1)
    ] and report.lost == 1


def test_keep_alive_probes_are_no_data():
    talk = Talk()
    packets = [*talk.handshake(), talk.sends(0, ask(0))]
    packets += [talk.packet(0, ACK, b"\x00", position=63), talk.packet(0, ACK, b"", position=63), talk.sends(0, ask(1)), *talk.finish()]
    found, report = imported(pcap(packets))
    assert numbers(found) == [0, 1] and not report.conflicts and not report.gaps


def test_of_two_copies_that_differ_the_first_wins_and_it_is_told():
    talk = Talk()
    other = ask(7)
    packets = [*talk.handshake(), talk.sends(0, ask(0)), talk.sends(0, other, position=0), talk.sends(0, ask(1)), *talk.finish()]
    found, report = imported(pcap(packets))
    assert numbers(found) == [0, 1] and report.conflicts == 1
    talk = Talk()
    handshake, first, second = talk.handshake(), talk.sends(0, ask(0)), talk.sends(0, ask(1))
    packets = [*handshake, second, talk.sends(0, ask(8), position=64), first, *talk.finish()]  # the copy came before the hole was filled
    found, report = imported(pcap(packets))
    assert numbers(found) == [0, 1] and report.conflicts == 1


def test_a_hole_that_the_peer_has_acknowledged_is_a_gap_at_once_and_not_at_the_end():
    talk = Talk()
    packets = [*talk.handshake(), talk.sends(0, ask(0))]
    talk.sent[0] += 64  # one that was not captured
    packets += [talk.sends(0, ask(2)), talk.packet(1, ACK)]
    packets += [talk.sends(0, ask(number)) for number in range(3, 90)]
    found, _ = imported(pcap(packets))
    assert numbers(found) == [0, *range(2, 90)]
    kinds = [record["k"] for record in found]
    assert kinds.index("gap") == 2 and found[2]["offset"] == 64


def test_packets_that_the_capture_swapped_are_no_gap_though_they_were_acknowledged():
    talk = Talk()
    handshake = talk.handshake()
    one, two, three = (talk.sends(0, ask(number)) for number in range(3))
    packets = [*handshake, three, talk.packet(1, ACK), one, two, *talk.finish()]
    found, report = imported(pcap(packets))
    assert numbers(found) == [0, 1, 2] and not report.gaps


def test_a_queue_that_is_full_ends_the_waiting():
    talk = Talk()
    packets = [*talk.handshake(), talk.sends(0, ask(0))]
    talk.sent[0] += 64
    big = b"".join(map(ask, range(2, 402)))
    packets += [talk.sends(0, big[at : at + 25_600]) for at in range(0, len(big), 25_600)] * 1
    for _ in range(170):
        packets += [talk.sends(0, big)]
    found, report = imported(pcap(packets))
    assert len(numbers(found)) == 1 + 400 * 171 and report.gaps == 1


# --- what else is in the file


def test_other_traffic_is_left_out_and_named():
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)
    packets = []
    for port, payload in ((443, hello), (80, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), (5432, bytes(range(256)) * 40), (9_000, ask(1))):
        talk = Talk(ports=(40_000 + port, port))
        packets += [*talk.handshake(), talk.sends(0, payload), *talk.finish()]
    found, report = imported(pcap(packets))
    assert numbers(found) == [1] and report.connections == 1 and report.other == 3
    assert [text.partition(": ")[2] for text in report.strangers] == [
        "TLS, which cannot be read here: capture at the router, where it is decrypted", "HTTP", "no telegrams of small",
    ]  # fmt: skip


def test_bytes_between_telegrams_are_junk_and_the_next_telegram_is_found():
    talk = Talk()
    packets = [*talk.handshake(), talk.sends(0, ask(0) + b"??????" + ask(1) + ask(2)), *talk.finish()]
    found, report = imported(pcap(packets))
    assert numbers(found) == [0, 1, 2] and report.junk == 1
    (junk,) = (record for record in found if record["k"] == "junk")
    assert (junk["raw"], junk["len"], junk["err"]) == (b"??????", 6, "E-FRM-01")


def test_a_telegram_that_is_none_of_the_spec_is_kept_and_marked():
    talk = Talk()
    found, report = imported(pcap([*talk.handshake(), talk.sends(0, ask(1, "0999") + ask(2)), *talk.finish()]))
    assert [(record["msg"], record.get("err")) for record in found if record["k"] == "m"] == [
        (None, "E-RTE-01"),
        ("ask", None),
    ] and report.strange == 1


def test_interfaces_sections_and_packets_without_time_keep_their_nanoseconds():
    """Two interfaces, one in microseconds of Ethernet, one in nanoseconds of cooked Linux; another section of the other endianness."""
    talk = Talk()
    cooked = b"".join([struct.pack(">HHH8sH", 0, 1, 6, b"\x02" * 8, 0x0800)])
    one, two, three = talk.handshake()
    four, five, six = talk.sends(0, ask(0)), talk.sends(0, ask(1)), talk.sends(0, ask(2))
    last = talk.sends(0, ask(3))
    sll = Packet(cooked + five.data[14:], T0 + 4_500_123, interface=1)
    data = section() + interface(resolution=6) + interface(link_type=113, resolution=9, offset=5)
    data += b"".join(enhanced(packet) for packet in (one, two, three, four))
    data += enhanced(sll, units=lambda at: at - 5_000_000_000)
    data += block_of_another_kind() + simple(six)
    data += (
        section(">")
        + interface(">", resolution=0x80 | 20)
        + enhanced(last, ">", units=lambda at: ((at - T0) << 20) // 1_000_000_000 + ((T0 // 1_000_000_000) << 20))
    )
    found, report = imported(data)
    times = [record["t"] + one.at for record in found if record["k"] == "m"]
    assert times[:3] == [four.at, T0 + 4_500_123, T0 + 4_500_123]  # the simple packet inherits
    assert numbers(found) == [0, 1, 2, 3] and not report.warnings


def block_of_another_kind() -> bytes:
    from made import block

    return block("<", 4, bytes(8)) + block("<", 0x0BAD, b"custom12")


def test_obsolete_packet_blocks_are_read():
    packets = ordered()
    data = section() + interface() + b"".join(map(obsolete, packets))
    assert numbers(imported(data)[0]) == list(range(6))


@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_a_file_cut_anywhere_gives_what_is_whole_and_a_warning(form: str):
    data = FORMS[form](ordered())
    whole_number = len(numbers(imported(data)[0]))
    seen = set()
    for cut in range(4, len(data)):
        try:
            found, report = imported(data[:cut])
        except CaptureError:
            continue
        count = len(numbers(found))
        seen.add(count)
        assert numbers(found) == list(range(count)) and count <= whole_number
        assert not [text for text in report.warnings if "ends inside" not in text]
    assert seen == set(range(7))


@pytest.mark.parametrize(
    "data", [b"", b"x", b"{}", bytes(100), b"PK\x03\x04" + bytes(50)], ids=["empty", "a letter", "json", "zeros", "zip"]
)
def test_what_is_no_packet_capture_is_refused(data: bytes):
    with pytest.raises(CaptureError) as caught:
        imported(data)
    assert caught.value.code == "E-CAP-08"


def test_an_unknown_link_type_is_told():
    assert imported(pcap(ordered(), link_type=147))[1].warnings == ["12 packets are of link type 147, which cannot be read"]


def test_a_capture_without_packets_is_one_without_telegrams():
    assert imported(pcap([]))[0] == []


def test_a_stream_that_begins_in_the_middle_of_a_telegram_is_found_again_at_the_next():
    talk = Talk()
    packets = [talk.sends(0, ASKED[20:]), talk.sends(1, answer(1))]
    found, report = imported(pcap(packets))
    assert numbers(found) == [1, 2, 3, 4, 5] and report.gaps == 1
    (missing,) = (record for record in found if record["k"] == "gap")
    assert (missing["bytes"], missing["resync"], missing["lost_est"]) == (None, 44, 1)
    assert "before the capture began" in report.stories[0]


def test_one_side_alone_is_enough():
    talk = Talk()
    everything = [*talk.handshake(), talk.sends(0, ask(1)), talk.sends(1, answer(1)), talk.sends(0, ask(2)), talk.sends(1, answer(2))]
    client = [packet for packet in everything if packet.data[26:30] == b"\x0a\x00\x00\x01"]
    found, _ = imported(pcap(client))
    assert numbers(found) == [1, 2] and numbers(found, "0210") == []


def test_a_syn_that_carries_data_is_understood():
    talk = Talk()
    first = talk.packet(0, SYN, ask(0))
    talk.sent[0] = 64
    packets = [first, talk.packet(1, SYN | ACK), talk.sends(0, ask(1)), *talk.finish()]
    assert numbers(imported(pcap(packets))[0]) == [0, 1]


def test_polls_are_telegrams_too():
    from running_router import spec_named

    spec = spec_named("firmbanking")
    poll = spec.framing.poll_request()
    assert poll is not None
    talk = Talk()
    found, report = imported(pcap([*talk.handshake(), talk.sends(0, poll), *talk.finish()]), spec)
    assert [(record["raw"], record["msg"]) for record in found if record["k"] == "m"] == [(poll, None)] and not report.strange


def test_the_packets_of_the_test_are_as_wide_as_they_say():
    assert len(tcp((1, 2), 0, 0, ACK | PSH, b"x" * 10)) == 30 and small().messages["ask"].min_frame == 64


@pytest.mark.parametrize(
    ("ports", "side", "first", "known"),
    [
        ((40_000, 9_000), 0, ask(1), "low"), ((40_000, 9_000), 1, ask(1), "low"), ((40_000, 50_000), 0, ask(1), "requests"),
        ((40_000, 50_000), 1, answer(1), "requests"), ((900, 800), 0, ask(1), "requests"),
    ],
    ids=["low", "low, and the host asks first", "both high", "both high, and an answer is first", "both low"],
)  # fmt: skip
def test_who_connected_is_worked_out_where_no_beginning_was_seen(ports: tuple[int, int], side: int, first: bytes, known: str):
    talk = Talk(ports=ports)
    found, report = imported(pcap([talk.sends(side, first), talk.sends(0, ask(2))]))
    assert {address: host.known for address, host in report.hosts.items()} == {f"{SERVER}:{ports[1]}": known}
    assert [record["d"] for record in found if record["k"] == "m"] == ["<" if side else ">", ">"]


def test_a_host_that_was_seen_to_be_one_is_one_in_every_connection():
    begun, midway = Talk(ports=(40_000, 50_000)), Talk(ports=(40_001, 50_000))
    packets = [*begun.handshake(), begun.sends(0, ask(1)), midway.sends(1, ask(2)), midway.sends(0, answer(2))]
    found, report = imported(pcap(sorted(packets, key=lambda packet: packet.at)))
    assert [(address, host.connections) for address, host in report.hosts.items()] == [(f"{SERVER}:50000", 2)]
    assert [record["d"] for record in found if record["k"] == "m" and record["c"] == "c2"] == ["<", ">"]
