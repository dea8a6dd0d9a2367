"""Tickets of a real KDC in the header of a browser."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path

from cryptography import x509

from sipmesh.server.kerberos.acceptor import end_point
from support.kdc import Kdc


def header_with_ticket(kdc: Kdc, person: str, folder: Path, service: str, leaf: bytes | None = None) -> dict[str, str]:
    """Give the header with a new ticket of *person* for *service*; *leaf* is the certificate to which the client is bound."""
    import gssapi

    folder.mkdir(exist_ok=True)
    cache = kdc.ticket(person, folder / secrets.token_hex(4))["KRB5CCNAME"]
    target = gssapi.Name(f"{service}@{kdc.realm}", gssapi.NameType.kerberos_principal)
    bindings = None
    if leaf is not None:
        bindings = gssapi.raw.ChannelBindings(application_data=end_point(x509.load_der_x509_certificate(leaf)))
    client = gssapi.SecurityContext(
        name=target,
        creds=gssapi.Credentials(usage="initiate", store={"ccache": cache}),
        usage="initiate",
        channel_bindings=bindings,
    )
    token = client.step()
    assert token is not None
    return {"Authorization": f"Negotiate {base64.b64encode(token).decode()}"}
