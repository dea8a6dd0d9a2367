"""Limits for a presented chain, checked before it is judged: a judgement blocks the event loop of a server.

A CA that we trust for some names may issue certificates to overload us: hundreds of name constraints, hundreds of names below
them, and several certificates for each CA, so that there are many paths to check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from sipmesh.trust.x509.certificate import UNREADABLE, extension
from sipmesh.trust.x509.name_constraints import COMPARISONS

if TYPE_CHECKING:
    from collections.abc import Sequence

CHAIN_OCTETS = 64 << 10
"""Octets of all presented certificates. Real chains have 1,000 to 6,000, and OpenSSL accepts up to 100 KiB."""


def excess(presented: Sequence[bytes], certificates: Sequence[x509.Certificate]) -> str:
    """Describe the limit that a chain exceeds, as DER and as parsed certificates; "" if it exceeds none.

    The product of names and constraints is for the whole chain, because each CA in it could be above each certificate.
    """
    octets = sum(map(len, presented))
    if octets > CHAIN_OCTETS:
        return f"the chain has {octets} octets, more than {CHAIN_OCTETS}"
    trees = sum(map(_constraints, certificates))
    if not trees:
        return ""
    names = sum(map(_names, certificates))
    if names * trees > COMPARISONS:
        return f"the chain has {names} names and {trees} name constraints: their product is more than {COMPARISONS}"
    return ""


def _constraints(certificate: x509.Certificate) -> int:
    try:
        constraints = extension(certificate, x509.NameConstraints)
    except UNREADABLE:
        return 0  # the checks refuse it
    return (
        len(constraints.permitted_subtrees or ()) + len(constraints.excluded_subtrees or ())
        if constraints is not None
        else 0
    )


def _names(certificate: x509.Certificate) -> int:
    """Count the alternative names, and the subject as one more."""
    try:
        names = extension(certificate, x509.SubjectAlternativeName)
    except UNREADABLE:
        return 1
    return 1 + (len(names) if names is not None else 0)
