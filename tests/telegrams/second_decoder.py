"""A decoder of its own: offset tables and plain bytes, none of our field classes, no construct. An oracle for tests."""

from decimal import Decimal

from offset_tables import ACTIONS, DIRECTIONS, TABLES, Row

DIGITS = frozenset(b"0123456789")
DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Refused(Exception):
    """`found` is the set of (offset of the field, code)."""

    def __init__(self, found: set[tuple[int, str]]) -> None:
        super().__init__(sorted(found))
        self.found = found


def decode(family: str, key: tuple[str, str], telegram: bytes) -> dict[str, object]:
    """Values by name. Raises Refused."""
    rows = TABLES[family][key]
    size = rows[-1][1] + rows[-1][2]
    if len(telegram) > size:
        raise Refused({(size, "E-FRM-07")})
    if len(telegram) < size:
        raise Refused({(next(at for _, at, n, _ in rows if at + n > len(telegram)), "E-FRM-08")})
    values: dict[str, object] = {}
    found: set[tuple[int, str]] = set()
    for name, offset, length, what in rows:
        value = one(what, telegram[offset : offset + length], size)
        if name in ("message_type", "business_code"):
            value = keyed(telegram[offset : offset + length], key[name == "business_code"])
        if isinstance(value, Bad):
            found.add((offset, value.code))
        elif name != "-":
            values[name] = value
    if found:
        raise Refused(found)
    return values


class Bad:
    def __init__(self, code: str) -> None:
        self.code = code


def keyed(raw: bytes, wanted: str) -> object:
    if raw == wanted.encode().ljust(len(raw)):
        return wanted
    if raw == b" " * len(raw):
        return Bad("E-FLD-06")
    plain = code(raw)
    return plain if isinstance(plain, Bad) else Bad("E-FLD-07")


def one(what: str, raw: bytes, size: int) -> object:
    """Value of one field, or Bad."""
    blank = raw == b" " * len(raw)
    must = what.endswith("!")
    kind = what.rstrip("!")
    if kind == "f":
        return None
    if kind[0] == "=":
        return None if raw == kind[1:].encode() else Bad("E-FLD-13")
    if kind == "k":
        return "SETTLEBNK" if raw == b"SETTLEBNK" else "" if blank else Bad("E-FLD-13")
    if kind == "L":
        return Bad("E-FLD-01") if not digits(raw) else size if number(raw) == size else Bad("E-FLD-11")
    if blank:
        return Bad("E-FLD-06") if must or kind in ("direction", "action") else "" if kind in ("c", "n", "x") else None
    if kind in ("c", "x"):
        return code(raw) if kind == "c" else text(raw)
    if kind in ("direction", "action"):
        value = code(raw)
        return value if isinstance(value, Bad) or value in (DIRECTIONS if kind == "direction" else ACTIONS) else Bad("E-FLD-07")
    if kind == "n":
        return numeric_code(raw)
    if kind in ("9", "%", "+"):
        return amount(kind, raw)
    return moment(kind, raw)


def code(raw: bytes) -> object:
    content = raw
    while content.endswith(b" "):
        content = content[:-1]
    if any(byte > 0x7F for byte in content):
        return Bad("E-ENC-01")
    if any(byte < 0x20 or byte == 0x7F for byte in content):
        return Bad("E-ENC-04")
    return "".join(map(chr, content))


def numeric_code(raw: bytes) -> object:
    plain = code(raw)
    if isinstance(plain, Bad):
        return plain
    return plain if digits(raw) else Bad("E-FLD-01")


def text(raw: bytes) -> object:
    """Character by character: one byte below 0x80, else two that cp949 has together."""
    content = raw
    while content.endswith(b" "):
        content = content[:-1]
    characters, at = [], 0
    while at < len(content):
        step = 1 if content[at] < 0x80 else 2
        try:
            characters.append(content[at : at + step].decode("cp949"))
        except UnicodeDecodeError:
            return Bad("E-ENC-01")
        at += step
    if any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or ord(c) in (0x2028, 0x2029) for c in characters):
        return Bad("E-ENC-04")
    return "".join(characters)


def digits(raw: bytes) -> bool:
    return all(byte in DIGITS for byte in raw)


def number(raw: bytes) -> int:
    total = 0
    for byte in raw:
        total = total * 10 + byte - 0x30
    return total


def amount(kind: str, raw: bytes) -> object:
    sign = raw[:1] if kind == "+" else b"+"
    figures = raw[1:] if kind == "+" else raw
    if sign not in (b"+", b"-", b" ", b"0") or not digits(figures):
        return Bad("E-FLD-01")
    units = number(figures)
    if kind == "%":
        return Decimal((0, tuple(int(chr(b)) for b in figures), -5))
    return -units if sign == b"-" else units


def moment(kind: str, raw: bytes) -> object:
    if kind == "d0" and raw == b"0" * len(raw):
        return None
    if not digits(raw):
        return Bad("E-FLD-03")
    date, time = (raw[:8], raw[8:]) if kind == "m" else (raw, b"") if kind[0] == "d" else (b"", raw)
    good = (not date or date_exists(number(date[:4]), number(date[4:6]), number(date[6:]))) and (
        not time or (number(time[:2]) < 24 and number(time[2:4]) < 60 and number(time[4:]) < 60)
    )
    return raw.decode("ascii") if good else Bad("E-FLD-03")


def date_exists(year: int, month: int, day: int) -> bool:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return year >= 1 and 1 <= month <= 12 and 1 <= day <= DAYS[month - 1] + (leap and month == 2)


def rows_of(family: str, key: tuple[str, str]) -> list[Row]:
    return TABLES[family][key]
