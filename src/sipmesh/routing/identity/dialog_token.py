"""Tokens in our Route and Record-Route: authenticated proof of the flow or the dialog that a request belongs to.

A token is the user part of a URI that names this server (RFC 5626 section 5.3, "flow tokens"). It is not secret: every hop
of a call reads it. So a token alone proves nothing:

- A flow token is accepted from servers of our pool only.
- The token of a carried flow in a Path is accepted from servers of the user's home pool only. No other hop sees it: in
  Record-Route there is another one, which leads to no phone.
- A dialog token is accepted from a link that is one side of its dialog, in a request of that dialog. From and To must be
  those of the start of the dialog. The sender may use another From of its own. The next Route entry must be the one that was
  record-routed behind it: the next pool cannot tell the users of this pool apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2s
from hmac import compare_digest
from struct import Struct
from struct import error as StructError  # noqa: N812 - the name of a class
from typing import Final

from sipmesh.errors import LocalError
from sipmesh.sip import base64url
from sipmesh.sip.kept import keep
from sipmesh.sip.text import octets_of, text_of
from sipmesh.sip.uri import CACHED_LENGTH, SipUri

MAC_BYTES: Final = 12
"""96 bits: a forger needs 2**95 requests on average, and each of them is a refused message."""

HASH_BYTES: Final = 8
LONGEST_TOKEN: Final = 152
"""Characters. The longest token that we make has 148. A longer text is not decoded."""

MOST_KNOWN: Final = 16_384
"""Tokens that are cached; about 10 MiB."""

_FLOW_KIND: Final = b"f"
_DIALOG_KIND: Final = b"h"
_SECRET_KIND: Final = b"H"
_CONTACT_KIND: Final = b"C"
_PATH_KIND: Final = b"p"
_RECORDED_KIND: Final = b"r"
_LOGIN_KIND: Final = b"l"
_SECRET_START: Final = "S"  # noqa: S105 - not a password
"""The first character of each secret token: the first six bits of its kind."""

LONGEST_CONTACT: Final = 8_192
"""Characters of a hidden Contact; no longer URI is accepted (`sip.check.MAX_URI`)."""

_FLOW_TAG: Final = 0x01
_PEER_TAG: Final = 0x02
_FLOW: Final = Struct(f">BQQ{HASH_BYTES}s")
_BEGUN: Final = Struct(6 * f"{HASH_BYTES}s")
NOBODY_YET: Final = bytes(HASH_BYTES)
"""The value of the answering side's tag while it is not known."""

NO_ENTRY: Final = bytes(HASH_BYTES)
"""The hash of the next entry where there is none."""

_GROUP: Final = 3
_CHARACTERS: Final = 4
"""Base64 writes each group of three octets as four characters (RFC 4648 section 4)."""

_NAMES: Final = b"names"
_SECRET: Final = b"secret"
_STREAM: Final = b"stream"
"""Separates the hashes of names from the MACs that are made with the same key."""


def owner_hash(name: str) -> bytes:
    """Hash an address of record, or the name of a pool or partner, to the 8 octets that a token carries."""
    hashed = _hashes.get(name)
    if hashed is None:
        hashed = blake2s(octets_of(name), digest_size=HASH_BYTES).digest()
        if len(name) <= CACHED_LENGTH:
            keep(_hashes, MOST_HASHES, name, hashed)
    return hashed


_hashes: Final[dict[str, bytes]] = {}
MOST_HASHES: Final = 4096
"""Hashes that are cached, of user names, tags and Call-IDs; about 1 MiB."""


@dataclass(init=False, slots=True, unsafe_hash=True)
class FlowSide:
    """A client's link: its *number* in one *incarnation* of this server, and the hash of its *owner*, a user.

    Do not change an instance of this class or of the other parts of a token: requests share them.
    """

    incarnation: int
    number: int
    owner: bytes

    def __init__(self, incarnation: int, number: int, owner: bytes) -> None:
        self.incarnation, self.number, self.owner = incarnation, number, owner


@dataclass(init=False, slots=True, unsafe_hash=True)
class PeerSide:
    """A pool of ours or a partner. Any of its servers may continue the dialog."""

    hash: bytes

    def __init__(self, hashed: bytes) -> None:
        self.hash = hashed


Side = FlowSide | PeerSide


@dataclass(init=False, slots=True, unsafe_hash=True)
class FlowToken:
    """Names one flow of this server. RFC 5626 section 5.3.1 says how it is used."""

    side: FlowSide

    def __init__(self, side: FlowSide) -> None:
        self.side = side


