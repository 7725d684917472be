"""The state machine of one connection: what it asks for, and when it gives up."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from telegram_router.routing.conduct import Act, Phase, Rules, Standing

SIGNING = Rules(sign_on=True, sign_off=True, timeout=10.0)
BEATING = Rules(heartbeat=30.0, misses=3)


def link(rules: Rules = SIGNING, *, business: bool = True) -> Standing:
    standing = Standing(is_link=True, now=0.0)
    standing.begin(rules, 0.0, business=business)
    return standing


def session(rules: Rules, *, business: bool = True) -> Standing:
    standing = Standing(is_link=False, now=0.0)
    standing.begin(rules, 0.0, business=business)
    return standing


def acts(standing: Standing, rules: Rules, upto: float, *, busy: bool = False) -> list[tuple[float, Act]]:
    """What it wants up to a time, when nobody says anything."""
    found = []
    for _ in range(100):
        at = standing.next_at(rules)
        if at > upto:
            return found
        act = standing.due(rules, max(at, 0.0), busy=busy)
        if act is not None:
            found.append((at, act))
    raise AssertionError("it never comes to rest")


def test_a_link_is_open_once_its_sign_on_is_accepted():
    standing = Standing(is_link=True, now=0.0)
    assert standing.begin(SIGNING, 0.0, business=True) is Act.SIGN_ON
    assert standing.phase is Phase.SIGNING_ON
    assert standing.answered("sign_on", yes=True) is Act.OPENED
    assert standing.phase is Phase.OPEN
    assert acts(standing, SIGNING, 1e6) == []


def test_a_refused_or_unanswered_sign_on_ends_the_link():
    assert link().answered("sign_on", yes=False) is Act.REFUSED
    assert acts(link(), SIGNING, 100.0) == [(10.0, Act.REFUSED)]


def test_an_answer_that_comes_too_late_changes_nothing():
    standing = link()
    standing.answered("sign_on", yes=True)
    assert standing.answered("sign_on", yes=False) is None
    assert standing.answered("sign_off", yes=True) is None
    assert standing.answered("echo", yes=False) is None
    assert standing.phase is Phase.OPEN


def test_without_a_sign_on_a_link_is_open_at_once():
    assert link(Rules()).phase is Phase.OPEN
    assert link(Rules()).next_at(Rules()) == math.inf


def test_a_link_signs_off_before_it_is_left():
    standing = link()
    standing.answered("sign_on", yes=True)
    assert standing.leave(SIGNING, 100.0) is Act.SIGN_OFF
    assert standing.leave(SIGNING, 100.0) is None
    assert standing.phase is Phase.SIGNING_OFF
    standing.answered("sign_off", yes=True)
    assert standing.phase is Phase.DONE


def test_nobody_waits_long_for_the_answer_to_a_sign_off():
    standing = link()
    standing.answered("sign_on", yes=True)
    standing.leave(SIGNING, 100.0)
    assert standing.next_at(SIGNING) == 102.0
    assert acts(standing, SIGNING, 200.0) == []
    assert standing.phase is Phase.DONE


def test_a_link_that_never_signed_on_does_not_sign_off():
    standing = link()
    assert standing.leave(SIGNING, 5.0) is None
    assert standing.phase is Phase.DONE
    quiet = Rules(sign_on=True)
    opened = link(quiet)
    opened.answered("sign_on", yes=True)
    assert opened.leave(quiet, 5.0) is None


def test_a_link_waits_for_the_opening_and_signs_on_then():
    standing = link(business=False)
    assert standing.phase is Phase.CLOSED and standing.next_at(SIGNING) == math.inf
    assert standing.turn(SIGNING, 50.0, business=True) is Act.SIGN_ON


def test_at_the_close_what_is_open_ends_before_the_sign_off():
    standing = link()
    standing.answered("sign_on", yes=True)
    assert standing.turn(SIGNING, 50.0, business=False) is Act.SHUT
    assert standing.due(SIGNING, 50.0, busy=True) is None
    assert 50.0 < standing.next_at(SIGNING) < 51.0
    assert standing.due(SIGNING, 51.0, busy=False) is Act.SIGN_OFF
    standing.answered("sign_off", yes=True)
    assert standing.phase is Phase.CLOSED
    assert standing.turn(SIGNING, 60.0, business=True) is Act.SIGN_ON


def test_without_a_sign_off_the_close_is_silent():
    rules = Rules(sign_on=True)
    standing = link(rules)
    standing.answered("sign_on", yes=True)
    standing.turn(rules, 50.0, business=False)
    assert standing.due(rules, 50.0, busy=False) is None
    assert standing.phase is Phase.CLOSED


def test_business_that_opens_again_at_once_goes_on():
    standing = link()
    standing.answered("sign_on", yes=True)
    standing.turn(SIGNING, 50.0, business=False)
    assert standing.turn(SIGNING, 50.05, business=True) is Act.OPENED
    assert standing.phase is Phase.OPEN


def test_business_that_opens_while_the_sign_off_is_on_its_way_means_another_sign_on():
    standing = link()
    standing.answered("sign_on", yes=True)
    standing.turn(SIGNING, 50.0, business=False)
    assert standing.due(SIGNING, 50.0, busy=False) is Act.SIGN_OFF
    assert standing.turn(SIGNING, 50.5, business=True) is None
    standing.answered("sign_off", yes=True)
    assert standing.next_at(SIGNING) <= 50.5
    assert standing.due(SIGNING, 50.5, busy=False) is Act.SIGN_ON


def test_business_that_closes_while_the_sign_on_is_on_its_way_closes_after_it():
    standing = link()
    assert standing.turn(SIGNING, 5.0, business=False) is None
    assert standing.answered("sign_on", yes=True) is Act.OPENED
    assert standing.due(SIGNING, 6.0, busy=False) is Act.SHUT


def test_a_client_has_so_long_to_sign_on():
    rules = Rules(sign_on=True)
    assert acts(session(rules), rules, 100.0) == [(10.0, Act.LATE)]
    assert acts(session(rules, business=False), rules, 100.0) == []
    standing = session(rules)
    assert standing.signed("sign_on") is Act.OPENED
    assert standing.signed("sign_on") is None
    assert acts(standing, rules, 100.0) == []
    assert standing.signed("sign_off") is Act.SHUT
    assert standing.signed("sign_off") is None
    assert acts(standing, rules, 100.0) == []


def test_a_client_signs_on_again_after_each_close_of_business():
    rules = Rules(sign_on=True)
    standing = session(rules)
    standing.signed("sign_on")
    assert standing.turn(rules, 50.0, business=False) is Act.SHUT
    assert standing.turn(rules, 60.0, business=True) is None
    assert standing.phase is Phase.CLOSED
    assert session(Rules()).turn(Rules(), 50.0, business=False) is None


def test_three_beats_that_nothing_follows_end_a_connection():
    assert acts(link(BEATING), BEATING, 1000.0)[:4] == [(30.0, Act.BEAT), (60.0, Act.BEAT), (90.0, Act.BEAT), (120.0, Act.SILENT)]


def test_any_byte_answers_a_beat():
    standing = link(BEATING)
    assert acts(standing, BEATING, 95.0) == [(30.0, Act.BEAT), (60.0, Act.BEAT), (90.0, Act.BEAT)]
    standing.heard_at = 100.0
    assert standing.next_at(BEATING) == 130.0
    assert acts(standing, BEATING, 200.0) == [(130.0, Act.BEAT), (160.0, Act.BEAT), (190.0, Act.BEAT)]


def test_who_talks_is_not_asked_whether_he_is_there():
    standing = link(BEATING)
    for second in range(0, 300, 20):
        standing.heard_at = float(second)
        assert standing.due(BEATING, second + 19.0, busy=False) is None


def test_a_silent_session_is_closed_when_it_has_been_so_for_long_enough():
    rules = Rules(idle=100.0)
    assert acts(session(rules), rules, 100.0)[:1] == [(100.0, Act.SILENT)]
    assert link(rules).next_at(rules) == math.inf


EVENTS = st.sampled_from(["heard", "yes", "no", "off", "closes", "opens", "leave", "on", "out", "wait"])


@given(st.booleans(), st.booleans(), st.booleans(), st.lists(st.tuples(EVENTS, st.floats(0.0, 60.0), st.booleans()), max_size=30))
def test_whatever_happens_every_wait_has_an_end(is_link: bool, signs: bool, beats: bool, events: list[Any]):
    rules = Rules(sign_on=signs, sign_off=signs, heartbeat=30.0 if beats else None)
    standing = Standing(is_link=is_link, now=0.0)
    standing.begin(rules, 0.0, business=True)
    now = 0.0
    for event, pause, busy in events:
        now += pause
        if event == "heard":
            standing.heard_at = now
        elif event in ("yes", "no"):
            standing.answered("sign_on", yes=event == "yes")
        elif event == "off":
            standing.answered("sign_off", yes=True)
        elif event in ("closes", "opens"):
            standing.turn(rules, now, business=event == "opens")
        elif event == "leave" and is_link:
            standing.leave(rules, now)
        elif event in ("on", "out") and not is_link and signs:
            standing.signed("sign_on" if event == "on" else "sign_off")
        for _ in range(20):
            if standing.next_at(rules) > now:
                break
            standing.due(rules, now, busy=busy)
        assert standing.next_at(rules) > now or standing.phase is Phase.PARTING
        if standing.phase in (Phase.SIGNING_ON, Phase.SIGNING_OFF):
            assert standing.until <= now + rules.timeout
