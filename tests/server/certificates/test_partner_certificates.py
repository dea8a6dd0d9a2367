"""What single partners get: checked before it is used, and one wrong file concerns one partner."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.certificates.partner_certificates import PartnerCertificates
from sipmesh.topology.view import ServerView, view
from support.network import EDGE, EDGES, PARTNER, PARTNER_EDGES
from transport.authority import Authority

NOW = datetime.now(UTC)
OTHER = "other.test"


@pytest.fixture(name="alpha")
def _alpha(tmp_path: Path) -> Authority:
    """A CA that one partner trusts for us."""
    return Authority.create(tmp_path / "alpha", "Alpha CA")


def edge(example: Organisation, theirs: Organisation, **files: str) -> ServerView:
    """The edge with two partners and the file ``NAME.pem`` for each in *files*: its domain, and the name of the file."""
    document: Any = example.document
    names: list[dict[str, Any]] = [{"domains": [PARTNER, "partner2.test"], "edge": PARTNER_EDGES}, {"domains": [OTHER]}]
    partners = [{**theirs.as_partner(third_party=True), **one} for one in names]
    document["federation"] = {"route": EDGES, "partners": partners}
    server = next(one for pool in document["pools"] for one in pool["servers"] if one["name"] == EDGE)
    server.setdefault("outside", {})["partners"] = [
        {"partner": f"{name}.test", "certificate": f"{file}.pem", "key": f"{file}.key"} for name, file in files.items()
    ]
    example.write()
    return view(example.load(), EDGE)


def test_each_partner_gets_its_own_by_every_name_that_it_has(
    example: Organisation, partner_model: Organisation, alpha: Authority
) -> None:
    alpha.issue(EDGES, file="one")
    found = PartnerCertificates().after(edge(example, partner_model, partner2=str(alpha.folder / "one")), NOW)
    for name in (PARTNER, "partner2.test", PARTNER_EDGES):
        identity = found.of(name)
        assert identity is not None
        assert identity.leaf.issuer == alpha.root.subject
    assert (found.of(OTHER), list(found.faults), len(found.identities)) == (None, [], 1)
    assert [chain.fault for chain in found.chains.values()] == [""]


@pytest.mark.parametrize("fault", ["missing", "other.names.test"])
def test_wrong_file_leaves_what_the_partner_had_and_all_others_as_they_are(
    example: Organisation, partner_model: Organisation, alpha: Authority, fault: str
) -> None:
    alpha.issue(EDGES, file="one")
    alpha.issue(EDGES, file="two")
    here = edge(example, partner_model, partner=str(alpha.folder / "one"), other=str(alpha.folder / "two"))
    before = PartnerCertificates().after(here, NOW)
    if fault == "missing":
        (alpha.folder / "one.key").unlink()
    else:
        alpha.issue(fault, file="one")
    after = before.after(here, NOW)
    assert (after.of(PARTNER), after.of(OTHER)) == (before.of(PARTNER), before.of(OTHER))
    assert len(list(after.faults)) == 1
    assert PartnerCertificates().after(here, NOW).of(PARTNER) is None
    alpha.issue(EDGES, file="one")
    renewed = after.after(here, NOW)
    assert (list(renewed.faults), renewed.of(PARTNER) != before.of(PARTNER)) == ([], True)
    assert renewed.after(here, NOW).of(PARTNER) is renewed.of(PARTNER)
