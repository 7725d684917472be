"""What neighbours do to a session: idle crowds, dribblers, floods, a silent service, a storm of TLS reconnects.

    python tests/benchmarks/bench_neighbours.py [idle|dribble|flood|silent|starve|storm ...]

The router runs alone on the last CPU, everything else on the first. Figures are ratios inside one run.
"""

from __future__ import annotations

import datetime
import ipaddress
import multiprocessing
import os
import resource
import selectors
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
PORT = 9000
PORTS = {b"TR": 9101, b"DP": 9102, b"CR": 9103}


def telegram(code: bytes, number: int, size: int = 300) -> bytes:
    return b"%04d0200%b%010d" % (size - 4, code, number) + b"x" * (size - 20)


# --- the other side -----------------------------------------------------------------------------------------------


def echo_host(silent: bytes = b"") -> None:
    """Answers every telegram at once; the service named `silent` accepts and never answers."""
    os.sched_setaffinity(0, {0})
    selector = selectors.DefaultSelector()
    for code, port in PORTS.items():
        door = socket.create_server(("127.0.0.1", port), backlog=64)
        door.setblocking(False)
        selector.register(door, selectors.EVENT_READ, (code, None))
    rest: dict[int, bytes] = {}
    while True:
        for key, _ in selector.select():
            code, sock = key.data
            if sock is None:
                accepted, _ = key.fileobj.accept()
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(accepted, selectors.EVENT_READ, (code, accepted))
                continue
            try:
                data = sock.recv(262_144)
            except OSError:
                data = b""
            if not data:
                selector.unregister(sock)
                sock.close()
                continue
            if code == silent:
                continue
            data = rest.pop(key.fd, b"") + data
            answers, at = [], 0
            while len(data) - at >= 4 and len(data) - at >= (size := 4 + int(data[at : at + 4])):
                answers.append(data[at : at + 4] + b"0210" + data[at + 8 : at + size])
                at += size
            rest[key.fd] = data[at:]
            sock.sendall(b"".join(answers))


# --- clients ------------------------------------------------------------------------------------------------------


def connect(context: ssl.SSLContext | None = None) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", PORT), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(sock) if context is not None else sock


