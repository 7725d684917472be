"""Configuration files: what a good one becomes, and what a bad one is told."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from telegram_router.config import (
    Address,
    Config,
    Exact,
    HandlerService,
    HttpService,
    Prefix,
    Range,
    TelegramService,
    Url,
    parse_config,
)
from telegram_router.errors import CODES, ConfigError, ConfigProblem

MINIMAL = """\
[listeners.branches]
address = "127.0.0.1:9001"
spec = "firmbanking"

[services.transfer]
backends = ["10.0.0.1:9100"]

[[routes]]
listener = "branches"
match = { message_type = "2000" }
service = "transfer"
"""

FULL = """\
specs = ["specs", "more"]
drain = "0s"

[log]
level = "warning"

[metrics]
address = "[::1]:9464"

[listeners.branches]
address = "0.0.0.0:9001"
spec = "firmbanking"
tls = { certificate = "a.pem", key = "a.key", client_ca = "ca.pem", client_certificate = "optional", profile = "modern" }
max_sessions = 10
open_exchanges = 20
unread = "1MiB"
max_frame = "512B"
frame_timeout = "500ms"
write_timeout = "1.5s"
handshake_timeout = "2m"
timeout = "1h"
owners = { COMPANY01 = ["one.example", "two.example"] }

[services.transfer]
backends = ["10.0.0.1:9100", "core.example:9100"]
links = 2
in_flight = 3
tls = {}
spec = "firmbanking"
pending = 0

[services.credit]
protocol = "http"
url = "https://credit.example/v1/{message}?a=b"
headers = { X-Api-Key = "secret" }
definite = [400, 409]
request = { "customer.name" = "body.name" }
response = { "body.amount" = "result.amount" }
set = { "header.response_code" = "0000" }

[services.balance]
handler = "mybank.handlers:balance"

[[routes]]
name = "transfers"
listener = "branches"
match = { message_type = "2000", business_code = ["100", "200"] }
service = "transfer"

[[routes]]
listener = ["branches"]
match = { message_type = { prefix = "6" }, business_code = { min = "100", max = "199" } }
service = "credit"

[[routes]]
listener = "branches"
default = true
service = "balance"
validate = "full"

