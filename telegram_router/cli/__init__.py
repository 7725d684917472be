"""The command `telegram-router`: reads arguments, calls the part that does the work, turns its end into an exit code."""

# Rules this package keeps, all of them tested:
#
# 1. What is heavy is imported by the command that needs it, so that --help answers at once.
# 2. What was asked for goes to stdout, what is wrong goes to stderr, and no traceback reaches either.
# 3. A terminal gets tables; a pipe gets the same as aligned text, nothing cut.

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from telegram_router import __version__
from telegram_router.cli.capturing import capture
from telegram_router.cli.certs import certs
from telegram_router.cli.operating import COMMANDS
from telegram_router.cli.records import find
from telegram_router.cli.replaying import replay
from telegram_router.cli.simulating import simulate
from telegram_router.errors import ConfigError, RouterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from telegram_router.plan import Plan
    from telegram_router.telegrams import Spec

    Command = TypeVar("Command", bound=Callable[..., Any])

EXIT_FAILED, EXIT_CANNOT_BIND, EXIT_BUG, EXIT_NO_STATE, EXIT_CONFIG = 1, 69, 70, 75, 78
EXIT_INTERRUPTED, EXIT_PIPE = 128 + 2, 128 + 13  # what a shell shows for SIGINT and SIGPIPE
CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # to a file or terminal


class CommandLine(click.Group):
    """Every way a command can end, as one message and one exit code."""

    def invoke(self, ctx: click.Context) -> NoReturn:
        _have_streams()
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except (click.ClickException, click.exceptions.Exit):
            raise
        except ConfigError as error:
            tell(problem.text() for problem in error.problems)
            code = EXIT_CONFIG
        except RouterError as error:
            tell([error.text()])
            code = EXIT_FAILED
        except (KeyboardInterrupt, click.Abort):
            code = EXIT_INTERRUPTED
        except (Exception, BaseExceptionGroup) as error:
            code = _failed(error)
        ctx.exit(code or 0)


def tell(lines: Iterable[str]) -> None:
    """Say on stderr what is wrong."""
    for line in lines:
        click.echo(line, err=True)


def _have_streams() -> None:
    """A shell or a service manager may start a program with its output closed. Then nobody wants to read it."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # it stays open


def _failed(error: BaseException) -> int:
    """The exit code of an exception that no command expected, told on stderr unless nobody is to blame."""
    from telegram_router.ops.logs import leaves

    found = list(leaves(error))
    if any(isinstance(each, BrokenPipeError) for each in found):  # whoever reads has gone
        _let_go_of_stdout()
        return EXIT_PIPE
    full = next((each for each in found if isinstance(each, OSError) and each.errno in CANNOT_WRITE), None)
    if full is not None:
        _let_go_of_stdout()
        tell([f"Error: the output cannot be written: {full.strerror}"])
        return EXIT_FAILED
    tell(_faults(error))
    return EXIT_BUG


def _faults(error: BaseException) -> Iterable[str]:
    """Exceptions that nobody expected: where they came from, without their messages, which may hold what a telegram held."""
    from telegram_router.errors import places
    from telegram_router.ops.logs import leaves

    for leaf in leaves(error):
        where = (places(leaf) or ["an unknown place"])[-1]
        yield f"E-INT-01: a fault of the router itself: {type(leaf).__name__} at {where}; please report it"


def _let_go_of_stdout() -> None:
    """Nobody reads any more: the interpreter must not try to write the rest when it ends."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # no descriptor behind it
        pass


