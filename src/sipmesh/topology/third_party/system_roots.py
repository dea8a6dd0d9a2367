"""The roots that the operating system trusts, by SHA-256. They change with its package ca-certificates."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.utils import CryptographyDeprecationWarning

from sipmesh.errors import OperatorError
from sipmesh.topology.document.named_files.read import UnusableFileError
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.trust.x509.certificate import fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography import x509

_FILES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/ssl/cert.pem",
)


def roots_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the file of the system's roots: that of ``SSL_CERT_FILE``, as for OpenSSL, or the usual one."""
    named = environment.get("SSL_CERT_FILE")
    return Path(named) if named else next((Path(file) for file in _FILES if Path(file).exists()), Path(_FILES[0]))


def system_roots(file: Path | None = None) -> dict[str, x509.Certificate]:
    """Return the system's roots by fingerprint; raises `OperatorError` if their file cannot be read."""
    read = file or roots_file()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", CryptographyDeprecationWarning
            )  # a root of the system with an odd serial number
            return {fingerprint(certificate): certificate for certificate in read_certificates(read)}
    except UnusableFileError as wrong:
        raise OperatorError(
            f"{read}, the roots of this system, {wrong}: install ca-certificates, or name the file in SSL_CERT_FILE"
        ) from None
