"""What the running router is asked by way of the admin API: each operation that changes nothing, by its name."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from telegram_router.errors import CODES, RouterError
from telegram_router.ops import answers, inspector, operations, ordered, survey
from telegram_router.ops.callers import Callers
from telegram_router.ops.captures import Captures
from telegram_router.ops.overview import Overviews
from telegram_router.ops.refusal import Refusal, use_one_of
from telegram_router.ops.shown_config import shown
from telegram_router.ops.streaming import Lines
from telegram_router.ops.survey import Subject
from telegram_router.ops.tail import Tail, Watcher
from telegram_router.ops.tail_filter import BadFilter, Filter, clear_fields


class Questions:
    def __init__(self, subject: Subject, callers: Callers, tail: Tail, captures: Captures, overviews: Overviews) -> None:
        self._subject = subject
        self._callers = callers
        self._tail = tail
        self._captures = captures
        self._overviews = overviews

    async def status(self, _: Request) -> answers.Status:
        return await survey.status(self._subject)

    async def sessions(self, _: Request) -> answers.Sessions:
        return await survey.sessions(self._subject)

    async def links(self, _: Request) -> answers.Links:
        return await survey.links(self._subject)

    async def exchanges(self, _: Request) -> answers.Exchanges:
        return await survey.exchanges(self._subject)

    async def limits(self, _: Request) -> answers.Limits:
        return await survey.limits(self._subject)

    async def usage(self, request: Request) -> answers.UsageSeen:
        given = request.query_params
        try:
            return await self._subject.usage(given.get("from"), given.get("to"), given.get("by", "user,service,day").split(","))
        except ValueError as error:
            raise Refusal("E-ADM-02", str(error)) from None
        except RouterError as error:
            raise Refusal("E-ADM-05", error.what) from None

    async def quotas(self, _: Request) -> answers.Quotas:
        return await survey.quotas(self._subject)

    async def certificates(self, _: Request) -> answers.Certificates:
        return await survey.certificates(self._subject)

    async def overview(self, request: Request) -> answers.Overview:
        shape = request.query_params.get("shape", "")
        known = self._callers.known(request)
        return await self._overviews.look(int(shape) if shape.isdecimal() else 0, known.role if known is not None else "viewer")

    async def errors(self, _: Request) -> answers.Errors:
        seen = [
            answers.ErrorSeen(
                line["number"], line["ts"], line["level"], line["event"], code := str(line["fields"]["code"]),
                CODES[code].title if code in CODES else "", CODES[code].do if code in CODES else "", line["fields"],
            )
            for line in reversed(self._subject.errors())
        ]  # fmt: skip
        return answers.Errors(self._subject.errors_told(), seen)

    async def explain(self, _request: Request, paste: ordered.Paste) -> answers.Explained:
        specs = {each.spec.name: each.spec for each in (*self._subject.switch.listeners.values(), *self._subject.switch.services.values())}
        if paste.spec is not None and paste.spec not in specs:
            raise Refusal("E-ADM-01", "no spec of this name is spoken here", do=use_one_of(specs))
        try:
            data = paste.text.encode(specs[paste.spec].encoding if paste.raw and paste.spec is not None else "utf-8")
        except UnicodeEncodeError:
            raise Refusal("E-ADM-02", "the spec's encoding does not have all of these characters", do="paste hex") from None
        found = await inspector.explain(data, self._subject.spec_file(paste.spec) if paste.spec is not None else None)
        if found is None:
            raise Refusal("E-ADM-05", "explaining takes too long", do="use `telegram-router explain`")
        return answers.Explained(found)

    async def tail(self, request: Request) -> Response:
        switch = self._subject.switch
        parties = [*switch.listeners.values(), *switch.services.values()]
        try:
            chosen = Filter(request.query_params.get("filter", ""), {name for each in parties for name in clear_fields(each)})
        except BadFilter as bad:
            raise Refusal("E-ADM-02", str(bad), do="give terms such as message=transfer.* code=E-BCK-05") from None
        if self._tail.full:
            raise Refusal("E-ADM-05", f"{len(self._tail.watchers)} watch already, and no more may", do="end another tail")
        watcher = Watcher(chosen)
        self._tail.join(watcher)
        return Lines(self._tail, watcher)

    async def capture(self, _: Request) -> answers.CaptureSeen:
        return self._captures.seen()

    async def config(self, _: Request) -> answers.Configuration:
        return answers.Configuration(shown(self._subject.config()))

    async def openapi(self, _: Request) -> dict[str, Any]:
        return operations.document()

    async def livez(self, _: Request) -> answers.Condition:
        return answers.Condition(True, "it runs")

    async def startupz(self, _: Request) -> answers.Condition:
        started = self._subject.started()
        return answers.Condition(started, "it has started" if started else "it is starting")

    async def readyz(self, _: Request) -> answers.Condition:
        if self._subject.switch.draining or self._subject.hub.leaving:
            return answers.Condition(False, "it drains")
        if not self._subject.started():
            return answers.Condition(False, "it is starting")
        if not self._subject.ready:
            return answers.Condition(False, "it stands by")
        accepting = any(each.accepting for each in self._subject.acceptors().values())
        return answers.Condition(accepting, "it takes sessions" if accepting else "every listener is drained")
