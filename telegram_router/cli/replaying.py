"""`replay`: recorded telegrams sent again to a system, and its answers compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from telegram_router.cli.kinds import TARGET
from telegram_router.cli.options import SPEC_FOLDER, RunUnlessNamed, example

_FILE = click.Path(dir_okay=False, allow_dash=True, path_type=Path)
_READABLE = click.Path(dir_okay=False, exists=True, path_type=Path)


@click.group(cls=RunUnlessNamed, epilog=example("telegram-router replay day.tgcap.jsonl --to core-test:9000 --pace x10 --report out"))
def replay() -> None:
    """Send the requests of a capture to a system again, and compare its answers.

    `replay FILE` is short for `replay run FILE`; all its options are shown by `replay run --help`.
    """


@replay.command(
    epilog=example(
        "telegram-router replay run day.tgcap.jsonl --to core-test:9000",
        "telegram-router replay day.tgcap.jsonl --to core-test:9000 --pace 200/s --select 'msg=transfer.*' --report out",
        "telegram-router replay day.tgcap.jsonl --to new:9000 --compare baseline:old:9000 --noise",
    )
)
@click.argument("file", type=_FILE)
@click.option("--to", "target", metavar="HOST:PORT", type=TARGET, help="The system to send to. Not needed with --dry-run.")
@click.option("--pace", metavar="PACE", default="recorded", show_default=True, help="`recorded`, `recorded,maxgap=2s`, `x10`, `200/s`, `poisson:200/s`, `50/s..500/s:60s`, or `max`: each telegram when the answer before it has come.")  # fmt: skip
@click.option("--connections", metavar="HOW", default="recorded", show_default=True, help="`recorded`: one for each of the capture; a number; or `per-key:FIELD`: one for each value.")  # fmt: skip
@click.option("--window", metavar="N", type=click.IntRange(1, 100_000), help="Unanswered telegrams at most on a connection; 1 with --pace max. Default: no limit.")  # fmt: skip
@click.option("--select", "wanted", metavar="FILTER", help="Only requests that fit, as in `capture show`.")
@click.option("--from", "first", metavar="TIME", help="Only from this time on: 09:00, 09:00:30 or 2026-11-23T09:00, in the capture's zone.")
@click.option("--until", "last", metavar="TIME", help="Only before this time.")
@click.option("--time-field", metavar="FIELD", help="Take the time of --from and --until from this field instead of the capture.")
@click.option("--seq", metavar="A..B", help="Only numbers from A to B of the spec's running number; 999990..10 goes over its end.")
@click.option("--seq-field", metavar="FIELD", help="The field that --seq is about. Default: what the spec says.")
@click.option("--record", metavar="A..B", help="Only records with these numbers (the first column of `capture show`).")
@click.option("--only", metavar="EXCHANGE", multiple=True, help="Only this exchange, such as x311. May be given several times.")
@click.option("--connection", metavar="NAME", multiple=True, help="Only this connection, such as c1. May be given several times.")
@click.option("--leg", type=click.Choice(["front", "back"]), default="front", show_default=True, help="Of a capture that has both: telegrams of the clients, or the copies that hosts got.")  # fmt: skip
@click.option("--skip", metavar="N", type=click.IntRange(0), default=0, help="Leave out the first N of what was chosen.")
@click.option("--limit", metavar="N", type=click.IntRange(1), help="Stop after the first N of what was chosen, those skipped included.")
@click.option("--with-related", is_flag=True, help="Also the originals that chosen reversals and inquiries refer to.")
@click.option("--rewrite", "rules", metavar="FILE", type=_READABLE, help="Rules for fields (TOML), before what the spec says is volatile.")
@click.option("--allow-code", is_flag=True, help="Run the Python functions that the rules name.")
@click.option("--key-file", metavar="FILE", type=_READABLE, help="The key of `pseudonym` rules: with that of `capture mask` come the same pseudonyms.")  # fmt: skip
@click.option("--no-rewrite", is_flag=True, help="Leave volatile fields as they were recorded, but for what --rewrite names.")
@click.option("--learn", metavar="FIELD=reply.FIELD", multiple=True, help="In requests, replace what was answered then by what was answered now.")  # fmt: skip
@click.option("--business-date", metavar="YYYYMMDD", help="The date that dates are set to. Default: today.")
@click.option("--mask", "masks", metavar="FILE", type=_READABLE, help="What may differ (TOML).")
@click.option("--compare", metavar="WITH", default="recorded", show_default=True, help="`recorded`, `baseline:HOST:PORT`, which gets every request too, or `none`.")  # fmt: skip
@click.option("--noise", is_flag=True, help="Ask twice, and leave out fields in which two answers of the same system differ.")
@click.option("--timeout", metavar="TIME", default="5s", show_default=True, help="An answer is missing after it.")
@click.option("--grace", metavar="TIME", default="2s", show_default=True, help="After the timeout, time in which an answer counts as late.")
@click.option("--fail-on", metavar="TESTS", default="different>0, missing>0, unparseable>0", show_default=True, help="What makes the run fail: buckets, and p99>200ms, service_p99>..., lag_p99>20ms, rate<190/s.")  # fmt: skip
@click.option("--report", metavar="FOLDER", type=click.Path(file_okay=False, path_type=Path), help="Write report.json, report.html, junit.xml and latency.hgrm there.")  # fmt: skip
@click.option("--resume", metavar="FOLDER", type=click.Path(file_okay=False, exists=True, path_type=Path), help="Go on behind what the earlier run with that report sent.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Send nothing: show how many and which, and what would be rewritten.")
@click.option("--seed", metavar="N", type=int, help="For what is drawn by chance. Default: a fresh one, which is told.")
@click.option("--tls", is_flag=True, help="Speak TLS to the target.")
@click.option("--tls-ca", metavar="FILE", type=_READABLE, help="CAs to trust. Default: the system's.")
@click.option("--tls-cert", metavar="FILE", type=_READABLE, help="Our certificate.")
@click.option("--tls-key", metavar="FILE", type=_READABLE, help="Its key.")
@click.option("--tls-name", metavar="NAME", help="The name that the target's certificate must carry. Default: the host's.")
@click.option("--protected", metavar="HOST[:PORT]", multiple=True, envvar="TELEGRAM_ROUTER_PROTECTED", help="Never send there. Also from the variable TELEGRAM_ROUTER_PROTECTED, blanks between.")  # fmt: skip
@click.option("--i-know-this-is", "known", metavar="HOST", multiple=True, help="Send there although the capture was made of it, or it is protected.")  # fmt: skip
@click.option("--strict", is_flag=True, help="Exit code 5 also if the capture was not closed cleanly or has gaps.")
@click.option("--spec", "spec_name", metavar="SPEC", help="Name of a spec, or path of a spec file (.py). Default: what the capture names.")
@SPEC_FOLDER
@click.option("--show-values", "--unmask", is_flag=True, help='Show values that are not log="clear" too, also in the report.')
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON instead of the summary.")
def run(file: Path, **options: Any) -> int:
    """Send the requests of the capture FILE to a system, in their time or another, and compare its answers field by field.

    Dates, times and running numbers are rewritten as the spec says; nothing is ever sent twice. Exit codes: 0 as expected, 1 the
    target behaves otherwise, 2 wrong usage or the target may be the real one, 3 a threshold was broken, 4 the target cannot be
    reached or a connection was lost, 5 the capture is damaged (or has gaps, with --strict), 70 a fault of ours, 130 and 143
    interrupted. Of several the first of 70, 2, 4, 5, 1, 3 counts.
    """
    from telegram_router.cli.replay_run import replay_capture

    return replay_capture(file, options)


@replay.command(epilog=example("telegram-router replay masks --suggest out/report.json > masks.toml"))
@click.option("--suggest", "report", metavar="REPORT", type=_READABLE, required=True, help="A report.json of `replay`.")
@click.option("--least", metavar="N", type=click.IntRange(1), default=2, show_default=True, help="Only for fields that differed so often.")
def masks(report: Path, least: int) -> int:
    """Propose masks for the fields that differed, each with its evidence. Look at them before you use them."""
    from telegram_router.cli.replay_masks import suggest_masks

    return suggest_masks(report, least)


def names_of(given: Sequence[str]) -> list[str]:
    """The names of an option that may hold several, as a variable does."""
    return [name for each in given for name in each.replace(",", " ").split()]
