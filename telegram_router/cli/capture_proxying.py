"""`capture --listen --to`: a standing proxy that captures what it passes on."""

from __future__ import annotations

import gc
import signal
import ssl
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import trio

from telegram_router.cli.capture_inputs import spec_digest
from telegram_router.cli.capture_masking import policy_table
from telegram_router.cli.client_tls import client_tls
from telegram_router.cli.options import spec_file
from telegram_router.config import Address
from telegram_router.tools.capture_proxy import Proxy, Way
from telegram_router.wire.capture_feed import Feed

PROGRESS: Final = 1.0  # seconds
CLEAR: Final = "\r\x1b[K"  # the line of a terminal that is written over


@dataclass(frozen=True)
class Wanted:
    """What was said of the proxy."""

    listen: tuple[Address, ...]
    to: tuple[Address, ...]
    output: Path
    mask_key: Path | None
    policy: Path | None
    rotate: tuple[int | None, float | None]
    on_full: str
    certificate: Path | None
    key: Path | None
    to_tls: bool
    to_ca: Path | None


def run_proxy(wanted: Wanted, spec_name: str, folders: Sequence[Path]) -> int:
    """Until a signal. Returns the exit code: 130 or 143, 1 where something was left out, 4 where the port cannot be had."""
    from telegram_router.plan import read_spec

    file = spec_file(spec_name, folders)
    spec = read_spec(file)
    octets, age = wanted.rotate
    if len(wanted.listen) != len(wanted.to):
        raise click.UsageError("Each --listen needs its --to: the first goes to the first, the second to the second.")
    contexts = _contexts(wanted)
    ways = [Way(listen, to, *contexts) for listen, to in zip(wanted.listen, wanted.to, strict=True)]
    settings: dict[str, Any] = {
        "spec_file": str(file), "spec_sha256": spec_digest(file), "output": str(wanted.output.absolute()), "source": "proxy",
        "key": b"" if wanted.mask_key is None else wanted.mask_key.read_bytes().strip(),
        "policy": None if wanted.policy is None else policy_table(wanted.policy),
        "rotate_size": octets, "rotate_age": age, "on_full": wanted.on_full,
    }  # fmt: skip
    code = 0
    live = sys.stderr.isatty()

    def warn(text: str) -> None:
        click.echo(f"{CLEAR}{text}" if live else text, err=True)

    async def show(proxy: Proxy, feed: Feed) -> None:
        """How far it is, for who looks on."""
        while True:
            await trio.sleep(PROGRESS)
            line = f"{feed.telegrams:,} telegrams of {proxy.connections:,} connections, {feed.dropped:,} left out"
            click.echo(CLEAR + line, err=True, nl=False)

    async def serve() -> None:
        nonlocal code
        feed = Feed(settings | {"t0": time.time_ns(), "began": trio.current_time()})
        try:
            proxy = Proxy(ways, spec, feed, block=wanted.on_full == "block", warn=warn)
            async with trio.open_nursery() as nursery:
                with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                    ports = await nursery.start(proxy.run)
                    masked = "masked" if wanted.mask_key is not None else "NOT masked"
                    for listen, to, port in zip(wanted.listen, wanted.to, ports, strict=True):
                        warn(f"capturing {spec.name}, {masked}: {listen._replace(port=port)} -> {to}, in {wanted.output}")
                    gc.collect()
                    gc.freeze()  # a full collection would hold up whoever sends just then
                    gc.set_threshold(50_000, 20, 100)
                    if live:
                        nursery.start_soon(show, proxy, feed)
                    async for number in signals:
                        code = 128 + number
                        break
                nursery.cancel_scope.cancel()
        except* OSError as error:
            warn(f"{', '.join(map(str, wanted.listen))}: {error.exceptions[0]}")
            code = 4
        finally:
            said = feed.close()
        if live:
            click.echo(CLEAR, err=True, nl=False)
        files = ", ".join(said.get("files", ())) or "no file"
        missing = max(feed.dropped, said.get("left_out", 0) + said.get("unwritten", 0))
        click.echo(f"{said.get('telegrams', 0):,} telegrams captured, {missing:,} left out: {files}")
        if said.get("why"):
            click.secho(f"it could not be written: {said['why']}", fg="red", err=True)
        if code != 4 and (missing or said.get("why")):
            code = 1

    trio.run(serve)
    return code


def _contexts(wanted: Wanted) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
    if (wanted.certificate is None) != (wanted.key is None):
        raise click.UsageError("--certificate and --key go together.")
    server = None
    if wanted.certificate is not None and wanted.key is not None:
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            server.load_cert_chain(wanted.certificate, wanted.key)
        except OSError as error:  # ssl.SSLError is one
            raise click.UsageError(f"--certificate, --key: {error}") from None
    return server, client_tls(wanted.to_ca, options=["--to-ca"]) if wanted.to_tls or wanted.to_ca is not None else None
