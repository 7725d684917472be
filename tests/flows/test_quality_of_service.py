"""Classes, shedding, bulkheads and delays as a configuration file has them, over a switch whose links have no room."""

from __future__ import annotations

from pathlib import Path

import pytest

from telegram_router.assembly import build_switch, prepare
from telegram_router.cli.why import way_of
from telegram_router.errors import ConfigError
from telegram_router.plan import Plan, read_plan
from telegram_router.routing import Grow
from telegram_router.routing.changing import carry_out
from telegram_router.routing.waiting import Arranged, FirstCome
from telegram_router.telegrams.explain import explain
from tests.routing.conversation import Talk, credit, reply_to, telegram, transfer

LISTENER = '[listeners.branches]\naddress = "127.0.0.1:0"\nspec = "firmbanking"\n'
ROUTE = '[[routes]]\nlistener = "branches"\nservice = "core"\n'
ALL = ROUTE + "default = true\n"
RECALLS = ROUTE + 'match = { message_type = "2000", business_code = "161" }\nclass = "critical"\n'
LOANS = ROUTE + 'match = { message_type = "5000" }\nclass = "bulk"\n'


def core(**keys: str) -> str:
    given = {"in_flight": "1", "pending": "8", "pending_timeout": '"2s"', **keys}
    return '[services.core]\nbackends = ["127.0.0.1:9"]\n' + "".join(f"{key} = {value}\n" for key, value in given.items())


def planned(folder: Path, *parts: str, before: Plan | None = None) -> Plan:
    path = folder / "router.toml"
    path.write_text("\n".join(parts), encoding="utf-8")
    return read_plan(path, before)


def talk_of(folder: Path, *parts: str) -> Talk:
    return Talk(build_switch(planned(folder, *parts)))


def recall(number: int = 7, company: str = "C001") -> bytes:
    """지급이체 회수, which takes a transfer back."""
    return telegram("2000", "161", number, company)


# --- classes ----------------------------------------------------------------------------------------------------------


def test_a_recall_overtakes_what_waits_and_each_class_keeps_its_order(tmp_path: Path):
    talk = talk_of(tmp_path, LISTENER, core(), RECALLS, LOANS, ALL)
    bank, host = talk.session(), talk.link("core", backend="127.0.0.1:9")
    sent = [transfer(1), credit(2), credit(3), transfer(4), recall(5), recall(6)]
    bank.sends(*sent, at=0)
    order = []
    for _ in sent:
        order += host.got()
        host.sends(reply_to(order[-1]))
    assert order == [transfer(1), recall(5), recall(6), transfer(4), credit(2), credit(3)]
    assert talk.leftovers() == {}


def test_requests_that_a_user_rule_fits_are_of_its_class_whatever_their_route_says(tmp_path: Path):
    rule = '[priorities.salaries]\nkey = "header.company_number"\nvalues = "C777"\nclass = "bulk"\n'
    best = '[priorities.vip]\nkey = "address"\nvalues = ["10.0.0.1"]\nclass = "critical"\n'
    talk = talk_of(tmp_path, LISTENER, core(), rule, best, ALL)
    bank, vip, host = talk.session(), talk.session("vip"), talk.link("core")
    vip.peer.address = "10.0.0.1"
    bank.sends(transfer(1), at=0)
    bank.sends(transfer(2, "C777"), transfer(3))
    vip.sends(transfer(4), transfer(5, "C777"))
    order = []
    for _ in range(5):
        order += host.got()
        host.sends(reply_to(order[-1]))
    # The first rule that fits decides: the vip's salaries are bulk like anybody's.
    assert order == [transfer(1), transfer(4), transfer(3), transfer(2, "C777"), transfer(5, "C777")]


def test_a_certificate_may_say_the_class(tmp_path: Path):
    rule = '[priorities.partner]\nkey = "certificate"\nvalues = "a.bank"\nclass = "critical"\n'
    talk = talk_of(tmp_path, LISTENER, core(), rule, ALL)
    bank, partner, host = talk.session(), talk.session("partner", "a.bank"), talk.link("core")
    bank.sends(transfer(1), transfer(2), at=0)
    partner.sends(transfer(3))
    order = host.got()
    host.sends(reply_to(transfer(1)))
    assert [*order, *host.got()] == [transfer(1), transfer(3)]


