"""A partner of a public CA is added by the preset of that CA."""

from __future__ import annotations

from pathlib import Path

from cli.public_ca import ROOTS, trust
from cli.topology.test_partner import credentials
from cli.world import Organisation, Result
from sipmesh.topology.document.load import load


def add(organisation: Organisation, *more: str) -> Result:
    return organisation.type("partner", "add", "partner.test", "--edge", "sip.partner.test", "--third-party", *more)


def test_preset_names_roots_of_this_system_and_crl_hosts(open_: Organisation, system: Path) -> None:
    added = add(open_, "public")
    assert added.code == 0, added
    assert "CN=Public Root 2" in added.out  # left out, because the system does not trust it
    (entry,) = load(open_.file).topology.federation.partners
    assert (entry.crl_hosts, entry.client_usage, entry.third_party) == (("*.c.public.test",), "server-ok", True)
    (anchor,) = load(open_.file).partners[0].anchors
    assert anchor == ROOTS[1].certificate


def test_preset_without_a_root_in_this_system_adds_no_partner(open_: Organisation, system: Path) -> None:
    trust(system, ROOTS[0])
    refused = add(open_, "public")
    assert refused.code == 1
    assert "has no root of public" in refused.err
    assert load(open_.file).topology.federation.partners == ()


def test_client_usage_of_the_operator_counts_before_the_preset(open_: Organisation, system: Path) -> None:
    assert add(open_, "public", "--client-usage", "strict").code == 0
    assert load(open_.file).topology.federation.partners[0].client_usage == "strict"


def test_unknown_preset_is_refused_with_the_known_presets(open_: Organisation, system: Path) -> None:
    refused = add(open_, "verisign")
    assert refused.code == 1
    assert "name one of public" in refused.err


def test_other_third_party_needs_its_root_and_crls(open_: Organisation, theirs: Path, system: Path) -> None:
    assert add(open_, "other").code == 2
    assert add(open_, "other", "--ca", str(theirs / "root.pem")).code == 2
    assert add(open_, "other", *map(str, credentials(theirs))).code == 0
    assert load(open_.file).topology.federation.partners[0].third_party
