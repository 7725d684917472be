"""Backends that fail, come back, are taken out and put in again, and where requests go meanwhile."""

from __future__ import annotations

from collections import Counter

import pytest
from conversation import Speaker, Talk, ask, exactly, firm, listing, one_service, reply_to, small, transfer
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.routing.backends import Admin, Ejection, Failover, Health
from telegram_router.routing.balance import Balance, HashRing, LeastOutstanding, RoundRobin

TROUBLE = exactly(response_code="SSSS")
CAREFUL = {"failure_when": TROUBLE, "ejection": Ejection(), "timeout": 5.0}


class Site:
    """A router with backends a, b, c ... of given priorities, and one client."""

    def __init__(self, *priorities: int, weights: tuple[float, ...] = (), **policy) -> None:
        self.talk: Talk = firm(**{**CAREFUL, **policy})
        self.service = self.talk.service()
        self.bank = self.talk.session()
        self.links: dict[str, Speaker] = {}
        self.number = 0
        for index, priority in enumerate(priorities):
            name = "abcdef"[index]
            self.service.pool.declare(name, weights[index] if weights else 1.0, priority)
            self.connect(name)

    def connect(self, name: str) -> None:
        self.links[name] = self.talk.link(backend=name)

    def dies(self, name: str, at: float | None = None) -> None:
        self.links.pop(name).dies(at)

    def ask(self, count: int = 1, at: float | None = None) -> str:
        """Requests come; tells to whom they went."""
        frames = [transfer(self.number + each) for each in range(1, count + 1)]
        self.number += count
        self.bank.sends(*frames, at=at)
        return self.went()

    def went(self) -> str:
        self.open = {name: link.got() for name, link in self.links.items()}
        return "".join(name * len(frames) for name, frames in sorted(self.open.items()))

    def answer(self, code: str = "0000", only: str = "") -> None:
        for name, frames in self.open.items():
            if not only or name == only:
                self.links[name].sends(*(reply_to(frame, code) for frame in frames))

    def served(self, count: int, at: float | None = None, bad: str = "") -> str:
        """So many requests one after the other, each answered; `bad` answers that its system is in trouble."""
        order = ""
        for _ in range(count):
            where = self.ask(at=at)
            self.answer("SSSS" if where == bad else "0000")
            order += where
        return order

    def order(self, name: str, admin: Admin, at: float) -> None:
        pool = self.service.pool
        self.talk.now(at)
        for event in pool.order(pool.backends[name], admin, at):
            self.talk.switch._tell(event)
        self.talk.switch.elect(self.service, at)

    def probe(self, name: str, health: Health, at: float) -> None:
        pool = self.service.pool
        self.talk.now(at)
        for event in pool.probed(pool.backends[name], health, at):
            self.talk.switch._tell(event)
        self.talk.switch.elect(self.service, at)

    def state(self, name: str) -> str:
        return self.service.pool.backends[name].state


