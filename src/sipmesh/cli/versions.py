"""What this program is made of. Two builds of OpenSSL live in one process, so that both are told."""

from __future__ import annotations

import platform
import ssl
from importlib.metadata import version

from sipmesh import __version__


def versions() -> dict[str, str]:
    """Everything whose version decides how we behave on the wire."""
    from OpenSSL import SSL

    wheel = SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode()
    return {
        "sipmesh": __version__,
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "OpenSSL of Python's ssl (client ports)": ssl.OPENSSL_VERSION,
        "OpenSSL of pyOpenSSL (all other links)": wheel,
        "cryptography": version("cryptography"),
        "pyOpenSSL": version("pyOpenSSL"),
    }
