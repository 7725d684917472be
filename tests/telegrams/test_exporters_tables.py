"""Specs as sheets and back: the same layout, field by field, and nothing lost that is not listed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from telegram_router.telegrams import Spec, load_spec
from telegram_router.telegrams.exporters.tables import export_csv, export_xlsx, not_carried
from telegram_router.telegrams.importers.source import spec_source
from telegram_router.telegrams.importers.tables import import_table_file
from telegram_router.telegrams.spelling import spelled

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.py"))
FORMS: dict[str, Callable[[Spec], bytes]] = {"csv": export_csv, "xlsx": export_xlsx}


def loaded(path: Path) -> Spec:
    return load_spec(path.read_text(encoding="utf-8"), path.name)


def back(content: bytes, name: str) -> Spec:
    found = import_table_file(content, name)
    assert found.spec is not None, [finding.text() for finding in found.findings]
    return load_spec(spec_source(found.spec), f"{name}.py")


def rows(spec: Spec) -> list[tuple[object, ...]]:
    return [
        (message.name, field.path, field.label, field.offset, field.length, field.key, type(field.kind), spelled(field.kind))
        for message in spec.messages.values()
        for field in message.fields
    ]


def told(spec: Spec) -> dict[str, object]:
    """All that a family says beside its fields, as text."""
    family = spec.family
    facts = {
        each.name: spelled(value) if not isinstance(value, str | tuple) else value
        for each in dataclasses.fields(family)
        if each.name not in ("header", "messages", "line") and (value := getattr(family, each.name)) is not None
    }
    messages = [(m.name, m.title, m.key, m.kind, m.synthetic, m.reply and spelled(m.reply)) for m in family.messages]
    return facts | {"messages": messages}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_shipped_spec_comes_back_from_its_sheets_as_it_was(path: Path, form: str):
    spec = loaded(path)
    again = back(FORMS[form](spec), f"{path.stem}.{form}")
    assert rows(again) == rows(spec)
    assert told(again) == told(spec)
    assert not_carried(spec) == []