class TestEjection:
    def test_a_host_that_answers_system_errors_is_left_out_after_five_in_a_row(self):
        site = Site(0, 0)
        assert site.served(9, at=1, bad="a") == "ababababa"
        assert site.state("a") == "ejected"
        assert set(site.served(10)) == {"b"}
        assert [event["backend"] for event in site.talk.events("backend_ejected")] == ["a"]

    def test_a_refusal_for_business_reasons_says_nothing_against_the_host(self):
        site = Site(0, 0)
        for _ in range(40):
            site.ask()
            site.answer("0101")
        assert (site.state("a"), site.state("b")) == ("up", "up")

    def test_the_last_fit_host_is_never_ejected(self):
        site = Site(0, 0)
        for _ in range(60):
            site.ask()
            site.answer("SSSS")
        assert sorted((site.state("a"), site.state("b"))) == ["ejected", "up"]

    def test_answers_that_do_not_come_count_as_failures(self):
        site = Site(0, 0)
        site.ask(10, at=0)
        site.answer(only="b")
        site.talk.tick(at=5)
        assert site.state("a") == "ejected"

    def test_after_its_time_it_gets_one_request_at_a_time_until_two_went_well(self):
        site = Site(0, 0)
        site.served(9, at=0, bad="a")
        site.talk.tick(at=29.9)
        assert set(site.ask(6)) == {"b"}
        site.answer()
        site.talk.tick(at=30)
        assert site.state("a") == "up"
        assert Counter(site.ask(6)) == {"a": 1, "b": 5}
        site.answer()
        assert Counter(site.ask(6)) == {"a": 1, "b": 5}
        site.answer()
        assert site.service.pool.backends["a"].trials == 0
        site.talk.tick(at=70)
        assert Counter(site.ask(6)) == {"a": 3, "b": 3}  # the slow start is over

    def test_a_failure_on_trial_ejects_again_and_for_longer(self):
        site = Site(0, 0)
        site.served(9, at=0, bad="a")
        site.talk.tick(at=30)
        site.served(2, at=31, bad="a")
        assert site.state("a") == "ejected"
        site.talk.tick(at=31 + 59)
        assert site.state("a") == "ejected"
        site.talk.tick(at=31 + 61)
        assert site.state("a") == "up"

    def test_half_of_many_failures_are_enough_though_never_five_in_a_row(self):
        site = Site(0, 0)
        for number in range(50):
            where = site.ask(at=number * 0.1)
            site.answer("SSSS" if where == "a" and number % 4 < 2 else "0000")
        assert site.state("a") == "ejected"

    def test_without_a_policy_nobody_is_ejected(self):
        site = Site(0, 0, ejection=None)
        for _ in range(60):
            site.ask()
            site.answer("SSSS")
        assert (site.state("a"), site.state("b")) == ("up", "up")


class TestPriorities:
    def test_a_backup_gets_nothing_while_the_primary_is_there(self):
        assert set(Site(0, 1).served(10)) == {"a"}

    def test_fail_over_is_immediate_and_takes_along_what_was_not_sent(self):
        site = Site(0, 1)
        site.bank.sends(transfer(1), transfer(2), at=0)
        site.dies("a", at=0.001)
        assert site.went() == "bb"
        assert site.talk.events("failover")[0]["to_priority"] == 1

    def test_fail_back_waits_and_then_starts_slowly(self):
        site = Site(0, 0, 1)
        for name in "ab":
            site.probe(name, Health.DOWN, at=1)
        assert set(site.served(5, at=2)) == {"c"}
        for name in "ab":
            site.probe(name, Health.UP, at=100)
        site.talk.tick(at=129.9)
        assert set(site.served(5)) == {"c"}
        site.talk.tick(at=130)
        assert set(site.served(6)) == {"a", "b"}

    @pytest.mark.parametrize("elapsed", [3, 6, 15, 24, 27])
    def test_who_comes_back_gets_its_weight_within_a_tenth_of_the_ramp(self, elapsed: int):
        site = Site(0, 0)
        site.probe("a", Health.DOWN, at=0)
        site.probe("a", Health.UP, at=100)
        site.talk.tick(at=100 + elapsed)
        shares = Counter(site.ask(220))
        wanted = elapsed / 30
        assert abs(shares["a"] / shares["b"] - wanted) <= 0.1 * wanted + 0.02

    def test_at_the_start_the_primary_is_used_though_the_backup_was_connected_first(self):
        site = Site(1, 0)
        assert site.served(2, at=1) == "bb"

    def test_a_primary_that_first_comes_long_after_the_start_has_to_wait(self):
        site = Site(1)
        site.service.pool.declare("b", priority=0)
        assert site.served(1, at=31) == "a"
        site.connect("b")
        assert site.served(1) == "a"
        site.talk.tick(at=61)
        assert site.served(1) == "b"

    def test_at_the_start_nobody_starts_slowly(self):
        assert Counter(Site(0, 0).ask(20)) == {"a": 10, "b": 10}

    def test_alone_nobody_starts_slowly(self):
        site = Site(0)
        site.probe("a", Health.DOWN, at=1)
        site.probe("a", Health.UP, at=2)
        assert len(site.ask(50)) == 50

    def test_by_hand_it_never_returns_by_itself(self):
        site = Site(0, 1, failover=Failover(failback="manual"))
        site.dies("a", at=1)
        site.connect("a")
        for at in (40, 400, 40_000):
            site.talk.tick(at=at)
            assert site.served(1) == "b"
        site.service.pool.return_now()
        site.talk.switch.elect(site.service, 40_001)
        assert site.served(1) == "a"

    def test_three_fail_overs_in_ten_minutes_keep_the_backup(self):
        site = Site(0, 1, failover=Failover(delay=10))
        for at in (100, 200, 300):
            site.dies("a", at=at)
            site.connect("a")
            site.talk.tick(at=at + 15)
        assert site.served(1, at=400) == "b"
        site.talk.tick(at=699)
        assert site.served(1) == "b"
        site.talk.tick(at=702)
        assert site.served(1) == "a"

    def test_when_the_backup_dies_while_the_primary_waits_the_primary_takes_over_at_once(self):
        site = Site(0, 1)
        site.dies("a", at=1)
        site.connect("a")
        assert site.served(1, at=2) == "b"
        site.dies("b", at=3)
        assert site.served(1) == "a"


