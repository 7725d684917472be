"""The table of all that the admin API can be asked and told, and the OpenAPI document made from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from telegram_router import __version__
from telegram_router.ops import answers, ordered

LARGEST_BODY = 16 * 1024


@dataclass(frozen=True)
class Operation:
    """One row. `name` is the method of the API that carries it out; `public` ones need no token; `order`: for operators only."""

    method: Literal["GET", "POST"]
    path: str
    name: str
    summary: str
    answer: type | None  # None: any JSON object
    body: type | None = None
    public: bool = False
    query: tuple[tuple[str, str], ...] = ()  # its parameters, and what they are
    largest: int = LARGEST_BODY
    lines: bool = False  # answered by JSON lines, without an end

    @property
    def order(self) -> bool:
        return self.method == "POST" and self.body is not ordered.Paste

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)


OPERATIONS = (
    Operation("GET", "/status", "status", "Version, listeners, services with their backends, routes, and what they count.", answers.Status),
    Operation("GET", "/sessions", "sessions", "The sessions of all listeners, oldest first, 2,000 at most.", answers.Sessions),
    Operation("GET", "/links", "links", "The connections with backends, oldest first, 2,000 at most.", answers.Links),
    Operation("GET", "/exchanges", "exchanges", "Open exchanges with their delivery state, oldest first, 1,000 at most.", answers.Exchanges),
    Operation("GET", "/limits", "limits", "Limits, how many keys they count and what they have refused.", answers.Limits),
    Operation(
        "GET",
        "/overview",
        "overview",
        "The whole router in few bytes, for who looks once a second.",
        answers.Overview,
        query=(("shape", "That of the names that the asker has; they are not sent again while it is the same."),),
    ),
    Operation("GET", "/errors", "errors", "The last lines of the log that tell of an error, newest first, 200 at most.", answers.Errors),
    Operation(
        "POST",
        "/explain",
        "explain",
        "Explains a telegram field by field, as `telegram-router explain` does; viewers may ask for it too.",
        answers.Explained,
        ordered.Paste,
        largest=1024 * 1024,
    ),
    Operation(
        "GET",
        "/tail",
        "tail",
        "Telegrams as they come and end, one JSON line each, masked by their specs, until the client leaves.",
        answers.TailLine,
        query=(("filter", "Terms such as `message=transfer.* code=E-BCK-05`, all of which must hold."),),
        lines=True,
    ),
    Operation("GET", "/quotas", "quotas", "Quotas, their windows, what has been used of them, and whether it is stored.", answers.Quotas),
    Operation(
        "GET",
        "/usage",
        "usage",
        "Who has asked for how much: requests by how they ended, bytes and amounts, by user, service and day.",
        answers.UsageSeen,
        query=(
            ("from", "The first day, as 2026-03-31. Default: today."),
            ("to", "The last day. Default: today."),
            ("by", "What rows are told apart by: any of `user`, `service`, `day`, joined by commas. Default: all."),
        ),
    ),
    Operation("GET", "/config", "config", "The configuration as it was read, secrets left out.", answers.Configuration),
    Operation("GET", "/certificates", "certificates", "When certificates, CAs and revocation lists end, of listeners, backends and the admin port.", answers.Certificates),
    Operation(
        "POST",
        "/services/{service}/backends/{backend}",
        "order_backend",
        "Takes a backend out (drain, maint) or puts it in again (ready), or changes its weight.",
        answers.BackendSeen,
        ordered.BackendOrder,
    ),
    Operation(
        "POST",
        "/services/{service}/failback",
        "failback",
        "Returns a service to its best priority now, whatever its failback mode.",
        answers.Returned,
        ordered.NoOrder,
    ),
    Operation(
        "POST",
        "/listeners/{listener}/drain",
        "drain_listener",
        "Accepts no more sessions there, and parts with those that are open, spread over a time.",
        answers.ListenerDrained,
        ordered.ListenerOrder,
    ),
    Operation(
        "POST",
        "/listeners/{listener}/open",
        "open_listener",
        "Accepts sessions again at a listener that was drained; those that are still there stay.",
        answers.ListenerOpened,
        ordered.NoOrder,
    ),
    Operation(
        "POST",
        "/messages/{message}",
        "switch_message",
        "Switches a message off, so that its requests are refused, or on again: everywhere, or at one listener or service.",
        answers.MessageSwitched,
        ordered.MessageOrder,
    ),
    Operation(
        "POST",
        "/promote",
        "promote",
        "Takes a router that stands by, or one service of it, into use: ports are opened, links are dialled.",
        answers.Promoted,
        ordered.StandbyOrder,
    ),
    Operation(
        "POST",
        "/demote",
        "demote",
        "Has the router, or one service of it, stand by: ports refuse, sessions and links end when what they have is answered.",
        answers.Promoted,
        ordered.StandbyOrder,
    ),
    Operation(
        "POST",
        "/reload",
        "reload",
        "Reads the configuration file anew and goes on by it; with a problem in it everything stays as it is.",
        answers.Reloaded,
        ordered.ReloadOrder,
    ),
    Operation("GET", "/capture", "capture", "The capture that is made, or that was made last.", answers.CaptureSeen),
    Operation(
        "POST",
        "/capture",
        "start_capture",
        "Begins a capture of what passes, masked if a key is given, written by a process beside the router for so long.",
        answers.CaptureSeen,
        ordered.CaptureOrder,
    ),
    Operation("POST", "/capture/stop", "stop_capture", "Ends the capture, and waits for its file.", answers.CaptureSeen, ordered.NoOrder),
    Operation("GET", "/livez", "livez", "200 while the router runs.", answers.Condition, public=True),
    Operation("GET", "/readyz", "readyz", "200 while the router takes sessions; 503 before it has started, while it stands by, while it drains, and when every listener is drained.", answers.Condition, public=True),
    Operation("GET", "/startupz", "startupz", "200 once the router has started.", answers.Condition, public=True),
    Operation("GET", "/openapi.json", "openapi", "This document.", None),
)  # fmt: skip


SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "description": "The token of operators or of viewers. Viewers give no orders."},
    "certificate": {"type": "mutualTLS", "description": "A client certificate with a name of `operators` or `viewers`."},
}


def document() -> dict[str, Any]:
    """OpenAPI 3.1 of the table."""
    types = [each for row in OPERATIONS for each in (row.answer, row.body) if each is not None]
    _, schemas = msgspec.json.schema_components([*types, answers.Error], ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for row in OPERATIONS:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row)
    return {
        "openapi": "3.1.0",
        "info": {"title": "telegram_router admin API", "version": __version__},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": SCHEMES},
    }


def _operation(row: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": row.name,
        "summary": row.summary,
        "security": [] if row.public else [{}, {"token": []}, {"certificate": []}],
        "responses": {"200": _content("It is done." if row.method == "POST" else "What was asked for.", row.answer)},
    }
    path = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in row.parameters]
    query = [{"name": name, "in": "query", "description": what, "schema": {"type": "string"}} for name, what in row.query]
    if path or query:
        described["parameters"] = path + query
    if row.lines:
        described["responses"]["200"]["content"] = {"application/x-ndjson": described["responses"]["200"]["content"]["application/json"]}
    if row.body is not None:
        described["requestBody"] = {"required": True, **_content("", row.body)}
        del described["requestBody"]["description"]
    if row.public:
        described["responses"]["503"] = _content("Not now.", row.answer)
    else:
        described["responses"]["default"] = _content("Refused.", answers.Error)
    return described


def _content(description: str, kind: type | None) -> dict[str, Any]:
    schema = {"type": "object"} if kind is None else {"$ref": f"#/components/schemas/{kind.__name__}"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}
