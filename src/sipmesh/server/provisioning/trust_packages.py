"""The root certificates of the enterprise CA, for phones, browsers and operating systems. All of it is public."""

from __future__ import annotations

import base64
import json
import plistlib
import re
import uuid
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.server.provisioning.fingerprint import hex_fingerprint
from sipmesh.sip.text import ascii_lower

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cryptography import x509

_SPACE: Final = uuid.UUID("5c3b8a1e-9a0f-5e0c-8c39-6d1d4f0f0c31")
"""For the identifiers of Apple's profiles (RFC 9562 section 5.5): the same certificate has the same identifier."""


def pem(roots: Sequence[x509.Certificate], _organisation: str) -> bytes:
    """Write all roots in PEM."""
    return b"".join(root.public_bytes(Encoding.PEM) for root in roots)


def der(roots: Sequence[x509.Certificate], _organisation: str) -> bytes:
    """Write the newest root in DER, as Windows reads it."""
    return roots[-1].public_bytes(Encoding.DER)


def apple(roots: Sequence[x509.Certificate], organisation: str) -> bytes:
    """Write a configuration profile (``.mobileconfig``) with a payload for each root."""
    return plistlib.dumps(
        {
            "PayloadType": "Configuration",
            "PayloadVersion": 1,
            "PayloadIdentifier": f"sipmesh.roots.{_identifier(roots[-1])}",
            "PayloadUUID": _identifier(*roots),
            "PayloadDisplayName": f"Certificates of {organisation}",
            "PayloadDescription": f"Servers of {organisation} are trusted.",
            "PayloadOrganization": organisation,
            "PayloadContent": [
                {
                    "PayloadType": "com.apple.security.root",
                    "PayloadVersion": 1,
                    "PayloadIdentifier": f"sipmesh.root.{_identifier(root)}",
                    "PayloadUUID": _identifier(root),
                    "PayloadDisplayName": root.subject.rfc4514_string(),
                    "PayloadCertificateFileName": "root.cer",
                    "PayloadContent": root.public_bytes(Encoding.DER),
                }
                for root in roots
            ],
        }
    )


def _identifier(*roots: x509.Certificate) -> str:
    return str(uuid.uuid5(_SPACE, "".join(root.fingerprint(hashes.SHA256()).hex() for root in roots)))


def firefox(roots: Sequence[x509.Certificate], organisation: str) -> bytes:
    """Write ``policies.json`` of Firefox: it reads the roots where `linux` installs them."""
    installed = [f"{_FOLDER}/{_file_name(organisation, number)}" for number in range(len(roots))]
    return _json({"policies": {"Certificates": {"Install": installed}}})


def chromium(roots: Sequence[x509.Certificate], _organisation: str) -> bytes:
    """Write a policy file of Chromium and Chrome: ``CACertificates`` has each root in base64."""
    return _json({"CACertificates": [base64.b64encode(root.public_bytes(Encoding.DER)).decode() for root in roots]})


_FOLDER: Final = "/usr/local/share/ca-certificates"


def linux(roots: Sequence[x509.Certificate], organisation: str) -> bytes:
    """Write a shell script that installs the roots; it shows the fingerprints, and asks."""
    parts = [
        _LINUX_FILE.format(name=_file_name(organisation, n), pem=root.public_bytes(Encoding.PEM).decode())
        for n, root in enumerate(roots)
    ]
    shown = "\n".join(f"echo '{hex_fingerprint(root)}'" for root in roots)
    return _LINUX.format(files="".join(parts), fingerprints=shown).encode()


_LINUX_FILE: Final = """\
cat > "$folder/{name}" <<'END'
{pem}END
chmod 644 "$folder/{name}"
"""
_LINUX: Final = """\
#!/bin/sh
# Installs root certificates on Linux. Usage: sh root.sh [--yes]. DESTDIR is a folder to install below, for packages.
set -eu
echo 'These root certificates will be trusted by all programs of this machine. SHA-256:'
{fingerprints}
if [ "${{1:-}}" != --yes ]; then
  printf 'Compare them with those that your administrator gave you. Are they the same? [y/N] '
  read -r answer
  [ "$answer" = y ] || exit 1
fi
if [ -d /etc/pki/ca-trust/source/anchors ]; then
  folder="${{DESTDIR:-}}/etc/pki/ca-trust/source/anchors" update=update-ca-trust
else
  folder="${{DESTDIR:-}}/usr/local/share/ca-certificates" update=update-ca-certificates
fi
mkdir -p "$folder"
{files}if [ -z "${{DESTDIR:-}}" ]; then $update; fi
"""


def _file_name(organisation: str, number: int) -> str:
    """Return the name of a root's file: letters, digits and - only."""
    name = re.sub("[^a-z0-9]+", "-", ascii_lower(organisation)).strip("-") or "sipmesh"
    return f"{name}-root{number + 1 if number else ''}.crt"


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"


PACKAGES: Final[Mapping[str, tuple[str, str, Callable[[Sequence[x509.Certificate], str], bytes]]]] = {
    "root.pem": ("PEM, for any program", "application/x-pem-file", pem),
    "root.cer": ("Windows", "application/pkix-cert", der),
    "root.mobileconfig": ("iPhone, iPad and Mac", "application/x-apple-aspen-config", apple),
    "root.sh": ("Linux", "text/x-shellscript", linux),
    "policies.json": ("Firefox, as a policy", "application/json", firefox),
    "chromium.json": ("Chromium and Chrome, as a policy", "application/json", chromium),
}
"""The files, each with what it is for, its media type, and what writes it."""
