"""Names, revocation lists and encrypted keys through a listening router, with openssl as the client."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from authority import Authority, Pair
from running_router import Host, Running, answer_to, config, running, transfer

from telegram_router.errors import ConfigError
from telegram_router.plan import read_plan

VERSIONS = pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])


class Files:
    """A default certificate that asks nobody, and two names with a CA of their own each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bank, self.partners, self.branches = (Authority(folder, each) for each in ("bank", "partners", "branches"))
        self.open, self.lines, self.inner = (self.bank.issue(each) for each in ("open.example", "lines.example", "inner.example"))
        self.partner, self.branch = self.partners.issue("partner.example"), self.branches.issue("branch.example")

    def tls(self, more: str = "", name: str = "lines.example") -> str:
        return f"""
[listeners.companies.tls]
certificate = "{self.open.certificate}"
key = "{self.open.key}"
{more}
[[listeners.companies.tls.names]]
names = "{name}"
certificate = "{self.lines.certificate}"
key = "{self.lines.key}"
client_ca = "{self.partners.file}"
[[listeners.companies.tls.names]]
names = "inner.example"
certificate = "{self.inner.certificate}"
key = "{self.inner.key}"
client_ca = "{self.branches.file}"
"""

    def s_client(self, router: Running, name: str, *options: str, own: Pair | None = None) -> list[str]:
        host, port = router.address()
        shown = ["-cert", own.certificate, "-key", own.key] if own is not None else []
        asked = ["-servername", name] if name else ["-noservername"]
        return ["openssl", "s_client", "-connect", f"{host}:{port}", *asked, "-CAfile", self.bank.file, "-nocommands", *shown, *options]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("names"))


@asynccontextmanager
async def bank(files: Files, more: str = "") -> AsyncIterator[tuple[Running, Host]]:
    async with Host() as core, running(config(core, listener=files.tls(more))) as router:
        await router.linked("core")
        yield router, core


async def asks(command: list[str], number: int = 1) -> tuple[bytes, bytes]:
    """What openssl prints, and what it says, when it sends a request and waits for the answer or for the end."""
    out = b""
    process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    async with process.stdin, process.stdout, process.stderr:
        with trio.move_on_after(5), contextlib.suppress(trio.BrokenResourceError):
            await process.stdin.send_all(transfer(number))
        with trio.move_on_after(5):
            while answer_to(transfer(number)) not in out and (part := await process.stdout.receive_some()):
                out += part
        process.kill()
        await process.wait()
        said = b"".join([part async for part in process.stderr])
    return out, said


@VERSIONS
async def test_each_name_is_served_to_its_own_clients(files: Files, version: str):
    async with bank(files) as (router, core):
        served = [("open.example", None), ("lines.example", files.partner), ("inner.example", files.branch)]
        for number, (name, own) in enumerate(served, 1):
            out, _ = await asks(
                files.s_client(router, name, version, "-ign_eof", "-verify_return_error", "-verify_hostname", name, own=own), number
            )
            assert answer_to(transfer(number)) in out
        accepted = [line.get("certificate") for line in router.log.named("session_accepted")]
        assert accepted == [None, ["partner.example"], ["branch.example"]] and len(core.frames) == 3


@VERSIONS
@pytest.mark.parametrize(("who", "code"), [("nobody", "E-TLS-02"), ("branch", "E-TLS-04")])
async def test_a_strict_name_gives_no_byte_of_service_without_a_certificate_of_its_own_ca(files: Files, version: str, who: str, code: str):
    own = files.branch if who == "branch" else None
    async with bank(files) as (router, core):
        out, said = await asks(files.s_client(router, "lines.example", version, "-ign_eof", "-quiet", own=own))
        assert out == b"" and b"alert" in said
        (line,) = await router.logged(code)
        assert line["event"] == "connection_failed" and not router.log.named("session_accepted") and core.frames == []