[[routes]]
from_service = "transfer"
match = { message_type = "4000" }
to_listener = "branches"
"""


def problems(text: str) -> list[ConfigProblem]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "router.toml")
    return list(caught.value.problems)


def replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


# --- good files


def test_what_a_file_leaves_out_has_the_documented_default():
    config = parse_config(MINIMAL, "router.toml")
    assert (config.specs, config.drain, config.log.level, config.metrics) == ((), 30.0, "info", None)
    listener = config.listeners["branches"]
    assert listener.tls is None and listener.owners == {}
    assert (listener.max_sessions, listener.open_exchanges, listener.unread, listener.max_frame) == (1024, 256, 262_144, 65_536)
    assert (listener.frame_timeout, listener.write_timeout, listener.handshake_timeout, listener.timeout) == (10, 10, 5, 30)
    service = config.services["transfer"]
    assert isinstance(service, TelegramService) and service.kind == "telegram"
    assert (service.timeout, service.connect_timeout, service.pending, service.pending_timeout) == (30, 5, 128, 1)
    assert (service.tombstone, service.tombstones, service.links, service.in_flight) == (300, 100_000, 1, 256)
    assert (service.reconnect_min, service.reconnect_max, service.max_frame, service.tls) == (0.5, 30, 65_536, None)
    assert config.routes[0].validation == "header"


def test_every_key_is_read_into_its_own_type():
    config = parse_config(FULL, "router.toml")
    assert config.specs == ("specs", "more") and config.drain == 0
    assert config.metrics is not None and config.metrics.address == Address("::1", 9464)
    listener = config.listeners["branches"]
    assert listener.tls is not None and listener.tls.client_certificate == "optional"
    assert (listener.frame_timeout, listener.write_timeout, listener.handshake_timeout, listener.timeout) == (0.5, 1.5, 120, 3600)
    assert (listener.unread, listener.max_frame) == (1_048_576, 512)
    assert listener.owners == {"COMPANY01": ("one.example", "two.example")}
    transfer, credit, balance = config.services.values()
    assert isinstance(transfer, TelegramService) and isinstance(credit, HttpService) and isinstance(balance, HandlerService)
    assert [backend.address for backend in transfer.backends] == [Address("10.0.0.1", 9100), Address("core.example", 9100)]
    assert transfer.tls is not None and transfer.pending == 0
    assert credit.url == Url("https", "credit.example", 443, "/v1/{message}?a=b")
    assert str(credit.url) == "https://credit.example:443/v1/{message}?a=b"
    assert (credit.headers, credit.definite, credit.set) == ({"X-Api-Key": "secret"}, (400, 409), {"header.response_code": "0000"})
    assert balance.handler == "mybank.handlers:balance"
    exact, ordered, default, notice = config.routes
    assert exact.match == {"message_type": Exact(("2000",)), "business_code": Exact(("100", "200"))}
    assert ordered.match == {"message_type": Prefix("6"), "business_code": Range("100", "199")}
    assert [route.exact for route in config.routes] == [True, False, False, True]
    assert default.default and default.validation == "full"
    assert exact.sources == (("listener", "branches"),) and exact.targets == (("service", "transfer"),)
    assert notice.sources == (("service", "transfer"),) and notice.targets == (("listener", "branches"),)


def test_a_service_speaks_the_spec_of_its_listeners_unless_it_names_one():
    config = parse_config(FULL, "router.toml")
    assert [config.spec_of(name) for name in config.services] == ["firmbanking"] * 3


def test_a_spec_is_found_along_a_chain_of_routes():
    text = MINIMAL + '[services.relay]\nhandler = "a:b"\n[[routes]]\nfrom_service = "transfer"\ndefault = true\nservice = "relay"\n'
    assert parse_config(text, "router.toml").spec_of("relay") == "firmbanking"


def test_a_configuration_cannot_be_changed():
    config = parse_config(FULL, "router.toml")
    with pytest.raises(ValidationError):
        config.drain = 1.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        config.services["new"] = config.services["transfer"]  # type: ignore[index]


def test_secrets_of_headers_are_not_in_the_repr():
    assert "secret" not in repr(parse_config(FULL, "router.toml"))


def test_a_byte_order_mark_is_no_part_of_the_file():
    assert parse_config("\ufeff" + MINIMAL, "router.toml") == parse_config(MINIMAL, "router.toml")


# --- bad files: one change of a good one, and the one problem it must give

BAD: list[tuple[str, str, str, str, str, str, int | str]] = [
    # what is wrong; what is replaced in FULL, by what; code, key, part of the message;
    # the problem's line: lines below the replaced text, or where FULL has this text
    ("unknown key", 'level = "warning"', 'leval = "warning"', "E-CFG-03", "log.leval", 'did you mean "level"?', 0),
    ("unknown table", "[log]", "[logs]", "E-CFG-03", "logs", 'did you mean "log"?', 0),
    ("unknown key without a neighbour", "links = 2", "zzz = 2", "E-CFG-03", "services.transfer.zzz", "backends", 0),
    ("unknown key of an inline table", 'profile = "modern"', 'grade = "a"', "E-CFG-03", "listeners.branches.tls.grade", "profile", 0),
    ("duration without unit", '"500ms"', "10", "E-CFG-04", "listeners.branches.frame_timeout", 'has no unit; expected a duration with its unit, such as "500ms"', 0),
    ("duration of another unit", '"500ms"', '"10 sec"', "E-CFG-04", "listeners.branches.frame_timeout", "is not a duration", 0),
    ("duration of zero", '"500ms"', '"0s"', "E-CFG-04", "listeners.branches.frame_timeout", 'expected more than "0s"', 0),
    ("duration of years", '"500ms"', '"99999h"', "E-CFG-04", "listeners.branches.frame_timeout", 'expected at most "168h"', 0),
    ("negative duration", '"500ms"', '"-1s"', "E-CFG-04", "listeners.branches.frame_timeout", "is not a duration", 0),
    ("size in other units", '"512B"', '"64KB"', "E-CFG-04", "listeners.branches.max_frame", '"64KiB"', 0),
    ("size without unit", '"512B"', "512", "E-CFG-04", "listeners.branches.max_frame", "has no unit", 0),
    ("frame above the ceiling", '"512B"', '"2MiB"', "E-CFG-04", "listeners.branches.max_frame", 'at most "1MiB"', 0),
    ("text for a number", "max_sessions = 10", 'max_sessions = "10"', "E-CFG-04", "listeners.branches.max_sessions", "expected a whole number", 0),
    ("true for a number", "max_sessions = 10", "max_sessions = true", "E-CFG-04", "listeners.branches.max_sessions", "a whole number", 0),
    ("number below one", "max_sessions = 10", "max_sessions = 0", "E-CFG-04", "listeners.branches.max_sessions", "at least 1", 0),
    ("number for text", 'spec = "firmbanking"\ntls', "spec = 7\ntls", "E-CFG-04", "listeners.branches.spec", "expected text in quotes", 0),
    ("empty text", 'spec = "firmbanking"\ntls', 'spec = ""\ntls', "E-CFG-04", "listeners.branches.spec", "is empty", 0),
    ("none of the choices", '"modern"', '"ancient"', "E-CFG-04", "listeners.branches.tls.profile", 'expected "intermediate" or "modern"', 0),
    ("address without port", '"0.0.0.0:9001"', '"0.0.0.0"', "E-CFG-04", "listeners.branches.address", '"host:port"', 0),
    ("address without host", '"0.0.0.0:9001"', '":9001"', "E-CFG-04", "listeners.branches.address", '"host:port"', 0),
    ("port out of range", '"0.0.0.0:9001"', '"0.0.0.0:70000"', "E-CFG-04", "listeners.branches.address", '"host:port"', 0),
    ("address of digits of another script", '"0.0.0.0:9001"', '"0.0.0.0:９００１"', "E-CFG-04", "listeners.branches.address", "host", 0),
    ("backend at port 0", '"core.example:9100"', '"core.example:0"', "E-CFG-04", "services.transfer.backends[1]", "has port 0", 0),
    ("no backends", '["10.0.0.1:9100", "core.example:9100"]', "[]", "E-CFG-04", "services.transfer.backends", "is empty", 0),
    ("backends no list", '["10.0.0.1:9100", "core.example:9100"]', '"a:1"', "E-CFG-04", "services.transfer.backends", "expected a list", 0),
    ("table expected", "tls = {}", "tls = true", "E-CFG-04", "services.transfer.tls", "expected a table", 0),
    ("missing key", 'key = "a.key", ', "", "E-CFG-04", "listeners.branches.tls.key", "is missing; expected PEM file with its key", 0),
    ("URL of another scheme", "https://credit", "ftp://credit", "E-CFG-04", "services.credit.url", "is not a URL", 0),
    ("URL with a password", "https://credit", "https://me:pw@credit", "E-CFG-04", "services.credit.url", "holds a user or a password", 0),
    ("URL with a fragment", "?a=b", "#a", "E-CFG-04", "services.credit.url", "fragment", 0),
    ("URL with a bad port", "credit.example/", "credit.example:x/", "E-CFG-04", "services.credit.url", "is not a URL", 0),
    ("URL with a blank", "/v1/", "/v 1/", "E-CFG-04", "services.credit.url", "is not a URL", 0),
    ("another placeholder", "{message}", "{amount}", "E-CFG-04", "services.credit.url", "another placeholder", 0),
    ("header of the router's own", "X-Api-Key", "Content-Length", "E-CFG-04", "services.credit.headers.Content-Length", "sets itself", 0),
    ("header name with a blank", "X-Api-Key", '"X Api"', "E-CFG-04", 'services.credit.headers."X Api"', "is not a header name", 0),
    ("header value with a line break", '"secret"', '"a\\r\\nb: c"', "E-CFG-04", "services.credit.headers.X-Api-Key", "printable ASCII", 0),
    ("definite success", "[400, 409]", "[400, 200]", "E-CFG-04", "services.credit.definite[1]", "at least 400", 0),
    ("field path", '"body.name"', '"body..name"', "E-CFG-04", 'services.credit.request."customer.name"', "names joined by dots", 0),
    ("handler without a function", '"mybank.handlers:balance"', '"mybank.handlers"', "E-CFG-04", "services.balance.handler", '"mybank.handlers:balance"', 0),
    ("match of a number", 'message_type = "4000"', "message_type = 4000", "E-CFG-04", "routes[3].match.message_type", "so that codes keep their zeros", 0),
    ("match of nothing", 'message_type = "4000"', "message_type = []", "E-CFG-04", "routes[3].match.message_type", "is not a match", 0),
    ("match of another form", '{ prefix = "6" }', '{ suffix = "6" }', "E-CFG-04", "routes[1].match.message_type", "{ prefix", 0),
    ("match of an empty prefix", '{ prefix = "6" }', '{ prefix = "" }', "E-CFG-04", "routes[1].match.message_type", "is not a match", 0),
    ("empty range", 'min = "100"', 'min = "200"', "E-CFG-04", "routes[1].match.business_code", "min not above max", 0),
    ("range of two lengths", 'min = "100"', 'min = "1"', "E-CFG-04", "routes[1].match.business_code", "the same length", 0),
    ("name that is no label", "[services.balance]", '[services."bal ance"]', "E-CFG-04", 'services."bal ance"', "is not a name", "[services.balance]"),
    ("two kinds of a service", 'handler = "mybank.handlers:balance"', 'handler = "a:b"\nurl = "http://a/"', "E-CFG-07", "services.balance", "http and handler", "[services.balance]"),
    ("protocol of another kind", 'backends = ["10.0.0.1:9100", "core.example:9100"]', 'backends = ["a:1"]\nprotocol = "http"', "E-CFG-07", "services.transfer", "telegram and http", "[services.transfer]"),
    ("key of another kind", 'handler = "mybank.handlers:balance"', 'handler = "a:b"\nlinks = 2', "E-CFG-07", "services.balance.links", "belongs to telegram services, and this is a handler service", 1),
    ("certificate policy without a CA", 'client_ca = "ca.pem", ', "", "E-CFG-07", "listeners.branches.tls.client_certificate", "client_ca", 0),
    ("certificate without a key", "tls = {}", 'tls = { certificate = "a.pem" }', "E-CFG-07", "services.transfer.tls", "certificate and key", 0),
    ("TLS for a plain URL", 'https://credit.example/v1/{message}?a=b"', 'http://credit.example/"\ntls = {}', "E-CFG-07", "services.credit.tls", "plain http", 1),
    ("field from two places", '"header.response_code" = "0000"', '"body.amount" = "0"', "E-CFG-07", 'services.credit.set."body.amount"', "response as well", 0),
    ("pauses upside down", "links = 2", 'reconnect_max = "1ms"', "E-CFG-07", "services.transfer.reconnect_min", "reconnect_max", "[services.transfer]"),
    ("metrics for everybody", '"[::1]:9464"', '"0.0.0.0:9464"', "E-CFG-07", "metrics.address", "insecure_public = true", 0),
    ("metrics at a listener's port", '"[::1]:9464"', '"127.0.0.1:9001"', "E-CFG-07", "metrics.address", "listeners.branches", 0),
    ("admin API for everybody", '[log]', '[admin]\naddress = "0.0.0.0:9465"\nplain_http = true\n[log]', "E-CFG-07", "admin.address", "token_file", 1),
    ("admin API in the clear", '[log]', '[admin]\naddress = "0.0.0.0:9465"\ntoken_file = "t"\n[log]', "E-CFG-07", "admin.address", "without TLS", 1),
    ("operators without a CA", '[log]', '[admin]\naddress = "127.0.0.1:9465"\noperators = "ops.bank"\n[log]', "E-CFG-07", "admin.operators", "client certificates", 2),
    ("viewers at a socket", '[log]', '[admin]\nsocket = "s"\nviewers = "ops.bank"\n[log]', "E-CFG-07", "admin.viewers", "belongs to address", 2),
    ("revocation lists without a CA", '[log]', '[admin]\naddress = "127.0.0.1:9465"\n[admin.tls]\ncertificate = "c"\nkey = "k"\ncrl = "l"\n[log]', "E-CFG-07", "admin.tls.crl", "client_ca", 5),
    ("unknown key of the admin API's TLS", '[log]', '[admin]\naddress = "127.0.0.1:9465"\n[admin.tls]\ncertificate = "c"\nkey = "k"\nnames = []\n[log]', "E-CFG-03", "admin.tls.names", "unknown key", 5),
    ("admin API nowhere", '[log]', '[admin]\n[log]', "E-CFG-04", "admin", "neither address nor socket", 0),
    ("admin API at two places", '[log]', '[admin]\naddress = "127.0.0.1:1"\nsocket = "s"\n[log]', "E-CFG-07", "admin", "address and socket", 0),
    ("token for a socket", '[log]', '[admin]\nsocket = "s"\ntoken_file = "t"\n[log]', "E-CFG-07", "admin.token_file", "belongs to address", 2),
    ("admin API at the metrics' port", '[log]', '[admin]\naddress = "[::1]:9464"\n[log]', "E-CFG-07", "admin.address", "metrics", 1),
    ("more links needed than held", "links = 2", "links = 2\nlinks_min = 3", "E-CFG-07", "services.transfer.links_min", "above links", 1),
    ("fewer source ports than links", "links = 2", 'links = 2\nsource = "10.0.0.5:40000"', "E-CFG-07", "services.transfer.source", "1 ports for 2 links", 1),
    ("ports for an HTTP service", 'https://credit.example/v1/{message}?a=b"', 'https://credit.example/v1/{message}?a=b"\nsource = "10.0.0.5:40000"', "E-CFG-07", "services.credit.source", "come and go", 1),
    ("source that is no address", "links = 2", 'links = 2\nsource = "core.example:40000"', "E-CFG-04", "services.transfer.source", "is not a source", 1),
    ("source with its ports upside down", "links = 2", 'links = 2\nsource = "10.0.0.5:40001-40000"', "E-CFG-04", "services.transfer.source", "is not a source", 1),
    ("source from port 0", "links = 2", 'links = 2\nsource = "10.0.0.5:0"', "E-CFG-04", "services.transfer.source", "is not a source", 1),
    ("listening for nobody", "links = 2", 'links = 2\nlisten = "0.0.0.0:9201"', "E-CFG-07", "services.transfer.listen", "nobody is expected", 1),
    ("two sources", 'from_service = "transfer"', 'from_service = "transfer"\nlistener = "branches"', "E-CFG-07", "routes[3]", "listener and from_service", "[[routes]]\nfrom_service"),
    ("no source", 'from_service = "transfer"\n', "", "E-CFG-04", "routes[3]", "neither listener nor from_service", "[[routes]]\nfrom_service"),
    ("match and default", "default = true", 'default = true\nmatch = { x = "1" }', "E-CFG-07", "routes[2]", "match and default", '[[routes]]\nlistener = "branches"\ndefault'),
    ("neither match nor default", "default = true", "match = {}", "E-CFG-04", "routes[2]", "neither match nor default", '[[routes]]\nlistener = "branches"\ndefault'),
    ("two targets", 'to_listener = "branches"', 'to_listener = "branches"\nservice = "balance"', "E-CFG-07", "routes[3]", "service and to_listener", "[[routes]]\nfrom_service"),
    ("no target", 'to_listener = "branches"\n', "", "E-CFG-04", "routes[3]", "neither service nor to_listener", "[[routes]]\nfrom_service"),
    ("back where it came from", 'to_listener = "branches"', 'service = "transfer"', "E-CFG-07", "routes[3].service", "where the telegrams come from", 0),
    ("source that sends nothing", 'from_service = "transfer"', 'from_service = "balance"', "E-CFG-07", "routes[3].from_service", "is a handler service", 0),
    ("header check for a handler", 'validate = "full"', 'validate = "header"', "E-CFG-07", "routes[2].validate", 'always "full"', 0),
    ("unknown listener", 'to_listener = "branches"', 'to_listener = "branch"', "E-CFG-06", "routes[3].to_listener", 'did you mean "branches"?', 0),
    ("unknown service", 'service = "credit"', 'service = "debit"', "E-CFG-06", "routes[1].service", 'there is no service "debit"', 0),
    ("unknown service without a neighbour", 'service = "credit"', 'service = "xyz"', "E-CFG-06", "routes[1].service", "define [services.xyz]", 0),
    ("unknown listener in a list", '["branches"]', '["branches", "atm"]', "E-CFG-06", "routes[1].listener", 'there is no listener "atm"', 0),
    ("name used twice", "[[routes]]\nfrom_service", '[[routes]]\nname = "transfers"\nfrom_service', "E-CFG-07", "routes[3].name", "its own name", 1),
    ("another spec", 'spec = "firmbanking"\npending', 'spec = "ksnet"\npending', "E-CFG-07", "routes[0]", "leads from spec firmbanking to spec ksnet", "[[routes]]\nname"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "code", "key", "part", "at"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_mistake_is_told_with_its_code_line_key_and_what_was_expected(old: str, new: str, code: str, key: str, part: str, at: int | str):
    below, mark = (at, old) if isinstance(at, int) else (0, at)
    line = FULL[: FULL.index(mark)].count("\n") + 1 + below
    found = problems(replaced(FULL, old, new))
    matching = [each for each in found if (each.code, each.line, each.key) == (code, line, key)]
    assert len(matching) == 1, [each.text() for each in found]
    text = matching[0].text()
    assert text.startswith(f"{code}: router.toml:{line}: {key}: ") and part in text
    assert {each.code for each in found if each not in matching} <= {"E-CFG-06", "E-CFG-07"}  # what follows from it, if anything


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('a = "1"\nb = \n', 2),
        ("a = 0200\n", 1),
        ("[log]\n[log]\n", 2),
        ("a = 1\na = 2\n", 2),
        ('[log]\nlevel = "info', 2),
        ("[log]\na = [\n1,\n", 3),
        ("x = " + "[" * 100_000, 0),
    ],
)
def test_broken_syntax_gives_its_line(text: str, line: int):
    (problem,) = problems(text)
    assert (problem.code, problem.line) == ("E-CFG-02", line)
    assert problem.what and problem.do


@pytest.mark.parametrize(
    ("text", "code", "line", "key"),
    [
        ('drain = "1s"\nstate = "a\\u0000b"', "E-CFG-04", 2, "state"),
        ('[listeners.a]\nspec = "x"\ntls = { names = ["a\\u0000"] }', "E-CFG-04", 3, "listeners.a.tls.names[0]"),
        ('[listeners]\n"a\\u0000" = 1', "E-CFG-04", 1, "listeners"),
        ("[limits.a]\nrate = " + "9" * 5_000, "E-CFG-02", 2, ""),
    ],
    ids=["value", "list", "key", "number"],
)
def test_what_the_system_or_python_would_choke_on_is_told_with_its_line(text: str, code: str, line: int, key: str):
    with pytest.raises(ConfigError) as error:
        parse_config(text, "bank.toml")
    (problem,) = error.value.problems
    assert (problem.code, problem.line, problem.key) == (code, line, key)


def test_an_empty_file_says_what_is_missing():
    assert [(each.code, each.key, each.expected) for each in problems("")] == [("E-CFG-04", "listeners", "at least one [listeners.NAME]")]


def test_all_problems_come_at_once_in_the_order_of_the_file():
    text = replaced(FULL, 'level = "warning"', 'level = "loud"')
    text = replaced(text, "max_sessions = 10", "max_sesions = 10")
    text = replaced(text, '"core.example:9100"', '"core.example"')
    text = replaced(text, "links = 2", "links = 2\nconnections = 3")
    text = replaced(text, 'service = "credit"', 'service = "cerdit"')
    text = replaced(text, 'message_type = "4000"', "message_type = 4000")
    assert [(each.line, each.code, each.key) for each in problems(text)] == [
        (5, "E-CFG-04", "log.level"),
        (14, "E-CFG-03", "listeners.branches.max_sesions"),
        (25, "E-CFG-04", "services.transfer.backends[1]"),
        (27, "E-CFG-07", "services.transfer.connections"),
        (54, "E-CFG-06", "routes[1].service"),
        (64, "E-CFG-04", "routes[3].match.message_type"),
    ]


def test_a_broken_listener_does_not_make_its_name_unknown():
    found = problems(replaced(MINIMAL, '"127.0.0.1:9001"', "9001"))
    assert [each.code for each in found] == ["E-CFG-04"]


def test_a_service_without_a_spec_that_no_route_reaches_is_told_to_name_one():
    (problem,) = problems(MINIMAL + '[services.spare]\nbackends = ["a:1"]\n')
    assert (problem.code, problem.line, problem.key) == ("E-CFG-04", 12, "services.spare.spec")


def test_a_service_between_two_specs_is_refused():
    text = MINIMAL + '[listeners.atm]\naddress = "127.0.0.1:9002"\nspec = "ksnet"\n'
    text = replaced(text, 'listener = "branches"', 'listener = ["branches", "atm"]')
    (problem,) = problems(text)
    assert (problem.code, problem.key) == ("E-CFG-07", "services.transfer")
    assert "firmbanking and ksnet" in problem.what


def test_a_service_of_no_kind_is_told_the_kinds():
    (problem,) = problems(replaced(MINIMAL, 'backends = ["10.0.0.1:9100"]', 'timeout = "1s"'))
    assert (problem.code, problem.line, problem.expected) == ("E-CFG-04", 5, "one of backends, url and handler")


@pytest.mark.parametrize(
    "text", ["listeners = 1\n", "services = []\n" + MINIMAL.split("[services")[0], 'routes = "x"\n', "listeners = { a = 1 }\n"]
)
def test_tables_that_are_no_tables_are_told(text: str):
    assert "expected a" in problems(text)[0].text()


# --- two routes for the same telegrams


def routed(*routes: str) -> str:
    listeners = '[listeners.atm]\naddress = "127.0.0.1:9002"\nspec = "firmbanking"\n'
    return MINIMAL.split("[[routes]]")[0] + listeners + "".join(f'[[routes]]\nservice = "transfer"\n{each}\n' for each in routes)


def atm(match: str) -> str:
    return f'listener = "atm"\nmatch = {{ {match} }}'


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (atm('a = "1"'), atm('a = "1"')),
        (atm('a = "1"'), atm('a = ["1", "2"]')),
        (atm('a = "1"'), atm('a = "1", b = "2"')),
        (atm('a = "1"'), atm('b = "2"')),
        (atm('a = ["1", "2"], b = ["3", "4"]'), atm('b = ["4", "5"], a = ["2", "9"]')),
        (atm('a = { prefix = "1" }'), atm('a = { prefix = "1" }')),
        (atm('a = { min = "1", max = "2" }, b = "1"'), atm('b = "1", a = { min = "1", max = "2" }')),
        ('listener = "atm"\ndefault = true', 'listener = ["branches", "atm"]\ndefault = true'),
        (atm('a = "1"'), 'listener = ["branches", "atm"]\nmatch = { a = "1" }'),
    ],
)
def test_routes_that_nothing_orders_may_not_take_the_same_telegrams(one: str, other: str):
    (problem,) = problems(routed(one, other))
    assert (problem.code, problem.key) == ("E-CFG-05", "routes[1]")
    assert "routes[0] (line 11)" in problem.what and "from atm" in problem.what


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (atm('a = "1"'), atm('a = "2"')),
        (atm('a = "1", b = "1"'), atm('a = "1", b = "2"')),
        (atm('a = "1"'), atm('a = { prefix = "1" }')),
        (atm('a = { prefix = "1" }'), atm('a = { prefix = "11" }')),
        (atm('a = "1"'), 'listener = "atm"\ndefault = true'),
        (atm('a = "1"'), 'listener = "branches"\nmatch = { a = "1" }'),
    ],
)
def test_routes_that_differ_or_have_an_order_are_accepted(one: str, other: str):
    assert len(parse_config(routed(one, other), "router.toml").routes) == 2


# --- whatever is written


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_gives_a_configuration_or_its_problems(text: str):
    try:
        parse_config(text, "router.toml")
    except ConfigError as error:
        assert all(problem.code in CODES for problem in error.problems)


PIECES = re.findall(r"\w+|\s+|[^\w\s]", FULL)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(PIECES) - 1), st.sampled_from([*sorted(set(PIECES)), "", "1", '""', "[]", "{}", "-"])),
        min_size=1,
        max_size=4,
    )
)
@example([(0, "listeners")])
def test_a_damaged_file_gives_problems_that_point_into_it(damage: list[tuple[int, str]]):
    pieces = list(PIECES)
    for place, piece in damage:
        pieces[place] = piece
    text = "".join(pieces)
    try:
        assert isinstance(parse_config(text, "router.toml"), Config)
    except ConfigError as error:
        lines = [problem.line for problem in error.problems]
        assert lines == sorted(lines) and all(0 <= line <= text.count("\n") + 1 for line in lines)
        assert all(problem.code in CODES and problem.what for problem in error.problems)


def junk() -> st.SearchStrategy[Any]:
    return st.sampled_from(["1", "true", '"x"', "[]", "{}", '["x"]', "[1]", "[{}]", "{ a = 1 }", "1979-05-27", '{ prefix = "1" }'])


KEYS = sorted({line.split(" = ")[0] for line in FULL.splitlines() if " = " in line})


@settings(deadline=None)
@given(
    st.sampled_from(["", "[log]", "[metrics]", "[listeners.a]", "[services.a]", "[[routes]]"]),
    st.dictionaries(st.sampled_from(KEYS), junk(), min_size=1),
)
def test_values_of_every_wrong_type_are_told_and_never_crash(table: str, pairs: dict[str, str]):
    text = table + "\n" + "".join(f"{key} = {value}\n" for key, value in pairs.items())
    assert all(problem.code in CODES for problem in problems(text))


POLICIES = """\
backends = ["10.0.0.1:9100", { address = "core.example:9100", weight = 3, priority = 1 }]
balance = "hash"
balance_field = "company_number"
health = { probe = "poll", interval = "500ms" }
ejection = { failure_when = { response_code = ["SSSS", "VTIM"] }, rate = 0.25 }
failover = { failback = "manual", slow_start = "0s" }
"""


def test_the_policies_of_backends_are_read_with_their_defaults():
    plain = parse_config(MINIMAL, "router.toml").services["transfer"]
    assert isinstance(plain, TelegramService) and (plain.health, plain.ejection, plain.failover.delay) == (None, None, 30)
    transfer = parse_config(replaced(MINIMAL, 'backends = ["10.0.0.1:9100"]\n', POLICIES), "router.toml").services["transfer"]
    assert isinstance(transfer, TelegramService)
    first, second = transfer.backends
    assert (first.address, first.weight, first.priority) == (Address("10.0.0.1", 9100), 1, 0)
    assert (second.address, second.weight, second.priority) == (Address("core.example", 9100), 3, 1)
    assert (transfer.balance, transfer.balance_field) == ("hash", "company_number")
    assert transfer.health is not None and (transfer.health.probe, transfer.health.interval, transfer.health.fall) == ("poll", 0.5, 3)
    assert transfer.ejection is not None and transfer.ejection.failure_when == {"response_code": Exact(("SSSS", "VTIM"))}
    assert (transfer.ejection.consecutive, transfer.ejection.rate, transfer.ejection.base) == (5, 0.25, 30)
    assert (transfer.failover.failback, transfer.failover.delay, transfer.failover.slow_start) == ("manual", 30, 0)


@pytest.mark.parametrize(
    ("keys", "key", "what"),
    [
        ('backends = [{ address = "core:0" }]', "services.transfer.backends[0].address", "has port 0"),
        ('backends = [{ address = "core:1", weigth = 2 }]', "services.transfer.backends[0].weigth", "unknown key"),
        ('backends = [{ address = "core:1", weight = 0 }]', "services.transfer.backends[0].weight", "is out of range"),
        ("backends = [{ weight = 2 }]", "services.transfer.backends[0].address", "is missing"),
        ('backends = ["core"]', "services.transfer.backends[0]", "is not an address"),
        ('backends = ["core:1"]\nbalance = "hash"', "services.transfer", 'has one of balance = "hash" and balance_field'),
        ('backends = ["core:1"]\nbalance_field = "branch"', "services.transfer", 'has one of balance = "hash" and balance_field'),
        ('backends = ["core:1"]\nhealth = { probe = "http" }', "services.transfer.health.probe", "is not for telegram services"),
        ('backends = ["core:1"]\nhealth = { probe = "tls" }', "services.transfer.health.probe", "needs TLS towards the backends"),
        ('backends = ["core:1"]\nhealth = { path = "/up" }', "services.transfer.health.path", "belongs to the probe http"),
        ('backends = ["core:1"]\nhealth = { intervall = "1s" }', "services.transfer.health.intervall", "unknown key"),
        ('backends = ["core:1"]\nejection = { rate = 0 }', "services.transfer.ejection.rate", "is of the wrong type"),
        ('backends = ["core:1"]\nejection = { base = "10m" }', "services.transfer.ejection.base", "is above longest"),
        ('backends = ["core:1"]\nfailover = { failback = "never" }', "services.transfer.failover.failback", "is none of the choices"),
        ('url = "http://credit/"\nhealth = { probe = "poll" }', "services.transfer.health.probe", "is not for http services"),
    ],
)
def test_policies_of_backends_that_cannot_be(keys: str, key: str, what: str):
    text = replaced(MINIMAL, 'backends = ["10.0.0.1:9100"]', keys)
    assert [(problem.key, problem.what) for problem in problems(text)] == [(key, what)]


LIMITS = """
[limits.company]
key = "header.company_number"
rate = 50

