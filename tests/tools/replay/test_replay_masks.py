"""Masks: what each lets pass and what it does not."""

from __future__ import annotations

import pytest
from replay_kit import SPEC, sample

from telegram_router.storage.capture_records import zone_of
from telegram_router.tools.replay.comparing import Comparer
from telegram_router.tools.replay.masks import Masks, read_masks
from telegram_router.tools.replay.remembering import Sequences
from telegram_router.tools.replay.rewriting import Rewriter
from telegram_router.tools.replay.settings import ReplayError
from telegram_router.tools.replay.steps import Step


def differing(masks: str, then: dict[str, str], *now: dict[str, str], asked: dict[str, str] | None = None) -> list[list[str]]:
    """The paths that differ in each answer, one after the other."""
    comparer = Comparer(SPEC, Masks(read_masks(f'["transfer.response"]\n{masks}\n', "masks.toml", SPEC)))
    request = sample("transfer.request", **(asked or {}))
    step = Step(
        1, 0, "c1", "x1", SPEC.messages["transfer.request"], sample("transfer.request"), [sample("transfer.response", **then)], True
    )
    rewriter = Rewriter(SPEC, {}, Sequences(), zone_of("+09:00"))
    return [
        [each.path for each in comparer.differences(step, request, rewriter, step.answers, [sample("transfer.response", **each)])]
        for each in now
    ]


@pytest.mark.parametrize(
    ("mask", "then", "now", "passes"),
    [
        ("ignore", {"fee": "1"}, {"fee": "900"}, True),
        ("present", {"memo": "가"}, {"memo": "나"}, True),
        ("present", {"memo": ""}, {"memo": ""}, False),
        ("absent", {"memo": ""}, {"memo": ""}, True),
        ("absent", {"memo": "가"}, {"memo": "가"}, False),
        ("regex ^급여", {"memo": "급여1"}, {"memo": "급여2"}, True),
        ("regex ^급여", {"memo": "급여1"}, {"memo": "이체"}, False),
        ("in [0000, VTIM]", {"response_code": "0000"}, {"response_code": "VTIM"}, True),
        ("in [0000, VTIM]", {"response_code": "0000"}, {"response_code": "9210"}, False),
        ("number +-5", {"fee": "500"}, {"fee": "505"}, True),
        ("number ±5", {"fee": "500"}, {"fee": "506"}, False),
        ("time +-5s", {"sent_time": "235958"}, {"sent_time": "000002"}, True),
        ("time +-5s", {"sent_time": "120000"}, {"sent_time": "120006"}, False),
        ("padded-equal", {"cms_code": "0012"}, {"cms_code": "12"}, True),
        ("padded-equal", {"cms_code": "0012"}, {"cms_code": "13"}, False),
        ("mapped", {"fee": "500"}, {"fee": "500"}, True),
        ("mapped", {"fee": "500"}, {"fee": "501"}, False),
    ],
    ids=str,
)
def test_a_mask_lets_pass(mask: str, then: dict[str, str], now: dict[str, str], passes: bool):
    (field,) = now
    found = differing(f'{field} = "{mask}"', then, now)[0]
    assert found == [] if passes else [path.partition(".")[2] for path in found] == [field]


def test_an_echo_must_be_what_was_asked():
    assert differing('bank_code = "echo"', {}, {"bank_code": "004"}, {"bank_code": "088"}, asked={"bank_code": "004"}) == [
        [],
        ["header.bank_code"],
    ]


def test_what_must_not_decrease_is_held_against_the_highest_so_far():
    found = differing('fee = "nondecreasing"', {"fee": "1"}, {"fee": "5"}, {"fee": "5"}, {"fee": "4"}, {"fee": "6"})
    assert found == [[], [], ["body.fee"], []]


def test_without_a_mask_every_byte_counts_reserved_ones_too():
    comparer = Comparer(SPEC, Masks())
    then = sample("transfer.response")
    step = Step(1, 0, "c1", "x1", SPEC.messages["transfer.request"], sample("transfer.request"), [then], True)
    now = then[:-3] + b"x" + then[-2:]
    (found,) = comparer.differences(step, sample("transfer.request"), Rewriter(SPEC, {}, Sequences(), zone_of("+09:00")), [then], [now])
    assert found.path.startswith("body.filler@") and not found.clear


@pytest.mark.parametrize("text", ["ignored", "regex (", "in 0000", "number 5", "time +-5", "ignore all"])
def test_a_mask_that_means_nothing_is_refused_with_its_place(text: str):
    with pytest.raises(ReplayError) as refused:
        read_masks(f'["transfer.response"]\nfee = "{text}"\n', "masks.toml", SPEC)
    assert refused.value.code == "E-RPL-03" and refused.value.where == "masks.toml, [transfer.response] fee"
