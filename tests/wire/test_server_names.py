"""Several certificates at one listener: each name has its own policy, and no way leads around it."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from tls_kit import BOTH_VERSIONS, TELEGRAM, TLS_1_2, TLS_1_3, Authority, Talk, one_by_one, only

from telegram_router.wire.certificates import client_context, server_context
from telegram_router.wire.server_names import ServerContext, ServerNames, UnreadableHello, asked_name, covers
from telegram_router.wire.tls import TlsLayer
from telegram_router.wire.tls_errors import TlsError


class Listener:
    """`open.example` asks nobody for a certificate, `strict.example` and `*.strict.example` ask for one of ours, `other.example` for a stranger's."""

    def __init__(self, ours: Authority, strangers: Authority, *, refuse: bool = False) -> None:
        self.default = server_context(*ours.issue("open", "open.example"))
        self.strict = server_context(*ours.issue("strict", "strict.example", "*.strict.example"), ours.file)
        self.other = server_context(*ours.issue("other", "other.example"), strangers.file)
        named = {"strict.example": self.strict, "*.strict.example": self.strict, "other.example": self.other}
        self.names = ServerNames(self.default, named, own=["open.example"], refuse_unknown=refuse)


@pytest.fixture(scope="module")
def listener(ours: Authority, strangers: Authority) -> Listener:
    return Listener(ours, strangers)


@pytest.fixture(scope="module")
def refusing(ours: Authority, strangers: Authority) -> Listener:
    return Listener(ours, strangers, refuse=True)


@pytest.fixture(scope="module")
def stranger(strangers: Authority) -> tuple[str, str]:
    return strangers.issue("stranger", "stranger.example")


def client(ours: Authority, version: ssl.TLSVersion, own: tuple[str, str] | tuple[()] = ()) -> ssl.SSLContext:
    return only(client_context(ours.file, *own), version)


def asks(
    listener: Listener,
    context: ssl.SSLContext,
    name: str | None,
    cut: Callable[[bytes], Iterator[bytes]] | None = None,
    session: ssl.SSLSession | None = None,
) -> Talk:
    if name is None:
        context.check_hostname = False
    layer = TlsLayer(context, "client", name)
    if session is not None:
        layer._ssl.session = session
    meeting = Talk(layer, TlsLayer(listener.default, "server"), cut).go_on()
    if layer.ready and not meeting.errors:
        layer.write(TELEGRAM)
        meeting.go_on()
    return meeting


def shown(meeting: Talk) -> list[str]:
    """The names of the certificate that the client was shown."""
    certificate = x509.load_der_x509_certificate(meeting.client._ssl.getpeercert(True) or b"")
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)


# -- which certificate


@BOTH_VERSIONS
@pytest.mark.parametrize(
    ("name", "certificate"),
    [
        ("open.example", "open.example"),
        ("strict.example", "strict.example"),
        ("STRICT.example", "strict.example"),
        ("a.strict.example", "strict.example"),
    ],
)
def test_a_client_is_shown_the_certificate_of_the_name_it_asks_for(
    listener: Listener, ours: Authority, bank: tuple[str, str], version: ssl.TLSVersion, name: str, certificate: str
) -> None:
    meeting = asks(listener, client(ours, version, bank), name)
    assert not meeting.errors and meeting.got["server"] == TELEGRAM and shown(meeting)[0] == certificate


@BOTH_VERSIONS
@pytest.mark.parametrize("name", ["unknown.example", "a.b.strict.example", None])
def test_a_name_that_is_not_known_gets_the_default_certificate_and_policy(
    listener: Listener, ours: Authority, version: ssl.TLSVersion, name: str | None
) -> None:
    context = client(ours, version)
    context.check_hostname = False
    meeting = asks(listener, context, name)
    assert meeting.got["server"] == TELEGRAM and shown(meeting) == ["open.example"]


@BOTH_VERSIONS
@pytest.mark.parametrize("name", ["unknown.example", "a.b.strict.example", "127.0.0.1", None])
def test_a_name_that_is_not_known_may_be_refused(
    refusing: Listener, ours: Authority, bank: tuple[str, str], version: ssl.TLSVersion, name: str | None
) -> None:
    context = client(ours, version, bank)
    context.check_hostname = False
    meeting = asks(refusing, context, name)
    assert meeting.code("server") == "E-TLS-11" and meeting.got["server"] == b"" and not meeting.server.ready
    assert "does not serve the name" in meeting.errors["client"].what


