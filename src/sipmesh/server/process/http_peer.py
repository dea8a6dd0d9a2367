"""The other end of a connection to the HTTPS server of management: its address, and its certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.routing.authentication.backoff import network_of

if TYPE_CHECKING:
    import ssl

    from aiohttp import web


def address_of(request: web.Request) -> str:
    """Return the address of the client; of an IPv6 address the /64, which a site has as a whole."""
    return network_of(request.remote or "")


def certificate_of(request: web.Request) -> bytes | None:
    """Return the certificate, in DER, whose key the other end of the connection has; None if it has shown none.

    A resumed session of TLS 1.2 has proved no key.
    """
    tls: ssl.SSLObject | None = request.transport.get_extra_info("ssl_object") if request.transport else None
    return tls.getpeercert(binary_form=True) if tls is not None and not tls.session_reused else None
