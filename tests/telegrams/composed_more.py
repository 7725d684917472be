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


def zengin(*pieces: tuple[int, bytes]) -> bytes:
    return joined(pieces, 120)


def kana(text: str, size: int) -> bytes:
    """Half-width kana, one byte each."""
    raw = text.encode("cp932")
    assert len(raw) == len(text) <= size
    return raw.ljust(size)


def zengin_transfer(codes: bytes, identification: bytes) -> bytes:
    return zengin(
        (0, b"2"), (1, b"0005"), (5, kana("ﾐﾂﾋﾞｼﾕ-ｴﾌｼﾞｴｲ", 15)), (20, b"123"), (23, kana("ﾎﾝﾃﾝ", 15)), (38, b"    "), (42, b"1"),
        (43, b"7654321"), (50, kana("ｶ)ﾃｽﾄｼﾖｳｼﾞ", 30)), (80, b"0000123456"), (90, b"0"), (91, codes), (111, b"7"), (112, identification),
        (113, b" " * 7),
    )  # fmt: skip


def iso8583(kind: str, bitmap: str, data: bytes) -> bytes:
    telegram = b"ISO" + b"02" + b"60" + b"000" + b"1" + b"0" + kind.encode() + bitmap.encode() + data
    return len(telegram).to_bytes(2, "big") + telegram


TRACE = b"0315101112" + b"000042"  # transmission date and time, trace number
MONEY = b"164000000000000002" + b"000000" + b"000000001500"  # a test card number, processing code, amount

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
    "zengin": {
        "header": zengin(
            (0, b"1"), (1, b"21"), (3, b"0"), (4, b"1234567890"), (14, kana("ｶ)ﾃｽﾄｺｳｷﾞﾖｳ", 40)), (54, b"0331"), (58, b"0001"),
            (62, kana("ﾐｽﾞﾎ", 15)), (77, b"001"), (80, kana("ﾄｳｷﾖｳ", 15)), (95, b"2"), (96, b"0123456"), (103, b" " * 17),
        ),
        "transfer": zengin_transfer(b"0000000001" + b"0000000002", b" "),
        "trailer": zengin((0, b"8"), (1, b"000001"), (7, b"000000123456"), (19, b" " * 101)),
        "end": zengin((0, b"9"), (1, b" " * 119)),
    },
    "iso8583": {
        f"{name}.{end}": iso8583(kind, bitmap, data)
        for name, (asked, answered, bitmap, data) in {
            "authorization": ("0100", "0110", "7220000000000000", MONEY + TRACE),
            "financial": ("0200", "0210", "7220000000000000", MONEY + TRACE),
            "financial_advice": ("0220", "0230", "7220000000000000", MONEY + TRACE),
            "reversal": ("0400", "0410", "7220000000000000", MONEY + TRACE),
            "reversal_advice": ("0420", "0430", "7220000000000000", MONEY + TRACE),
            "network": ("0800", "0810", "0220000000000000", TRACE),
        }.items()
        for end, kind in (("request", asked), ("response", answered))
    },
}  # fmt: skip


def main() -> None:
    for family, frames in COMPOSED.items():
        folder = SAMPLES / family
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in frames.items():
            (folder / f"{name}.telegram").write_bytes(frame)


if __name__ == "__main__":
    main()
