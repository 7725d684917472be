"""Whether a file with a secret is for the router alone."""

# A file of the router's own user is for that user and nobody else. One that is root's, as configuration management and orchestrators place
# secrets for a service that is not root, may be read by a group as well: there is no other way for that service to read it.

from __future__ import annotations

import os
import stat


def exposed(found: os.stat_result, user: int | None = None) -> str:
    """Who else has access, "" when nobody has. `user`: whom the router runs as."""
    mode = stat.S_IMODE(found.st_mode)
    handed = found.st_uid == 0 and (os.geteuid() if user is None else user) != 0
    return f"mode is {mode:04o}: others than the owner have access" if mode & (0o037 if handed else 0o077) else ""