@BOTH_VERSIONS
@pytest.mark.parametrize("name", ["open.example", "strict.example"])
def test_where_others_are_refused_the_names_of_every_certificate_are_served(
    refusing: Listener, ours: Authority, bank: tuple[str, str], version: ssl.TLSVersion, name: str
) -> None:
    assert asks(refusing, client(ours, version, bank), name).got["server"] == TELEGRAM


# -- whose certificate is asked for


@BOTH_VERSIONS
@pytest.mark.parametrize("name", ["strict.example", "x.strict.example", "other.example"])
def test_a_strict_name_without_a_certificate_gets_no_byte_of_service(
    listener: Listener, ours: Authority, version: ssl.TLSVersion, name: str
) -> None:
    meeting = asks(listener, client(ours, version), name)
    assert meeting.code("server") == "E-TLS-02" and meeting.got["server"] == b"" and not meeting.server.ready


@BOTH_VERSIONS
@pytest.mark.parametrize(("name", "bad"), [("strict.example", "stranger"), ("other.example", "bank")])
def test_a_certificate_of_another_names_ca_is_worth_nothing(
    request: pytest.FixtureRequest, listener: Listener, ours: Authority, version: ssl.TLSVersion, name: str, bad: str
) -> None:
    meeting = asks(listener, client(ours, version, request.getfixturevalue(bad)), name)
    assert meeting.code("server") == "E-TLS-04" and meeting.got["server"] == b"" and not meeting.server.ready


@BOTH_VERSIONS
@pytest.mark.parametrize("name", ["strict.example", "other.example"])
def test_a_session_of_an_open_name_does_not_open_a_strict_one(
    listener: Listener, ours: Authority, version: ssl.TLSVersion, name: str
) -> None:
    context = client(ours, version)
    context.check_hostname = False
    first = asks(listener, context, "open.example")
    listener_again = asks(listener, context, "open.example", session=first.client._ssl.session)
    assert listener_again.client._ssl.session_reused  # it is good for the name that it is of
    meeting = asks(listener, context, name, session=first.client._ssl.session)
    assert meeting.code("server") == "E-TLS-02" and meeting.got["server"] == b"" and not meeting.server.ready


def test_a_session_with_a_certificate_does_not_open_the_name_of_another_ca(
    listener: Listener, ours: Authority, bank: tuple[str, str]
) -> None:
    context = client(ours, TLS_1_2, bank)
    first = asks(listener, context, "strict.example")
    assert asks(listener, context, "strict.example", session=first.client._ssl.session).client._ssl.session_reused
    meeting = asks(listener, context, "other.example", session=first.client._ssl.session)
    assert meeting.code("server") == "E-TLS-04" and meeting.got["server"] == b""


# -- what is read of a hello


@BOTH_VERSIONS
def test_a_hello_may_come_one_byte_at_a_time(listener: Listener, ours: Authority, bank: tuple[str, str], version: ssl.TLSVersion) -> None:
    meeting = asks(listener, client(ours, version, bank), "strict.example", one_by_one)
    assert meeting.got["server"] == TELEGRAM and shown(meeting)[0] == "strict.example"


def hello(name: str | None) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    layer = TlsLayer(context, "client", name)
    layer.handshake()
    return layer.outgoing()


def in_records(flight: bytes, sizes: list[int]) -> bytes:
    """The same handshake message in records of these sizes, and a last one for the rest."""
    message, cut = flight[5:], b""
    for size in sizes:
        part, message = message[:size], message[size:]
        cut += flight[:3] + len(part).to_bytes(2) + part if part else b""
    return cut + (flight[:3] + len(message).to_bytes(2) + message if message else b"")


@given(st.sampled_from(["strict.example", "a.b", None, "127.0.0.1"]), st.lists(st.integers(1, 200), max_size=6))
def test_the_name_is_read_from_however_many_records_and_not_before_the_last(name: str | None, sizes: list[int]) -> None:
    flight = in_records(hello(name), sizes)
    assert asked_name(flight) == (None if name == "127.0.0.1" else name)
    at, looks = 0, 0
    while at < len(flight):
        more = asked_name(flight[:at])
        assert isinstance(more, int) and at < more <= len(flight)
        at, looks = more, looks + 1
    assert looks <= 2 * len(sizes) + 3


@given(st.binary(max_size=200), st.integers(0, 400), st.booleans())
def test_whatever_bytes_come_the_answer_is_a_name_none_or_a_size_within_bounds(noise: bytes, at: int, tls_like: bool) -> None:
    flight = hello("strict.example")
    mutated = flight[:at] + noise + flight[at + len(noise) :] if tls_like else noise
    try:
        found = asked_name(mutated)
    except UnreadableHello:
        return
    assert found is None or isinstance(found, str) or len(mutated) < found <= 16_384 + 5


