"""Charts of a replay as SVG: plain texts, which need nothing from outside."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Final

from telegram_router.tools.latency import Latency
from telegram_router.tools.replay.settings import SECOND
from telegram_router.tools.replay.tally import BUCKETS, Tally, Timeline

WIDTH: Final = 860
HEIGHT: Final = 220
LEFT: Final = 64
BOTTOM: Final = 28
COLOURS: Final = {
    "same": "#2e7d32", "different": "#c62828", "missing": "#ef6c00", "late": "#f9a825", "unparseable": "#6a1b9a", "closed": "#4e342e",
    "not_sent": "#757575", "baseline_missing": "#90a4ae",
}  # fmt: skip


def buckets_bar(tally: Tally) -> str:
    """All exchanges in one bar."""
    total, at, parts = sum(tally.buckets.values()), 0.0, []
    for name in BUCKETS:
        count = tally.buckets[name]
        if count:
            width = max(count / total * WIDTH, 2)
            parts.append(
                f'<rect x="{at:.1f}" y="0" width="{width:.1f}" height="26" fill="{COLOURS[name]}"><title>{name} {count:,}</title></rect>'
            )
            at += width
    return f'<svg viewBox="0 0 {max(at, WIDTH):.0f} 26" role="img" aria-label="buckets">{"".join(parts)}</svg>'


def rate_chart(timeline: Timeline) -> str:
    """Sent, answered and not as expected, a second, over the run."""
    seconds = timeline.width / SECOND
    lines = [
        ("sent 보냄", "#1565c0", [each.sent / seconds for each in timeline.slices]),
        ("answered 응답", "#2e7d32", [each.answered / seconds for each in timeline.slices]),
        ("not as expected 불일치", "#c62828", [each.bad / seconds for each in timeline.slices]),
    ]
    return _over_time(lines, seconds, "/s")


def latency_chart(timeline: Timeline) -> str:
    """The slowest answer and our own lag, over the run."""
    seconds = timeline.width / SECOND
    lines = [
        ("slowest answer 최대 지연", "#1565c0", [each.slowest / 1e6 for each in timeline.slices]),
        ("own lag 도구 자체 지연", "#ef6c00", [max(each.lag, 0) / 1e6 for each in timeline.slices]),
    ]
    return _over_time(lines, seconds, " ms")


def percentile_chart(latency: Latency, service: Latency) -> str:
    """How long answers took, by share, the tail drawn out; from when they were due and from when they were sent."""
    drawn = [("from planned 계획 시각 기준", "#1565c0", _shares(latency)), ("from sent 실제 전송 기준", "#2e7d32", _shares(service))]
    drawn = [each for each in drawn if each[2]]
    if not drawn:
        return "<p>no answers 응답 없음</p>"
    most = max(took for _, _, points in drawn for _, took in points)
    far = max(tail for _, _, points in drawn for tail, _ in points)
    marks = [
        (math.log10(nines), text) for nines, text in ((1, "0%"), (2, "50%"), (10, "90%"), (100, "99%"), (1000, "99.9%"), (10_000, "99.99%"))
    ]
    parts = [_text(LEFT + tail / far * (WIDTH - LEFT - 10), HEIGHT - 8, text, "middle") for tail, text in marks if tail <= far]
    for index, (name, colour, points) in enumerate(drawn):
        places = [(LEFT + tail / far * (WIDTH - LEFT - 10), _height(took, most)) for tail, took in points]
        parts += [_line(places, colour), _key(index, name, colour)]
    return _svg([*_scale(most, " ms"), *parts])


def _shares(latency: Latency) -> list[tuple[float, float]]:
    """(how many nines, milliseconds)."""
    seen, found = 0, []
    for took, count in latency.buckets():
        seen += count
        share = min(seen / latency.count, 1 - 0.5 / latency.count)
        found.append((-math.log10(1 - share), took / 1e6))
    return [(0.0, found[0][1]), *found] if found else []


def _over_time(lines: Sequence[tuple[str, str, Sequence[float]]], seconds: float, unit: str) -> str:
    count = max((len(values) for _, _, values in lines), default=0)
    most = max((max(values, default=0) for _, _, values in lines), default=0) or 1
    parts = [*_scale(most, unit)]
    for index, (name, colour, values) in enumerate(lines):
        places = [(LEFT + (at + 0.5) / max(count, 1) * (WIDTH - LEFT - 10), _height(value, most)) for at, value in enumerate(values)]
        parts += [_line(places, colour), _key(index, name, colour)]
    for share in (0, 0.5, 1):
        parts.append(
            _text(LEFT + share * (WIDTH - LEFT - 10), HEIGHT - 8, f"{share * count * seconds:,.0f} s", "middle" if share < 1 else "end")
        )
    return _svg(parts)


def _height(value: float, most: float) -> float:
    return (HEIGHT - BOTTOM) - value / most * (HEIGHT - BOTTOM - 34)


def _scale(most: float, unit: str) -> list[str]:
    found = []
    for share in (0, 0.5, 1):
        y = _height(share * most, most)
        found.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH}" y2="{y:.1f}" class="grid"/>')
        found.append(_text(LEFT - 6, y + 4, f"{share * most:,.3g}{unit}" if most < 1000 else f"{share * most:,.0f}{unit}", "end"))
    return found


def _line(places: Sequence[tuple[float, float]], colour: str) -> str:
    if len(places) == 1:
        return f'<circle cx="{places[0][0]:.1f}" cy="{places[0][1]:.1f}" r="3" fill="{colour}"/>'
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>'


def _key(index: int, name: str, colour: str) -> str:
    x = LEFT + index * 230
    return f'<rect x="{x}" y="4" width="12" height="12" fill="{colour}"/>' + _text(x + 18, 14, name, "start")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _svg(parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>'