def _example(*lines: str) -> str:
    """A help text's last lines, as they would be typed."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def _linux_only() -> None:
    if sys.platform != "linux":
        raise click.ClickException(f"the router runs on Linux only (it waits with epoll); this is {sys.platform}")


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_example("telegram-router demo"))
@click.version_option(__version__, prog_name="telegram-router")
def main() -> None:
    """Route fixed-byte TCP telegrams (전문) to TCP hosts, HTTP/JSON services and Python handlers.

    Exit codes: 0 well, 1 something failed or a telegram was bad, 2 wrong usage, 69 an address cannot be bound, 70 a fault of the
    router itself, 75 the state folder cannot be used, 78 a bad configuration or spec, 130 interrupted.
    """


# --- the router -------------------------------------------------------------------------------------------------

CONFIG = click.Path(dir_okay=False, path_type=Path)


@main.command(epilog=_example("telegram-router run bank.toml"))
@click.argument("config", type=CONFIG)
def run(config: Path) -> int:
    """Run the router that CONFIG describes.

    Logs are JSON lines on stderr. SIGTERM and Ctrl-C drain: no new telegrams, open ones are answered, then it ends; a second
    one ends it at once. SIGHUP reloads the configuration. Exit code 1 means that something was still open when it ended.
    """
    _linux_only()
    from telegram_router.cli.running import run_router

    return run_router(config)


@main.command(epilog=_example("telegram-router check bank.toml"))
@click.argument("config", type=CONFIG)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def check(config: Path, as_json: bool) -> int:
    """Check a configuration with all that it names.

    Specs, certificates, handlers and routes are checked as `run` would, and nothing is started. All problems are shown at once.
    """
    from telegram_router.cli.checking import check_config

    return check_config(config, as_json)


@main.command(epilog=_example("telegram-router demo"))
@click.option("--keep", is_flag=True, help="Leave the demo's folder in place: configuration, certificates and the router's log.")
def demo(keep: bool) -> int:
    """Show the router at work, on this machine alone.

    Simulated hosts, a router with TLS and two companies; one host is killed on the way. It ends by itself in well under a minute,
    and with exit code 1 unless every telegram is accounted for.
    """
    _linux_only()
    from telegram_router.demo import show

    return show(keep)


for operators in (*COMMANDS, find, certs, capture, replay, simulate):
    main.add_command(operators)


# --- telegrams --------------------------------------------------------------------------------------------------


def _options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


SPEC = click.option("--spec", "spec_name", metavar="SPEC", help="Name of a spec, or path of a spec file (.py).")
SPEC_FOLDER = click.option(
    "--spec-folder",
    "folders",
    metavar="FOLDER",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder to look for the spec in, before those that ship with the router. May be given several times.",
)
UNFRAMED = click.option("--unframed", is_flag=True, help="The input is one telegram without its framing, as logs often show it.")
HEX_IN = click.option(
    "--hex",
    "as_hex",
    is_flag=True,
    help="The input is hex: INPUT is the hex digits themselves, or a file of them. Blanks and colons may be between.",
)
INPUT = click.argument("source", metavar="[INPUT]", default="-")


def spec_named(name: str | None, folders: Iterable[Path]) -> Spec:
    if name is None:
        raise click.UsageError("Missing option '--spec': which telegrams are these? See `telegram-router spec list`.")
    from telegram_router.plan import read_spec

    return read_spec(spec_file(name, folders))


def spec_file(name: str, folders: Iterable[Path]) -> Path:
    from telegram_router import plan

    places = [*folders, *plan.spec_folders(None, Path())]
    path = plan.find_spec(name, places)
    if path is None:
        raise click.UsageError(f"No such spec. There are: {', '.join(sorted(plan.known_specs(places)))}.")
    return path


@main.command(
    epilog=_example(
        "telegram-router decode --spec firmbanking yesterday.bin", "telegram-router decode --spec ksnet --hex dump.txt | jq .body"
    )
)
@INPUT
@_options(SPEC, SPEC_FOLDER, HEX_IN, UNFRAMED)
@click.option("--masked", is_flag=True, help='Show the values of fields that are log="clear" only, and of all others the size.')
def decode(source: str, spec_name: str | None, folders: tuple[Path, ...], as_hex: bool, unframed: bool, masked: bool) -> int:
    """Turn telegrams into JSON, one line each.

    INPUT is a file of any number of telegrams, or - for stdin. All values are shown unless --masked is given. What is wrong with
    a telegram goes to stderr, field by field; the next one follows, until the framing itself is lost. Exit code 1 if any was bad.
    """
    from telegram_router.cli.converting import decode_input

    return decode_input(spec_named(spec_name, folders), source, as_hex, unframed, masked)


@main.command(epilog=_example("telegram-router encode --spec firmbanking telegrams.jsonl > telegrams.bin"))
@INPUT
@_options(SPEC, SPEC_FOLDER)
@click.option("--hex", "as_hex", is_flag=True, help="Write hex, one line for each telegram, instead of bytes.")
@click.option("--unframed", is_flag=True, help="Write telegrams without their framing.")
def encode(source: str, spec_name: str | None, folders: tuple[Path, ...], as_hex: bool, unframed: bool) -> int:
    """Turn JSON lines into telegrams, byte for byte what was decoded.

    INPUT is a file with one JSON object on each line, or - for stdin. A line that is wrong is told on stderr and left out.
    Exit code 1 if any was bad.
    """
    from telegram_router.cli.converting import encode_input

    return encode_input(spec_named(spec_name, folders), source, as_hex, unframed)


@main.command(
    epilog=_example(
        "telegram-router explain suspicious.bin",
        "telegram-router explain --spec firmbanking --number 17 yesterday.bin",
        "telegram-router explain --config bank.toml --listener branches suspicious.bin",
    )
)
@INPUT
@_options(SPEC, SPEC_FOLDER, HEX_IN, UNFRAMED)
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
        return guess_input(lambda: _every_spec(folders), source, as_hex, wanted)
    plan, origin = _origin(config, listener, from_service)
    spec = origin.spec if origin is not None and spec_name is None else spec_named(spec_name, folders)
    return explain_input(spec, plan, origin, lambda: _every_spec(folders), source, as_hex, wanted)


def _every_spec(folders: Iterable[Path]) -> list[Spec]:
    """All that can be found by name; what does not load is told and left out."""
    from telegram_router import plan

    found = []
    for name, path in sorted(plan.known_specs([*folders, *plan.spec_folders(None, Path())]).items()):
        try:
            found.append(plan.read_spec(path))
        except ConfigError as error:
            tell([f"{name} does not load and is left out: {error.problems[0].text()}"])
    return found


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


@main.command(
    epilog=_example(
        "telegram-router load --to localhost:9001 --spec firmbanking --message transfer.request --clients 10 --window 8 --duration 30s",
        "telegram-router load --to localhost:9001 --spec firmbanking --capture day.tgcap.jsonl --rate 200/s --duration 5m",
    )
)
@click.option("--to", "target", metavar="HOST:PORT", required=True, help="The listener.")
@_options(SPEC, SPEC_FOLDER)
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
    help="Requests a second in all, sent when they are due, however long answers take. Default: as fast as windows allow.",
)
@click.option("--poisson", is_flag=True, help="With --rate: at random times of that rate.")
@click.option("--count", metavar="N", type=click.IntRange(1), help="Stop after so many.")
@click.option("--duration", metavar="TIME", help="Stop after so long. Default: 10s, where no --count is given.")
@click.option("--timeout", metavar="TIME", default="30s", show_default=True, help="How long an answer may take before it is missing.")
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
    target: str,
    spec_name: str | None,
    folders: tuple[Path, ...],
    messages: tuple[str, ...],
    capture: Path | None,
    sequence: str | None,
    first: int,
    rate: str | None,
    window: int | None,
    duration: str | None,
    timeout: str,
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
    twice or was not asked for, 4 if the target cannot be reached or a connection was lost, 130 after Ctrl-C, with the report so far.
    """
    from telegram_router.cli.loading import Wanted, load_plan, run_load

    asked = load_plan(target, rate, window, duration, timeout, (tls, ca, certificate, key), plan)
    wanted = Wanted(messages, capture, sequence, first, as_json, quiet, hgrm)
    return run_load(spec_named(spec_name, folders), asked, wanted)


