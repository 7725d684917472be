"""A replay's report as an object, as JUnit, and as the lines of its summary. Values that are not clear are left out unless they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from telegram_router.telegrams import Spec
from telegram_router.tools.replay.comparing import Difference
from telegram_router.tools.replay.tally import BUCKETS, Tally, Told
from telegram_router.tools.replay.thresholds import Threshold

VERSION: Final = 1
FIELDS_SHOWN: Final = 20  # on the terminal


@dataclass(frozen=True)
class About:
    """What was replayed, and how."""

    capture: str
    target: str
    spec: str
    pace: str
    asked: float | None  # telegrams a second
    seed: int
    compare: str
    repeat: str  # the command, without what it selects
    sequences: dict[str, tuple[int, int]]  # first and next number, by field
    left_out: dict[str, int]
    unknown: dict[str, int]
    problems: tuple[str, ...]
    gaps: int = 0
    shortened: int = 0
    interrupted: bool = False
    incomplete: str = ""


def as_object(tally: Tally, about: About, broken: Sequence[Threshold], code: int, spec: Spec, *, values: bool) -> dict[str, Any]:
    """The whole report, ready for JSON."""
    return {
        "v": VERSION,
        "capture": about.capture,
        "target": about.target,
        "spec": about.spec,
        "pace": about.pace,
        "seed": about.seed,
        "compare": about.compare,
        "exit_code": code,
        "interrupted": about.interrupted,
        "incomplete": about.incomplete or None,
        "planned": tally.planned,
        "sent": tally.sent,
        "buckets": {name: tally.buckets[name] for name in BUCKETS},
        "sums_up": tally.sums_up,
        "beside": dict(tally.beside),
        "held": tally.held,
        "late_start": tally.late_starts,
        "rate": {"asked": about.asked, "achieved": tally.achieved},
        "latency": tally.latency.as_object(),
        "service": tally.service.as_object(),
        "lag": tally.lag.as_object(),
        "no_answer_wanted": tally.no_answer_wanted,
        "silences_shortened": about.shortened,
        "left_out": about.left_out,
        "not_mapped": about.unknown,
        "numbers": {name: {"first": first, "next": after} for name, (first, after) in about.sequences.items()},
        "reasons": dict(tally.reasons.most_common(50)),
        "broken": [each.text for each in broken],
        "gaps": about.gaps,
        "problems": list(about.problems),
        "messages": {name: dict(found) | {"latency": tally.by_message[name].as_object() if name in tally.by_message else None} for name, found in sorted(tally.messages.items())},
        "fields": [
            {"message": message, "field": path, "offset": offset, "length": length, "count": found.count, "samples": [shown(each, values) | {"exchange": x} for x, each in found.samples]}
            for (message, path, offset, length), found in sorted(tally.fields.items(), key=lambda item: -item[1].count)
        ],
        "noise": dict(tally.noisy.most_common(100)),
        "exchanges": [_told(each, spec, values) for each in tally.told],
        "repeat": about.repeat,
    }  # fmt: skip


def _told(told: Told, spec: Spec, values: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"n": told.n, "exchange": told.x, "message": told.message, "bucket": told.bucket, "took_ms": None if told.took is None else round(told.took / 1e6, 3)}  # fmt: skip
    if told.why:
        found["why"] = told.why
    found["differences"] = [shown(each, values) for each in told.differences]
    return found


def shown(difference: Difference, values: bool) -> dict[str, Any]:
    """A difference with its values as far as they may be seen."""
    return {
        "message": difference.message, "field": difference.path, "offset": difference.offset, "length": difference.length,
        "expected": seen(difference.expected, difference.clear or values), "got": seen(difference.got, difference.clear or values),
        "mask": difference.mask or None,
    }  # fmt: skip


def seen(value: str | None, may: bool) -> str | None:
    return value if value is None or may else f"[{len(value)} characters]"


def summary(tally: Tally, about: About, broken: Sequence[Threshold], *, values: bool, report: str = "") -> Iterator[str]:
    """The lines for the terminal."""
    buckets = "  ".join(
        f"{name} {tally.buckets[name]:,}" for name in BUCKETS if tally.buckets[name] or name in ("same", "different", "missing")
    )
    yield f"{tally.planned:,} planned  {tally.sent:,} sent  {buckets}"
    if not tally.sums_up:
        yield f"  the buckets do not add up to what was planned: {sum(tally.buckets.values()):,} of {tally.planned:,}"
    beside = "  ".join(f"{name} {count:,}" for name, count in tally.beside.items() if count)
    if beside:
        yield f"  beside them: {beside}"
    yield from _fields(tally, values)
    for reason, count in tally.reasons.most_common(5):
        yield f"  {count:,} {reason}"
    yield _times(tally, about)
    yield from _remarks(tally, about)
    if about.interrupted or about.incomplete:
        yield f"INCOMPLETE {'interrupted' if about.interrupted else about.incomplete}"
    if broken:
        first = next((told.x for told in tally.told if told.bucket != "baseline_missing"), "")
        yield f"FAIL {' '.join(each.text for each in broken)}" + (f"     report: {report}" if report else "") + (f"     repeat: {about.repeat} --only {first}" if first else "")  # fmt: skip
    elif report:
        yield f"report: {report}"


def _fields(tally: Tally, values: bool) -> Iterator[str]:
    if not tally.fields:
        return
    rows = []
    for (message, path, offset, length), found in sorted(tally.fields.items(), key=lambda item: -item[1].count)[:FIELDS_SHOWN]:
        x, sample = found.samples[0]
        told = shown(sample, values)
        name = f"{message}.{path}" if message else path
        rows.append((f"{name}  [{offset}..{offset + max(length, 1) - 1}]", f"{found.count:,}", f"{x}  expected {_quoted(told['expected'])}  got {_quoted(told['got'])}"))  # fmt: skip
    width, figures = max(len(row[0]) for row in rows), max(5, *(len(row[1]) for row in rows))
    yield f"  {'different by field':<{width}}  {'count':>{figures}}  sample"
    for name, count, text in rows:
        yield f"  {name:<{width}}  {count:>{figures}}  {text}"
    if len(tally.fields) > FIELDS_SHOWN:
        yield f"  and {len(tally.fields) - FIELDS_SHOWN:,} more fields"


def _quoted(value: str | None) -> str:
    return "nothing" if value is None else value if value.startswith("[") else f'"{value}"'


def _times(tally: Tally, about: About) -> str:
    parts = [f"latency from planned send  {_percentiles(tally.latency.as_object())}"]
    parts.append(f"from actual send  {_percentiles(tally.service.as_object())}")
    lag = tally.lag.as_object()
    parts.append(f"own lag p99 {_ms(lag['p99_ms'])}" if lag["p99_ms"] is not None else f"own lag at most {_ms(lag['max_ms'])}")
    if tally.achieved is not None:
        parts.append(f"achieved {tally.achieved:,.1f}/s" + (f" of {about.asked:,g}/s" if about.asked else ""))
    return "   ".join(parts)


def _percentiles(times: dict[str, float | int | None]) -> str:
    return " ".join(f"{name} {_ms(times[f'{name}_ms'])}" for name in ("p50", "p90", "p99", "p99.9", "max"))


def _ms(value: float | None) -> str:
    return "n/a" if value is None else f"{value:,.1f}ms"


def _remarks(tally: Tally, about: About) -> Iterator[str]:
    if tally.held:
        yield f"{tally.held:,} held: they waited for a window or a connection, and their latency counts from when they were due"
    if about.shortened:
        yield f"{about.shortened:,} silences were cut short"
    for path, count in about.unknown.items():
        yield f"{path}: {count:,} values refer to nothing that was sent in this run, and stayed as they were"
    for name, (first, after) in about.sequences.items():
        yield f"{name} from {first:,}, next {after:,}"
    left = ", ".join(f"{count:,} {reason}" for reason, count in about.left_out.items())
    if left:
        yield f"left out: {left}"
    if tally.noisy:
        yield f"{sum(tally.noisy.values()):,} differences left out: two good answers differ there too"


def junit(tally: Tally, broken: Sequence[Threshold], *, values: bool) -> str:
    """One test case a message, and one for each threshold that was broken."""
    cases = []
    for name, found in sorted(tally.messages.items()):
        bad = {bucket: count for bucket, count in found.items() if bucket not in ("same", "baseline_missing") and count}
        body = ""
        if bad:
            samples = "\n".join(_line(told, values) for told in tally.told if told.message == name and told.bucket in bad)
            body = f"<failure message={quoteattr(' '.join(f'{bucket}={count}' for bucket, count in bad.items()))}>{escape(samples[:20_000])}</failure>"
        cases.append(f'  <testcase classname="replay" name={quoteattr(name)}>{body}</testcase>')
    cases += [f'  <testcase classname="threshold" name={quoteattr(each.text)}><failure message="broken"/></testcase>' for each in broken]
    failures = sum("<failure" in case for case in cases)
    head = f'<testsuite name="telegram-router replay" tests="{len(cases)}" failures="{failures}" errors="0" skipped="0">'
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + head + "\n" + "\n".join(map(_xml, cases)) + "\n</testsuite>\n"


def _line(told: Told, values: bool) -> str:
    parts = [f"{each['field']} [{each['offset']}..{each['offset'] + max(each['length'], 1) - 1}] expected {_quoted(each['expected'])} got {_quoted(each['got'])}" for each in (shown(one, values) for one in told.differences)]  # fmt: skip
    return f"{told.x} (record {told.n}): {told.bucket}" + (f": {told.why}" if told.why else "") + "".join(f"\n    {part}" for part in parts)


def _xml(text: str) -> str:
    """Without what XML cannot hold."""
    return "".join(each for each in text if each in "\n\t" or each >= " ")
