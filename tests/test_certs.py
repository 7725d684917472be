"""`telegram-router certs`: what it prints can be pasted, what it refuses is said in one sentence."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from telegram_router.cli import main
from telegram_router.wire.certificates import client_context, server_context


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def certs(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["certs", *arguments])


def pasted(result: Result) -> dict[str, str]:
    """The lines of TOML that a command has printed."""
    assert result.exit_code == 0, result.output
    return tomllib.loads(result.stdout.split("\n\n")[1].split(":\n", 1)[1])


def test_the_lines_that_are_printed_make_a_listener_and_a_client_that_trust_each_other(folder: Path):
    trusted = pasted(certs("ca", "--output", 'my "certs"'))
    server = pasted(certs("server", "router.example", "127.0.0.1", "--ca", 'my "certs"'))
    client = pasted(certs("client", "acme.example", "--ca", 'my "certs"', "--output", "acme"))
    assert server_context(server["certificate"], server["key"], trusted["client_ca"])
    assert client_context(client["ca"], client["certificate"], client["key"])
    assert client["certificate"] == "acme/acme.example.pem" and trusted["client_ca"] == client["ca"]


def test_nothing_is_replaced_without_force(folder: Path):
    assert certs("ca", "--output", "certs").exit_code == 0
    again = certs("ca", "--output", "certs")
    assert again.exit_code == 1 and again.stderr == "Error: certs/ca.pem exists; choose another folder, or replace it with --force\n"
    assert certs("ca", "--output", "certs", "--force").exit_code == 0


def test_without_a_ca_the_way_to_one_is_told(folder: Path):
    result = certs("server", "router.example", "--ca", "nowhere")
    assert result.exit_code == 1 and "make a CA first: telegram-router certs ca" in result.stderr and not result.stdout


def test_a_folder_that_cannot_be_made_is_named(folder: Path):
    (folder / "file").write_text("not a folder")
    result = certs("ca", "--output", "file/certs")
    assert result.exit_code == 1 and "Not a directory" in result.stderr and "file/certs" in result.stderr


def test_what_was_made_is_told_as_json(folder: Path):
    certs("ca", "--output", "certs")
    told = json.loads(certs("client", "acme.example", "--ca", "certs", "--days", "3", "--json").stdout)
    assert told["certificate"] == "certs/acme.example.pem" and told["names"] == ["acme.example"] and told["valid_until"] > "2"


def test_show_ends_with_1_if_something_would_be_refused(folder: Path):
    certs("ca", "--output", "certs")
    certs("server", "router.example", "--ca", "certs")
    result = certs("show", "certs/ca.pem", "certs/router.example.pem")
    assert result.exit_code == 0 and result.stdout.count("nothing to refuse") == 2 and "names      router.example\n" in result.stdout
    os.system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=old -keyout old.key -out old.pem 2>/dev/null")
    refused = certs("show", "old.pem", "--json")
    (seen,) = json.loads(refused.stdout)["certificates"]
    assert refused.exit_code == 1 and seen["flaws"] == ["is a CA without key usage"] and seen["subject"] == "CN=old"


def test_show_of_a_file_that_is_no_certificate_is_a_problem_of_that_file(folder: Path):
    (folder / "notes.txt").write_text("no certificate")
    result = certs("show", "notes.txt")
    assert result.exit_code == 78 and "notes.txt" in result.stderr and "E-CFG-15" in result.stderr
