"""What listeners and services want of their connections, as the switch takes it: rules, business hours, fields of its own telegrams."""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

from telegram_router.config import Calendar as CalendarSettings
from telegram_router.config import Conduct, HandlerService, HttpService, LinkConduct, Listener, SessionConduct, TelegramService
from telegram_router.errors import FieldError
from telegram_router.routing.calendar import Calendar, day_of
from telegram_router.routing.conduct import Rules
from telegram_router.routing.conducting import Terms
from telegram_router.telegrams import FieldFault, Spec

HEARTBEAT = 30.0
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = 86_400
YEARS_BACK, YEARS_AHEAD = 1, 6  # for which the offsets of a time zone are looked up; beyond, the last one holds

Party = Listener | TelegramService | HttpService | HandlerService
Beat = Literal["", "poll", "echo"]


class Wrong(NamedTuple):
    """Something in a table that cannot be; `key` is seen from the listener's or service's table."""

    code: str
    key: tuple[str, ...]
    what: str
    expected: str = ""
    do: str = ""


def terms_of(settings: Party, spec: Spec, calendars: Mapping[str, CalendarSettings]) -> Terms | None:
    """The terms of a checked configuration; None where nothing is wanted."""
    conduct = _conduct(settings)
    if conduct is None:
        asks = isinstance(settings, TelegramService) and _answers_polls(settings, spec)
        if settings.calendar is None and not asks:
            return None
        calendar = calendar_of(calendars.get(settings.calendar or ""))
        return Terms(Rules(heartbeat=HEARTBEAT), calendar, beat="poll") if asks else Terms(calendar=calendar)
    calendar = calendar_of(calendars.get(settings.calendar or ""))
    beat = _beat(conduct, spec)
    return Terms(
        rules=Rules(
            sign_on=conduct.sign_on not in (False, "none") if isinstance(conduct, LinkConduct | SessionConduct) else False,
            sign_off=_signs_off(conduct, spec),
            timeout=conduct.timeout,
            heartbeat=_heartbeat(conduct, beat),
            misses=conduct.misses,
            idle=conduct.idle if isinstance(conduct, SessionConduct) else None,
        ),
        calendar=calendar,
        given=conduct.fields,
        forward=isinstance(conduct, SessionConduct) and conduct.sign_on == "forward",
        first=conduct.first_number,
        beat=beat,
        formal=_formal(conduct, spec),
    )


def wrongs(settings: Party, spec: Spec) -> Iterator[Wrong]:
    """What of a party's conduct its spec does not have, or cannot hold."""
    conduct = _conduct(settings)
    if conduct is None:
        return
    has = spec.formalities.roles if spec.formalities is not None else ()
    if isinstance(conduct, LinkConduct | SessionConduct) and conduct.sign_on not in (False, "none") and "sign_on" not in has:
        yield Wrong(
            "E-CFG-07", ("sign_on",), f"the spec {spec.name} declares no sign-on", do="declare `conduct` in the spec, or leave it out"
        )
    if isinstance(conduct, SessionConduct) and conduct.sign_off and "sign_off" not in has:
        yield Wrong("E-CFG-07", ("sign_off",), f"the spec {spec.name} declares no sign-off", do="declare it in the spec, or leave it out")
    beat = _beat(conduct, spec)
    if (conduct.heartbeat or conduct.beat) and not beat:
        key = "beat" if conduct.beat else "heartbeat"
        what = f"the spec {spec.name} has no {'such telegram' if conduct.beat else 'polling frame and no echo telegram'}"
        yield Wrong("E-CFG-07", (key,), what, do="declare it in the spec, or leave it out")
    heartbeat = _heartbeat(conduct, beat)
    if isinstance(conduct, SessionConduct) and conduct.idle is not None and heartbeat is not None and conduct.idle <= heartbeat:
        what = "is not longer than heartbeat: sessions would be closed before anybody asked"
        yield Wrong("E-CFG-07", ("idle",), what, do=f"more than {heartbeat:g}s, or another heartbeat")
    if isinstance(settings, TelegramService) and any(each.replies is not None for each in settings.backends):
        for key, wanted in (
            ("sign_on", settings.conduct is not None and settings.conduct.sign_on),
            ("heartbeat", heartbeat and beat == "echo"),
        ):
            if wanted:
                what = "would be answered on the other connection of a one-way pair, where nobody waits for it"
                yield Wrong("E-CFG-07", (key,), what, do="leave it out; polling frames are answered where they are asked")
    yield from _wrong_fields(conduct, spec, _roles(conduct, spec, beat))


def _wrong_fields(conduct: Conduct, spec: Spec, roles: list[str]) -> Iterator[Wrong]:
    unknown = [name for name in conduct.fields if name not in spec.header_fields]
    for name in unknown:
        yield Wrong("E-CFG-06", ("fields", name), "no such header field", f"one of {', '.join(spec.header_fields)}")
    formalities = spec.formalities
    if formalities is None or unknown:
        return
    for role in roles:
        most = formalities.most(role)
        if most and conduct.first_number > most:
            yield Wrong("E-CFG-07", ("first_number",), "is more than the field of the number holds", f"at most {most}")
            return
        noon = datetime.datetime(2026, 6, 15, 12)
        try:
            spec.decode(formalities.telegram(role, conduct.fields, noon.date(), noon, conduct.first_number))
        except FieldFault as fault:
            yield Wrong("E-CFG-04", ("fields",), f"a field cannot hold its value: {fault.what}", fault.expected)
        except FieldError as error:
            names = sorted({problem.path for problem in error.problems})
            what = f"the router's own {role.replace('_', '-')} would not be valid: {error.problems[0].what} ({', '.join(names)})"
            yield Wrong("E-CFG-04", ("fields",), what, do="give these fields their values")


