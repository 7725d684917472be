"""From a configuration file to a plan, or to the list of all that is wrong with it: the order of the checks."""

from __future__ import annotations

import hashlib
import sys
from functools import partial
from pathlib import Path

from telegram_router.cardinality import MOST, too_many
from telegram_router.config import draft_config, timers
from telegram_router.errors import ConfigError
from telegram_router.plan.check import Check
from telegram_router.plan.counting import check_counting
from telegram_router.plan.files import digest_of, read_text
from telegram_router.plan.listeners import check_listener, doubt_listener
from telegram_router.plan.operations import check_access, check_admin, check_tracing
from telegram_router.plan.plan import Plan
from telegram_router.plan.routes import check_route
from telegram_router.plan.services import check_service
from telegram_router.plan.specs import load_specs

DIGITS = 12  # of a digest, for people


def read_plan(path: Path, before: Plan | None = None) -> Plan:
    """Check a configuration file and all that it names. Raises ConfigError with every problem found.

    `before`: the plan that is at work. What is as it was there is taken from it: a spec of the same text, certificates of the same files,
    whatever time has made of them.
    """
    digest = digest_of(path)
    text = read_text(path)
    check = Check(draft_config(text, str(path)), path, before)
    check.plan.files[path] = digest
    check.plan.digest = hashlib.sha256(text.encode("utf-8")).hexdigest()[:DIGITS]
    _check_all(check)
    if check.found:
        raise ConfigError(sorted(check.found, key=lambda problem: problem.line if problem.file == str(path) else sys.maxsize))
    return check.plan


def _check_all(check: Check) -> None:
    config = check.plan.config
    if load_specs(check):
        check.found += check.draft.spec_conflicts
    for name, listener in config.listeners.items():
        check_listener(check, name, listener)
    if all([check_route(check, place, route) for place, route in enumerate(config.routes)]):  # noqa: C419 - every one is to be looked at
        check.found += check.draft.overlaps
    for name, service in config.services.items():
        check_service(check, name, service)
    check_counting(check)
    if config.admin is not None:
        check.gather(partial(check_admin, check, config.admin))
    for metric, count in too_many(config, check.plan.specs).items() if config.metrics is not None else ():
        what = f"telegram_router_{metric} would have {count} series, more than {MOST}"
        check.report("E-CFG-07", ("metrics",), what, do="split the configuration over several routers, or leave out this table")
    if config.access is not None:
        check.gather(partial(check_access, check, config.access))
    if config.tracing is not None:
        check_tracing(check, config.tracing)
    for name in config.listeners:
        doubt_listener(check, name)
    for finding in timers.findings(config):
        if finding.works:
            check.warn(finding.path, finding.what, finding.do)
        else:
            check.report("E-CFG-07", finding.path, finding.what, do=finding.do)
