"""Whoever writes down what ended, as the configuration says: access records, and spans. Changed while the router runs."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import trio

from telegram_router.config import Access, Tracing
from telegram_router.ops import logs
from telegram_router.ops.record_file import Output, RecordFile, RotatingFile, Rotation, Stream
from telegram_router.ops.records import AccessLog, RecordMaker
from telegram_router.plan import Plan
from telegram_router.routing.traces import Traces
from telegram_router.wire.digits import random_digits
from telegram_router.wire.hub import Hub

FLUSH = 0.2  # seconds that a record waits for others at most


class Recording:
    """All that is written of ended telegrams."""

    def __init__(self, hub: Hub, log: logs.Log) -> None:
        self._hub = hub
        self._log = log
        self._settings: tuple[Access | None, Path | None, bytes] = None, None, b""
        self._access: AccessLog | None = None
        self._former = [0, 0]  # written and dropped by those before
        self._tracing: Tracing | None = None
        self._spans: AccessLog | None = None
        self._former_spans = [0, 0]
        self._told = 0
        hub.switch.traces = Traces(random_digits())

    def adopt(self, plan: Plan) -> None:
        """Write as this plan says from now on; the file is opened anew in any case. Does not wait."""
        self._adopt_tracing(plan.config.tracing or Tracing())
        wanted = plan.config.access, plan.access_file, plan.access_key
        if wanted == self._settings:
            self.reopen()
            return
        self._settings = wanted
        if self._access is not None:
            self._hub.read_ended_no_more(self._access.read)
            self._access.end()
            self._former = [self.written, self.dropped]
            self._access = None
        if plan.config.access is not None:
            self._access = self._begin(plan.config.access, plan.access_file, plan.access_key)
            self._hub.read_ended(self._access.read)

    def _begin(self, settings: Access, path: Path | None, key: bytes) -> AccessLog:
        rotation = Rotation(settings.max_size, settings.daily, settings.keep)
        output: Output = RotatingFile(path, rotation) if path is not None else Stream(sys.stdout.fileno())
        maker = RecordMaker(self._hub.clock, time.time, random_digits(), key)
        return AccessLog(maker, RecordFile(output, "access records"), random.random, settings.sample_ok, self._wake)

    def _adopt_tracing(self, settings: Tracing) -> None:
        self._hub.switch.traces.share(settings.sample)
        if settings == self._tracing:
            return
        self._tracing = settings
        if self._spans is not None:
            self._hub.read_ended_no_more(self._spans.read)
            self._spans.end()
            self._former_spans = [self.spans, self.spans_dropped]
            self._spans = None
        if settings.endpoint is not None:
            from telegram_router.ops.spans import Process, SpanMaker
            from telegram_router.ops.spans import Settings as SpanSettings

            process = Process(SpanSettings(str(settings.endpoint), settings.service_name, dict(settings.headers)))
            maker = SpanMaker(self._hub.switch, RecordMaker(self._hub.clock, time.time, random_digits()))
            self._spans = AccessLog(maker, RecordFile(process, "spans"), random.random, wake=self._wake_spans)
            self._hub.read_ended(self._spans.read, first=True)  # the record names the trace that the span belongs to

    def _wake_spans(self) -> None:
        spans = self._spans
        if spans is not None:
            self._hub.enter(lambda _: spans.go_on())

    @property
    def spans(self) -> int:
        """Requests whose spans were handed over."""
        return self._former_spans[0] + (self._spans.written if self._spans is not None else 0)

    @property
    def spans_dropped(self) -> int:
        return self._former_spans[1] + (self._spans.dropped if self._spans is not None else 0)

    def _wake(self) -> None:
        access = self._access
        if access is not None:
            self._hub.enter(lambda _: access.go_on())

    @property
    def written(self) -> int:
        return self._former[0] + (self._access.written if self._access is not None else 0)

    @property
    def dropped(self) -> int:
        return self._former[1] + (self._access.dropped if self._access is not None else 0)

    def reopen(self) -> None:
        """Files were moved away."""
        if self._access is not None:
            self._access.reopen()

    async def run(self) -> None:
        """Have what was made written, and say what was lost."""
        while True:
            await trio.sleep(FLUSH)
            for each in (self._access, self._spans):
                if each is not None:
                    each.flush()
            if self.dropped != self._told:
                failing = self._access.failing if self._access is not None else ""
                self._log.warning(
                    "access_records_dropped", count=self.dropped - self._told, why=failing or "they come faster than they are written"
                )
                self._told = self.dropped

    def close(self) -> None:
        """Write what is there, as far as that is quickly done."""
        for each in (self._access, self._spans):
            if each is not None:
                self._hub.read_ended_no_more(each.read)
                each.close()
