"""An act of the CA that can cut off all servers is confirmed, after the links with partners were tried."""

from __future__ import annotations

import pytest

from cli.world import EDGE, Organisation
from sipmesh.cli.ca.ask_first import ask_first
from sipmesh.cli.place import Place
from sipmesh.pki.ca_rotation import CaGenerations


def issuing(organisation: Organisation) -> str:
    return f"{CaGenerations(organisation.folder / 'ca').current.issuing.serial_number:x}"


def test_revocation_of_an_issuing_ca_asks(organisation: Organisation) -> None:
    """The control is the same command with --yes."""
    serial, crl = issuing(organisation), (organisation.folder / "ca" / "root.crl").read_bytes()
    asked = organisation.type("ca", "revoke", "--serial", serial, typed="n\n")
    assert asked.code == 1
    assert "is an issuing CA: servers, phones and partners refuse each certificate" in asked.out
    assert (organisation.folder / "ca" / "root.crl").read_bytes() == crl
    assert organisation.type("ca", "revoke", "--serial", serial, "--yes").code == 0
    assert (organisation.folder / "ca" / "root.crl").read_bytes() != crl


def test_revocation_of_a_server_does_not_ask(organisation: Organisation) -> None:
    assert organisation.type("ca", "revoke", "fe1.example.com").code == 0


def test_with_yes_nothing_is_tried(organisation: Organisation) -> None:
    ask_first(Place(organisation.file), ["all of it"], yes=True)


@pytest.mark.wide
def test_link_with_a_partner_that_fails_is_shown_before_the_question(organisation: Organisation) -> None:
    assert organisation.type("topology", "add", "pool", "--role", "edge").code == 0
    assert organisation.type("ca", "issue", EDGE).code == 0
    organisation.publish("an edge")
    other = Organisation.make(organisation.folder.parent / "p", "partner.test")
    credentials = [f"{other.folder}/ca/{name}" for name in ("root.pem", "root.crl", "issuing.crl")]
    added = organisation.type(
        *("partner", "add", "partner.test", "--edge", "sip.partner.test:1", "--address", "127.0.0.1"),
        *("--ca", credentials[0], "--crl", credentials[1], "--crl", credentials[2]),
    )
    assert added.code == 0, added.err
    asked = organisation.type("ca", "revoke", "--serial", issuing(organisation), typed="n\n")
    assert (asked.code, "Connection refused" in asked.out, "Mend these links first" in asked.out) == (1, True, True)
