"""`capture`: captures of telegrams shown, counted, checked, put together and taken apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from telegram_router.cli.admin_options import OPTIONS, where_of
from telegram_router.cli.exit_codes import EXIT_USAGE, of_capture
from telegram_router.cli.kinds import ADMIN, DURATION, LISTEN, ROTATION, TARGET
from telegram_router.cli.options import SPEC_FOLDER, example
from telegram_router.errors import ConfigError, RouterError
from telegram_router.written import Address

Command = TypeVar("Command", bound=Callable[..., Any])


class Captures(click.Group):
    """The commands on captures, with the exit codes that all tools for captures have."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            for problem in error.problems:
                click.echo(problem.text(), err=True)
            return EXIT_USAGE
        except RouterError as error:
            if not error.code.startswith("E-CAP") and error.code != "E-ADM-06":
                raise
            click.echo(error.text(), err=True)
            return of_capture(error.code)


def _asks(command: Command) -> Command:
    for option in reversed(OPTIONS):
        command = option(command)
    return command


_FILE = click.Path(dir_okay=False, allow_dash=True, path_type=Path)
_SPEC = click.option(
    "--spec", "spec_name", metavar="SPEC", help="Name of a spec, or path of a spec file (.py). Default: what the capture names."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_WRITE = click.option(
    "-w", "--write", "output", metavar="FILE", required=True, type=_FILE, help="The capture to write; gzipped if it ends in .gz."
)
_FOUND = click.Path(exists=True, dir_okay=False, path_type=Path)
_MASK_KEY = click.option(
    "--mask-key-file", "mask_key", metavar="FILE", type=_FOUND, help="Mask before anything is written, with the key in this file."
)
_POLICY = click.option(
    "--policy", metavar="FILE", type=_FOUND, help="What masking does with which field (TOML). Default: pseudonyms, secrets wiped."
)
_ROTATE = click.option(
    "--rotate",
    metavar="SIZE|TIME",
    type=ROTATION,
    default=(None, None),
    help="Begin another file at this size (256MB) or age (1h).",
)
_STRICT = click.option("--strict", is_flag=True, help="Exit code 5 also if a capture was not closed cleanly or has gaps.")


@click.group(
    cls=Captures,
    invoke_without_command=True,
    epilog=example(
        "telegram-router capture --listen :9000 --to core:9000 --spec firmbanking -w lines.tgcap.jsonl --mask-key-file mask.key",
        "telegram-router capture show day.tgcap.jsonl 'msg=transfer.* and f.amount>1000000'",
    ),
)
@click.option(
    "--listen",
    metavar="HOST:PORT",
    type=LISTEN,
    multiple=True,
    help="Be a proxy: where clients connect. :PORT is for this machine alone. Several, each with its --to, make one capture.",
)
@click.option("--to", metavar="HOST:PORT", type=TARGET, multiple=True, help="The host that a proxy stands before.")
@click.option(
    "-w", "--write", "output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="The capture that a proxy writes."
)
@click.option("--spec", "spec_name", metavar="SPEC", help="Name of a spec, or path of a spec file (.py), of what passes a proxy.")
@SPEC_FOLDER
@_MASK_KEY
@_POLICY
@_ROTATE
@click.option(
    "--on-full",
    type=click.Choice(["drop", "block"]),
    default="drop",
    show_default=True,
    help="When the file cannot be kept up with or written: leave exchanges out, or have clients wait.",
)
@click.option("--certificate", metavar="FILE", type=_FOUND, help="PEM certificates, for TLS with clients of a proxy.")
@click.option("--key", metavar="FILE", type=_FOUND, help="Their key (PEM).")
@click.option("--to-tls", is_flag=True, help="Speak TLS with the host; its certificate must be of a CA that this machine trusts.")
@click.option("--to-ca", metavar="FILE", type=_FOUND, help="The same, with a CA of this file.")
@click.pass_context
def capture(context: click.Context, /, spec_name: str | None, folders: Sequence[Path], **wanted: Any) -> int:
    """Work with captures of telegrams (*.tgcap.jsonl); with --listen and --to, be a proxy that makes one of what it passes on.

    Exit codes: 0 well, 1 something failed or was left out, 2 wrong usage, filter, spec or path, 4 the port or the router cannot be had,
    5 a capture is damaged or none at all, 130 and 143 interrupted, which is how a proxy ends that has left out nothing.
    """
    needed = {"--listen": wanted["listen"], "--to": wanted["to"], "--write": wanted["output"], "--spec": spec_name}
    if context.invoked_subcommand is not None:
        if any(value for value in needed.values()):
            raise click.UsageError("--listen and --to are for a proxy, which is no other command.")
        return 0
    if not any(needed.values()):
        click.echo(context.get_help())
        raise SystemExit(2)
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise click.UsageError(f"A proxy needs {' and '.join(missing)} too.")
    if wanted["policy"] is not None and wanted["mask_key"] is None:
        raise click.UsageError("--policy says how to mask: give --mask-key-file too.")
    from telegram_router.cli.capture_proxying import Wanted, run_proxy

    assert spec_name is not None
    return run_proxy(Wanted(**wanted), spec_name, folders)


@capture.command(
    epilog=example(
        "telegram-router capture show day.tgcap.jsonl",
        "telegram-router capture show day.tgcap.jsonl 'msg=transfer.request and f.amount > 1000000' --fields",
        "telegram-router capture show -f live.tgcap.jsonl 'x=x17'",
    )
)
@click.argument("file", type=_FILE)
@click.argument("wanted", metavar="[FILTER]", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written to the file, until Ctrl-C or its end.")
@click.option("--fields", is_flag=True, help="Show the fields of each telegram too.")
@click.option("--show-values", "--unmask", is_flag=True, help='Show values that are not log="clear" too.')
@click.option("--limit", metavar="N", type=click.IntRange(1), help="Stop after N telegrams.")
@_SPEC
@SPEC_FOLDER
@_JSON
def show(
    file: Path,
    wanted: str | None,
    follow: bool,
    fields: bool,
    show_values: bool,
    limit: int | None,
    spec_name: str | None,
    folders: Sequence[Path],
    as_json: bool,
) -> int:
    """List the telegrams of a capture, one line each: time, connection, message, key, size, and how long the answer took.

    FILTER joins tests by and, or, not and parentheses: `msg=transfer.*`, `f.amount>1000`, `c=c1`, `f.response_code in [0000, VTIM]`,
    `f.memo~"^급여"`, `err`. Fields are named alone (f.amount) or by their path (f.header.bank_code).
    """
    from telegram_router.cli.capture_view import Wanted, show_capture

    return show_capture(file, Wanted(wanted, follow, fields, show_values, limit, as_json), spec_name, folders)


@capture.command(epilog=example("telegram-router capture stat day.tgcap.jsonl"))
@click.argument("file", type=_FILE)
@_JSON
def stat(file: Path, as_json: bool) -> int:
    """Count what a capture holds: telegrams by message, connections, gaps, and how long answers took."""
    from telegram_router.cli.capture_files import show_statistics

    return show_statistics(file, as_json)


@capture.command(name="diff", epilog=example("telegram-router capture diff first.tgcap.jsonl second.tgcap.jsonl --ignore-time"))
@click.argument("one", type=_FILE)
@click.argument("other", type=_FILE)
@click.option("--ignore-time", is_flag=True, help="Leave out times, and the ports that the system gave.")
@_JSON
def diff(one: Path, other: Path, ignore_time: bool, as_json: bool) -> int:
    """Tell whether two captures are the same, record by record, and where not.

    Values are not shown: record, kind, keys and the first byte are. Exit code 0 the same, 1 different, 5 one is damaged.
    """
    from telegram_router.cli.capture_diffing import compare

    return compare(one, other, ignore_time, as_json)


@capture.command(epilog=example("telegram-router capture verify day.tgcap.jsonl --strict"))
@click.argument("files", metavar="FILE...", type=_FILE, nargs=-1, required=True)
@_STRICT
@click.option(
    "--pii", is_flag=True, help="Search for resident numbers, card numbers and mobile phone numbers too; exit code 1 if there are any."
)
@_SPEC
@SPEC_FOLDER
@_JSON
def verify(files: Sequence[Path], strict: bool, pii: bool, spec_name: str | None, folders: Sequence[Path], as_json: bool) -> int:
    """Check captures: that they can be read, are whole and unchanged, and hold telegrams of their spec.

    A file that was not closed, as after a crash, is readable: that is told, and is an error with --strict alone. With --pii the values
    of every field, and the bytes of what cannot be decoded, are searched for numbers of people; where they are is told, never they.
    """
    from telegram_router.cli.capture_files import verify_captures

    return verify_captures(files, strict, spec_name, folders, as_json, pii=pii)


@capture.command(
    epilog=example(
        "telegram-router capture mask day.tgcap.jsonl --key-file mask.key -w shared.tgcap.jsonl",
        "head -c 32 /dev/urandom | base64 > mask.key",
    )
)
@click.argument("file", type=_FILE)
@click.option(
    "--key-file", metavar="FILE", type=_FOUND, required=True, help="The key, 16 bytes or more: with the same one come the same pseudonyms."
)
@_WRITE
@_POLICY
@_SPEC
@SPEC_FOLDER
def mask(file: Path, key_file: Path, output: Path, policy: Path | None, spec_name: str | None, folders: Sequence[Path]) -> int:
    """Write a capture in which the values of people are pseudonyms: of equal length, and the same for the same value and key.

    Fields that are log="clear" in the spec stay. What is no telegram of the spec is left as its length and a keyed digest.
    """
    from telegram_router.cli.capture_masking import mask_capture

    return mask_capture(file, output, key_file, policy, spec_name, folders)


@capture.command(
    "import",
    epilog=example(
        "telegram-router capture import day.pcapng --port 9000 --spec firmbanking -w day.tgcap.jsonl",
        "tcpdump -i any -w - port 9000 | telegram-router capture import - --spec firmbanking -w live.tgcap.jsonl",
    ),
)
@click.argument("file", type=_FILE)
@_WRITE
@click.option("--port", metavar="N", type=click.IntRange(1, 65_535), help="Only connections of this port, which is the server's.")
@click.option("--strict", is_flag=True, help="Exit code 5 also if anything is missing or contradicts itself.")
@click.option("--spec", "spec_name", metavar="SPEC", help="Name of a spec, or path of a spec file (.py). Default: the one that fits best.")
@SPEC_FOLDER
@_MASK_KEY
@_POLICY
@_JSON
def import_(
    file: Path,
    output: Path,
    port: int | None,
    strict: bool,
    spec_name: str | None,
    folders: Sequence[Path],
    mask_key: Path | None,
    policy: Path | None,
    as_json: bool,
) -> int:
    """Make a capture of telegrams from a packet capture (pcap, pcapng; gzipped or not; - for stdin), such as tcpdump writes.

    TCP streams are put together as their peers saw them. What the file does not have is a gap of its size: it is never filled up, and no
    telegram is given twice. Connections that are no telegrams of the spec are left out and named. Exit code 1 if there are none of it.
    """
    from telegram_router.cli.capture_import import import_packets

    if policy is not None and mask_key is None:
        raise click.UsageError("--policy says how to mask: give --mask-key-file too.")
    return import_packets(file, output, spec_name, folders, port, strict=strict, as_json=as_json, mask_key=mask_key, policy=policy)


@capture.command(epilog=example("telegram-router capture merge front.tgcap.jsonl back.tgcap.jsonl -w both.tgcap.jsonl"))
@click.argument("files", metavar="FILE...", type=_FILE, nargs=-1, required=True)
@_WRITE
def merge(files: Sequence[Path], output: Path) -> int:
    """Put captures together in the order of their times.

    Connections and exchanges are called after their file: c1 of the second becomes 2.c1.
    """
    from telegram_router.cli.capture_files import merge_captures

    return merge_captures(files, output)


@capture.command(
    epilog=example("telegram-router capture split day.tgcap.jsonl --by 1h", "telegram-router capture split day.tgcap.jsonl --by message")
)
@click.argument("file", type=_FILE)
@click.option(
    "--by",
    metavar="WHAT",
    required=True,
    help="`connection`, `message`, a time as 1h or 10m, or a number of telegrams; an exchange stays together in all but the last.",
)
@click.option("--select", metavar="FILTER", help="Only telegrams that fit, as in `capture show`, with the rest of their exchanges.")
@click.option(
    "-w", "--write", "output", metavar="FILE", type=_FILE, help="Name that the parts' names are made of. Default: the capture's own."
)
@_SPEC
@SPEC_FOLDER
def split(file: Path, by: str, select: str | None, output: Path | None, spec_name: str | None, folders: Sequence[Path]) -> int:
    """Take a capture apart."""
    from telegram_router.cli.capture_files import split_capture

    return split_capture(file, by, select, output, spec_name, folders)


@capture.command(
    epilog=example(
        "telegram-router capture convert day.tgcap.jsonl --to csv -w day.csv",
        "telegram-router capture convert day.tgcap.jsonl --to pcapng -w day.pcapng",
    )
)
@click.argument("file", type=_FILE)
@click.option(
    "--to",
    "form",
    type=click.Choice(["csv", "pcapng", "pcapng-tcp", "scenario"]),
    required=True,
    help="A table; what Wireshark reads: telegrams for the dissector of `spec export --format lua`, or TCP packets made up around them; "
    "or a scenario for `simulate`.",
)
@click.option("-w", "--write", "output", metavar="FILE", type=_FILE, default=Path("-"), show_default="stdout", help="File to write.")
@click.option("--show-values", "--unmask", is_flag=True, help='Write values that are not log="clear" too.')
@_SPEC
@SPEC_FOLDER
def convert(file: Path, form: str, output: Path, show_values: bool, spec_name: str | None, folders: Sequence[Path]) -> int:
    """Turn a capture into another form."""
    from telegram_router.cli.capture_files import convert_capture

    return convert_capture(file, form, output, show_values, spec_name, folders)


@capture.command(
    epilog=example(
        "telegram-router capture attach -w /var/captures/noon.tgcap.jsonl --duration 10m --mask-key-file mask.key",
        "telegram-router capture attach --admin unix:/run/tr.sock -w out.tgcap.jsonl --duration 30s",
    )
)
@click.option(
    "-w",
    "--write",
    "output",
    metavar="FILE",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The capture to write, on the router's machine; gzipped if it ends in .gz.",
)
@click.option(
    "--duration", metavar="TIME", type=DURATION, required=True, help="How long: 30s, 10m, 2h; a day at most. Ctrl-C ends it sooner."
)
@click.option("--spec", "spec_name", metavar="SPEC", help="Of which spec the telegrams are. Default: the one that all listeners speak.")
@_MASK_KEY
@_POLICY
@_ROTATE
@click.option("--admin", metavar="PLACE", type=ADMIN, help="The router's admin API: unix:PATH, HOST:PORT. Default: that of --config.")
@_asks
@_JSON
def attach(
    output: Path,
    duration: float,
    spec_name: str | None,
    mask_key: Path | None,
    policy: Path | None,
    rotate: tuple[int | None, float | None],
    admin: Path | Address | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Capture what passes a running router: its sessions and its links, masked before anything is written.

    A process beside the router decodes, masks and writes. If it cannot keep up, whole exchanges are left out and counted: the line never
    waits. Exit code 4 if the router cannot be reached, 1 if something was left out.
    """
    from telegram_router.cli.capture_attaching import attach as run

    if admin is not None:
        options["socket" if isinstance(admin, Path) else "address"] = admin
    return run(where_of(options), output, duration, spec_name, mask_key, policy, rotate, as_json)
