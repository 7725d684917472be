"""A switch becomes what another configuration describes while telegrams are on their way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from telegram_router.routing import (
    Among,
    Audience,
    Kind,
    Listener,
    ListenerPolicy,
    Peer,
    Route,
    RouteTable,
    Service,
    ServicePolicy,
    Switch,
)
from telegram_router.routing.backends import Ejection, Failover
from telegram_router.routing.balance import HashRing
from telegram_router.routing.changing import Change, Parted, ServiceTerms, carry_out, finished, vanish
from telegram_router.routing.limits import Limit, part
from telegram_router.routing.routes import Score
from tests.routing.conversation import Talk, credit, firmbanking, reply_to, service_of, transfer

CREDIT = {"message_type": Among(frozenset((b"5000",)))}


class Reloaded:
    """A bank's session, the hosts of two services, and reloads in between."""

    def __init__(self, **policy: float) -> None:
        self.spec = firmbanking()
        self.switch = Switch()
        self.core, self.loans = (service_of(self.switch, name, self.spec, **policy) for name in ("core", "loans"))
        self.listener = self.switch.listeners["branches"] = Listener("branches", self.spec, ListenerPolicy())
        self.routes(self.to("all", self.core))
        self.talk = Talk(self.switch)
        self.host, self.lender, self.bank = self.talk.link("core"), self.talk.link("loans"), self.talk.session()

    @staticmethod
    def to(name: str, service: Service, tests: dict[str, Among] | None = None) -> Route:
        return Route(name, tests or {}, service)

    def routes(self, *routes: Route) -> None:
        self.listener.set_routes(RouteTable(self.spec, routes))

    def reload(self, *routes: Route, now: float = 1.0, **change: object) -> Parted:
        """All is as it was, but for the routes and what else is given."""
        all_of_it = {"services": dict(self.switch.services), "listeners": dict(self.switch.listeners), "limits": {}}
        scored = [Route(each.name, each.tests, each.target, each.full, self.score(each)) for each in routes]
        tables = {self.listener: RouteTable(self.spec, scored)}
        return carry_out(self.switch, Change(**{**all_of_it, "tables": tables, **change}), now)  # type: ignore[arg-type]

    def score(self, route: Route) -> Score:
        known = self.listener.scores.get((route.name, ("Service", route.target.name)))
        return known if known is not None else Score()

    def ok(self) -> int:
        self.listener.add_up()
        return sum(route.score.ok for route in (*self.listener.routes.routes, *self.listener.former_routes))

    @property
    def peer(self) -> Peer:
        return self.bank.peer


def test_the_next_telegram_follows_the_new_table_and_the_open_one_is_answered_where_it_went():
    with_two = Reloaded()
    bank, host, lender = with_two.bank, with_two.host, with_two.lender
    bank.sends(credit(1), at=0)
    assert host.got() == [credit(1)]
    with_two.reload(with_two.to("all", with_two.core), with_two.to("loans", with_two.loans, CREDIT))
    bank.sends(credit(2), at=2)
    assert lender.got() == [credit(2)]
    host.sends(reply_to(credit(1)), at=3)
    assert bank.got() == [reply_to(credit(1))]
    lender.sends(reply_to(credit(2)), at=3)
    assert bank.got() == [reply_to(credit(2))]
    assert not with_two.peer.open


def test_counts_of_exchanges_that_were_open_across_two_reloads_are_not_lost():
    with_two = Reloaded()
    for number in (1, 2, 3):
        with_two.bank.sends(transfer(number), at=0)
    assert with_two.host.got() == [transfer(1), transfer(2), transfer(3)]
    with_two.host.got()
    with_two.host.sends(reply_to(transfer(1)), at=0.5)
    with_two.reload(with_two.to("other name", with_two.core))
    with_two.host.got()
    with_two.host.sends(reply_to(transfer(2)), at=2)
    with_two.reload(with_two.to("third name", with_two.core))
    with_two.host.got()
    with_two.host.sends(reply_to(transfer(3)), at=3)
    assert with_two.ok() == 3
    with_two.reload(with_two.to("third name", with_two.core))
    assert with_two.ok() == 3
    assert len(with_two.listener.former_routes) == 1


def test_a_route_of_the_same_name_and_target_goes_on_with_its_own_count():
    with_two = Reloaded()
    with_two.bank.sends(transfer(1), at=0)
    with_two.host.got()
    with_two.host.sends(reply_to(transfer(1)), at=0)
    with_two.reload(with_two.to("all", with_two.core))
    with_two.bank.sends(transfer(2), at=2)
    with_two.host.got()
    with_two.host.sends(reply_to(transfer(2)), at=2)
    with_two.listener.add_up()
    assert [route.score.ok for route in with_two.listener.routes.routes] == [2]
    assert not with_two.listener.former_routes


