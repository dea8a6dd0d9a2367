"""What `sipmesh partner list --json` reports of a partner and of its CRLs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.admin.partners_report import PartnerReport
from sipmesh.trust.evidence import LinkKind
from support.network import PARTNER, PARTNER_EDGE, PARTNER_EDGES, copied, federate

HOUR = timedelta(hours=1)


@pytest.fixture(name="partner")
def _partner(example: Organisation, partner_model: Organisation, tmp_path: Path) -> Organisation:
    """partner.test, a partner of example.test."""
    partner = copied(partner_model, tmp_path / "p")
    federate(example, partner)
    return partner


def reported(example: Organisation, at: datetime) -> PartnerReport:
    loaded = example.load()
    [partner] = loaded.topology.federation.partners
    [authority] = loaded.partners
    return PartnerReport.of(partner, authority, at)


def test_partner_is_reported_with_its_keys_of_the_topology(example: Organisation, partner: Organisation) -> None:
    report = reported(example, datetime.now(UTC))
    port = partner.ports[PARTNER_EDGE][LinkKind.PARTNER]
    assert (report.domains, report.edge, report.address) == ((PARTNER,), f"{PARTNER_EDGES}:{port}", None)
    files = [f"partners/{PARTNER}/{name}" for name in ("root.pem", "root.crl", "issuing.crl")]
    assert [*report.anchors, *report.crls] == files
    assert not report.third_party


@pytest.mark.usefixtures("partner")
def test_time_left_is_that_of_the_first_crl(example: Organisation) -> None:
    """It is negative when that CRL has expired."""
    first = min(crl.next_update for one in example.load().partners for crl in one.lists)
    assert reported(example, first - HOUR).left_s == 3600
    assert reported(example, first + HOUR).left_s == -3600


def test_partner_without_one_of_its_crls_has_no_time_left(example: Organisation, partner: Organisation) -> None:
    Path(partner.lists[1]).unlink()
    assert reported(example, datetime.now(UTC)).left_s is None
