"""Sample telegrams of the specs whose published page gives a header only, put together piece by piece, with the framing in front.

    python tests/telegrams/composed_more.py        writes the files of specs/samples anew

All data in them is made up.
"""

from pathlib import Path

SAMPLES = Path(__file__).parents[2] / "specs" / "samples"

Pieces = tuple[tuple[int, bytes], ...]  # the offset that the published table gives, and the bytes that stand there


def joined(pieces: Pieces, size: int) -> bytes:
    """The pieces in their order; each must begin where the one before it ends."""
    made = b""
    for offset, piece in pieces:
        assert len(made) == offset, f"a piece for {offset} would stand at {len(made)}"
        made += piece
    assert len(made) == size, f"{len(made)} bytes in place of {size}"
    return made


def vas(kind: str, business: str, flag: str, code: str, number: int) -> bytes:
    pieces = (
        (0, b"VACCTBANK"), (9, b"VAS"), (12, b"   "), (15, b"  "), (17, b"%010d" % number), (27, kind.encode()), (31, business.encode()),
        (34, flag.encode()), (35, code.encode().ljust(3)), (38, b"20240315"), (46, b"090000"), (52, b" " * 10), (62, b" " * 8), (70, b" " * 30),
    )  # fmt: skip
    return b"0100" + joined(pieces, 100)


def bancassurance(kind: str, deal: str, flag: str, code: str, parts: tuple[int, int] | None, content: bytes) -> bytes:
    size = 160 + len(content)
    of, part = (b"%02d" % each for each in parts) if parts else (b"  ", b"  ")
    answered = flag == "5"
    pieces = (
        (0, b"BANCASSUR"), (9, b"BAS"), (12, b"%05d" % size), (17, b"T"), (18, b"L01"), (21, b"01"), (23, b"088"), (26, kind.encode()),
        (30, deal.encode()), (36, flag.encode()), (37, b"000"), (40, code.encode().ljust(3)), (43, b"20240315"), (51, b"101112"),
        (57, b"00000042"), (65, b"70000042" if answered else b" " * 8), (73, b"20240315"), (81, of), (83, part),
        (85, b"TERM0001".ljust(15)), (100, b" " * 30), (130, b" " * 30), (160, content),
    )  # fmt: skip
    return joined(pieces, size)


CONTRACT = "계약자 홍길동  종신보험".encode("cp949")

COMPOSED: dict[str, dict[str, bytes]] = {
    "vas": {
        f"{name}.{end}": vas("0800" if end == "request" else "0810", business, flag, code, number)
        for number, (name, business) in enumerate({"open": "101", "close": "102", "fault": "103", "recovery": "104"}.items(), 1)
        for end, flag, code in (("request", "1", ""), ("response", "2", "000"))
    },
    "bancassurance": {
        "open.request": bancassurance("0800", "000001", "1", "", None, b""),
        "open.response": bancassurance("0810", "000001", "5", "000", None, b""),
        "quote.request": bancassurance("0200", "000100", "1", "", None, b"PLAN0001" + "종신".encode("cp949")),
        "quote.response": bancassurance("0210", "000100", "5", "000", None, b"0000000123000"),
        "contracts.request": bancassurance("0200", "000200", "1", "", None, b"CUST000042"),
        "contracts.response": bancassurance("0210", "000200", "5", "000", (3, 1), CONTRACT),
    },
}


def main() -> None:
    for family, frames in COMPOSED.items():
        folder = SAMPLES / family
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in frames.items():
            (folder / f"{name}.telegram").write_bytes(frame)


if __name__ == "__main__":
    main()
