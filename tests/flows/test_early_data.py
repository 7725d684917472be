"""Early data (0-RTT) can be played back by whoever recorded it: it is refused, and what it holds reaches nobody."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import trio
from authority import Authority, Pair
from free_ports import free_port
from running_router import SOON, Host, answer_to, config, running, transfer


@contextmanager
def generous_server(own: Pair) -> Iterator[int]:
    """openssl with the router's certificate, whose session tickets allow early data."""
    port = free_port()
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", own.certificate, "-key", own.key, "-tls1_3", "-early_data"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        assert server.stdout is not None
        while b"ACCEPT" not in server.stdout.readline():
            assert server.poll() is None
        try:
            yield port
        finally:
            server.kill()


async def s_client(port: int, *options: str, stdin: bytes = b"", until: Callable[[bytes], bool]) -> bytes:
    """What openssl prints, until that is enough."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3", "-nocommands", "-ign_eof", *options]
    out = b""
    process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdin is not None and process.stdout is not None
    try:
        with trio.fail_after(SOON):
            await process.stdin.send_all(stdin)
            while not until(out):
                with trio.move_on_after(0.02):
                    out += await process.stdout.receive_some()
    finally:
        process.kill()
        await process.wait()
    return out


async def test_a_telegram_sent_as_early_data_reaches_nobody_and_the_session_goes_on_without_it(tmp_path: Path) -> None:
    own = Authority(tmp_path, "bank").issue("router.example")
    ticket, early = tmp_path / "ticket.pem", tmp_path / "early"
    early.write_bytes(transfer(1))
    with generous_server(own) as generous:
        await s_client(generous, "-sess_out", str(ticket), until=lambda _: ticket.is_file() and b"END SSL" in ticket.read_bytes())
    text = f'[listeners.companies.tls]\ncertificate = "{own.certificate}"\nkey = "{own.key}"\n'
    async with Host() as core, running(config(core, listener=text)) as router:
        await router.linked("core")
        _, port = router.address()
        session = ("-sess_in", str(ticket), "-early_data", str(early))
        told = await s_client(port, *session, stdin=transfer(2), until=lambda out: answer_to(transfer(2)) in out)
        assert b"Early data was rejected" in told  # so it was sent
        assert answer_to(transfer(2)) in told and answer_to(transfer(1)) not in told
        assert core.frames == [transfer(2)]
        assert router.log.codes == []
