"""What concerns those who run the router: the admin API, access records, spans."""

from __future__ import annotations

import importlib
import importlib.util
import os

from telegram_router.config import Access as AccessRecords
from telegram_router.config import Admin, Tracing
from telegram_router.ops.access import Access
from telegram_router.ops.tokens import read_token
from telegram_router.plan.check import Check
from telegram_router.plan.tls import admin_context
from telegram_router.routing.routes import clear_names

HASH_KEY = 64  # bytes that the hash takes


def check_admin(check: Check, admin: Admin) -> None:
    tls = admin.tls
    context = admin_context(check, tls) if tls is not None else None
    check.digest(check.path(file) for file in (admin.token_file, admin.viewer_token_file) if file is not None)
    token, viewers_token = (
        read_token(check.plan.folder / file, f"admin.{key}") if file is not None else None
        for key, file in (("token_file", admin.token_file), ("viewer_token_file", admin.viewer_token_file))
    )
    if token is not None and token == viewers_token:
        what = "holds the token of token_file: viewers would be operators"
        check.report("E-CFG-07", ("admin", "viewer_token_file"), what, do="make another token")
    check.plan.admin_access = Access(token, viewers_token, frozenset(admin.operators), frozenset(admin.viewers), context)


def check_access(check: Check, access: AccessRecords) -> None:
    """Where access records go, and by what secret fields are hashed there."""
    if access.file != "-":
        path = check.plan.access_file = check.plan.folder / access.file
        if path.exists() and not path.is_file():
            check.report("E-CFG-01", ("access", "file"), "is no file", do="name a file")
        elif not os.access(path if path.exists() else path.parent, os.W_OK):
            check.report("E-CFG-01", ("access", "file"), "cannot be written", do="make its folder, and give the router's user write access")
    if access.key_file is not None:
        check.digest([check.path(access.key_file)])
        check.plan.access_key = read_token(check.plan.folder / access.key_file, "access.key_file").encode()[:HASH_KEY]
        return
    for spec in check.plan.specs.values():
        hidden = sorted({name for name, _ in spec.correlation_fields} - clear_names(spec))
        if hidden:
            what = f'correlation fields of {spec.name} are left out of the records, since they are not log="clear": {", ".join(hidden)}'
            check.warn(("access",), what, 'set `key_file`, so that `find` finds telegrams by them, or mark them log="clear"')


def check_tracing(check: Check, tracing: Tracing) -> None:
    if tracing.endpoint is not None and importlib.util.find_spec("opentelemetry") is None:
        what = "needs the packages of OpenTelemetry, which are not installed"
        check.report("E-CFG-07", ("tracing", "endpoint"), what, do='pip install "telegram-router[otel]"')
