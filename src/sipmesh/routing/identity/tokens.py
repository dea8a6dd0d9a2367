"""Makes and reads the texts of tokens: each has the MAC of its octets, and what hides a user is encrypted."""

from __future__ import annotations

from hashlib import blake2s
from hmac import compare_digest
from typing import Final

from sipmesh.errors import LocalError
from sipmesh.routing.identity.dialog_token import (
    DIALOG_KIND,
    FLOW_KIND,
    HASH_BYTES,
    LOGIN_KIND,
    MOST_HASHES,
    NO_ENTRY,
    PATH_KIND,
    Begun,
    DialogToken,
    FlowSide,
    FlowToken,
    LoginToken,
    PathToken,
    PeerSide,
    Side,
    Token,
    owner_hash,
    pack,
    packed_of,
    unpack,
)
from sipmesh.sip import base64url
from sipmesh.sip.text import octets_of, text_of
from sipmesh.sip.text_cache import TextCache
from sipmesh.sip.uri import CACHED_LENGTH, SipUri

MAC_BYTES: Final = 12
"""96 bits: a forger needs 2**95 requests on average, and each of them is a refused message."""

LONGEST_TOKEN: Final = 152
"""Characters. The longest token that we make has 148. A longer text is not decoded."""

MOST_KNOWN: Final = 16_384
"""Tokens that are cached; about 10 MiB."""

_SECRET_KIND: Final = b"H"
_CONTACT_KIND: Final = b"C"
_DIALOG_CONTACT_KIND: Final = b"c"
_RECORDED_KIND: Final = b"r"
_SECRET_START: Final = "S"  # noqa: S105 - not a password
"""The first character of each secret token: the first six bits of its kind."""

LONGEST_CONTACT: Final = 8_192
"""Characters of a hidden Contact; no longer URI is accepted (`sip.check.MAX_URI`)."""

_GROUP: Final = 3
_CHARACTERS: Final = 4
"""Base64 writes each group of three octets as four characters (RFC 4648 section 4)."""

_NAMES: Final = b"names"
_SECRET: Final = b"secret"
_STREAM: Final = b"stream"
"""Separates the hashes of names from the MACs that are made with the same key."""


