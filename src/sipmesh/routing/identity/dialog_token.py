"""Tokens in our Route and Record-Route: which flow or which dialog a request belongs to, and that we said so ourselves.

A token is the user part of a URI that names this server (RFC 5626 section 5.3, "flow tokens"). It is authenticated, not
secret: everybody on the way of a call reads it. So it is worth nothing by itself. A flow token counts from a server of our
pool only. A dialog token counts from a link that is a side of its dialog, in a request of that very dialog, under the names
that the dialog began with.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import blake2s
from hmac import compare_digest
from struct import Struct
from typing import Final

from sipmesh.errors import LocalError

MAC_BYTES: Final = 12
"""96 bits: a forger would need 2**95 requests on average, and each costs a refused message."""

HASH_BYTES: Final = 8
LONGEST_TOKEN: Final = 144
"""Characters; the longest token that we make has 138, and nothing longer is decoded at all."""

MOST_KNOWN: Final = 16_384
"""Tokens that are remembered; about 10 MiB."""

_FLOW_KIND: Final = b"f"
_DIALOG_KIND: Final = b"g"
_FLOW_TAG: Final = 0x01
_PEER_TAG: Final = 0x02
_FLOW: Final = Struct(f">QQ{HASH_BYTES}s")
_BEGUN: Final = Struct(5 * f"{HASH_BYTES}s")
NOBODY_YET: Final = bytes(HASH_BYTES)
"""Stands for the tag of the answering side, as long as it is not known."""

_UINT64_END: Final = 1 << 64
_NAMES: Final = b"names"
"""Sets the hashes of names apart from the MACs under the same key."""


def owner_hash(name: str) -> bytes:
    """Shorten an address of record, or the name of a pool or partner, to the 8 bytes that a token carries."""
    return blake2s(name.encode("utf-8", "surrogateescape"), digest_size=HASH_BYTES).digest()


@dataclass(init=False, slots=True, unsafe_hash=True)
class FlowSide:
    """A client's link: its *number* in one *incarnation* of this server, and the hash of the user who owns it.

    Like every part of a token never changed once made: requests share them.
    """

    incarnation: int
    number: int
    owner: bytes

    def __init__(self, incarnation: int, number: int, owner: bytes) -> None:
        self.incarnation, self.number, self.owner = incarnation, number, owner


@dataclass(init=False, slots=True, unsafe_hash=True)
class PeerSide:
    """A pool of ours or a partner: any server of it may go on with the dialog."""

    hash: bytes

    def __init__(self, hashed: bytes) -> None:
        self.hash = hashed


Side = FlowSide | PeerSide


@dataclass(init=False, slots=True, unsafe_hash=True)
class FlowToken:
    """Names one flow of this server; see RFC 5626 section 5.3.1 for what to do with it."""

    side: FlowSide

    def __init__(self, side: FlowSide) -> None:
        self.side = side


@dataclass(init=False, slots=True, unsafe_hash=True)
class Begun:
    """The hashes of what a dialog began with; all but *target* under the key of the pool.

    *dialog* is Call-ID and the tag of its initiator, *caller* and *callee* are the addresses of its first From and To, and
    *target* is the host of its initiator's Contact, which is the only name that a Contact of ours may have inside. *answered*
    is the tag of the answering side: the token that goes to that side is made before it is known, and the token that comes
    back to the initiator has it. Call-ID and its own tag are the initiator's to choose, that tag is not: so nobody gets into
    a dialog of others by beginning one of the same Call-ID and tag.
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
        """The same dialog, with the hash of the tag that its other side has answered under."""
        return Begun(self.dialog, self.caller, self.callee, self.target, tag)


@dataclass(init=False, slots=True, unsafe_hash=True)
class DialogToken:
    """Names the two sides between which this server record-routed a dialog; *a* sent the first request.

    *begun* says which dialog that is: a request of another one has nothing from this token.
    """

    a: Side
    b: Side
    begun: Begun

    def __init__(self, a: Side, b: Side, begun: Begun) -> None:
        self.a, self.b, self.begun = a, b, begun

    def other_side(self, sender: Side) -> Side | None:
        """Tell where a request from *sender* goes, or None if *sender* is no side of this dialog."""
        if sender == self.a:
            return self.b
        return self.a if sender == self.b else None


def joined(one: DialogToken, other: DialogToken, through: PeerSide) -> DialogToken | None:
    """Name the two ends of a dialog that two servers of one pool record-routed one after the other; *through* is that pool.

    None where either was not made towards the pool, or where they were made for two dialogs.
    """
    if one.begun != other.begun:
        return None
    if one.b == through and other.a == through:
        return DialogToken(one.a, other.b, one.begun)
    if one.a == through and other.b == through:
        return DialogToken(other.a, one.b, one.begun)
    return None


