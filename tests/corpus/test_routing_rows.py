"""Telegrams that lead nowhere, come from the wrong side, twice, or faster than allowed, through a listening router."""

from __future__ import annotations

import pytest
import trio
from running_router import (
    Host,
    Line,
    answer_to,
    answers,
    companies,
    config,
    field,
    good_neighbour,
    keeps_silent,
    put,
    running,
    says,
    telegram,
    transfer,
)


async def test_an_unknown_business_code_is_refused_and_neither_forwarded_nor_guessed_at():
    """Row 43."""
    unknown = put(transfer(1), business_code="999")
    async with companies() as (router, core):
        client = await router.connect()
        refused = await client.asks(unknown)
        assert refused == answer_to(unknown, "SB01")
        assert await client.asks(transfer(2)) == answer_to(transfer(2))
        (line,) = router.log.of("E-RTE-01")
        assert "transfer" not in str(line)  # the nearest names are not the peer's business
    assert core.frames == [transfer(2)]


async def test_a_telegram_that_the_spec_has_and_no_route_takes_is_refused():
    """Row 43."""
    asked = telegram("test.request")
    async with Host() as steady, running(config(None, steady)) as router, good_neighbour(router):
        client = await router.connect()
        assert await client.asks(asked) == answer_to(asked, "SB01")
        (line,) = router.log.of("E-RTE-01")
        assert line["message"] == "test.request"
    assert len(steady.frames) == 2


@pytest.mark.parametrize("kind", ["9999", "9100", "    "])
async def test_a_telegram_type_that_nobody_knows_is_logged_and_not_answered(kind: str):
    """Row 43: it may itself be an answer, and answering those would never end."""
    async with companies() as (router, core):
        client = await router.connect()
        await client.sends(put(transfer(1), message_type=kind))
        await router.logged("E-RTE-01")
        await client.got_nothing()
        assert await client.asks(transfer(2)) == answer_to(transfer(2))
    assert core.frames == [transfer(2)]


async def test_an_answer_that_comes_as_a_request_is_logged_and_not_answered():
    """Row 47."""
    async with companies() as (router, core):
        client = await router.connect()
        await client.sends(answer_to(transfer(1)))
        (line,) = await router.logged("E-TXN-01")
        assert (line["event"], line["peer"], line["message"]) == ("dead_letter", "companies#2", "transfer.response")
        await client.got_nothing()
        assert await client.asks(transfer(2)) == answer_to(transfer(2))
    assert core.frames == [transfer(2)]


@pytest.mark.parametrize("asked", [transfer(70), put(transfer(71), business_code="999")], ids=["known", "unknown"])
async def test_a_request_on_a_backend_line_that_no_route_takes_is_logged_and_not_answered(asked: bytes):
    """Row 48. The host's next answer is still understood."""
    async with companies() as (router, core):
        client = await router.connect()
        await core.line.sends(asked)
        (line,) = await router.logged("E-TXN-02")
        assert (line["event"], line["origin"]) == ("dead_letter", "core")
        assert await client.asks(transfer(2)) == answer_to(transfer(2))
        assert len(core.lines) == 1  # on the link that it came by
    assert core.frames == [transfer(2)]


# --- answers that are nobody's --------------------------------------------------------------------------------------


async def test_an_answer_with_another_number_goes_to_nobody_and_the_log_says_what_differs():
    """Row 52: an unknown key, while a request is open."""
    async with companies(says(answer_to(transfer(8)))) as (router, _):
        client, other = await router.connect(), await router.connect()
        await client.sends(transfer(7))
        (line,) = await router.logged("E-BCK-07")
        assert (line["event"], line["service"], line["nearest_differs_in"]) == ("unmatched_reply", "core", ["message_number"])
        assert field(await client.got(), "response_code") == "VTIM"  # its own request got no answer
        await other.got_nothing()


async def test_an_answer_when_nothing_is_open_goes_to_nobody():
    """Row 52."""
    async with companies() as (router, core):
        client = await router.connect()
        await core.line.sends(answer_to(transfer(7)))
        await router.logged("E-BCK-07")
        await client.got_nothing()
        assert await client.asks(transfer(7)) == answer_to(transfer(7))