@dataclass(init=False, slots=True, unsafe_hash=True)
class PathToken:
    """Names one flow of this server in a Path (RFC 3327, RFC 5626 section 5.1). Only servers of the pool *home* may use it.

    *is_recorded*: it is of a Record-Route, which both sides of a dialog see. It says whose request this is, and leads to no
    phone: a server of *home* forwards the Route entries behind its own without a look at their tokens.
    """

    side: FlowSide
    home: PeerSide
    is_recorded: bool

    def __init__(self, side: FlowSide, home: PeerSide, *, is_recorded: bool = False) -> None:
        self.side, self.home, self.is_recorded = side, home, is_recorded


@dataclass(init=False, slots=True, unsafe_hash=True)
class LoginToken:
    """Names one carried flow of this server, on which its user has logged in: the user part of a Service-Route (RFC 3608)."""

    side: FlowSide

    def __init__(self, side: FlowSide) -> None:
        self.side = side


@dataclass(init=False, slots=True, unsafe_hash=True)
class Begun:
    """Hashes of the properties of a dialog. All except *target* are made with the key of the pool.

    - *dialog*: the Call-ID and the initiator's tag
    - *caller* and *callee*: the addresses in the first From and To
    - *target*: the host of the initiator's Contact. No other reserved host is allowed as remote target of the initiator.
    - *answered*: the tag of the answering side. The token for the answering side is made before this tag is known. The
      token for the initiator contains it.

    The initiator chooses Call-ID and its own tag, but not the tag of the answering side. So an attacker who begins a dialog
    with a known Call-ID and tag does not get into the dialog of others.
    """

    dialog: bytes
    caller: bytes
    callee: bytes
    target: bytes
    answered: bytes

    def __init__(
        self, dialog: bytes, caller: bytes, callee: bytes, target: bytes, answered: bytes = NOBODY_YET
    ) -> None:
        self.dialog, self.caller, self.callee, self.target = dialog, caller, callee, target
        self.answered = answered

    def answered_by(self, tag: bytes) -> Begun:
        """Give the same dialog with *tag*, the hash of the answering side's tag."""
        return Begun(self.dialog, self.caller, self.callee, self.target, tag)


@dataclass(init=False, slots=True, unsafe_hash=True)
class DialogToken:
    """Names the two sides of a dialog that this server record-routed. *a* sent the first request.

    *begun* identifies the dialog. The token is not valid in a request of another dialog. *onward* is the hash of the entry that
    was record-routed next to ours, on the way to the other side: of *a* in a token for *b*, and of *b* in one that was answered.
    *secret*: *a* hides who it is. *packed* are the octets up to the tag of the answering side, if they are known: they are the
    same with that tag.
    """

    a: Side
    b: Side
    begun: Begun
    onward: bytes
    secret: bool = field(compare=False)
    packed: bytes = field(compare=False, repr=False)

    def __init__(
        self, a: Side, b: Side, begun: Begun, onward: bytes = NO_ENTRY, *, secret: bool = False, packed: bytes = b""
    ) -> None:
        self.a, self.b, self.begun, self.onward = a, b, begun, onward
        self.secret, self.packed = secret, packed

    def other_side(self, sender: Side) -> Side | None:
        """Give the side that a request from *sender* goes to; None if *sender* is not a side of this dialog."""
        if sender == self.a:
            return self.b
        return self.a if sender == self.b else None


Token = FlowToken | PathToken | LoginToken | DialogToken


def joined(first: DialogToken, second: DialogToken, through: PeerSide) -> DialogToken | None:
    """Join the tokens of two servers of one pool, *through*, that record-routed the same dialog one after the other.

    The result names the two ends of the dialog, and the entry behind both tokens. None if one of the tokens does not lead to the
    pool, or if they are of two dialogs.
    """
    if first.begun != second.begun:
        return None
    if first.b == through and second.a == through:
        return DialogToken(first.a, second.b, first.begun, second.onward, secret=first.secret)
    if first.a == through and second.b == through:
        return DialogToken(second.a, first.b, first.begun, second.onward, secret=first.secret)
    return None


