"""The distributed items: signed documents and CRLs, each with its digest; and the list of items that a server has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Final
from urllib.parse import quote, unquote

from pydantic import Field

from sipmesh.distribution.event import CRL, JOSE
from sipmesh.errors import RemoteError
from sipmesh.typed_json import UnreadableJsonError, read_document

LONGEST_STATE = 1 << 20
"""Octets of a state. It has a line for each CRL of the network."""

HIGHEST_NUMBER = 2**53
"""The highest number of a version or of the users: every reader of JSON keeps it exact (RFC 8259 section 6)."""


class ItemKind(StrEnum):
    """The kind of an item."""

    REVOKED = "revoked"  # a signed list of newly revoked serial numbers: small, and sent before the new CRL
    LIST = "list"  # a CRL, signed by its CA; its name is that of its file in the topology
    TOPOLOGY = "topology"  # a publication
    CERTIFICATE = "certificate"  # the next certificate of one server; its name is that of the server
    USERS = "users"  # the users who may log in at a pool
    PROBE = "probe"  # an order to open links once; its name is that of the server. It is sent once, and is in no state
    TRACE = "trace"  # an order to trace for some seconds; its name is that of the server. It is in no state either
    CALLS = "calls"  # an order to end a call, or to erase a user from records; the same

    @property
    def content_type(self) -> str:
        """The content type of its body."""
        return CRL if self is ItemKind.LIST else JOSE


ORDERS: Final = frozenset({ItemKind.PROBE, ItemKind.TRACE, ItemKind.CALLS})
"""What is sent once, and is no document to store."""

Key = tuple[ItemKind, str]
"""The kind and name of an item. CRLs and certificates have names, and so have the parts of a long list of users."""


@dataclass(frozen=True, slots=True)
class Item:
    """One document with its exact octets. *number* is its version, 0 if it has none."""

    kind: ItemKind
    body: bytes = field(repr=False)
    name: str = ""
    number: int = 0
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", sha256(self.body).hexdigest())

    @property
    def key(self) -> Key:
        """The key under which it is found."""
        return self.kind, self.name

    @property
    def header(self) -> str:
        """The value of the header field ITEM for its body."""
        return f"{self.kind} {quote(self.name, safe='/') or '-'} {self.digest}"


def read_item(header: str, body: bytes) -> Item:
    """Parse the item of a NOTIFY; raises `RemoteError` if header and body do not match."""
    parts = header.split(" ")
    try:
        kind, name, digest = ItemKind(parts[0]), unquote(parts[1], errors="strict"), parts[2]
    except (ValueError, IndexError):
        raise RemoteError("a NOTIFY without the type of its body", rule="event package sipmesh") from None
    item = Item(kind, body, "" if name == "-" else name)
    if item.digest != digest:
        raise RemoteError(f"a {kind} that does not match its digest", rule="event package sipmesh")
    return item


Number = Annotated[int, Field(ge=0, le=HIGHEST_NUMBER)]
"""A number in a state: it is not signed, and a report has it."""


@dataclass(frozen=True, slots=True)
class _State:
    held: list[tuple[ItemKind, str, Number, str]]
    at: str
    highest: Number
    issuing: str


@dataclass(frozen=True, slots=True)
class ReplicationState:
    """The items that a server has: number and digest of each, and the server's clock *at* (UTC, ISO 8601).

    *highest* is the highest version of the topology that it knows. *issuing* has the certificates of the current issuing CA
    and of CAs above it that servers must present (DER in base64, with blanks between); empty if they are not known.
    """

    held: Mapping[Key, tuple[int, str]]
    at: str
    highest: int = 0
    issuing: str = ""

    def encode(self) -> bytes:
        """Write it as JSON."""
        held = [[kind, name, number, digest] for (kind, name), (number, digest) in sorted(self.held.items())]
        state = {"held": held, "at": self.at, "highest": self.highest, "issuing": self.issuing}
        return json.dumps(state, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, body: bytes) -> ReplicationState:
        """Parse JSON; raises `RemoteError` (400 or 413) if it is not a state."""
        if len(body) > LONGEST_STATE:
            raise RemoteError(f"a state of {len(body)} octets", rule="event package sipmesh", status=413)
        try:
            state = read_document(_State, body)
        except UnreadableJsonError as wrong:
            raise RemoteError(f"a state that cannot be read ({wrong})", rule="event package sipmesh") from None
        held = {(kind, name): (number, digest) for kind, name, number, digest in state.held}
        return cls(held, state.at, state.highest, state.issuing)

    @property
    def topology(self) -> tuple[int, str]:
        """Number and digest of the topology; ``(0, "")`` if there is none."""
        return self.held.get((ItemKind.TOPOLOGY, ""), (0, ""))

    @property
    def users(self) -> int:
        """The version number of the users; 0 if there is none."""
        return self.held.get((ItemKind.USERS, ""), (0, ""))[0]