def test_from_half_a_queue_on_the_least_urgent_are_refused_and_the_last_tenth_is_for_recalls(tmp_path: Path):
    talk = talk_of(tmp_path, LISTENER, core(pending="20"), RECALLS, LOANS, ALL)
    bank, service = talk.session(), talk.service("core")
    talk.link("core")
    bank.sends(transfer(1), at=0)
    bank.sends(*(credit(number) for number in range(10, 30)))
    assert service.waiting.by_class() == [0, 0, 0, 11]
    bank.sends(*(transfer(number) for number in range(30, 50)))
    assert service.waiting.by_class() == [0, 0, 6, 11]
    bank.sends(*(recall(number) for number in range(50, 60)))
    assert service.waiting.by_class() == [3, 0, 6, 11]
    assert service.shed == [0, 0, 14, 9] and service.overflow == 7
    refused = talk.listener().refused
    assert refused == {"E-LIM-07": 23, "E-LIM-01": 7}
    told = {(event["code"], event.get("urgency")) for event in talk.events("refused")}
    assert ("E-LIM-07", "bulk") in told and ("E-LIM-07", "normal") in told
    assert len(bank.got()) == 30  # each refusal is an answer: nothing was sent


def test_without_classes_the_queue_is_first_come_first_served_and_full_when_it_is_full(tmp_path: Path):
    talk = talk_of(tmp_path, LISTENER, core(), ALL)
    bank, service = talk.session(), talk.service("core")
    talk.link("core")
    bank.sends(*(transfer(number) for number in range(1, 12)), at=0)
    assert type(service.waiting) is FirstCome and service.waiting.by_class() == [0, 0, 8, 0]
    assert talk.listener().refused == {"E-LIM-01": 2} and service.shed == [0, 0, 0, 0]


def test_classes_come_and_go_with_a_reload_and_who_waits_goes_on_waiting(tmp_path: Path):
    plan = planned(tmp_path, LISTENER, core(), ALL)
    talk = Talk(build_switch(plan))
    bank, host = talk.session(), talk.link("core", backend="127.0.0.1:9")
    bank.sends(transfer(1), transfer(2), credit(3), at=0)
    after = planned(tmp_path, LISTENER, core(), RECALLS, LOANS, ALL, before=plan)
    carry_out(talk.switch, prepare(after, talk.switch, plan), 0.1)
    service = talk.service("core")
    assert isinstance(service.waiting, Arranged) and service.waiting.by_class() == [0, 0, 2, 0]  # they began by the other routes
    bank.sends(recall(4), at=0.2)
    order = []
    for _ in range(4):
        order += host.got()
        host.sends(reply_to(order[-1]))
    assert order == [transfer(1), recall(4), transfer(2), credit(3)]
    again = planned(tmp_path, LISTENER, core(), ALL, before=after)
    carry_out(talk.switch, prepare(again, talk.switch, after), 0.3)
    assert type(talk.service("core").waiting) is FirstCome


def test_a_lost_link_gives_back_what_was_not_sent_in_front_of_its_class(tmp_path: Path):
    talk = talk_of(tmp_path, LISTENER, core(in_flight="2"), RECALLS, LOANS, ALL)
    bank, host = talk.session(), talk.link("core", backend="127.0.0.1:9")
    bank.sends(credit(1), transfer(2), transfer(3), credit(4), at=0)
    host.dies()
    again = talk.link("core", backend="127.0.0.1:9")
    order: list[bytes] = []
    while len(order) < 4:
        came = again.got()
        order += came
        again.sends(*map(reply_to, came))
    assert [frame for frame in order if frame in (transfer(2), transfer(3))] == [transfer(2), transfer(3)]
    assert [frame for frame in order if frame in (credit(1), credit(4))] == [credit(1), credit(4)]