class Tokens:
    """Makes and reads the tokens of one incarnation of a server. *key* is the same in all incarnations; links are not.

    Only this server has its flows, so only it has the key of flow tokens. A dialog may continue through any server of the
    pool with the same *pool_key*. Without *pool_key*, dialog tokens have *key* too.

    Tokens that were made or verified recently are cached, because every request of a dialog carries the same token. Peers
    cannot add entries to the cache.
    """

    __slots__ = ("_dialog_mac", "_flow_mac", "_hashes", "_known", "_name_hash", "_pool_key", "incarnation")

    def __init__(self, key: bytes, incarnation: int, pool_key: bytes = b"") -> None:
        for secret in (key, pool_key or key):
            if not MAC_BYTES <= len(secret) <= blake2s.MAX_KEY_SIZE:
                raise LocalError(f"a token key has {MAC_BYTES} to {blake2s.MAX_KEY_SIZE} bytes, this one {len(secret)}")
        self._pool_key, self.incarnation = pool_key or key, incarnation
        # A copy of a hash that has its key already needs a third less time than a new one. With the kind of all payloads it has
        # taken in the block of the key too.
        self._flow_mac = blake2s(key=key, digest_size=MAC_BYTES)
        self._dialog_mac = blake2s(key=self._pool_key, digest_size=MAC_BYTES)
        self._dialog_mac.update(_DIALOG_KIND)
        self._name_hash = blake2s(key=self._pool_key, digest_size=HASH_BYTES, person=_NAMES)
        self._known: dict[str, Token] = {}
        self._hashes: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return f"<Tokens incarnation={self.incarnation}>"

    def flow_side(self, link_number: int, owner: str) -> FlowSide:
        """Give the side of the link *link_number* in this incarnation, owned by the address of record *owner*."""
        return FlowSide(self.incarnation, link_number, owner_hash(owner))

    def flow(self, link_number: int, owner: str) -> str:
        """Make the token for a flow of this incarnation, owned by the address of record *owner*."""
        token = FlowToken(self.flow_side(link_number, owner))
        return self._remember(self._seal(_FLOW_KIND + _pack(token.side)), token)

    def path(self, link_number: int, owner: str, home: PeerSide) -> str:
        """Make the token for a flow of this incarnation in a Path: its *owner* is a user of the pool *home*."""
        token = PathToken(self.flow_side(link_number, owner), home)
        return self._remember(self._seal(_PATH_KIND + _pack(token.side) + _pack(home)), token)

    def recorded(self, path: str, call_id: str, tag: str) -> str:
        """Make the token for our Record-Route in a dialog of a carried user, from *path*, our token in the Path of the user.

        It is encrypted, and another one in each dialog, by Call-ID and initiator's tag: nobody can tell by it who hides.
        """
        known = self.read(path)
        if not isinstance(known, PathToken):
            raise LocalError(f"{path!r} is not the token of a Path")
        token = PathToken(known.side, known.home, is_recorded=True)
        packed = _pack(token.side) + _pack(token.home) + self.dialog_hash(call_id, tag)
        return self._remember(base64url.encode(self._encrypt(_RECORDED_KIND, packed)), token)

    def login(self, link_number: int, owner: str) -> str:
        """Make the token for a carried flow on which *owner* has logged in."""
        token = LoginToken(self.flow_side(link_number, owner))
        return self._remember(self._seal(_LOGIN_KIND + _pack(token.side)), token)

    def dialog(self, a: Side, b: Side, begun: Begun, onward: bytes = NO_ENTRY, *, secret: bool = False) -> str:
        """Make the token for our Record-Route in a dialog between *a* and *b*.

        A *secret* token is encrypted: nobody can compare the hash of a user in it with those of known addresses.
        """
        return self._written(DialogToken(a, b, begun, onward, secret=secret))

    def _written(self, token: DialogToken, unanswered: str = "") -> str:
        """Write a dialog token. *unanswered* is the text of the same token without the tag of the answering side, if known."""
        begins = _packed(token)
        packed = begins + token.begun.answered + token.onward
        if token.secret:
            return self._remember(base64url.encode(self._encrypt(_SECRET_KIND, packed)), token)
        sealed = _DIALOG_KIND + packed + _digest(self._dialog_mac, packed)
        groups = (len(_DIALOG_KIND) + len(begins)) // _GROUP  # both texts have the characters of these octets
        if unanswered:
            return self._remember(
                unanswered[: groups * _CHARACTERS] + base64url.encode(sealed[groups * _GROUP :]), token
            )
        return self._remember(base64url.encode(sealed), token)

    def hide(self, uri: str, owner: bytes) -> str:
        """Encrypt the Contact *uri* of the user with the hash *owner*, for `reveal` at any server of the pool."""
        return base64url.encode(self._encrypt(_CONTACT_KIND, owner + octets_of(uri)))

    def reveal(self, text: str, owner: bytes) -> str | None:
        """Decrypt a Contact on its way to its *owner*; None if it is not one of this user, so that nobody else learns it."""
        sealed = _decode(text, LONGEST_CONTACT)
        packed = self._decrypt(_CONTACT_KIND, sealed) if sealed is not None else None
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
        made = DialogToken(token.a, token.b, answered, onward, secret=secret, packed=_packed(token))
        return self._written(made, text)

    def name_hash(self, name: str) -> bytes:
        """Hash a name with the key of the pool. Others cannot search for another name with the same hash.

        The requests of one dialog have the same tags and names, so the hashes made last are cached.
        """
        hashed = self._hashes.get(name)
        if hashed is None:
            hashed = _digest(self._name_hash, octets_of(name))
            if len(name) <= CACHED_LENGTH:
                keep(self._hashes, MOST_HASHES, name, hashed)
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
        token = _unpack(payload)
        if token is not None:
            self._remember(text, token)
        return token

    def _read_secret(self, text: str, sealed: bytes) -> DialogToken | None:
        packed = self._decrypt(_SECRET_KIND, sealed)
        token = _unpack(_DIALOG_KIND + packed) if packed is not None else None
        if not isinstance(token, DialogToken):
            return None
        token.secret = True
        self._remember(text, token)
        return token

    def _read_recorded(self, text: str, sealed: bytes) -> PathToken | None:
        packed = self._decrypt(_RECORDED_KIND, sealed)
        token = _unpack(_PATH_KIND + packed[:-HASH_BYTES]) if packed is not None else None
        if not isinstance(token, PathToken):
            return None
        token.is_recorded = True
        self._remember(text, token)
        return token

    def _encrypt(self, kind: bytes, plain: bytes) -> bytes:
        """Encrypt and authenticate: the MAC of the plain text is the nonce of the key stream, as in SIV (RFC 5297)."""
        mac = self._secret_mac(kind + plain)
        return kind + self._with_stream(plain, mac) + mac

    def _decrypt(self, kind: bytes, sealed: bytes) -> bytes | None:
        """Decrypt what `_encrypt` has made; None for anything else."""
        mac = sealed[-MAC_BYTES:]
        plain = self._with_stream(sealed[1:-MAC_BYTES], mac)
        is_ours = sealed[:1] == kind and compare_digest(self._secret_mac(kind + plain), mac)
        return plain if is_ours else None

    def _secret_mac(self, payload: bytes) -> bytes:
        return blake2s(payload, key=self._pool_key, digest_size=MAC_BYTES, person=_SECRET).digest()

    def _with_stream(self, octets: bytes, mac: bytes) -> bytes:
        """Combine *octets* with the key stream of *mac*: once to encrypt, once more to decrypt."""
        stream = bytearray()
        while len(stream) < len(octets):
            counter = len(stream).to_bytes(4, "big")
            stream += blake2s(mac + counter, key=self._pool_key, person=_STREAM).digest()
        combined = int.from_bytes(octets, "big") ^ int.from_bytes(stream[: len(octets)], "big")
        return combined.to_bytes(len(octets), "big")

    def _remember(self, text: str, token: Token) -> str:
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[text] = token
        return text

    def _mac(self, payload: bytes) -> bytes:
        if payload[:1] == _DIALOG_KIND:
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