async def test_the_second_of_two_answers_goes_to_nobody():
    """Row 52."""
    twice = answer_to(transfer(7), "0000") + answer_to(transfer(7), "9999")
    async with companies(says(twice)) as (router, core):
        client = await router.connect()
        assert await client.asks(transfer(7)) == answer_to(transfer(7), "0000")
        await router.logged("E-BCK-07")
        await client.got_nothing()
        core.behave = answers
        assert await client.asks(transfer(8)) == answer_to(transfer(8))


async def test_an_answer_on_another_link_than_its_request_goes_to_nobody():
    """Row 52: for another client's key, on the link that serves this one."""

    async def on_the_other_link(line: Line, frame: bytes) -> None:
        if field(frame, "message_number") == "000007":
            (other,) = [each for each in core.lines if each is not line]
            await other.sends(answer_to(frame))
        else:
            await answers(line, frame)

    async with companies(on_the_other_link, service="links = 2") as (router, core):
        await router.until(lambda: len(router.switch.services["core"].links) == 2)
        client, other = await router.connect(), await router.connect()
        await client.sends(transfer(7))
        (line,) = await router.logged("E-BCK-07")
        assert line["nearest_differs_in"] == ["(asked on another link)"]
        assert await other.asks(transfer(8)) == answer_to(transfer(8))
        assert field(await client.got(), "response_code") == "VTIM"
        await other.got_nothing()


async def test_a_late_answer_goes_to_nobody_and_its_number_stays_reserved():
    """Row 52."""
    async with companies(keeps_silent, service='timeout = "50ms"') as (router, core):
        client = await router.connect()
        assert field(await client.asks(transfer(7)), "response_code") == "VTIM"
        assert field(await client.asks(transfer(7)), "response_code") == "SB04"  # E-DUP-01: it may have been executed
        await core.line.sends(answer_to(transfer(7)))
        await router.until(lambda: router.log.named("late_reply"))
        await client.got_nothing()
        assert [line["code"] for line in router.log.named("late_reply")] == ["E-BCK-07"]
    assert core.frames == [transfer(7)]


async def test_the_same_number_of_two_clients_at_once_is_asked_once():
    """Row 52: there would be no telling whose the answer is."""

    async def answers_late(line: Line, frame: bytes) -> None:
        await trio.sleep(0.03)
        await answers(line, frame)

    async with companies(answers_late) as (router, core):
        first, second = await router.connect(), await router.connect()
        await first.sends(transfer(7))
        await router.until(lambda: core.frames)
        assert await second.asks(transfer(7)) == answer_to(transfer(7), "SB04")
        assert await first.got() == answer_to(transfer(7))
        (line,) = router.log.of("E-DUP-01")
        assert line["original"] == "sent, not answered yet"
    assert core.frames == [transfer(7)]


# --- more than is allowed -------------------------------------------------------------------------------------------


async def test_a_client_over_its_window_is_not_read_and_gets_everything_in_the_end():
    """Row 54: read paused, no error."""
    held: list[bytes] = []
    most = 0

    async def holds_back(line: Line, frame: bytes) -> None:
        nonlocal most
        if field(frame, "message_type") != "2000":
            await answers(line, frame)
            return
        held.append(frame)
        most = max(most, len(held))

    async def lets_go() -> None:
        while True:
            await trio.sleep(0.005)
            if held:
                await core.line.sends(answer_to(held.pop(0)))

    asked = [transfer(number) for number in range(1, 31)]
    async with Host(holds_back) as core, running(config(core, listener="open_exchanges = 4", service='timeout = "2s"')) as router:
        async with good_neighbour(router) as neighbour, trio.open_nursery() as nursery:
            client = await router.connect()
            await client.sends(b"".join(asked))
            await router.until(lambda: len(held) == 4)
            await client.got_nothing()
            assert len(held) == 4 and router.router.hub.pauses
            assert field(await neighbour.asks(telegram("balance.request", number=5)), "response_code") == "0000"
            nursery.start_soon(lets_go)
            assert [await client.got() for _ in asked] == [answer_to(frame) for frame in asked]
            nursery.cancel_scope.cancel()
        assert router.log.codes == []
    assert most == 4


