"""The dashboard and the alert rules ask only for metrics and labels that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from telegram_router.ops.metrics import METRICS, PREFIX, Kind

FOLDER = Path(__file__).parents[1] / "docs" / "monitoring"
OF_PROMETHEUS = {"job", "instance", "le"}
FOREIGN = {"process_cpu_seconds_total"}
WORDS = {
    *(
        "sum",
        "count",
        "min",
        "max",
        "by",
        "rate",
        "increase",
        "histogram_quantile",
        "time",
        "or",
        "vector",
        "and",
        "unless",
        "on",
        "label_values",
    ),
}


def dashboard() -> list[str]:
    board = json.loads((FOLDER / "grafana-dashboard.json").read_text("utf-8"))
    found = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    return found + [each["query"]["query"] for each in board["templating"]["list"] if isinstance(each["query"], dict)]


def alerts() -> dict[str, str]:
    """By name. The file is written so that each rule's expression is one line."""
    text = (FOLDER / "alerts.yml").read_text("utf-8")
    return dict(zip(re.findall(r"- alert: (\w+)", text), re.findall(r"^ +expr: (.+)$", text, re.MULTILINE), strict=True))


def names_in(query: str) -> Iterator[tuple[str, set[str]]]:
    """Metrics, each with the labels that are asked of it: in its braces, and in the `by` in front of it."""
    plain = re.sub(r"\[[^\]]*\]", "", query)
    grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", plain) for label in group.split(",")}
    for name, braces in re.findall(r"\b([a-z]\w*_\w+)\b(?:\{([^}]*)\})?", re.sub(r'"[^"]*"', '""', re.sub(r"by \([^)]*\)", "", plain))):
        if name not in WORDS:
            yield name, grouped | set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", braces))


def base_of(name: str) -> str:
    short = name.removeprefix(PREFIX)
    shorter = re.sub(r"_(bucket|count|sum)$", "", short)
    return shorter if shorter in METRICS and METRICS[shorter].kind is Kind.HISTOGRAM else short


def wrong(query: str) -> list[str]:
    found = []
    for name, labels in names_in(query):
        if name in FOREIGN:
            continue
        row = METRICS.get(base_of(name)) if name.startswith(PREFIX) else None
        if row is None:
            found.append(f"no metric {name}")
        else:
            found += [f"{name} has no label {label}" for label in sorted(labels - set(row.labels) - OF_PROMETHEUS)]
    return found


@pytest.mark.parametrize("query", sorted({*dashboard(), *alerts().values()}))
def test_a_query_names_only_what_exists(query: str):
    assert list(names_in(query)) and wrong(query) == []


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("rate(telegram_router_nothing_total[5m])", ["no metric telegram_router_nothing_total"]),
        ("sum by (backend) (telegram_router_sessions_active)", ["telegram_router_sessions_active has no label backend"]),
        ('telegram_router_requests_total{account="1"}', ["telegram_router_requests_total has no label account"]),
        ("telegram_router_sessions_active_bucket", ["no metric telegram_router_sessions_active_bucket"]),
        ("telegram_router_turn_seconds_bucket", []),
    ],
)
def test_a_wrong_query_would_be_found(query: str, told: list[str]):
    assert wrong(query) == told


def test_there_is_an_alert_for_what_an_operator_must_know():
    for metric, words in {
        "delivery_unknown_total": "increase",
        "backend_in_use": "== 0",
        "certificate_expiry_timestamp_seconds": "time()",
        "config_reloads_total": "refused",
        "failovers_total": "10m",
        "backpressure_seconds_total": "rate",
        "access_records_dropped_total": "increase",
    }.items():
        assert [name for name, query in alerts().items() if PREFIX + metric in query and words in query], metric


def test_what_alerts_say_of_labels_is_what_their_queries_leave():
    text = (FOLDER / "alerts.yml").read_text("utf-8")
    for rule in text.split("- alert: ")[1:]:
        query = re.search(r"expr: (.+)", rule)
        assert query is not None
        kept = set().union(*(labels | set(METRICS[base_of(name)].labels) for name, labels in names_in(query[1])))
        assert set(re.findall(r"\$labels\.(\w+)", rule)) <= kept | OF_PROMETHEUS, rule.splitlines()[0]


