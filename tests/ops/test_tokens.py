"""The admin API's token: what a file must be, and what a header must say."""

from __future__ import annotations

from pathlib import Path

import pytest

from telegram_router.errors import ConfigError
from telegram_router.ops.tokens import is_token, read_token

TOKEN = "0123456789abcdef"


def written(folder: Path, text: bytes, mode: int = 0o600) -> Path:
    path = folder / "token"
    path.write_bytes(text)
    path.chmod(mode)
    return path


def test_blanks_and_line_ends_around_a_token_are_left_out(tmp_path: Path):
    assert read_token(written(tmp_path, f" {TOKEN}\r\n".encode())) == TOKEN


@pytest.mark.parametrize(
    ("text", "mode", "code"),
    [
        (TOKEN.encode(), 0o640, "E-CFG-14"),
        (TOKEN.encode(), 0o604, "E-CFG-14"),
        (TOKEN[1:].encode(), 0o600, "E-CFG-04"),
        (b"", 0o600, "E-CFG-04"),
        (b"two words 0123456789", 0o600, "E-CFG-04"),
        ("비밀번호비밀번호비밀번호비밀번호".encode(), 0o600, "E-CFG-04"),
    ],
)
def test_a_file_that_is_no_secret_is_refused_without_being_shown(text: bytes, mode: int, code: str, tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        read_token(written(tmp_path, text, mode))
    (problem,) = caught.value.problems
    assert problem.code == code and problem.key == "admin.token_file"
    assert TOKEN[1:] not in problem.text() and "0123456789" not in problem.text()


def test_a_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        read_token(tmp_path / "none")
    assert caught.value.problems[0].code == "E-CFG-01"


@pytest.mark.parametrize(
    ("header", "right"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer  {TOKEN} ", True),
        (f"Basic {TOKEN}", False),
        (TOKEN, False),
        (f"Bearer {TOKEN[:-1]}", False),
        (f"Bearer {TOKEN}\xff", False),
        ("", False),
    ],
)
def test_only_the_bearer_of_the_token_is_let_in(header: str, right: bool):
    assert is_token(TOKEN, header) is right
