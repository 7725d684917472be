"""Python functions as services: each call is a task, no more at a time than the service allows."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

import trio

from telegram_router.errors import Delivery, FieldError, places
from telegram_router.routing import Call, Exchange, Service
from telegram_router.telegrams import Telegram
from telegram_router.wire.hub import Hub, Log

Handler = Callable[[Telegram], Awaitable[Telegram]]


def is_handler(found: object) -> bool:
    """A handler is an `async def`: anything else would hold up every other telegram while it runs."""
    return inspect.iscoroutinefunction(found)


def takes_a_telegram(handler: Handler) -> bool:
    """Whether it can be called with one telegram and nothing else."""
    try:
        inspect.signature(handler).bind(None)
    except TypeError:
        return False
    return True


class HandlerCaller:
    """Calls the handler of one service. Its pseudo-link in the switch bounds the calls at a time."""

    def __init__(self, hub: Hub, service: Service, handler: Handler, nursery: trio.Nursery, log: Log) -> None:
        self._hub = hub
        self._service = service
        self._handler = handler
        self._nursery = nursery
        self._log = log

    def start(self) -> None:
        """The service takes requests from now on."""
        self._hub.handlers[self._service] = self.call
        self._hub.tasked.append(self._service)
        self._hub.switch.add_link(self._service, f"{self._service.name}#handler", "handler")

    def end(self, now: float) -> None:
        """The service is no more. Whoever still waits for an answer of its handler is told that nobody knows."""
        for link in self._service.peers:
            self._hub.switch.lose_link(link, now)
        self._hub.handlers.pop(self._service, None)
        self._hub.tasked.remove(self._service)

    def call(self, command: Call) -> None:
        """Begin a call. From here on the request counts as sent."""
        if command.exchange.settled:
            return  # given up in this very turn
        link = command.link
        link.queued += 1
        link.accepted = link.queued
        self._nursery.start_soon(self._answer, command.exchange)

    async def _answer(self, exchange: Exchange) -> None:
        frame: bytes | None = None
        code = "E-BCK-08"
        left = exchange.at + self._service.register.timeout_of(exchange) - self._hub.clock()
        scope = trio.move_on_after(max(0.0, left))
        try:
            # The scope is inside: what a handler raises while it is cancelled comes out of it in a group.
            with scope:
                frame = await self._ask(exchange)
        except FieldError as error:
            code = "E-BCK-06"
            self._log.error(
                "handler_answer_invalid", code=code, service=self._service.name, problems=[each.text() for each in error.problems]
            )
        except BaseExceptionGroup as group:
            cancelled, failed = group.split(trio.Cancelled)
            if failed is not None:
                self._failed(_first_of(failed))
            if cancelled is not None:
                raise cancelled from None  # the router ends
        except (Exception, SystemExit) as error:  # a handler may not end the router
            self._failed(error)
        if frame is not None:
            done = frame
            self._hub.enter(lambda now: self._hub.switch.answer(exchange, done, now))
        elif not scope.cancel_called:  # else the switch's own timeout answers the asker
            self._hub.enter(lambda now: self._hub.switch.fail(exchange, code, Delivery.SENT_UNKNOWN, now))

    def _failed(self, error: BaseException) -> None:
        where = places(error)
        self._log.error("handler_failed", code="E-BCK-08", service=self._service.name, type=type(error).__name__, at=where)

    async def _ask(self, exchange: Exchange) -> bytes:
        request = exchange.telegram
        assert request is not None  # handlers are always fully validated
        answer = await self._handler(request)
        if exchange.entry.message.reply.message is None:
            return b""
        if not isinstance(answer, Telegram):
            raise TypeError("a handler returns a Telegram")
        if answer.message is not exchange.entry.message.reply.message:
            raise ValueError("a handler returns the reply to its request; see Telegram.reply")
        frame = self._service.spec.encode(answer)
        if self._service.spec.correlate(frame) != self._service.spec.correlate(exchange.frame):
            raise ValueError("the reply carries another correlation key than its request")
        return frame


def _first_of(error: BaseException) -> BaseException:
    """Of a group its first exception, which is where to look."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
