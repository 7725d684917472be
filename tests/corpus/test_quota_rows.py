"""Rates, quotas and daily amounts that are used up, through a listening router."""

from __future__ import annotations

import pytest
from running_router import companies, field, transfer

TABLES = {
    "rate": '[limits.bound]\nkey = "address"\nrate = 2\nper = "1h"\nservice = "core"',
    "quota": '[quotas.bound]\nkey = "header.company_number"\nlimit = 2\nservice = "core"',
    "amount": '[quotas.bound]\nkey = "header.company_number"\nlimit = 2_000\namount = "body.amount"\nservice = "core"',
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
async def test_what_is_over_a_bound_is_refused_and_told_when_to_come_again(table: str):
    """Row 55: E-LIM-03 with the time after which to come again; nothing is sent, the session lives."""
    async with companies(more=table) as (router, core):
        client = await router.connect()
        codes = [field(await client.asks(transfer(number, amount=1_000)), "response_code") for number in (1, 2, 3)]
        assert codes[:2] == ["0000", "0000"]
        assert codes[2] not in ("0000", "")
        assert len(core.frames) == 2
        [line] = await router.logged("E-LIM-03")
        assert (line["limit"], line["count"]) == ("bound", 1)
        assert 0 < line["retry_after_ms"] <= 86_400_000