class TestSlowStart:
    """Where nobody has anything open, and so the requests that each has had decide."""

    @staticmethod
    def returning(others: int, **policy: object) -> Site:
        """Host a comes back at 100, beside others that have had a hundred requests meanwhile."""
        site = Site(*[0] * (others + 1), **policy)
        site.probe("a", Health.DOWN, at=0)
        site.served(100)
        site.probe("a", Health.UP, at=100)
        return site

    @pytest.mark.parametrize(
        ("others", "every", "order"),
        [
            (1, 10, "abbabababab"),
            (3, 10, "acdbcdabcdabcdabcdabcd"),  # the first came when its share was a tenth
            (3, 60, "acdabcdabcda"),
            (3, 1, "acdbcdbcdbcdabcdbcdabcdbcdabcdabcdabc"),
        ],
    )
    def test_a_host_that_comes_back_in_a_quiet_hour_is_not_passed_over_for_what_it_was_given_at_first(
        self, others: int, every: int, order: str
    ):
        site, got, at = self.returning(others), "", 101
        for _ in order:
            site.talk.tick(at=at)
            got += site.served(1)
            at += every
        assert got == order

    @given(st.integers(1, 4), st.sampled_from([0.0, 5.0, 30.0, 300.0]), st.lists(st.floats(0.01, 15), min_size=1, max_size=60))
    @settings(max_examples=40, deadline=None)
    def test_whenever_requests_come_it_has_what_its_share_makes_of_them_but_for_one_or_two(
        self, others: int, slow_start: float, pauses: list[float]
    ):
        site = self.returning(others, failover=Failover(slow_start=slow_start))
        due, had, at = 0.0, 0, 100.0
        for pause in pauses:
            at += pause
            site.talk.tick(at=at)
            weights = {link.backend_name: link.weight for link in site.service.links}
            due += weights["a"] / sum(weights.values())
            had += site.served(1) == "a"
            assert abs(due - had) <= 2, "starved" if due > had else "flooded"

    @given(st.sampled_from([LeastOutstanding(), RoundRobin(), HashRing(slice(36, 42))]), st.integers(1, 3))
    @settings(max_examples=12, deadline=None)
    def test_by_each_policy_its_share_grows_with_time_and_is_whole_in_the_end(self, balance: Balance, others: int):
        site = self.returning(others)
        site.service.balance = balance
        shares = []
        for at in (103, 110, 120, 131):
            site.talk.tick(at=at)
            shares.append(site.served(300).count("a") / 300)
        assert shares == sorted(shares)
        assert 0 < shares[0] < 0.6 * shares[-1]
        assert shares[-1] == pytest.approx(1 / (others + 1), abs=0.1)


