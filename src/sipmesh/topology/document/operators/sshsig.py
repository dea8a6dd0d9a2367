"""Signatures of OpenSSH (SSHSIG): what `ssh-keygen -Y sign` makes with a key file, an agent or a FIDO token.

Only Ed25519 keys count: ``ssh-ed25519`` and ``sk-ssh-ed25519@openssh.com``. The format is that of the file PROTOCOL.sshsig of
OpenSSH; the text around it is that of RFC 4716.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sipmesh.errors import SipmeshError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PLAIN, TOKEN = b"ssh-ed25519", b"sk-ssh-ed25519@openssh.com"
MAGIC, VERSION = b"SSHSIG", 1
LARGEST: Final = 4096
"""Octets of a signature in text."""

USER_PRESENT: Final = 0x01
"""The flag of a FIDO token whose owner has touched it."""

_HASHES: Final = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
_ARMOUR: Final = re.compile(
    r"-----BEGIN SSH SIGNATURE-----\s+([A-Za-z0-9+/=\s]+?)\s*-----END SSH SIGNATURE-----\s*", re.ASCII
)
_KEY: Final = re.compile(r"(ssh-ed25519|sk-ssh-ed25519@openssh\.com) ([A-Za-z0-9+/]+={0,2})(?: [^\r\n]*)?", re.ASCII)


class UnusableKeyError(SipmeshError):
    """A public key or a signature is malformed, or of a kind that does not count."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 key of OpenSSH; *application* is that of a FIDO token, empty for other keys. *blob* is the whole key."""

    blob: bytes
    ed25519: bytes
    application: bytes = b""

    @classmethod
    def read(cls, text: str) -> PublicKey:
        """Read one line of a file ``id_ed25519.pub``; raises `UnusableKeyError`."""
        found = _KEY.fullmatch(text.strip(" \r\n"))
        if found is None:
            raise UnusableKeyError("is not a line such as 'ssh-ed25519 AAAA...': make a key with ssh-keygen -t ed25519")
        key = cls.of_blob(_decoded(found[2]))
        if key.kind != found[1].encode():
            raise UnusableKeyError("names one kind of key, and contains another one")
        return key

    @classmethod
    def of_blob(cls, blob: bytes) -> PublicKey:
        """Read a key in the binary form of OpenSSH; raises `UnusableKeyError`."""
        parts = _Reader(blob)
        kind, ed25519 = parts.string(), parts.string()
        application = parts.string() if kind == TOKEN else b""
        parts.must_end()
        if kind not in (PLAIN, TOKEN) or len(ed25519) != 32 or (kind == TOKEN) != bool(application):  # noqa: PLR2004
            raise UnusableKeyError("is not an Ed25519 key")
        return cls(blob, ed25519, application)

    @property
    def kind(self) -> bytes:
        """The name of its kind in OpenSSH."""
        return TOKEN if self.application else PLAIN

    @property
    def fingerprint(self) -> str:
        """The fingerprint that `ssh-keygen -l` prints."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature in the binary form of OpenSSH; *key* is what it claims to be made with."""

    key: PublicKey
    namespace: bytes
    reserved: bytes
    hash_name: bytes
    signature: bytes
    flags: int
    counter: bytes

    @classmethod
    def read(cls, blob: bytes) -> Signature:
        """Read a signature without its text; raises `UnusableKeyError`. Whether it is valid, `is_of` says."""
        if not blob.startswith(MAGIC) or len(blob) > LARGEST:
            raise UnusableKeyError("is not a signature of OpenSSH")
        parts = _Reader(blob[len(MAGIC) :])
        if parts.number() != VERSION:
            raise UnusableKeyError("is not a signature of OpenSSH, version 1")
        key = PublicKey.of_blob(parts.string())
        namespace, reserved, hash_name, inner = parts.string(), parts.string(), parts.string(), _Reader(parts.string())
        parts.must_end()
        kind, signature = inner.string(), inner.string()
        flags, counter = (inner.octet(), inner.octets(4)) if kind == TOKEN else (USER_PRESENT, b"")
        inner.must_end()
        if kind != key.kind or hash_name not in _HASHES:
            raise UnusableKeyError("has a kind or a hash that does not count")
        return cls(key, namespace, reserved, hash_name, signature, flags, counter)

    def is_of(self, message: bytes, namespace: str) -> bool:
        """Return whether its key has signed *message* for *namespace*; a token's owner must have touched it."""
        if self.namespace != namespace.encode() or not self.flags & USER_PRESENT:
            return False
        signed = _signed(message, self.namespace, self.reserved, self.hash_name)
        if self.key.application:
            application = hashlib.sha256(self.key.application).digest()
            signed = application + bytes([self.flags]) + self.counter + hashlib.sha256(signed).digest()
        try:
            Ed25519PublicKey.from_public_bytes(self.key.ed25519).verify(self.signature, signed)
        except InvalidSignature:
            return False
        return True


def unarmoured(text: str) -> bytes:
    """Return the octets of a signature in text; raises `UnusableKeyError`."""
    found = _ARMOUR.fullmatch(text) if len(text) <= LARGEST else None
    if found is None:
        raise UnusableKeyError("is not a signature that ssh-keygen -Y sign has made")
    return _decoded("".join(found[1].split()))


def armoured(blob: bytes) -> str:
    """Return a signature as text, as `ssh-keygen` writes it."""
    text = base64.b64encode(blob).decode()
    lines = [text[n : n + 70] for n in range(0, len(text), 70)]
    return "\n".join(("-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""))


def sign(message: bytes, namespace: str, key: Ed25519PrivateKey) -> bytes:
    """Sign as `ssh-keygen -Y sign` does."""
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    name, hash_name = namespace.encode(), b"sha512"
    signature = key.sign(_signed(message, name, b"", hash_name))
    blob, inner = _string(PLAIN) + _string(public), _string(PLAIN) + _string(signature)
    parts = (blob, name, b"", hash_name, inner)
    return MAGIC + VERSION.to_bytes(4, "big") + b"".join(map(_string, parts))


def _signed(message: bytes, namespace: bytes, reserved: bytes, hash_name: bytes) -> bytes:
    """Return what the key signs: the hash of the message, with its namespace."""
    digest = _HASHES[hash_name](message).digest()
    return MAGIC + b"".join(map(_string, (namespace, reserved, hash_name, digest)))


def _string(octets: bytes) -> bytes:
    return len(octets).to_bytes(4, "big") + octets


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise UnusableKeyError("is not base64") from None


class _Reader:
    """Reads the strings and numbers of SSH (RFC 4251 section 5)."""

    def __init__(self, octets: bytes) -> None:
        self._octets, self._at = octets, 0

    def octets(self, count: int) -> bytes:
        found = self._octets[self._at : self._at + count]
        if len(found) < count:
            raise UnusableKeyError("ends too early")
        self._at += count
        return found

    def octet(self) -> int:
        return self.octets(1)[0]

    def number(self) -> int:
        return int.from_bytes(self.octets(4), "big")

    def string(self) -> bytes:
        return self.octets(self.number())

    def must_end(self) -> None:
        if self._at != len(self._octets):
            raise UnusableKeyError("is longer than it should be")
