"""What the tokens in our Route and Record-Route say: the flow or the dialog that a request belongs to, and their octets.

`tokens` writes and reads their texts. A token is the user part of a URI that names this server (RFC 5626 section 5.3, "flow
tokens"). It is not secret: every hop of a call reads it. So a token alone proves nothing:

- A flow token is accepted from servers of our pool only.
- The token of a carried flow in a Path is accepted from servers of the user's home pool only. No other hop sees it: in
  Record-Route there is another one, which leads to no phone.
- A dialog token is accepted from a link that is one side of its dialog, in a request of that dialog. From and To must be
  those of the start of the dialog. The sender may use another From of its own. The next Route entry must be the entry
  that was record-routed behind it: the next pool cannot tell the users of this pool apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2s
from struct import Struct
from struct import error as StructError  # noqa: N812 - the name of a class
from typing import Final

from sipmesh.errors import LocalError
from sipmesh.sip.text import octets_of
from sipmesh.sip.text_cache import TextCache
from sipmesh.sip.uri import CACHED_LENGTH

HASH_BYTES: Final = 8
FLOW_KIND: Final = b"f"
DIALOG_KIND: Final = b"h"
PATH_KIND: Final = b"p"
LOGIN_KIND: Final = b"l"
_FLOW_TAG: Final = 0x01
_PEER_TAG: Final = 0x02
_FLOW: Final = Struct(f">BQQ{HASH_BYTES}s")
_BEGUN: Final = Struct(6 * f"{HASH_BYTES}s")
NOBODY_YET: Final = bytes(HASH_BYTES)
"""The value of the answering side's tag while it is not known."""

NO_ENTRY: Final = bytes(HASH_BYTES)
"""The hash of the next entry where there is none."""


def owner_hash(name: str) -> bytes:
    """Hash an address of record, or the name of a pool or partner, to the 8 octets that a token carries."""
    hashed = _hashes.get(name)
    if hashed is None:
        hashed = blake2s(octets_of(name), digest_size=HASH_BYTES).digest()
        if len(name) <= CACHED_LENGTH:
            _hashes.keep(name, hashed)
    return hashed


MOST_HASHES: Final = 4096
_hashes: Final[TextCache[bytes]] = TextCache(MOST_HASHES)
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


@dataclass(init=False, slots=True, eq=False)
class PeerSide:
    """A pool of ours or a partner, by the hash of its name. Any of its servers may continue the dialog.

    Each request of a dialog looks it up. So its comparison and its hash are compiled, which those of a dataclass are not.
    """

    owner: bytes

    def __init__(self, owner: bytes) -> None:
        self.owner = owner

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PeerSide) and self.owner == other.owner

    def __hash__(self) -> int:
        return hash(self.owner)


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
    was record-routed next to ours, on the way to the other side: of *a* in a token for *b*, and of *b* in a token that
    was answered.
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


def ends_of(token: Token | None) -> bytes:
    """Give whose dialog a token is of: the hashes of its two ends, that of the initiator first; none for other tokens.

    A user stays the same end on another link, and a pool or partner by any of its servers.
    """
    if isinstance(token, DialogToken):
        return token.a.owner + token.b.owner
    return token.side.owner + token.home.owner if isinstance(token, PathToken) else b""


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


def pack(side: Side) -> bytes:
    """Give the octets of one side; raises `LocalError` for a number that does not fit."""
    if isinstance(side, PeerSide):
        return bytes((_PEER_TAG,)) + side.owner
    try:
        return _FLOW.pack(_FLOW_TAG, side.incarnation, side.number, side.owner)
    except StructError:
        raise LocalError(f"{side} does not fit into a token") from None


def unpack(payload: bytes) -> Token | None:
    """Read a payload whose MAC is valid. None only for a kind that a later release may have made."""
    a, rest = _unpack_side(payload[1:])
    if payload[:1] == FLOW_KIND and isinstance(a, FlowSide) and not rest:
        return FlowToken(a)
    if payload[:1] == LOGIN_KIND and isinstance(a, FlowSide) and not rest:
        return LoginToken(a)
    b, rest = _unpack_side(rest)
    if payload[:1] == PATH_KIND and isinstance(a, FlowSide) and isinstance(b, PeerSide) and not rest:
        return PathToken(a, b)
    if payload[:1] == DIALOG_KIND and a is not None and b is not None and len(rest) == _BEGUN.size:
        dialog, caller, callee, target, answered, onward = _BEGUN.unpack(rest)
        return DialogToken(a, b, Begun(dialog, caller, callee, target, answered), onward)
    return None


def packed_of(token: DialogToken) -> bytes:
    """Give the octets of a token up to the tag of the answering side, which are packed once for each dialog and side."""
    if not token.packed:
        begun = token.begun
        token.packed = pack(token.a) + pack(token.b) + begun.dialog + begun.caller + begun.callee + begun.target
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