def _roles(conduct: Conduct, spec: Spec, beat: Beat) -> list[str]:
    """The formalities that the router sends by itself."""
    has = spec.formalities.roles if spec.formalities is not None else ()
    signs_on = isinstance(conduct, LinkConduct) and conduct.sign_on
    wanted = [
        *(["sign_on"] if signs_on else []),
        *(["sign_off"] if _signs_off(conduct, spec) else []),
        *(["echo"] if beat == "echo" else []),
    ]
    return [role for role in wanted if role in has]


def _conduct(settings: Party) -> Conduct | None:
    return settings.conduct if isinstance(settings, Listener | TelegramService) else None


def _answers_polls(service: TelegramService, spec: Spec) -> bool:
    """Whether hosts of this family do, on the connection that asks. Polls hold nothing of the line, so nothing needs to be configured."""
    one_way = any(each.replies is not None for each in service.backends)
    return bool(spec.framing.polls) and spec.framing.polls[0].answer is not None and not one_way


def in_words(settings: Listener | TelegramService, spec: Spec, calendars: Mapping[str, CalendarSettings]) -> str:
    """What is said on its connections without anybody having asked, and what its spec declares for that and nobody uses."""
    terms = terms_of(settings, spec, calendars) or Terms()
    rules = terms.rules
    has = spec.formalities.roles if spec.formalities is not None else ()
    used = {"sign_on": rules.sign_on, "sign_off": rules.sign_off, "echo": "echo" in terms.formal.values()}
    signs_on = "clients sign on" if isinstance(settings, Listener) else "signs on"
    asks = "polls" if terms.beat == "poll" else "echo"
    said = [*([signs_on] if rules.sign_on else []), *([f"{asks} after {rules.heartbeat:g} s"] if rules.heartbeat else [])]
    unused = [role.replace("_", "-") for role in has if not used[role]]
    return "; ".join([*said, *([f"not used: {', '.join(unused)}"] if unused else [])])


def _signs_off(conduct: Conduct, spec: Spec) -> bool:
    can = spec.formalities is not None and "sign_off" in spec.formalities.roles
    if isinstance(conduct, LinkConduct):
        return conduct.sign_on and conduct.sign_off and can
    return isinstance(conduct, SessionConduct) and conduct.sign_off and can


def _beat(conduct: Conduct, spec: Spec) -> Beat:
    """What the other side is asked with."""
    echoes = spec.formalities is not None and "echo" in spec.formalities.roles
    can: list[Beat] = [*(["poll"] if spec.framing.polls else []), *(["echo"] if echoes else [])]  # type: ignore[list-item]
    if conduct.beat is not None:
        return conduct.beat if conduct.beat in can else ""
    return can[0] if can else ""


def _heartbeat(conduct: Conduct, beat: Beat) -> float | None:
    if conduct.heartbeat is None:
        return HEARTBEAT if beat else None
    return conduct.heartbeat or None


def _formal(conduct: Conduct, spec: Spec) -> dict[str, str]:
    """Messages that are the router's own business. A host's sign-on or sign-off goes where the routes say."""
    demanded = isinstance(conduct, SessionConduct) and conduct.sign_on != "none"
    roles = {name: spec.formalities.role_of(name) for name in spec.messages} if spec.formalities is not None else {}
    return {name: role for name, role in roles.items() if role == "echo" or (role and demanded)}


# --- business hours


def calendar_of(settings: CalendarSettings | None) -> Calendar:
    """None: always open, and dates by the clock of this machine."""
    year = datetime.datetime.now(datetime.UTC).year
    if settings is None:
        return Calendar(_offsets(None, year))
    hours = [(hours.begin, hours.end) for hours in settings.hours]
    return Calendar(
        _offsets(settings.timezone, year),
        {WEEK.index(day): hours for day in settings.days},
        frozenset(day_of(day) for day in settings.holidays),
        settings.cutover,
    )


def is_timezone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


@lru_cache(maxsize=64)
def _offsets(timezone: str | None, year: int) -> tuple[tuple[float, int], ...]:
    """From when which offset holds, for some years around this one; one day after the other is asked, and where they differ the second is found."""
    zone = zoneinfo.ZoneInfo(timezone) if timezone is not None else None

    def offset(at: int) -> int:
        there = datetime.datetime.fromtimestamp(at, zone) if zone is not None else datetime.datetime.fromtimestamp(at).astimezone()
        return int((there.utcoffset() or datetime.timedelta()).total_seconds())

    at = day_of(datetime.date(year - YEARS_BACK, 1, 1)) * DAY
    end = day_of(datetime.date(year + YEARS_AHEAD, 1, 1)) * DAY
    found = [(float(at), offset(at))]
    while at < end:
        if offset(at + DAY) != found[-1][1]:
            low, high = at, at + DAY
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == found[-1][1] else (low, middle)
            found.append((float(high), offset(high)))
        at += DAY
    return tuple(found)
