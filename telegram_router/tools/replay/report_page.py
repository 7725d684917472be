"""A replay's report as one page of HTML: charts, what differs by message and field, and samples with both telegrams side by side."""

# Rules this file keeps:
#
# 1. The page needs nothing from outside and runs no script.
# 2. Bytes of fields that are not clear are not on it, unless values are asked for.

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Any, Final

from telegram_router.errors import FieldError
from telegram_router.telegrams import Spec
from telegram_router.tools.replay.charts import COLOURS, buckets_bar, latency_chart, percentile_chart, rate_chart
from telegram_router.tools.replay.tally import BUCKETS, Tally, Told

SIDE_BY_SIDE: Final = 30  # exchanges
ACROSS: Final = 16  # bytes of a line
SHOWN_AT_MOST: Final = 4_096  # bytes of a telegram

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 15px/1.5 system-ui, "Noto Sans KR", "Malgun Gothic", "Apple SD Gothic Neo", sans-serif; margin: 0 auto; max-width: 68rem; padding: 1.5rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; } h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
.verdict { display: inline-block; padding: .1rem .7rem; border-radius: .3rem; color: #fff; font-weight: 600; }
.well { background: #2e7d32; } .bad { background: #c62828; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; } code, pre, .hex { font-family: ui-monospace, "D2Coding", "Noto Sans Mono CJK KR", monospace; font-size: .84rem; }
svg { width: 100%; height: auto; display: block; } svg text { font-size: 11px; fill: currentColor; } svg .grid { stroke: var(--line); }
.swatch { display: inline-block; width: .8em; height: .8em; margin-right: .4em; } .scroll { overflow-x: auto; }
.hex { border-collapse: separate; width: auto; } .hex td { border: 0; padding: 0 .8rem 0 0; white-space: pre; }
mark { background: #ffd54f; color: #000; } mark.masked { background: #8883; color: inherit; } details { border: 1px solid var(--line); border-radius: .3rem; padding: .4rem .8rem; margin: .5rem 0; }
summary { cursor: pointer; } .quiet { opacity: .75; }
"""


def page(report: dict[str, Any], tally: Tally, spec: Spec, *, values: bool) -> str:
    """The whole page."""
    parts = [
        *_head(report),
        *_buckets(report, tally),
        *_charts(report, tally),
        *_messages(report),
        *_fields(report),
        *_samples(tally, spec, values),
    ]
    body = "\n".join([*parts, *_remarks(report)])
    return f'<!doctype html>\n<html lang="ko">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n<title>replay 재생 결과: {_e(report["capture"])}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n'  # fmt: skip


def _e(value: object) -> str:
    return html.escape(str(value))


def _head(report: dict[str, Any]) -> Iterator[str]:
    well = report["exit_code"] == 0
    verdict = "as expected 정상" if well else f"exit code {report['exit_code']} 확인 필요"
    yield f'<h1>재생 결과 replay <span class="verdict {"well" if well else "bad"}">{verdict}</span></h1>'
    if report["broken"]:
        yield f"<p>{_e(', '.join(report['broken']))}</p>"
    if report["interrupted"] or report["incomplete"]:
        yield f"<p><b>끝까지 보내지 못함 incomplete:</b> {_e(report['incomplete'] or 'interrupted 중단됨')}</p>"
    rows = [
        ("전문 파일 capture", report["capture"]), ("대상 target", report["target"]), ("spec", report["spec"]), ("속도 pace", report["pace"]),
        ("비교 compared with", report["compare"]), ("계획/전송 planned, sent", f"{report['planned']:,} / {report['sent']:,}"),
        ("재현 repeat", report["repeat"]),
    ]  # fmt: skip
    yield "<table>" + "".join(f"<tr><th>{name}</th><td><code>{_e(value)}</code></td></tr>" for name, value in rows) + "</table>"


_WORDS: Final = {
    "same": "일치", "different": "불일치", "missing": "무응답", "late": "지연 응답", "unparseable": "해석 불가", "closed": "연결 끊김",
    "not_sent": "미전송", "baseline_missing": "비교 대상 없음", "duplicate": "중복 응답", "unexpected": "예상 밖 응답", "garbage": "전문 아님",
}  # fmt: skip


def _buckets(report: dict[str, Any], tally: Tally) -> Iterator[str]:
    yield "<h2>거래 결과 exchanges</h2>" + buckets_bar(tally)
    rows = "".join(
        f'<tr><td><span class="swatch" style="background:{COLOURS[name]}"></span>{_WORDS[name]} {name}</td><td class="n">{report["buckets"][name]:,}</td></tr>'
        for name in BUCKETS if report["buckets"][name]
    )  # fmt: skip
    beside = "".join(f'<tr><td>{_WORDS[name]} {name} <span class="quiet">(거래 수에 넣지 않음 counted beside)</span></td><td class="n">{count:,}</td></tr>' for name, count in report["beside"].items() if count)  # fmt: skip
    sums = (
        "합계가 계획한 거래 수와 같음 they add up to what was planned"
        if report["sums_up"]
        else "합계가 계획한 거래 수와 다름 they do not add up"
    )
    yield f"<table>{rows}{beside}</table><p class=quiet>{sums}: {report['planned']:,}</p>"


def _charts(report: dict[str, Any], tally: Tally) -> Iterator[str]:
    yield "<h2>초당 건수 per second</h2>" + rate_chart(tally.timeline)
    yield "<h2>응답 시간 latency</h2>" + percentile_chart(tally.latency, tally.service) + latency_chart(tally.timeline)
    names = ("count", "p50_ms", "p90_ms", "p99_ms", "p99.9_ms", "max_ms")
    head = "".join(f'<th class="n">{name.removesuffix("_ms")}</th>' for name in names)
    rows = []
    for name, words in (
        ("latency", "계획한 시각부터 from planned"),
        ("service", "실제 전송부터 from sent"),
        ("lag", "도구 자체 지연 own lag"),
    ):
        cells = "".join(f'<td class="n">{_number(report[name][each], each)}</td>' for each in names)
        rows.append(f"<tr><td>{words}</td>{cells}</tr>")
    yield f"<table><tr><th>ms</th>{head}</tr>{''.join(rows)}</table>"
    achieved, asked = report["rate"]["achieved"], report["rate"]["asked"]
    if achieved is not None:
        yield f"<p>{achieved:,.1f}/s" + (f" (요청 asked {asked:,g}/s)" if asked else "") + f", held {report['held']:,}</p>"


def _number(value: float | None, name: str) -> str:
    return "n/a" if value is None else f"{value:,}" if name == "count" else f"{value:,.2f}"


def _messages(report: dict[str, Any]) -> Iterator[str]:
    used = [name for name in BUCKETS if any(found.get(name) for found in report["messages"].values())]
    head = "".join(f'<th class="n">{name}</th>' for name in used)
    rows = "".join(
        f"<tr><td>{_e(name)}</td>" + "".join(f'<td class="n">{found.get(bucket, 0):,}</td>' for bucket in used) + "</tr>"
        for name, found in report["messages"].items()
    )
    if rows:
        yield f'<h2>전문별 by message</h2><div class="scroll"><table><tr><th></th>{head}</tr>{rows}</table></div>'


def _fields(report: dict[str, Any]) -> Iterator[str]:
    if not report["fields"]:
        return
    yield "<h2>다른 필드 fields that differ</h2>"
    by_message: dict[str, list[dict[str, Any]]] = {}
    for found in report["fields"]:
        by_message.setdefault(found["message"] or "?", []).append(found)
    for message, fields in by_message.items():
        yield f"<h3>{_e(message)}</h3>"
        rows = []
        for found in fields:
            samples = "<br>".join(
                f"{_e(each['exchange'])}: {_value(each['expected'])} → {_value(each['got'])}" for each in found["samples"]
            )
            rows.append(f'<tr><td>{_e(found["field"])}</td><td><code>[{found["offset"]}..{found["offset"] + max(found["length"], 1) - 1}]</code></td><td class="n">{found["count"]:,}</td><td>{samples}</td></tr>')  # fmt: skip
        yield f'<div class="scroll"><table><tr><th>field 필드</th><th>bytes</th><th class="n">count 건수</th><th>then → now 기록 → 이번</th></tr>{"".join(rows)}</table></div>'  # fmt: skip


def _value(value: str | None) -> str:
    return "<i>nothing 없음</i>" if value is None else f"<code>{_e(value)}</code>"


# --- telegrams side by side ---------------------------------------------------------------------------------------------


def _samples(tally: Tally, spec: Spec, values: bool) -> Iterator[str]:
    shown = [told for told in tally.told if told.bucket not in ("same", "baseline_missing")][:SIDE_BY_SIDE]
    if not shown:
        return
    yield "<h2>거래 표본 samples</h2>"
    yield "<p class=quiet>노란색은 불일치, 회색은 마스크로 허용된 차이. Yellow differs, grey may differ by its mask.</p>"
    if not values:
        yield "<p class=quiet>공개되지 않는 필드의 값은 ·· 로 가림 (--show-values). Bytes of fields that are not clear are hidden.</p>"
    for told in shown:
        yield from _sample(told, spec, values)


def _sample(told: Told, spec: Spec, values: bool) -> Iterator[str]:
    took = "" if told.took is None else f", {told.took / 1e6:,.1f} ms"
    why = f": {_e(told.why)}" if told.why else ""
    yield f"<details{' open' if told.bucket == 'different' else ''}><summary><b>{_e(told.x)}</b> (record {told.n}) {_e(told.message)}: {_WORDS[told.bucket]} {told.bucket}{why}{took}</summary>"  # fmt: skip
    for part in range(max(len(told.expected), len(told.got))):
        then = told.expected[part] if part < len(told.expected) else b""
        now = told.got[part] if part < len(told.got) else b""
        yield _side_by_side(then, now, spec, values, told)
    yield "</details>"


def _side_by_side(then: bytes, now: bytes, spec: Spec, values: bool, told: Told) -> str:
    """What frames the telegrams is left out, so that offsets are those of the fields."""
    prefix, lost = spec.framing.prefix, told.bucket == "unparseable"  # where fields stand in such an answer nobody knows
    meant = {at for each in told.differences for at in range(each.offset, each.offset + max(each.length, 1))}
    one, other = _cells(then, spec, values)[prefix:], _cells(now, spec, values, lost=lost)[prefix:]
    then, now = then[prefix:], now[prefix:]
    rows = ["<tr><td></td><td>then 기록</td><td></td><td>now 이번</td><td></td></tr>"]
    for at in range(0, max(len(one), len(other)), ACROSS):
        mine, theirs = one[at : at + ACROSS], other[at : at + ACROSS]
        if then and now and then[at : at + ACROSS] == now[at : at + ACROSS]:
            if rows[-1] != _SKIPPED:
                rows.append(_SKIPPED)
            continue
        marks = [_mark(then[at + i : at + i + 1], now[at + i : at + i + 1], at + i in meant) for i in range(max(len(mine), len(theirs)))]
        rows.append(f"<tr><td class=quiet>{at:>5}</td><td>{_hex(mine, marks)}</td><td>{_plain(mine, marks)}</td><td>{_hex(theirs, marks)}</td><td>{_plain(theirs, marks)}</td></tr>")  # fmt: skip
    return f'<div class="scroll"><table class="hex">{"".join(rows)}</table></div>'


_SKIPPED: Final = "<tr><td class=quiet>…</td></tr>"


def _mark(one: bytes, other: bytes, meant: bool) -> str:
    """How a byte is drawn: as it is, as one that a mask lets differ, or as part of a difference."""
    return "{}" if one == other or not (one and other) else "<mark>{}</mark>" if meant else '<mark class="masked">{}</mark>'


def _hex(cells: Sequence[tuple[str, str]], marks: Sequence[str]) -> str:
    return " ".join(mark.format(shown) for (shown, _), mark in zip(cells, marks, strict=False))


def _plain(cells: Sequence[tuple[str, str]], marks: Sequence[str]) -> str:
    return "".join(mark.format(_e(text)) if text else "" for (_, text), mark in zip(cells, marks, strict=False))


def _cells(frame: bytes, spec: Spec, values: bool, *, lost: bool = False) -> list[tuple[str, str]]:
    """Hex and text of each byte of a frame; the text of a character stands at its first byte."""
    frame = frame[:SHOWN_AT_MOST]
    hidden = set() if values else set(range(len(frame))) if lost else _hidden(frame, spec)
    texts = _texts(frame, spec.encoding)
    return [("··", "·") if at in hidden else (f"{byte:02x}", texts[at]) for at, byte in enumerate(frame)]


def _hidden(frame: bytes, spec: Spec) -> set[int]:
    """The offsets of bytes that nobody may see."""
    prefix, end = spec.framing.prefix, len(frame) - spec.framing.suffix
    hidden = set(range(prefix, end))
    whole = len(frame) >= prefix + spec.header_size
    message = spec.message_of(frame) if whole else None
    if message is None or spec.check_size(frame, message) is not None:
        return hidden
    telegram = spec.framing.telegram(frame)
    try:
        fields = message.fields_of(telegram)
    except FieldError:
        return hidden
    for planned in fields:
        if planned.log == "clear" and not planned.is_opaque:
            hidden.difference_update(range(prefix + planned.offset, prefix + planned.end))
    return hidden


def _texts(frame: bytes, encoding: str) -> list[str]:
    found: list[str] = []
    while len(found) < len(frame):
        at = len(found)
        for size in (1, 2):
            try:
                text = frame[at : at + size].decode(encoding)
            except (UnicodeError, LookupError):
                continue
            if len(text) == 1 and text.isprintable():
                found += [text, *[""] * (size - 1)]
                break
        else:
            found.append(".")
    return found


def _remarks(report: dict[str, Any]) -> Iterator[str]:
    lines = [f"{count:,} {reason}" for reason, count in report["reasons"].items()]
    lines += [f"{count:,} left out 제외: {reason}" for reason, count in report["left_out"].items()]
    lines += [f"{path}: {count:,} not mapped 이번 실행에 원거래 없음" for path, count in report["not_mapped"].items()]
    lines += [f"{name}: {told['first']:,} … {told['next'] - 1:,}" for name, told in report["numbers"].items()]
    lines += [f"{count:,} noise 정상 응답끼리도 다름: {name}" for name, count in report["noise"].items()]
    lines += report["problems"]
    if lines:
        yield "<h2>참고 remarks</h2><ul>" + "".join(f"<li>{_e(line)}</li>" for line in lines) + "</ul>"
