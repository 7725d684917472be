"""A telegram as handlers and converters see it: its message, its values by name, and the bytes that values do not carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from telegram_router.telegrams.spec import MessageLayout, Spec


class Telegram:
    """Values of one telegram.

    `residue` holds bytes, by offset, that the values alone would not give again: filler that is not blank, a sign written
    another way. It is written back on encoding, except where the value has been changed since. `raw` is the telegram as it
    came; encoding never looks at it.
    """

    __slots__ = ("body", "header", "message", "raw", "residue", "spec")

    def __init__(
        self,
        spec: Spec,
        message: MessageLayout,
        header: dict[str, Any],
        body: dict[str, Any],
        residue: dict[int, bytes] | None = None,
        raw: bytes | None = None,
    ) -> None:
        self.spec = spec
        self.message = message
        self.header = header
        self.body = body
        self.residue = residue
        self.raw = raw

    def __getitem__(self, name: str) -> Any:
        """A value by its field's name, from the body or else from the header."""
        return self.body[name] if name in self.body else self.header[name]

    def __contains__(self, name: str) -> bool:
        return name in self.body or name in self.header

    def __eq__(self, other: object) -> bool:
        """Equal when the same bytes would be written."""
        if not isinstance(other, Telegram):
            return NotImplemented
        mine = (self.message.name, self.spec.name, self.header, self.body, self.residue or {})
        return mine == (other.message.name, other.spec.name, other.header, other.body, other.residue or {})

    __hash__ = None  # type: ignore[assignment]  # its dicts may be changed

    def __repr__(self) -> str:
        return f"<Telegram {self.spec.name} {self.message.name}>"  # no values: a repr ends up in logs

    def reply(self, body: dict[str, Any] | None = None, /, **header: Any) -> Telegram:
        """The reply to this request: its header and the body fields that both have, then what is given here.

        Raises ValueError when the message has no reply.
        """
        answer = self.message.reply.message
        if answer is None:
            raise ValueError(f"{self.message.name} of {self.spec.name} has no reply")
        return Telegram(
            self.spec,
            answer,
            answer.header_of_reply(self.header) | header,
            {name: value for name, value in self.body.items() if name in answer.body_names} | (body or {}),
            # A partner may use the header's reserved bytes and wants them back as they were.
            {at: raw for at, raw in (self.residue or {}).items() if at < self.spec.header_size} or None,
        )
