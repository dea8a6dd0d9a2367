"""The OCSP answers that OpenSSL is tested with: real responses of 2012, and the same responses spoilt.

All of them, and all their certificates, are signed over SHA-1, which no link believes any more. So that each refusal is
for the fault that the case is about, the cases are judged on the terms of their time too.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from conformance.suites import SUITES, as_on_links
from sipmesh.trust.revocation.crl_set import RevocationLists
from sipmesh.trust.revocation.ocsp import TERMS, OcspAnswer, OcspAnswers, Terms, UnusableAnswerError
from sipmesh.trust.revocation.revocation_source import RevocationSource
from trust.path_checks import check_path

FOLDER = SUITES / "ocsp-openssl"
CASES = FOLDER / "openssl-ocsp.json"
OF_2012 = Terms(weak=(hashes.MD5,), unlisted=True)


@dataclass(frozen=True)
class OcspCase:
    """A path from leaf to anchor, the answers about its first certificates, and whether they should be believed."""

    name: str
    good: bool
    path: tuple[x509.Certificate, ...]
    answers: tuple[bytes, ...]
    at: datetime

    def refusal(self, terms: Terms = TERMS) -> str:
        """Say why the answers do not let the path pass, or nothing."""
        held, faults = [], []
        for der in self.answers:
            try:
                held.append(OcspAnswer.load(der))
            except UnusableAnswerError as wrong:
                faults.append(str(wrong))
        answers = OcspAnswers(held, tuple(faults), terms)
        asked = self.path[: len(self.answers) + 1]
        found = check_path(
            asked, RevocationLists(), answers, at=self.at, grace=timedelta(0), source=RevocationSource.ANSWERS
        )
        return "" if found.passed else found.saw


@lru_cache(maxsize=1)
def cases() -> tuple[OcspCase, ...]:
    """Every case; the answers are in the order of the path."""
    return tuple(
        OcspCase(
            name=held["name"],
            good="error" not in held,
            path=_path(
                _read(held["cert"])[0],
                [c for name in (*held.get("other_certs", ()), held["root"]) for c in _read(name)],
            ),
            answers=tuple(base64.b64decode((FOLDER / name).read_bytes()) for name in held["ocsps"]),
            at=datetime.fromisoformat(held["moment"]),
        )
        for held in json.loads(CASES.read_text())
    )


def _path(leaf: x509.Certificate, others: list[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """Order them by name; the signatures of these certificates are not what is tested."""
    path = [leaf]
    while path[-1].issuer != path[-1].subject:
        path.append(next(one for one in others if one.subject == path[-1].issuer))
    return tuple(path)


def _read(name: str) -> list[x509.Certificate]:
    with as_on_links():
        return x509.load_pem_x509_certificates((FOLDER / name).read_bytes())
