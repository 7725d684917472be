"""Whether the router, or one of its services, stands by: holds no circuit and lets nobody in, until an operator says otherwise."""

from __future__ import annotations

from typing import Literal

from telegram_router.config import Config, TelegramService

Phase = Literal["active", "parting", "standby"]


class Standby:
    """What the file says is how it begins; from then on it is what operators said last, whatever is reloaded."""

    def __init__(self, config: Config) -> None:
        self.whole = config.standby
        self.parting = False  # on the way from active to standing by
        self.services: set[str] = set()  # that stand by on their own
        self._met: set[str] = set()
        self.meet(config)

    def meet(self, config: Config) -> None:
        """Services that are new begin as the file says."""
        known, self._met = self._met, set(config.services)
        new = {name for name, each in config.services.items() if isinstance(each, TelegramService) and each.standby}
        self.services = (self.services & self._met) | (new - known)

    def holds(self, service: str) -> bool:
        """Whether this service is to have no circuits now."""
        return self.whole or service in self.services

    @property
    def phase(self) -> Phase:
        if self.parting:
            return "parting"
        return "standby" if self.whole else "active"