# --- what the file must not say ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "key", "what"),
    [
        ('[priorities.x]\nkey = "session"\nvalues = "a"\nclass = "bulk"\n', "priorities.x.key", "is nothing to know somebody by"),
        ('[priorities.x]\nkey = "header.company"\nvalues = "a"\nclass = "bulk"\n', "priorities.x.key", "no such header field"),
        ('[priorities.x]\nkey = "header.bank_code"\nvalues = "0881"\nclass = "bulk"\n', "priorities.x.values", "a value of 4 bytes"),
        ('[priorities.x]\nkey = "address"\nvalues = "a"\nclass = "low"\n', "priorities.x.class", "is none of the choices"),
        ('[priorities.x]\nkey = "address"\nvalues = "a"\nclass = "bulk"\nservice = "cor"\n', "priorities.x.service", 'no service "cor"'),
        ('[priorities.x]\nkey = "address"\nclass = "bulk"\n', "priorities.x.values", "is missing"),
        (
            '[[routes]]\nfrom_service = "core"\ndefault = true\nto_listener = "branches"\nclass = "high"\n',
            "routes[1].class",
            "means nothing to sessions",
        ),
    ],
    ids=["key", "field", "width", "class", "service", "values", "sessions"],
)
def test_what_is_wrong_with_classes_is_told_with_its_key(tmp_path: Path, part: str, key: str, what: str):
    with pytest.raises(ConfigError) as raised:
        planned(tmp_path, LISTENER, core(), ALL, part)
    assert [(each.key, what in each.what) for each in raised.value.problems] == [(key, True)]


# --- limits that delay ------------------------------------------------------------------------------------------------

DELAY = '[limits.each]\nkey = "header.company_number"\nrate = 2\nburst = 1\nmode = "delay"\nmax_delay = "1s"\n'


def test_a_request_beyond_the_rate_goes_when_its_time_has_come_and_one_that_would_wait_too_long_is_refused(tmp_path: Path):
    talk = talk_of(tmp_path, LISTENER, core(in_flight="9"), DELAY, ALL)
    bank, host, service = talk.session(), talk.link("core"), talk.service("core")
    bank.sends(*(transfer(number) for number in range(1, 5)), at=0)
    assert host.got() == [transfer(1)] and service.waiting.held == 2
    [told] = talk.events("refused")
    assert (told["code"], told["limit"], told["retry_after_ms"]) == ("E-LIM-03", "each", 500)
    assert talk.switch.next_deadline() == pytest.approx(0.5)
    talk.tick(at=0.49)
    assert host.got() == []
    talk.tick(at=0.51)
    assert host.got() == [transfer(2)]
    talk.tick(at=1.01)
    assert host.got() == [transfer(3)]
    assert next(iter(talk.listener().limits)).delayed == 2  # type: ignore[attr-defined]
    host.sends(*map(reply_to, (transfer(1), transfer(2), transfer(3))))
    assert len(bank.got()) == 4 and talk.leftovers() == {}


def test_who_waits_holds_back_its_own_session_at_that_service_and_nobody_else(tmp_path: Path):
    loans = '[services.loans]\nbackends = ["127.0.0.1:8"]\n'
    to_loans = '[[routes]]\nlistener = "branches"\nmatch = { message_type = "5000" }\nservice = "loans"\n'
    talk = talk_of(tmp_path, LISTENER, core(in_flight="9"), loans, DELAY + 'service = "core"\n', to_loans, ALL)
    bank, other = talk.session(), talk.session()
    host, lender = talk.link("core"), talk.link("loans")
    bank.sends(transfer(1), transfer(2), transfer(3, "C002"), credit(4), at=0)
    other.sends(transfer(5, "C003"))
    assert host.got() == [transfer(1), transfer(5, "C003")]
    assert lender.got() == [credit(4)]
    talk.tick(at=0.6)
    assert host.got() == [transfer(2), transfer(3, "C002")]  # the second company's own limit would have let it go at once


