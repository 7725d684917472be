"""A small transfer host (송금) of a bank, as a process of its own, so that it can be killed like one."""

# python -m telegram_router.demo.host NAME PORT LEDGER
#
# It writes its port to stdout, answers 2000/100 and 7000/100, and ends when its stdin is closed. SIGUSR1 makes it ill: it
# goes on taking requests, executes every second one, and answers none.

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

import trio

from telegram_router.demo.books import NOT_ON_RECORD, OK, SHORT_OF_FUNDS
from telegram_router.demo.ledger import Ledger
from telegram_router.demo.telegrams import shipped
from telegram_router.telegrams import Framer, Spec, Telegram

SLOWEST, FASTEST = 0.060, 0.015  # seconds for one telegram


class Host:
    """Answers telegrams in the order in which they get done, not in that in which they came."""

    def __init__(self, spec: Spec, ledger: Ledger, name: str) -> None:
        self._spec = spec
        self._ledger = ledger
        self._chance = random.Random(name)  # how long it takes, nothing more
        self._ill = False
        self._taken = 0

    async def serve(self, stream: trio.SocketStream) -> None:
        """One link, until the router has gone."""
        try:
            await self._serve(stream)
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async def _serve(self, stream: trio.SocketStream) -> None:
        framer, sending = Framer(self._spec.framing), trio.Lock()
        async with trio.open_nursery() as nursery:
            async for piece in stream:
                framer.feed(bytes(piece))
                while frames := framer.take():
                    for frame in frames:
                        nursery.start_soon(self._answer, frame, stream, sending)
            nursery.cancel_scope.cancel()

    async def fall_ill(self) -> None:
        with trio.open_signal_receiver(signal.SIGUSR1) as signals:
            async for _ in signals:
                self._ill = True

    async def _answer(self, frame: bytes, stream: trio.SocketStream, sending: trio.Lock) -> None:
        reply = self._spec.poll_answer(frame) if self._spec.is_poll(frame) else await self._reply(self._spec.decode(frame))
        if reply is not None:
            async with sending:
                await stream.send_all(reply)

    async def _reply(self, telegram: Telegram) -> bytes | None:
        key = telegram["company_number"], telegram["message_number"]
        if telegram.message.name == "result.request":
            return self._spec.encode(self._inquiry(telegram))
        self._ledger.note("received", key)
        self._taken += 1
        if self._ill and self._taken % 2:
            await trio.sleep_forever()
        await trio.sleep(self._chance.uniform(FASTEST, SLOWEST))
        done, balance = self._ledger.book(key, telegram["amount"])
        if self._ill:
            await trio.sleep_forever()
        self._ledger.note("answered", key)
        return self._spec.encode(telegram.reply({"balance_after": balance, "fee": 0}, response_code=OK if done else SHORT_OF_FUNDS))

    def _inquiry(self, telegram: Telegram) -> Telegram:
        """7000/100: what became of an earlier transfer?"""
        amount = self._ledger.executed((telegram["company_number"], telegram["original_number"]))
        if amount is None:
            return telegram.reply({"result": NOT_ON_RECORD}, response_code=OK)
        return telegram.reply({"result": OK, "processed_amount": amount}, response_code=OK)


async def main(*arguments: str) -> None:
    name, port, ledger = arguments
    host = Host(shipped("firmbanking"), Ledger(Path(ledger), name), name)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(host.fall_ill)
        (listener,) = await trio.open_tcp_listeners(int(port), host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, host.serve, [listener])
        sys.stdout.write(f"{listener.socket.getsockname()[1]}\n")
        sys.stdout.flush()
        await trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())).receive_some(1)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    try:
        trio.run(main, *sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
