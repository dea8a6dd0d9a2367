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
        time = int(at.timestamp()) * 1000
        signed = struct.pack(">BBQH", 0, 0, time, 1) + hashlib.sha256(key).digest()
        signed += len(tbs).to_bytes(3, "big") + tbs + b"\x00\x00"
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


def _length(octets: int) -> bytes:
    if octets < 0x80:
        return bytes((octets,))
    size = octets.to_bytes((octets.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(size),)) + size
