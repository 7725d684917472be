"""Certificates are renewed under load and watched by OpenSSL's own client; what expires meanwhile keeps nothing else from changing."""

from __future__ import annotations

import datetime as dt
import itertools
import ssl
import time
from pathlib import Path

import pytest
import trio
from authority import Authority
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from running_router import Host, Running, answer_to, config, running, transfer
from test_admin import steered

from telegram_router import watching

OWN = "[listeners.companies.tls]\ncertificate = 'own.pem'\nkey = 'own.key'\n"


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


def place(folder: Path, ours: Authority, name: str, *parts: str, days: float = 30) -> None:
    """Have the router's certificate, or its key, or both, be those of this name."""
    pair = ours.issue(name, ends=dt.timedelta(days=days))
    for part, path in (("pem", pair.certificate), ("key", pair.key)):
        if part in parts:
            new = folder / f"own.{part}.new"
            new.write_bytes(Path(path).read_bytes())
            new.chmod(0o600)
            new.rename(folder / f"own.{part}")


def configured(core: Host, ours: Authority, *, tls: str = OWN, more: str = "", drain: str = "500ms") -> str:
    return config(core, more=tls + more).replace('drain = "500ms"', f'drain = "{drain}"')


def trust(ours: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ours.file)
    context.check_hostname = False
    return context


async def shown_to_openssl(router: Running, ours: Authority) -> str:
    """The name in the certificate that `openssl s_client` is shown, and verifies."""
    host, port = router.router.addresses["companies"]
    command = ["openssl", "s_client", "-connect", f"{host}:{port}", "-CAfile", ours.file, "-verify_return_error", "-no_ign_eof"]
    done = await trio.run_process(command, stdin=b"", capture_stdout=True, capture_stderr=True, check=False)
    assert b"Verify return code: 0 (ok)" in done.stdout, done.stderr.decode()
    pem = done.stdout[done.stdout.index(b"-----BEGIN CERT") : done.stdout.index(b"-----END CERT")] + b"-----END CERTIFICATE-----\n"
    names = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return str(names.get_values_for_type(x509.DNSName)[0])


