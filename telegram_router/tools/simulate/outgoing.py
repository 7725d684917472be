"""Answers on their way out: when each is due, behind which other, in which pieces, and what ends the connection behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from telegram_router.storage import capture_records as capture
from telegram_router.telegrams import Spec
from telegram_router.tools.simulate.actions import Send
from telegram_router.tools.simulate.course import Course
from telegram_router.tools.simulate.expectations import Happened
from telegram_router.tools.simulate.journal import Entry
from telegram_router.tools.simulate.lines import Line
from telegram_router.tools.simulate.mishaps import Out
from telegram_router.tools.simulate.seen import Seen
from telegram_router.tools.simulate.world import World

GATHER_FOR: Final = 1.0  # seconds that answers are held back to be written together


class Outgoing:
    """Of one simulation, all its connections."""

    def __init__(self, spec: Spec, world: World, course: Course, lines: Mapping[int, Line]) -> None:
        self._spec = spec
        self._world = world
        self._course = course
        self._lines = lines

    def schedule(self, out: Out) -> None:
        if out.due <= self._course.now:
            self._emit(out)
        else:
            line = self._lines.get(out.connection)
            if line is not None:
                line.owed += 1
            self._course.later(out.due, lambda: self._emit_later(line, out))

    def _emit_later(self, line: Line | None, out: Out) -> None:
        if line is not None:
            line.owed -= 1
        self._emit(out)

    def _emit(self, out: Out) -> None:
        line = self._lines.get(out.connection)
        if line is None or line.ended:
            self._course.journal.counts["answers_without_connection"] += 1
            return
        if line.silent:
            self._course.journal.counts["answers_kept_silent"] += 1
            return
        if out.hold is not None:
            held = replace(out, hold=None)
            line.held.append(held)
            self._course.later(self._course.now + out.hold, lambda: self._let_go(line, held))
            return
        if out.gather:
            self._gather(line, out)
            return
        self._write(line, out)
        while line.held:
            self._write(line, line.held.popleft())

    def _let_go(self, line: Line, held: Out) -> None:
        """Nothing came behind which a held answer could go."""
        if held in line.held and not line.ended:
            line.held.remove(held)
            self._write(line, held)

    def _gather(self, line: Line, out: Out) -> None:
        line.gathered.append(replace(out, gather=0))
        if len(line.gathered) >= out.gather:
            self._write_gathered(line)
        elif len(line.gathered) == 1:
            self._course.later(self._course.now + GATHER_FOR, lambda: self._write_gathered(line))

    def _write_gathered(self, line: Line) -> None:
        gathered, line.gathered = line.gathered, []
        if gathered and not line.ended:
            for out in gathered:
                self._sent(line, out, out.frame)
            self.send(line, b"".join(out.junk + out.frame for out in gathered))

    def _write(self, line: Line, out: Out) -> None:
        if line.ended:
            return
        frame = out.frame if out.only is None else out.frame[: out.only]
        if out.junk:
            self._course.journal.record(
                capture.junk(self._course.time_of(self._course.now), f"c{line.number}", self._course.went, out.junk, err="garbage")
            )
        self._sent(line, out, frame)
        pieces = [out.junk + frame] if out.pace is None else out.pace.pieces(out.junk + frame)
        begins = max(self._course.now, line.free_at)
        for index, piece in enumerate(pieces):
            at = begins + index * (out.pace.pause if out.pace is not None else 0.0)
            if at <= self._course.now:
                self.send(line, piece)
            else:
                self._course.later(at, lambda piece=piece: None if line.ended else self.send(line, piece))  # type: ignore[misc]
                line.free_at = at
        if out.then is not None:
            then = out.then
            if line.free_at > self._course.now:
                self._course.later(line.free_at, lambda: self._course.finish(line, then))
            else:
                self._course.finish(line, then)

    def send(self, line: Line, data: bytes) -> None:
        self._course.do(Send(line.number, data))

    def _sent(self, line: Line, out: Out, frame: bytes) -> None:
        self._course.journal.add(Entry(self._course.now, line.number, line.telegrams, True, out.name, frame, out.rule, out.faults))
        if self._course.verdict.looks_at_sent:
            seen = Seen(self._world, self._spec, self._spec.messages.get(out.name), frame, line.number, line.telegrams, self._course.now)
            self._course.verdict.see(Happened(seen, out.name, line.number, line.telegrams, self._course.now, True, out.faults, out.rule))
        more = {"fault": " ".join(out.faults)} if out.faults else {}
        self._course.keep(line, self._course.went, frame, x=out.exchange, msg=out.name or None, **more)
