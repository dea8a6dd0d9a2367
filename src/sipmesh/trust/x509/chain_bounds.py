"""Limits for a presented chain, checked before it is judged: a judgement blocks the event loop of a server.

A stranger may present a certificate too. One with thousands of names must not cost more than another one.
A CA that we trust for some names may issue certificates to overload us: hundreds of name constraints, hundreds of names below
them, and several certificates for each CA, so that there are many paths to check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sipmesh.trust.formatting import tell_subject
from sipmesh.trust.x509.certificate import UNREADABLE, extension, rsa_excess
from sipmesh.trust.x509.name_constraints import COMPARISONS

if TYPE_CHECKING:
    from collections.abc import Sequence

CHAIN_OCTETS = 32 << 10
"""Octets of all presented certificates. Real chains have 1,000 to 6,000, and OpenSSL accepts up to 100 KiB."""

CHAIN_NAMES = 1_024
"""Names of all presented certificates. Each is compared and told; the certificate of a partner may name hundreds of domains."""


ATTRIBUTES = 32
"""Attributes of subject and issuer, up to which the two are one name."""


def too_long(presented: Sequence[bytes]) -> str:
    """Describe a chain of too many octets, of which nothing is parsed; "" for another one."""
    octets = sum(map(len, presented))
    return f"the chain has {octets} octets, more than {CHAIN_OCTETS}" if octets > CHAIN_OCTETS else ""


def too_many_names(certificates: Sequence[x509.Certificate]) -> str:
    """Describe a chain of too many names, at which no check looks; "" for another one."""
    names = sum(map(_names, certificates))
    return f"the chain has {names} names, more than {CHAIN_NAMES}" if names > CHAIN_NAMES else ""


def costly_keys(certificates: Sequence[x509.Certificate]) -> str:
    """Describe the first key with which no signature is verified, since that takes too long; "" if there is none."""
    return next(filter(None, map(_costly_key, certificates)), "")


def excess(certificates: Sequence[x509.Certificate]) -> str:
    """Describe the comparisons of a chain, if they are too many to look for a path; "" if they are not.

    The product of names and constraints is for the whole chain, because each CA in it could be above each certificate.
    """
    trees = sum(map(_constraints, certificates))
    if not trees:
        return ""
    names = sum(map(_names, certificates))
    if names * trees > COMPARISONS:
        return f"the chain has {names} names and {trees} name constraints: their product is more than {COMPARISONS}"
    return ""


def _costly_key(certificate: x509.Certificate) -> str:
    try:
        key = certificate.public_key()
    except UNREADABLE:
        return ""  # nothing is verified with it
    fault = rsa_excess(key.key_size, key.public_numbers().e) if isinstance(key, RSAPublicKey) else None
    return f"{tell_subject(certificate)} has {fault}" if fault else ""


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
    """Count the alternative names, and subject and issuer as one more; each further attribute of these is a name too."""
    attributes = len(certificate.subject) + len(certificate.issuer)
    further = attributes if attributes > ATTRIBUTES else 1
    try:
        names = extension(certificate, x509.SubjectAlternativeName)
    except UNREADABLE:
        return further
    return further + (len(names) if names is not None else 0)
