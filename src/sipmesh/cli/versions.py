"""The versions of sipmesh and of its libraries."""

from __future__ import annotations

import platform
from importlib.metadata import version

from sipmesh import __version__
from sipmesh.sip import rows


def versions() -> dict[str, str]:
    """Return the version of each part that decides about TLS and SIP on the wire."""
    from OpenSSL import SSL

    wheel = SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode()
    return {
        "sipmesh": f"{__version__} ({built()})",
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "OpenSSL (of pyOpenSSL, on every link)": wheel,
        "cryptography": version("cryptography"),
        "pyOpenSSL": version("pyOpenSSL"),
    }


def built() -> str:
    """Return ``compiled`` if the modules of the message path are compiled, else ``source``."""
    return "source" if rows.__file__.endswith(".py") else "compiled"