async def test_under_load_a_key_that_does_not_fit_keeps_the_old_pair_and_one_that_fits_is_shown_to_whom_comes_next(
    tmp_path: Path, ours: Authority, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(watching, "LOOK", 0.03)
    place(tmp_path, ours, "first.example", "pem", "key")
    async with Host() as core, running("watch = true\n" + configured(core, ours), tmp_path) as router:
        await router.linked("core")
        numbers, over = itertools.count(1), trio.Event()

        async def traffic() -> None:
            client = await router.connect(tls=trust(ours))
            while not over.is_set():
                asked = transfer(next(numbers))
                assert await client.asks(asked) == answer_to(asked)

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(traffic)
            assert await shown_to_openssl(router, ours) == "first.example"
            place(tmp_path, ours, "second.example", "pem")
            await router.until(lambda: router.log.named("reload_failed"), "a refusal")
            assert router.log.named("reload_failed")[0]["code"] == "E-CFG-11"
            assert await shown_to_openssl(router, ours) == "first.example"
            place(tmp_path, ours, "third.example", "pem", "key")
            await router.until(lambda: router.log.named("reloaded"), "the reload")
            assert await shown_to_openssl(router, ours) == "third.example"
            done = len(core.frames)
            await router.until(lambda: len(core.frames) > done + 20, "traffic after it")
            over.set()
        ends = {line["connection"] for line in router.log.named("session_closed")}
        assert len(ends) == 3  # those of openssl; everybody else stayed
        assert len(core.frames) == next(numbers) - 1


def crl(ours: Authority, folder: Path, days: float) -> str:
    """A revocation list of the CA that is good for so many days."""
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(ours._certificate.subject)
    made = builder.last_update(now - dt.timedelta(days=1)).next_update(now + dt.timedelta(days=days)).sign(ours._key, hashes.SHA256())
    (folder / "list.pem").write_bytes(made.public_bytes(Encoding.PEM))
    return f"client_ca = '{ours.file}'\nclient_certificate = 'optional'\ncrl = 'list.pem'\n"


async def test_what_has_expired_goes_on_and_is_told_and_everything_else_can_be_changed(
    tmp_path: Path, ours: Authority, monkeypatch: pytest.MonkeyPatch
):
    place(tmp_path, ours, "first.example", "pem", "key", days=2)
    tls = OWN + crl(ours, tmp_path, 3)
    later = time.time() + 5 * 86_400
    async with Host() as core, running(configured(core, ours, tls=tls), tmp_path) as router:
        await router.linked("core")
        early = await router.connect(tls=trust(ours))
        assert await early.asks(transfer(1)) == answer_to(transfer(1))
        before = router.router.plan.server_tls["companies"]
        monkeypatch.setattr("telegram_router.plan.tls.time.time", lambda: later)
        router.router.plan.path.write_text(configured(core, ours, tls=tls, drain="700ms"), "utf-8")
        report = await router.router.reload()
        assert report.applied, report.problems
        assert report.differences.changed == ("drain",)
        told = {warning.what.partition(" in ")[0]: warning.key for warning in report.warnings if "expired" in warning.what}
        assert told == {"the certificate": "listeners.companies.tls", "the revocation list": "listeners.companies.tls"}
        assert router.router.plan.server_tls["companies"] is before
        assert [each.kind for each in router.router.plan.ends] == ["certificate", "ca", "crl"]
        monkeypatch.undo()
        place(tmp_path, ours, "next.example", "pem", "key")
        assert (await router.router.reload()).differences.changed == ("listeners.companies.tls, its files",)
        assert await shown_to_openssl(router, ours) == "next.example"
        assert await early.asks(transfer(2)) == answer_to(transfer(2))


async def test_an_expired_certificate_that_is_put_in_now_is_refused_as_a_whole(tmp_path: Path, ours: Authority):
    place(tmp_path, ours, "first.example", "pem", "key")
    async with Host() as core, running(configured(core, ours), tmp_path) as router:
        place(tmp_path, ours, "late.example", "pem", "key", days=-0.5)
        router.router.plan.path.write_text(configured(core, ours, drain="700ms"), "utf-8")
        report = await router.router.reload()
        assert [problem.code for problem in report.problems] == ["E-CFG-12"]
        assert router.router.plan.config.drain == 0.5
        assert await shown_to_openssl(router, ours) == "first.example"


async def test_the_admin_api_tells_when_everything_ends(tmp_path: Path, ours: Authority):
    place(tmp_path, ours, "first.example", "pem", "key", days=2)
    named = ours.issue("named.example", ends=dt.timedelta(days=1))
    names = f"[[listeners.companies.tls.names]]\nnames = 'named.example'\ncertificate = '{named.certificate}'\nkey = '{named.key}'\n"
    mine = ours.issue("router.example", ends=dt.timedelta(days=3))
    client = f"[services.other]\nspec = 'firmbanking'\nbackends = ['127.0.0.1:1']\n[services.other.tls]\nca = '{ours.file}'\n"
    client += f"certificate = '{mine.certificate}'\nkey = '{mine.key}'\n"
    async with Host() as core, steered(configured(core, ours, more=names) + client, tmp_path) as (_, door):
        seen = (await door.gets("/certificates")).body["certificates"]
    assert [(each["used_by"], each["kind"], Path(each["file"]).name) for each in seen] == [
        ("listeners.companies.tls.names[0]", "certificate", "named.example.pem"),
        ("listeners.companies.tls", "certificate", "own.pem"),
        ("services.other.tls", "certificate", "router.example.pem"),
        ("services.other.tls", "ca", "ca.pem"),
    ]
    assert [round(each["days_left"]) for each in seen[:3]] == [1, 2, 3]
