"""`load`: how it is asked for, how it goes on in a terminal, and what is said of it at the end."""

from __future__ import annotations

import os
import signal
import ssl
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from telegram_router.cli.capture_inputs import reading
from telegram_router.cli.client_tls import client_tls
from telegram_router.cli.exit_codes import EXIT_DIFFERS, EXIT_UNREACHABLE, EXIT_USAGE, of_capture
from telegram_router.cli.shown import say, say_json, table
from telegram_router.config import Address
from telegram_router.storage.capture_records import CaptureError
from telegram_router.telegrams import Spec
from telegram_router.tools.load import Load, Plan, Tally
from telegram_router.tools.load_telegrams import LoadError, Requests, captured, made_up

BLOCKS: Final = " ▁▂▃▄▅▆▇█"
KEPT: Final = 60  # points of the live chart
EVERY: Final = 0.5  # seconds between two of them
BRIEFLY: Final = 10.0  # seconds, where nothing says how long


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for beyond the plan."""

    messages: tuple[str, ...] = ()
    capture: Path | None = None
    sequence: str | None = None
    first: int = 1
    as_json: bool = False
    quiet: bool = False
    hgrm: Path | None = None


def run_load(spec: Spec, plan: Plan, wanted: Wanted) -> int:
    """Returns the exit code: 0; 1 where an answer is missing, doubled or unasked; 2 for what cannot be sent or written; 4 where the target
    is gone; 5 for a damaged capture; 130 or 143 after a signal. The first ends the sending, the second the waiting too."""
    try:
        requests = Requests(spec, _frames(spec, wanted, str(plan.seed)), wanted.sequence, wanted.first)
    except CaptureError as error:
        click.echo(error.text(), err=True)
        return of_capture(error.code)
    except LoadError as error:
        click.echo(error.text(), err=True)
        return EXIT_USAGE
    live = _Live(wanted.quiet, plan.seconds)
    load = Load(plan, requests, live.step)
    received = 0

    def stop(number: int, _frame: object) -> None:
        nonlocal received
        received, load.stopping, load.ending = number, True, load.stopping
        if load.in_flight and not load.ending and not wanted.quiet:
            click.echo("waiting for the answers that are still owed; once more ends it at once", err=True)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        tally = load.run()
    except OSError as error:
        click.echo(LoadError("E-RPL-04", f"{plan.host}:{plan.port} cannot be reached: {_why(error)}").text(), err=True)
        return EXIT_UNREACHABLE
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        live.end()
    if wanted.as_json:
        say_json({"target": f"{plan.host}:{plan.port}", "sequence": requests.sequence, "interrupted": bool(received)} | tally.as_object())
    else:
        _tell(plan, tally)
    if wanted.hgrm is not None:
        try:
            wanted.hgrm.write_text(tally.latency.hgrm(), "utf-8")
        except OSError as error:
            click.echo(LoadError("E-RPL-08", f"cannot be written: {error.strerror}", where=str(wanted.hgrm)).text(), err=True)
            return EXIT_USAGE
    return 128 + received if received else _exit_code(tally)


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is refused: {error.verify_message}"
    return error.strerror or "no connection"


def _exit_code(tally: Tally) -> int:
    if tally.refused or tally.lost:
        return EXIT_UNREACHABLE
    return 0 if tally.good else EXIT_DIFFERS


def _frames(spec: Spec, wanted: Wanted, seed: str) -> list[bytes]:
    if wanted.capture is None:
        return made_up(spec, wanted.messages, seed)
    with reading(wanted.capture) as reader:
        return captured(spec, reader.telegrams(), wanted.messages)


def load_plan(
    target: Address,
    rate: float | None,
    window: int | None,
    duration: float | None,
    timeout: float,
    tls: tuple[bool, Path | None, Path | None, Path | None],
    more: dict[str, Any],
) -> Plan:
    """The plan that the command line asks for. Raises click.UsageError with what is wrong with it."""
    secure, ca, certificate, key = tls
    if not secure and (ca or certificate or more["server_name"]):
        raise click.UsageError("--ca, --certificate and --server-name belong to --tls.")
    if more["poisson"] and rate is None:
        raise click.UsageError("--poisson belongs to --rate.")
    return Plan(
        *target,
        window=window if window is not None else (1 if rate is None else 64),
        rate=rate,
        seconds=duration if duration is not None or more["count"] else BRIEFLY,
        timeout=timeout,
        tls=client_tls(ca, certificate, key) if secure else None,
        **more,
    )


def _tell(plan: Plan, tally: Tally) -> None:
    asked = "" if plan.rate is None else f" of {plan.rate:,.0f}/s asked"
    rate = tally.answered / tally.seconds if tally.seconds else 0.0
    say(f"{tally.planned:,} planned  {tally.sent:,} sent  {tally.answered:,} answered in {tally.seconds:,.2f} s: {rate:,.1f}/s{asked}")
    odd = {
        "missing": tally.missing, "lost": tally.lost, "not sent": tally.not_sent, "late": tally.late, "twice": tally.duplicates,
        "unasked": tally.unexpected, "unreadable": tally.unreadable, "connections lost": tally.refused,
    }  # fmt: skip
    if any(odd.values()):
        say("  ".join(f"{name} {count:,}" for name, count in odd.items() if count), fg="red")
    rows = [_row("latency from planned" if plan.rate is not None else "latency", tally.latency.as_object())]
    if plan.rate is not None:
        rows += [_row("from sent", tally.service.as_object()), _row("own lag", tally.lag.as_object())]
    table(("", "p50", "p90", "p99", "p99.9", "max"), rows)
    if tally.codes:
        say("answers by code: " + "  ".join(f"{code.strip() or 'blank'} {count:,}" for code, count in sorted(tally.codes.items())))
    if tally.held:
        say(
            f"{tally.held:,} times a request was due and every window was full: it was sent later, and its latency counts from when it was due"
        )
    say("every request was answered once" if tally.good else "NOT every request was answered once", fg="green" if tally.good else "red")


def _row(name: str, found: dict[str, Any]) -> list[str]:
    return [
        name,
        *("n/a" if found[each] is None else f"{found[each]:,.3f} ms" for each in ("p50_ms", "p90_ms", "p99_ms", "p99.9_ms", "max_ms")),
    ]


class _Live:
    """Two lines that redraw themselves in a terminal: how many a second, and how long the last of them took."""

    def __init__(self, quiet: bool, lasting: float | None) -> None:
        self._on = sys.stderr.isatty() and not quiet
        self._lasting = "" if lasting is None else f" of {lasting:g} s"
        self._rates: deque[float] = deque(maxlen=KEPT)
        self._times: deque[float] = deque(maxlen=KEPT)
        self._began = time.perf_counter()
        self._seen = (self._began, 0, 0)
        self._drawn = False

    def step(self, load: Load) -> None:
        now = time.perf_counter()
        before, answered, total = self._seen
        if not self._on or now - before < EVERY:
            return
        tally = load.tally
        count = tally.answered - answered
        self._rates.append(count / (now - before))
        self._times.append((tally.latency.total - total) / count / 1e6 if count else 0.0)
        self._seen = (now, tally.answered, tally.latency.total)
        wrong = tally.missing + tally.lost + tally.duplicates + tally.unexpected
        lines = live_lines(
            self._rates,
            self._times,
            (f"{now - self._began:,.0f} s{self._lasting}", f"{load.in_flight:,} open  {wrong:,} wrong"),
            _columns(),
        )
        sys.stderr.write(("\x1b[2A" if self._drawn else "") + "".join(f"\r\x1b[2K{line}\n" for line in lines))
        sys.stderr.flush()
        self._drawn = True

    def end(self) -> None:
        self._on = False


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80


def live_lines(rates: Sequence[float], times: Sequence[float], remarks: tuple[str, str], columns: int) -> list[str]:
    """The chart, no wider than the terminal: a line that wraps could not be drawn over."""
    fronts = (f"{rates[-1]:>12,.0f}/s   ", f"{times[-1]:>12,.3f} ms  ")
    room = max(columns - 1 - len(fronts[0]) - 2 - max(map(len, remarks)), 1)
    return [
        f"{front}{spark(list(values)[-room:])}  {remark}"[: columns - 1]
        for front, values, remark in zip(fronts, (rates, times), remarks, strict=True)
    ]


def spark(values: Sequence[float]) -> str:
    """A row of blocks, the largest value as the highest."""
    most = max(values, default=0.0)
    return "".join(BLOCKS[round(value / most * (len(BLOCKS) - 1))] if most else BLOCKS[0] for value in values)
