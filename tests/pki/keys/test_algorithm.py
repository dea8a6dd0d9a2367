"""The algorithms of our keys, and what is below each of them."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa

from sipmesh.pki.keys.algorithm import KeyAlgorithm, algorithm_below, digest

NAMES = {KeyAlgorithm.P_256: "sha256", KeyAlgorithm.P_384: "sha384", KeyAlgorithm.ML_DSA_44: ""}


@pytest.mark.parametrize("algorithm", KeyAlgorithm)
def test_key_is_of_its_algorithm_and_signs_with_the_hash_of_its_strength(algorithm: KeyAlgorithm) -> None:
    key = algorithm.new_key()
    assert KeyAlgorithm.of(key) is KeyAlgorithm.of(key.public_key()) is algorithm
    for one in (key, key.public_key()):
        found = digest(one)
        assert (found.name if found else "") == NAMES[algorithm]


def test_other_keys_have_no_algorithm_of_ours() -> None:
    others = (
        ec.generate_private_key(ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.generate(),
        mldsa.MLDSA65PrivateKey.generate(),
    )
    assert [KeyAlgorithm.of(key) for key in others] == [None, None, None]


@pytest.mark.parametrize(
    ("above", "below"),
    [
        (KeyAlgorithm.P_256, KeyAlgorithm.P_256),
        (KeyAlgorithm.P_384, KeyAlgorithm.P_256),
        (KeyAlgorithm.ML_DSA_44, KeyAlgorithm.ML_DSA_44),
    ],
)
def test_keys_below_a_ca(above: KeyAlgorithm, below: KeyAlgorithm) -> None:
    assert above.of_leaves is below


def test_without_an_issuer_a_key_is_on_p_256() -> None:
    assert algorithm_below(()) is KeyAlgorithm.P_256
