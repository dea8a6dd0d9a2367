"""A sealed file opens with the key that it was sealed for, for its purpose, unchanged, and in no other case."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from sipmesh.pki.keys.sealing import NotSealedForUsError, seal, unseal

CONTENT = b"-----BEGIN PRIVATE KEY-----"
CURVES = (ec.SECP256R1(), ec.SECP384R1())


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_holder_of_the_key_reads_the_content(curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    for content in (CONTENT, b"", CONTENT * 100_000):
        assert unseal(seal(content, key.public_key(), "ca/issuing.key"), key, "ca/issuing.key") == content


def test_no_other_key_opens_it() -> None:
    key = ec.generate_private_key(CURVES[0])
    sealed = seal(CONTENT, key.public_key(), "ca/issuing.key")
    assert CONTENT not in sealed
    assert sealed != seal(CONTENT, key.public_key(), "ca/issuing.key")
    for other, purpose in (
        (ec.generate_private_key(CURVES[0]), "ca/issuing.key"),
        (ec.generate_private_key(CURVES[1]), "ca/issuing.key"),
        (key, "ca/root.key"),
    ):
        with pytest.raises(NotSealedForUsError):
            unseal(sealed, other, purpose)


def test_changed_octet_is_found() -> None:
    key = ec.generate_private_key(CURVES[0])
    sealed = seal(CONTENT, key.public_key(), "x")
    for n in range(len(sealed)):
        with pytest.raises(NotSealedForUsError):
            unseal(sealed[:n] + bytes([sealed[n] ^ 1]) + sealed[n + 1 :], key, "x")
    for n in (0, 1, 64, 65, len(sealed) - 1):
        with pytest.raises(NotSealedForUsError):
            unseal(sealed[:n], key, "x")
