"""Rules on fields of the body: who gets a telegram because of what stands in it, and who never does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running_router import Host, Running, answer_to, balance, put, running, transfer

from telegram_router.assembly import build_switch
from telegram_router.errors import ConfigError, FieldError
from telegram_router.plan import Plan, read_plan
from telegram_router.routing.routes import RouteTable
from telegram_router.telegrams.single_field import SingleField

LISTENER = '[listeners.companies]\naddress = "127.0.0.1:0"\nspec = "firmbanking"\n'
TRANSFERS = 'listener = "companies"\nmatch = { message_type = "2000", business_code = "100"'
REST = '[[routes]]\nlistener = "companies"\nservice = "rest"\ndefault = true\n'
AT_OUR_BANK = f'[[routes]]\n{TRANSFERS}, "body.deposit_bank_code" = "088" }}\nservice = "own"\n'
LARGE = f'[[routes]]\n{TRANSFERS}, "body.amount" = {{ min = "10000000", max = "9999999999999" }} }}\nservice = "large"\n'
BY_NAME = f'[[routes]]\n{TRANSFERS} }}\nservice_by = {{ field = "body.memo", services = {{ Vm = "vm", Sm = "sm" }} }}\n'


def service(name: str, address: str = "127.0.0.1:9") -> str:
    return f'[services.{name}]\nbackends = ["{address}"]\nspec = "firmbanking"\n'


@asynccontextmanager
async def router_with(routes: str, *names: str) -> AsyncIterator[tuple[Running, dict[str, Host]]]:
    """A router whose services, by these names, are hosts that answer everything."""
    async with Host() as one, Host() as other, Host() as third:
        hosts = dict(zip(names, (one, other, third), strict=False))
        text = LISTENER + "".join(service(name, host.address) for name, host in hosts.items()) + routes
        async with running(text) as router:
            await router.linked(*names)
            yield router, hosts


def planned(folder: Path, text: str) -> Plan:
    file = folder / "router.toml"
    file.write_text(LISTENER + text, "utf-8")
    return read_plan(file)


def problems(folder: Path, text: str) -> list[tuple[str, str, str]]:
    with pytest.raises(ConfigError) as caught:
        planned(folder, text)
    return [(each.code, each.key, each.what) for each in caught.value.problems]


async def test_a_transfer_goes_where_its_body_says_and_everything_else_where_its_header_does():
    async with router_with(AT_OUR_BANK + LARGE + REST, "own", "large", "rest") as (router, hosts):
        client = await router.connect()
        ours = transfer(1, deposit_bank_code="088")
        large = transfer(2, deposit_bank_code="004", amount=10_000_000)
        both = transfer(3, deposit_bank_code="088", amount=99_000_000)  # the first in the file takes it
        small = transfer(4, deposit_bank_code="004", amount=9_999_999)
        for frame in (ours, large, both, small, balance(5)):
            assert await client.asks(frame) == answer_to(frame)
    assert hosts["own"].frames == [ours, both]
    assert hosts["large"].frames == [large]
    assert hosts["rest"].frames == [small, balance(5)]


async def test_a_field_that_a_rule_needs_and_nobody_can_read_is_refused_and_not_given_to_the_next_rule():
    async with router_with(LARGE + REST, "large", "rest") as (router, hosts):
        client = await router.connect()
        unreadable = transfer(1, amount=b"12345678901x3")
        assert await client.asks(unreadable) == answer_to(unreadable, "SB21")
        (line,) = await router.logged("E-FLD-01")
        assert "body.amount" in str(line["problems"]) and "12345678901" not in str(line)
        assert await client.asks(transfer(2)) == answer_to(transfer(2))  # its neighbour on the same session
    assert hosts["large"].frames == [] and hosts["rest"].frames == [transfer(2)]


async def test_the_body_of_a_telegram_that_no_such_rule_can_take_is_not_looked_at():
    calls = 0

    def counted(self: SingleField, frame: bytes) -> object:
        nonlocal calls
        calls += 1
        return seen(self, frame)

    seen: Callable[[SingleField, bytes], object] = SingleField.__call__
    with patch.object(SingleField, "__call__", counted):
        async with router_with(LARGE + REST, "large", "rest") as (router, _):
            client = await router.connect()
            for number in range(3):
                await client.asks(balance(number + 1))
            assert calls == 0
            await client.asks(transfer(9))
            assert calls == 1


@pytest.mark.parametrize("named", ["Vm", "Sm"])
async def test_a_body_that_names_a_listed_service_selects_it(named: str):
    async with router_with(BY_NAME + REST, "vm", "sm", "rest") as (router, hosts):
        client = await router.connect()
        frame = transfer(1, memo=named)
        assert await client.asks(frame) == answer_to(frame)
        assert hosts[named.lower()].frames == [frame]
        assert sum(len(host.frames) for host in hosts.values()) == 1


async def test_requests_by_way_of_a_body_are_counted_with_their_route_once():
    async with router_with(BY_NAME + REST, "vm", "sm", "rest") as (router, _):
        client = await router.connect()
        for number, name in enumerate(("Vm", "Sm", "Vm"), 1):
            await client.asks(transfer(number, memo=name))
        listener = router.switch.listeners["companies"]
        listener.add_up()
        assert [(route.target.name, route.score.ok) for route in listener.routes.counted] == [("vm", 2), ("sm", 1), ("rest", 0)]
        assert listener.received["transfer.request"] == 3


# --- what the file may ask --------------------------------------------------------------------------------------------

ASKED_WRONGLY = [
    ('"body.amont" = "1"', "E-CFG-06", 'match."body.amont"', "did you mean body.amount"),
    ('"body.amount" = "1x"', "E-CFG-04", 'match."body.amount"', "the field cannot hold it"),
    ('"body.amount" = { min = "5", max = "4" }', "E-CFG-04", 'match."body.amount"', "min is above max"),
    ('"body.amount" = { prefix = "1" }', "E-CFG-04", 'match."body.amount"', "only texts and codes"),
    ('"body.memo" = "fifteen bytes it is"', "E-CFG-04", 'match."body.memo"', "the field cannot hold it"),
]


@pytest.mark.parametrize(("rule", "code", "key", "what"), ASKED_WRONGLY, ids=[each[0] for each in ASKED_WRONGLY])
def test_a_rule_that_no_body_can_fit_is_refused_at_start(tmp_path: Path, rule: str, code: str, key: str, what: str):
    (found,) = problems(tmp_path, service("rest") + f'[[routes]]\n{TRANSFERS}, {rule} }}\nservice = "rest"\n')
    assert found[0] == code and found[1] == f"routes[0].{key}" and what in found[2]


def test_a_service_by_needs_services_that_exist_and_stands_alone(tmp_path: Path):
    found = problems(tmp_path, service("vm") + BY_NAME + 'service = "vm"\n')
    assert [(code, key) for code, key, _ in found] == [("E-CFG-07", "routes[0]"), ("E-CFG-06", "routes[0].service_by.services.Sm")]
    (missing,) = problems(tmp_path, service("vm") + service("sm") + BY_NAME.replace("body.memo", "body.service"))
    assert missing[:2] == ("E-CFG-06", "routes[0].service_by.field")


def test_services_chosen_by_a_body_take_the_spec_of_their_listener(tmp_path: Path):
    plan = planned(tmp_path, '[services.vm]\nbackends = ["127.0.0.1:9"]\n[services.sm]\nbackends = ["127.0.0.1:9"]\n' + BY_NAME)
    assert plan.spoken == {"vm": "firmbanking", "sm": "firmbanking"}


# --- a second, plain reading of the rules ---------------------------------------------------------------------------

banks = st.sampled_from(["088", "004", "020", "0x8"])
amounts = st.sampled_from([0, 9_999_999, 10_000_000, 9_999_999_999_999])
names = st.sampled_from(["Vm", "Sm", "vm", "", "Vmx", "http://1.2.3.4"])


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> RouteTable:
    services = "".join(service(name) for name in ("own", "large", "vm", "sm", "rest"))
    plan = planned(tmp_path_factory.mktemp("plan"), services + AT_OUR_BANK + LARGE + BY_NAME + REST)
    return build_switch(plan).listeners["companies"].routes


@given(bank=banks, amount=amounts, name=names)
def test_the_way_of_any_body_is_the_one_that_its_rules_read_aloud_give(table: RouteTable, bank: str, amount: int, name: str):
    frame = put(transfer(1), deposit_bank_code=bank, amount=amount, memo=name)
    if not bank.isdecimal():
        expected = "unreadable"
    elif bank == "088":
        expected = "own"
    elif amount >= 10_000_000:
        expected = "large"
    else:
        expected = {"Vm": "vm", "Sm": "sm"}.get(name, "refused")
    assert way(table, frame) == expected


def way(table: RouteTable, frame: bytes) -> str:
    message = table.routes[0].body[0].readers["transfer.request"].message  # type: ignore[attr-defined]
    for route in table.deep(frame, message):
        try:
            if route.takes(frame, message):
                return route.target.name
            if route.refuses(frame, message):
                return "refused"
        except FieldError:
            return "unreadable"
    found = table.find(frame)
    assert found is not None
    return found.target.name
