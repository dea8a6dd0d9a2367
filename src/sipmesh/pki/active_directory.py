"""The root certificates of our CA as entries of Active Directory: the hosts of the forest then trust them.

An entry below Certification Authorities (MS-WCCE 2.2.2.11.2) makes a root of each Windows host. None is written below
NTAuthCertificates: the holder of the key of a CA there can log in to the domain as any account, and
our CA issues no certificate for log-ins.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cryptography import x509

PLACE: Final = "CN=Public Key Services,CN=Services,CN=Configuration"
_COLUMNS: Final = 76
_LONGEST_CN: Final = 64
_DIGITS: Final = 16
_NO_CRL: Final = b"\x00"
"""What certutil writes where the schema asks for a CRL and the CA publishes its own elsewhere."""

_SPECIAL: Final = frozenset('"#+,;<=>\\')


def forest_dn(domain: str) -> str:
    """Return the distinguished name of the root *domain* of a forest, which is a host name."""
    return ",".join(f"DC={label}" for label in domain.split("."))


def root_dn(root: x509.Certificate, domain: str) -> str:
    """Return the name of the entry of *root*: its common name, and the begin of its SHA-256 fingerprint."""
    name = _common_name(root)
    escaped = "".join(f"\\{character}" if character in _SPECIAL else character for character in name)
    return f"CN={escaped},CN=Certification Authorities,{PLACE},{forest_dn(domain)}"


def ldif_of(roots: Iterable[x509.Certificate], domain: str) -> str:
    """Write changes that add each of *roots* to the forest of *domain* (RFC 2849), for ldapmodify and ldifde."""
    return "".join(f"{line}\n" for root in roots for line in _entry(root, domain))


def _common_name(root: x509.Certificate) -> str:
    """Return a name that no other root has, at most 64 characters, without blanks at its ends."""
    named = root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    text = "".join(letter for letter in str(named[0].value) if letter.isprintable()) if named else "CA"
    digits = root.fingerprint(hashes.SHA256()).hex()[:_DIGITS]
    return f"{text[: _LONGEST_CN - _DIGITS - 1].strip()} {digits}".strip()


def _entry(root: x509.Certificate, domain: str) -> Iterator[str]:
    yield from _value("dn", root_dn(root, domain).encode())
    yield "changetype: add"
    yield "objectClass: certificationAuthority"
    yield from _value("cACertificate", root.public_bytes(Encoding.DER))
    for attribute in ("authorityRevocationList", "certificateRevocationList"):
        yield from _value(attribute, _NO_CRL)
    yield ""


def _value(attribute: str, value: bytes) -> Iterator[str]:
    """Write one attribute as it is if it is plain text, else in Base64, in lines of 76 columns."""
    is_plain = value.isascii() and value.decode("latin-1").isprintable()
    line = f"{attribute}: {value.decode()}" if is_plain else f"{attribute}:: {base64.b64encode(value).decode()}"
    yield line[:_COLUMNS]
    for begin in range(_COLUMNS, len(line), _COLUMNS - 1):
        yield f" {line[begin : begin + _COLUMNS - 1]}"
