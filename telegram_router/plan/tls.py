"""Certificates of listeners, services, names and the admin API: loaded, or kept from the plan before, and when they end."""

from __future__ import annotations

import ssl
import time
from typing import Literal

from telegram_router.config import CertificatePolicy, ClientPolicy, ClientTls, ListenerTls, ServerTls, TelegramService, TlsName
from telegram_router.errors import ConfigProblem, ConfigWarning
from telegram_router.plan.check import Check
from telegram_router.wire.certificates import certificate_facts, client_context, first_end, server_context
from telegram_router.wire.expiry import Expiry, moment
from telegram_router.wire.expiry import Kind as Ending
from telegram_router.wire.server_names import ServerContext, ServerNames, covers

_ENDING = {"certificate": "certificate", "ca": "CA", "crl": "revocation list"}


def admin_context(check: Check, tls: ServerTls) -> ssl.SSLContext | None:
    check.plan.texts["admin.tls"] = check.digest(map(check.path, _files(tls)))
    old = check.before.config.admin if check.before is not None else None
    if check.before is not None and old is not None and old.tls == tls and _is_as_before(check, "admin.tls"):
        return check.before.admin_access.tls
    context = _context(check, "admin.tls", tls, tls.profile)
    _ends_of(check, "admin.tls", tls)
    return context


def load_listener(check: Check, name: str, tls: ListenerTls) -> None:
    where = f"listeners.{name}.tls"
    check.plan.texts[where] = check.digest(check.path(file) for table in (tls, *tls.names) for file in _files(table))
    old = check.before.config.listeners.get(name) if check.before is not None else None
    if check.before is not None and old is not None and old.tls == tls and _is_as_before(check, where):
        check.plan.server_tls[name] = check.before.server_tls[name]
        return

    def load() -> None:
        check.plan.server_tls[name] = _context(check, where, tls, tls.profile)
        _ends_of(check, where, tls)

    check.gather(load)
    named: dict[str, ServerContext] = {}
    for place, table in enumerate(tls.names):
        check.gather(lambda place=place, table=table: _named(check, named, f"{where}.names[{place}]", table, tls.profile))  # type: ignore[misc]
    default = check.plan.server_tls.get(name)
    if (tls.names or tls.unknown_name == "refuse") and default is not None:
        own = certificate_facts(check.path(tls.certificate) or "").dns_names
        ServerNames(default, named, own=own, refuse_unknown=tls.unknown_name == "refuse")


def load_service(check: Check, name: str, tls: ClientTls | None) -> None:
    """Without a table there are the CAs that the system trusts."""
    where = f"services.{name}.tls"
    given = [tls.ca, tls.certificate, tls.key, tls.key_passphrase_file] if tls is not None else [None] * 4
    ca, certificate, key, passphrase_file = map(check.path, given)
    check.plan.texts[where] = check.digest([ca, certificate, key, passphrase_file])

    def load() -> None:
        check.plan.client_tls[name] = client_context(ca, certificate, key, key_passphrase_file=passphrase_file, where=where)
        if tls is not None:
            _ends_of(check, where, tls)

    old = check.before.config.services.get(name) if check.before is not None else None
    known = check.before.client_tls.get(name) if check.before is not None else None
    if known is not None and getattr(old, "tls", None) == tls and tls is not None and _is_as_before(check, where):
        check.plan.client_tls[name] = known
    else:
        check.gather(load)


def load_door(check: Check, name: str, tls: ServerTls) -> None:
    """Of backends that dial us."""
    where = f"services.{name}.listen.tls"
    check.plan.texts[where] = check.digest(map(check.path, _files(tls)))
    former = check.before.config.services.get(name) if check.before is not None else None
    known = check.before.backend_tls.get(name) if check.before is not None else None
    as_ever = isinstance(former, TelegramService) and former.listen is not None and former.listen.tls == tls
    if known is not None and as_ever and _is_as_before(check, where):
        check.plan.backend_tls[name] = known
        return

    def load() -> None:
        check.plan.backend_tls[name] = _context(check, where, tls, tls.profile)
        _ends_of(check, where, tls)

    check.gather(load)


def _named(check: Check, named: dict[str, ServerContext], where: str, table: TlsName, profile: Literal["intermediate", "modern"]) -> None:
    context = _context(check, where, table, profile)
    has = certificate_facts(check.path(table.certificate) or "", where=where).dns_names
    for each in table.names:
        if not covers(has, each):
            what = f"the certificate is not for {each}: clients that ask for it would refuse it"
            do = "name a certificate that has this name, or remove the name"
            check.found.append(ConfigProblem("E-CFG-07", check.path(table.certificate) or "", 0, f"{where}.names", what, "", do))
        named[each] = context
    _ends_of(check, where, table)


def _is_as_before(check: Check, where: str) -> bool:
    """Whether the files of a table that is the same hold the same. Then what runs by them goes on, and what has ended meanwhile is told:
    it must not keep anything else from being changed."""
    before = check.before
    if before is None or before.folder != check.plan.folder or before.texts.get(where) != check.plan.texts[where]:
        return False
    now = time.time()
    for each in before.ends:
        if each.used_by == where or each.used_by.startswith(f"{where}."):
            check.plan.ends.append(each)
            if each.ends <= now:
                what = f"the {_ENDING[each.kind]} in {each.file} has expired at {moment(each.ends)}; what runs by it goes on"
                check.plan.warnings.append(ConfigWarning(check.filename, 0, each.used_by, what, "renew it and reload"))
    return True


def _ends_of(check: Check, where: str, table: CertificatePolicy | ClientTls) -> None:
    """Remember when what a table names ends. What the system trusts is not the router's to renew."""
    listed = table.crl if isinstance(table, CertificatePolicy) else ()
    trusted = table.client_ca if isinstance(table, CertificatePolicy) else table.ca
    files: list[tuple[Ending, str | None]] = [("certificate", table.certificate), ("ca", trusted), *(("crl", each) for each in listed)]
    for kind, file in files:
        end = first_end(str(check.plan.folder / file), kind, where=where) if file is not None else None
        if file is not None and end is not None:
            check.plan.ends.append(Expiry(where, kind, file, end))


def _context(check: Check, where: str, table: CertificatePolicy, profile: Literal["intermediate", "modern"]) -> ServerContext:
    return server_context(
        check.path(table.certificate) or "",
        check.path(table.key) or "",
        check.path(table.client_ca),
        table.client_certificate,
        profile,
        key_passphrase_file=check.path(table.key_passphrase_file),
        crl=[str(check.plan.folder / each) for each in table.crl],
        crl_check=table.crl_check,
        clients=table.clients if isinstance(table, ClientPolicy) else (),
        where=where,
    )


def _files(table: CertificatePolicy) -> tuple[str | None, ...]:
    return (table.certificate, table.key, table.key_passphrase_file, table.client_ca, *table.crl)