def test_lanes_of_kept_targets_stay_and_those_of_lost_ones_as_long_as_something_is_open_there():
    with_two = Reloaded()
    core, loans = with_two.core, with_two.loans
    with_two.bank.sends(transfer(1), at=0)
    [lane] = with_two.peer.lanes
    with_two.reload(with_two.to("loans", loans, CREDIT), with_two.to("all", core))
    assert with_two.peer.lanes[0] is lane  # where it was, whatever the order of the routes
    assert [each.limit for each in with_two.peer.lanes] == [128, 128]  # half of the session's for each of two
    with_two.reload(with_two.to("all", loans))
    assert with_two.peer.lanes[1] is lane
    assert with_two.peer.open == 1
    with_two.reload(with_two.to("all", core))
    assert with_two.peer.lanes == [lane]
    with_two.reload(with_two.to("all", loans))
    with_two.host.got()
    with_two.host.sends(reply_to(transfer(1)), at=2)
    with_two.reload(with_two.to("all", loans))
    assert lane not in with_two.peer.lanes


def test_a_number_that_is_open_at_a_target_that_went_away_and_came_back_is_still_refused():
    with_two = Reloaded()
    with_two.bank.sends(transfer(1), at=0)
    assert with_two.host.got() == [transfer(1)]
    with_two.reload(with_two.to("all", with_two.loans))
    with_two.reload(with_two.to("all", with_two.core))
    with_two.bank.sends(transfer(1), at=2)
    assert not with_two.host.got()
    assert with_two.listener.refused == {"E-DUP-01": 1}


def test_every_exchange_keeps_the_reply_timeout_that_it_began_with():
    with_two = Reloaded(timeout=10)
    with_two.bank.sends(transfer(1), at=0)
    shorter, longer = (ServiceTerms(ServicePolicy(timeout=timeout)) for timeout in (3, 30))
    with_two.reload(with_two.to("all", with_two.core), service_terms={"core": shorter}, now=1)
    with_two.bank.sends(transfer(2), at=2)
    with_two.reload(with_two.to("all", with_two.core), service_terms={"core": longer}, now=3)
    with_two.bank.sends(transfer(3), at=4)
    register = with_two.core.register
    ends = {}
    for tenth in range(400):
        assert register.next_deadline() is None or register.next_deadline() + 0.001 >= tenth / 10
        before = {exchange.frame[36:42] for exchange in register.pending.values()}
        with_two.switch.tick(tenth / 10)
        for number in before - {exchange.frame[36:42] for exchange in register.pending.values()}:
            ends[int(number)] = tenth / 10
    assert ends == {2: 5.0, 1: 10.0, 3: 34.0}
    assert not register._former


def test_a_session_that_may_have_fewer_open_keeps_those_that_it_has_and_gets_no_more():
    with_two = Reloaded()
    for number in (1, 2, 3):
        with_two.bank.sends(transfer(number), at=0)
    terms = {with_two.listener.name: ListenerPolicy(open_exchanges=2)}
    with_two.reload(with_two.to("all", with_two.core), listener_terms=terms)
    assert (with_two.peer.limit, with_two.peer.open) == (2, 3)
    with_two.bank.sends(transfer(4), at=2)
    assert with_two.listener.refused == {"E-LIM-01": 1}
    with_two.host.got()
    with_two.host.sends(reply_to(transfer(1)), reply_to(transfer(2)), at=3)
    with_two.bank.sends(transfer(5), at=3)
    assert with_two.peer.open == 2


def test_a_limit_that_stays_goes_on_counting_with_its_new_numbers():
    with_two = Reloaded()
    kept = Limit("each", 1.0, 2, [part("session", with_two.spec)])
    with_two.listener.limits = [kept]
    with_two.routes(with_two.to("all", with_two.core))
    for number in (1, 2, 3):
        with_two.bank.sends(transfer(number), at=0)
    assert with_two.listener.refused == {"E-LIM-03": 1}
    narrower = Limit("each", 0.5, 1, [part("session", with_two.spec)])
    limits = {with_two.listener: [kept]}
    with_two.reload(with_two.to("all", with_two.core), limits=limits, limit_terms=[(kept, narrower)], now=0.1)
    with_two.bank.sends(transfer(4), at=0.1)
    assert with_two.listener.refused == {"E-LIM-03": 2}
    assert kept.rate == 0.5
    with_two.bank.sends(transfer(5), at=4)
    assert with_two.listener.refused == {"E-LIM-03": 2}


def test_backends_that_stay_keep_links_health_and_age_and_those_that_go_are_given_nothing_more():
    with_two = Reloaded()
    core = with_two.core
    one, two = core.pool.declare("a:1"), core.pool.declare("b:1")
    first = with_two.switch.add_link(core, "a#1", "a:1", 0.0)
    second = with_two.switch.add_link(core, "b#1", "b:1", 0.0)
    one.ramp_from, one.streak = 0.5, 3
    terms = ServiceTerms(ServicePolicy(failover=Failover(slow_start=60)), HashRing(slice(0, 4)), [("c:1", 1, 0), ("a:1", 5, 0)])
    parted = with_two.reload(with_two.to("all", core), service_terms={"core": terms})
    assert list(core.pool.backends) == ["c:1", "a:1"]
    assert core.pool.backends["a:1"] is one
    assert (one.links, one.weight, one.ramp_from, one.streak) == ([first], 5, 0.5, 3)
    assert second in parted.links
    assert second.retired
    assert core.links == [first]
    assert two not in core.pool.backends.values()


