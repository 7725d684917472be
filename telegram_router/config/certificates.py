"""Tables of certificates: those of the router, whom it lets in, and whom it trusts."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from telegram_router.config.tables import Settings, optional
from telegram_router.config.values import CertificateName, Listed, NonEmpty, OneOrMore, ServerName


def profile_key() -> Any:
    return optional("intermediate", "`modern` is TLS 1.3 only; `intermediate` adds TLS 1.2 with forward-secret AEAD ciphers.")


class CertificatePolicy(Settings):
    """The router's certificate, and whose it asks for in return."""

    certificate: NonEmpty = Field(description="PEM file with the router's certificate and the chain below the root.")
    key: NonEmpty = Field(description="PEM file with its key, readable by the router's user alone.")
    key_passphrase_file: NonEmpty | None = optional(
        None, "File with the passphrase of the key, if it is encrypted: one line, readable by the router's user alone."
    )
    client_ca: NonEmpty | None = optional(None, "PEM file with the CAs whose client certificates are accepted.")
    client_certificate: Literal["required", "optional"] = optional(
        "required", "Whether clients must show a certificate. Only together with `client_ca`; without it none is asked for."
    )
    crl: OneOrMore[NonEmpty] = optional(
        (), "PEM file, or list of files, with the revocation lists (CRL) of these CAs. One that has expired lets no client in."
    )
    crl_check: Literal["leaf", "chain"] = optional(
        "leaf", "Whether the client's certificate alone is looked up in the lists, or every one of its chain."
    )


class ServerTls(CertificatePolicy):
    profile: Literal["intermediate", "modern"] = profile_key()


class ClientPolicy(CertificatePolicy):
    """A certificate policy of a listener, which may let in some clients of a CA and no other."""

    clients: OneOrMore[CertificateName] = optional(
        (),
        "The DNS or URI name (SAN), or list of names, of which a client's certificate must hold one; any other of the same CA is refused "
        "with E-TLS-07. Wildcards, IP addresses and common names are no names here. Default: every certificate of the CAs.",
    )


class TlsName(ClientPolicy):
    """Another certificate, with a client policy of its own, for clients that ask for one of these names."""

    names: OneOrMore[ServerName] = Field(
        description="The DNS name, or list of names, that clients ask for (SNI). `*.bank.example` is every name with one label in its place."
    )


class ListenerTls(ClientPolicy):
    profile: Literal["intermediate", "modern"] = profile_key()
    names: Listed[TlsName] = optional((), "Other certificates, each for names that clients ask for, and each with its own client policy.")
    unknown_name: Literal["default", "refuse"] = optional(
        "default", "Clients that ask for no name or for one that no certificate here has: get this certificate, or are refused."
    )

    @property
    def asks_for_certificates(self) -> bool:
        """Whether clients of some name are asked for their certificates."""
        return any(each.client_ca is not None for each in (self, *self.names))


class ClientTls(Settings):
    ca: NonEmpty | None = optional(None, "PEM file with the CAs that the backend's certificate must come from. Default: the system's.")
    server_name: NonEmpty | None = optional(None, "The name that the backend's certificate must hold. Default: the host of its address.")
    certificate: NonEmpty | None = optional(None, "PEM file with the router's own certificate, when the backend asks for one.")
    key: NonEmpty | None = optional(None, "PEM file with the key of that certificate.")
    key_passphrase_file: NonEmpty | None = optional(
        None, "File with the passphrase of the key, if it is encrypted: one line, readable by the router's user alone."
    )
