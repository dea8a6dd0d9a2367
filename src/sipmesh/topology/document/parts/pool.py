"""One pool: servers with a common name and role."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from sipmesh.topology.document.names import (
    Fqdn,
    Label,
    Port,
    quoted,
)
from sipmesh.topology.document.parts.history import History
from sipmesh.topology.document.parts.part import Part
from sipmesh.topology.document.parts.server import (
    AnyServer,
)
from sipmesh.topology.document.parts.stores import PoolStorage
from sipmesh.topology.document.parts.trunk import MOST_PREFIXES
from sipmesh.trust.role import Role

MOST_ADDRESSES = 1000
ApplicationAddress = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~-]{1,128}@[a-z0-9.-]{1,253}$")]
Screened = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9._~+-]{1,128}@)?[a-z0-9.-]{1,253}$")]
ApplicationNumbers = Annotated[str, BeforeValidator(quoted), StringConstraints(pattern=r"^\+[1-9][0-9]{0,14}$")]
TAKEOVER_AFTER_S = 60  # a restart of a process or of a small machine is over by then, and is no takeover


class Pool(Part):
    """One or more servers with a common name and role."""

    name: Fqdn = Field(description="full name of the pool; the only server of a pool may have the same name")
    role: Role = Field(description="the role of its servers")
    site: Label | None = Field(default=None, description="the site of its servers, one of `sites`")
    servers: tuple[AnyServer, ...] = Field(min_length=1, description="the servers of the pool")
    internal_name: Fqdn | None = Field(default=None, description="the name of an edge or gateway pool on its inside")
    next_hop: Fqdn | None = Field(
        default=None, description="the front-end pool to which an edge, gateway or application sends requests"
    )
    remote_users: bool = Field(
        default=False,
        description="an edge pool has a client port on its outside, and carries users who log in there to their home pool",
    )
    speaks_for: tuple[Fqdn, ...] = Field(
        default=(), description="SIP domains of ours whose users an application may assert"
    )
    sip_addresses: tuple[ApplicationAddress, ...] = Field(
        default=(),
        max_length=MOST_ADDRESSES,
        description="addresses of an application in our SIP domains, such as voicemail@example.com",
    )
    numbers: tuple[ApplicationNumbers, ...] = Field(
        default=(),
        max_length=MOST_PREFIXES,
        description="first digits of the telephone numbers of an application, such as +49301234",
    )
    public: bool = Field(
        default=False, description="whether partners and trunks may call the addresses and numbers of an application"
    )
    screens: tuple[Screened, ...] = Field(
        default=(),
        max_length=MOST_ADDRESSES,
        description="users, and SIP domains of ours, whose calls an application gets before their phones ring; only users "
        "at home in its `next_hop` count",
    )
    if_away: Literal["pass", "refuse"] = Field(
        default="refuse",
        description="what happens to the calls that an application screens while it does not answer: their phones ring, or the "
        "callers get 503",
    )
    backup_pool: Fqdn | None = Field(
        default=None,
        description="the front-end pool that serves the users of this front-end pool while none of its servers answers",
    )
    takeover_after: Annotated[int, Field(ge=2, le=86_400)] = Field(
        default=TAKEOVER_AFTER_S,
        description="seconds for which no server may have answered before the backup pool serves the users",
    )
    rtpengine: Port | None = Field(
        default=None,
        description="port of rtpengine for its ng protocol on 127.0.0.1 of each server (front ends, edges, gateways): it bridges "
        "calls between sides whose media are keyed differently; by default there is none",
    )
    storage: PoolStorage | None = Field(
        default=None,
        description="where this front-end pool stores its registrations; by default as the general `storage`",
    )
    history: History | None = Field(
        default=None,
        description="message history of the users of this front-end pool; by default as the general `history`",
    )