def _pack(side: Side) -> bytes:
    if isinstance(side, PeerSide):
        return bytes((_PEER_TAG,)) + side.hash
    try:
        return _FLOW.pack(_FLOW_TAG, side.incarnation, side.number, side.owner)
    except StructError:
        raise LocalError(f"{side} does not fit into a token") from None


def _unpack(payload: bytes) -> Token | None:
    """Read a payload whose MAC is valid. None only for a kind that a later release may have made."""
    a, rest = _unpack_side(payload[1:])
    if payload[:1] == _FLOW_KIND and isinstance(a, FlowSide) and not rest:
        return FlowToken(a)
    if payload[:1] == _LOGIN_KIND and isinstance(a, FlowSide) and not rest:
        return LoginToken(a)
    b, rest = _unpack_side(rest)
    if payload[:1] == _PATH_KIND and isinstance(a, FlowSide) and isinstance(b, PeerSide) and not rest:
        return PathToken(a, b)
    if payload[:1] == _DIALOG_KIND and a is not None and b is not None and len(rest) == _BEGUN.size:
        dialog, caller, callee, target, answered, onward = _BEGUN.unpack(rest)
        return DialogToken(a, b, Begun(dialog, caller, callee, target, answered), onward)
    return None


def _packed(token: DialogToken) -> bytes:
    """Give the octets of a token up to the tag of the answering side, which are packed once for each dialog and side."""
    if not token.packed:
        begun = token.begun
        token.packed = _pack(token.a) + _pack(token.b) + begun.dialog + begun.caller + begun.callee + begun.target
    return token.packed


def _unpack_side(packed: bytes) -> tuple[Side | None, bytes]:
    """Read one side from the start, and return it with the remaining octets."""
    if packed[:1] == bytes((_FLOW_TAG,)) and len(packed) >= _FLOW.size:
        _, incarnation, number, owner = _FLOW.unpack(packed[: _FLOW.size])
        return FlowSide(incarnation, number, owner), packed[_FLOW.size :]
    if packed[:1] == bytes((_PEER_TAG,)) and len(packed) > HASH_BYTES:
        end = 1 + HASH_BYTES
        return PeerSide(packed[1:end]), packed[end:]
    return None, b""