class Tokens:
    """Makes and reads the tokens of one incarnation of a server. *key* is the same in all incarnations; links are not.

    Only this server has its flows, so only it has the key of flow tokens. A dialog may continue through any server of the
    pool with the same *pool_key*. Without *pool_key*, dialog tokens have *key* too.

    Tokens that were made or verified recently are cached, because every request of a dialog carries the same token. Peers
    cannot add entries to the cache.
    """

    __slots__ = (
        "_contacts",
        "_dialog_mac",
        "_flow_mac",
        "_hashes",
        "_known",
        "_name_hash",
        "_secret_mac",
        "_stream",
        "incarnation",
    )

    def __init__(self, key: bytes, incarnation: int, pool_key: bytes = b"") -> None:
        for secret in (key, pool_key or key):
            if not MAC_BYTES <= len(secret) <= blake2s.MAX_KEY_SIZE:
                raise LocalError(f"a token key has {MAC_BYTES} to {blake2s.MAX_KEY_SIZE} bytes, this one {len(secret)}")
        pool_key, self.incarnation = pool_key or key, incarnation
        # A copy of a hash that has its key already needs a third less time than a new one. With the kind of all payloads it has
        # taken in the block of the key too.
        self._flow_mac = blake2s(key=key, digest_size=MAC_BYTES)
        self._dialog_mac = blake2s(key=pool_key, digest_size=MAC_BYTES)
        self._dialog_mac.update(DIALOG_KIND)
        self._name_hash = blake2s(key=pool_key, digest_size=HASH_BYTES, person=_NAMES)
        self._secret_mac = blake2s(key=pool_key, digest_size=MAC_BYTES, person=_SECRET)
        self._stream = blake2s(key=pool_key, person=_STREAM)
        self._known: TextCache[Token] = TextCache(MOST_KNOWN)
        self._hashes: TextCache[bytes] = TextCache(MOST_HASHES)
        self._contacts: TextCache[str] = TextCache(MOST_KNOWN)

    def flow_side(self, link_number: int, owner: str) -> FlowSide:
        """Give the side of the link *link_number* in this incarnation, owned by the address of record *owner*."""
        return FlowSide(self.incarnation, link_number, owner_hash(owner))

    def flow(self, link_number: int, owner: str) -> str:
        """Make the token for a flow of this incarnation, owned by the address of record *owner*."""
        token = FlowToken(self.flow_side(link_number, owner))
        return self._remember(self._seal(FLOW_KIND + pack(token.side)), token)

    def path(self, link_number: int, owner: str, home: PeerSide) -> str:
        """Make the token for a flow of this incarnation in a Path: its *owner* is a user of the pool *home*."""
        token = PathToken(self.flow_side(link_number, owner), home)
        return self._remember(self._seal(PATH_KIND + pack(token.side) + pack(home)), token)

    def recorded(self, path: str, call_id: str, tag: str) -> str:
        """Make the token for our Record-Route in a dialog of a carried user, from *path*, our token in the Path of the user.

        It is encrypted, and another one in each dialog, by Call-ID and initiator's tag: no reader can tell by it who
        hides.
        """
        known = self.read(path)
        if not isinstance(known, PathToken):
            raise LocalError(f"{path!r} is not the token of a Path")
        token = PathToken(known.side, known.home, is_recorded=True)
        packed = pack(token.side) + pack(token.home) + self.dialog_hash(call_id, tag)
        return self._remember(base64url.encode(self._encrypt(_RECORDED_KIND, packed)), token)

    def login(self, link_number: int, owner: str) -> str:
        """Make the token for a carried flow on which *owner* has logged in."""
        token = LoginToken(self.flow_side(link_number, owner))
        return self._remember(self._seal(LOGIN_KIND + pack(token.side)), token)

    def dialog(self, a: Side, b: Side, begun: Begun, onward: bytes = NO_ENTRY, *, secret: bool = False) -> str:
        """Make the token for our Record-Route in a dialog between *a* and *b*.

        A *secret* token is encrypted: no reader can compare the hash of a user in it with those of known addresses.
        """
        return self._written(DialogToken(a, b, begun, onward, secret=secret))

    def _written(self, token: DialogToken, unanswered: str = "") -> str:
        """Write a dialog token. *unanswered* is the text of the same token without the tag of the answering side, if known."""
        begins = packed_of(token)
        packed = begins + token.begun.answered + token.onward
        if token.secret:
            return self._remember(base64url.encode(self._encrypt(_SECRET_KIND, packed)), token)
        sealed = DIALOG_KIND + packed + _digest(self._dialog_mac, packed)
        groups = (len(DIALOG_KIND) + len(begins)) // _GROUP  # both texts have the characters of these octets
        if unanswered:
            return self._remember(
                unanswered[: groups * _CHARACTERS] + base64url.encode(sealed[groups * _GROUP :]), token
            )
        return self._remember(base64url.encode(sealed), token)

    def hide(self, uri: str, owner: bytes) -> str:
        """Encrypt the Contact *uri* of the user with the hash *owner*, for `reveal` at any server of the pool.

        One Contact has one text. It is cached, because most phones have the same Contact in all of their calls.
        """
        name = f"{owner.hex()}{uri}"
        text = self._contacts.get(name)
        if text is None:
            text = base64url.encode(self._encrypt(_CONTACT_KIND, owner + octets_of(uri)))
            if len(uri) <= CACHED_LENGTH:
                self._contacts.keep(name, text)
        return text

    def hide_in(self, call_id: str, uri: str, owner: bytes) -> str:
        """Encrypt a Contact as `hide` does, for the dialogs with *call_id* alone: so two calls show no common Contact.

        What is no Contact has a word of its own in place of *call_id*.
        """
        sealed = self._encrypt(_DIALOG_CONTACT_KIND, owner + octets_of(uri), self.name_hash(call_id))
        return base64url.encode(sealed)

    def reveal(self, text: str, owner: bytes, call_id: str) -> str | None:
        """Decrypt a Contact in a request with *call_id*, on its way to its *owner*.

        None if it is not of this user, so that no other user learns it, or was made for another Call-ID.
        """
        sealed = _decode(text, LONGEST_CONTACT)
        if sealed is None:
            return None
        packed = self._decrypt(_CONTACT_KIND, sealed)
        if packed is None:
            packed = self._decrypt(_DIALOG_CONTACT_KIND, sealed, self.name_hash(call_id))
        if packed is None or packed[:HASH_BYTES] != owner:
            return None
        return text_of(packed[HASH_BYTES:])

    def begun(self, call_id: str, tag: str, caller: str, callee: str, target: str) -> Begun:
        """Hash the properties of a new dialog: Call-ID, initiator's tag, both addresses, host of the initiator's Contact."""
        return Begun(self.dialog_hash(call_id, tag), self.name_hash(caller), self.name_hash(callee), owner_hash(target))

    def dialog_hash(self, call_id: str, tag: str) -> bytes:
        """Hash the Call-ID and the tag of the initiator, which identify a dialog (RFC 3261 section 12)."""
        return self.name_hash(f"{len(tag)} {tag} {call_id}")

    def tag_hash(self, tag: str) -> bytes:
        """Hash the tag of the answering side."""
        return self.name_hash(f"tag {tag}")

    def entry_hash(self, route: SipUri | None) -> bytes:
        """Hash the user part and the host of a Route or Record-Route entry; NO_ENTRY for None."""
        return NO_ENTRY if route is None else self.name_hash(f"entry {route.user or ''}@{route.host}")

    def answered(self, text: str, tag: str, onward: bytes = NO_ENTRY) -> str:
        """Make the initiator's token from *text*, our token, when the other side has answered with *tag*.

        *onward* is the hash of the next entry toward that side.
        """
        token = self.read(text)
        if not isinstance(token, DialogToken):
            raise LocalError(f"{text!r} is not a dialog token")
        answered, secret = token.begun.answered_by(self.tag_hash(tag)), text.startswith(_SECRET_START)
        made = DialogToken(token.a, token.b, answered, onward, secret=secret, packed=packed_of(token))
        return self._written(made, text)

    def name_hash(self, name: str) -> bytes:
        """Hash a name with the key of the pool. Others cannot search for another name with the same hash.

        The requests of one dialog have the same tags and names, so the hashes made last are cached.
        """
        hashed = self._hashes.get(name)
        if hashed is None:
            hashed = _digest(self._name_hash, octets_of(name))
            if len(name) <= CACHED_LENGTH:
                self._hashes.keep(name, hashed)
        return hashed

    def read(self, text: str) -> Token | None:
        """Read a token. None if it was not made with the key of its kind. Never raises.

        The token may be of an earlier incarnation. The caller compares the incarnation before it looks up the link.
        """
        known = self._known.get(text)
        return known if known is not None else self._read(text)

    def _read(self, text: str) -> Token | None:
        sealed = _decode(text)
        if sealed is None:
            return None
        if sealed[:1] == _SECRET_KIND:
            return self._read_secret(text, sealed)
        if sealed[:1] == _RECORDED_KIND:
            return self._read_recorded(text, sealed)
        payload = sealed[:-MAC_BYTES]
        if not compare_digest(self._mac(payload), sealed[-MAC_BYTES:]):
            return None
        token = unpack(payload)
        if token is not None:
            self._remember(text, token)
        return token

    def _read_secret(self, text: str, sealed: bytes) -> DialogToken | None:
        packed = self._decrypt(_SECRET_KIND, sealed)
        token = unpack(DIALOG_KIND + packed) if packed is not None else None
        if not isinstance(token, DialogToken):
            return None
        token.secret = True
        self._remember(text, token)
        return token

    def _read_recorded(self, text: str, sealed: bytes) -> PathToken | None:
        packed = self._decrypt(_RECORDED_KIND, sealed)
        token = unpack(PATH_KIND + packed[:-HASH_BYTES]) if packed is not None else None
        if not isinstance(token, PathToken):
            return None
        token.is_recorded = True
        self._remember(text, token)
        return token

    def _encrypt(self, kind: bytes, plain: bytes, bound: bytes = b"") -> bytes:
        """Encrypt and authenticate: the MAC of the plain text is the nonce of the key stream, as in SIV (RFC 5297).

        *bound* is authenticated too, and not written.
        """
        mac = _digest(self._secret_mac, kind + bound + plain)
        return kind + self._with_stream(plain, mac) + mac

    def _decrypt(self, kind: bytes, sealed: bytes, bound: bytes = b"") -> bytes | None:
        """Decrypt what `_encrypt` has made; None for anything else."""
        if sealed[:1] != kind:
            return None
        mac = sealed[-MAC_BYTES:]
        plain = self._with_stream(sealed[1:-MAC_BYTES], mac)
        return plain if compare_digest(_digest(self._secret_mac, kind + bound + plain), mac) else None

    def _with_stream(self, octets: bytes, mac: bytes) -> bytes:
        """Combine *octets* with the key stream of *mac*: once to encrypt, once more to decrypt."""
        stream = bytearray()
        while len(stream) < len(octets):
            counter = len(stream).to_bytes(4, "big")
            stream += _digest(self._stream, mac + counter)
        combined = int.from_bytes(octets, "big") ^ int.from_bytes(stream[: len(octets)], "big")
        return combined.to_bytes(len(octets), "big")

    def _remember(self, text: str, token: Token) -> str:
        self._known.keep(text, token)
        return text

    def _mac(self, payload: bytes) -> bytes:
        if payload[:1] == DIALOG_KIND:
            return _digest(self._dialog_mac, payload[1:])
        return _digest(self._flow_mac, payload)

    def _seal(self, payload: bytes) -> str:
        return base64url.encode(payload + self._mac(payload))


def _digest(keyed: blake2s, payload: bytes) -> bytes:
    made = keyed.copy()
    made.update(payload)
    return made.digest()


def _decode(text: str, longest: int = LONGEST_TOKEN) -> bytes | None:
    """Decode the text of a token; None for another spelling of it, because one token has one text."""
    if not text.isascii() or len(text) > longest:
        return None
    try:
        sealed = base64url.decode(text.encode("ascii"))
    except ValueError:
        return None
    return sealed if len(sealed) > MAC_BYTES else None
