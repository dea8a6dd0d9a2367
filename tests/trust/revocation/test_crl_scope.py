"""Which certificates a CRL covers."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509

from sipmesh.trust.revocation.crl_set import RevocationLists
from trust.crls import CA, FORGE, LEAF, distribution_point, load

POINT_1, POINT_2 = "http://crl.test/1.crl", "http://crl.test/2.crl"


def test_a_relative_distribution_point_is_completed_by_the_issuers_name() -> None:
    relative = x509.RelativeDistinguishedName([x509.NameAttribute(x509.NameOID.COMMON_NAME, "part 1")])
    point = x509.DistributionPoint(None, relative, None, None)
    leaf = FORGE.server(CA, "fe1.example.test", extra=(x509.CRLDistributionPoints([point]),))
    whole = x509.DirectoryName(x509.Name([*CA.certificate.subject.rdns, relative]))
    for named in ({"relative_name": relative}, {"full_name": [whole]}):
        lists = RevocationLists([load(extensions=distribution_point(**named))])
        assert lists.find(leaf.certificate, CA.certificate) is not None
        assert lists.find(LEAF.certificate, CA.certificate) is None


@pytest.mark.parametrize(
    ("changes", "covers"),
    [
        ({"only_contains_user_certs": True}, True),
        ({"only_contains_ca_certs": True}, False),
        ({"full_name": [x509.UniformResourceIdentifier(POINT_1)]}, True),
        ({"full_name": [x509.UniformResourceIdentifier(POINT_2)]}, False),
    ],
)
def test_partitioned_crl_covers_its_distribution_point_only(
    changes: dict[str, Any],
    *,
    covers: bool,
) -> None:
    """A certificate that is missing from another part's list is not good by that."""
    lists = RevocationLists([load(extensions=distribution_point(**changes))])
    assert (lists.find(LEAF.certificate, CA.certificate) is not None) is covers
