"""여신 a credit service that knows JSON over HTTP and no telegram: drawdowns, repayments, inquiries. Ends with Ctrl-C.

POST {"customer", "number", "action", "amount"} gets {"code", "balance"}, or status 422 with a reason. GET shows the loans, GET /requests
every request with the answer that it got.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DRAWDOWN, REPAYMENT, INQUIRY = "01", "02", "03"
LOANS = {"TESTCO000001": 40_000_000, "TESTCO000002": 5_000_000}  # owed at the beginning
LARGEST = 64 * 1024
NUMBERS_AT_MOST = 1_000_000


class Loans:
    """Who owes how much, and which requests there have been."""

    def __init__(self) -> None:
        self.owed = dict(LOANS)
        self.done: dict[tuple[str, str], tuple[int, dict[str, str]]] = {}
        self.requests: list[dict[str, Any]] = []  # NUMBERS_AT_MOST of them
        self.moved = 0  # drawn down, less what was paid back
        self.repeats = 0
        self._lock = threading.Lock()

    def ask(self, asked: dict[str, Any]) -> tuple[int, dict[str, str]]:
        """Status and answer. The same number of the same customer gets the same answer, and moves nothing."""
        try:
            key = str(asked["customer"]), str(asked["number"])
            action, amount = str(asked["action"]), int(asked["amount"])
        except (KeyError, TypeError, ValueError):
            return 400, {"reason": "customer, number, action and amount are needed"}
        with self._lock:
            if key in self.done:
                self.repeats += 1
            elif len(self.done) < NUMBERS_AT_MOST:
                self.done[key] = self._book(key[0], action, amount)
            else:
                return 503, {"reason": "no more numbers can be remembered"}
            status, answer = self.done[key]
            if len(self.requests) < NUMBERS_AT_MOST:
                self.requests.append({"asked": asked, "status": status, "answer": answer})
            return status, answer

    def _book(self, customer: str, action: str, amount: int) -> tuple[int, dict[str, str]]:
        change = {DRAWDOWN: amount, REPAYMENT: -amount, INQUIRY: 0}.get(action)
        if customer not in self.owed or change is None or amount < 0:
            return 422, {"reason": "no such customer or action"}
        if self.owed[customer] + change < 0:
            return 422, {"reason": "repays more than is owed"}
        self.owed[customer] += change
        self.moved += change
        return 200, {"code": "0000", "balance": str(self.owed[customer])}

    def verify(self) -> list[tuple[str, bool]]:
        """What must hold at the end."""
        return [
            ("nothing is sent twice", self.repeats == 0),
            ("loans add up", sum(self.owed.values()) == sum(LOANS.values()) + self.moved),
        ]


class Service(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, Handler)
        self.loans = Loans()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body go out together
    server: Service

    def do_POST(self) -> None:
        size = self.headers.get("content-length", "")
        if not size.isdigit() or int(size) > LARGEST:
            self.close_connection = True
            self._say(400, {"reason": "a body with its length is needed"})
            return
        try:
            asked = json.loads(self.rfile.read(int(size)))
        except ValueError:
            asked = None
        self._say(*self.server.loans.ask(asked if isinstance(asked, dict) else {}))

    def do_GET(self) -> None:
        self._say(200, self.server.loans.requests if self.path == "/requests" else self.server.loans.owed)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing of a request is printed."""

    def _say(self, status: int, answer: object) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main(arguments: list[str] | None = None) -> int:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--port", type=int, default=9005, help="port on 127.0.0.1; 9005 unless given, 0 for any")
    reader.add_argument("--duration", type=float, help="end by itself after so many seconds")
    given = reader.parse_args(arguments)
    service = Service(("127.0.0.1", given.port))
    if given.duration is not None:
        ending = threading.Timer(given.duration, service.shutdown)
        ending.daemon = True
        ending.start()
    try:
        sys.stderr.write(f"credit: listens on http://127.0.0.1:{service.server_port}/credit; end it with Ctrl-C\n")
        sys.stderr.flush()
        service.serve_forever(poll_interval=0.05)
    except KeyboardInterrupt:
        pass
    finally:
        service.server_close()
    held = service.loans.verify()
    sys.stdout.write(f"credit: {len(service.loans.done):,} requests\n")
    sys.stdout.writelines(f"  {'met    ' if met else 'NOT MET'} {name}\n" for name, met in held)
    return 0 if all(met for _, met in held) else 1


if __name__ == "__main__":
    sys.exit(main())
