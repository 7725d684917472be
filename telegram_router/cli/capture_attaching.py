"""`capture attach`: a capture made at a running router, from its start to its end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import click
import msgspec

from telegram_router.cli.admin_client import Client, reach
from telegram_router.cli.admin_options import Where
from telegram_router.cli.shown import say, say_json
from telegram_router.cli.standing import lasting
from telegram_router.ops import ordered

LOOKS: Final = 0.2  # seconds between two looks


def attach(
    where: Where,
    output: Path,
    duration: float,
    spec: str | None,
    mask_key: Path | None,
    policy: Path | None,
    rotate: tuple[int | None, float | None],
    as_json: bool,
) -> int:
    """Returns the exit code: 0, or 1 where something was left out."""
    if policy is not None and mask_key is None:
        raise click.UsageError("--policy says how to mask: give --mask-key-file too.")
    told = None
    if policy is not None:
        from telegram_router.cli.capture_masking import policy_table

        told = policy_table(policy)
    order = ordered.CaptureOrder(
        str(output.absolute()), duration, spec, None if mask_key is None else str(mask_key.absolute()), told, *rotate
    )
    client = Client(reach(where))
    began = client.start_capture(order)
    click.echo(f"capturing {began.spec}{', masked' if began.masked else ', NOT masked'}, for {lasting(duration)}: {order.file}", err=True)
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
