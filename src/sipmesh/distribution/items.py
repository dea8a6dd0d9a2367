"""What is given: signed documents and revocation lists, each known by its digest; and what one server has of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Any
from urllib.parse import quote, unquote

from sipmesh.distribution.event import CRL, JOSE
from sipmesh.errors import RemoteError

LONGEST_STATE = 1 << 20
"""Octets; a state has a line for each revocation list of the network."""


class ItemKind(StrEnum):
    """What an item is."""

    REVOKED = "revoked"  # serials that are newly revoked, signed: small, and ahead of the list that has them
    LIST = "list"  # a revocation list, signed by its CA; named as the topology names its file
    TOPOLOGY = "topology"  # a publication
    CERTIFICATE = "certificate"  # one server's next certificate; named as the server
    USERS = "users"  # who may log in at a pool

    @property
    def content_type(self) -> str:
        """The type of its body."""
        return CRL if self is ItemKind.LIST else JOSE


Key = tuple[ItemKind, str]
"""An item's kind and name; lists and certificates have names, and so have the parts of many users."""


@dataclass(frozen=True, slots=True)
class Item:
    """One document with its exact octets; *number* is its version, 0 where it has none."""

    kind: ItemKind
    body: bytes = field(repr=False)
    name: str = ""
    number: int = 0
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", sha256(self.body).hexdigest())

    @property
    def key(self) -> Key:
        """By what it is found."""
        return self.kind, self.name

    @property
    def header(self) -> str:
        """What a NOTIFY says of its body."""
        return f"{self.kind} {quote(self.name, safe='/') or '-'} {self.digest}"


def read_item(header: str, body: bytes) -> Item:
    """Read an item off a NOTIFY; raises `RemoteError` where header and body do not fit."""
    parts = header.split(" ")
    try:
        kind, name, digest = ItemKind(parts[0]), unquote(parts[1], errors="strict"), parts[2]
    except (ValueError, IndexError):
        raise RemoteError("a NOTIFY without the type of its body", rule="event package sipmesh") from None
    item = Item(kind, body, "" if name == "-" else name)
    if item.digest != digest:
        raise RemoteError(f"a {kind} that does not match its digest", rule="event package sipmesh")
    return item


@dataclass(frozen=True, slots=True)
class ReplicationState:
    """What somebody holds: number and digest of each item by key, and by *at* the holder's clock (UTC, ISO 8601).

    *highest* is the highest version of the topology that it knows to exist. *issuing* is the certificate of the CA that issues
    now, as servers are to show it (DER in base64), empty where that is not known.
    """

    held: Mapping[Key, tuple[int, str]]
    at: str
    highest: int = 0
    issuing: str = ""

    def encode(self) -> bytes:
        """Give it as JSON."""
        held = [[kind, name, number, digest] for (kind, name), (number, digest) in sorted(self.held.items())]
        told = {"held": held, "at": self.at, "highest": self.highest, "issuing": self.issuing}
        return json.dumps(told, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, body: bytes) -> ReplicationState:
        """Read it; raises `RemoteError` for anything else."""
        if len(body) > LONGEST_STATE:
            raise RemoteError(f"a state of {len(body)} octets", rule="event package sipmesh", status=413)
        try:
            told: dict[str, Any] = json.loads(body)
            held = {
                (ItemKind(kind), str(name)): (int(number), str(digest)) for kind, name, number, digest in told["held"]
            }
            return cls(held, str(told["at"]), int(told["highest"]), str(told["issuing"]))
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
            raise RemoteError("a state that cannot be read", rule="event package sipmesh") from None

    @property
    def topology(self) -> tuple[int, str]:
        """Number and digest of the topology."""
        return self.held.get((ItemKind.TOPOLOGY, ""), (0, ""))

    @property
    def users(self) -> int:
        """The number of the users."""
        return self.held.get((ItemKind.USERS, ""), (0, ""))[0]
