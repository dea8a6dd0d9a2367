"""One device of a user: the rows that a GRUU or a registered Contact leads to (RFC 5627 section 5.4, RFC 5626 section 7)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2s
from typing import Final

from sipmesh.routing.registrar.binding import Binding
from sipmesh.sip.text import ascii_lower, octets_of
from sipmesh.sip.uri import SipUri, normal_escapes

HASH_BYTES: Final = 8
_NUMBER: Final = re.compile(r"-0x[0-9a-f]{1,16}\Z")
_DIGITS: Final = frozenset("0123456789")
"""No name of a host ends in a digit, so a host that does is an IPv4 address (RFC 3261 section 25.1, toplabel)."""


def instance_hash(instance: str) -> bytes:
    """Hash an instance, with its angle brackets. UUID URNs are compared without case (RFC 9562 section 4)."""
    return _hash(ascii_lower(instance))


def registration_hash(call_id: str) -> bytes:
    """Hash the Call-ID of a registration, which tells one start of a device from the next (RFC 5627 section 5.1)."""
    return _hash(call_id)


def is_like_a_contact(uri: SipUri) -> bool:
    """Tell whether phones write such a host into a Contact, and it is no domain of users.

    That is an IP address, a name below ``invalid`` (RFC 7118 section 5), or any host with a port.
    """
    return uri.port is not None or uri.host.endswith(".invalid") or ":" in uri.host or uri.host[-1:] in _DIGITS


def contact_address(uri: SipUri) -> str:
    """Give the part of a Contact URI that identifies it: user and host. "" if it has no user.

    In calls, phones write parameters that their registered Contact does not have, and baresip another port.
    """
    return "" if uri.user is None else f"{normal_escapes(uri.user)}@{uri.host}"


def has_name_of(address: str, user: str) -> bool:
    """Tell whether the Contact with *address* has the name of *user*; baresip appends a number in hex to it.

    A user may register any Contact, also the Contact of another user's phone. So only a Contact with the name of its own user
    is an address for others.
    """
    name = address.partition("@")[0]
    if "-0x" in name:
        name = _NUMBER.sub("", name)
    return ascii_lower(name) == ascii_lower(user)


@dataclass(frozen=True, slots=True)
class Instance:
    """The rows of one instance, by its hash. *registration* is the hash of the Call-ID that one of them must have, or b""."""

    instance: bytes
    registration: bytes = b""

    def rows_of(self, stored: Sequence[Binding]) -> list[Binding]:
        """Give the rows of the device among the rows of its user, in the order given."""
        rows = [row for row in stored if row.instance is not None and instance_hash(row.instance) == self.instance]
        if self.registration and all(registration_hash(row.call_id) != self.registration for row in rows):
            return []
        return rows


@dataclass(frozen=True, slots=True)
class RegisteredContact:
    """The rows with one Contact: its `contact_address`, and its *port* if one of these rows has it."""

    address: str
    port: int | None

    def rows_of(self, stored: Sequence[Binding]) -> list[Binding]:
        """Give the rows with this Contact among the rows of its user, in the order given."""
        same: list[Binding] = []
        exact: list[Binding] = []
        for row in stored:
            uri = SipUri.parse(row.contact)
            if contact_address(uri) == self.address:
                same.append(row)
                if uri.port == self.port:
                    exact.append(row)
        return exact or same


Device = Instance | RegisteredContact


def _hash(text: str) -> bytes:
    return blake2s(octets_of(text), digest_size=HASH_BYTES).digest()
