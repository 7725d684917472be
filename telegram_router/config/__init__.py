"""The configuration file as frozen data, checked whole: every problem at once, each with its file, line and key."""

from telegram_router.config.backends import Backend, Health, Listen
from telegram_router.config.certificates import CertificatePolicy, ClientPolicy, ClientTls, ListenerTls, ServerTls, TlsName
from telegram_router.config.conduct import Calendar, Conduct, LinkConduct, SessionConduct
from telegram_router.config.counting import Limit, Priority, Quota, Usage
from telegram_router.config.lines import dotted
from telegram_router.config.listeners import Listener, ProxyProtocol
from telegram_router.config.model import TABLES, Config
from telegram_router.config.operations import Access, Admin, Log, Metrics, Tracing
from telegram_router.config.reading import Draft, draft_config, parse_config
from telegram_router.config.routes import IN_BODY, Party, Route, ServiceBy
from telegram_router.config.services import AnyService, HandlerService, HttpService, Service, TelegramService
from telegram_router.config.tables import Settings
from telegram_router.config.values import Exact, Prefix, Range, Rule, Source, Url
from telegram_router.written import Address

__all__ = [
    "IN_BODY",
    "TABLES",
    "Access",
    "Address",
    "Admin",
    "AnyService",
    "Backend",
    "Calendar",
    "CertificatePolicy",
    "ClientPolicy",
    "ClientTls",
    "Conduct",
    "Config",
    "Draft",
    "Exact",
    "HandlerService",
    "Health",
    "HttpService",
    "Limit",
    "LinkConduct",
    "Listen",
    "Listener",
    "ListenerTls",
    "Log",
    "Metrics",
    "Party",
    "Prefix",
    "Priority",
    "ProxyProtocol",
    "Quota",
    "Range",
    "Route",
    "Rule",
    "ServerTls",
    "Service",
    "ServiceBy",
    "SessionConduct",
    "Settings",
    "Source",
    "TelegramService",
    "TlsName",
    "Tracing",
    "Url",
    "Usage",
    "dotted",
    "draft_config",
    "parse_config",
]
