"""What is in a file that another CA has given: certificates and at most one private key, as PEM, DER, PKCS #7 or PKCS #12.

Names in the file, such as the friendly names of PKCS #12, are never used as names of files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs7 import (
    load_der_pkcs7_certificates,
    load_pem_pkcs7_certificates,
)

from sipmesh.pki.importing.encrypted_file import (
    UNREADABLE_KEY,
    has_old_encryption,
    is_pkcs12,
    open_key,
    open_pkcs12,
    refused,
)
from sipmesh.trust.x509.certificate import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

LARGEST: Final = 1 << 20
"""Octets of a file. A CA with its issuers takes some kilobytes."""
MOST_CERTIFICATES: Final = 16
"""Certificates in one file: a CA, its issuers, and what a program adds to them."""

_BEGIN: Final = re.compile(rb"-----BEGIN ([^\r\n-]{1,64})-----")  # RFC 7468 3
_CERTIFICATES: Final = (b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE")
_KEYS: Final = (b"PRIVATE KEY", b"EC PRIVATE KEY", b"RSA PRIVATE KEY", b"ENCRYPTED PRIVATE KEY")
_IGNORED: Final = (b"EC PARAMETERS",)  # openssl ecparam -genkey writes them before the key
_JAVA: Final = b"\xfe\xed\xfe\xed"


@dataclass(frozen=True, slots=True, repr=False)
class Bundle:
    """What *file* has. *key* is a private key on P-256 or P-384, or None. *is_old*: it was encrypted with 3DES or RC2."""

    file: Path
    certificates: tuple[x509.Certificate, ...]
    key: ec.EllipticCurvePrivateKey | None = None
    is_old: bool = False

    def __repr__(self) -> str:
        return f"<Bundle {self.file} of {len(self.certificates)}{' with a key' if self.key else ''}>"


def read_bundle(content: bytes, file: Path, password: Callable[[], str]) -> Bundle:
    """Read a file; *password* is called if its key is encrypted. Raises `OperatorError` that names the mistake."""
    if content.startswith(_JAVA):
        remedy = (
            "make a PKCS #12 file: keytool -importkeystore -srckeystore OLD -destkeystore NEW.p12 -deststoretype PKCS12"
        )
        raise refused(file, "is a Java key store (JKS)", remedy)
    if is_pkcs12(content):
        found = open_pkcs12(content, password(), file)
        keys = [_key(found.key.encode(), file)] if found.key else []
        made = _bundle(file, [_certificate(pem.encode(), file) for pem in found.certificates], keys)
        return replace(made, is_old=has_old_encryption(content))
    if b"-----BEGIN " in content:
        return _of_pem(content, file, password)
    return _bundle(file, _of_der(content, file), ())


def _bundle(file: Path, certificates: Sequence[x509.Certificate], keys: Sequence[PrivateKeyTypes]) -> Bundle:
    different = tuple(dict.fromkeys(certificates))
    if len(different) > MOST_CERTIFICATES:
        reason = f"has {len(different)} certificates, more than {MOST_CERTIFICATES}"
        raise refused(file, reason, "leave the CA and its issuers in it, and remove the others")
    for key in keys:
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
            remedy = "make a CA of ours below that CA: sipmesh ca request FILE"
            raise refused(file, "has a key that is not ECDSA on P-256 or P-384, so sipmesh cannot sign with it", remedy)
        return Bundle(file, different, key)
    return Bundle(file, different)


def _of_pem(content: bytes, file: Path, password: Callable[[], str]) -> Bundle:
    certificates: list[x509.Certificate] = []
    keys: list[PrivateKeyTypes] = []
    for label, pem in _blocks(content, file):
        if label in _CERTIFICATES:
            certificates.append(_certificate(pem.replace(label, b"CERTIFICATE"), file))
        elif label in _KEYS and keys:  # before it is decrypted: each may take its whole time
            raise refused(file, "has several private keys", "leave the key of the CA alone in it")
        elif label in _KEYS:
            keys.append(_key(pem, file, password))
        elif label in {b"PKCS7", b"CMS"}:
            certificates += _pkcs7(load_pem_pkcs7_certificates, pem.replace(b"CMS-", b"PKCS7-"), file)
        elif label not in _IGNORED:
            name = label.decode("ascii", "replace")
            raise refused(file, f"has a block {name!r}", "leave certificates and at most one private key in it")
    if not certificates:
        raise refused(file, "has no certificate", "export the certificate of the CA, with its issuers")
    return _bundle(file, certificates, keys)


def _blocks(content: bytes, file: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield label and text of each block. One without its end is refused at once, so each octet is read a few times only."""
    at = 0
    while (begun := _BEGIN.search(content, at)) is not None:
        end = b"-----END " + begun[1] + b"-----"
        if (at := content.find(end, begun.end())) < 0:
            reason = f"has a block {begun[1].decode('ascii', 'replace')!r} without its end"
            raise refused(file, reason, "export it again from the CA")
        at += len(end)
        yield begun[1], content[begun.start() : at] + b"\n"


def _of_der(content: bytes, file: Path) -> list[x509.Certificate]:
    try:
        return [x509.load_der_x509_certificate(content)]
    except UNREADABLE:
        pass
    try:
        load_der_private_key(content, None)
    except TypeError:
        pass  # it is encrypted
    except (ValueError, UnsupportedAlgorithm):
        return _pkcs7(load_der_pkcs7_certificates, content, file)
    raise refused(file, "has a private key alone", "export the certificate of the CA too, as PKCS #12 or PEM")


def _pkcs7(load: Callable[[bytes], list[x509.Certificate]], content: bytes, file: Path) -> list[x509.Certificate]:
    try:
        return load(content)
    except (ValueError, UnsupportedAlgorithm, TypeError):
        reason = "is no readable certificate, PKCS #7 or PKCS #12 file"
        raise refused(file, reason, "export the certificate of the CA, with its issuers, as PEM") from None


def _certificate(pem: bytes, file: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except UNREADABLE:
        raise refused(file, "has a certificate that cannot be read", "export it again from the CA") from None


def _key(pem: bytes, file: Path, password: Callable[[], str] | None = None) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(pem, None)
    except TypeError:  # the library asks for a password
        if password is None:
            raise refused(file, "has a key that is encrypted twice", "export it again from the CA") from None
    except (ValueError, UnsupportedAlgorithm):
        raise refused(file, *UNREADABLE_KEY) from None
    return _key(open_key(pem, password(), file).key.encode(), file)
