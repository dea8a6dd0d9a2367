"""Path validation against C2SP x509-limbo and Netflix bettertls: nothing that they refuse may come in.

The suites lie outside the checkout, in the folder that SIPMESH_SUITES names or in ``shared/suites`` beside it. Each
case is one certificate shown on a link that we open to the name of the case; its lists are used where it has any, and
otherwise the revocation check has no say, since the suites do not come with lists.
"""

from __future__ import annotations

import base64
import json
import lzma
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from sipmesh.trust.case import Case as Judged
from sipmesh.trust.certificate import MalformedCertificateError, read_certificate
from sipmesh.trust.chain import PRESENTED
from sipmesh.trust.evidence import Direction, LinkKind, PeerEvidence
from sipmesh.trust.judge import judge
from sipmesh.trust.policy import Authority, LinkPolicy, TrustedPeer
from sipmesh.trust.revocation import RevocationList, RevocationLists, UnusableListError, check_path

SUITES = Path(os.environ.get("SIPMESH_SUITES") or Path(__file__).parents[3] / "shared" / "suites")
SETS = {"limbo": SUITES / "limbo" / "limbo-core.json.xz", "bettertls": SUITES / "bettertls" / "bettertls.json.xz"}
TODAY = datetime(2026, 3, 1, tzinfo=UTC)

# Cases that the suite refuses and we accept, each for a reason that holds for SIP.
LEFT_OUT = {
    "max-chain-depth": "the suite hands in a depth of its own; ours is fixed",
    "webpki::cn::": "the CA/Browser Forum wants the CN to repeat a SAN; to us the CN is no name at all",
    "webpki::eku::root-has-eku": "a rule of the CA/Browser Forum for roots; an anchor is the operator's word",
    "webpki::eku::ee-anyeku": "anyExtendedKeyUsage allows the usage (RFC 5280 4.2.1.12, RFC 5924 4)",
    "webpki::san::san-critical-with-nonempty-subject": "only a SHOULD NOT (RFC 5280 4.2.1.6)",
    "rfc5280::aki::cross-signed-root-missing-aki": "the certificate without it is an anchor",
    "rfc5280::san::ip-in-dns": "an IP address proves nothing to us, wherever it stands",
}


@dataclass(frozen=True)
class Case:
    """One case of a suite, with the names that we call its parts by."""

    held: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.held["id"])

    @property
    def good(self) -> bool:
        return str(self.held["expected_result"]) == "SUCCESS"

    @property
    def wanted(self) -> str:
        """The DNS name that the case means, or nothing."""
        meant = self.held["expected_peer_name"]
        return str(meant["value"]).lower() if meant and meant["kind"] == "DNS" else ""

    @property
    def left_out(self) -> bool:
        return any(key in self.name for key in LEFT_OUT)


@lru_cache(maxsize=2)
def _cases(suite: str) -> list[Case]:
    with lzma.open(SETS[suite]) as file:
        return [Case(held) for held in json.load(file)["testcases"]]


def _der(pem: str) -> bytes:
    body = pem.partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END CERTIFICATE-----")[0]
    return base64.b64decode(body)


def _accepts(case: Case) -> bool:
    """Whether every check passes; a case whose anchors or lists cannot be read is refused, as at start."""
    try:
        anchors = tuple(read_certificate(_der(pem)) for pem in case.held["trusted_certs"])
        lists = [RevocationList.load(pem.encode()) for pem in case.held["crls"]]
    except (MalformedCertificateError, UnusableListError):
        return False
    authority = Authority("suite", anchors, RevocationLists(lists))
    names = frozenset({case.wanted})
    peer = TrustedPeer(case.wanted, None, None, names, names, names, authority)
    policy = LinkPolicy(LinkKind.PARTNER, "here", names, {case.wanted: (peer,)}, meant=peer, meant_name=case.wanted)
    shown = (case.held["peer_certificate"], *case.held["untrusted_intermediates"])
    evidence = PeerEvidence(Direction.OPENED, LinkKind.PARTNER, ("", 0), ("", 0), tuple(map(_der, shown)))
    stamp = case.held["validation_time"]
    at = datetime.fromisoformat(stamp) if stamp else TODAY
    verdict = judge(evidence, policy, at=at)
    others = [held for held in verdict.failed if held.check != "revocation"]
    return not others and _in_good_standing(Judged(evidence, policy, at), lists)


def _in_good_standing(case: Judged, lists: list[RevocationList]) -> bool:
    """Whether the lists of a case speak for its leaf; they do not speak for anybody else, and most cases have none."""
    path = case.trail.path[:2]
    return not lists or check_path(path, RevocationLists(lists), at=case.at, grace=timedelta(0)).passed


needs_suites = pytest.mark.skipif(not SETS["limbo"].exists(), reason=f"no suites in {SUITES}; set SIPMESH_SUITES")


@needs_suites
@pytest.mark.parametrize("suite", SETS)
def test_nothing_that_the_suites_refuse_comes_in(suite: str) -> None:
    wrong = [case.name for case in _cases(suite) if not case.good and not case.left_out and _accepts(case)]
    assert wrong == []


@needs_suites
def test_every_path_of_bettertls_that_we_follow_comes_in() -> None:
    """Path building with dead ends, and every DNS name; IP addresses are no identities, and 36 certificates no chain."""
    good = [case for case in _cases("bettertls") if case.good and case.wanted]
    followed = [case for case in good if len(case.held["untrusted_intermediates"]) <= PRESENTED]
    assert [case.name for case in followed if not _accepts(case)] == []
    assert len(followed) >= 0.9 * len(good)


@needs_suites
def test_what_limbo_allows_and_we_refuse_is_known() -> None:
    good = [case for case in _cases("limbo") if case.good and case.wanted]
    assert {case.name for case in good if not _accepts(case)} <= set(REFUSED)


# Cases that the suite accepts and we refuse; some of these stand in the part of the suite that is not always there.
REFUSED = {
    "crl::issuer-no-keyusage-extension": "the second engine and OpenSSL want a key usage in every CA",
    "pathlen::validation-ignores-pathlen-in-leaf": "the leaf is a CA",
    "webpki::nc::nc-permits-dns-san-pattern": "a wildcard is no SIP identity",
    "webpki::san::leftmost-wildcard-san": "a wildcard is no SIP identity",
    "online::fastly.com": "one of its many anchors has no positive serial",
}
