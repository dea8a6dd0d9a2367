"""OCSP responses, valid and invalid, written octet by octet: cryptography's builder cannot make one with two statuses."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from sipmesh.demo.forge import Forged
from sipmesh.trust.revocation.ocsp import OcspAnswer
from sipmesh.trust.x509.der import elements
from trust.network import NOON

SEQUENCE, OCTETS, BITS, OID, TIME, ENUMERATED, NULL = 0x30, 0x04, 0x03, 0x06, 0x18, 0x0A, b"\x05\x00"
GOOD, UNKNOWN = b"\x80\x00", b"\x82\x00"
BASIC = bytes.fromhex("2b0601050507300101")  # id-pkix-ocsp-basic
UNHEARD_OF = bytes.fromhex("2b06010401868d1f07")  # an extension that is not known
SIGNATURES = {
    (True, "sha256"): bytes.fromhex("2a8648ce3d040302"),
    (True, "sha1"): bytes.fromhex("2a8648ce3d0401"),
    (False, "sha256"): bytes.fromhex("2a864886f70d01010b"),
}


def tlv(tag: int, *parts: bytes) -> bytes:
    """One element of DER."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = (size.bit_length() + 7) // 8
    return bytes((tag, 0x80 | octets)) + size.to_bytes(octets) + content


def moment(at: datetime) -> bytes:
    """A GeneralizedTime."""
    return tlv(TIME, f"{at:%Y%m%d%H%M%SZ}".encode())


def revoked(at: datetime = NOON) -> bytes:
    """The status *revoked*."""
    return tlv(0xA1, moment(at))


def extension(*, critical: bool) -> bytes:
    """Extensions with an unknown one."""
    flag = b"\x01\x01\xff" if critical else b""
    return tlv(0xA1, tlv(SEQUENCE, tlv(SEQUENCE, tlv(OID, UNHEARD_OF), flag, tlv(OCTETS, NULL))))


def single(
    held: Forged,
    status: bytes = GOOD,
    *,
    issuer: Forged | None = None,
    begins: timedelta = timedelta(hours=-1),
    ends: timedelta | None = timedelta(hours=1),
    hashed: hashes.HashAlgorithm | None = None,
    extra: bytes = b"",
) -> bytes:
    """What is said of one certificate."""
    above = issuer or held.issuer
    assert above is not None
    asked = ocsp.OCSPRequestBuilder().add_certificate(held.certificate, above.certificate, hashed or hashes.SHA1())  # noqa: S303 - the certID
    request = asked.build().public_bytes(Encoding.DER)
    (request_list,) = elements(request)[0].inside()[0].inside()
    certificate_id = tlv(SEQUENCE, request_list.inside()[0].inside()[0].content)
    until = tlv(0xA0, moment(NOON + ends)) if ends is not None else b""
    return tlv(SEQUENCE, certificate_id, status, moment(NOON + begins), until, extra)


@dataclass
class Wish:
    """The properties of a response. The defaults are those of a valid response, signed by *signer* and named by its key."""

    signer: Forged
    singles: tuple[bytes, ...]
    by_name: bool = False
    produced: timedelta = timedelta(0)
    certificates: tuple[Forged, ...] = ()
    extensions: bytes = b""
    hashed: hashes.HashAlgorithm = field(default_factory=hashes.SHA256)
    named: Forged | None = None  # who is said to have signed, where it is not the signer
    status: int = 0

    def der(self) -> bytes:
        """Sign it."""
        tbs = self._tbs()
        key = self.signer.key
        if isinstance(key, rsa.RSAPrivateKey):
            signature = key.sign(tbs, padding.PKCS1v15(), self.hashed)
        else:
            assert isinstance(key, ec.EllipticCurvePrivateKey), "SIGNATURES has no ML-DSA"
            signature = key.sign(tbs, ec.ECDSA(self.hashed))
        kind = SIGNATURES[isinstance(key, ec.EllipticCurvePrivateKey), self.hashed.name]
        held = [one.certificate.public_bytes(Encoding.DER) for one in self.certificates]
        along = tlv(0xA0, tlv(SEQUENCE, *held)) if held else b""
        basic = tlv(SEQUENCE, tbs, tlv(SEQUENCE, tlv(OID, kind)), tlv(BITS, b"\x00", signature), along)
        body = tlv(0xA0, tlv(SEQUENCE, tlv(OID, BASIC), tlv(OCTETS, basic))) if self.status == 0 else b""
        return tlv(SEQUENCE, tlv(ENUMERATED, bytes((self.status,))), body)

    def _tbs(self) -> bytes:
        said = (self.named or self.signer).certificate
        key_hash = x509.SubjectKeyIdentifier.from_public_key(said.public_key()).digest
        who = tlv(0xA1, said.subject.public_bytes()) if self.by_name else tlv(0xA2, tlv(OCTETS, key_hash))
        return tlv(SEQUENCE, who, moment(NOON + self.produced), tlv(SEQUENCE, *self.singles), self.extensions)


def answer(signer: Forged, *singles: bytes, **changes: Any) -> OcspAnswer:
    """A valid response with *changes*, parsed again."""
    return OcspAnswer.load(Wish(signer, singles, **changes).der())