def test_the_panels_of_the_dashboard_lie_beside_each_other():
    panels = json.loads((FOLDER / "grafana-dashboard.json").read_text("utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 20
    cells = [
        (x, y)
        for each in panels
        for at in [each["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) == 23


def test_the_rules_have_the_form_that_prometheus_takes():
    [group] = yaml.safe_load((FOLDER / "alerts.yml").read_text("utf-8"))["groups"]
    assert set(group) <= {"name", "interval", "rules"} and len(group["rules"]) == len(alerts())
    for rule in group["rules"]:
        assert {"alert", "expr", "labels", "annotations"} <= set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("page", "ticket") and re.fullmatch(r"\d+[smh]", rule.get("for", "0s"))
        assert {"summary"} <= set(rule["annotations"]) <= {"summary", "description"}
        assert all(rule["expr"].count(left) == rule["expr"].count(right) for left, right in ("()", "{}", "[]")), rule["alert"]


# --- what Prometheus itself says of them

promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool, of the package prometheus")


def told_by_promtool(*arguments: str | Path) -> tuple[int, str]:
    ran = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=30, check=False)
    return ran.returncode, ran.stdout + ran.stderr


@promtool
def test_prometheus_can_read_every_query_and_rule(tmp_path: Path):
    queries = [each.replace("$__rate_interval", "5m").replace("$job", ".*") for each in dashboard() if not each.startswith("label_values(")]
    assert len(queries) > 20 and not any("$" in each for each in queries)
    panels = tmp_path / "panels.json"  # which is YAML too
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(queries)]
    panels.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), "utf-8")
    code, said = told_by_promtool("check", "rules", FOLDER / "alerts.yml", panels)
    assert code == 0 and f"{len(alerts())} rules found" in said and f"{len(rules)} rules found" in said, said


DAYS_LEFT = "certificate_expiry_timestamp_seconds{used_by='admin.tls', kind='certificate', file='a.pem'}"
QUIET = {
    "delivery_unknown_total{listener='l', route='r', service='s'}": "4x40",
    "backend_in_use{service='s', backend='a'}": "1x40",
    "backend_in_use{service='s', backend='b'}": "0x40",
    "connects_total{service='s', backend='b', outcome='E-BCK-01'}": "0+1x40",
    "health_checks_total{service='s', backend='b', outcome='failed'}": "0+1x40",
    DAYS_LEFT: f"{60 * 86_400}x40",
    "config_reloads_total{outcome='refused'}": "2x40",
    "config_reloads_total{outcome='ok'}": "0+1x40",
    "failovers_total{service='s', from_priority='0', to_priority='1'}": "0 1x39",
    "backpressure_seconds_total{listener='l'}": "0+30x40",
    "overflow_total{service='s'}": "9x40",
    "access_records_dropped_total": "0x40",
    "containments_total": "1x40",
}
TROUBLE = {
    "TelegramDeliveryUnknown": {"delivery_unknown_total{listener='l', route='r', service='s'}": "4x18 5x20"},
    "TelegramNoHealthyBackend": {"backend_in_use{service='s', backend='a'}": "1x15 0x24"},
    "TelegramCertificateEnds": {DAYS_LEFT: f"{13 * 86_400}x40"},
    "TelegramCertificateEndsNow, TelegramCertificateEnds": {DAYS_LEFT: f"{86_400}x40"},
    "TelegramReloadRefused": {"config_reloads_total{outcome='refused'}": "2x15 3x24"},
    "TelegramFailoverFlapping": {"failovers_total{service='s', from_priority='0', to_priority='1'}": "0x12 1 2 3 4x24"},
    "TelegramBackpressure": {"backpressure_seconds_total{listener='l'}": "0+90x40"},
    "TelegramOverflow": {"overflow_total{service='s'}": "9+1x40"},
    "TelegramAccessRecordsDropped": {"access_records_dropped_total": "0x18 5x20"},
    "TelegramRouterFault": {"containments_total": "1x18 2x20"},
}


@promtool
def test_each_alert_is_raised_by_its_trouble_alone_and_a_router_at_work_raises_none(tmp_path: Path):
    """Twenty minutes, a value each minute."""
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": PREFIX + series, "values": values} for series, values in {**QUIET, **trouble}.items()],
            "promql_expr_test": [
                {
                    "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": "20m",
                    "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in names.split(", ") if name],
                }
            ],
        }
        for names, trouble in {"": {}, **TROUBLE}.items()
    ]
    assert {name for names in TROUBLE for name in names.split(", ")} == set(alerts())
    (tmp_path / "tests.json").write_text(json.dumps({"rule_files": [str(FOLDER / "alerts.yml")], "tests": tests}), "utf-8")
    code, said = told_by_promtool("test", "rules", tmp_path / "tests.json")
    assert code == 0, said
