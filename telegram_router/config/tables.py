"""What every table of the configuration file is, and what a key of one is."""

# The description of each key is also its row in docs/config.md; a test compares them.

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


def optional(default: Any, description: str, alias: str | None = None, *, secret: bool = False) -> Any:
    """A key that may be left out. Its default is written as in the file and read like it, so the two cannot differ."""
    return Field(default, description=description, alias=alias, repr=not secret, validate_default=default != ())


KEEPALIVE = "30s"
KEEPALIVE_MEANS = (
    "Silence after which the kernel asks whether the other side is still there, and a third of it between further questions; "
    'three without an answer close the connection. `"0s"`: it never asks.'
)


class Settings(BaseModel):
    """One table of the file."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)
