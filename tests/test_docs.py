"""The reference pages hold exactly what the code knows: config keys, error codes, metrics, commands and their options."""

# A failing comparison shows the table as it should be, ready to be pasted into the page.

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic.fields import FieldInfo

from telegram_router.cli import main
from telegram_router.config import TABLES, parse_config
from telegram_router.config.tables import Settings
from telegram_router.errors import CODES, Code
from telegram_router.ops.metrics import METRICS, PREFIX
from telegram_router.ops.operations import OPERATIONS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(head), ["---"] * len(head), *map(list, rows)]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    level = heading.split(" ")[0]
    found = re.search(rf"^{re.escape(heading)}$\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"no heading {heading!r}"
    return found[1]


# --- configuration

FORMS = {
    "Duration": "duration",
    "DurationOrZero": "duration",
    "Size": "size",
    "FrameSize": "size",
    "Count": "number",
    "CountOrZero": "number",
    "Annotated[int, Field(ge=1, le=64)]": "number",
    "Annotated[int, Field(ge=400, le=599)]": "number",
    "ListenAddress": "address",
    "TargetAddress": "address",
    "HttpUrl": "URL",
    "Match": "match",
    "NonEmpty": "text",
    "Name": "name",
    "ServerName": "name",
    "CertificateName": "name",
    "Network": "network",
    "SourceAddress": "source",
    "Handler": "text",
    "Annotated[Listen | None, BeforeValidator(listen_address)]": "address or table",
    "Backends": "list of addresses or tables",
    "CountedBy": "text",
    "IdentifiedBy": "text",
    "Urgency": '`"critical"`, `"high"`, `"normal"`, `"bulk"`',
    "LastingKey": "text",
    "Days": "days",
    "FieldPath": "text",
    "Quantity": "number",
    "Few": "number",
    "Level": "number",
    "Share": "number",
    "ShareOrNone": "number",
    "FileSize": "size",
    "Clock": "time",
    "OpenHours": "hours",
    "Day": "date",
    "str": "text",
    "bool": "`true` or `false`",
}
PLURALS = {"address": "addresses", "date": "dates", "network": "networks", "number": "numbers", "text": "texts"}
TABLE_FORMS = (
    "Log",
    "Metrics",
    "Access",
    "Tracing",
    "Admin",
    "ServerTls",
    "ListenerTls",
    "ProxyProtocol",
    "ClientTls",
    "Health",
    "Ejection",
    "Failover",
    "ServiceBy",
    "LinkConduct",
    "SessionConduct",
    "Usage",
)


def form(annotation: str) -> str:
    """The kind of value, in the words of the page's section "Values"."""
    annotation = annotation.removesuffix(" | None")
    if inner := re.fullmatch(r"Listed\[(.*)\]", annotation):
        return "list of tables" if inner[1] in ("Route", "TlsName") else f"list of {PLURALS[form(inner[1])]}"
    if inner := re.fullmatch(r"OneOrMore\[(.*)\]", annotation):
        return f"{form(inner[1])}, or list of them"
    if annotation.startswith("Table[") or annotation in TABLE_FORMS:
        return "table"
    if choices := re.fullmatch(r"Literal\[(.*)\]", annotation):
        return ", ".join(f"`{each}`" for each in choices[1].replace("'", '"').split(", "))
    return FORMS[annotation]


def default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default in (None, (), {}):
        return ""
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    return f"`{json.dumps(field.default)}`" if isinstance(field.default, str | list) else f"`{field.default}`"


def key_rows(model: type[Settings], keys: Iterable[str]) -> list[list[str]]:
    rows = []
    for name in keys:
        field = model.model_fields[name]
        annotation = next(found[name] for found in map(inspect.get_annotations, model.__mro__) if name in found)
        rows.append([f"`{field.alias or name}`", form(annotation), default_of(field), str(field.description)])
    return rows


HEADINGS = {
    "": "## Top level",
    "log": "## `[log]`",
    "metrics": "## `[metrics]`",
    "access": "## `[access]`",
    "tracing": "## `[tracing]`",
    "admin": "## `[admin]`",
    "admin.tls": "### `tls` of the admin API",
    "listeners.NAME": "## `[listeners.NAME]`",
    "listeners.NAME.tls": "### `tls` of a listener",
    "listeners.NAME.tls.names": "### `names` of a listener's `tls`",
    "listeners.NAME.proxy_protocol": "### `proxy_protocol` of a listener",
    "listeners.NAME.conduct": "### `conduct` of a listener",
    "services.NAME (telegram)": "### Telegram services",
    "services.NAME (http)": "### HTTP services",
    "services.NAME (handler)": "### Handler services",
    "services.NAME.tls": "### `tls` of a service",
    "services.NAME.backends": "### `backends` of a service",
    "services.NAME.listen": "### `listen` of a service",
    "services.NAME.listen.tls": "### `tls` of `listen`",
    "services.NAME.health": "### `health` of a service",
    "services.NAME.ejection": "### `ejection` of a service",
    "services.NAME.failover": "### `failover` of a service",
    "services.NAME.conduct": "### `conduct` of a service",
    "calendars.NAME": "## `[calendars.NAME]`",
    "limits.NAME": "## `[limits.NAME]`",
    "priorities.NAME": "### `[priorities.NAME]`",
    "quotas.NAME": "## `[quotas.NAME]`",
    "usage": "## `[usage]`",
    "routes": "## `[[routes]]`",
    "routes.service_by": "### `service_by` of a route",
}
HEAD = ["key", "value", "default", "meaning"]


def own_keys(name: str) -> list[str]:
    """The keys of a table, without those that every kind of service has."""
    model = TABLES[name]
    common = set(model.__mro__[1].model_fields) if name.startswith("services.NAME (") else set()
    return [key for key in model.model_fields if key not in common]


@pytest.mark.parametrize("name", TABLES)
def test_every_configuration_key_is_documented(name: str):
    assert table(HEAD, key_rows(TABLES[name], own_keys(name))) in section(page("config.md"), HEADINGS[name])


def test_the_keys_of_every_service_are_documented():
    model = TABLES["services.NAME (http)"].__mro__[1]
    assert table(HEAD, key_rows(model, model.model_fields)) in section(page("config.md"), "### Every service")  # type: ignore[arg-type, attr-defined]


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page(name), re.DOTALL | re.MULTILINE)


