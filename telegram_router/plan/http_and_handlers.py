"""Services that are spoken to otherwise than in telegrams: handlers imported, requests and mappings of HTTP made."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
from pathlib import Path

from telegram_router.config import HandlerService, HttpService, Party
from telegram_router.errors import places
from telegram_router.plan.check import Check
from telegram_router.plan.rules import taken
from telegram_router.telegrams import Spec
from telegram_router.telegrams.json_mapping import JsonMapping
from telegram_router.wire.handlers import is_handler, takes_a_telegram
from telegram_router.wire.http import HttpRequestTemplate


def load_handler(check: Check, name: str, service: HandlerService) -> None:
    module, _, function = service.handler.partition(":")
    place = ("services", name, "handler")
    folder = str(check.plan.folder.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)  # handlers live beside the configuration, or are installed
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what a module prints is no part of our own output
            found = getattr(importlib.import_module(module), function, None)
    except (Exception, SystemExit) as error:
        check.report(
            "E-CFG-08",
            place,
            f"importing the module fails with {type(error).__name__}{_where(error)}",
            do="see that it can be imported beside this file",
        )
        return
    if found is None:
        check.report("E-CFG-08", place, "the module has no such function")
    elif not is_handler(found):
        check.report("E-CFG-08", place, "is not an async def", "async def NAME(telegram) -> telegram")
    elif not takes_a_telegram(found):
        check.report("E-CFG-08", place, "cannot be called with one telegram", "async def NAME(telegram) -> telegram")
    else:
        check.plan.handlers[name] = found


def plan_mapping(check: Check, name: str, service: HttpService, spec: Spec) -> None:
    response = service.response if "response" in service.model_fields_set else None
    messages = _messages_for(check, name, spec)
    if not messages:  # what its routes are wrong in has been told, or it has none
        return
    _requests(check, name, service, messages)
    mapping = JsonMapping(spec, messages, request=service.request, response=response, literals=service.set)
    for problem in mapping.problems:
        check.report("E-CFG-04", ("services", name, *problem.key), problem.what, problem.expected)
    check.plan.mappings[name] = mapping


def _requests(check: Check, name: str, service: HttpService, messages: list[str]) -> None:
    """What cannot be put into a request is found now, not at the first telegram."""
    for message in messages:
        try:
            HttpRequestTemplate(path_of(service, message), host_header(service), service.headers)
        except ValueError as error:
            check.report("E-CFG-04", ("services", name, "url"), f"no request can be made of it for {message}", str(error))
            return


def _messages_for(check: Check, service: str, spec: Spec) -> list[str]:
    """Messages that some route may lead to this service, by the key values that its matches allow."""
    party: Party = ("service", service)
    wanted = {name for route in check.plan.config.routes if party in route.targets for name in taken(route.match, spec)}
    return [name for name in spec.messages if name in wanted]


def _where(error: BaseException) -> str:
    """Where an import failed, as far as that is no text of the module's own."""
    if isinstance(error, ModuleNotFoundError):
        return f": there is no module {error.name}"
    if isinstance(error, SyntaxError):
        return f" at {Path(error.filename or '').name}:{error.lineno}"
    return f" at {places(error)[-1]}"


def path_of(service: HttpService, message: str) -> str:
    """Where the requests of a message are posted."""
    return service.url.target.replace("{message}", message)


def host_header(service: HttpService) -> str:
    """The host of its URL, with the port unless it is the scheme's own."""
    url = service.url
    host = f"[{url.host}]" if ":" in url.host else url.host
    return host if url.port == {"http": 80, "https": 443}[url.scheme] else f"{host}:{url.port}"
