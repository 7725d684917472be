"""The tables of TLS: names that clients ask for, revocation lists, passphrases; and what contradicts itself in them."""

from __future__ import annotations

import pytest

from telegram_router.config import ListenerTls, parse_config
from telegram_router.errors import ConfigError

HEAD = """
[listeners.companies]
address = "127.0.0.1:0"
spec = "firmbanking"
"""
TLS = """
[listeners.companies.tls]
certificate = "a.pem"
key = "a.key"
"""
NAME = """
[[listeners.companies.tls.names]]
names = {names}
certificate = "b.pem"
key = "b.key"
"""
REST = """
[services.transfer]
backends = ["127.0.0.1:9"]
[[routes]]
listener = "companies"
service = "transfer"
default = true
"""


def tls_of(text: str) -> ListenerTls:
    found = parse_config(HEAD + text + REST, "bank.toml").listeners["companies"].tls
    assert found is not None
    return found


def problems(text: str, head: str = HEAD) -> list[tuple[str, str, str]]:
    with pytest.raises(ConfigError) as caught:
        parse_config(head + text + REST, "bank.toml")
    return [(each.code, each.key, each.what) for each in caught.value.problems]


def named(names: str, more: str = "") -> str:
    return NAME.format(names=names) + more


def test_names_and_lists_may_be_one_or_several():
    tls = tls_of(TLS + 'client_ca = "c.pem"\ncrl = "d.pem"\n' + named('"A.example"') + named('["b.example", "*.b.example"]'))
    assert tls.crl == ("d.pem",) and [each.names for each in tls.names] == [("a.example",), ("b.example", "*.b.example")]
    assert tls.asks_for_certificates and not tls.names[0].client_ca


@pytest.mark.parametrize("name", ["10.0.0.1", "::1", "a b", "가.example", "*", "*.*.example", "a.*.example", "", ".example", "a..b"])
def test_what_no_client_can_ask_for_is_no_name(name: str):
    assert problems(TLS + named(f'"{name}"')) == [("E-CFG-04", "listeners.companies.tls.names[0].names[0]", "is not a DNS name")]


def test_a_name_stands_in_one_table_only():
    found = problems(TLS + named('["a.example", "b.example"]') + named('["c.example", "A.EXAMPLE"]'))
    assert found == [("E-CFG-07", "listeners.companies.tls.names[1].names", "holds a name twice, or one of an earlier table")]


@pytest.mark.parametrize("key", ['client_certificate = "required"', 'crl = "d.pem"'])
def test_what_is_about_client_certificates_needs_their_ca(key: str):
    what = "cannot be checked without client_ca"
    name = key.split(" ")[0]
    assert problems(TLS + key + "\n") == [("E-CFG-07", f"listeners.companies.tls.{name}", what)]
    assert problems(TLS + 'client_ca = "c.pem"\n' + named('"a.example"', key)) == [
        ("E-CFG-07", f"listeners.companies.tls.names[0].{name}", what)
    ]


def test_how_lists_are_checked_needs_lists():
    (found,) = problems(TLS + 'client_ca = "c.pem"\ncrl_check = "chain"\n')
    assert found == ("E-CFG-07", "listeners.companies.tls.crl_check", "belongs to crl")


def test_owners_need_some_name_that_asks_for_certificates():
    head = HEAD + 'owners = { "1234" = ["acme.example"] }\n'
    assert problems(TLS, head) == [("E-CFG-07", "listeners.companies.owners", "needs client certificates")]
    parse_config(head + TLS + named('"a.example"', 'client_ca = "c.pem"') + REST, "bank.toml")


def test_a_key_that_is_unknown_or_missing_in_a_table_of_names_is_told_with_its_place():
    found = problems(TLS + '[[listeners.companies.tls.names]]\nnames = "a.example"\ncertificat = "b.pem"\nkey = "b.key"\n')
    assert ("E-CFG-03", "listeners.companies.tls.names[0].certificat", "unknown key") in found
    assert ("E-CFG-04", "listeners.companies.tls.names[0].certificate", "is missing") in found


def test_no_passphrase_is_written_into_the_configuration_itself():
    (found,) = problems(TLS + 'key_passphrase = "open sesame"\n')
    assert found[:2] == ("E-CFG-03", "listeners.companies.tls.key_passphrase")
