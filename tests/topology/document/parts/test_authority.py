"""What a CA may cost, and how long its CRLs are accepted."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sipmesh.topology.document.parts.authority import AuthorityEntry
from sipmesh.topology.document.parts.federation import Partner

AUTHORITY = {"anchors": ["root.pem"], "crls": ["root.crl"]}
DOMAINS = {"domains": ["b.test"]}


@pytest.mark.parametrize(
    ("given", "ours", "partner"),
    [
        ({}, (64 << 20, timedelta(0)), (8 << 20, timedelta(days=1))),
        ({"grace": 2, "list_limit": 1}, *2 * ((1 << 20, timedelta(hours=2)),)),
    ],
)
def test_partner_has_smaller_crls_and_longer_grace_by_default(
    given: dict[str, int], ours: tuple[int, timedelta], partner: tuple[int, timedelta]
) -> None:
    """An attacker who blocks a partner's CRLs for an hour must not cut off the partner."""
    entry, other = (
        AuthorityEntry.model_validate({**AUTHORITY, **given}),
        Partner.model_validate({**AUTHORITY, **DOMAINS, **given}),
    )
    assert (entry.largest_list, entry.grace_time) == ours
    assert (other.largest_list, other.grace_time) == partner
