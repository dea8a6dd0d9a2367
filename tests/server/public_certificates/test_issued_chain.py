"""A chain is used if it is for the key and the names of the order, below a root, and serves a handshake; else it says why not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from sipmesh.demo.forge import CLIENT_AUTH, SERVER_AUTH, Forge
from sipmesh.pki.files import certificates_pem
from sipmesh.server.public_certificates.acme_error import AcmeError
from sipmesh.server.public_certificates.issued_chain import MOST_CERTIFICATES, accepted_chain
from sipmesh.topology.document.parts.acme import Acme
from sipmesh.topology.server_files import AcmeOrder

NAME, DAY = "fe1.example.test", timedelta(days=1)
AT = datetime.now(UTC)
FORGE = Forge(AT)
CA = FORGE.organisation("a public CA")
ORDER = AcmeOrder(Acme(directory="https://ca.test/dir"), Path("c.pem"), Path("c.key"), (NAME,), "127.0.0.1")
RIGHT: dict[str, Any] = {"dns": (NAME,), "usages": (SERVER_AUTH,)}


def accepted(changes: dict[str, Any], *, parts: int = 2) -> int:
    """Judge a chain of *parts* certificates that is right but for *changes*; gives how long it is."""
    assert CA.issuer is not None
    key = ec.generate_private_key(ec.SECP256R1())
    made = FORGE.server(CA, reuse=changes.pop("reuse", key), **{**RIGHT, **changes})
    chain = [made.certificate, CA.certificate, *([CA.certificate] * MOST_CERTIFICATES)][:parts]
    return len(accepted_chain(certificates_pem(chain).decode(), key, ORDER, [CA.issuer.certificate], AT, NAME))


def test_right_chain_is_accepted() -> None:
    assert accepted({}) == 2


@pytest.mark.parametrize(
    ("changes", "parts", "why"),
    [
        ({"dns": ("evil.test",)}, 2, "name-mismatch"),
        ({"dns": (NAME, "evil.test")}, 2, "name-mismatch"),
        ({"dns": (f"*.{NAME}",)}, 2, "name-mismatch"),
        ({"uris": (f"sip:{NAME}",)}, 2, "name-mismatch"),
        ({"begins": -2 * DAY, "ends": -DAY}, 2, "expired"),
        ({"begins": DAY, "ends": 2 * DAY}, 2, "not yet valid"),
        ({"usages": (CLIENT_AUTH,)}, 2, "wrong-usage"),
        ({"usages": ()}, 2, "wrong-usage"),
        ({}, 1, "unable to get local issuer certificate"),
        ({}, MOST_CERTIFICATES + 1, "a chain of 11 certificates"),
        ({"reuse": ec.generate_private_key(ec.SECP256R1())}, 2, "for another key"),
    ],
)
def test_wrong_chain_is_refused_with_the_reason(changes: dict[str, Any], parts: int, why: str) -> None:
    with pytest.raises(AcmeError, match=why):
        accepted(dict(changes), parts=parts)


def test_text_without_a_certificate_is_refused() -> None:
    with pytest.raises(AcmeError, match="cannot be read"):
        accepted_chain("rubbish", ec.generate_private_key(ec.SECP256R1()), ORDER, [], AT, NAME)
