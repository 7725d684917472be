"""What one backend may have over all its links, whatever the policy and whoever comes and goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conversation import Talk, answer_to, ask, service_of, small
from hypothesis import given, settings
from hypothesis import strategies as st

from telegram_router.routing import Listener, ListenerPolicy, Route, RouteTable, Switch
from telegram_router.routing.balance import First, LeastOutstanding, RoundRobin

bounded = st.lists(
    st.one_of(
        st.tuples(st.just("ask")),
        st.tuples(st.just("ask")),
        st.tuples(st.just("answer"), st.integers(0, 9)),
        st.tuples(st.just("join"), st.sampled_from(["a", "b"])),
        st.tuples(st.just("retire"), st.integers(0, 9)),
        st.tuples(st.just("close"), st.integers(0, 9)),
        st.tuples(st.just("pass"), st.sampled_from([0.5, 5.0, 40.0])),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(bounded, st.integers(1, 5), st.integers(1, 4), st.sampled_from([LeastOutstanding, RoundRobin, First]))
def test_no_backend_has_more_than_its_bound_and_nobody_waits_while_one_has_room(
    script: list[Any], most: int, in_flight: int, balance: Callable[[], Any]
):
    switch = Switch()
    service = service_of(switch, "transfer", small(), in_flight=in_flight, backend_in_flight=most, bounds={"b": 2}, pending=50)
    service.balance = balance()
    listener = Listener("branches", small(), ListenerPolicy(), RouteTable(small(), [Route("all", {}, service)]))
    switch.listeners["branches"] = listener
    talk = Talk(switch)
    bank, links, number = talk.session(), [talk.link("transfer", "a1", "a")], 0
    for step in script:
        if step[0] == "ask":
            number += 1
            bank.sends(ask(number))
        elif step[0] == "answer" and links:
            link = links[step[1] % len(links)]
            frames = [frame for frame in link.got() if frame[4:8] == b"0200"]
            link.sends(*map(answer_to, frames))
        elif step[0] == "join":
            links.append(talk.link("transfer", f"{step[1]}{len(talk.speakers)}", step[1]))
        elif step[0] == "retire" and links:
            switch.retire(links[step[1] % len(links)].peer)
            switch.elect(service, talk.clock)
        elif step[0] == "close" and links:
            links.pop(step[1] % len(links)).dies()
        elif step[0] == "pass":
            talk.tick(talk.clock + step[1])
        loads = {name: sum(each.peer.load for each in links if each.peer.backend_name == name) for name in ("a", "b")}
        assert loads["a"] <= most and loads["b"] <= 2
        if service.waiting:
            free = [
                link
                for link in service.links
                if link.load < service.limit and loads[link.backend_name] < {"a": most, "b": 2}[link.backend_name]
            ]
            assert not free or any(backend.ramp_from is not None for backend in service.pool.used)


def test_a_backend_that_comes_back_begins_with_a_tenth_of_its_bound():
    switch = Switch()
    service = service_of(switch, "transfer", small(), backend_in_flight=20)
    talk = Talk(switch)
    talk.link("transfer", "a1", "a")
    first, second = talk.link("transfer", "b1", "b"), talk.link("transfer", "b2", "b")
    first.dies(at=1)
    second.dies(at=1)
    links = [talk.link("transfer", name, "b").peer for name in ("b3", "b4")]
    talk.tick(at=1)
    service.choose(b"")
    assert [link.limit for link in links] == [2, 2]
    links[0].load = 1
    service.choose(b"")
    assert [link.limit for link in links] == [2, 1]
    links[0].load = 2
    service.choose(b"")
    assert [link.limit for link in links] == [2, 0]
    talk.tick(at=16.5)
    service.choose(b"")
    assert [link.limit for link in links] == [10, 8]
