"""NIST PKITS 1.0.1: certificates, lists and policies of RFC 5280's predecessors, each case one path."""

from __future__ import annotations

import json
import tarfile
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from conformance.stage import Trial
from conformance.suites import SUITES
from sipmesh.trust.x509.certificate_policies import ANY, Wanted

FOLDER = SUITES / "pkits"
CASES = FOLDER / "pkits-cases.json"
AT = datetime(2026, 3, 1, tzinfo=UTC)
TEST_POLICY = "2.16.840.1.101.3.2.1.48."


@lru_cache(maxsize=1)
def trials() -> tuple[Trial, ...]:
    """Every case as a trial; the leaf's name says what is tested, so that none is meant."""
    with tarfile.open(FOLDER / "pkits-files.tar.xz") as archive:
        files = {held.name: opened.read() for held in archive if (opened := archive.extractfile(held)) is not None}
    return tuple(_trial(held, files) for held in json.loads(CASES.read_text())["cases"])


def _trial(held: dict[str, Any], files: dict[str, bytes]) -> Trial:
    certificates = [files[f"certs/{name}.crt"] for name in held["certs"]]
    return Trial(
        name=held["uid"],
        good=held["should_validate"],
        shown=(certificates[-1], *certificates[-2:0:-1]),
        anchors=(certificates[0],),
        at=AT,
        crls=tuple(files[f"crls/{name}.crl"] for name in held["crls"]),
        wanted=_wanted(held),
        asks_policies=True,
    )


def _wanted(held: dict[str, Any]) -> Wanted:
    names = [name for name in held.get("initial_policy_set", "").split(",") if name]
    policies = frozenset(name.replace("NIST-test-policy-", TEST_POLICY).replace("anyPolicy", ANY) for name in names)
    return Wanted(
        policies or frozenset({ANY}),
        held.get("initial_explicit_policy", False),
        held.get("initial_policy_mapping_inhibit", False),
        held.get("initial_inhibit_any_policy", False),
    )
