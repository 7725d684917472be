"""Masking of captures: a thousand planted secrets are searched for in all that comes out, in every encoding."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from telegram_router.cli import main
from telegram_router.storage import capture_records as records
from telegram_router.storage.capture_reader import CaptureReader
from telegram_router.storage.capture_records import Record
from telegram_router.storage.capture_writer import CaptureWriter
from telegram_router.telegrams import Spec, Telegram, load_spec
from telegram_router.telegrams.fields.checks import is_resident_number
from telegram_router.tools.surviving import in_bytes, in_text

ROOT = Path(__file__).parent.parent
SECRETS = 1_000
HANGUL = [chr(code) for code in range(ord("가"), ord("힣")) if len(chr(code).encode("euc_kr")) == 2]


def call(*arguments: str | Path, given: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["capture", *map(str, arguments)], input=given, prog_name="telegram-router")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "mask.key"
    path.write_bytes(b"a key of more than sixteen bytes\n")
    return path


@pytest.fixture(scope="module")
def spec() -> Spec:
    return load_spec((ROOT / "specs" / "firmbanking.py").read_text(encoding="utf-8"), "firmbanking.py")


class Planted:
    """Secrets, each in one record of a capture: in fields, in frames that nobody can decode, in junk, notes and unknown keys."""

    def __init__(self, spec: Spec, path: Path) -> None:
        self.chance = random.Random(7)
        self.secrets: list[str] = []
        sample = (ROOT / "specs" / "samples" / "firmbanking" / "transfer.request.telegram").read_bytes()
        self.request = spec.decode(sample)
        writer = CaptureWriter(path, records.head(t0=0, source="proxy", spec="firmbanking") | {"comment": self.new("account")})
        writer.write(records.opened(0, "c1", leg="front", peer="10.0.0.1:4000", local="10.0.0.2:9000", who=self.new("name")))
        at = 0
        while len(self.secrets) < SECRETS:
            at += 1
            writer.write(self.record(spec, sample, at))
        writer.close()

    def new(self, kind: str) -> str:
        pick = self.chance.choice
        if kind == "name":
            made = "".join(pick(HANGUL) for _ in range(5))
        elif kind == "rrn":
            front = f"{self.chance.randrange(100):02d}{self.chance.randrange(1, 13):02d}{self.chance.randrange(1, 29):02d}1"
            front += f"{self.chance.randrange(10**5):05d}"
            made = next(front + last for last in "0123456789" if is_resident_number(front + last))
        elif kind == "pin":
            made = "".join(pick("0123456789ABCDEFGH") for _ in range(8))
        else:
            made = "".join(pick("0123456789") for _ in range(14))
        self.secrets.append(made)
        return made

    def record(self, spec: Spec, sample: bytes, at: int) -> Record:
        way = at % 8
        if way == 1:
            return records.junk(
                at, "c1", ">", self.new("account").translate(EBCDIC).encode("latin-1") + self.new("name").encode("euc_kr"), err="E-FRM-01"
            )
        if way == 2:
            return records.note(at, f"rang {self.new('name')}", more=self.new("rrn"))
        if way == 3:
            return records.telegram(at, "c1", ">", sample[:-14] + self.new("account").encode() + b"!", err=self.new("rrn"))
        if way == 4:
            return records.telegram(
                at, "c1", ">", sample[:104] + b"\x01" + self.new("account").encode() + sample[119:], f={"x": self.new("pin")}
            )
        if way == 5:
            frame = sample[:-14] + self.new("account").encode()  # reserved bytes
            return records.telegram(at, "c1", ">", frame, msg=self.new("name"), x="x1")
        body = self.request.body | {
            "withdrawal_account": self.new("account"),
            "deposit_account": self.new("account"),
            "passbook_password": self.new("pin"),
            "memo": self.new("name"),
            "deposit_holder": self.new("name"),
            "deposit_id_number": self.new("rrn"),
        }
        frame = spec.encode(Telegram(spec, self.request.message, self.request.header, body))
        return records.telegram(at, "c1", ">", frame, x=f"x{at}", msg="transfer.request")


EBCDIC = {ord(digit): chr(0xF0 + int(digit)) for digit in "0123456789"}


def spellings(secret: str) -> list[bytes]:
    """How a secret may stand somewhere. In base64 it begins at one of three places of a group, of which the sure middle is taken."""
    found = []
    for page in ("euc_kr", "utf-8", "cp933", "utf-16-le"):
        raw = secret.encode(page).strip(b"\x0e\x0f")
        found += [raw, raw.hex().encode(), raw.hex().upper().encode()]
        for shift in range(3):
            coded = base64.b64encode(bytes(shift) + raw)
            found.append(coded[4 if shift else 0 : (len(raw) + shift) // 3 * 4])
    return [each for each in found if len(each) >= 8]


def holds(text: bytes, secrets: list[str]) -> list[str]:
    return [secret for secret in secrets if any(each in text for each in spellings(secret))]


def test_nothing_of_a_thousand_planted_secrets_is_left(tmp_path: Path, key: Path, spec: Spec):
    planted = Planted(spec, tmp_path / "day.tgcap.jsonl")
    whole = (tmp_path / "day.tgcap.jsonl").read_bytes()
    raw = b"\n".join(record.get("raw", b"") for record in CaptureReader(tmp_path / "day.tgcap.jsonl"))
    assert len(holds(whole + raw, planted.secrets)) >= SECRETS  # the search would find them

    done = call("mask", tmp_path / "day.tgcap.jsonl", "--key-file", key, "-w", tmp_path / "masked.tgcap.jsonl")
    assert done.exit_code == 0
    text = (tmp_path / "masked.tgcap.jsonl").read_bytes()
    kept = list(CaptureReader(tmp_path / "masked.tgcap.jsonl"))
    raw = b"\n".join(record.get("raw", b"") for record in kept)
    checked = call("verify", "--pii", tmp_path / "masked.tgcap.jsonl")
    shown = call("show", "--fields", "--show-values", tmp_path / "masked.tgcap.jsonl")
    said = done.output + done.stderr + checked.output + shown.output + shown.stderr
    assert holds(text + raw + said.encode(), planted.secrets) == []
    assert key.read_bytes().strip() not in text
    assert checked.exit_code == 0, checked.output + checked.stderr
    for record in kept:
        if record["k"] == "m" and record["raw"]:
            assert len(record["raw"]) == record["len"]
            spec.decode(record["raw"])
        elif record["k"] in ("m", "junk"):
            assert len(record["hmac"]) == 32 and not record.get("raw")


def test_a_capture_that_is_not_masked_is_known_by_the_numbers_in_it_and_no_number_is_told(tmp_path: Path, spec: Spec):
    planted = Planted(spec, tmp_path / "day.tgcap.jsonl")
    found = call("verify", "--pii", tmp_path / "day.tgcap.jsonl")
    assert found.exit_code == 1 and "a resident number in body.deposit_id_number" in found.stderr
    assert holds((found.output + found.stderr).encode(), planted.secrets) == []
    as_json = call("verify", "--pii", "--json", tmp_path / "day.tgcap.jsonl")
    assert json.loads(as_json.stdout)[0]["survivors"] > 50
    assert call("verify", tmp_path / "day.tgcap.jsonl").exit_code == 0


RRN, CARD, PHONE = "9001011234568", "4111111111111111", "01012345678"


@pytest.mark.parametrize("number", [RRN, CARD, PHONE, "010-1234-5678", "900101-1234568"])
@pytest.mark.parametrize("way", ["text", "ebcdic", "utf-16", "hex", "base64"])
def test_numbers_of_people_are_found_in_every_encoding(number: str, way: str):
    raw = number.encode("utf-16-le" if way == "utf-16" else "cp037" if way == "ebcdic" else "ascii")
    raw = raw.hex().encode() if way == "hex" else base64.b64encode(raw) if way == "base64" else raw
    assert list(in_bytes(b"\xff\xfe" + raw + b"\xff\xfe"))


def test_numbers_of_nobody_are_not_found():
    for number in ("9013011234568", "9001011234567", "4111111111111112", "09012345678", "110123456789"):
        assert not list(in_bytes(number.encode())) and not list(in_bytes(bytes.fromhex("0" * (len(number) % 2 == 0) + number + "c")))


def test_packed_numbers_are_found_and_longer_ones_are_not_taken_apart():
    assert list(in_bytes(bytes.fromhex(f"1c{RRN}c"))) == ["rrn"] and list(in_bytes(bytes.fromhex(f"1d0{CARD}d12"))) == ["card"]
    assert list(in_bytes(bytes.fromhex(f"1f{PHONE}f"))) == ["phone"]
    assert not list(in_text("1" + RRN + "1"))


def test_what_is_masked_or_has_no_spec_is_refused(tmp_path: Path, key: Path, spec: Spec):
    Planted(spec, tmp_path / "day.tgcap.jsonl")
    once = tmp_path / "once.tgcap.jsonl"
    assert call("mask", tmp_path / "day.tgcap.jsonl", "--key-file", key, "-w", once).exit_code == 0
    again = call("mask", once, "--key-file", key, "-w", tmp_path / "twice.tgcap.jsonl")
    assert again.exit_code != 0 and "E-CAP-09" in again.stderr and not (tmp_path / "twice.tgcap.jsonl").exists()
    onto = call("mask", tmp_path / "day.tgcap.jsonl", "--key-file", key, "-w", tmp_path / "day.tgcap.jsonl")
    assert onto.exit_code == 2
    key.write_bytes(b"short")
    assert "16 or more" in call("mask", tmp_path / "day.tgcap.jsonl", "--key-file", key, "-w", once).stderr


def test_the_head_says_how_it_was_masked_and_a_policy_is_followed(tmp_path: Path, key: Path, spec: Spec):
    Planted(spec, tmp_path / "day.tgcap.jsonl")
    policy = tmp_path / "policy.toml"
    policy.write_text('name = "strict"\n[actions]\nname = "fixed"\n[fields]\n"transfer.request.body.memo" = "drop"\n')
    out = tmp_path / "strict.tgcap.jsonl"
    assert call("mask", tmp_path / "day.tgcap.jsonl", "--key-file", key, "-w", out, "--policy", policy).exit_code == 0
    reader = CaptureReader(out)
    assert reader.head["mask"]["policy"] == "strict" and len(reader.head["mask"]["key_id"]) == 8
    assert "transfer.request.body.passbook_password" in reader.head["mask"]["invalidated"]
    decoded = [spec.decode(record["raw"]).body for record in reader if record["k"] == "m" and record["raw"]]
    assert {body["deposit_holder"] for body in decoded} <= {"", "가가가가가"} and {body["memo"] for body in decoded} == {""}
    policy.write_text("actions = 3")
    assert "E-CAP-09" in call("mask", tmp_path / "day.tgcap.jsonl", "--key-file", key, "-w", out, "--policy", policy).stderr
