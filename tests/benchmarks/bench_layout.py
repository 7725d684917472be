"""What reading, writing and routing one telegram costs: generated code beside other tools, in the same run.

    python tests/benchmarks/bench_layout.py        exits 1 when a goal is missed

Two telegrams: firm banking's transfer, 2000/100, 300 bytes with 25 values and Korean text in it; and a customer record as
copybooks have them, 488 bytes of EBCDIC with 60 values, COMP-3 and a table. Compare ratios, not microseconds. kaitaistruct is
measured where its runtime is installed.
"""

import sys
import timeit
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from customer_record import RECORD, VALUES
from others import kaitai, plain_construct, slices

from telegram_router.telegrams import MessageLayout, load_spec

ROOT = Path(__file__).parents[2]
ROUNDS, SECONDS = 40, 0.005
RATIO, KEYS = 8, 2_000_000

Call = Callable[[], object]


@dataclass
class Contest:
    """One telegram and all that read and write it, by what is said about them."""

    title: str
    message: MessageLayout
    decoders: dict[str, Call] = field(default_factory=dict)
    encoders: dict[str, Call] = field(default_factory=dict)

    def calls(self) -> dict[str, Call]:
        return {f"decode {name}": call for name, call in self.decoders.items()} | {
            f"encode {name}": call for name, call in self.encoders.items()
        }


OURS, INTERPRETED = "ours, every field checked", "interpreted construct, our field kinds"
PLAIN, COMPILED = "interpreted construct, its own parts, digits checked", "construct compiled, the same (short input passes)"
SLICES, KAITAI = "struct and slices, digits checked", "kaitaistruct (packed and zoned stay bytes)"


def contest(title: str, message: MessageLayout, raw: bytes) -> Contest:
    """Everyone reads the same bytes and writes what he has read."""
    telegram, interpreted = message.decode(raw), message.construct
    header, body = telegram.header, telegram.body
    both = {"header": header, "body": body}
    plain = plain_construct(message)
    compiled, plainly = plain.compile(), plain.parse(raw)
    loop_read, loop_write = slices(message)
    looped, read_kaitai = loop_read(raw), kaitai(message)
    assert interpreted.build(both) == message.encode(header, body) == raw == plain.build(plainly) == compiled.build(plainly)
    assert loop_write(looped) == raw
    made = Contest(title, message)
    made.decoders = {
        OURS: lambda: message.decode(raw),
        INTERPRETED: lambda: interpreted.parse(raw),
        PLAIN: lambda: plain.parse(raw),
        COMPILED: lambda: compiled.parse(raw),
        SLICES: lambda: loop_read(raw),
    }
    made.encoders = {
        OURS: lambda: message.encode(header, body),
        INTERPRETED: lambda: interpreted.build(both),
        PLAIN: lambda: plain.build(plainly),
        COMPILED: lambda: compiled.build(plainly),
        SLICES: lambda: loop_write(looped),
    }
    if read_kaitai is not None:
        made.decoders[KAITAI] = lambda: read_kaitai(raw)
    return made


def measured(calls: dict[str, Call]) -> list[dict[str, float]]:
    """Microseconds a call, in many short rounds through all calls: what disturbs one disturbs its neighbours too."""
    counts = {name: max(1, int(SECONDS / (timeit.timeit(call, number=20) / 20))) for name, call in calls.items()}
    return [{name: timeit.timeit(call, number=counts[name]) / counts[name] * 1e6 for name, call in calls.items()} for _ in range(ROUNDS)]


def ratio(rounds: list[dict[str, float]], slow: str, fast: str) -> float:
    """Of the best of each: whatever else the machine does only ever adds time, and seldom to a whole run of short rounds."""
    return min(times[slow] for times in rounds) / min(times[fast] for times in rounds)


def table(made: Contest, rounds: list[dict[str, float]]) -> list[str]:
    """One row for each way, with the best time and how many times ours it takes."""
    lines = [f"| {made.title} | decode us | x ours | per second | build us | x ours | per second |", "|--|--|--|--|--|--|--|"]
    for name in made.decoders:
        cells = []
        for way, known in (("decode", made.decoders), ("encode", made.encoders)):
            call, ours = f"{way} {name}", f"{way} {OURS}"
            best = min(times[call] for times in rounds) if name in known else 0.0
            cells += [f"{best:.2f}", f"{ratio(rounds, call, ours):.1f}", f"{1e6 / best:,.0f}"] if best else ["-", "-", "-"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def goals_of(made: Contest, rounds: list[dict[str, float]]) -> list[tuple[str, float, float, str]]:
    return [
        (f"{made.message.name}, {what}", ratio(rounds, f"{way} {INTERPRETED}", f"{way} {OURS}"), RATIO, "x interpreted construct")
        for what, way in (("decode and validate", "decode"), ("build", "encode"))
    ]


def main() -> int:
    file = ROOT / "specs" / "firmbanking.py"
    spec = load_spec(file.read_text("utf-8"), str(file))
    frame = (ROOT / "specs" / "samples" / "firmbanking" / "transfer.request.telegram").read_bytes()
    raw, message = spec.framing.telegram(frame), spec.messages["transfer.request"]
    ascii_raw = raw.replace("홍길동급여".encode("cp949"), b"SALARY 003")
    transfer = contest("firm banking transfer, 300 bytes, 25 values", message, raw)
    transfer.decoders |= {
        "ours, the same, ASCII only": lambda: message.decode(ascii_raw),
        "ours, whole frame with its key and framing": lambda: spec.decode(frame),
    }
    telegram, ascii_body = spec.decode(frame), message.decode(ascii_raw).body
    transfer.encoders |= {
        "ours, the same, ASCII only": lambda: message.encode(telegram.header, ascii_body),
        "ours, whole frame with its key and framing": lambda: spec.encode(telegram),
    }
    customer = contest("EBCDIC customer record, 488 bytes, 60 values", RECORD, RECORD.encode({}, VALUES))

    goals: list[tuple[str, float, float, str]] = []
    for made in (transfer, customer):
        rounds = measured(made.calls())
        print("\n".join([*table(made, rounds), ""]))
        goals += goals_of(made, rounds)

    key_of, by_key, correlate = spec.key_of, spec.by_key, spec.correlate
    best: dict[str, Any] = {
        name: min(times[name] for times in measured({"key": lambda: by_key[key_of(frame)], "correlation": lambda: correlate(frame)}))
        for name in ("key", "correlation")
    }
    print(
        f"routing key and its message: {best['key']:.3f} us, {1e6 / best['key']:,.0f} a second; correlation: {best['correlation']:.3f} us\n"
    )
    goals.append(("routing keys", 1e6 / best["key"], KEYS, " a second"))
    for title, reached, goal, unit in goals:
        print(f"{'reached' if reached >= goal else 'MISSED '} {title}: {reached:,.1f}{unit}, goal {goal:,}")
    return 0 if all(reached >= goal for _, reached, goal, _ in goals) else 1


if __name__ == "__main__":
    sys.exit(main())
