"""The captures that operators begin and end: one at a time."""

from __future__ import annotations

import msgspec
import trio

from telegram_router.errors import RouterError
from telegram_router.ops import answers, ordered
from telegram_router.ops.capturing import BEAT, Capturing, settings_for
from telegram_router.ops.logs import Log
from telegram_router.ops.refusal import Refusal, use_one_of
from telegram_router.ops.survey import Subject
from telegram_router.ops.taps import Taps
from telegram_router.wire.capture_feed import Feed


class Captures:
    """The one that is made now, or what is known of the last one."""

    def __init__(self, subject: Subject, taps: Taps, log: Log, nursery: trio.Nursery) -> None:
        self._subject = subject
        self._taps = taps
        self._log = log
        self._nursery = nursery
        self._capture: Capturing | None = None
        self._captured = answers.CaptureSeen(False)

    def seen(self) -> answers.CaptureSeen:
        made = self._capture
        if made is None:
            return self._captured
        left = max(0.0, round(made.until - self._subject.hub.clock(), 1))
        return msgspec.structs.replace(self._captured, running=True, remaining_s=left, telegrams=made.telegrams, left_out=made.left_out)

    async def start(self, order: ordered.CaptureOrder) -> answers.CaptureSeen:
        if self._capture is not None or self._captured.running:
            raise Refusal("E-ADM-05", "a capture is made already", do="end it with POST /capture/stop")
        hub = self._subject.hub
        spec = self._captured_spec(order.spec)
        file = self._subject.spec_file(spec)
        if file is None:
            raise Refusal("E-ADM-05", "the spec has no file any more", do="reload")
        self._captured = answers.CaptureSeen(True)  # taken, while the other process is started
        try:
            feed = await trio.to_thread.run_sync(Feed, settings_for(order, file, hub.clock()))
        except RouterError as error:
            self._captured = answers.CaptureSeen(False)
            raise Refusal(
                "E-ADM-02", f"{error.code}: {error.what}", do=error.do or error.expected or "see to the file and the key"
            ) from None
        masked = order.mask_key_file is not None
        self._captured = answers.CaptureSeen(False, order.file, spec, masked, process=feed.pid)
        self._capture = Capturing(hub, self._taps, feed, spec, hub.clock() + order.duration_s, self._log.bug)
        self._nursery.start_soon(self._go_on_capturing, self._capture)
        return self.seen()

    def _captured_spec(self, name: str | None) -> str:
        switch = self._subject.switch
        known = {each.spec.name: None for each in switch.listeners.values()}
        if name is None and len(known) == 1:
            return next(iter(known))
        if name not in known:
            raise Refusal("E-ADM-02" if name is None else "E-ADM-01", "say of which spec the telegrams are", do=use_one_of(known))
        return name

    async def _go_on_capturing(self, capture: Capturing) -> None:
        try:
            while capture.beat(self._subject.hub.clock()):
                with trio.move_on_after(BEAT):
                    await capture.stopped.wait()
        finally:
            capture.detach()
            with trio.CancelScope(shield=True):
                said = await trio.to_thread.run_sync(capture.close)
            self._captured = msgspec.structs.replace(
                self._captured, telegrams=capture.telegrams, left_out=max(capture.left_out, said.get("left_out", 0) + said.get("unwritten", 0)),
                files=list(said.get("files", ())), why=said.get("why", ""),
            )  # fmt: skip
            self._capture = None
            capture.written.set()
            self._log.info("capture_ended", file=self._captured.file, telegrams=capture.telegrams, left_out=self._captured.left_out)

    async def stop(self) -> answers.CaptureSeen:
        capture = self._capture
        if capture is None:
            raise Refusal("E-ADM-05", "no capture is made", do="see the last one in GET /capture")
        capture.until = float("-inf")
        capture.stopped.set()
        await capture.written.wait()
        return self._captured
