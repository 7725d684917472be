"""What a configuration may want of its connections, and what its spec does not have."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from telegram_router.assembly import build_switch
from telegram_router.config import Calendar, HandlerService, HttpService
from telegram_router.errors import ConfigError
from telegram_router.offices import calendar_of, in_words
from telegram_router.plan import Plan, read_plan
from telegram_router.routing.calendar import day_of
from telegram_router.routing.conduct import Rules

MIDSUMMER, MIDWINTER = datetime.date(2026, 7, 1), datetime.date(2026, 12, 30)
SPEC = Path(__file__).parents[2] / "specs" / "firmbanking.py"
FIELDS = 'fields = { company_number = "C001" }'


def plan(
    folder: Path,
    *,
    service: str = "",
    listener: str = "",
    more: str = "",
    spec: str = "firmbanking",
    backend: str = '"127.0.0.1:9"',
    first: str = "",
) -> Plan:
    file = folder / "router.toml"
    file.write_text(
        f'{first}\n[listeners.branches]\naddress = "127.0.0.1:0"\nspec = "{spec}"\n{listener}\n'
        f"[services.core]\nbackends = [{backend}]\n{service}\n"
        f'[[routes]]\nlistener = "branches"\nservice = "core"\ndefault = true\n{more}\n'
    )
    return read_plan(file)


WRONG = {
    "sign-on of a spec without one": ("iso8583", 'mode = "fifo"\nconduct = { sign_on = true }', "", "E-CFG-07", "declares no sign-on"),
    "sign-on demanded without one": ("iso8583", 'mode = "fifo"', 'conduct = { sign_on = "required" }', "E-CFG-07", "declares no sign-on"),
    "goodbye without one": ("ksnet", "", "conduct = { sign_off = true }", "E-CFG-07", "declares no sign-off"),
    "heartbeat without anything to ask": ("ksnet", 'conduct = { heartbeat = "30s" }', "", "E-CFG-07", "no polling frame"),
    "echo without one": ("hmfb", 'conduct = { beat = "echo" }', "", "E-CFG-07", "no such telegram"),
    "idle before heartbeat": ("firmbanking", "", 'conduct = { idle = "20s" }', "E-CFG-07", "is not longer than heartbeat"),
    "field that is not there": ("firmbanking", 'conduct = { fields = { company = "C001" } }', "", "E-CFG-06", "no such header field"),
    "field that is missing": ("firmbanking", "conduct = { sign_on = true }", "", "E-CFG-04", "header.company_number"),
    "value that does not fit": (
        *("firmbanking", 'conduct = { sign_on = true, fields = { company_number = "C0010000000000" } }', ""),
        *("E-CFG-04", "cannot hold its value"),
    ),
    "number that does not fit": (
        "firmbanking",
        f"conduct = {{ sign_on = true, first_number = 1000000, {FIELDS} }}",
        "",
        "E-CFG-07",
        "more than",
    ),
    "calendar that is not there": ("firmbanking", 'calendar = "bank"', "", "E-CFG-06", 'no calendar "bank"'),
    "unknown key": ("firmbanking", "conduct = { sign_in = true }", "", "E-CFG-03", ""),
    "unknown key of a listener": ("firmbanking", "", "conduct = { sign_onn = true }", "E-CFG-03", ""),
    "one-way pair that signs on": (
        *("firmbanking", f"conduct = {{ sign_on = true, {FIELDS} }}", ""),
        *("E-CFG-07", "on the other connection of a one-way pair"),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_told_with_its_key(name: str, tmp_path: Path):
    spec, service, listener, code, words = WRONG[name]
    pair = '{ address = "127.0.0.1:9", replies = "127.0.0.1:10" }'
    with pytest.raises(ConfigError) as error:
        plan(tmp_path, spec=spec, service=service, listener=listener, backend=pair if "pair" in name else '"127.0.0.1:9"')
    found = [each for each in error.value.problems if each.code == code]
    assert found and found[0].line and words in found[0].what


CALENDARS = {
    "time zone that is none": 'timezone = "Asia/Soul"',
    "hours without an end": 'hours = "09:00"',
    "hours that are none": 'hours = "09:00-09:00"',
    "hours beyond the day": 'hours = "09:00-24:30"',
    "minute that is none": 'hours = "09:60-18:00"',
    "day that is none": 'days = ["monday"]',
    "holiday that is none": 'holidays = ["2026-02-30"]',
    "holiday with a time": "holidays = [2026-02-28T09:00:00]",
    "cutover that is none": 'cutover = "9:00"',
}


@pytest.mark.parametrize("name", CALENDARS)
def test_a_calendar_that_cannot_be_is_told(name: str, tmp_path: Path):
    with pytest.raises(ConfigError) as error:
        plan(tmp_path, more=f"[calendars.bank]\n{CALENDARS[name]}")
    assert [each.code for each in error.value.problems] == ["E-CFG-04"]
    assert error.value.problems[0].key.startswith("calendars.bank.")


def rules(tmp_path: Path, **keys: str) -> Rules:
    office = build_switch(plan(tmp_path, **keys)).services["core"].office
    assert office is not None
    return office.terms.rules


def test_without_a_table_hosts_of_a_family_with_polling_frames_are_polled_and_nothing_else_is_wanted(tmp_path: Path):
    switch = build_switch(plan(tmp_path))
    office = switch.services["core"].office
    assert office is not None and (office.terms.rules, office.terms.beat, office.terms.formal) == (
        Rules(heartbeat=30.0, misses=3),
        "poll",
        {},
    )
    assert switch.listeners["branches"].office is None, "who asks clients must know that they answer"
    assert build_switch(plan(tmp_path, spec="ksnet")).services["core"].office is None
    pair = '{ address = "127.0.0.1:9", replies = "127.0.0.1:10" }'
    assert build_switch(plan(tmp_path, backend=pair)).services["core"].office is None, "nothing may ever come on the half that asks"
    (tmp_path / "specs").mkdir()
    mute = SPEC.read_text("utf-8").replace('b"HDRRESPOLL"', "None").replace('name="firmbanking"', 'name="mute"')
    (tmp_path / "specs" / "mute.py").write_text(mute, "utf-8")
    assert build_switch(plan(tmp_path, spec="mute", first='specs = "specs"')).services["core"].office is None


@pytest.mark.parametrize(
    ("service", "listener", "says"),
    [
        ("", "", ("polls after 30 s; not used: sign-on, sign-off, echo", "not used: sign-on, sign-off, echo")),
        (
            f"conduct = {{ sign_on = true, {FIELDS} }}",
            'conduct = { heartbeat = "0s" }',
            ("signs on; polls after 30 s", "not used: sign-on, sign-off"),
        ),
        (
            'conduct = { heartbeat = "0s" }',
            f'conduct = {{ sign_on = "required", sign_off = true, beat = "echo", heartbeat = "60s", {FIELDS} }}',
            ("not used: sign-on, sign-off", "clients sign on; echo after 60 s"),
        ),
    ],
    ids=["no table", "a link signs on", "clients sign on"],
)
def test_a_check_tells_what_is_said_on_the_line_and_what_the_spec_declares_for_nobody(
    service: str, listener: str, says: tuple[str, str], tmp_path: Path
):
    made = plan(tmp_path, service=service, listener=listener)
    parties = made.config.services["core"], made.config.listeners["branches"]
    spec = made.specs["firmbanking"]
    assert tuple(in_words(each, spec, {}) for each in parties if not isinstance(each, HttpService | HandlerService)) == says


def test_an_empty_table_means_heartbeats_where_the_spec_has_something_to_ask(tmp_path: Path):
    assert rules(tmp_path, service="conduct = {}") == Rules(heartbeat=30.0, misses=3)
    assert rules(tmp_path, service="conduct = {}", spec="ksnet") == Rules()
    assert rules(tmp_path, service='conduct = { heartbeat = "0s" }') == Rules()


def test_a_sign_off_follows_a_sign_on_where_the_spec_has_one(tmp_path: Path):
    wanted = f'conduct = {{ sign_on = true, heartbeat = "0s", {FIELDS} }}'
    assert rules(tmp_path, service=wanted) == Rules(sign_on=True, sign_off=True)
    assert rules(tmp_path, service=wanted, spec="hmfb") == Rules(sign_on=True)


def test_calendars_are_read_as_they_are_written(tmp_path: Path):
    text = 'hours = ["22:00-06:00", "09:00-12:00"]\ndays = ["mon", "sun"]\nholidays = [2026-12-25, "2027-01-01"]\ncutover = "23:30"'
    found = plan(tmp_path, service='calendar = "bank"', more=f"[calendars.bank]\n{text}").config.calendars["bank"]
    assert [tuple(each) for each in found.hours] == [(79_200, 108_000), (32_400, 43_200)]
    assert [each.isoformat() for each in found.holidays] == ["2026-12-25", "2027-01-01"]
    assert found.cutover == 84_600


def test_time_zones_bring_their_summer_time():
    paris = calendar_of(Calendar(timezone="Europe/Paris"))
    summer, winter = (day_of(day) * 86_400.0 for day in (MIDSUMMER, MIDWINTER))
    assert (paris.offset(summer), paris.offset(winter)) == (7200, 3600)
    assert calendar_of(Calendar()).offset(summer) == 9 * 3600
    assert calendar_of(None).look(summer).open
