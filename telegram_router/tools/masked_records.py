"""Records of a capture as they may be kept: telegrams masked, everything else that might hold a value taken out."""

# Rules this file keeps, all of them tested:
#
# 1. Of a record only what this file knows is kept: a key or a kind that it does not know is left out.
# 2. Bytes that cannot be masked leave their length and their keyed digest.

from __future__ import annotations

from typing import Final

from telegram_router.storage.capture_records import Record
from telegram_router.telegrams.masking import Masker

_HARMLESS: Final = frozenset({"k", "n", "t", "c", "d", "len", "x", "t1", "q"})
_KEPT: Final = {
    "head": frozenset({"k", "v", "tool", "spec", "spec_sha256", "t0", "tz", "payload", "source", "seed", "part"}),
    "open": frozenset({"k", "t", "c", "leg", "peer", "local", "syn", "again", "t1", "listener", "service", "backend"}),
    "m": _HARMLESS,
    "gap": _HARMLESS | {"offset", "bytes", "resync", "lost_est"},
    "junk": _HARMLESS,
    "close": frozenset({"k", "t", "c", "by", "how", "pending"}),
    "note": frozenset({"k", "t"}),
}
_TLS: Final = ("v", "cipher", "sni", "fingerprint")
UNREADABLE: Final = "not a telegram of the spec"


class RecordMasker:
    """Masks the records of one capture."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self.masked = 0
        self.unreadable = 0
        self.left_out = 0  # records of kinds that are not known

    def head(self, head: Record) -> Record:
        return self._kept(head) | {"mask": self._masker.told}

    def record(self, record: Record) -> Record | None:
        """A record as it may be kept; None for one that may not, and for a file's end."""
        kind = record["k"]
        if kind not in _KEPT:
            self.left_out += kind != "end"
            return None
        kept = self._kept(record)
        if kind == "m":
            return kept | self._telegram(record)
        if kind == "junk":
            self.unreadable += 1
            raw = record.get("raw")
            digest = self._masker.pseudonyms.digest(raw) if isinstance(raw, bytes) else record.get("hmac")
            return kept | {"hmac": digest, "err": UNREADABLE}
        if kind == "note":
            text = str(record.get("text", ""))
            return kept | {
                "text": f"a note of {len(text)} characters",
                "hmac": self._masker.pseudonyms.digest(text.encode("utf-8", "replace")),
            }
        if kind == "open" and isinstance(record.get("tls"), dict):
            kept["tls"] = {name: record["tls"][name] for name in _TLS if name in record["tls"]}
        return kept

    def _kept(self, record: Record) -> Record:
        kept = {name: record[name] for name in record if name in _KEPT[record["k"]]}
        if isinstance(record.get("src"), dict):  # numbers of packets; a file's name may be anybody's
            kept["src"] = {name: value for name, value in record["src"].items() if isinstance(value, int | list)}
        return kept

    def _telegram(self, record: Record) -> Record:
        made = self._masker.mask(record["raw"])
        if made.frame is None:
            self.unreadable += 1
            return {"raw": b"", "hmac": made.digest, "msg": made.message, "err": UNREADABLE}
        self.masked += 1
        return {"raw": made.frame, "msg": made.message}
