"""The header in which a client sends its ticket (SPNEGO over HTTP, RFC 4559 section 4)."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import TYPE_CHECKING, Final

from sipmesh.server.kerberos.acceptor import KerberosError, KerberosService, Ticket

if TYPE_CHECKING:
    from cryptography import x509

NEGOTIATE: Final = "Negotiate"
SESSION_S: Final = 3600.0
"""Seconds of a session by a ticket at most: the account may have ended since, which only a new ticket shows."""

REPLAYS: Final = "kerberos.replays"
"""The file of used tickets, in the folder of the state."""

LOGIN_SAYS: Final = "Your browser has sent no ticket of Kerberos. Log in to your domain, or take another way: {way}\n"


def token_in(authorization: str) -> bytes:
    """Return the token in a header; raises `KerberosError`."""
    try:
        scheme, encoded = authorization.split(" ")
        token = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        raise KerberosError("the header has no token of SPNEGO") from None
    if scheme != NEGOTIATE:
        raise KerberosError("the header has another scheme than Negotiate")
    return token


async def ticket_in(authorization: str, service: KerberosService, leaf: x509.Certificate) -> tuple[Ticket, str]:
    """Return the ticket in a header for *service*, and the header of the answer; raises `KerberosError`.

    The client is connected to the certificate *leaf*.
    """
    ticket = await asyncio.to_thread(service.accept, token_in(authorization), leaf)
    return ticket, f"{NEGOTIATE} {base64.b64encode(ticket.answer).decode()}"
