"""A log of Certificate Transparency that signs what a test wants, and certificates with its SCTs."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sipmesh.demo.forge import Forge, Forged
from sipmesh.trust.transparency.ct_log import CtLog

SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")  # RFC 6962 3.3
SHA256_WITH = {ec.EllipticCurvePrivateKey: b"\x04\x03", rsa.RSAPrivateKey: b"\x04\x01"}
SERIAL = 0x5C7


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class SigningLog:
    """A log of *operator* that signs with *key*."""

    operator: str
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = field(default_factory=new_key)

    def known(self, until: datetime | None = None) -> CtLog:
        """The log as the topology has it."""
        return CtLog(self.operator, self.spki, until)

    @property
    def spki(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def sct(self, tbs: bytes, issuer: x509.Certificate, at: datetime) -> bytes:
        """What the log says of a precertificate at the instant *at*."""
        key = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return self._sct(1, hashlib.sha256(key).digest() + len(tbs).to_bytes(3, "big") + tbs, at)

    def sct_of(self, certificate: x509.Certificate, at: datetime) -> bytes:
        """What the log says of a certificate itself, as in an OCSP response."""
        der = certificate.public_bytes(Encoding.DER)
        return self._sct(0, len(der).to_bytes(3, "big") + der, at)

    def _sct(self, kind_of_entry: int, content: bytes, at: datetime) -> bytes:
        time = int(at.timestamp()) * 1000
        signed = struct.pack(">BBQH", 0, 0, time, kind_of_entry) + content + b"\x00\x00"
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            kind, signature = b"\x04\x03", self.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        else:
            kind, signature = b"\x04\x01", self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        log_id = hashlib.sha256(self.spki).digest()
        sct = struct.pack(">B32sQ", 0, log_id, time) + b"\x00\x00" + kind
        return sct + len(signature).to_bytes(2, "big") + signature


def logged(
    forge: Forge, issuer: Forged, *names: str, by: tuple[SigningLog, ...], at: datetime | None = None, **changes: Any
) -> Forged:
    """A certificate for *names* that the logs *by* have logged, an hour ago by default."""
    before = forge.server(issuer, *names, serial=SERIAL, **changes).certificate.tbs_certificate_bytes
    when = at or forge.at - timedelta(hours=1)
    return with_scts(forge, issuer, *names, scts=[log.sct(before, issuer.certificate, when) for log in by], **changes)


def with_scts(forge: Forge, issuer: Forged, *names: str, scts: list[bytes], **changes: Any) -> Forged:
    """A certificate with these SCTs."""
    listed = b"".join(len(sct).to_bytes(2, "big") + sct for sct in scts)
    content = len(listed).to_bytes(2, "big") + listed
    octets = b"\x04" + _length(len(content)) + content
    return forge.server(issuer, *names, serial=SERIAL, extra=(x509.UnrecognizedExtension(SCT_LIST, octets),), **changes)


def stapled(certificate: x509.Certificate, *scts: bytes) -> bytes:
    """An OCSP response about a certificate with SCTs in it, whose signature is none: SCTs are signed themselves."""
    listed = b"".join(len(sct).to_bytes(2, "big") + sct for sct in scts)
    timestamps = der(4, len(listed).to_bytes(2, "big") + listed)
    extension = der(0x30, oid("1.3.6.1.4.1.11129.2.4.5"), der(4, timestamps))
    serial = certificate.serial_number.to_bytes(20, "big").lstrip(b"\0")
    sha1 = der(0x30, oid("1.3.14.3.2.26"), b"\x05\x00")
    number = der(2, serial if serial[0] < 0x80 else b"\0" + serial)
    known, time = der(0x30, sha1, der(4, b"n" * 20), der(4, b"k" * 20), number), der(0x18, b"20261201000000Z")
    single = der(0x30, known, b"\x80\x00", time, der(0xA1, der(0x30, extension)))
    data = der(0x30, der(0xA2, der(4, b"k" * 20)), time, der(0x30, single))
    basic = der(0x30, data, der(0x30, oid("1.2.840.10045.4.3.2")), der(3, b"\0none"))
    return der(0x30, b"\x0a\x01\x00", der(0xA0, der(0x30, oid("1.3.6.1.5.5.7.48.1.1"), der(4, basic))))


def der(tag: int, *parts: bytes) -> bytes:
    """One value of ASN.1 in DER."""
    content = b"".join(parts)
    return bytes((tag,)) + _length(len(content)) + content


def oid(dotted: str) -> bytes:
    """An object identifier in DER."""
    first, second, *rest = map(int, dotted.split("."))
    content = bytes((first * 40 + second,))
    for arc in rest:
        groups = [arc >> shift & 0x7F for shift in range(0, max(arc.bit_length(), 1), 7)]
        content += bytes([group | 0x80 for group in groups[:0:-1]] + groups[:1])
    return der(6, content)


def _length(octets: int) -> bytes:
    if octets < 0x80:
        return bytes((octets,))
    size = octets.to_bytes((octets.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(size),)) + size
