"""Counts that lie, through a listening router: the telegram is refused by its own header, its session lives, nobody is asked."""

from __future__ import annotations

import pytest
from running_router import Host, Line, config, running

FULL = 'validate = "full"'
ITEM = b"11000000000123" + b"000001000" + b"memo      "


def transfers(number: int, count: bytes = b"00002", items: bytes = ITEM * 2, rest: bytes = b"SENDER      ") -> bytes:
    telegram = b"2600%06d    " % number + b"00000002000" + count + items + rest
    return b"%04d" % len(telegram) + telegram


def answer_to(frame: bytes, code: bytes = b"0000") -> bytes:
    return frame[:4] + b"2700" + frame[8:14] + code + frame[18:]


async def answers(line: Line, frame: bytes) -> None:
    await line.stream.send_all(answer_to(frame))


BAD = [
    pytest.param(transfers(1, b"65535", b""), "E-FLD-08", b"SB08", "body.payee_count", 25, id="row-38-65535-and-no-data"),
    pytest.param(transfers(1, b"00041", ITEM * 40), "E-FLD-08", b"SB08", "body.payee_count", 25, id="row-38-one-above-the-maximum"),
    pytest.param(transfers(1, b"00040"), "E-FLD-08", b"SB08", "body.payee_count", 25, id="row-38-forty-counted-two-there"),
    pytest.param(transfers(1, b"00003", ITEM * 2 + ITEM[:17]), "E-FLD-09", b"SB09", "body.payees[2]", 96, id="row-39-the-last-item-cut"),
    pytest.param(transfers(1, b"00002", ITEM * 2 + ITEM[:17]), "E-FLD-09", b"SB09", "telegram", 108, id="row-39-half-an-item-not-counted"),
    pytest.param(transfers(1, b"00001"), "E-FLD-11", b"SB11", "body.payee_count", 25, id="row-42-one-counted-two-there"),
    pytest.param(transfers(1, b"0000A"), "E-FLD-01", b"SB01", "body.payee_count", 25, id="row-23-a-count-that-is-no-number"),
]


@pytest.mark.parametrize(("frame", "code", "response", "path", "offset"), BAD)
async def test_a_count_that_lies_is_refused_by_its_name_and_nothing_is_sent(
    frame: bytes, code: str, response: bytes, path: str, offset: int
) -> None:
    """Rows 23, 38, 39 and 42."""
    async with Host(answers, spec="orders") as core, running(config(core, spec="orders", route=FULL)) as router:
        client = await router.connect()
        await client.sends(frame + transfers(2))
        refused = await client.got()
        assert refused[4:18] == b"2700000001" + response
        assert await client.got() == answer_to(transfers(2))
        (line,) = router.log.of(code)
        (problem,) = line["problems"]
        assert problem.startswith(f"{code}: ") and f" {path}, offset {offset} " in problem
    assert core.frames == [transfers(2)]
