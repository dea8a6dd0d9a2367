"""The partners as plain values: `sipmesh partner list --json`, the console and the API show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Self

from sipmesh.topology.document.identity_policy import IdentityPolicy
from sipmesh.topology.document.media_policy import MediaPolicy
from sipmesh.trust.role import ClientUsage

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.parts.federation import Partner
    from sipmesh.topology.document.parts.trunk import Trunk
    from sipmesh.trust.authority import Authority


@dataclass(frozen=True, slots=True)
class TrunkReport:
    """What the topology says of a partner that is a trunk. Numbers have their first digits only.

    *longest_call* is in minutes, and *minutes* are those of our users in 24 hours. *keying* is "" where it is left to phones.
    """

    gateway: str
    asserts: tuple[str, ...]
    carries: tuple[str, ...]
    channels: int | None
    calls_per_second: int | None
    longest_call: int
    emergency: bool
    minutes: int | None = None
    keying: str = ""

    @classmethod
    def of(cls, trunk: Trunk) -> Self:
        """Report one trunk."""
        return cls(
            gateway=trunk.gateway,
            asserts=tuple(trunk.asserts),
            carries=tuple(trunk.carries),
            channels=trunk.channels,
            calls_per_second=trunk.calls_per_second,
            longest_call=trunk.longest_call,
            emergency=trunk.emergency,
            minutes=trunk.minutes,
            keying=str(trunk.keying or ""),
        )


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
    trunk: TrunkReport | None = None

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
            trunk=TrunkReport.of(partner.trunk) if partner.trunk is not None else None,
        )


@dataclass(frozen=True, slots=True)
class PartnersReport:
    """The partners in force, and the blocked names: ``sipmesh partner list --json`` prints it, and the API answers it."""

    partners: tuple[PartnerReport, ...]
    blocked: tuple[str, ...]

    @classmethod
    def of(cls, loaded: Loaded, at: datetime) -> Self:
        """Report the partners of a topology at the instant *at*."""
        federation = loaded.topology.federation
        pairs = zip(federation.partners, loaded.partners, strict=True)
        return cls(tuple(PartnerReport.of(*pair, at) for pair in pairs), tuple(federation.blocked))


def _left(authority: Authority, now: datetime) -> int | None:
    """Return the seconds until the first CRL expires; None if a CRL is missing."""
    ends = [crl.next_update for crl in authority.lists]
    return int((min(ends) - now).total_seconds()) if ends and not authority.lists.faults else None
