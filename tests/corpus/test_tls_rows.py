"""TLS that must not succeed, and TLS that must, through a listening router."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import trio
from authority import CLIENT, DAY, SERVER, Authority, Pair
from running_router import (
    Client,
    Host,
    HostOfBytes,
    HttpService,
    Line,
    Running,
    answer_to,
    answers,
    config,
    credit,
    field,
    good_neighbour,
    http,
    running,
    says,
    spec_named,
    transfer,
)

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
BOTH_VERSIONS = pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["TLS1.2", "TLS1.3"])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Every certificate of these tests, good and bad."""
    folder = tmp_path_factory.mktemp("tls")
    ours, theirs = Authority(folder, "ours"), Authority(folder, "theirs")
    return SimpleNamespace(
        ca=ours.file,
        router=ours.issue("router.example"),
        company=ours.issue("company.example"),
        expired=ours.issue("company.example", file="expired", starts=-2 * DAY, ends=-DAY),
        future=ours.issue("company.example", file="future", starts=DAY, ends=2 * DAY),
        foreign=theirs.issue("company.example"),
        self_signed=ours.issue("company.example", file="self", self_signed=True),
        server_only=ours.issue("company.example", file="server-only", purposes=[SERVER]),
        other_company=ours.issue("other.example"),
        wildcard=ours.issue("*.example", file="wildcard"),
        nul=ours.issue("company.example\0.attacker.example", file="nul"),
        address=ours.issue("127.0.0.1", file="address"),
        uri=ours.issue("spiffe://bank/company", file="uri"),
        common_name_only=ours.issue("", file="cn", common_name="company.example"),
        host=ours.issue("127.0.0.1"),
        host_expired=ours.issue("127.0.0.1", file="host-expired", starts=-2 * DAY, ends=-DAY),
        host_self_signed=ours.issue("127.0.0.1", file="host-self", self_signed=True),
        host_foreign=theirs.issue("127.0.0.1"),
        host_elsewhere=ours.issue("host.elsewhere.example"),
        host_client_only=ours.issue("127.0.0.1", file="host-client-only", purposes=[CLIENT]),
    )


def client_tls(files: SimpleNamespace, own: Pair | None, version: ssl.TLSVersion | None = None, ciphers: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=files.ca)
    if own is not None:
        context.load_cert_chain(own.certificate, own.key)
    if version is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the old ones are deprecated, which is the point
            context.minimum_version = context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)
    return context