def receive(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise ConnectionError("the router closed the session")
        data += more
    return data


def ping_pong(sock: socket.socket, seconds: float, code: bytes = b"TR") -> list[float]:
    """Round trips, in microseconds, one telegram at a time."""
    times, number = [], int(time.monotonic() * 1000) % 10**9
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        number += 1
        begun = time.perf_counter()
        sock.sendall(telegram(code, number))
        receive(sock, 300)
        times.append((time.perf_counter() - begun) * 1e6)
    return times


def dribble(count: int, stop: multiprocessing.synchronize.Event) -> None:
    """Sessions that send whole telegrams, but one byte at a time."""
    os.sched_setaffinity(0, {0})
    socks = [connect() for _ in range(count)]
    message, at = telegram(b"TR", 1, 40), 0
    while not stop.wait(0.2):
        for sock in socks:
            sock.send(message[at % 40 : at % 40 + 1])
        at += 1


def dribble_for_ever(count: int, pause: float, stop: multiprocessing.synchronize.Event) -> None:
    """Sessions that send one byte of a telegram every so often and never finish it; who is cut off comes again."""
    os.sched_setaffinity(0, {0})
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    socks = [connect() for _ in range(count)]
    at = [0] * count
    message = telegram(b"TR", 1)
    cut = 0
    while not stop.is_set():
        round_ends = time.monotonic() + pause
        for place, sock in enumerate(socks):
            try:
                sock.send(message[at[place] : at[place] + 1])
                at[place] = (at[place] + 1) % 299
            except OSError:
                sock.close()
                socks[place], at[place] = connect(), 0
                cut += 1
            if place % 50 == 0:  # not all in one moment
                time.sleep(pause / count * 20)
        stop.wait(max(0.0, round_ends - time.monotonic()))
    print(f"  {cut} dribblers were cut off and came again", flush=True)


def flood(code: bytes, stop: multiprocessing.synchronize.Event) -> None:
    """Never stops sending, whatever comes back."""
    os.sched_setaffinity(0, {0})
    sock = connect()

    def drain() -> None:
        while sock.recv(262_144):
            pass

    threading.Thread(target=drain, daemon=True).start()
    number = 0
    while not stop.is_set():
        sock.sendall(b"".join(telegram(code, number + each) for each in range(64)))
        number += 64


def window_rate(code: bytes, seconds: float, window: int = 16) -> float:
    """Telegrams per second of one session that keeps `window` open."""
    sock, number, done = connect(), 0, 0
    begun = time.monotonic()
    sock.sendall(b"".join(telegram(code, each) for each in range(window)))
    number = window
    rest = b""
    while time.monotonic() - begun < seconds:
        rest += sock.recv(262_144)
        whole = len(rest) // 300
        rest = rest[whole * 300 :]
        done += whole
        sock.sendall(b"".join(telegram(code, number + each) for each in range(whole)))
        number += whole
    sock.close()
    return done / seconds


def rates(clients: int, window: int, seconds: float) -> dict[bytes, float]:
    """Telegrams per second by code, of so many sessions that each keep `window` open, a third of them for each code."""
    selector = selectors.DefaultSelector()
    done = dict.fromkeys(PORTS, 0)
    numbers: dict[int, int] = {}
    rest: dict[int, bytes] = {}
    for _ in range(clients):
        sock = connect()
        selector.register(sock, selectors.EVENT_READ)
        numbers[sock.fileno()], rest[sock.fileno()] = window, b""
        codes = list(PORTS)
        sock.sendall(b"".join(telegram(codes[each % len(codes)], each) for each in range(window)))
    begun, warm = time.monotonic(), 1.0
    while (now := time.monotonic()) < begun + warm + seconds:
        for key, _ in selector.select(0.5):
            sock, number = key.fileobj, numbers[key.fd]
            assert isinstance(sock, socket.socket)
            data = rest[key.fd] + sock.recv(262_144)
            again, at = [], 0
            while len(data) - at >= 4 and len(data) - at >= (size := 4 + int(data[at : at + 4])):
                code = data[at + 8 : at + 10]
                if now > begun + warm and data[at + 4 : at + 8] == b"0210":  # else it is a refusal
                    done[code] += 1
                number += 1
                again.append(telegram(code, number))
                at += size
            rest[key.fd] = data[at:]
            numbers[key.fd] = number
            sock.sendall(b"".join(again))
    for key in list(selector.get_map().values()):
        assert isinstance(key.fileobj, socket.socket)
        key.fileobj.close()
    return {code: count / seconds for code, count in done.items()}


# --- scenes -------------------------------------------------------------------------------------------------------


@contextmanager
def scene(folder: Path, tls: bool = False, silent: bytes = b"", room: int = 16_384) -> Iterator[None]:
    """A router with its hosts, for as long as the block lasts. `room`: open requests of each service."""
    host = multiprocessing.Process(target=echo_host, args=(silent,), daemon=True)
    host.start()
    text = (
        (HERE / "lab.toml")
        .read_text()
        .replace('"specs"', f'"{HERE / "specs"}"')
        .replace('spec = "lab"', 'spec = "lab"\nmax_sessions = 8000')
    )
    if room < 16_384:
        text = text.replace("in_flight = 16384\npending = 16384\n", f"in_flight = {room}\npending = {room // 2}\n")
    if tls:
        make_certificate(folder)
        text = text.replace("max_sessions", f'tls = {{ certificate = "{folder}/cert.pem", key = "{folder}/key.pem" }}\nmax_sessions')
    (folder / "lab.toml").write_text(text)
    command = ["taskset", "-c", str(os.cpu_count() - 1), sys.executable, "-m", "telegram_router", "run", str(folder / "lab.toml")]
    router = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_ready()
        yield
    finally:
        router.send_signal(signal.SIGKILL)
        router.wait()
        host.terminate()
        host.join()


def wait_until_ready() -> None:
    for _ in range(200):
        try:
            connect().close()
        except OSError:
            time.sleep(0.05)
        else:
            time.sleep(1.0)
            return
    raise SystemExit("the router did not start")


def make_certificate(folder: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lab")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(30))
    certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)
    (folder / "key.pem").chmod(0o600)


def background(work: Callable[..., None], *args: object) -> Callable[[], None]:
    stop = multiprocessing.Event()
    process = multiprocessing.Process(target=work, args=(*args, stop), daemon=True)
    process.start()

    def end() -> None:
        stop.set()
        process.join(1)
        process.kill()

    return end


def idle(folder: Path) -> None:
    with scene(folder):
        one = connect()
        before = statistics.median(ping_pong(one, 3))
        crowd = [connect() for _ in range(2000)]
        end = background(dribble, 200)
        time.sleep(2)
        after = statistics.median(ping_pong(one, 3))
        end()
        del crowd
    report("2,000 idle and 200 dribbling sessions", f"p50 {before:.0f} -> {after:.0f} us", after / before, 1.10)


def dribbled(folder: Path) -> None:
    for pause in (1.0, 0.2):
        with scene(folder):
            one = connect()
            before = statistics.median(ping_pong(one, 4))
            end = background(dribble_for_ever, 2000, pause)
            time.sleep(6)
            after = statistics.median(ping_pong(one, 8))
            end()
        report(f"2,000 that send a byte every {pause:g} s", f"p50 {before:.0f} -> {after:.0f} us", after / before, 1.5)


def starved(folder: Path) -> None:
    """Each service has room for a third of what the clients have open, as a bank that has counted its clients gives it."""
    before, after = dict.fromkeys(PORTS, 0.0), dict.fromkeys(PORTS, 0.0)
    for _ in range(3):  # in turns, and the best of each: whatever else a machine does only makes it slower
        for silent, best in ((b"", before), (b"TR", after)):
            with scene(folder, silent=silent, room=2048):
                best.update({code: max(best[code], rate) for code, rate in rates(50, 64, 3).items()})
    for code in (b"DP", b"CR"):
        kept = after[code] / before[code]
        figures = f"{before[code]:.0f} -> {after[code]:.0f} telegrams/s"
        report(f"50 clients at window 64 on three codes, one silent: {code.decode()}", figures, kept, 0.9, at_least=True)


def flooded(folder: Path) -> None:
    with scene(folder):
        one = connect()
        before = statistics.median(ping_pong(one, 3))
        ends = [background(flood, b"DP"), background(flood, b"CR")]
        time.sleep(1)
        after = statistics.median(ping_pong(one, 3))
        for end in ends:
            end()
    report("two clients that never stop sending", f"p50 {before:.0f} -> {after:.0f} us", after / before, 3.0)


def silent(folder: Path) -> None:
    with scene(folder):
        before = window_rate(b"DP", 3)
    with scene(folder, silent=b"TR", room=256):
        end = background(flood, b"TR")
        time.sleep(1)
        end_rate = window_rate(b"DP", 3)
        end()
    with scene(folder, silent=b"TR", room=256):
        mixed = connect()
        mixed.sendall(b"".join(telegram(b"TR", each) for each in range(2000)))
        time.sleep(0.5)
        quiet_rate = window_rate(b"DP", 3)
    report("a silent service, its client asking on", f"{before:.0f} -> {end_rate:.0f} telegrams/s", before / max(end_rate, 1), None)
    report(
        "a silent service with all its bounds reached",
        f"{before:.0f} -> {quiet_rate:.0f} telegrams/s",
        before / max(quiet_rate, 1),
        1 / 0.9,
    )


def reconnect(count: int, stop: multiprocessing.synchronize.Event) -> None:
    os.sched_setaffinity(0, {0})
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    waiting = []
    for _ in range(count):
        sock = socket.create_connection(("127.0.0.1", PORT))
        sock.setblocking(False)
        waiting.append(context.wrap_socket(sock, do_handshake_on_connect=False))
    done = 0
    while waiting and not stop.is_set():
        left = []
        for sock in waiting:
            try:
                sock.do_handshake()
                done += 1
            except ssl.SSLWantReadError:
                left.append(sock)
            except OSError:
                pass
        waiting = left
        time.sleep(0.005)
    print(f"  reconnected: {done} of {count}", flush=True)


def storm(folder: Path) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with scene(folder, tls=True):
        one = connect(context)
        before = ping_pong(one, 2)
        end = background(reconnect, 1000)
        during = ping_pong(one, 6)
        end()
    worst = max(during) / 1000
    print(f"  p50 {statistics.median(before):.0f} -> {statistics.median(during):.0f} us")
    report("1,000 TLS reconnects at once", f"slowest round trip {worst:.1f} ms", worst, 50.0)


def report(what: str, figures: str, value: float, must: float | None, *, at_least: bool = False) -> None:
    bound = "" if must is None else f" (must {'>=' if at_least else '<='} {must:.2f})"
    print(f"| {what} | {figures} | {value:.2f}{bound} |", flush=True)


SCENES = {"idle": idle, "dribble": dribbled, "flood": flooded, "silent": silent, "starve": starved, "storm": storm}


def main() -> None:
    os.sched_setaffinity(0, {0})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for name in sys.argv[1:] or SCENES:
        with tempfile.TemporaryDirectory() as folder:
            SCENES[name](Path(folder))


if __name__ == "__main__":
    main()