def test_a_session_that_leaves_takes_with_it_what_waits_for_its_time(tmp_path: Path):
    talk = talk_of(tmp_path, LISTENER, core(in_flight="9"), DELAY, ALL)
    bank, host = talk.session(), talk.link("core")
    bank.sends(transfer(1), transfer(2), at=0)
    assert host.got() == [transfer(1)]
    bank.dies()
    talk.tick(at=2)
    assert host.got() == [] and not talk.service("core").waiting
    assert talk.switch.next_deadline() is not None  # the first is still awaited


def test_at_most_as_many_wait_for_their_time_as_the_queue_of_the_service_holds(tmp_path: Path):
    slow = DELAY.replace('"1s"', '"20s"')
    talk = talk_of(tmp_path, LISTENER, core(in_flight="9", pending="3"), slow, ALL)
    bank = talk.session()
    talk.link("core")
    bank.sends(*(transfer(number) for number in range(1, 8)), at=0)
    assert talk.service("core").waiting.held == 3 and talk.listener().refused == {"E-LIM-03": 3}


def test_an_http_service_grows_when_the_time_of_a_request_has_come_and_no_connection_is_free(tmp_path: Path):
    web = '[services.core]\nurl = "http://127.0.0.1:9/x"\nconnections = 2\n'
    talk = talk_of(tmp_path, LISTENER, web, DELAY, ALL)
    bank = talk.session()
    talk.link("core")
    bank.sends(transfer(1), transfer(2), at=0)
    talk.switch.commands.clear()
    talk.tick(at=0.6)
    assert [type(each) for each in talk.switch.commands] == [Grow]
    assert talk.service("core").waiting.ready == 1


def test_a_limit_that_delays_no_more_after_a_reload_lets_everybody_go(tmp_path: Path):
    plan = planned(tmp_path, LISTENER, core(in_flight="9"), DELAY, ALL)
    talk = Talk(build_switch(plan))
    bank, host = talk.session(), talk.link("core", backend="127.0.0.1:9")
    bank.sends(transfer(1), transfer(2), transfer(3), at=0)
    assert host.got() == [transfer(1)]
    after = planned(tmp_path, LISTENER, core(in_flight="9"), ALL, before=plan)
    carry_out(talk.switch, prepare(after, talk.switch, plan), 0.1)
    assert host.got() == [transfer(2), transfer(3)]


# --- bulkheads --------------------------------------------------------------------------------------------------------


def test_a_bulkhead_keeps_what_is_open_over_a_reload_with_its_new_number(tmp_path: Path):
    def limit(most: int) -> str:
        return f'[limits.each]\nkey = "header.company_number"\nrate = 100\nin_flight = {most}\n'

    plan = planned(tmp_path, LISTENER, core(in_flight="9"), limit(2), ALL)
    talk = Talk(build_switch(plan))
    bank, host = talk.session(), talk.link("core", backend="127.0.0.1:9")
    bank.sends(transfer(1), transfer(2), transfer(3), transfer(4, "C002"), at=0)
    assert talk.listener().refused == {"E-LIM-02": 1}
    after = planned(tmp_path, LISTENER, core(in_flight="9"), limit(3), ALL, before=plan)
    carry_out(talk.switch, prepare(after, talk.switch, plan), 0.1)
    bank.sends(transfer(5), transfer(6), at=0.2)
    assert talk.listener().refused == {"E-LIM-02": 2}
    gone = planned(tmp_path, LISTENER, core(in_flight="9"), ALL, before=after)
    carry_out(talk.switch, prepare(gone, talk.switch, after), 0.3)
    bank.sends(*(transfer(number) for number in range(7, 10)), at=0.4)
    assert talk.listener().refused == {"E-LIM-02": 2} and len(host.got()) == 7


@pytest.mark.parametrize(
    ("table", "key", "what"),
    [
        ("", "", "has neither rate nor in_flight"),
        ('in_flight = 3\nmode = "delay"\n', ".mode", "belongs to rate"),
        ('rate = 3\nmax_delay = "1s"\n', ".max_delay", 'belongs to mode = "delay"'),
        ('rate = 3\nmode = "delay"\nmax_delay = "30s"\n', ".max_delay", "is not below the timeout of the service core"),
    ],
    ids=["neither", "mode", "max_delay", "timeout"],
)
def test_what_is_wrong_with_a_limit_is_told_with_its_key(tmp_path: Path, table: str, key: str, what: str):
    with pytest.raises(ConfigError) as raised:
        planned(tmp_path, LISTENER, core(), f'[limits.x]\nkey = "session"\n{table}', ALL)
    assert [(each.key, what in each.what) for each in raised.value.problems] == [(f"limits.x{key}", True)]


