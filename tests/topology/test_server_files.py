"""The certificate files of a server for others, as its view has them."""

from __future__ import annotations

from pathlib import Path

from sipmesh.topology.server_files import ClientFiles, PartnerFiles

CHAIN, KEY = Path("a.pem"), Path("a.key")


def test_certificate_for_clients_is_for_each_port_and_name_unless_it_says_less() -> None:
    assert ClientFiles(CHAIN, KEY) == ClientFiles(CHAIN, KEY, None, frozenset())


def test_partner_knows_us_by_the_name_of_the_pool_unless_the_trunk_has_another() -> None:
    assert PartnerFiles("sbc.test", frozenset({"sbc.test"}), CHAIN, KEY).host == ""
