"""GRUUs: URIs that lead to one instance of a user, wherever it has its flows (RFC 5627).

A public GRUU is the address of record with the instance in its ``gr`` parameter. Any client can write one: it leads to
a device of a user who can be called anyway.

A temporary GRUU hides the address of record. Its user part is a sealed token, and its ``gr`` parameter has no value. Nothing is
stored for it. It counts as long as the instance is registered under the Call-ID for which it was made.

Neither of them proves who a sender is: a GRUU is a name of a device, and no user logs in as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2s
from typing import Final
from urllib.parse import unquote_to_bytes

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sipmesh.errors import LocalError
from sipmesh.routing.registrar.binding import Binding
from sipmesh.routing.registrar.device import HASH_BYTES, Instance, instance_hash, registration_hash
from sipmesh.sip import base64url
from sipmesh.sip.message import Request
from sipmesh.sip.text import ascii_lower, octets_of, text_of
from sipmesh.sip.uri import SipUri

GRID: Final = "gr"
PREFIX: Final = "tgruu."
_MARK: Final = f":{PREFIX}"
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
BLOCK: Final = 32
"""Octets: an address of record is padded to a multiple of this, so that its length says little about it."""

LONGEST_AOR: Final = 512
"""Characters; a user with a longer address gets public GRUUs only."""

LONGEST_TOKEN: Final = 1024
"""Characters. The longest token that we make has 774. A longer text is not decoded."""

_URN: Final = "<urn:"
_PARAM: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!~*'()[]/:&+$")
_PERSON: Final = b"gruu"
_LENGTH_BYTES: Final = 2


@dataclass(frozen=True, slots=True)
class OpenedGruu:
    """What a temporary GRUU leads to: the *aor* of its user, as ``sip:user@host``, and the device."""

    aor: str
    device: Instance


def is_gruu(uri: SipUri) -> bool:
    """Tell whether *uri* has the ``gr`` parameter (RFC 5627 section 3.1)."""
    return uri.params != () and uri.has(GRID)


def public_device(uri: SipUri) -> Instance | None:
    """Give the device that a public GRUU names; None for a temporary GRUU."""
    value = uri.param(GRID)
    if not value:
        return None
    return Instance(instance_hash(f"<{text_of(unquote_to_bytes(value))}>"))


def public_gruu(row: Binding) -> str:
    """Write the public GRUU of the instance of *row*; "" if the row has no instance that is a URN."""
    if row.instance is None or not ascii_lower(row.instance).startswith(_URN) or row.instance[-1] != ">":
        return ""
    urn = "".join([letter if letter in _PARAM else _escaped(letter) for letter in row.instance[1:-1]])
    return f"{_scheme_of(row)}{row.aor[4:]};{GRID}={urn}"


def is_to_hidden_user(request: Request) -> bool:
    """Tell whether a request is for a temporary GRUU: the caller may not learn whose it is."""
    return is_temporary(request.uri) or is_temporary(request.to.uri)


def is_temporary(uri: str) -> bool:
    """Tell whether a URI has the form of a temporary GRUU. The token is not checked."""
    return _MARK in uri


def pool_hash(pool: str) -> bytes:
    """Hash the name of a pool to the octets at the start of a temporary GRUU, by which other pools find it."""
    return blake2s(pool.encode(), digest_size=HASH_BYTES, person=_PERSON).digest()


def pool_of(uri: SipUri) -> bytes:
    """Give the hash of the pool that a temporary GRUU names; b"" if *uri* is not one. The token is not checked."""
    return _decoded(uri.user or "")[:HASH_BYTES]


class Gruus:
    """Makes and opens the temporary GRUUs of one *pool*, whose servers share *key* (any length)."""

    __slots__ = ("_cipher", "_mark")

    def __init__(self, key: bytes, pool: str) -> None:
        self._cipher = AESGCM(blake2s(key, digest_size=32, person=_PERSON).digest())
        self._mark = pool_hash(pool)

    def temporary(self, row: Binding, entropy: bytes) -> str:
        """Write a new temporary GRUU for the instance of *row*; "" where it would be too long.

        *entropy* is `NONCE_BYTES` random octets. Raises `LocalError` for a row without an instance, and for other entropy.
        """
        if row.instance is None or len(entropy) != NONCE_BYTES:
            raise LocalError(f"no temporary GRUU for {row.aor} with {len(entropy)} octets of entropy")
        address = octets_of(row.aor[4:])
        if len(address) > LONGEST_AOR:
            return ""
        plain = instance_hash(row.instance) + registration_hash(row.call_id) + _padded(address)
        sealed = self._mark + entropy + self._cipher.encrypt(entropy, plain, self._mark)
        return f"{_scheme_of(row)}{PREFIX}{base64url.encode(sealed)}@{row.aor.rpartition('@')[2]};{GRID}"

    def open(self, uri: SipUri) -> OpenedGruu | None:
        """Open a temporary GRUU of this pool; None for any other URI, and for a token that we have not made."""
        sealed = _decoded(uri.user or "")
        mark, nonce = sealed[:HASH_BYTES], sealed[HASH_BYTES : HASH_BYTES + NONCE_BYTES]
        if mark != self._mark:
            return None
        try:
            plain = self._cipher.decrypt(nonce, sealed[HASH_BYTES + NONCE_BYTES :], mark)
        except InvalidTag:
            return None
        at = 2 * HASH_BYTES
        end = at + _LENGTH_BYTES + int.from_bytes(plain[at : at + _LENGTH_BYTES])
        address = text_of(plain[at + _LENGTH_BYTES : end])
        if address.rpartition("@")[2] != uri.host:
            return None
        return OpenedGruu(f"sip:{address}", Instance(plain[:HASH_BYTES], plain[HASH_BYTES:at]))


def _scheme_of(row: Binding) -> str:
    """Give the scheme of the GRUUs of a row: that of its Contact (RFC 5627 section 5.3)."""
    return "sips:" if ascii_lower(row.contact[:5]) == "sips:" else "sip:"


def _escaped(letter: str) -> str:
    return "".join([f"%{octet:02X}" for octet in octets_of(letter)])


def _padded(address: bytes) -> bytes:
    framed = len(address).to_bytes(_LENGTH_BYTES) + address
    return framed + bytes(-len(framed) % BLOCK)


def _decoded(user: str) -> bytes:
    """Decode the user part of a temporary GRUU; b"" if it is none, or not in the one spelling that we write."""
    if not user.startswith(PREFIX) or len(user) > LONGEST_TOKEN or not user.isascii():
        return b""
    try:
        sealed = base64url.decode(user[len(PREFIX) :].encode("ascii"))
    except ValueError:
        return b""
    return sealed if len(sealed) >= HASH_BYTES + NONCE_BYTES + TAG_BYTES else b""
