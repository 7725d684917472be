"""Who takes part beside the router and the transfer hosts: companies, a bank that reports deposits, an HTTP credit service."""

from __future__ import annotations

import json
import random
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import httptools
import trio

from telegram_router.demo.books import OK, Asked, CompanyBook, Entry, Key, Notice
from telegram_router.demo.telegrams import PAYEES, made, notice
from telegram_router.telegrams import Framer, Spec, Telegram

WINDOW: Final = 16  # open requests of one company
LOAN: Final = 10_000_000  # what each company owes at the start


class Company:
    """A client of the bank: one TLS session that carries all its telegrams, both ways."""

    def __init__(self, spec: Spec, name: str, number: str, context: ssl.SSLContext) -> None:
        self.book = CompanyBook(name, number)
        self.seen: dict[Key, tuple[bytes, bytes]] = {}  # frames of a request and its answer, for those to be shown
        self._spec = spec
        self._context = context
        self._room = trio.Semaphore(WINDOW)
        self._in_window: set[Key] = set()
        self._sending = trio.Lock()
        self._waiting: dict[Key, trio.Event] = {}
        self._last = 0
        self._stream: trio.SSLStream[trio.SocketStream] | None = None

    @property
    def open(self) -> list[Asked]:
        """Requests without an answer."""
        return [self.book.asked[key] for key in self._waiting]

    def next_number(self) -> str:
        self._last += 1
        return f"{self._last:06d}"

    async def run(self, port: int, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Stay connected, note what comes, answer what the bank asks."""
        plain = await trio.open_tcp_stream("127.0.0.1", port)
        self._stream = trio.SSLStream(plain, self._context, server_hostname="router.demo", https_compatible=True)
        await self._stream.do_handshake()
        task_status.started()
        framer = Framer(self._spec.framing)
        try:
            async for piece in self._stream:
                framer.feed(bytes(piece))
                while frames := framer.take():
                    for frame in frames:
                        await self._got(frame)
        except trio.BrokenResourceError:
            pass  # the router ends first
        finally:
            await trio.aclose_forcefully(self._stream)

    async def ask(self, telegram: Telegram, kind: str, *, amount: int = 0, patience: bool = True, frame: bytes | None = None) -> Asked:
        """Send a request; with patience only when the window has room. Returns when it is sent."""
        if patience:
            await self._room.acquire()
        key = telegram["company_number"], telegram["message_number"]
        asked = Asked(key, kind, amount, time.monotonic(), str(telegram.body.get("deposit_holder", "")))
        self.book.asked[key] = asked
        self._waiting[key] = trio.Event()
        sent = frame or self._spec.encode(telegram)
        self.seen[key] = sent, b""
        if patience:
            self._in_window.add(key)
        await self._send(sent)
        return asked

    async def answer_to(self, asked: Asked) -> None:
        """Wait until the request has its answer."""
        event = self._waiting.get(asked.key)
        if event is not None:
            await event.wait()

    async def all_answered(self) -> None:
        while self._waiting:
            await next(iter(self._waiting.values())).wait()

    async def inquire(self, about: Asked) -> Asked:
        """7000/100: what became of a request whose end is unknown?"""
        telegram = made(self._spec, "result.request", about.key[0], self.next_number(), original_number=about.key[1])
        asked = await self.ask(telegram, "inquiry")
        asked.about = about.key
        await self.answer_to(asked)
        return asked

    async def _send(self, frame: bytes) -> None:
        assert self._stream is not None
        async with self._sending:
            await self._stream.send_all(frame)

    async def _got(self, frame: bytes) -> None:
        header = self._spec.header_slice
        key = frame[header("company_number")].decode().rstrip(), frame[header("message_number")].decode()
        message = self._spec.message_of(frame)
        if message is not None and message.kind == "request":
            self.book.notices.append(key)
            await self._send(self._spec.encode(self._spec.decode(frame).reply(response_code=OK)))
            return
        asked, event = self.book.asked.get(key), self._waiting.pop(key, None)
        if asked is None or event is None:
            self.book.strays += 1
            return
        asked.replies.append((time.monotonic(), frame[header("response_code")].decode()))
        if message is not None and message.name == "result.response" and asked.code == OK:
            asked.result = self._spec.decode(frame)["result"]
        self.seen[key] = self.seen[key][0], frame
        if key in self._in_window:
            self._in_window.remove(key)
            self._room.release()
        event.set()


class DepositHost:
    """The bank's side of 4000/100: it waits for the router's link, sends notices over it and counts the answers."""

    def __init__(self, spec: Spec) -> None:
        self.notices: dict[Key, Notice] = {}
        self._spec = spec
        self._linked = trio.Event()
        self._sending = trio.Lock()
        self._waiting: dict[Key, trio.Event] = {}
        self._stream: trio.SocketStream | None = None
        self._chance = random.Random("deposits")
        self._last = 900_000

    async def serve(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._linked.set()
        framer, header = Framer(self._spec.framing), self._spec.header_slice
        try:
            async for piece in stream:
                framer.feed(bytes(piece))
                while frames := framer.take():
                    for frame in frames:
                        key = frame[header("company_number")].decode().rstrip(), frame[header("message_number")].decode()
                        self.notices[key].codes.append(frame[header("response_code")].decode())
                        self._waiting[key].set()
        except trio.BrokenResourceError:
            pass

    async def tell(self, company: str) -> Notice:
        """Report one deposit."""
        await self._linked.wait()
        assert self._stream is not None
        self._last += 1
        telegram = notice(self._spec, company, str(self._last), self._chance.randrange(10, 900) * 1000, self._chance.choice(PAYEES))
        key = company, str(self._last)
        told = self.notices[key] = Notice(key, telegram["amount"])
        self._waiting[key] = trio.Event()
        async with self._sending:
            await self._stream.send_all(self._spec.encode(telegram))
        return told

    async def answer_to(self, told: Notice) -> None:
        await self._waiting[told.key].wait()

    async def all_answered(self) -> None:
        for event in list(self._waiting.values()):
            await event.wait()


class CreditService:
    """여신 as an HTTP/1.1 service that knows JSON only: POST {"customer", "number", "action", "amount"}."""

    def __init__(self) -> None:
        self.book: list[Entry] = []
        self.shown: tuple[Any, Any] | None = None  # the first request and answer
        self._loans: dict[str, int] = {}

    async def serve(self, stream: trio.SocketStream) -> None:
        """One connection, one request after the other."""
        request = _Request()
        parser = httptools.HttpRequestParser(request)
        try:
            async for piece in stream:
                parser.feed_data(piece)
                if request.complete:
                    status, answer = self._answer(json.loads(bytes(request.body)))
                    text = json.dumps(answer).encode()
                    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n"
                    await trio.sleep(0.01)
                    await stream.send_all(head.encode() + text)
                    request.clear()
        except trio.BrokenResourceError:
            pass

    def _answer(self, asked: dict[str, str]) -> tuple[str, dict[str, Any]]:
        key, amount = (asked["customer"], asked["number"]), int(asked["amount"])
        loan = self._loans.setdefault(asked["customer"], LOAN)
        self._note("received", key, amount, loan)
        after = loan + amount if asked["action"] == "01" else loan - amount
        if after < 0:
            self._note("refused", key, amount, loan)
            return "422 Unprocessable Content", {"reason": "repays more than is owed"}
        self._loans[asked["customer"]] = after
        self._note("executed", key, amount, after)
        answer = {"code": OK, "balance": str(after)}
        self.shown = self.shown or (asked, answer)
        return "200 OK", answer

    def _note(self, event: str, key: Key, amount: int, balance: int) -> None:
        self.book.append(Entry(time.monotonic(), "credit", event, key, amount, balance))


class _Request:
    """What the parser tells of one request."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.body, self.complete = bytearray(), False

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


async def listening(
    handler: Callable[[trio.SocketStream], Awaitable[object]], *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve on a port of the system's choice; started with its number."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    task_status.started(listener.socket.getsockname()[1])
    await trio.serve_listeners(handler, [listener])


def client_context(folder: Path, name: str) -> ssl.SSLContext:
    """TLS of a company: it verifies the router and shows its own certificate."""
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return context