def server_tls(own: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    return context


def listener_tls(files: SimpleNamespace, more: str = "") -> str:
    table = f'certificate = "{files.router.certificate}", key = "{files.router.key}", client_ca = "{files.ca}"'
    return f"tls = {{ {table}{more} }}"


@asynccontextmanager
async def bank(files: SimpleNamespace, listener: str = "", more: str = "") -> AsyncIterator[tuple[Running, Host]]:
    """A router whose companies must show a certificate, with a good neighbour on it."""
    tls = client_tls(files, files.company)
    keys = f"{listener}\n{listener_tls(files, more)}"
    async with Host() as core, running(config(core, listener=keys)) as router, good_neighbour(router, tls=tls):
        yield router, core


async def refused(router: Running, client: Client, code: str) -> dict[str, str]:
    """The handshake, or in TLS 1.3 the first read behind it, fails; one line says why."""
    with pytest.raises((ssl.SSLError, trio.BrokenResourceError, AssertionError)), trio.fail_after(2):
        await client.stream.do_handshake()
        await client.stream.send_all(transfer(1))
        assert await client.stream.receive_some(1)
    (line,) = await router.logged(code)
    assert line["event"] == "connection_failed" and line["connection"] == "companies#2"
    (ended,) = [each for each in router.log.named("session_closed") if each["connection"] == "companies#2"]
    assert ended["peer"].startswith("127.0.0.1:")
    assert len(router.log.named("session_accepted")) == 1
    assert [each for each in router.log.codes if each.startswith("E-TLS")] == [code]
    return line


# --- what must succeed ----------------------------------------------------------------------------------------------


@BOTH_VERSIONS
async def test_a_company_with_its_certificate_is_served(files: SimpleNamespace, version: ssl.TLSVersion):
    """Rows 56 and 57: what is good must stay good."""
    async with bank(files) as (router, core):
        client = await router.connect(tls=client_tls(files, files.company, version))
        for number in range(1, 4):
            assert await client.asks(transfer(number)) == answer_to(transfer(number))
        await client.sends(b"".join(transfer(number) for number in range(10, 74)))
        assert [await client.got() for _ in range(64)] == [answer_to(transfer(number)) for number in range(10, 74)]
        assert router.log.codes == []
        _, accepted = router.log.named("session_accepted")
        assert accepted["certificate"] == ["company.example"] and accepted["peer"].startswith("127.0.0.1:")
    assert len(core.frames) == 69


async def test_a_company_over_its_window_gets_everything_in_the_end(files: SimpleNamespace):
    """Row 54: over TLS, where received bytes wait in one more place."""
    asked = [transfer(number) for number in range(1, 301)]
    async with bank(files, "open_exchanges = 4") as (router, _):
        client = await router.connect(tls=client_tls(files, files.company))
        await client.sends(b"".join(asked))
        assert [await client.got() for _ in asked] == [answer_to(frame) for frame in asked]
        assert router.router.hub.pauses and router.log.codes == []


@BOTH_VERSIONS
async def test_a_company_that_says_goodbye_still_gets_its_answers(files: SimpleNamespace, version: ssl.TLSVersion):
    """Row 54: close_notify behind the last request, which is TLS's FIN."""

    async def answers_late(line: Line, frame: bytes) -> None:
        await trio.sleep(0.03)
        await answers(line, frame)

    asked = [transfer(number) for number in range(1, 6)]
    async with bank(files) as (router, core):
        core.behave = answers_late
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_tls(files, files.company, version).wrap_bio(incoming, outgoing, server_hostname="router.example")
        client = await router.connect()

        async def until_done(step: Callable[[], object]) -> object:
            while True:
                try:
                    done = step()
                except ssl.SSLWantReadError:
                    await client.sends(outgoing.read())
                    incoming.write(await client.stream.receive_some())
                else:
                    await client.sends(outgoing.read())
                    return done

        await until_done(tls.do_handshake)
        tls.write(b"".join(asked))
        with pytest.raises(ssl.SSLWantReadError):
            tls.unwrap()
        got = b""
        while len(got) < 304 * len(asked):
            part = await until_done(lambda: tls.read(65_536))
            assert isinstance(part, bytes) and part
            got += part
        assert got == b"".join(answer_to(frame) for frame in asked)
        core.behave = answers
        assert router.log.codes == []


@BOTH_VERSIONS
async def test_a_link_to_a_host_with_a_good_certificate_is_used(files: SimpleNamespace, version: ssl.TLSVersion):
    """Row 62: what is good must stay good."""
    tls = server_tls(files.host)
    tls.minimum_version = tls.maximum_version = version
    table = f'tls = {{ ca = "{files.ca}" }}'
    async with Host(tls=tls) as core, Host() as steady, running(config(core, steady, service=table)) as router, good_neighbour(router):
        client = await router.connect()
        assert await client.asks(transfer(1)) == answer_to(transfer(1))
        assert router.log.codes == []


# --- clients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "ciphers"),
    [
        pytest.param(ssl.TLSVersion.TLSv1, "ALL:@SECLEVEL=0", id="TLS1.0"),
        pytest.param(ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0", id="TLS1.1"),
        pytest.param(TLS_1_2, "AES256-GCM-SHA384:AES128-GCM-SHA256", id="no-forward-secrecy"),
        pytest.param(TLS_1_2, "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384", id="CBC-only"),
    ],
)
async def test_a_client_with_an_old_version_or_cipher_is_refused_and_told_what_it_offered(
    files: SimpleNamespace, version: ssl.TLSVersion, ciphers: str
):
    """Row 56."""
    async with bank(files) as (router, core):
        client = await router.connect(tls=client_tls(files, files.company, version, ciphers))
        line = await refused(router, client, "E-TLS-01")
        assert "the peer offered" in line["what"]
    assert len(core.frames) == 2


async def test_a_client_of_ssl_3_is_refused(files: SimpleNamespace):
    """Row 56: no library speaks it any more, so by hand."""
    hello = b"\x03\x00" + bytes(32) + b"\x00" + b"\x00\x04\x00\x2f\x00\x35" + b"\x01\x00"
    record = b"\x16\x03\x00" + (len(hello) + 4).to_bytes(2, "big") + b"\x01" + len(hello).to_bytes(3, "big") + hello
    async with bank(files) as (router, _):
        client = await router.connect()
        await client.sends(record)
        await client.closed()
        (line,) = await router.logged("E-TLS-01")
        assert "SSL 3.0" in line["what"]


async def test_a_modern_listener_refuses_tls_1_2(files: SimpleNamespace):
    """Row 56."""
    async with bank(files, more=', profile = "modern"') as (router, _):
        client = await router.connect(tls=client_tls(files, files.company, TLS_1_2))
        await refused(router, client, "E-TLS-01")


@BOTH_VERSIONS
@pytest.mark.parametrize(
    ("own", "code", "why"),
    [
        pytest.param(None, "E-TLS-02", "no client certificate", id="none"),
        pytest.param("expired", "E-TLS-03", "has expired", id="expired"),
        pytest.param("future", "E-TLS-03", "not valid yet", id="not-yet-valid"),
        pytest.param("foreign", "E-TLS-04", "not trusted", id="other-CA"),
        pytest.param("self_signed", "E-TLS-04", "self-signed", id="self-signed"),
        pytest.param("server_only", "E-TLS-05", "purpose", id="wrong-purpose"),
    ],
)
async def test_a_client_without_a_good_certificate_is_refused_each_with_its_own_reason(
    files: SimpleNamespace, version: ssl.TLSVersion, own: str | None, code: str, why: str
):
    """Row 57."""
    async with bank(files) as (router, core):
        pair = getattr(files, own) if own else None
        client = await router.connect(tls=client_tls(files, pair, version))
        line = await refused(router, client, code)
        assert why in line["what"] and line["do"]
    assert len(core.frames) == 2


@pytest.mark.parametrize(
    ("sent", "what"),
    [
        pytest.param(b"", "it sent nothing", id="silence"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "a TLS handshake", id="half-a-hello"),
    ],
)
async def test_a_handshake_that_stalls_is_given_up_in_time(files: SimpleNamespace, sent: bytes, what: str):
    """Row 60."""
    async with bank(files, 'handshake_timeout = "100ms"') as (router, _):
        client = await router.connect()
        await client.sends(sent)
        started = trio.current_time()
        await client.closed()
        assert 0.05 < trio.current_time() - started < 0.4
        (line,) = await router.logged("E-TLS-08")
        assert "within 0.1 s" in line["what"] and what in line["what"]


async def test_a_handshake_that_dribbles_is_given_up_in_time(files: SimpleNamespace):
    """Row 60: each byte that comes renews nothing."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    layer = client_tls(files, files.company).wrap_bio(incoming, outgoing, server_hostname="router.example")
    with pytest.raises(ssl.SSLWantReadError):
        layer.do_handshake()
    hello = outgoing.read()
    async with bank(files, 'handshake_timeout = "100ms"') as (router, _), trio.open_nursery() as nursery:
        client = await router.connect()

        async def dribble() -> None:
            for byte in hello:
                await client.sends(bytes((byte,)))
                await trio.sleep(0.01)

        nursery.start_soon(dribble)
        started = trio.current_time()
        await client.closed()
        assert trio.current_time() - started < 0.6
        nursery.cancel_scope.cancel()
        await router.logged("E-TLS-08")


async def test_hundreds_of_half_handshakes_are_given_up_and_hold_nobody_up(files: SimpleNamespace):
    """Row 60."""
    async with bank(files, 'handshake_timeout = "200ms"') as (router, _):
        for _ in range(300):
            client = await router.connect()
            await client.sends(b"\x16\x03\x01\x02\x00")
        started = trio.current_time()
        served = await router.connect(tls=client_tls(files, files.company))
        assert await served.asks(transfer(1)) == answer_to(transfer(1))
        assert trio.current_time() - started < 0.5
        await router.until(lambda: router.router.acceptors["companies"].open == 2)
        assert router.router.hub.handshake_failures == {("companies", "E-TLS-08"): 300}  # the log is bounded, counters are not
        assert router.log.of("E-TLS-08")


async def test_a_telegram_without_tls_on_a_tls_port_is_named_and_not_shown(files: SimpleNamespace):
    """Row 60: plaintext after TCP connect."""
    async with bank(files) as (router, core):
        client = await router.connect()
        await client.sends(transfer(1))
        rest = await client.closed()
        assert field(transfer(1), "message_number").encode() not in rest
        (line,) = await router.logged("E-TLS-08")
        assert "a telegram without TLS" in line["what"] and line["do"]
    assert len(core.frames) == 2


async def test_a_client_that_dies_in_the_middle_of_a_record_costs_its_own_session(files: SimpleNamespace):
    """Rows 8 and 60: over TLS, behind a good telegram."""
    async with bank(files) as (router, core):
        client = await router.connect(tls=client_tls(files, files.company))
        assert await client.asks(transfer(1)) == answer_to(transfer(1))
        await client.sends(transfer(2)[:100])
        await client.goes()
        await router.logged("E-FRM-05")
    assert len(core.frames) == 3


async def test_bytes_that_are_no_tls_behind_a_good_handshake_end_their_session(files: SimpleNamespace):
    """Row 60: somebody writes into the middle."""
    async with bank(files) as (router, core):
        client = await router.connect(tls=client_tls(files, files.company))
        assert await client.asks(transfer(1)) == answer_to(transfer(1))
        await client.stream.transport_stream.send_all(transfer(2))
        await router.logged("E-TLS-09")
    assert len(core.frames) == 3


# --- whose certificate it is -----------------------------------------------------------------------------------------

STRANGERS = pytest.mark.parametrize(
    "own",
    [
        pytest.param("other_company", id="row-58-another-company"),
        pytest.param("wildcard", id="row-59-wildcard"),
        pytest.param("nul", id="row-59-nul"),
        pytest.param("address", id="row-59-ip"),
        pytest.param("uri", id="row-59-uri"),
        pytest.param("common_name_only", id="row-59-common-name"),
    ],
)


@STRANGERS
@BOTH_VERSIONS
async def test_a_good_certificate_of_somebody_else_is_refused_before_a_byte_is_read(
    files: SimpleNamespace, own: str, version: ssl.TLSVersion
):
    """Rows 58 and 59: the CA says who it is; `clients` says who may come."""
    async with bank(files, more=', clients = ["company.example", "spiffe://bank/branch"]') as (router, core):
        client = await router.connect(tls=client_tls(files, getattr(files, own), version))
        line = await refused(router, client, "E-TLS-07")
        assert "clients" in line["what"] and line["do"] and "attacker" not in str(line)
    assert len(core.frames) == 2


async def test_a_uri_that_is_named_lets_its_client_in(files: SimpleNamespace):
    """Row 59: what is good must stay good."""
    async with bank(files, more=', clients = ["Company.Example", "spiffe://bank/company"]') as (router, _):
        client = await router.connect(tls=client_tls(files, files.uri))
        assert await client.asks(transfer(1)) == answer_to(transfer(1))


async def test_a_company_cannot_speak_for_another_though_both_are_let_in(files: SimpleNamespace):
    """Row 58: the owner inside each telegram belongs to the certificate."""
    owner = field(transfer(1), spec_named("firmbanking").family.owner or "")
    keys = f'owners = {{ "{owner}" = ["company.example"] }}\n{listener_tls(files)}'
    async with Host() as core, running(config(core, listener=keys)) as router:
        entitled = await router.connect(tls=client_tls(files, files.company))
        assert await entitled.asks(transfer(2)) == answer_to(transfer(2))
        client = await router.connect(tls=client_tls(files, files.other_company))
        await client.asks(transfer(1))
        await router.logged("E-RTE-04")
    assert len(core.frames) == 1


# --- what must not happen behind a good handshake ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x17\x03\x03\x48\x01" + bytes(18_433), id="row-61-oversized-record"),
        pytest.param(b"\x18\x03\x03\x00\x03\x01\x40\x00", id="row-61-heartbeat"),
        pytest.param(b"\x16\x03\x03\x00\x04\x01\x00\x00\x00", id="row-61-plain-hello"),
    ],
)
@BOTH_VERSIONS
async def test_a_record_that_has_no_place_behind_the_handshake_ends_the_session(
    files: SimpleNamespace, sent: bytes, version: ssl.TLSVersion
):
    """Row 61: no buffer is filled for it, and nothing of it is answered."""
    async with bank(files) as (router, core):
        client = await router.connect(tls=client_tls(files, files.company, version))
        assert await client.asks(transfer(1)) == answer_to(transfer(1))
        with suppress(trio.BrokenResourceError):
            await client.stream.transport_stream.send_all(sent)
        await router.logged("E-TLS-09")
    assert len(core.frames) == 3


# --- backends -------------------------------------------------------------------------------------------------------

BAD_HOSTS = pytest.mark.parametrize(
    ("own", "why"),
    [
        pytest.param("host_elsewhere", "IP address we dialled", id="wrong-host"),
        pytest.param("host_expired", "has expired", id="expired"),
        pytest.param("host_self_signed", "self-signed", id="self-signed"),
        pytest.param("host_foreign", "not trusted", id="other-CA"),
        pytest.param("host_client_only", "purpose", id="wrong-purpose"),
    ],
)


@BAD_HOSTS
async def test_a_host_without_a_good_certificate_is_sent_nothing(files: SimpleNamespace, own: str, why: str):
    """Row 62: definite, for not a byte has left."""
    keys = f'tls = {{ ca = "{files.ca}" }}\npending_timeout = "60ms"'
    tls = server_tls(getattr(files, own))
    async with (
        Host(tls=tls) as core,
        Host() as steady,
        running(config(core, steady, service=keys)) as router,
        good_neighbour(router),
    ):
        client = await router.connect()
        assert await client.asks(transfer(1)) == answer_to(transfer(1), "SB07")
        line, *_ = await router.logged("E-TLS-10")
        assert why in line["what"] and line["connection"].startswith("core#")
    assert core.frames == []


@BAD_HOSTS
async def test_an_https_service_without_a_good_certificate_is_sent_nothing(files: SimpleNamespace, own: str, why: str):
    """Row 62."""
    async with (
        HttpService(says(http({})), server_tls(getattr(files, own))) as rest,
        Host() as steady,
        running(config(None, steady, more=https(files, rest))) as router,
        good_neighbour(router),
    ):
        client = await router.connect()
        assert await client.asks(credit(1)) == answer_to(credit(1), "SB07")
        line, *_ = await router.logged("E-TLS-10")
        assert why in line["what"] and line["connection"].startswith("rest#")
        assert len(router.log.of("E-TLS-10")) < 15  # with pauses between: a handshake costs both sides
    assert rest.requests == []


async def test_a_backend_that_never_speaks_tls_is_given_up_and_was_sent_nothing(files: SimpleNamespace):
    """Rows 60 and 62: our side of a stalled handshake."""
    keys = f'tls = {{ ca = "{files.ca}" }}\npending_timeout = "150ms"\nconnect_timeout = "60ms"'
    async with (
        HostOfBytes() as silent,
        Host() as steady,
        running(config(silent, steady, service=keys, more=https(files, silent, 'connect_timeout = "60ms"\n'))) as router,
        good_neighbour(router),
    ):
        client = await router.connect()
        assert await client.asks(transfer(1)) == answer_to(transfer(1), "SB07")
        assert await client.asks(credit(2)) == answer_to(credit(2), "SB07")
        named = {line["connection"].partition("#")[0] for line in router.log.of("E-TLS-08")}
        assert named == {"core", "rest"}
    assert silent.got[:2] == b"\x16\x03"


@BOTH_VERSIONS
async def test_an_https_service_with_a_good_certificate_is_asked_again_and_again_on_one_connection(
    files: SimpleNamespace, version: ssl.TLSVersion
):
    """Row 62: what is good must stay good; a ticket on the idle connection is no answer."""
    tls = server_tls(files.host)
    tls.minimum_version = tls.maximum_version = version
    async with (
        HttpService(says(http({"header": {"response_code": "0000"}})), tls) as rest,
        Host() as steady,
        running(config(None, steady, more=https(files, rest))) as router,
        good_neighbour(router),
    ):
        client = await router.connect()
        for number in range(1, 4):
            assert await client.asks(credit(number)) == answer_to(credit(number))
        assert router.log.codes == []
    assert len(rest.lines) == 1 and len(rest.requests) == 3


def https(files: SimpleNamespace, rest: HttpService | HostOfBytes, keys: str = "") -> str:
    own = f'[services.rest]\nurl = "https://{rest.address}/credit"\ntimeout = "200ms"\npending_timeout = "150ms"\n{keys}tls = {{ ca = "{files.ca}" }}\n'
    return own + '[[routes]]\nlistener = "companies"\nservice = "rest"\nmatch = { message_type = "5000", business_code = "100" }\n'


# --- a real client --------------------------------------------------------------------------------------------------

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")


def s_client(router: Running, files: SimpleNamespace, *options: str) -> list[str]:
    host, port = router.address()
    usual = [
        "-connect",
        f"{host}:{port}",
        "-servername",
        "router.example",
        "-CAfile",
        files.ca,
        "-verify_return_error",
        "-quiet",
        "-nocommands",
    ]
    return ["openssl", "s_client", *usual, *options]


@contextmanager
def process(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        try:
            yield running
        finally:
            running.kill()


@needs_openssl
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_openssl_as_a_client_asks_and_is_answered(files: SimpleNamespace, version: str):
    """Row 56: another implementation than ours speaks the same TLS."""
    own = ["-cert", files.company.certificate, "-key", files.company.key]
    async with bank(files) as (router, _):
        with process(s_client(router, files, version, *own)) as openssl:
            assert openssl.stdin is not None and openssl.stdout is not None
            openssl.stdin.write(transfer(1))
            openssl.stdin.flush()
            with trio.fail_after(3):
                answer = await trio.to_thread.run_sync(openssl.stdout.read, 304, abandon_on_cancel=True)
        assert answer == answer_to(transfer(1))


@needs_openssl
@pytest.mark.parametrize(
    ("options", "with_certificate", "code"),
    [
        pytest.param(["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], True, "E-TLS-01", id="TLS1.1"),
        pytest.param(["-tls1_2"], False, "E-TLS-02", id="no-certificate-TLS1.2"),
        pytest.param(["-tls1_3"], False, "E-TLS-02", id="no-certificate-TLS1.3"),
    ],
)
async def test_openssl_as_a_client_that_must_be_refused_is_refused(
    files: SimpleNamespace, options: list[str], with_certificate: bool, code: str
):
    """Rows 56 and 57."""
    own = ["-cert", files.company.certificate, "-key", files.company.key] if with_certificate else []
    async with bank(files) as (router, core):
        done = await trio.run_process(
            s_client(router, files, *options, *own), stdin=transfer(1), capture_stdout=True, capture_stderr=True, check=False
        )
        assert done.returncode != 0 and done.stdout == b"" and b"alert" in done.stderr
        await router.logged(code)
    assert len(core.frames) == 2


@asynccontextmanager
async def typing(router: Running, files: SimpleNamespace, *options: str) -> AsyncIterator[Callable[[bytes], Awaitable[None]]]:
    """openssl with its one-letter commands, typed with a pause behind each: it reads one for each time it looks."""
    command = s_client(router, files, *options, "-cert", files.company.certificate, "-key", files.company.key)
    with process([each for each in command if each not in ("-nocommands", "-quiet")]) as openssl:

        async def types(text: bytes) -> None:
            assert openssl.stdin is not None
            with suppress(BrokenPipeError):
                os.write(openssl.stdin.fileno(), text)
            await trio.sleep(0.005)

        before = len(router.log.named("session_accepted"))
        await router.until(lambda: len(router.log.named("session_accepted")) > before)
        yield types


@needs_openssl
@pytest.mark.parametrize("letter", [b"K\n", b"k\n"], ids=["asking-for-ours", "its-own"])
async def test_openssl_that_floods_with_key_updates_is_cut_off(files: SimpleNamespace, letter: bytes):
    """Row 61: a few are as they should be, a flood costs as much as so many telegrams."""
    async with bank(files) as (router, core), typing(router, files, "-tls1_3") as types:
        for _ in range(5):
            await types(letter)
        await types(transfer(1))
        await core.reached(2)
        assert router.log.codes == []
        for _ in range(60):
            await types(letter)
            if router.log.of("E-TLS-09"):
                break
        (line,) = await router.logged("E-TLS-09")
        assert "key updates" in line["what"]


@needs_openssl
async def test_openssl_that_wants_to_renegotiate_is_refused(files: SimpleNamespace):
    """Row 61: who somebody is was settled by the first handshake."""
    async with bank(files) as (router, _), typing(router, files, "-tls1_2") as types:
        await types(b"R\n")  # it asks when it writes next
        await types(transfer(1))
        (line,) = await router.logged("E-TLS-09")
        assert line["connection"] == "companies#2"


@needs_openssl
async def test_early_data_is_never_taken_for_a_telegram(files: SimpleNamespace, tmp_path: Path):
    """Row 61: no ticket is given to a client with a certificate, so there is no session that early data could belong to."""
    async with bank(files) as (router, core):
        ticket = tmp_path / "session.pem"
        own = ["-cert", files.company.certificate, "-key", files.company.key, "-tls1_3"]
        command = s_client(router, files, *own, "-sess_out", str(ticket))
        with process(command) as openssl:
            assert openssl.stdin is not None and openssl.stdout is not None
            openssl.stdin.write(transfer(1))
            openssl.stdin.flush()
            with trio.fail_after(3):
                await trio.to_thread.run_sync(openssl.stdout.read, 304, abandon_on_cancel=True)
        assert not ticket.exists()
    assert len(core.frames) == 3