# --- shares -----------------------------------------------------------------------------------------------------------

NEXT = '[services.next]\nbackends = ["127.0.0.1:8"]\n'


def test_a_new_service_takes_over_by_reloads_and_clients_change_nothing(tmp_path: Path):
    def route(old: int, new: int) -> str:
        return f'[[routes]]\nlistener = "branches"\ndefault = true\nsplit = {{ core = {old}, next = {new} }}\nsplit_by = "company_number"\n'

    companies = [f"C{number:03}" for number in range(40)]
    plan = planned(tmp_path, LISTENER, core(in_flight="200"), NEXT, route(100, 0))
    talk = Talk(build_switch(plan))
    bank, host, new = talk.session(), talk.link("core", backend="127.0.0.1:9"), talk.link("next", backend="127.0.0.1:8")
    bank.sends(*(transfer(1, company) for company in companies), at=0)
    assert len(host.got()) == 40
    moved: set[bytes] = set()
    for number, share in enumerate((10, 50, 100), start=2):
        after = planned(tmp_path, LISTENER, core(in_flight="200"), NEXT, route(100 - share, share), before=plan)
        carry_out(talk.switch, prepare(after, talk.switch, plan), float(number))
        plan = after
        bank.sends(*(transfer(number, company) for company in companies), at=number)
        there = {frame[13:25] for frame in new.got()}
        assert moved <= there and len(there) + len(host.got()) == 40
        moved = there
    assert len(moved) == 40


@pytest.mark.parametrize(
    ("keys", "key", "what"),
    [
        ("split = { core = 0 }", "routes[0].split", "gives nothing to anybody"),
        ('split = { core = 1 }\nsplit_by = "company"', "routes[0].split_by", "no such header field"),
        ("split = { core = 1, cor = 1 }", "routes[0].split.cor", 'there is no service "cor"'),
        ('split = { core = 1 }\nservice = "core"', "routes[0]", "has service and split"),
        ('service = "core"\nsplit_by = "company_number"', "routes[0].split_by", "belongs to split"),
        ("split = { core = -1 }", "routes[0].split.core", "is out of range"),
    ],
    ids=["nothing", "field", "service", "both", "alone", "negative"],
)
def test_what_is_wrong_with_shares_is_told_with_its_key(tmp_path: Path, keys: str, key: str, what: str):
    with pytest.raises(ConfigError) as raised:
        planned(tmp_path, LISTENER, core(), f'[[routes]]\nlistener = "branches"\ndefault = true\n{keys}\n')
    assert (key, True) in [(each.key, what in each.what) for each in raised.value.problems]


def test_explain_and_status_say_which_share_a_telegram_falls_into(tmp_path: Path):
    shares = '[[routes]]\nname = "all"\nlistener = "branches"\ndefault = true\nsplit = { core = 75, next = 25 }\n'
    plan = planned(tmp_path, LISTENER, core(), NEXT, shares)
    switch = build_switch(plan)
    listener = switch.listeners["branches"]
    ways = set()
    for number in range(20):
        frame = transfer(number)
        way = way_of(plan, listener, listener.spec, frame, explain(listener.spec, frame), show=False)
        service = "core" if "service core" in way.target else "next"
        part = {"core": "0.75", "next": "0.25"}[service]
        assert any(f"has {part} of what all takes" in note for note in way.notes)
        assert [each.name for each in way.tried] == ["all"]
        talk = Talk(build_switch(plan))
        links = {name: talk.link(name) for name in ("core", "next")}
        talk.session().sends(frame, at=0)
        assert links[service].got() == [frame]
        ways.add(service)
    assert ways == {"core", "next"}
    assert [listener.routes.share_of(route) for route in listener.routes.routes] == [0.75, 0.25]
