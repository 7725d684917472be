"""Spans made of records: kinds, times, parents and status; which are made; and that they reach a collector."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trio
from conversation import Talk, firm, reply_to, transfer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from running_router import Host, config, running
from running_router import transfer as a_transfer

from telegram_router.errors import ConfigError
from telegram_router.ops.records import RecordMaker
from telegram_router.ops.spans import AT_ONCE, SpanMaker, batches, export
from telegram_router.plan import read_plan
from telegram_router.routing.traces import Traces, numbered

TRACE, SPAN, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "b7ad6b7169203331"
GOOD = {
    "ts": "2026-03-02T01:00:10.500000Z", "result": "ok", "delivery": "answered", "message": "transfer.request", "listener": "branches",
    "service": "core", "backend": "10.0.0.1:9100", "link": "core#1", "route": "transfer", "queue_ms": 200.0, "answer_ms": 300.0,
    "bytes_in": 304, "bytes_out": 304, "trace": TRACE, "span": SPAN,
}  # fmt: skip


def made(*records: dict[str, Any] | bytes) -> list[ReadableSpan]:
    exporter = InMemorySpanExporter()
    lines = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in records]
    export(iter([lines]), exporter, Resource({"service.name": "test"}))
    return list(exporter.get_finished_spans())


def test_a_request_is_a_server_span_with_a_client_span_below_it():
    server, client = made(GOOD)
    assert (server.kind, client.kind) == (SpanKind.SERVER, SpanKind.CLIENT)
    assert server.context is not None and client.context is not None and client.parent is not None
    assert f"{server.context.trace_id:032x}" == TRACE == f"{client.context.trace_id:032x}"
    assert f"{server.context.span_id:016x}" == SPAN and client.parent.span_id == server.context.span_id != client.context.span_id
    assert server.parent is None and server.name == "core/transfer.request"
    assert server.start_time is not None and server.end_time is not None and client.start_time is not None
    assert (server.end_time - server.start_time, client.start_time - server.start_time) == (500_000_000, 200_000_000)
    assert server.end_time == 1_772_413_210_500_000_000
    assert server.status.status_code is StatusCode.UNSET and server.resource.attributes["service.name"] == "test"
    assert server.attributes is not None and dict(server.attributes) == {
        "rpc.system": "telegram", "rpc.service": "core", "rpc.method": "transfer.request", "telegram.delivery": "answered",
        "telegram.route": "transfer", "telegram.listener": "branches", "telegram.backend": "10.0.0.1:9100", "telegram.bytes_in": 304,
        "telegram.bytes_out": 304,
    }  # fmt: skip


def test_a_failure_has_its_result_as_the_type_of_its_error():
    server, client = made(GOOD | {"result": "timeout", "code": "E-BCK-05", "delivery": "sent_unknown", "parent": PARENT})
    for span in (server, client):
        assert span.status.status_code is StatusCode.ERROR and span.status.description == "E-BCK-05"
        assert span.attributes is not None and span.attributes["error.type"] == "timeout"
    assert server.parent is not None and f"{server.parent.span_id:016x}" == PARENT and server.parent.is_remote


def test_what_was_given_to_no_link_has_no_client_span():
    [server] = made({key: value for key, value in GOOD.items() if key != "link"} | {"result": "no_backend"})
    assert server.kind is SpanKind.SERVER


def test_half_lines_are_passed_over():
    assert len(made(b'{"ts":', b"", b"[]", b'{"ts":"2026"}', GOOD)) == 2


def test_lines_come_whole_and_so_many_at_once():
    reads, writes = os.pipe()
    lines = [b"%d" % number for number in range(AT_ONCE + 10)]
    os.write(writes, b"\n".join(lines) + b"\nhalf")
    os.close(writes)
    found = list(batches(reads))
    os.close(reads)
    assert [len(each) for each in found] == [AT_ONCE, 10] and [line for each in found for line in each] == lines


# --- which are made


def ended(talk: Talk) -> list[Any]:
    talk.switch.ended = []
    bank, host = talk.session(), talk.link()
    bank.sends(*map(transfer, range(1, 5)), b"0300" + b"?" * 300)
    host.sends(*map(reply_to, host.got()), reply_to(transfer(99)))
    return talk.switch.take_ended()[0]


@pytest.mark.parametrize(("share", "count"), [(1.0, 4), (0.0, 0)])
def test_only_sampled_requests_become_spans_and_others_keep_no_trace(share: float, count: int):
    talk = firm()
    talk.switch.traces = Traces(numbered(), share)
    found = ended(talk)
    maker = SpanMaker(talk.switch, RecordMaker(lambda: 0.0, lambda: 0.0, numbered()))
    out: list[bytes] = []
    assert maker.write(found, out) == len(out)
    lines = [json.loads(line) for line in out]
    assert len(lines) == count and all(len(each["span"]) == 16 for each in lines)
    assert {each[2].trace[:32].decode() for each in found if each[2] is not None} == ({each["trace"] for each in lines} or {""})


def test_a_trace_that_somebody_was_told_of_is_kept_though_it_is_not_sampled():
    talk = firm()
    talk.switch.traces = Traces(numbered(), 0.0)
    found = ended(talk)
    exchange = next(each[2] for each in found if each[2] is not None)
    told = talk.switch.trace_of(exchange)
    SpanMaker(talk.switch, RecordMaker(lambda: 0.0, lambda: 0.0, numbered())).write(found, [])
    assert exchange.trace == told


# --- to a collector


class Collector(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Collecting)
        self.spans: list[Any] = []
        self.tokens: list[str | None] = []
        self.came = threading.Event()


class Collecting(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        collector = self.server
        assert isinstance(collector, Collector)
        told = ExportTraceServiceRequest.FromString(body)
        collector.spans += [span for each in told.resource_spans for scope in each.scope_spans for span in scope.spans]
        collector.tokens.append(self.headers.get("x-token"))
        self.send_response(200)
        self.end_headers()
        collector.came.set()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def test_spans_of_a_router_reach_a_collector_and_name_the_trace_of_the_record(tmp_path: Path, collector: Collector):
    more = f"""
        [access]
        file = "access.jsonl"
        [tracing]
        endpoint = "http://127.0.0.1:{collector.server_address[1]}/v1/traces"
        headers = {{ x-token = "secret" }}
    """
    async with Host() as core, running(config(core=core, more=more), tmp_path) as router:
        client = await router.connect()
        await client.asks(a_transfer(17))
        counted = router.router.recording
        with trio.fail_after(20):  # a Python process has to start
            while not collector.came.is_set():  # noqa: ASYNC110 - nothing announces it
                await trio.sleep(0.01)
    server, asked = sorted(collector.spans, key=lambda span: span.kind)
    [record] = [json.loads(line) for line in (tmp_path / "access.jsonl").read_text().splitlines()]
    assert server.trace_id.hex() == record["trace"] == asked.trace_id.hex() and server.span_id.hex() == record["span"]
    assert asked.parent_span_id == server.span_id and collector.tokens == ["secret"] and counted.spans_dropped == 0


def test_without_the_packages_an_endpoint_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    path = tmp_path / "r.toml"
    path.write_text('[listeners.b]\naddress = "127.0.0.1:0"\nspec = "firmbanking"\n[tracing]\nendpoint = "http://127.0.0.1:1/"\n')
    with pytest.raises(ConfigError) as caught:
        read_plan(path)
    assert [(each.code, each.key) for each in caught.value.problems] == [("E-CFG-07", "tracing.endpoint")]
