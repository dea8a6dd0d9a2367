"""The checks of a trunk that has no certificate: it is challenged at SIP level, and connects from its networks only."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from types import MappingProxyType
from typing import TYPE_CHECKING

from sipmesh.trust.code import Code
from sipmesh.trust.finding import CheckQuestion, Finding
from sipmesh.trust.formatting import tell_list
from sipmesh.trust.judgement.checks import Check, handshake

if TYPE_CHECKING:
    from sipmesh.trust.judgement.evaluation import Evaluation

_BY_DIGEST = CheckQuestion("certificate", "no certificate: the trunk logs in by digest", "rule R10")


def certificate(evaluation: Evaluation) -> Finding:
    """State that no certificate is needed at the port of such a trunk. A link from the time when it was is closed."""
    if evaluation.evidence.presented:
        return _BY_DIGEST.refused("a certificate, for which this port does not ask any more", Code.ROLE_NOT_ALLOWED)
    return _BY_DIGEST.passed("no certificate is requested on the port of a trunk that is challenged")


def network(evaluation: Evaluation) -> Finding:
    """Check that the trunk connects from one of its networks."""
    networks, remote = evaluation.policy.networks, evaluation.evidence.remote[0]
    asked = CheckQuestion("network", f"an address in {tell_list([str(one) for one in networks])}", "rule R5")
    if any(ip_address(remote) in one for one in networks):
        return asked.passed(remote)
    return asked.refused(remote, Code.PARTNER_UNKNOWN)


CHALLENGED_CHECKS: Mapping[str, Check] = MappingProxyType(
    {"handshake": handshake, "certificate": certificate, "network": network}
)
