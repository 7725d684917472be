"""Capturing at a running router: what passes its sessions and links, put into the pipe of a process that masks and writes it."""

# Rules this file keeps, all of them tested:
#
# 1. While nobody captures, nothing of this is called.
# 2. Telegrams are neither looked into nor copied here. When the pipe fills, what sessions send is left out, soon what links are sent too,
#    and the other process leaves out what belongs to it: exchanges are whole, or not there, and counted.
# 3. A fault here is told and costs the capture, never a connection.

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import trio

from telegram_router.errors import RouterError
from telegram_router.ops import ordered
from telegram_router.ops.taps import Taps
from telegram_router.routing import Kind, Listener, Peer, Service
from telegram_router.storage.capture_records import SUFFIX
from telegram_router.wire.capture_feed import CAME, CLOSED, LEFT, OPENED, Feed
from telegram_router.wire.hub import Hub

BEAT: Final = 0.05  # seconds between two looks at the pipe
COPIES: Final = 0.25  # seconds in which requests that came go on to a link, as a rule
CONNECTIONS: Final = 100_000  # that are remembered


def settings_for(order: ordered.CaptureOrder, spec_file: Path, clock: float) -> dict[str, Any]:
    """What the other process is told at first. Raises RouterError E-CAP-05 or E-CAP-09."""
    output = Path(order.file)
    if not output.is_absolute() or not output.name.removesuffix(".gz").endswith(SUFFIX):
        raise RouterError("E-CAP-05", "the file is no whole path of a capture", expected=f"/…/NAME{SUFFIX}, or the same with .gz")
    key = policy = None
    try:
        text = spec_file.read_bytes()
        if order.mask_key_file is not None:
            key = Path(order.mask_key_file).read_bytes().strip()
    except OSError as error:
        raise RouterError("E-CAP-09", error.strerror or "cannot be read", where=str(error.filename)) from None
    return {
        "spec_file": str(spec_file), "spec_sha256": hashlib.sha256(text).hexdigest(), "output": str(output), "source": "router",
        "t0": time.time_ns(), "began": clock, "key": key or b"", "policy": order.policy if key else policy,
        "rotate_size": order.rotate_size, "rotate_age": order.rotate_s,
    }  # fmt: skip


class Capturing:
    """One capture, from its start to its end."""

    def __init__(self, hub: Hub, taps: Taps, feed: Feed, spec: str, until: float, tell: Callable[[BaseException], None]) -> None:
        self.until = until
        self.ended = False
        self.stopped = trio.Event()  # by an operator
        self.written = trio.Event()
        self._hub = hub
        self._taps = taps
        self._feed = feed
        self._spec = spec
        self._tell = tell
        self._names: dict[Peer, str] = {}  # "" for those of other families; at most CONNECTIONS
        self._seen: dict[Peer, int] = {}  # how far the bytes to a peer have been handed over
        self._looked = 0.0
        self._sheds = False
        self._sheds_copies = False  # which leave a little after what they are copies of
        self._shed_at = 0.0
        taps.add(self._came)
        hub.tap_out = self._leaving

    @property
    def telegrams(self) -> int:
        """Telegrams that were handed over."""
        return self._feed.telegrams

    @property
    def left_out(self) -> int:
        """Telegrams that were not handed over."""
        return self._feed.dropped

    # --- within a turn of the hub

    def _came(self, peer: Peer, frames: Sequence[bytes], now: float) -> None:
        try:
            name = self._names.get(peer)
            if name is None:
                name = self._meet(peer, now)
            if not name:
                return
            if self._sheds and type(peer.group) is Listener:
                self._feed.dropped += len(frames)
                return
            self._feed.passed(CAME, name, now, frames)
        except Exception as fault:
            self._give_up(fault)

    def _leaving(self, peers: Sequence[Peer], now: float) -> None:
        """What these peers will be sent, before any of it is."""
        try:
            for peer in peers:
                name = self._names.get(peer)
                if name is None:
                    name = self._meet(peer, now)
                if not name:
                    continue
                frames = self._new(peer)
                if not frames:
                    continue
                if self._sheds_copies and type(peer.group) is Service:
                    self._feed.dropped += len(frames)
                    continue
                self._feed.passed(LEFT, name, now, frames)
            self._decide(now)
        except Exception as fault:
            self._give_up(fault)

    def _new(self, peer: Peer) -> list[bytes]:
        """The frames of an outbox that have not been handed over yet."""
        seen, self._seen[peer] = self._seen.get(peer, peer.accepted), peer.queued
        if seen <= peer.accepted:
            return peer.outbox.copy()
        wanted, frames = peer.queued - seen, []
        for frame in reversed(peer.outbox):
            if wanted < len(frame):
                break
            frames.append(frame)
            wanted -= len(frame)
        return frames[::-1]

    def _decide(self, now: float) -> None:
        """Whether telegrams are left out until the next turn has ended."""
        if not self._sheds:
            self._shed_at = now
        self._sheds = self._feed.pressed
        self._sheds_copies = self._sheds and now - self._shed_at > COPIES

    def _meet(self, peer: Peer, now: float) -> str:
        group = peer.group
        if len(self._names) >= CONNECTIONS:
            return ""
        ours = group.spec.name == self._spec and (type(group) is Listener or (isinstance(group, Service) and group.kind is Kind.TELEGRAM))
        name = self._names[peer] = peer.name if ours else ""
        if ours:
            front = type(group) is Listener
            place = peer.address if front else peer.backend_name
            self._feed.put((OPENED, name, "front" if front else "back", place, group.name, None, now))
        return name

    def _give_up(self, fault: Exception) -> None:
        self.detach()
        self.until = float("-inf")
        self._tell(fault)

    # --- between turns

    def beat(self, now: float) -> bool:
        """Go on; False once it should end."""
        if now - self._looked > 1:
            self._looked = now
            for peer in [peer for peer in self._names if peer.closed]:
                name = self._names.pop(peer)
                self._seen.pop(peer, None)
                if name:
                    self._feed.put((CLOSED, name, now, "us", "fin"))
        self._feed.flush()
        self._decide(now)
        return now < self.until and not self._feed.look()

    def detach(self) -> None:
        if not self.ended:
            self.ended = True
            self._taps.remove(self._came)
            self._hub.tap_out = None

    def close(self) -> dict[str, Any]:
        """Wait for the other process: call it where waiting does no harm. Gives its last words."""
        self.detach()
        return self._feed.close()
