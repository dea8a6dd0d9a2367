"""A forge of certificates, valid and wrong, for the demo and the tests.

An impostor and its control come from the same call and differ in one argument. Certificates from here are neither linted nor
journalled, and no running network may rely on them; the enterprise CA cannot import this module.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | mldsa.MLDSA44PrivateKey

SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH
SIP_DOMAIN = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.20")  # RFC 5924 3.1
MARGIN, DAY = timedelta(minutes=5), timedelta(days=1)


class KeyKind(Enum):
    """The keys that the forge can make; every judge refuses RSA-1024."""

    EC_P256 = "ec-p256"
    RSA_1024 = "rsa-1024"
    RSA_2048 = "rsa-2048"
    ML_DSA_44 = "ml-dsa-44"

    def make(self) -> Key:
        """Return a new key of this kind."""
        if self is KeyKind.EC_P256:
            return ec.generate_private_key(ec.SECP256R1())
        if self is KeyKind.ML_DSA_44:
            return mldsa.MLDSA44PrivateKey.generate()
        bits = 1024 if self is KeyKind.RSA_1024 else 2048
        return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@dataclass(frozen=True, slots=True)
class Wish:
    """The properties of a certificate to make; the defaults are those of a valid server.

    Each of *names* goes into the subjectAltName as a DNS name and as a ``sip:`` URI, beside *dns* and *uris*. Times are
    offsets from the forge's time. If *begins* is not before *ends*, the validity starts a day before *ends*.
    """

    common_name: str = "a server"
    names: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    begins: timedelta = -MARGIN
    ends: timedelta = timedelta(days=30)
    key: KeyKind = KeyKind.EC_P256
    ca: bool = False
    path_length: int | None = None
    usages: tuple[x509.ObjectIdentifier, ...] = (SERVER_AUTH, CLIENT_AUTH)  # empty: no extended key usage at all
    digital_signature: bool = True
    cert_sign: bool | None = None  # None: true for a CA, false for others
    permitted: tuple[x509.GeneralName, ...] = ()
    excluded: tuple[x509.GeneralName, ...] = ()
    critical: tuple[x509.ExtensionType, ...] = ()  # further extensions, marked critical
    extra: tuple[x509.ExtensionType, ...] = ()  # further extensions, not critical
    crl_points: tuple[str, ...] = ()
    serial: int | None = None
    with_aki: bool = True
    with_key_usage: bool = True


@dataclass(frozen=True, slots=True)
class Forged:
    """A certificate with its key and its issuer; the chain does not contain the anchor."""

    certificate: x509.Certificate
    key: Key = field(repr=False)
    issuer: Forged | None = None

    @classmethod
    def read(cls, certificate: Path, key: Path, issuer: Forged | None = None) -> Forged:
        """Read a certificate and its key from PEM files, so that the demo's own CA can be misused."""
        loaded = load_pem_private_key(key.read_bytes(), None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise TypeError(f"{key} holds a {type(loaded).__name__}")
        return cls(x509.load_pem_x509_certificate(certificate.read_bytes()), loaded, issuer)

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """The chain that a TLS peer presents: this certificate, then its issuers, without the anchor."""
        above = self.issuer.chain if self.issuer and self.issuer.issuer else ()
        return (self.certificate, *above)

    @property
    def presented(self) -> tuple[bytes, ...]:
        """The chain in DER."""
        return tuple(certificate.public_bytes(Encoding.DER) for certificate in self.chain)

    @property
    def pem_chain(self) -> bytes:
        """The chain in PEM."""
        return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in self.chain)

    @property
    def pem_key(self) -> bytes:
        """The key in PEM, not encrypted."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write ``NAME.pem`` (the chain) and ``NAME.key`` (mode 0600) into *folder*, and return both paths."""
        folder.mkdir(parents=True, exist_ok=True)
        chain, key = folder / f"{name}.pem", folder / f"{name}.key"
        chain.write_bytes(self.pem_chain)
        with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(self.pem_key)
        return chain, key


