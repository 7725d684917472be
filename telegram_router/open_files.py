"""How many files a configuration may need at a time, and whether the system lets them be open. Every connection is one."""

from __future__ import annotations

import resource

from telegram_router.config import Config, HttpService, TelegramService
from telegram_router.errors import CODES, RouterError
from telegram_router.wire.backend_door import most_connections

RESERVE = 128  # the log, specs and certificates that are read, the poller, connections with the metrics and admin ports
ROOMY = 65_536  # what a later reload may want as well, where the system gives it


def files_needed(config: Config) -> int:
    """As many as there can be at once."""
    count = RESERVE + sum(listener.max_sessions + 1 for listener in config.listeners.values())
    for service in config.services.values():
        if isinstance(service, TelegramService):
            probes = len(service.backends) if service.health is not None else 0
            calling = sum(each.address is None for each in service.backends)
            pairs = sum(each.replies is not None for each in service.backends)  # of two connections
            count += service.links * (len(service.backends) - calling + pairs) + probes
            count += most_connections(service.links, calling) + 1 if service.listen is not None else 0
        elif isinstance(service, HttpService):
            count += service.connections + (service.health is not None)
    return count


def allow_files(needed: int) -> None:
    """Raise the soft limit, which shells set for other programs. Raises RouterError E-CFG-17 where the hard one is too low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = needed + ROOMY if hard == resource.RLIM_INFINITY else hard
    if most < needed:
        what = f"the configuration may need {needed:,} open files, and the system allows {most:,}"
        raise RouterError("E-CFG-17", what, expected=f"a hard limit (ulimit -Hn, LimitNOFILE=) of {needed:,}", do=CODES["E-CFG-17"].do)
    wanted = min(most, max(needed, ROOMY))
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