@VERSIONS
async def test_a_session_of_the_open_name_is_not_resumed_under_a_strict_one(files: Files, version: str, tmp_path: Path):
    session = str(tmp_path / "session")
    async with bank(files) as (router, core):
        out, _ = await asks(files.s_client(router, "open.example", version, "-ign_eof", "-sess_out", session))
        assert answer_to(transfer(1)) in out
        out, _ = await asks(files.s_client(router, "open.example", version, "-ign_eof", "-sess_in", session), 2)
        assert b"Reused, " in out and answer_to(transfer(2)) in out
        out, _ = await asks(files.s_client(router, "lines.example", version, "-ign_eof", "-sess_in", session), 3)
        assert b"Reused, " not in out and answer_to(transfer(3)) not in out
        await router.logged("E-TLS-02")
    assert len(core.frames) == 2


@VERSIONS
@pytest.mark.parametrize("name", ["elsewhere.example", ""])
async def test_names_that_are_not_known_may_be_refused(files: Files, version: str, name: str):
    async with bank(files, 'unknown_name = "refuse"') as (router, core):
        out, said = await asks(files.s_client(router, name, version, "-ign_eof", "-quiet"))
        assert out == b"" and b"unrecognized name" in said
        await router.logged("E-TLS-11")
        out, _ = await asks(files.s_client(router, "open.example", version, "-ign_eof"), 2)
        assert answer_to(transfer(2)) in out and len(core.frames) == 1


def test_a_certificate_that_does_not_cover_its_name_is_refused_at_start(files: Files, tmp_path: Path):
    path = tmp_path / "bank.toml"
    head = '[listeners.companies]\naddress = "127.0.0.1:0"\nspec = "firmbanking"\n'
    rest = '[services.core]\nbackends = ["127.0.0.1:9"]\n[[routes]]\nlistener = "companies"\nservice = "core"\ndefault = true\n'
    path.write_text(head + files.tls(name="other.example") + rest)
    with pytest.raises(ConfigError) as caught:
        read_plan(path)
    (found,) = caught.value.problems
    assert (found.code, found.key, found.file) == ("E-CFG-07", "listeners.companies.tls.names[0].names", files.lines.certificate)
    path.write_text(head + files.tls() + rest)
    assert read_plan(path).server_tls["companies"].names is not None


OPENSSL_CA = "[ca]\ndefault_ca = own\n[own]\ndatabase = {0}/index.txt\ncertificate = {0}/ca.pem\nprivate_key = {0}/ca.key\ndefault_md = sha256\ndefault_crl_days = 9\n"


@pytest.fixture(scope="module")
def revoking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA and pairs of ours, a list of what openssl revoked, and the router's key as openssl encrypts it."""
    folder = tmp_path_factory.mktemp("revoking")

    def run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, cwd=folder)

    for order in (
        "ca --output",
        "server router.example --ca",
        "client good.example --ca",
        "client lost.example --ca",
        "client late.example --ca",
    ):
        run(sys.executable, "-m", "telegram_router", "certs", *order.split(), ".")
    (folder / "ca.cnf").write_text(OPENSSL_CA.format(folder))
    (folder / "index.txt").touch()
    run("openssl", "ca", "-config", "ca.cnf", "-revoke", "lost.example.pem")
    run("openssl", "ca", "-config", "ca.cnf", "-gencrl", "-out", "crl.pem")
    run("openssl", "pkcs8", "-topk8", "-in", "router.example.key", "-out", "router.key", "-passout", "pass:sesame")
    (folder / "passphrase").write_text("sesame\n")
    for file in ("router.key", "passphrase"):
        (folder / file).chmod(0o600)
    return folder


