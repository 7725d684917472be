"""Tokens of the admin API: read from files that nobody else may read, compared in constant time."""

from __future__ import annotations

import hmac
import re
from pathlib import Path

from telegram_router.errors import CODES, ConfigError, ConfigProblem
from telegram_router.wire.private_files import exposed

LEAST = 16  # characters


def read_token(path: Path, key: str = "admin.token_file") -> str:
    """The token in a file, blanks around it left out. Raises ConfigError E-CFG-01, E-CFG-04 or E-CFG-14."""
    try:
        others = exposed(path.stat())
        token = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise _wrong(path, key, "E-CFG-01", error.strerror or "cannot be read") from None
    except UnicodeDecodeError:
        token = ""
    if others:
        raise _wrong(path, key, "E-CFG-14", others, "mode 0600 or 0400; 0640 where the file is root's and the router is not")
    if len(token) < LEAST or not re.fullmatch(r"[!-~]+", token):
        raise _wrong(path, key, "E-CFG-04", "holds no token", f"at least {LEAST} printable ASCII characters, none of them blank")
    return token


def _wrong(path: Path, key: str, code: str, what: str, expected: str = "") -> ConfigError:
    return ConfigError([ConfigProblem(code, str(path), 0, key, what, expected, CODES[code].do)])


def is_token(token: str, header: str) -> bool:
    """Whether the value of an Authorization header is `Bearer` and this token; it takes as long whatever was sent."""
    kind, _, sent = header.partition(" ")
    return hmac.compare_digest(sent.strip().encode(), token.encode()) and kind.lower() == "bearer"