[limits.addresses]
key = ["address", "service"]
rate = 1000
per = "1m"
burst = 10
listener = "branches"
service = ["transfer"]
on_missing_key = "pass"
"""


def test_limits_are_read_with_their_defaults():
    company, addresses = parse_config(MINIMAL + LIMITS, "router.toml").limits.values()
    assert (company.key, company.rate, company.per, company.burst, company.listener, company.service) == (
        ("header.company_number",),
        50,
        1,
        None,
        (),
        (),
    )
    assert (addresses.key, addresses.per, addresses.burst, addresses.on_missing_key) == (("address", "service"), 60, 10, "pass")


@pytest.mark.parametrize(
    ("old", "new", "key", "what"),
    [
        ('key = "header.company_number"', 'key = "company_number"', "limits.company.key", "is nothing to count by"),
        ('key = "header.company_number"', "", "limits.company.key", "is missing"),
        ("rate = 50", "rate = 0", "limits.company.rate", "is out of range"),
        ("burst = 10", "bursts = 10", "limits.addresses.bursts", "unknown key"),
        ('listener = "branches"', 'listener = "branch"', "limits.addresses.listener", 'there is no listener "branch"'),
        ('service = ["transfer"]', 'service = "transfers"', "limits.addresses.service", 'there is no service "transfers"'),
    ],
)
def test_limits_that_cannot_be(old: str, new: str, key: str, what: str):
    found = problems(MINIMAL + replaced(LIMITS, old, new))
    assert [(problem.key.removesuffix("[0]"), problem.what) for problem in found] == [(key, what)]


CALLED = 'backends = [{ name = "seoul", from = ["10.0.0.0/24"] }]'


@pytest.mark.parametrize(
    ("keys", "key", "what"),
    [
        (CALLED, "listen", "is missing"),
        (CALLED.replace(', from = ["10.0.0.0/24"]', ""), "backends[0].address", "is missing"),
        (CALLED.replace('["10.0.0.0/24"]', '["10.0.0.1/24"]'), "backends[0].from[0]", "is not a network"),
        (f'listen = "0.0.0.0:9201"\n{CALLED}\nhealth = {{}}', "health", "there is none"),
        ('listen = "0.0.0.0:9201"\nbackends = [{ name = "a", certificate = "a.example" }]', "backends[0].certificate", "needs the certificates"),
        ('listen = "0.0.0.0:9201"\nbackends = [{ name = "a", certificate = "*.example" }]', "backends[0].certificate[0]", "is a wildcard"),
        ('backends = [{ address = "a:1", name = "a" }]', "backends[0].name", "this one is dialled"),
        ('backends = [{ address = "a:1", from = ["10.0.0.1"] }]', "backends[0].from", "this one is dialled"),
        ('backends = ["a:1", "a:1"]', "backends[1]", "the same as one before"),
        (f'listen = {{ address = "0.0.0.0:9201", extra = "both" }}\n{CALLED}', "listen.extra", "none of the choices"),
        (f'listen = {{ address = "0.0.0.0:9201", tls = {{ certificate = "a", key = "b", crl = "c" }} }}\n{CALLED}', "listen.tls.crl", "client_ca"),
        (f'listen = {{ address = "0.0.0.0:9201", tls = {{ certificate = "a", key = "b", sni = "c" }} }}\n{CALLED}', "listen.tls.sni", "unknown key"),
        (f'listen = {{ address = "0.0.0.0:9201", proxy_protocol = {{ off = 1 }} }}\n{CALLED}', "listen.proxy_protocol.off", "unknown key"),
    ],
)  # fmt: skip
def test_backends_that_dial_us_and_cannot_be_told(keys: str, key: str, what: str):
    text = f'[listeners.a]\naddress = "0.0.0.0:9001"\nspec = "firmbanking"\n[services.transfer]\nspec = "firmbanking"\n{keys}\n'
    found = {problem.key: problem.what for problem in problems(text)}
    assert what in found[f"services.transfer.{key}"], found
