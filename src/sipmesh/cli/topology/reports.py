"""What the commands about the topology print with --json: the names of the fields are the keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from sipmesh.errors import Problem
    from sipmesh.topology.document.identity_policy import IdentityPolicy
    from sipmesh.topology.document.media_policy import MediaPolicy
    from sipmesh.topology.document.parts.federation import Partner
    from sipmesh.trust.authority import Authority
    from sipmesh.trust.role import ClientUsage


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What ``sipmesh topology check --json`` prints: *ok* if there is no problem; warnings do not count."""

    ok: bool
    problems: Sequence[Problem]
    warnings: Sequence[Problem]


@dataclass(frozen=True, slots=True)
class DraftReport(CheckReport):
    """The same in a network with a published version: its number, and the changes of the draft since then."""

    published: int
    unpublished: Sequence[str]


@dataclass(frozen=True, slots=True)
class EditReport:
    """What commands that edit the draft print with ``--json``: whether the file was *written*, and the lines that change.

    *unpublished* are the changes of the draft since version *published* in words; 0 means that no version is published.
    """

    file: Path
    written: bool
    diff: Sequence[str]
    published: int
    unpublished: Sequence[str]


@dataclass(frozen=True, slots=True)
class OpenerReport:
    """A peer that may open a link, and the SIP domains whose users it may assert; *name* is None if no peer may."""

    name: str | None
    asserts: Sequence[str]


@dataclass(frozen=True, slots=True)
class ListenerReport:
    """One port of a server; *name* is the name in its certificate that peers expect there."""

    kind: str
    host: str
    port: int
    name: str
    may_open: Sequence[OpenerReport]


@dataclass(frozen=True, slots=True)
class ViewReport:
    """What ``sipmesh topology show SERVER --json`` prints; *names* are the names in the certificate of the server."""

    server: str
    role: str
    pool: str
    certificate: Path
    names: Sequence[str]
    listeners: Sequence[ListenerReport]


@dataclass(frozen=True, slots=True)
class PartnerReport:
    """One partner in force; *left_s* is the time until its first CRL expires, in seconds, and None if a CRL is missing."""

    domains: tuple[str, ...]
    edge: str | None
    address: str | None
    anchors: tuple[str, ...]
    crls: tuple[str, ...]
    client_usage: ClientUsage
    media: MediaPolicy | None
    identity: IdentityPolicy | None
    third_party: bool
    left_s: int | None

    @classmethod
    def of(cls, partner: Partner, authority: Authority, at: datetime) -> Self:
        """Report one partner with its authority, at the instant *at*."""
        return cls(
            domains=tuple(partner.domains),
            edge=partner.edge,
            address=partner.address,
            anchors=tuple(partner.anchors),
            crls=tuple(partner.crls),
            client_usage=partner.client_usage,
            media=partner.media,
            identity=partner.identity,
            third_party=partner.third_party,
            left_s=_left(authority, at),
        )


@dataclass(frozen=True, slots=True)
class PartnersReport:
    """What ``sipmesh partner list --json`` prints."""

    partners: list[PartnerReport]
    blocked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FirstReport:
    """What ``sipmesh topology publish --json`` prints for version 1; *digest* is in hex."""

    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class PublishedReport:
    """What ``sipmesh topology publish --json`` prints; *missing* are servers that do not have the version in force yet.

    *forced* says what the version breaks, *closed* are the ids of the links that it closed, *new* are servers that have not
    started yet. *took_s* is the time of the whole command, in seconds.
    """

    version: int
    changes: Sequence[str]
    forced: Sequence[str]
    closed: Sequence[str]
    missing: Sequence[str]
    new: Sequence[str]
    took_s: float


@dataclass(frozen=True, slots=True)
class RestedReport:
    """What ``sipmesh topology publish --json`` prints without a running management server."""

    version: int
    changes: Sequence[str]
    forced: Sequence[str]
    missing: Sequence[str] = ()
    at_rest: bool = True


@dataclass(frozen=True, slots=True)
class DocumentReport:
    """What ``sipmesh topology show VERSION --json`` prints."""

    version: int
    by: str
    why: str
    topology: str


def _left(authority: Authority, now: datetime) -> int | None:
    """Return the seconds until the first CRL expires; None if a CRL is missing."""
    ends = [crl.next_update for crl in authority.lists]
    return int((min(ends) - now).total_seconds()) if ends and not authority.lists.faults else None