def test_ejections_end_when_the_policy_does():
    with_two = Reloaded()
    pool = with_two.core.pool
    pool.ejection = Ejection(consecutive=1)
    gone = pool.declare("a:1")
    link = with_two.switch.add_link(with_two.core, "a#1", "a:1", 0.0)
    pool.failed(gone, 0.0)
    assert gone.ejected_until is not None
    with_two.reload(with_two.to("all", with_two.core), service_terms={"core": ServiceTerms(ServicePolicy())})
    assert gone.ejected_until is None
    assert link.used
    with_two.switch.tick(100.0)


def test_a_service_that_is_replaced_keeps_its_numbers_and_what_is_open_ends_in_the_old_one():
    with_two = Reloaded()
    old = with_two.core
    with_two.bank.sends(transfer(1), at=0)
    assert with_two.host.got() == [transfer(1)]
    new = Service("core", Kind.TELEGRAM, with_two.spec, ServicePolicy())
    new.register = old.register
    services = {"core": new, "loans": with_two.loans}
    parted = with_two.reload(with_two.to("all", new), services=services)
    assert parted.services == [old]
    assert with_two.switch.parting == [old]
    assert not finished(with_two.switch, old)
    link = with_two.talk.link("core", "new#1")
    with_two.bank.sends(transfer(1), at=2)
    assert with_two.listener.refused == {"E-DUP-01": 1}
    assert not link.got()
    with_two.bank.sends(transfer(2), at=2)
    assert link.got() == [transfer(2)]
    assert len(with_two.bank.got()) == 1  # the refusal
    with_two.host.got()
    with_two.host.sends(reply_to(transfer(1)), at=3)
    assert with_two.bank.got() == [reply_to(transfer(1))]
    assert finished(with_two.switch, old)
    vanish(with_two.switch, old)
    assert not with_two.switch.parting
    link.sends(reply_to(transfer(2)), at=3)
    assert with_two.bank.got() == [reply_to(transfer(2))]


def test_the_time_of_a_service_that_parts_goes_on():
    with_two = Reloaded(timeout=10)
    with_two.bank.sends(transfer(1), at=0)
    assert with_two.host.got() == [transfer(1)]
    with_two.reload(with_two.to("all", with_two.loans), services={"loans": with_two.loans})
    assert with_two.switch.next_deadline() == 10
    assert not with_two.switch.idle
    with_two.switch.tick(10)
    assert not with_two.peer.open
    assert with_two.core.register.tombstones


def test_who_may_no_longer_speak_for_an_owner_does_not_though_it_did_before():
    with_two = Reloaded()
    spec, listener = with_two.spec, with_two.listener
    Audience(listener)
    assert spec.owner is not None
    with_two.bank.sends(transfer(1), at=0)
    [owner] = with_two.peer.owners
    terms = {listener.name: ListenerPolicy(owners={owner: frozenset({"somebody.else"})})}
    with_two.reload(with_two.to("all", with_two.core), listener_terms=terms)
    assert not with_two.peer.owners
    assert not listener.by_owner
    with_two.bank.sends(transfer(2), at=2)
    assert listener.refused == {"E-RTE-04": 1}


@given(
    st.lists(st.sampled_from(["transfer", "credit", "core answers", "loans answer", "all to core", "all to loans", "both"]), max_size=40)
)
def test_reloads_at_any_time_lose_no_answer_and_no_count(steps: list[str]):
    bed = Reloaded()
    core, loans = bed.core, bed.loans
    tables = {
        "all to core": [bed.to("all", core)],
        "all to loans": [bed.to("every", loans)],
        "both": [bed.to("loans", loans, CREDIT), bed.to("all", core)],
    }
    asked: list[bytes] = []
    heard: dict[str, list[bytes]] = {"core answers": [], "loans answer": []}
    hosts = {"core answers": bed.host, "loans answer": bed.lender}
    for step in [*steps, *["core answers", "loans answer"] * len(steps)]:
        if step in tables:
            bed.reload(*tables[step])
        elif step in hosts:
            heard[step] += hosts[step].got()
            if heard[step]:
                hosts[step].sends(reply_to(heard[step].pop()))
        else:
            asked.append((transfer if step == "transfer" else credit)(len(asked) + 1))
            bed.bank.sends(asked[-1])
    assert sorted(bed.bank.got()) == sorted(reply_to(each) for each in asked)
    assert bed.ok() == len(asked)
    assert not bed.talk.leftovers()
    bed.reload(*tables["both"])
    assert len(bed.peer.lanes) == 2
    assert bed.ok() == len(asked)