async def test_a_client_that_hangs_up_while_it_is_not_read_still_gets_everything():
    """Row 54: FIN behind a backlog."""
    asked = [transfer(number) for number in range(1, 31)]

    async def answers_late(line: Line, frame: bytes) -> None:
        await trio.sleep(0.002)
        await answers(line, frame)

    async with Host(answers_late) as core, running(config(core, listener="open_exchanges = 4", service='timeout = "2s"')) as router:
        client = await router.connect()
        await client.sends(b"".join(asked))
        await client.hangs_up()
        assert [await client.got() for _ in asked] == [answer_to(frame) for frame in asked]
        assert await client.closed() == b""
        assert router.log.codes == []


async def test_one_silent_service_never_holds_more_than_half_of_a_clients_window():
    """Row 54: the hard cap is told, and the other service goes on."""
    async with companies(keeps_silent, listener="open_exchanges = 8") as (router, core):
        client = await router.connect()
        await client.sends(b"".join(transfer(number) for number in range(1, 7)))
        refused = [await client.got() for _ in range(2)]
        assert refused == [answer_to(transfer(number), "SB05") for number in (5, 6)]
        balance = telegram("balance.request", number=50)
        assert await client.asks(balance) == answer_to(balance)
        refusals = router.log.named("refused")
        assert {line["code"] for line in refusals} == {"E-LIM-01"} and sum(line["count"] for line in refusals) == 2
        assert [field(await client.got(), "response_code") for _ in range(4)] == ["VTIM"] * 4
    assert len(core.frames) == 4


async def test_a_listener_that_leads_nowhere_is_told_of_at_start():
    """Row 63."""
    async with running(config()) as router:
        (warning,) = router.log.named("config_warning")
        assert warning["key"] == "listeners.companies" and "no route" in warning["what"]


ELSEWHERE = ["http://1.2.3.4", "//evil", "../admin", "core@host", "%63ore", "2130706433", "core.", "CORE", "", "\ucf54\uc5b4", "core\x00"]


@pytest.mark.parametrize("named", ELSEWHERE, ids=ascii)
async def test_a_body_selects_a_service_that_its_route_lists_or_none(named: str):
    """Row 45: a name, an address or a path that is not in the table leads nowhere, whatever it looks like."""
    by = 'service_by = { field = "body.memo", services = { core = "core" } }\n'
    listed = f'[[routes]]\nlistener = "companies"\nmatch = {{ message_type = "2000", business_code = "100" }}\n{by}'
    async with Host() as core, Host() as steady, running(config(core, steady) + listed) as router, good_neighbour(router):
        await router.linked("core")
        client = await router.connect()
        asked = transfer(1, memo=named.encode("cp949"))
        refused = await client.asks(asked)
        assert refused != answer_to(asked) and field(refused, "response_code").startswith("SB")
        code = "E-ENC-04" if "\x00" in named else "E-RTE-02"
        (line,) = router.log.of(code)
        assert not named or named not in str(line)
        assert await client.asks(transfer(2, memo="core")) == answer_to(transfer(2, memo="core"))
    assert core.frames == [transfer(2, memo="core")]


async def test_before_the_sign_on_and_after_the_sign_off_nothing_is_sent_on():
    """Row 50: the line is not open. What was sent before the sign-off is answered."""
    async with Host() as core, running(config(core, listener='conduct = { sign_on = "required", heartbeat = "0s" }')) as router:
        await router.linked("core")
        client = await router.connect()
        assert field(await client.asks(transfer(1)), "response_code") == "SB09"
        hello, goodbye = telegram("open.request"), telegram("close.request")
        assert await client.asks(hello) == answer_to(hello)
        assert await client.asks(transfer(2)) == answer_to(transfer(2))
        assert await client.asks(goodbye) == answer_to(goodbye)
        assert field(await client.asks(transfer(3)), "response_code") == "SB09"
        assert core.frames == [transfer(2)]
        assert [line["message"] for line in await router.logged("E-TXN-03", 2)] == ["transfer.request"] * 2
