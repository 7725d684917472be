"""What the admin API is sent: one class for each body, from which the OpenAPI document is made as well."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from telegram_router.ops.answers import AdminState, MessageState


class BackendOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """At least one of both. `drain` gives the backend nothing new, `maint` does not probe it either."""

    state: AdminState | None = None
    weight: Annotated[int, Meta(ge=1, le=100)] | None = None


class ListenerOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds: over which the sessions' ends are spread, and for which each may still be busy. Default: 60, and `drain` of the file."""

    over_s: Annotated[float, Meta(ge=0, le=86_400)] = 60.0
    patience_s: Annotated[float, Meta(ge=0, le=86_400)] | None = None


class Paste(Struct, frozen=True, forbid_unknown_fields=True):
    """`text`: a dump in hex or any other form that `explain` reads, or with `raw` the characters of the telegram itself. Without a spec
    it is guessed."""

    text: Annotated[str, Meta(min_length=1, max_length=262_144)]
    spec: str | None = None
    raw: bool = False


class MessageOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """`off`: requests of the message that come from there, or would go there, are refused with E-RTE-06. At most one of both places."""

    state: MessageState
    listener: str | None = None
    service: str | None = None


class ReloadOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """`dry_run`: only tell what would change."""

    dry_run: bool = False


class StandbyOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """The service that is meant; without one the whole router."""

    service: str | None = None


class CaptureOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """A capture to be begun. Files are those of the router's machine."""

    file: str  # whole path, NAME.tgcap.jsonl; what strftime knows is filled in
    duration_s: Annotated[float, Meta(gt=0, le=86_400)]
    spec: str | None = None  # of the telegrams; needed where several are spoken
    mask_key_file: str | None = None
    policy: dict[str, Any] | None = None  # of masking
    rotate_size: Annotated[int, Meta(ge=1024)] | None = None
    rotate_s: Annotated[float, Meta(gt=0)] | None = None


class NoOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """An empty object."""
