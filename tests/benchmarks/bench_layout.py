"""What reading, writing and routing one telegram costs: generated code beside interpreted construct and beside bare slices.

    python tests/benchmarks/bench_layout.py        exits 1 when a goal is missed

The telegram is firm banking's transfer, 2000/100: 300 bytes, 25 values, Korean text in it. Compare ratios, not microseconds.
"""

import statistics
import sys
import timeit
from collections.abc import Callable
from pathlib import Path

from construct import Adapter, Bytes, Struct, ValidationError

from telegram_router.telegrams import Amount, Digits, MessageLayout, load_spec

ROOT = Path(__file__).parents[2]
ROUNDS, SECONDS = 40, 0.005
RATIO, KEYS = 8, 2_000_000


class PlainText(Adapter):
    """What one writes with construct alone."""

    def _decode(self, obj, context, path):
        return obj.rstrip(b" ").decode("cp949")

    def _encode(self, obj, context, path):
        return obj.encode("cp949").ljust(self.subcon.length)


class PlainNumber(Adapter):
    def _decode(self, obj, context, path):
        if not obj.strip().isdigit():
            raise ValidationError("not digits", path=path)
        return int(obj)

    def _encode(self, obj, context, path):
        return b"%0*d" % (self.subcon.length, obj)


def plain_construct(message: MessageLayout) -> Struct:
    """The same fields with construct's own parts: digits checked, nothing else."""
    fields = []
    for planned in message.fields:
        adapter = PlainNumber if isinstance(planned.kind, Digits) and not isinstance(planned.kind, Amount) else PlainText
        fields.append((planned.name or f"filler{planned.offset}") / adapter(Bytes(planned.length)))
    return Struct(*fields)


def slices_and_loop(message: MessageLayout) -> Callable[[bytes], dict[str, object]]:
    """What one writes without construct: a loop over offsets."""
    plan = [(f.name, f.offset, f.end, isinstance(f.kind, Digits) and not isinstance(f.kind, Amount)) for f in message.fields if f.name]

    def decode(raw: bytes) -> dict[str, object]:
        values: dict[str, object] = {}
        for name, start, end, is_number in plan:
            part = raw[start:end]
            if not is_number:
                values[name] = part.rstrip(b" ").decode("cp949")
            elif part.isdigit():
                values[name] = int(part)
            else:
                raise ValueError(name)
        return values

    return decode


def measured(calls: dict[str, Callable[[], object]]) -> list[dict[str, float]]:
    """Microseconds a call, in many short rounds through all calls: what disturbs one disturbs its neighbours too."""
    counts = {name: max(1, int(SECONDS / (timeit.timeit(call, number=50) / 50))) for name, call in calls.items()}
    return [{name: timeit.timeit(call, number=counts[name]) / counts[name] * 1e6 for name, call in calls.items()} for _ in range(ROUNDS)]


def ratio(rounds: list[dict[str, float]], slow: str, fast: str) -> float:
    """Median of the ratios inside each round."""
    return statistics.median(times[slow] / times[fast] for times in rounds)


def main() -> int:
    file = ROOT / "specs" / "firmbanking.py"
    spec = load_spec(file.read_text("utf-8"), str(file))
    frame = (ROOT / "specs" / "samples" / "firmbanking" / "transfer.request.telegram").read_bytes()
    raw, message = spec.framing.telegram(frame), spec.messages["transfer.request"]
    ascii_raw = raw.replace("홍길동급여".encode("cp949"), b"SALARY 003")
    telegram, interpreted, plain, loop = message.decode(raw), message.construct, plain_construct(message), slices_and_loop(message)
    header, body = telegram.header, telegram.body
    ascii_body = message.decode(ascii_raw).body
    plainly = plain.parse(raw)
    key_of, by_key, correlate = spec.key_of, spec.by_key, spec.correlate
    assert interpreted.build({"header": header, "body": body}) == message.encode(header, body) == raw == plain.build(plainly)

    rounds = measured(
        {
            "decode": lambda: message.decode(raw),
            "decode ascii": lambda: message.decode(ascii_raw),
            "decode frame": lambda: spec.decode(frame),
            "decode interpreted": lambda: interpreted.parse(raw),
            "decode plain": lambda: plain.parse(raw),
            "decode loop": lambda: loop(raw),
            "encode": lambda: message.encode(header, body),
            "encode ascii": lambda: message.encode(header, ascii_body),
            "encode frame": lambda: spec.encode(telegram),
            "encode interpreted": lambda: interpreted.build({"header": header, "body": body}),
            "encode plain": lambda: plain.build(plainly),
            "key": lambda: by_key[key_of(frame)],
            "correlation": lambda: correlate(frame),
        }
    )
    best = {name: min(times[name] for times in rounds) for name in rounds[0]}
    rows = [
        ("ours, every field checked, Korean text", "decode", "encode"),
        ("ours, the same, ASCII only", "decode ascii", "encode ascii"),
        ("ours, whole frame with its key and framing", "decode frame", "encode frame"),
        ("interpreted construct, our field kinds", "decode interpreted", "encode interpreted"),
        ("interpreted construct, its own parts, digits checked", "decode plain", "encode plain"),
        ("slices in a loop, digits checked", "decode loop", ""),
    ]
    print("| one 300-byte telegram, 25 values | decode us | per second | build us | per second |\n|--|--|--|--|--|")
    for title, decode, encode in rows:
        cells = [f"{best[name]:.2f} | {1e6 / best[name]:,.0f}" if name else "- | -" for name in (decode, encode)]
        print(f"| {title} | {' | '.join(cells)} |")
    print(
        f"\nrouting key and its message: {best['key']:.3f} us, {1e6 / best['key']:,.0f} a second; correlation: {best['correlation']:.3f} us"
    )

    goals = [
        ("decode and validate", ratio(rounds, "decode interpreted", "decode"), RATIO, "x interpreted construct"),
        ("build", ratio(rounds, "encode interpreted", "encode"), RATIO, "x interpreted construct"),
        ("routing keys", 1e6 / best["key"], KEYS, " a second"),
    ]
    print()
    for title, reached, goal, unit in goals:
        print(f"{'reached' if reached >= goal else 'MISSED '} {title}: {reached:,.1f}{unit}, goal {goal:,}")
    return 0 if all(reached >= goal for _, reached, goal, _ in goals) else 1


if __name__ == "__main__":
    sys.exit(main())
