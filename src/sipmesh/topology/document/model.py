"""The whole topology document.

`parts` check the *shape*: keys, types and well-formed names. `checks` find whether the parts agree with each other.
Only `document.load` returns a topology that passed both. All parts are immutable.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from sipmesh.topology.document.names import (
    Fqdn,
    Label,
)
from sipmesh.topology.document.parts.acme import Acme
from sipmesh.topology.document.parts.approvals import Approvals
from sipmesh.topology.document.parts.authority import AuthorityEntry, OwnAuthority
from sipmesh.topology.document.parts.caa import CaaEntry
from sipmesh.topology.document.parts.call_defaults import CallDefaults
from sipmesh.topology.document.parts.call_records import CallRecords
from sipmesh.topology.document.parts.console import Console
from sipmesh.topology.document.parts.directory import Directory
from sipmesh.topology.document.parts.federation import Federation
from sipmesh.topology.document.parts.files import Files
from sipmesh.topology.document.parts.history import History
from sipmesh.topology.document.parts.invitations import InvitationPages
from sipmesh.topology.document.parts.media import AnyMedia, Media
from sipmesh.topology.document.parts.numbers import Numbers
from sipmesh.topology.document.parts.oauth import OAuth
from sipmesh.topology.document.parts.part import Part
from sipmesh.topology.document.parts.pool import Pool
from sipmesh.topology.document.parts.scim import Scim
from sipmesh.topology.document.parts.server import Server
from sipmesh.topology.document.parts.services import Dns, Presence, Turn, WebSocket
from sipmesh.topology.document.parts.stores import Messages, PoolStorage, Storage
from sipmesh.topology.document.user_search import UserSearch

MOST_CALL_DEFAULTS = 200


class Topology(Part):
    """The whole topology document."""

    sipmesh: Literal[1] = Field(description="version of this format")
    organisation: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="name of the organisation, as its certificates carry it"
    )
    sip_domains: tuple[Fqdn, ...] = Field(min_length=1, description="the domains of our users")
    sites: tuple[Label, ...] = Field(default=(), description="the places of servers, such as berlin")
    authority: OwnAuthority = Field(description="our enterprise CA")
    pools: tuple[Pool, ...] = Field(min_length=1, description="all our servers, pool by pool")
    federation: Federation = Field(default=Federation(), description="our partners")
    numbers: Numbers = Field(default=Numbers(), description="how users call telephone numbers")
    media: AnyMedia = Field(default=Media(), description="media of our users' calls; by default encrypted-required")
    websocket: WebSocket | None = Field(
        default=None, description="phones in web pages; without it, front ends have no WebSocket port"
    )
    dns: Dns | None = Field(default=None, description="DNS servers to use; by default those of the machine")
    dane: bool = Field(
        default=False,
        description="TLSA records of our ports belong to our DNS records, for peers that check DANE; our servers use none",
    )
    caa: tuple[CaaEntry, ...] = Field(
        default=(),
        max_length=16,
        description="accounts at public CAs that may issue for our names: CAA records; by default our DNS records have none",
    )
    acme: Acme | None = Field(
        default=None,
        description="public CA from which servers get certificates for phones and browsers; by default none",
    )
    post_quantum: bool = Field(
        default=False,
        description="links between our own servers refuse a key exchange that a quantum computer could break; "
        "by default such an exchange is preferred on each link",
    )
    storage: Storage = Field(default=Storage(), description="where users and registrations are stored")
    presence: Presence = Field(default=Presence(), description="who may watch the presence of our users")
    user_search: UserSearch = Field(
        default=UserSearch.ORGANISATION,
        description="whom each user finds by a search: users of the organisation, of the same domain, of the same pool, or off",
    )
    call_rules: tuple[CallDefaults, ...] = Field(
        default=(), max_length=MOST_CALL_DEFAULTS, description="rules of calls for users who have no rules of their own"
    )
    messages: Messages = Field(default=Messages(), description="messages stored for users who are not registered")
    history: History | None = Field(
        default=None,
        description="message history of our users, which each of them reads on all devices; by default there is none",
    )
    files: Files | None = Field(
        default=None, description="files that our users send beside messages; by default they can send none"
    )
    turn: Turn | None = Field(default=None, description="relays for media; by default users get no credentials for any")
    call_records: CallRecords | None = Field(
        default=None, description="records of calls and messages; by default servers make none"
    )
    approvals: Approvals | None = Field(
        default=None, description="operators who must approve each version; by default management alone publishes"
    )
    console: Console | None = Field(
        default=None, description="web console and HTTP API of the management server; by default there are none"
    )
    invitations: InvitationPages | None = Field(
        default=None, description="pages at which devices take invitations; by default there are none"
    )
    oauth: OAuth | None = Field(
        default=None, description="OpenID provider whose access tokens let users log in; by default there is none"
    )
    directory: Directory | None = Field(
        default=None, description="LDAP directory whose entries are users here; by default only operators add users"
    )
    scim: Scim | None = Field(
        default=None,
        description="SCIM clients that write the users, in place of a directory; by default there are none",
    )

    @property
    def authorities(self) -> tuple[AuthorityEntry, ...]:
        """Our own authority, then the partners, in the order of the document."""
        return (self.authority, *self.federation.partners)

    @property
    def servers(self) -> tuple[Server, ...]:
        """Each server of each pool, in the order of the document."""
        return tuple(server for pool in self.pools for server in pool.servers)

    @property
    def server_names(self) -> tuple[str, ...]:
        """The names of all servers, in the order of the document."""
        return tuple(server.name for server in self.servers)

    @property
    def site_of_each(self) -> dict[str, str]:
        """The site of each server: its own, or else that of its pool; "" without one."""
        return {server.name: server.site or pool.site or "" for pool in self.pools for server in pool.servers}

    def storage_of(self, pool: Pool) -> PoolStorage:
        """Give where the registrations of *pool* are stored: its own `storage` as a whole, or else the general one."""
        return pool.storage or PoolStorage(bindings=self.storage.bindings, valkey=self.storage.valkey)

    def pool(self, name: str | None) -> Pool | None:
        """Give the pool with that name, or None."""
        return next((pool for pool in self.pools if pool.name == name), None)

    def pool_of(self, server: str) -> Pool | None:
        """Give the pool of *server*, or None."""
        return next((pool for pool in self.pools if any(s.name == server for s in pool.servers)), None)

    def server(self, name: str) -> Server | None:
        """Give the server with that name, or None."""
        return next((server for server in self.servers if server.name == name), None)
