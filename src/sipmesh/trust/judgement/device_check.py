"""The checks of certificates for devices: which they are, and that no server has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.trust.code import Code
from sipmesh.trust.finding import CheckQuestion, Finding
from sipmesh.trust.formatting import tell_list, tell_subject
from sipmesh.trust.judgement.evaluation import NO_PATH
from sipmesh.trust.x509.device_identity import is_for_devices, issues_for_devices
from sipmesh.trust.x509.sip_identity import alternative_names, spell

if TYPE_CHECKING:
    from cryptography import x509

    from sipmesh.trust.authority import Authority
    from sipmesh.trust.judgement.evaluation import Evaluation


def devices(evaluation: Evaluation) -> Finding:
    """Check that neither the certificate nor a CA in the path is for devices, with any names."""
    found = [tell_subject(certificate) for certificate in evaluation.line if is_for_devices(certificate)]
    return _DEVICES.refused("; ".join(found), Code.DEVICE_CERTIFICATE) if found else _NO_DEVICE


_DEVICES = CheckQuestion("devices", "no certificate for devices: these are accepted on client ports only", "rule R3")
_NO_DEVICE = _DEVICES.passed("none")


def device(evaluation: Evaluation) -> Finding:
    """Check that our device issuing CA has issued the certificate, for a device of a user of our domains."""
    if not evaluation.trail.path:
        return _DEVICE.unjudged(NO_PATH)
    path, found = evaluation.trail.path, evaluation.device
    if not issues_for_devices(path) or not is_for_devices(path[0]):
        return _DEVICE.refused(f"issued by {tell_subject(path[1])}, which issues for servers", Code.NOT_A_DEVICE)
    if not _is_named(path[1], evaluation.policy.devices):
        saw = f"issued by {tell_subject(path[1])}, which the topology does not name"
        return _DEVICE.refused(saw, Code.NOT_A_DEVICE)
    if found is None or found.domain not in evaluation.policy.domains:
        names = tell_list([*map(spell, alternative_names(path[0]))]) or "no name"
        return _DEVICE.refused(names, Code.NOT_A_DEVICE)
    return _DEVICE.passed(f"{found.device} of {found.user}")


def _is_named(issuer: x509.Certificate, ours: Authority | None) -> bool:
    """Tell whether the topology names a CA, by this certificate or another of its key: each SIP domain makes a new one."""
    named = ours.devices if ours is not None else ()
    return any(one.subject == issuer.subject and one.public_key() == issuer.public_key() for one in named)


_DEVICE = CheckQuestion(
    "device", "a device of a user of our domains, by our device issuing CA", "rule R3; RFC 5280 4.2.1.4, 4.2.1.6"
)
