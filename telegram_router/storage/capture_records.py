"""The records of a capture file (`*.tgcap.jsonl`): one JSON object a line, its kind under `k`."""

# Rules of the format:
#
# 1. Times are whole nanoseconds since `t0` of the head, which are whole nanoseconds since 1970 in UTC. A float loses hundreds of them.
# 2. Keys and kinds that are not known are kept by whoever copies a record, and mean nothing to anybody else.
# 3. A newer version of the format has a higher `v`; what was written by an older one stays readable.

from __future__ import annotations

import binascii
import datetime
import re
from typing import Any, Final, Literal, TypeAlias

import msgspec

from telegram_router.errors import RouterError

VERSION: Final = 1
SUFFIX: Final = ".tgcap.jsonl"
KINDS: Final = ("head", "open", "m", "gap", "junk", "close", "note", "end")

Record: TypeAlias = dict[str, Any]
Payload: TypeAlias = Literal["base64", "hex"]
Direction: TypeAlias = Literal[">", "<"]  # from the side that connected, and to it
Source: TypeAlias = Literal["proxy", "router", "pcap", "simulate", "replay"]

encode_line = msgspec.json.Encoder().encode
decode_line = msgspec.json.Decoder(dict[str, Any]).decode


class CaptureError(RouterError):
    """A capture file that cannot be read or written at all."""


def head(
    *,
    t0: int,
    source: Source,
    spec: str | None = None,
    spec_sha256: str | None = None,
    tz: str = "+09:00",
    payload: Payload = "base64",
    mask: Record | None = None,
    seed: str | None = None,
    tool: str = "telegram-router",
) -> Record:
    """The first line. `mask`: policy name, key id (never the key) and what masking made invalid."""
    return {
        "k": "head", "v": VERSION, "tool": tool, "spec": spec, "spec_sha256": spec_sha256, "t0": t0, "tz": tz, "payload": payload,
        "mask": mask, "source": source, "seed": seed,
    }  # fmt: skip


def opened(
    t: int, c: str, *, leg: Literal["front", "back"], peer: str, local: str, tls: Record | None = None, syn: bool = True, **more: Any
) -> Record:
    """A connection was seen. `syn`: its beginning too."""
    return {"k": "open", "t": t, "c": c, "leg": leg, "peer": peer, "local": local, "tls": tls, "syn": syn, **more}


def telegram(t: int, c: str, d: Direction, frame: bytes, *, x: str | None = None, msg: str | None = None, **more: Any) -> Record:
    """One whole frame; its number is given by whoever writes it. `x` joins what belongs to one exchange."""
    made: Record = {"k": "m", "n": 0, "t": t, "c": c, "d": d, "len": len(frame), "raw": frame}
    if x is not None:
        made["x"] = x
    made["msg"] = msg
    return made | more


def gap(t: int, c: str, d: Direction, *, offset: int, size: int | None, resync: int = 0, lost: int = 0, **more: Any) -> Record:
    """Bytes that are missing: `size` of them at an offset of the stream, None when nobody knows how many."""
    return {"k": "gap", "t": t, "c": c, "d": d, "offset": offset, "bytes": size, "resync": resync, "lost_est": lost, **more}


def junk(t: int, c: str, d: Direction, data: bytes, *, err: str, **more: Any) -> Record:
    """Bytes that no frame explains."""
    return {"k": "junk", "t": t, "c": c, "d": d, "len": len(data), "raw": data, "err": err, **more}


def closed(
    t: int, c: str, *, by: Literal[">", "<", "us"], how: Literal["fin", "rst", "timeout", "eof-of-file"], pending: int = 0, **more: Any
) -> Record:
    """A connection's end. `pending`: bytes of a telegram that was never finished."""
    return {"k": "close", "t": t, "c": c, "by": by, "how": how, "pending": pending, **more}


def note(t: int, text: str, **more: Any) -> Record:
    """Something for people to read."""
    return {"k": "note", "t": t, "text": text, **more}


def as_written(record: Record, payload: Payload) -> Record:
    """A record whose bytes are as the payload's form has them."""
    raw = record.get("raw")
    if payload == "base64" or not isinstance(raw, bytes):
        return record  # the encoder writes bytes in base64 by itself
    return record | {"raw": raw.hex()}


def as_read(record: Record, payload: Payload) -> Record:
    """A record whose bytes are bytes again. Raises ValueError where they are no text of the payload's form."""
    raw = record.get("raw")
    if not isinstance(raw, str):
        return record
    record["raw"] = bytes.fromhex(raw) if payload == "hex" else binascii.a2b_base64(raw, strict_mode=True)
    return record


def zone_of(tz: str) -> datetime.timezone:
    """The offset that a head names, such as +09:00; UTC for what is none."""
    found = re.fullmatch(r"([+-])(\d\d):(\d\d)", tz)
    if found is None:
        return datetime.UTC
    offset = datetime.timedelta(hours=int(found[2]), minutes=int(found[3]))
    return datetime.timezone(-offset if found[1] == "-" else offset)