def test_the_example_of_the_configuration_page_is_a_valid_configuration():
    whole, *_ = blocks("config.md", "toml")
    assert parse_config(whole, "docs/config.md").routes


def test_every_fragment_of_the_configuration_page_is_valid_when_it_is_put_into_a_whole_file():
    _, *fragments = blocks("config.md", "toml")
    whole = '[listeners.branches]\naddress = "127.0.0.1:0"\nspec = "firmbanking"\n[services.transfer]\nbackends = ["127.0.0.1:9"]\nspec = "firmbanking"\n'
    assert fragments
    for fragment in fragments:
        parse_config(whole + fragment, "docs/config.md")


# --- errors

WHAT_HAPPENS = {
    "start": "does not start",
    "line": "connection is closed",
    "telegram": "telegram is refused",
    "internal": "see the log",
    "order": "order is refused",
}


def code_rows(family: str) -> list[list[str]]:
    def row(code: Code) -> list[str]:
        return [code.code, code.title, WHAT_HAPPENS[code.kind], code.delivery.value if code.delivery else "", code.do]

    return [row(code) for code in CODES.values() if code.code.startswith(f"E-{family}-")]


@pytest.mark.parametrize("family", sorted({code.split("-")[1] for code in CODES}))
def test_every_error_code_is_documented(family: str):
    expected = table(["code", "meaning", "what happens", "delivery", "what to do"], code_rows(family))
    (heading,) = re.findall(rf"^## E-{family}.*$", page("errors.md"), re.MULTILINE)
    assert expected in section(page("errors.md"), heading)


def test_no_page_names_a_code_that_does_not_exist():
    for path in [*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"]:
        named = set(re.findall(r"\bE-[A-Z]{3}-\d\d\b", path.read_text(encoding="utf-8")))
        assert named <= CODES.keys(), path.name


# --- metrics


def test_every_metric_is_documented():
    rows = [[f"`{PREFIX}{name}`", each.kind.value, ", ".join(each.labels), each.help] for name, each in METRICS.items()]
    assert table(["name", "type", "labels", "meaning"], rows) in page("metrics.md")


def test_no_page_names_a_metric_that_does_not_exist():
    known = {PREFIX + name for name in METRICS}
    for path in DOCS.glob("*.md"):
        for name in re.findall(rf"\b{PREFIX}\w+", path.read_text(encoding="utf-8")):
            assert re.sub(r"_(bucket|count|sum)$", "", name) in known or name in known, (path.name, name)


# --- the admin API


def test_every_request_of_the_admin_api_is_documented():
    rows = [[f"`{row.method} {row.path}`", row.summary] for row in OPERATIONS]
    assert table(["request", "what it does"], rows) in page("admin.md")


# --- commands


def commands(command: Any, name: str) -> list[tuple[str, Any]]:
    """Every command of a click tree by its full name."""
    below = getattr(command, "commands", {})
    return [(name, command), *(each for key, sub in sorted(below.items()) for each in commands(sub, f"{name} {key}"))]


def usage_of(name: str, command: Any) -> str:
    """As its help shows it, without the options."""
    pieces = command.collect_usage_pieces(command.make_context(name, [], resilient_parsing=True))
    return " ".join([name, *(each for each in pieces if each != "[OPTIONS]")])


def option_rows(name: str, command: Any) -> list[list[str]]:
    context = command.make_context(name, [], resilient_parsing=True)
    options = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
    return [[f"`{each.get_help_record(context)[0]}`", each.help] for each in options]


COMMANDS = [(name, command) for name, command in commands(main, "telegram-router") if not getattr(command, "commands", None)]


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_command_and_option_is_documented(name: str, command: Any):
    below = section(page("cli.md"), f"## `{usage_of(name, command)}`")
    rows = option_rows(name, command)
    assert not rows or table(["option", "meaning"], rows) in below


def test_no_page_names_a_command_that_does_not_exist():
    known = {name for name, _ in commands(main, "telegram-router")}
    for path in [*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md"]:
        for words in re.findall(
            r"^ *(?:\$ )?telegram-router ([a-z]+(?: (?:list|show)\b)?)", path.read_text(encoding="utf-8"), re.MULTILINE
        ):
            assert f"telegram-router {words}" in known, path.name


# --- tests


def test_every_error_code_is_named_by_a_test():
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__))
    assert [code for code in CODES if code not in tests] == []