@pytest.mark.parametrize("split", [[1] * 12, [4] * 40], ids=["12 records", "40 records"])
@pytest.mark.parametrize("name", ["strict.example", "other.example"])
def test_a_hello_in_more_records_than_are_looked_through_gets_no_service(listener: Listener, name: str, split: list[int]) -> None:
    """OpenSSL would read the name all the same."""
    server = TlsLayer(listener.default, "server")
    server.feed(in_records(hello(name), split))
    with pytest.raises(TlsError, match="cut into more than 8 records"):
        server.handshake()


@given(st.binary(max_size=60), st.integers(0, 320), st.sampled_from(["strict.example", "open.example", None]))
def test_whatever_a_client_sends_only_a_tls_error_comes_out(listener: Listener, noise: bytes, at: int, name: str | None) -> None:
    flight = hello(name)
    server = TlsLayer(listener.default, "server")
    server.feed(flight[:at] + noise + flight[at + len(noise) :])
    with contextlib.suppress(TlsError):
        assert not server.handshake()


@pytest.mark.parametrize("asked", ["가.example".encode(), b"\xff" * 14, b"strict\x00xample"])
def test_a_name_that_is_no_dns_name_is_refused_without_a_word_beside_the_log(
    refusing: Listener, capfd: pytest.CaptureFixture[str], asked: bytes
) -> None:
    flight = hello("x" * len(asked)).replace(b"x" * len(asked), asked)
    server = TlsLayer(refusing.default, "server")
    server.feed(flight)
    with pytest.raises(TlsError) as caught:
        server.handshake()
    assert caught.value.code in ("E-TLS-08", "E-TLS-11") and capfd.readouterr().err == ""


@pytest.mark.parametrize(("name", "goes_on"), [("open.example", True), ("else.example", False)])
def test_a_second_hello_must_ask_for_the_name_that_the_first_asked_for(
    ours: Authority, strangers: Authority, name: str, goes_on: bool
) -> None:
    """After a HelloRetryRequest a client says hello again; it is changed on its way here, and OpenSSL looks at the name first."""
    listener = Listener(ours, strangers, refuse=True)
    listener.default.set_ecdh_curve("secp384r1")
    first, server = TlsLayer(client(ours, TLS_1_3), "client", "open.example"), TlsLayer(listener.default, "server")
    first.handshake()
    server.feed(first.outgoing())
    assert not server.handshake()
    first.feed(server.outgoing())
    first.handshake()
    second = first.outgoing()
    assert b"open.example" in second
    server.feed(second.replace(b"open.example", name.encode()))
    if goes_on:
        assert not server.handshake() and len(server.outgoing()) > 500  # the certificate is in it
        return
    with pytest.raises(TlsError) as caught:
        server.handshake()
    assert caught.value.code == "E-TLS-11"


def contexts(*names: str) -> tuple[ServerContext, dict[str, ServerContext]]:
    made: Any = [ServerContext(ssl.PROTOCOL_TLS_SERVER) for _ in names]
    return ServerContext(ssl.PROTOCOL_TLS_SERVER), dict(zip(names, made, strict=True))


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ("a.example", "a.example"),
        ("b.example", "*.example"),
        ("A.EXAMPLE", "a.example"),
        ("c.b.example", None),
        ("example", None),
        ("", None),
        ("*.example", "*.example"),
        (".example", "*.example"),
        ("a.example.", None),
    ],
)
def test_an_exact_name_goes_before_a_wildcard_of_one_label(asked: str, chosen: str | None) -> None:
    default, named = contexts("a.example", "*.example")
    assert ServerNames(default, named).choose(asked) is (named[chosen] if chosen else default)


def test_a_name_of_the_default_certificate_that_another_table_names_keeps_that_policy() -> None:
    default, named = contexts("*.bank.example")
    names = ServerNames(default, named, own=["a.bank.example", "open.example"], refuse_unknown=True)
    assert names.choose("a.bank.example") is named["*.bank.example"] and names.choose("open.example") is default
    assert names.choose("else.example") is None and names.choose(None) is None


@pytest.mark.parametrize(
    ("names", "name", "holds"),
    [
        (["a.example"], "A.example", True),
        (["*.example"], "a.example", True),
        (["*.example"], "*.example", True),
        (["*.example"], "a.b.example", False),
        (["*.example"], "example", False),
        (["*.b.example", "*.example"], "*.b.example", True),
        (["*.example"], "*.b.example", False),
        ([], "a", False),
    ],
)
def test_a_wildcard_covers_names_with_one_label_in_its_place(names: list[str], name: str, holds: bool) -> None:
    assert covers(names, name) is holds