class Tokens:
    """Makes and reads the tokens of one incarnation of a server; *key* outlives the incarnation, links do not.

    A flow is this server's alone, and so is the key of its tokens. A dialog may go on through any server of the pool that has
    the same *pool_key*, which is this server's own unless it is given.

    What it has made or vouched for lately is remembered: every request of a dialog brings the same token. Nobody else can
    put anything there.
    """

    __slots__ = ("_key", "_known", "_pool_key", "incarnation")

    def __init__(self, key: bytes, incarnation: int, pool_key: bytes = b"") -> None:
        for one in (key, pool_key or key):
            if not MAC_BYTES <= len(one) <= blake2s.MAX_KEY_SIZE:
                raise LocalError(f"a token key has {MAC_BYTES} to {blake2s.MAX_KEY_SIZE} bytes, this one {len(one)}")
        self._key, self._pool_key, self.incarnation = key, pool_key or key, incarnation
        self._known: dict[str, FlowToken | DialogToken] = {}

    def __repr__(self) -> str:
        return f"<Tokens incarnation={self.incarnation}>"

    def flow_side(self, link_number: int, owner: str) -> FlowSide:
        """Name the link *link_number* of this incarnation as a side, owned by the address of record *owner*."""
        return FlowSide(self.incarnation, link_number, owner_hash(owner))

    def flow(self, link_number: int, owner: str) -> str:
        """Make the token for a flow of this incarnation."""
        token = FlowToken(self.flow_side(link_number, owner))
        return self._remember(self._seal(_FLOW_KIND + _pack(token.side)), token)

    def dialog(self, a: Side, b: Side, begun: Begun) -> str:
        """Make the token that goes into our Record-Route of a dialog between *a* and *b*."""
        return self._remember(
            self._seal(_DIALOG_KIND + _pack(a) + _pack(b) + _pack_begun(begun)), DialogToken(a, b, begun)
        )

    def begun(self, call_id: str, tag: str, caller: str, callee: str, target: str) -> Begun:
        """Hash what a dialog begins with: Call-ID, the initiator's tag, both addresses, and the host of its Contact."""
        return Begun(self.dialog_hash(call_id, tag), self.name_hash(caller), self.name_hash(callee), owner_hash(target))

    def dialog_hash(self, call_id: str, tag: str) -> bytes:
        """Name a dialog by its Call-ID and the tag of its initiator (RFC 3261 section 12)."""
        return self.name_hash(f"{len(tag)} {tag} {call_id}")

    def tag_hash(self, tag: str) -> bytes:
        """Hash the tag of an answering side."""
        return self.name_hash(f"tag {tag}")

    def answered(self, text: str, tag: str) -> str:
        """Make the token *text* of ours anew for the initiator, once the other side has answered under *tag*."""
        token = self.read(text)
        if not isinstance(token, DialogToken):
            raise LocalError(f"{text!r} is not a dialog token")
        return self.dialog(token.a, token.b, token.begun.answered_by(self.tag_hash(tag)))

    def name_hash(self, name: str) -> bytes:
        """Hash a name under the key of the pool: nobody else can look for another name that has the same hash."""
        octets = name.encode("utf-8", "surrogateescape")
        return blake2s(octets, key=self._pool_key, digest_size=HASH_BYTES, person=_NAMES).digest()

    def read(self, text: str) -> FlowToken | DialogToken | None:
        """Read a token of ours; None for anything that the key of its kind has not made. Never raises.

        The incarnation in it may be an earlier one: the caller compares it before it looks for the link.
        """
        known = self._known.get(text)
        return known if known is not None else self._read(text)

    def _read(self, text: str) -> FlowToken | DialogToken | None:
        sealed = _decode(text)
        if sealed is None:
            return None
        payload = sealed[:-MAC_BYTES]
        if not compare_digest(self._mac(payload), sealed[-MAC_BYTES:]):
            return None
        token = _unpack(payload)
        if token is not None:
            self._remember(text, token)
        return token

    def _remember(self, text: str, token: FlowToken | DialogToken) -> str:
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[text] = token
        return text

    def _mac(self, payload: bytes) -> bytes:
        key = self._pool_key if payload[:1] == _DIALOG_KIND else self._key
        return blake2s(payload, key=key, digest_size=MAC_BYTES).digest()

    def _seal(self, payload: bytes) -> str:
        return urlsafe_b64encode(payload + self._mac(payload)).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes | None:
    """Undo base64url without padding (RFC 4648 section 5), canonical spelling only, so that one token has one text."""
    if not text.isascii() or len(text) > LONGEST_TOKEN:
        return None
    raw = text.encode("ascii")
    try:
        sealed = urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))
    except ValueError:
        return None
    canonical = urlsafe_b64encode(sealed).rstrip(b"=") == raw
    return sealed if canonical and len(sealed) > MAC_BYTES else None


def _pack(side: Side) -> bytes:
    if isinstance(side, PeerSide):
        return bytes((_PEER_TAG,)) + side.hash
    if not (0 <= side.incarnation < _UINT64_END and 0 <= side.number < _UINT64_END):
        raise LocalError(f"{side} does not fit into a token")
    return bytes((_FLOW_TAG,)) + _FLOW.pack(side.incarnation, side.number, side.owner)


def _unpack(payload: bytes) -> FlowToken | DialogToken | None:
    """Read what the MAC has vouched for; None only for a kind that a later version of us may have made."""
    a, rest = _unpack_side(payload[1:])
    if payload[:1] == _FLOW_KIND and isinstance(a, FlowSide) and not rest:
        return FlowToken(a)
    b, rest = _unpack_side(rest)
    if payload[:1] == _DIALOG_KIND and a is not None and b is not None and len(rest) == _BEGUN.size:
        dialog, caller, callee, target, answered = _BEGUN.unpack(rest)
        return DialogToken(a, b, Begun(dialog, caller, callee, target, answered))
    return None


def _pack_begun(begun: Begun) -> bytes:
    return _BEGUN.pack(begun.dialog, begun.caller, begun.callee, begun.target, begun.answered)


def _unpack_side(packed: bytes) -> tuple[Side | None, bytes]:
    """Read one side off the front and return what follows it."""
    if packed[:1] == bytes((_FLOW_TAG,)) and len(packed) > _FLOW.size:
        end = 1 + _FLOW.size
        incarnation, number, owner = _FLOW.unpack(packed[1:end])
        return FlowSide(incarnation, number, owner), packed[end:]
    if packed[:1] == bytes((_PEER_TAG,)) and len(packed) > HASH_BYTES:
        end = 1 + HASH_BYTES
        return PeerSide(packed[1:end]), packed[end:]
    return None, b""
