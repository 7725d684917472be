"""The companies that the router serves."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from typing import Final

import trio

from telegram_router.demo.books import OK, Asked, CompanyBook, Key
from telegram_router.demo.recordings import key_of
from telegram_router.demo.telegrams import made
from telegram_router.telegrams import Framer, Spec, Telegram

WINDOW: Final = 16  # open requests of one company


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
        key = key_of(self._spec, frame)
        message = self._spec.message_of(frame)
        if message is not None and message.kind == "request":
            self.book.notices.append(key)
            await self._send(self._spec.encode(self._spec.decode(frame).reply(response_code=OK)))
            return
        asked, event = self.book.asked.get(key), self._waiting.pop(key, None)
        if asked is None or event is None:
            self.book.strays += 1
            return
        asked.replies.append((time.monotonic(), frame[self._spec.header_slice("response_code")].decode()))
        if message is not None and message.name == "result.response" and asked.code == OK:
            asked.result = self._spec.decode(frame)["result"]
        self.seen[key] = self.seen[key][0], frame
        if key in self._in_window:
            self._in_window.remove(key)
            self._room.release()
        event.set()


def client_context(folder: Path, name: str) -> ssl.SSLContext:
    """TLS of a company: it verifies the router and shows its own certificate."""
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return context
