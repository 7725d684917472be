"""Made-up telegrams: valid, the same everywhere from the same seed, and as they might be on a working day."""

from __future__ import annotations

import hashlib
import inspect
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from composed import SAMPLES
from parcel_family import SPEC as PARCEL
from shipped import shipped

from telegram_router.cli import main
from telegram_router.telegrams import fields, from_json, to_json
from telegram_router.telegrams.chance import Chance
from telegram_router.telegrams.domains import domain_of, holds
from telegram_router.telegrams.fields import Code, Kind
from telegram_router.telegrams.generate import sample

FIRMBANKING = shipped("firmbanking")
FAMILIES = sorted(path.stem for path in SAMPLES.parent.glob("*.py"))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_message_of_every_spec_has_telegrams_that_read_back_the_same(family):
    spec = shipped(family)
    for message in spec.messages:
        for number in range(3):
            telegram = sample(spec, message, "read back", number)
            frame = spec.encode(telegram)
            read = spec.decode(frame)
            assert read == telegram and read.residue is None
            assert spec.encode(from_json(spec, to_json(telegram))) == frame


def test_the_same_seed_gives_the_same_telegram_and_another_seed_another():
    def frame(seed: object, number: int = 0) -> bytes:
        return PARCEL.encode(sample(PARCEL, "order.request", seed, number))

    assert frame(7) == frame("7") == frame(7)
    assert len({frame(7), frame(8), frame(7, 1), frame("x")}) == 4


def test_these_bytes_are_promised_to_whoever_noted_a_seed():
    """A change of this digest breaks every seed in users' tests: it belongs in the change log."""
    frames = b"".join(PARCEL.encode(sample(PARCEL, None, 2024, number)) for number in range(50))
    assert hashlib.sha256(frames).hexdigest() == "74a2124e388eda25f57f05a04fbce5efacb48fb35c774dc1d0ac658fdcc7265d"


def test_the_stream_does_not_depend_on_hash_seeds_of_the_interpreter():
    code = "import sys; sys.path.insert(0, 'tests/telegrams'); from parcel_family import SPEC\n"
    code += "from telegram_router.telegrams.generate import sample\n"
    code += "print(b''.join(SPEC.encode(sample(SPEC, None, 2024, n)) for n in range(50)).hex())"
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, cwd=SAMPLES.parents[1], capture_output=True, check=True, timeout=30
        ).stdout
        for seed in ("1", "2")
    }
    assert runs == {b"".join(PARCEL.encode(sample(PARCEL, None, 2024, n)) for n in range(50)).hex().encode() + b"\n"}


def test_telegrams_of_a_seed_are_numbered_so_that_no_two_have_the_same_correlation_key():
    spec = shipped("firmbanking")
    frames = [spec.encode(sample(spec, "transfer.request", 1, number)) for number in range(300)]
    assert len({spec.correlate(frame) for frame in frames}) == 300
    assert sample(spec, "transfer.request", 1, 41)["message_number"] == "000042"


def test_values_are_as_the_fields_are_called():
    telegrams = [sample(shipped("firmbanking"), "transfer.request", "names", number) for number in range(60)]
    assert any("가" <= telegram["deposit_holder"][:1] <= "힣" for telegram in telegrams)
    assert all(telegram["withdrawal_account"].isdecimal() for telegram in telegrams if telegram["withdrawal_account"])
    assert {telegram["response_code"] for telegram in telegrams} == {""}
    replies = [sample(shipped("firmbanking"), "transfer.response", "names", number) for number in range(9)]
    assert {telegram["response_code"] for telegram in replies} == {"0000"}
    amounts = [telegram["amount"] for telegram in telegrams]
    assert min(amounts) < 10**4 and max(amounts) > 10**9
    assert len(set(amounts)) > 50


def test_a_message_that_the_spec_does_not_have_is_refused():
    with pytest.raises(KeyError):
        sample(PARCEL, "order.reqest")


# --- the command ------------------------------------------------------------------------------------------------


def call(*arguments: str, given: bytes | None = None):
    return CliRunner().invoke(main, arguments, input=given, prog_name="telegram-router")


def test_the_command_writes_hex_bytes_or_json_of_the_same_telegrams():
    how = ("spec", "sample", "firmbanking", "transfer.request", "--seed", "7", "--count", "3")
    lines = call(*how).stdout.split()
    frames = [bytes.fromhex(line) for line in lines]
    assert frames == [FIRMBANKING.encode(sample(FIRMBANKING, "transfer.request", 7, number)) for number in range(3)]
    assert call(*how, "--format", "raw").stdout_bytes == b"".join(frames)
    assert [bytes.fromhex(line) for line in call(*how, "--unframed").stdout.split()] == [frame[4:] for frame in frames]
    rows = call(*how, "--format", "json").stdout_bytes
    assert call("encode", "--spec", "firmbanking", given=rows).stdout_bytes == b"".join(frames)


def test_without_a_message_the_command_goes_through_all_of_them():
    every = call("spec", "sample", "ksnet", "--format", "json").stdout.splitlines()
    assert [json.loads(line)["message"] for line in every] == [*shipped("ksnet").messages]
    more = call("spec", "sample", "ksnet", "--count", "20", "--format", "json").stdout.splitlines()
    assert more[:18] == every and [json.loads(line)["message"] for line in more[18:]] == ["transfer.request", "transfer.response"]
    assert json.loads(more[18]) != json.loads(more[0])


def test_a_message_of_another_name_is_refused_with_the_nearest():
    found = call("spec", "sample", "firmbanking", "transfer.reqest")
    assert found.exit_code == 2 and "Did you mean transfer.request?" in found.output


# --- domains ----------------------------------------------------------------------------------------------------


def is_abstract(kind: type[Kind]) -> bool:
    return (kind.read is Kind.read and kind.read_in is Kind.read_in) or kind.__name__ == "Written"


def test_every_kind_with_values_has_a_domain():
    kinds = [each for each in vars(fields).values() if inspect.isclass(each) and issubclass(each, Kind) and not is_abstract(each)]
    without = {kind.__name__ for kind in kinds if domain_of.dispatch(kind) is domain_of.dispatch(Kind)}
    assert without == {"Filler", "Length"}  # no value, and one that follows from the others


def test_a_value_is_held_only_when_it_comes_back_the_same():
    assert holds(Code(4), "A B") and holds(Code(4), " AB")
    assert not holds(Code(4), "AB ") and not holds(Code(4), "ABCDE") and not holds(Code(4), "가") and not holds(Code(4), 4)


def test_chance_gives_no_blank_where_a_field_is_required():
    required = [f for f in shipped("firmbanking").messages["transfer.request"].fields if getattr(f.kind, "required", False)]
    assert required and all(not domain_of(f.kind).absent for f in required)
    assert Chance("once").once_in(1)
