"""What a configuration file is made into: all that a router needs, checked and loaded."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from telegram_router.config import Config
from telegram_router.errors import ConfigWarning
from telegram_router.ops.access import Access
from telegram_router.routing.routes import BodyTest, Test
from telegram_router.telegrams import Spec
from telegram_router.telegrams.json_mapping import JsonMapping
from telegram_router.wire.expiry import Expiry
from telegram_router.wire.handlers import Handler
from telegram_router.wire.server_names import ServerContext


@dataclass
class Plan:
    """A checked configuration with all it names: specs compiled, certificates loaded, handlers imported."""

    config: Config
    folder: Path
    path: Path = Path()  # the configuration file
    spoken: dict[str, str] = field(default_factory=dict)  # the name of the spec of each service
    specs: dict[str, Spec] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)  # what of each spec, and of each party's certificates, was read: a digest
    files: dict[Path, bytes] = field(default_factory=dict)  # all that was read or looked for, and a digest of what was there
    renewed: list[str] = field(default_factory=list)  # specs whose text is another than before, and that take over
    outdated: list[str] = field(default_factory=list)  # likewise, and that cannot: the former text stays until a restart
    server_tls: dict[str, ServerContext] = field(default_factory=dict)  # by listener
    ends: list[Expiry] = field(default_factory=list)  # of own certificates, CAs and revocation lists
    client_tls: dict[str, ssl.SSLContext] = field(default_factory=dict)  # by service
    backend_tls: dict[str, ServerContext] = field(default_factory=dict)  # by service whose backends dial us
    handlers: dict[str, Handler] = field(default_factory=dict)
    mappings: dict[str, JsonMapping] = field(default_factory=dict)
    tests: dict[int, Mapping[str, Test]] = field(default_factory=dict)  # of headers, by place of the route in the file
    body_tests: dict[int, tuple[BodyTest, ...]] = field(default_factory=dict)  # likewise
    choices: dict[int, dict[str, BodyTest]] = field(default_factory=dict)  # likewise: by the value that chooses the service
    warnings: list[ConfigWarning] = field(default_factory=list)
    admin_access: Access = field(default_factory=Access)
    digest: str = ""  # of the configuration file's text
    access_file: Path | None = None  # of access records; None where there are none, or stdout takes them
    access_key: bytes = field(default=b"", repr=False)
    trouble: dict[str, Mapping[str, Test]] = field(default_factory=dict)  # of answers that count against a backend, by service
