"""Which OCSP response is stapled at one instant; `server/refresh/test_staple_sources.py` has running servers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.forge import Forge
from sipmesh.server.certificates.own_staples import OwnStaple, OwnStaples
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_set import RevocationLists

NOW = datetime.now(UTC)


def test_response_is_stapled_until_it_ends_or_a_crl_revokes_its_certificate_or_it_is_dropped() -> None:
    forge = Forge(NOW)
    issuing = forge.root("a CA")
    leaf = forge.server(issuing, "a.test")
    der, at, lists = leaf.certificate.public_bytes(Encoding.DER), [NOW], [RevocationLists()]
    staples = OwnStaples(lambda: at[0], lambda: lists[0])
    assert staples.of(der) == b""
    staples.hold(OwnStaple(leaf.certificate, issuing.certificate, b"response", NOW + timedelta(hours=1)))
    assert staples.of(der) == b"response"
    at[0] = NOW + timedelta(hours=1)
    assert staples.of(der) == b""
    at[0] = NOW
    for revoked, stapled in (((), b"response"), ((leaf,), b"")):
        lists[0] = RevocationLists([RevocationList.load(forge.revocations(issuing, revoked))])
        assert staples.of(der) == stapled
    lists[0] = RevocationLists()
    staples.drop(leaf.certificate)
    assert staples.of(der) == b""
