"""A partner and its names; there is no partner by default."""

from __future__ import annotations

import pytest

from sipmesh.topology.document.parts.federation import Federation, Partner
from sipmesh.trust.role import ClientUsage

AUTHORITY = {"anchors": ["root.pem"], "crls": ["root.crl"]}


def test_a_partner_is_strict_private_and_known_by_domains_and_edge() -> None:
    partner = Partner.model_validate({**AUTHORITY, "domains": ["b.test", "c.test"], "edge": "sip.b.test:5081"})
    assert (partner.client_usage, partner.third_party) == (ClientUsage.STRICT, False)
    assert partner.edge_address == ("sip.b.test", 5081)
    assert partner.identities == ("b.test", "c.test", "sip.b.test")


def test_a_partner_without_an_edge_is_known_by_its_domains() -> None:
    partner = Partner.model_validate({**AUTHORITY, "domains": ["b.test"]})
    assert partner.edge_address is None
    assert partner.identities == ("b.test",)


@pytest.mark.parametrize("written", ["off", False])
def test_there_is_no_discovery(written: object) -> None:
    """Tools of YAML 1.1 read the word off as false."""
    federation = Federation.model_validate({"discovery": written})
    assert federation.discovery == "off"
    assert federation.partners == ()
