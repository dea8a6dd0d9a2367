"""The name of an operator in a certificate: one URI of a scheme of our own, which names no server and no user."""

from __future__ import annotations

import re
from typing import Final

from cryptography import x509

from sipmesh.trust.x509.sip_identity import alternative_names

SCHEME: Final = "sipmesh-operator"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}", re.ASCII)

NAME_REMEDY: Final = "use up to 32 of a-z, 0-9, dot, hyphen, underscore"
"""What to do about another name."""


def is_operator_name(name: str) -> bool:
    """Return whether an operator can have this name, as in the topology."""
    return _NAME.fullmatch(name) is not None


def operator_uri(name: str) -> str:
    """Give the URI for the subject alternative name of the operator *name*."""
    return f"{SCHEME}:{name}"


def operator_name(certificate: x509.Certificate) -> str:
    """Give the name of the operator; "" if the certificate has another name, further names, or none (RFC 5280 4.2.1.6).

    Raises `MalformedCertificateError` if the names cannot be read.
    """
    names = alternative_names(certificate)
    if len(names) != 1 or not isinstance(names[0], x509.UniformResourceIdentifier):
        return ""
    scheme, _, name = names[0].value.partition(":")
    return name if scheme == SCHEME and is_operator_name(name) else ""
