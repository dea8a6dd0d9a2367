"""The judge of a certificate that a public CA has issued: exactly the names of the order, and all checks of a path."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sipmesh.demo.forge import CLIENT_AUTH, SERVER_AUTH, Forge
from sipmesh.transport.tls.path_check import path_errors
from sipmesh.trust.authority import Authority
from sipmesh.trust.code import Code
from sipmesh.trust.judgement.document_signer import SignerVerdict
from sipmesh.trust.judgement.public_certificate import judge_public_certificate
from sipmesh.trust.revocation.crl_set import RevocationLists

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
FORGE = Forge(NOON)
CA, OTHER = FORGE.organisation("a public CA"), FORGE.organisation("another CA")
NAMES = ("fe1.example.test", "example.test")


def judged(issuer: Any = CA, **changes: Any) -> SignerVerdict:
    """Judge what *issuer* has issued."""
    made = FORGE.server(issuer, **{"dns": NAMES, "usages": (SERVER_AUTH,), **changes})
    assert CA.issuer is not None
    authority = Authority("a public CA", (CA.issuer.certificate,), RevocationLists())
    errors = path_errors(made.chain, authority.anchors, NOON)
    return judge_public_certificate(made.presented, authority, NAMES, at=NOON, engine_errors=errors, here=NAMES[0])


def test_right_certificate_is_accepted_without_a_crl() -> None:
    verdict = judged(dns=(NAMES[1].upper(), NAMES[0]))
    assert verdict.is_trusted, verdict.reasons


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"dns": NAMES[:1]}, Code.NAME_MISMATCH),
        ({"dns": (*NAMES, "evil.test")}, Code.NAME_MISMATCH),
        ({"uris": ("sip:example.test",)}, Code.NAME_MISMATCH),
        ({"dns": ()}, Code.NAME_MISMATCH),
        ({"usages": (CLIENT_AUTH,)}, Code.WRONG_USAGE),
        ({"issuer": OTHER}, Code.UNTRUSTED_ISSUER),
    ],
)
def test_wrong_certificate_is_refused_with_a_remedy(changes: dict[str, Any], code: Code) -> None:
    verdict = judged(**changes)
    assert verdict.code is code
    assert verdict.remedies


def test_no_certificate_is_refused() -> None:
    authority = Authority("a public CA", (CA.certificate,), RevocationLists())
    assert not judge_public_certificate((), authority, NAMES, at=NOON, engine_errors=(), here="x").is_trusted