class TestOrders:
    def test_a_drained_backend_gets_nothing_new_and_still_answers(self):
        site = Site(0, 0)
        site.ask(4, at=0)
        site.order("a", Admin.DRAIN, at=1)
        asked = site.open
        assert set(site.ask(4)) == {"b"}
        site.open = asked
        site.answer()
        assert len(site.bank.got()) == 4
        site.order("a", Admin.READY, at=2)
        assert "a" in site.ask(20)

    def test_with_everybody_in_maintenance_requests_are_refused_as_not_sent(self):
        site = Site(0)
        site.order("a", Admin.MAINT, at=0)
        assert site.ask(at=0) == ""
        site.talk.tick(at=1)
        assert [frame[56:60] for frame in site.bank.got()] == [b"SB07"]

    def test_what_waited_goes_out_when_a_backend_is_ready_again(self):
        site = Site(0)
        site.order("a", Admin.MAINT, at=0)
        site.ask(3)
        site.order("a", Admin.READY, at=0.5)
        assert site.went() == "aaa"


names = st.sampled_from("abc")
steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(1, 5)),
        st.tuples(st.just("ask"), st.integers(1, 5)),
        st.tuples(st.just("answer"), st.sampled_from(["0000", "0000", "SSSS"])),
        st.tuples(st.just("dies"), names),
        st.tuples(st.just("connect"), names),
        st.tuples(st.just("probe"), names, st.sampled_from([Health.UP, Health.DOWN])),
        st.tuples(st.just("order"), names, st.sampled_from(list(Admin))),
        st.tuples(st.just("time"), st.sampled_from([0.5, 4.0, 31.0, 400.0])),
    ),
    max_size=40,
)


@given(steps, st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)))
@settings(deadline=None)
def test_whatever_happens_only_fit_backends_of_the_best_usable_priority_get_requests(script, priorities):
    """And every request is answered once, in the end."""
    site = Site(*priorities)
    pool, at = site.service.pool, 0.0
    asked = 0
    waiting: dict[str, list[bytes]] = {name: [] for name in "abc"}  # what each host has and has not answered
    got: list[bytes] = []
    for step in script:
        fit = {name for name, backend in pool.backends.items() if backend.fit and backend.in_use}
        if step[0] == "time":
            at += step[1]
            site.talk.tick(at=at)
        elif step[0] == "dies" and step[1] in site.links:
            site.dies(step[1], at=at)
            waiting[step[1]] = []
        elif step[0] == "connect" and step[1] not in site.links:
            site.connect(step[1])
        elif step[0] in ("probe", "order"):
            getattr(site, step[0])(step[1], step[2], at)
        elif step[0] == "ask":
            asked += step[1]
            assert set(site.ask(step[1])) <= fit
            for name, frames in site.open.items():
                waiting[name] += frames
        elif step[0] == "answer":
            site.open = {name: waiting[name] for name in site.links}
            site.answer(step[1])
            waiting = {name: [] for name in "abc"}
        site.went()  # what waited, and was let out by what just happened
        for name, frames in site.open.items():
            waiting[name] += frames
        used = pool.used
        assert all(backend.fit for backend in used)
        assert len({backend.priority for backend in used}) <= 1
        assert bool(used) == any(backend.fit for backend in pool.backends.values())
        assert {link for backend in used for link in backend.links} >= set(site.service.links)
        assert bool(site.service.links) == bool(used)
        got += site.bank.got()
    for _ in range(3):
        at += 6.0
        site.talk.tick(at=at)
        got += site.bank.got()
    assert sorted(frame[36:42] for frame in got) == sorted({frame[36:42] for frame in got}), "answered twice"
    assert len(got) == asked


def test_an_answer_in_parts_that_tells_of_trouble_takes_the_general_way():
    """Its request expects no single message: the quick way must not take it for one."""
    talk = one_service(small(carrier=False), ejection=Ejection(), failure_when=exactly(code="SSSS"))
    bank, host = talk.session(), talk.link(backend="a")
    bank.sends(ask(7, kind="0300"))
    host.got()
    for part in (1, 2):
        told = listing(7, part, 2)
        told = told[:13] + b"SSSS" + told[17:]
        host.sends(told)
        assert bank.got() == [told]
    assert talk.leftovers() == {}
    assert talk.service().pool.backends["a"].failed == 1