class Forge:
    """Signs any certificate, at the time *at* (with a time zone). A leaf key is made once for each kind, and used again."""

    def __init__(self, at: datetime) -> None:
        if at.tzinfo is None:
            raise ValueError("the instant of a forge needs a timezone")
        self.at = at
        self.made = 0
        self._keys: dict[KeyKind, Key] = {}

    def root(self, common_name: str, **changes: Any) -> Forged:
        """Return a CA that signs itself."""
        return self.forge(Wish(common_name, ca=True, usages=(), ends=timedelta(days=3650)), **changes)

    def authority(self, common_name: str, issuer: Forged, **changes: Any) -> Forged:
        """Return a CA under *issuer*."""
        wish = Wish(common_name, ca=True, usages=(), path_length=0, ends=timedelta(days=1825))
        return self.forge(wish, issuer, **changes)

    def organisation(self, name: str, **changes: Any) -> Forged:
        """Make a root and an issuing CA under it, and return the issuing CA; *changes* apply to the issuing CA."""
        return self.authority(f"{name} issuing CA", self.root(f"{name} root"), **changes)

    def server(self, issuer: Forged | None, *names: str, **changes: Any) -> Forged:
        """Return a valid server's certificate for *names*, with *changes*; without *issuer* it signs itself."""
        return self.forge(Wish(names[0] if names else "a server", names=names), issuer, **changes)

    def forge(self, wish: Wish, issuer: Forged | None = None, *, reuse: Key | None = None, **changes: Any) -> Forged:
        """Return what *wish* describes, with *changes*, signed by *issuer* or by itself; *reuse* is a key to use again."""
        wish = replace(wish, **changes)
        key = reuse or (wish.key.make() if wish.ca or issuer is None else self._leaf_key(wish.key))
        above = issuer.key if issuer else key
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, wish.common_name)] if wish.common_name else [])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(wish.serial if wish.serial is not None else x509.random_serial_number())
            .not_valid_before(self.at + (wish.begins if wish.begins < wish.ends else wish.ends - DAY))
            .not_valid_after(self.at + wish.ends)
        )
        for extension, critical in _extensions(wish, key, above):
            builder = builder.add_extension(extension, critical)
        self.made += 1
        return Forged(builder.sign(above, digest_of(above)), key, issuer)

    def revocations(
        self,
        issuer: Forged,
        revoked: Iterable[Forged | int] = (),
        *,
        begins: timedelta = -MARGIN,
        ends: timedelta = timedelta(days=7),
        number: int | None = 1,
        extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
        key: Key | None = None,
    ) -> bytes:
        """Return the CRL of *issuer* in PEM; *key* signs it if another key than the issuer's shall sign."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.certificate.subject)
            .last_update(self.at + begins)
            .next_update(self.at + ends)
            .add_extension(_aki(issuer.key), critical=False)
        )
        if number is not None:
            builder = builder.add_extension(x509.CRLNumber(number), critical=False)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        for certificate_or_serial in revoked:
            serial = (
                certificate_or_serial
                if isinstance(certificate_or_serial, int)
                else certificate_or_serial.certificate.serial_number
            )
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(self.at + begins)
            builder = builder.add_revoked_certificate(entry.build())
        by = key or issuer.key
        return builder.sign(by, digest_of(by)).public_bytes(Encoding.PEM)

    def _leaf_key(self, kind: KeyKind) -> Key:
        if kind not in self._keys:
            self._keys[kind] = kind.make()
        return self._keys[kind]


def digest_of(key: Key) -> hashes.SHA256 | None:
    """The hash algorithm of signatures by *key*; ML-DSA hashes by itself."""
    return hashes.SHA256() if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) else None


def _extensions(wish: Wish, key: Key, above: Key) -> Iterable[tuple[x509.ExtensionType, bool]]:
    yield x509.BasicConstraints(ca=wish.ca, path_length=wish.path_length if wish.ca else None), True
    if wish.with_key_usage:
        yield _key_usage(wish), True
    yield x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False
    if wish.with_aki:
        yield _aki(above), False
    if names := _alternative_names(wish):
        yield x509.SubjectAlternativeName(names), not wish.common_name
    if wish.usages:
        yield x509.ExtendedKeyUsage(wish.usages), False
    if wish.permitted or wish.excluded:
        yield x509.NameConstraints(wish.permitted or None, wish.excluded or None), True
    if wish.crl_points:
        yield x509.CRLDistributionPoints([_point(url) for url in wish.crl_points]), False
    yield from ((extension, True) for extension in wish.critical)
    yield from ((extension, False) for extension in wish.extra)


def _alternative_names(wish: Wish) -> list[x509.GeneralName]:
    dns = [x509.DNSName(name) for name in (*wish.names, *wish.dns)]
    uris = [x509.UniformResourceIdentifier(uri) for uri in (*(f"sip:{name}" for name in wish.names), *wish.uris)]
    return [*dns, *uris]


def _key_usage(wish: Wish) -> x509.KeyUsage:
    signs = wish.ca if wish.cert_sign is None else wish.cert_sign
    return x509.KeyUsage(
        digital_signature=wish.digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not (wish.digital_signature or signs),  # some bit must be set (RFC 5280 4.2.1.3)
        key_cert_sign=signs,
        crl_sign=wish.ca,
        encipher_only=False,
        decipher_only=False,
    )


def _aki(key: Key) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _point(url: str) -> x509.DistributionPoint:
    return x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
