"""The account key stays on this host, in a file of mode 0600; an account of another CA is not used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.public_certificates.acme_account import AcmeAccount
from support.pebble import pebble
from support.public_ca import Site, renewal_of
from support.running import on_loop
from support.service import serving_here

DIRECTORY = "https://ca.test/dir"
URL = "https://ca.test/account/1"
MAC = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"


def test_account_is_read_again_with_its_key_and_url(tmp_path: Path) -> None:
    file = tmp_path / "account.json"
    made = replace(AcmeAccount.at(file, DIRECTORY), url=URL)
    made.write()
    read = AcmeAccount.at(file, DIRECTORY)
    assert (read.url, read.jwk.thumbprint()) == (URL, made.jwk.thumbprint())
    assert file.stat().st_mode & 0o777 == 0o600
    assert read.resource is not None
    read.forget()
    assert AcmeAccount.at(file, DIRECTORY).resource is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"directory": 1, "url": 2, "key": 3}', "not JSON"])
def test_file_that_cannot_be_read_and_another_ca_make_a_new_account(tmp_path: Path, text: str) -> None:
    file = tmp_path / "account.json"
    replace(AcmeAccount.at(file, "https://other.test/dir"), url=URL).write()
    assert AcmeAccount.at(file, DIRECTORY).url == ""
    file.write_text(text)
    assert AcmeAccount.at(file, DIRECTORY).url == ""


@pytest.mark.peer("pebble")
@pytest.mark.parametrize(
    ("external", "secret", "why"),
    [
        ({}, "", "the CA makes no account without an external account | add `acme.external_account`"),
        ({"id": "kid-1"}, "?", "has no MAC key in base64url"),
        ({"id": "kid-2"}, MAC, "the CA refuses: unauthorized"),
        ({"id": "kid-1"}, MAC, ""),
    ],
    ids=["none", "no key", "another identifier", "right"],
)
@on_loop
async def test_external_account_is_proved_by_its_mac_key(
    example: Organisation, tmp_path: Path, external: dict[str, str], secret: str, why: str
) -> None:
    site = Site(example)
    keys: dict[str, Any] = {}
    if external:
        (example.folder / "secrets").mkdir()
        (example.folder / "secrets/mac").write_text(secret)
        (example.folder / "secrets/mac").chmod(0o600)
        keys = {"external_account": {**external, "key_file": "secrets/mac"}}
    settings: dict[str, Any] = {"externalAccountBindingRequired": True, "externalAccountMACKeys": {"kid-1": MAC}}
    async with pebble(tmp_path / "ca", **settings) as ca:
        await site.orders_from(ca, **keys)
        async with serving_here(example, site.told) as node:
            if why:
                await site.failed()
                assert why in renewal_of(node)
            else:
                await site.issued()
