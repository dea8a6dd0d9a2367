"""The OCSP responders that a certificate names (RFC 5280 4.2.2.1).

Only the responders of our own certificates are asked, and only those that may be: a public CA is a stranger, and must not lead
this server to an address that it chooses. Names lead only where `sipmesh.topology.reachable_addresses` lets them.
"""

from __future__ import annotations

import re
from typing import Final

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from sipmesh.trust.revocation.crl_point import LONGEST_URL, URL
from sipmesh.trust.x509.certificate import extension

MOST_RESPONDERS: Final = 4
"""URLs of one certificate that are read; certificates have one."""

_NUMERIC: Final = re.compile(r"0x[0-9a-f]*|[0-9]*", re.ASCII | re.IGNORECASE)
"""The last label of an IPv4 address, in any of its spellings."""


def responder_urls(certificate: x509.Certificate, *, is_ours: bool) -> tuple[str, ...]:
    """Return the HTTP URLs of the OCSP responders that *certificate* names.

    *is_ours*: our own CA has issued it, so its URLs may have addresses. Those of others must have names.
    """
    access = extension(certificate, x509.AuthorityInformationAccess) or ()
    named = (
        one.access_location.value
        for one in list(access)[:MOST_RESPONDERS]
        if one.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(one.access_location, x509.UniformResourceIdentifier)
    )
    return tuple(dict.fromkeys(url for url in named if _is_usable(url, is_ours=is_ours)))


def _is_usable(url: str, *, is_ours: bool) -> bool:
    found = URL.fullmatch(url) if len(url) <= LONGEST_URL else None
    return found is not None and (is_ours or _NUMERIC.fullmatch(found[2].rpartition(".")[2]) is None)
