"""The option ``--algorithm`` of keys."""

from __future__ import annotations

import ssl
from typing import Annotated

import typer

from sipmesh.errors import OperatorError
from sipmesh.pki.keys.algorithm import KeyAlgorithm

FIRST = (3, 5)
"""The first OpenSSL with ML-DSA."""

Algorithm = Annotated[
    KeyAlgorithm | None,
    typer.Option(
        "--algorithm",
        help="The algorithm of the keys of the CA. By default p-256, or that of the present CA. Below ml-dsa-44, which no quantum"
        " computer breaks, servers have keys of ml-dsa-44 too; most phones refuse them.",
    ),
]


def usable(algorithm: KeyAlgorithm | None) -> KeyAlgorithm | None:
    """Return *algorithm*; raises `OperatorError` if the OpenSSL of Python does not know it: console and enrolment use it."""
    if algorithm is KeyAlgorithm.ML_DSA_44 and ssl.OPENSSL_VERSION_INFO < FIRST:
        raise OperatorError(f"ML-DSA-44 needs OpenSSL 3.5; the `ssl` module of this Python has {ssl.OPENSSL_VERSION}")
    return algorithm