@VERSIONS
async def test_openssl_as_a_client_that_openssl_has_revoked_is_refused(revoking: Path, version: str):
    tls = f"""
[listeners.companies.tls]
certificate = "{revoking}/router.example.pem"
key = "{revoking}/router.key"
key_passphrase_file = "{revoking}/passphrase"
client_ca = "{revoking}/ca.pem"
crl = "{revoking}/crl.pem"
"""
    async with Host() as core, running(config(core, listener=tls)) as router:
        await router.linked("core")
        host, port = router.address()

        def own(name: str) -> list[str]:
            usual = ["openssl", "s_client", "-connect", f"{host}:{port}", "-servername", "router.example", "-CAfile", f"{revoking}/ca.pem"]
            return [
                *usual,
                version,
                "-ign_eof",
                "-quiet",
                "-nocommands",
                "-cert",
                f"{revoking}/{name}.pem",
                "-key",
                f"{revoking}/{name}.key",
            ]

        out, _ = await asks(own("good.example"))
        assert out == answer_to(transfer(1))
        out, said = await asks(own("lost.example"), 2)
        assert out == b"" and b"certificate revoked" in said
        (line,) = await router.logged("E-TLS-06")
        assert line["event"] == "connection_failed" and len(core.frames) == 1


def late_tls(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.load_cert_chain(folder / "late.example.pem", folder / "late.example.key")
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # whose sessions are resumed without another look at the certificate
    context.check_hostname = False
    return context


async def test_a_client_that_is_revoked_by_a_reload_keeps_its_session_and_gets_no_other(revoking: Path, tmp_path: Path):
    def revoke(*order: str) -> None:
        subprocess.run(["openssl", "ca", "-config", "ca.cnf", *order], check=True, capture_output=True, cwd=revoking)

    crl, session = tmp_path / "crl.pem", str(tmp_path / "session")
    crl.write_bytes((revoking / "crl.pem").read_bytes())
    pair = f'certificate = "{revoking}/router.example.pem", key = "{revoking}/router.example.key"'
    tls = f'tls = {{ {pair}, client_ca = "{revoking}/ca.pem", crl = "{crl}" }}'
    own = Pair(str(revoking / "late.example.pem"), str(revoking / "late.example.key"))
    async with Host() as core, running(config(core, listener=tls), tmp_path) as router:
        await router.linked("core")
        host, port = router.address()
        asked = [
            "openssl",
            "s_client",
            "-connect",
            f"{host}:{port}",
            "-tls1_2",
            "-ign_eof",
            "-nocommands",
            "-cert",
            own.certificate,
            "-key",
            own.key,
        ]
        out, _ = await asks([*asked, "-sess_out", session])
        assert answer_to(transfer(1)) in out
        client = await router.connect(tls=late_tls(revoking))
        assert await client.asks(transfer(2)) == answer_to(transfer(2))

        await trio.to_thread.run_sync(revoke, "-revoke", "late.example.pem")
        await trio.to_thread.run_sync(revoke, "-gencrl", "-out", str(crl))
        report = await router.router.reload()
        assert report.applied and list(report.differences.changed) == ["listeners.companies.tls, its files"]

        assert await client.asks(transfer(3)) == answer_to(transfer(3))
        for more in ([], ["-sess_in", session]):
            out, said = await asks([*asked, *more], 4)
            assert answer_to(transfer(4)) not in out and b"certificate revoked" in said
        await router.logged("E-TLS-06", 2)
    assert len(core.frames) == 3


async def test_every_file_that_ends_is_in_the_log_and_in_the_metrics(files: Files):
    """Certificates of the tests last a day, their CAs for years."""
    async with bank(files) as (router, _):
        told = {(line["used_by"], line["kind"], line["file"], line["level"]) for line in router.log.named("certificate_expires")}
        tls, own = "listeners.companies.tls", [files.open, files.lines, files.inner]
        places = [tls, f"{tls}.names[0]", f"{tls}.names[1]"]
        assert told == {(place, "certificate", each.certificate, "error") for place, each in zip(places, own, strict=True)}
        shown = dict(next(samples for name, samples in router.router.collect() if name == "certificate_expiry_timestamp_seconds"))
        cas = {(places[1], "ca", files.partners.file), (places[2], "ca", files.branches.file)}
        assert set(shown) == {(place, "certificate", each.certificate) for place, each in zip(places, own, strict=True)} | cas
        assert min(shown.values()) > time.time()
