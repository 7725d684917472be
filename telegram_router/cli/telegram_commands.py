"""Commands on telegrams: decode, encode, explain, load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from telegram_router.cli.kinds import DURATION, RATE, TARGET
from telegram_router.cli.options import CONFIG, HEX_IN, INPUT, SPEC, SPEC_FOLDER, UNFRAMED, every_spec, example, options, spec_named

if TYPE_CHECKING:
    from telegram_router.plan import Plan
    from telegram_router.written import Address


@click.command(
    epilog=example(
        "telegram-router decode --spec firmbanking yesterday.bin", "telegram-router decode --spec ksnet --hex dump.txt | jq .body"
    )
)
@INPUT
@options(SPEC, SPEC_FOLDER, HEX_IN, UNFRAMED)
@click.option("--masked", is_flag=True, help='Show the values of fields that are log="clear" only, and of all others the size.')
def decode(source: str, spec_name: str | None, folders: tuple[Path, ...], as_hex: bool, unframed: bool, masked: bool) -> int:
    """Turn telegrams into JSON, one line each.

    INPUT is a file of any number of telegrams, or - for stdin. All values are shown unless --masked is given. What is wrong with
    a telegram goes to stderr, field by field; the next one follows, until the framing itself is lost. Exit code 1 if any was bad.
    """
    from telegram_router.cli.converting import decode_input

    return decode_input(spec_named(spec_name, folders), source, as_hex, unframed, masked)


@click.command(epilog=example("telegram-router encode --spec firmbanking telegrams.jsonl > telegrams.bin"))
@INPUT
@options(SPEC, SPEC_FOLDER)
@click.option("--hex", "as_hex", is_flag=True, help="Write hex, one line for each telegram, instead of bytes.")
@click.option("--unframed", is_flag=True, help="Write telegrams without their framing.")
def encode(source: str, spec_name: str | None, folders: tuple[Path, ...], as_hex: bool, unframed: bool) -> int:
    """Turn JSON lines into telegrams, byte for byte what was decoded.

    INPUT is a file with one JSON object on each line, or - for stdin. A line that is wrong is told on stderr and left out.
    Exit code 1 if any was bad.
    """
    from telegram_router.cli.converting import encode_input

    return encode_input(spec_named(spec_name, folders), source, as_hex, unframed)


@click.command(
    epilog=example(
        "telegram-router explain suspicious.bin",
        "telegram-router explain --spec firmbanking --number 17 yesterday.bin",
        "telegram-router explain --config bank.toml --listener branches suspicious.bin",
    )
)
@INPUT
@options(SPEC, SPEC_FOLDER, HEX_IN, UNFRAMED)
@click.option("--number", metavar="N", type=click.IntRange(1), help="Explain only the N-th telegram of the input, from 1.")
@click.option("--show-values", "--unmask", is_flag=True, help='Show values that are not log="clear" too.')
@click.option("--bytes", "with_bytes", is_flag=True, help="Show hex beside the values, whatever the width of the terminal.")
@click.option("--config", type=CONFIG, help="Say also which route of this configuration the telegram takes, and why.")
@click.option("--listener", metavar="NAME", help="The listener that it comes in by; may be left out when there is only one.")
@click.option("--from-service", metavar="NAME", help="Instead of --listener: the service whose host sends it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each telegram.")
def explain(
    source: str,
    spec_name: str | None,
    folders: tuple[Path, ...],
    as_hex: bool,
    unframed: bool,
    number: int | None,
    show_values: bool,
    with_bytes: bool,
    config: Path | None,
    listener: str | None,
    from_service: str | None,
    as_json: bool,
) -> int:
    """Show what each byte means, what is wrong and probably why, and where it goes.

    INPUT is a file of telegrams, or - for stdin: bytes, or text that dumps them (hexdump -C, xxd, od, hex, base64, tcpdump -X).
    Without --spec the spec and the framing are guessed from all that can be found by name, or said to be not known. Values that
    may hold somebody's data are masked unless --show-values is given. With --config the spec is the listener's. Exit code 1 if
    anything is wrong with a telegram.
    """
    from telegram_router.cli.explaining import Wanted, explain_input, guess_input

    if config is None and (listener or from_service):
        raise click.UsageError("--listener and --from-service name parts of a configuration: give --config too.")
    wanted = Wanted(unframed, show_values, with_bytes, number, as_json)
    if config is None and spec_name is None:
        return guess_input(lambda: every_spec(folders), source, as_hex, wanted)
    plan, origin = _origin(config, listener, from_service)
    spec = origin.spec if origin is not None and spec_name is None else spec_named(spec_name, folders)
    return explain_input(spec, plan, origin, lambda: every_spec(folders), source, as_hex, wanted)


def _origin(config: Path | None, listener: str | None, from_service: str | None) -> tuple[Plan | None, Any]:
    """The plan, and the listener or service of its switch that telegrams come from; None and None without a configuration."""
    if config is None:
        return None, None
    if listener and from_service:
        raise click.UsageError("--listener and --from-service exclude each other.")
    from telegram_router.assembly import build_switch
    from telegram_router.plan import read_plan

    plan = read_plan(config)
    switch = build_switch(plan)
    parties: dict[str, Any] = dict(switch.services if from_service else switch.listeners)
    kind, name = ("--from-service", from_service) if from_service else ("--listener", listener)
    if name is None and len(parties) == 1:
        return plan, next(iter(parties.values()))
    if name not in parties:
        raise click.UsageError(f"{kind}: {'which one?' if name is None else 'no such name.'} There are: {', '.join(parties)}.")
    return plan, parties[name]


@click.command(
    epilog=example(
        "telegram-router load --to localhost:9001 --spec firmbanking --message transfer.request --clients 10 --window 8 --duration 30s",
        "telegram-router load --to localhost:9001 --spec firmbanking --capture day.tgcap.jsonl --rate 200/s --duration 5m",
    )
)
@click.option("--to", "target", metavar="HOST:PORT", type=TARGET, required=True, help="The listener.")
@options(SPEC, SPEC_FOLDER)
@click.option(
    "--message", "messages", metavar="MESSAGE", multiple=True, help="The requests to send, in turn. Default: all that are answered."
)
@click.option(
    "--capture",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Send the requests of a capture in turn, instead of made up ones.",
)
@click.option(
    "--sequence",
    metavar="FIELD",
    help="The field that gets a number of its own in each request. Default: the widest number that pairs replies.",
)
@click.option("--first", metavar="N", type=click.IntRange(0), default=1, show_default=True, help="The first of these numbers.")
@click.option("--clients", metavar="N", type=click.IntRange(1, 10_000), default=10, show_default=True, help="Connections.")
@click.option(
    "--window", metavar="N", type=click.IntRange(1, 100_000), help="Unanswered requests of one connection. Default: 1; 64 with --rate."
)
@click.option(
    "--rate",
    metavar="N/s",
    type=RATE,
    help="Requests a second in all, sent when they are due, however long answers take. Default: as fast as windows allow.",
)
@click.option("--poisson", is_flag=True, help="With --rate: at random times of that rate.")
@click.option("--count", metavar="N", type=click.IntRange(1), help="Stop after so many.")
@click.option("--duration", metavar="TIME", type=DURATION, help="Stop after so long. Default: 10s, where no --count is given.")
@click.option(
    "--timeout", metavar="TIME", type=DURATION, default="30s", show_default=True, help="How long an answer may take before it is missing."
)
@click.option(
    "--seed", metavar="N", type=int, default=0, show_default=True, help="The same seed makes the same requests at the same planned times."
)
@click.option("--tls", is_flag=True, help="Speak TLS; the server is verified.")
@click.option(
    "--ca", type=CONFIG, help="With --tls: PEM file with the CA that the server's certificate must come from. Default: the system's."
)
@click.option("--certificate", type=CONFIG, help="With --tls: PEM file with a client certificate.")
@click.option("--key", type=CONFIG, help="With --certificate: PEM file with its key.")
@click.option("--server-name", metavar="NAME", help="With --tls: the name that the server's certificate must hold. Default: the host.")
@click.option(
    "--hgrm",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the distribution of latencies as HdrHistogram's plotters read it.",
)
@click.option("--quiet", is_flag=True, help="No live chart.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def load(
    target: Address,
    spec_name: str | None,
    folders: tuple[Path, ...],
    messages: tuple[str, ...],
    capture: Path | None,
    sequence: str | None,
    first: int,
    rate: float | None,
    window: int | None,
    duration: float | None,
    timeout: float,
    quiet: bool,
    as_json: bool,
    hgrm: Path | None,
    tls: bool,
    ca: Path | None,
    certificate: Path | None,
    key: Path | None,
    **plan: Any,
) -> int:
    """Drive a listener with requests, and hold every answer against what was asked.

    With --rate latency counts from when a request was due: a target that stalls cannot hide it. Exit code 1 if an answer is missing, came
    twice or was not asked for, 2 for wrong usage, 4 if the target cannot be reached or a connection was lost, 5 for a damaged capture,
    130 after Ctrl-C and 143 after SIGTERM, with the report so far: the first ends the sending, the second the waiting for answers too.
    """
    from telegram_router.cli.loading import Wanted, load_plan, run_load

    asked = load_plan(target, rate, window, duration, timeout, (tls, ca, certificate, key), plan)
    wanted = Wanted(messages, capture, sequence, first, as_json, quiet, hgrm)
    return run_load(spec_named(spec_name, folders), asked, wanted)
