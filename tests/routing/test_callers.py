"""Who has connected to us: a table of cases, and that nobody is ever taken for two."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telegram_router.routing.callers import Caller, Callers, Network


def net(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(each) for each in texts)


SEOUL = Caller("seoul", net("10.1.0.0/16", "2001:db8:1::/48"))
BUSAN = Caller("busan", net("10.2.0.0/16"), frozenset({"busan.bank.example"}))
JEJU = Caller("jeju", (), frozenset({"jeju.bank.example", "spiffe://bank/jeju"}))
ALL = Callers([SEOUL, BUSAN, JEJU])


@pytest.mark.parametrize(
    ("host", "names", "who"),
    [
        pytest.param("10.1.2.3", (), "seoul", id="by-address"),
        pytest.param("2001:db8:1::7", (), "seoul", id="by-ipv6-address"),
        pytest.param("10.2.0.1", ("busan.bank.example",), "busan", id="by-both"),
        pytest.param("10.2.0.1", ("other.bank.example",), None, id="right-address-wrong-name"),
        pytest.param("10.9.0.1", ("busan.bank.example",), None, id="right-name-wrong-address"),
        pytest.param("192.0.2.1", ("spiffe://bank/jeju",), "jeju", id="by-name-from-anywhere"),
        pytest.param("192.0.2.1", ("*.bank.example",), None, id="a-wildcard-is-nobody"),
        pytest.param("192.0.2.1", (), None, id="nobody"),
        pytest.param("10.1.2.3", ("jeju.bank.example",), None, id="two-at-once-are-nobody"),
    ],
)
def test_a_host_is_told_by_address_and_names(host: str, names: tuple[str, ...], who: str | None) -> None:
    assert ALL.identify(host, frozenset(names)) == who


def test_a_stranger_is_known_before_a_handshake_unless_a_name_could_still_tell() -> None:
    by_address = Callers([SEOUL, BUSAN])
    assert by_address.expects("10.2.0.1") and not by_address.expects("192.0.2.1")
    assert ALL.expects("192.0.2.1")


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        pytest.param(SEOUL, BUSAN, False, id="other-networks"),
        pytest.param(SEOUL, JEJU, True, id="network-against-name"),
        pytest.param(BUSAN, JEJU, False, id="other-names"),
        pytest.param(Caller("a", net("10.0.0.0/8")), Caller("b", net("10.1.0.0/16")), True, id="one-network-in-the-other"),
        pytest.param(Caller("a", net("10.0.0.0/8")), Caller("b", net("::/0")), False, id="another-family"),
        pytest.param(Caller("a", signs=((0, 1, b"x"),)), Caller("b", signs=((0, 1, b"y"),)), False, id="other-sign-ons"),
        pytest.param(Caller("a", signs=((0, 1, b"x"),)), Caller("b", signs=((1, 2, b"y"),)), True, id="other-fields-of-the-sign-on"),
        pytest.param(Caller("a", signs=((0, 1, b"x"),)), Caller("b", net("10.0.0.0/8")), True, id="sign-on-against-network"),
    ],
)
def test_two_backends_that_a_host_could_be_are_found(one: Caller, other: Caller, meet: bool) -> None:
    assert one.meets(other) is other.meets(one) is meet


networks = st.lists(st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "10.1.1.1", "192.0.2.0/24", "::1"]), max_size=2).map(
    lambda each: net(*each)
)
signs = st.dictionaries(st.sampled_from([0, 1]), st.sampled_from([b"p", b"q"]), max_size=2).map(
    lambda found: tuple((at, at + 1, value) for at, value in found.items())
)
callers = st.builds(Caller, st.sampled_from("abc"), networks, st.frozensets(st.sampled_from(["x", "y", "z"]), max_size=2), signs)
hosts = st.sampled_from(["10.1.1.1", "10.2.0.1", "192.0.2.9", "::1"])


@given(callers, callers, hosts, st.sampled_from(["x", "y", "z"]), st.sampled_from([b"pp", b"pq", b"qp", b"qq"]))
def test_backends_that_do_not_meet_never_both_take_one_host(one: Caller, other: Caller, host: str, name: str, sign_on: bytes) -> None:
    def takes(caller: Caller) -> bool:
        return Callers([caller]).identify(host, frozenset({name}), sign_on) is not None

    if not one.meets(other):
        assert not (takes(one) and takes(other))
