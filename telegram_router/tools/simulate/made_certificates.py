"""Certificates that a simulator makes for itself: a right one, one of a stranger, and one whose time is over."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from telegram_router.errors import RouterError
from telegram_router.tools.simulate.scenario import EXPIRED, RIGHT, WRONG
from telegram_router.wire.authority import Authority, CannotIssue

NAMES: Final = ("localhost", "127.0.0.1", "::1")


def make_certificates(folder: Path) -> None:
    """NAME.pem and NAME.key in the folder, anew each time; the CA stays, so that who trusts ca.pem goes on to. Raises RouterError E-SIM-05."""
    try:
        stranger = folder / "stranger"
        stranger.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = Authority.load(folder) if (folder / "ca.pem").exists() else Authority.make(folder, "simulator CA")
        authority.issue(RIGHT, NAMES, "server", force=True)
        authority.issue(EXPIRED, NAMES, "server", days=0, force=True)  # it ends with this second
        Authority.make(stranger, "another CA", force=True).issue(WRONG, NAMES, "server", folder=folder, force=True)
    except (OSError, CannotIssue) as error:
        what = f"certificates cannot be made in {folder}: {getattr(error, 'strerror', None) or error}"
        raise RouterError("E-SIM-05", what, where="[tls] made", do="name another folder, or see to its permissions") from None
