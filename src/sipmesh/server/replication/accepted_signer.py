"""Whether a stored document has a signer that this server trusted when the document was signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.transport.tls.path_check import path_errors
from sipmesh.trust.authority import Authority
from sipmesh.trust.formatting import tell_subject
from sipmesh.trust.judgement.document_signer import judge_signer_of_before
from sipmesh.trust.revocation.crl_set import RevocationLists

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509

    from sipmesh.topology.versions.jose import Signed


def why_not_trusted(signed: Signed, anchors: Sequence[x509.Certificate], at: datetime) -> str:
    """Return why a document of time *at* has no trusted signer under *anchors*; empty if it has one."""
    authority = Authority("this server's anchors", tuple(anchors), RevocationLists())
    errors = path_errors(signed.chain, anchors, at)
    belief = judge_signer_of_before(signed.presented, authority, at=at, engine_errors=errors)
    return "" if belief.is_trusted else f"{tell_subject(signed.chain[0])}: {belief.code}: {'; '.join(belief.reasons)}"
