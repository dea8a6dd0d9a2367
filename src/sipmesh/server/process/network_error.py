"""What an error of a connection to another host says to an operator: one clause, without the words of a library."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Mapping
from typing import Final

import aiohttp


def told_network_error(wrong: Exception) -> str:
    """Say what the host did, such as "cannot be reached: Connection refused"; the subject is the host."""
    if isinstance(wrong, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError | ssl.SSLError):
        return f"has no TLS connection that can be trusted{_tls_reason(wrong)}"
    if isinstance(wrong, OSError):
        return f"cannot be reached{_system_reason(wrong)}"
    return next(
        (told for kind, told in _TOLD.items() if isinstance(wrong, kind)), "has sent an answer that cannot be read"
    )


_TOLD: Final[Mapping[type[Exception], str]] = {
    aiohttp.ServerDisconnectedError: "has closed the connection without an answer",
    aiohttp.ClientPayloadError: "has closed the connection in the middle of its answer",
    EOFError: "has closed the connection in the middle of its answer",
}


def _system_reason(wrong: OSError) -> str:
    """Give the reason of the system, or of our own look-up of the name; "" if the error has neither."""
    found = getattr(wrong, "os_error", wrong)
    if isinstance(found, socket.gaierror):
        return ": its name has no address"
    if isinstance(wrong, aiohttp.ClientConnectorDNSError):
        return f": {found.strerror}"
    if isinstance(wrong, TimeoutError):
        return ": it does not answer in time"
    return f": {os.strerror(found.errno)}" if found.errno else ""


def _tls_reason(wrong: Exception) -> str:
    """Give what the check of the certificate has found; "" if the handshake failed for another reason."""
    found = getattr(wrong, "certificate_error", wrong)
    return f": {found.verify_message}" if isinstance(found, ssl.SSLCertVerificationError) else ""
