"""`capture attach`: a capture made at a running router, from its start to its end."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Final

import click
import msgspec

from telegram_router.cli.admin_client import Client, reach
from telegram_router.cli.admin_options import Where
from telegram_router.cli.shown import say, say_json
from telegram_router.ops import answers

LOOKS: Final = 0.2  # seconds between two looks
_SIZES: Final = {"k": 1024, "m": 1024**2, "g": 1024**3}
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def attach(
    where: Where,
    output: Path,
    duration: str,
    spec: str | None,
    mask_key: Path | None,
    policy: Path | None,
    rotate: str | None,
    as_json: bool,
) -> int:
    """Returns the exit code: 0, or 1 where something was left out."""
    if policy is not None and mask_key is None:
        raise click.UsageError("--policy says how to mask: give --mask-key-file too.")
    octets, age = rotation(rotate)
    told = None
    if policy is not None:
        from telegram_router.cli.capture_masking import policy_table

        told = policy_table(policy)
    order = answers.CaptureOrder(
        str(output.absolute()), seconds(duration), spec, None if mask_key is None else str(mask_key.absolute()), told, octets, age
    )
    client = Client(reach(where))
    began = client.start_capture(order)
    click.echo(f"capturing {began.spec}{', masked' if began.masked else ', NOT masked'}, for {duration}: {order.file}", err=True)
    try:
        while (seen := client.capture()).running:
            time.sleep(LOOKS)
    except KeyboardInterrupt:
        seen = client.stop_capture()
    if as_json:
        say_json(msgspec.to_builtins(seen))
    else:
        say(f"{seen.telegrams:,} telegrams seen, {seen.left_out:,} left out: {', '.join(seen.files) or 'no file'}")
    if seen.why:
        click.secho(f"it could not be written: {seen.why}", fg="red", err=True)
    return 1 if seen.why or seen.left_out else 0


def seconds(text: str) -> float:
    """A length of time as people write it."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if found is None or not float(found[1]):
        raise click.UsageError(f"{text} is no length of time: write 30s, 10m or 2h.")
    return float(found[1]) * _UNITS[found[2]]


def rotation(text: str | None) -> tuple[int | None, float | None]:
    """A size or an age."""
    if text is None:
        return None, None
    if text[-1:] in "smh":
        return None, seconds(text)
    found = re.fullmatch(r"(\d+)([kKMG]i?B)", text)
    if found is None or not int(found[1]):
        raise click.UsageError(f"--rotate {text} is neither a size such as 256MB nor an age such as 1h.")
    return int(found[1]) * _SIZES[found[2][0].lower()], None