# --- specs ------------------------------------------------------------------------------------------------------


@main.group()
def spec() -> None:
    """List the specs of telegrams, or show one."""


@spec.command("list", epilog=_example("telegram-router spec list"))
@SPEC_FOLDER
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def spec_list(folders: tuple[Path, ...], as_json: bool) -> int:
    """List the specs that can be found by name."""
    from telegram_router.cli.specs import list_specs

    return list_specs(folders, as_json)


@spec.command("show", epilog=_example("telegram-router spec show firmbanking", "telegram-router spec show firmbanking transfer.request"))
@click.argument("name")
@click.argument("message", required=False)
@SPEC_FOLDER
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def spec_show(name: str, message: str | None, folders: tuple[Path, ...], as_json: bool) -> int:
    """Show a spec and its messages, or the offset table of one MESSAGE.

    NAME is the name of a spec or the path of a spec file (.py).
    """
    from telegram_router.cli.specs import show_message, show_spec

    found = spec_named(name, folders)
    return show_spec(found, as_json) if message is None else show_message(found, message, as_json)


@spec.command(
    "import",
    epilog=_example(
        "telegram-router spec import customer.cpy --output specs/customer.py",
        "telegram-router spec import layout.xlsx --output specs/partner.py",
    ),
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="File to write. Without it: stdout.")
@click.option("--force", is_flag=True, help="Overwrite the output file.")
@click.option("--despite-errors", is_flag=True, help="Write what could be understood, although the report has errors.")
@click.option("--name", metavar="NAME", help="Name of the spec; without it, the file's.")
@click.option("--encoding", metavar="ENCODING", help="Encoding of the telegrams: cp037, cp933, cp949, ascii or another code page.")
@click.option(
    "--dialect",
    type=click.Choice(["ibm", "gnucobol", "mf"]),
    default="ibm",
    show_default=True,
    help="Copybooks: whose COBOL wrote the data; sizes, signs, byte order and floating point follow from it.",
)
@click.option(
    "--odo", type=click.Choice(["max", "shift"]), help="Copybooks: OCCURS DEPENDING ON has room for all items, or only for those counted."
)
@click.option(
    "--framing",
    type=click.Choice(["fixed", "rdw", "rdw-little", "binary2", "binary4", "ascii4", "ebcdic4", "line"]),
    help="Copybooks: what parts one record from the next. Without it: fixed where all have one length, else rdw.",
)
@click.option(
    "--sign",
    type=click.Choice(["ascii", "ebcdic"]),
    help="Copybooks: the letters of signs in ASCII data, where they are not the dialect's.",
)
@click.option("--low-values", is_flag=True, help="Copybooks: fields of zero bytes have no value, as in records that nobody has filled.")
@click.option(
    "--select",
    "selects",
    metavar="VIEW=FIELD:VALUE",
    multiple=True,
    help="Copybooks: read this REDEFINES, or this record, where the field has the value.",
)
@click.option("--record", metavar="NAME", help="Copybooks: only this record of several.")
@click.option(
    "--format", "form", type=click.Choice(["fixed", "free", "variable"]), help="Copybooks: reference format; without it, found out."
)
@click.option("--source-encoding", metavar="ENCODING", help="Copybooks: encoding of the file itself; without it, found out.")
@click.option(
    "--copy-folder",
    "folders",
    metavar="FOLDER",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Copybooks: folder to look for texts of COPY in, after the copybook's own. May be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object; without --output with the spec's source.")
def spec_import(
    file: Path,
    output: Path | None,
    force: bool,
    despite_errors: bool,
    name: str | None,
    encoding: str | None,
    selects: tuple[str, ...],
    source_encoding: str | None,
    folders: tuple[Path, ...],
    as_json: bool,
    **copybook: Any,
) -> int:
    """Write a spec from a COBOL copybook, or from a layout sheet (XLSX, CSV).

    The report of all that was found goes to stderr: errors, after which no spec is written, warnings, and choices that were made.
    Exit code 78 if it has errors.
    """
    from telegram_router.cli.importing import Wanted, import_layout, options_of

    options = options_of(name=name, encoding=encoding, selects=selects, **copybook)
    return import_layout(file, options, folders, source_encoding, Wanted(output, force, despite_errors, as_json))


@spec.command(
    "sample",
    epilog=_example(
        "telegram-router spec sample firmbanking transfer.request --seed 7 --count 3",
        "telegram-router spec sample ksnet --format raw | telegram-router decode --spec ksnet",
    ),
)
@click.argument("name")
@click.argument("message", required=False)
@SPEC_FOLDER
@click.option("--seed", default="0", show_default=True, help="Any text. The same seed gives the same telegrams, everywhere and always.")
@click.option("--count", metavar="N", type=click.IntRange(1), help="How many; without it one, or without MESSAGE one of each message.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["hex", "raw", "json"]),
    default="hex",
    show_default=True,
    help="Lines of hex, the bytes themselves, or JSON lines as `encode` reads them.",
)
@click.option("--unframed", is_flag=True, help="Write telegrams without their framing.")
def spec_sample(name: str, message: str | None, folders: tuple[Path, ...], seed: str, count: int | None, form: str, unframed: bool) -> int:
    """Make up valid telegrams of a MESSAGE, or of all messages of a spec in turn.

    NAME is the name of a spec or the path of a spec file (.py). All data is invented: names, accounts and amounts belong to nobody.
    """
    from telegram_router.cli.sampling import sample_spec

    return sample_spec(spec_named(name, folders), message, seed, count, form, unframed)


@spec.command(
    "export",
    epilog=_example(
        "telegram-router spec export firmbanking --format markdown --output firmbanking.md",
        "telegram-router spec export firmbanking --format json-schema --output schemas/",
    ),
)
@click.argument("name")
@SPEC_FOLDER
@click.option(
    "--format",
    "form",
    required=True,
    type=click.Choice(["markdown", "html", "json-schema", "lua", "mermaid", "csv", "xlsx"]),
    help="What to write: a document for people, JSON Schema, a Wireshark dissector in Lua, Mermaid diagrams, or layout sheets.",
)
@click.option("--message", metavar="MESSAGE", help="Only this message.")
@click.option("--output", metavar="FILE", help="File to write, or folder: one that exists, or a name that ends in /. Without it: stdout.")
def spec_export(name: str, folders: tuple[Path, ...], form: str, message: str | None, output: str | None) -> int:
    """Write a spec as a document, for people or for other programs.

    NAME is the name of a spec or the path of a spec file (.py). Samples are taken from the folder samples/NAME beside the file; messages
    without one get a telegram that is made up.
    """
    from telegram_router.cli.exporting import export_spec
    from telegram_router.plan import read_spec

    file = spec_file(name, folders)
    return export_spec(read_spec(file), file, form, message, output)


@spec.command(
    "diff",
    epilog=_example(
        "telegram-router spec diff bank-2024.py bank-2025.py",
        "telegram-router spec diff <(git show main:specs/bank.py) specs/bank.py --compatible",
    ),
)
@click.argument("old")
@click.argument("new")
@SPEC_FOLDER
@click.option("--compatible", is_flag=True, help="Exit code 1 only if some telegram of OLD can no longer be decoded.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def spec_diff(old: str, new: str, folders: tuple[Path, ...], compatible: bool, as_json: bool) -> int:
    """Say what differs between two specs, and whether telegrams of OLD can still be decoded with NEW.

    Each is the name of a spec or a spec file. Exit code 0 if they are the same, 1 if they differ.
    """
    from telegram_router.cli.diffing import diff_specs
    from telegram_router.cli.exporting import samples_of
    from telegram_router.plan import read_spec

    files = [Path(name) if Path(name).exists() else spec_file(name, folders) for name in (old, new)]
    specs = [read_spec(file) for file in files]
    return diff_specs(specs[0], specs[1], samples_of(files[0]).values(), as_json, compatible)
