"""Partners, and the way to them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from sipmesh.topology.document.identity_policy import IdentityPolicy
from sipmesh.topology.document.media_policy import MediaPolicy
from sipmesh.topology.document.names import (
    Address,
    AnchorFile,
    CrlFileOrUrl,
    Fqdn,
    FqdnAndPort,
    Network,
    split_port,
)
from sipmesh.topology.document.parts.authority import AuthorityEntry
from sipmesh.topology.document.parts.ct_log_entry import CtLogEntry
from sipmesh.topology.document.parts.part import Part
from sipmesh.topology.document.parts.trunk import Trunk
from sipmesh.trust.dane.tlsa import DaneMode
from sipmesh.trust.role import ClientUsage
from sipmesh.trust.transparency.ct_log import CtMode, CtPolicy


def _off(given: object) -> object:
    """Change false into "off": YAML 1.1 tools read the word *off* as false."""
    return "off" if given is False else given


Ct = Annotated[CtMode, BeforeValidator(_off)]
Dane = Annotated[DaneMode, BeforeValidator(_off)]


class Partner(AuthorityEntry):
    """Another organisation. It is trusted for its own domains and the name of its edge only."""

    grace_by_default: ClassVar[timedelta] = timedelta(days=1)
    """For a partner: an attacker who blocks a partner's CRLs for an hour must not cut off the partner."""

    list_limit_by_default: ClassVar[int] = 8
    """In MiB; enough for 150,000 entries. The CRLs of a partner use our memory and time."""

    anchors: tuple[AnchorFile, ...] = Field(
        default=(),
        description="PEM files of the roots that are trusted; with `dane: only` of CAs whose CRLs count, but not trusted",
    )
    crls: tuple[CrlFileOrUrl, ...] = Field(
        default=(), description="one CRL for each CA in the chain: files, or URLs that servers fetch"
    )
    domains: tuple[Fqdn, ...] = Field(min_length=1, description="SIP domains of the partner")
    edge: FqdnAndPort | None = Field(
        default=None, description="its edge as name or name:port; by default found by DNS SRV"
    )
    address: Address | None = Field(
        default=None, description="the address of its edge, where DNS is not to be asked; the name must still be proved"
    )
    client_usage: ClientUsage = Field(
        ClientUsage.STRICT, description="whether its edge may connect with a certificate for serverAuth only"
    )
    media: MediaPolicy | None = Field(
        default=None,
        description="media of calls with this partner: any, encrypted, encrypted-required; by default as for our users",
    )
    identity: IdentityPolicy | None = Field(
        default=None,
        description="calls: sign ours; verify its signatures too; or required: refuse calls without one. By default none",
    )
    trunk: Trunk | None = Field(
        default=None, description="it is a telephone trunk, and its users are numbers; by default it is an organisation"
    )
    dane: Dane = Field(
        DaneMode.OFF,
        description="TLSA records of its edge that DNSSEC proves: off, check (beside its CA), or only (in place of its CA)",
    )
    ct: Ct = Field(
        CtMode.OFF,
        description="Certificate Transparency of its certificates: off, report, or require (refuse without valid SCTs)",
    )
    third_party: bool = Field(
        default=False,
        description="its CA issues for other organisations also, so that only the name identifies the partner",
    )

    @property
    def name(self) -> str:
        """The name of the partner in this program: its first domain."""
        return self.domains[0]

    @property
    def edge_address(self) -> tuple[str, int | None] | None:
        """Host and port of its edge; the port is None if it is not given; None without an edge."""
        return split_port(self.edge) if self.edge else None

    @property
    def identities(self) -> tuple[str, ...]:
        """All names of this partner: its domains and its edge."""
        return tuple(dict.fromkeys((*self.domains, *(self.edge_address or ())[:1])))


def _of_a_partner(given: dict[str, Any]) -> dict[str, Any]:
    """Check that the entry can become one of `partners` again."""
    Partner.model_validate(given)
    return given


BlockedPartner = Annotated[dict[str, Any], AfterValidator(_of_a_partner)]
"""The entry of a partner as it was written: no part of the program reads an anchor or a name of it."""

Discovery = Annotated[Literal["off"], BeforeValidator(_off)]


class Federation(Part):
    """The organisations that may connect. If `partners` is empty, none may."""

    def asks_of(self, partner: Partner) -> CtPolicy | None:
        """Return what the certificates of a partner must show of logs; None if nothing."""
        if partner.ct is CtMode.OFF:
            return None
        return CtPolicy(partner.ct, tuple(entry.log for entry in self.ct_logs))

    route: Fqdn | None = Field(default=None, description="the edge pool through which partners are reached")
    discovery: Discovery = Field(
        default="off", description="partners are listed under `partners`; there is no automatic discovery"
    )
    partners: tuple[Partner, ...] = Field(default=(), description="the organisations that may connect")
    networks: tuple[Network, ...] = Field(
        default=(),
        description="private networks to which the DNS names of partners, and of those who publish for them, may lead",
    )
    ct_logs: tuple[CtLogEntry, ...] = Field(
        default=(),
        max_length=200,
        description="logs of Certificate Transparency whose SCTs count for `ct` of a partner",
    )
    blocked: tuple[Fqdn, ...] = Field(
        default=(), description="domains and edges that are refused, with any certificate"
    )
    blocked_partners: tuple[BlockedPartner, ...] = Field(
        default=(),
        description="the entries of partners that are blocked: nothing in them counts until `sipmesh partner unblock`",
    )

    @property
    def organisations(self) -> tuple[Partner, ...]:
        """The partners with users, which edges have links to."""
        return tuple(partner for partner in self.partners if partner.trunk is None)

    def trunks_of(self, gateway: str) -> tuple[Partner, ...]:
        """Give the trunks behind the pool *gateway*."""
        return tuple(one for one in self.partners if one.trunk is not None and one.trunk.gateway == gateway)
