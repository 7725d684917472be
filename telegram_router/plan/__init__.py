"""From a configuration file to everything that a router needs, or to the list of all that is wrong with it.

Nothing is started here: `telegram-router check` stops at this point.
"""

from telegram_router.plan.files import SHIPPED, digest_of, find_spec, known_specs, read_spec, read_text, spec_folders
from telegram_router.plan.http_and_handlers import host_header, path_of
from telegram_router.plan.plan import Plan
from telegram_router.plan.reading import read_plan
from telegram_router.plan.services import backends_of, callers_of

__all__ = [
    "SHIPPED",
    "Plan",
    "backends_of",
    "callers_of",
    "digest_of",
    "find_spec",
    "host_header",
    "known_specs",
    "path_of",
    "read_plan",
    "read_spec",
    "read_text",
    "spec_folders",
]
