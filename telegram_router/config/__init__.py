"""The configuration file as frozen data, checked whole: every problem at once, each with its file, line and key."""

from telegram_router.config.model import (
    TABLES,
    AnyService,
    ClientTls,
    Config,
    HandlerService,
    HttpService,
    Listener,
    ListenerTls,
    Log,
    Metrics,
    Party,
    Route,
    Service,
    TelegramService,
)
from telegram_router.config.reading import Draft, dotted, draft_config, parse_config
from telegram_router.config.values import Address, Exact, Prefix, Range, Rule, Url

__all__ = [
    "TABLES",
    "Address",
    "AnyService",
    "ClientTls",
    "Config",
    "Draft",
    "Exact",
    "HandlerService",
    "HttpService",
    "Listener",
    "ListenerTls",
    "Log",
    "Metrics",
    "Party",
    "Prefix",
    "Range",
    "Route",
    "Rule",
    "Service",
    "TelegramService",
    "Url",
    "dotted",
    "draft_config",
    "parse_config",
]
