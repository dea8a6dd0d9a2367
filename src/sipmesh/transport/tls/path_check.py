"""OpenSSL's path check without a handshake: the result of the first engine for a chain from a file or a document."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING

from OpenSSL import crypto

from sipmesh.trust.evidence import EngineError, LinkKind
from sipmesh.trust.judgement.evaluation import Evaluation
from sipmesh.trust.path.openssl_errors import UNANCHORED, UNFIT_KEY, WEAK_SIGNATURE, is_left_to_us
from sipmesh.trust.x509.certificate import weakness

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from cryptography import x509

    from sipmesh.trust.evidence import PeerEvidence
    from sipmesh.trust.policy import LinkPolicy


def path_errors(
    chain: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    at: datetime | None = None,
    *,
    may_end_early: bool = False,
) -> tuple[EngineError, ...]:
    """Return OpenSSL's errors for *chain* (leaf first), as in a handshake; empty if there are none.

    Keys and signatures of the path are as strong as in a handshake. The extended key usage is not checked here: the judge checks
    it. *at* is the time of the check, with a time zone; None is the machine's clock. With *may_end_early* an
    anchor may be below another CA.
    """
    store = crypto.X509Store()
    for anchor in anchors:
        store.add_cert(crypto.X509.from_cryptography(anchor))
    early = crypto.X509StoreFlags.PARTIAL_CHAIN if may_end_early else 0
    store.set_flags(crypto.X509StoreFlags.X509_STRICT | early)
    if at is not None:
        store.set_time(at.astimezone(UTC))  # set_time ignores the time zone
    leaf, *others = map(crypto.X509.from_cryptography, chain)
    try:
        path = crypto.X509StoreContext(store, leaf, others).get_verified_chain()
    except crypto.X509StoreContextError as error:
        code, depth, text = error.errors[0], error.errors[1], error.errors[2]
        return (EngineError(int(depth), int(code), str(text)),)
    return tuple(_too_weak([certificate.to_cryptography() for certificate in path]))


def _too_weak(path: Sequence[x509.Certificate]) -> Iterator[EngineError]:
    """Yield the errors that OpenSSL has for a path in a handshake by its security level; our library sets none without one.

    The signature of an anchor proves nothing, and is not checked.
    """
    for depth, certificate in enumerate(path):
        if why := weakness(certificate, signature=False):
            yield EngineError(depth, UNFIT_KEY[0] if depth == 0 else UNFIT_KEY[1], why)
        elif depth < len(path) - 1 and (why := weakness(certificate)):
            yield EngineError(depth, WEAK_SIGNATURE, why)


def recheck_path(evidence: PeerEvidence, policy: LinkPolicy, at: datetime) -> PeerEvidence:
    """Check the path of a partner again with the anchors of its entry alone, if the handshake found an error in it.

    OpenSSL looks for an issuer by its name and key identifier, and tries one only. A partner chooses both for its own CA. So with
    the anchors of all partners in one handshake, it could keep the chains of another partner from being verified (rule R8). The
    error is a bad signature, or another fault of that CA: dates, constraints, extensions. Only TLS checks keys:
    this error stays. Where TLSA records count in place of a CA, the anchor is the CA that a record names. Other evidence is
    returned as it is, with its errors.
    """
    errors = evidence.engine_errors
    is_open = not all(map(is_left_to_us, errors)) and all(error.code not in UNFIT_KEY for error in errors)
    if evidence.kind is not LinkKind.PARTNER or evidence.failure is not None or not is_open:
        return evidence
    evaluation = Evaluation(evidence, policy, at)
    if evaluation.leaf is None or evaluation.fault or evaluation.excess or evaluation.peer is None:
        return evidence
    if evaluation.by_dane and not evaluation.anchors:  # the judge decides by TLSA records
        own = tuple(error for error in errors if error.code not in UNANCHORED)
    else:
        own = path_errors((evaluation.leaf, *evaluation.pool), evaluation.anchors, at, may_end_early=evaluation.by_dane)
    return replace(evidence, engine_errors=own)
