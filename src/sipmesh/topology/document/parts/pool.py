"""One pool: servers with a common name and role."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sipmesh.topology.document.names import (
    Fqdn,
    Label,
)
from sipmesh.topology.document.parts.part import Part
from sipmesh.topology.document.parts.server import (
    AnyServer,
)
from sipmesh.topology.document.parts.stores import PoolStorage
from sipmesh.trust.role import Role

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
    backup_pool: Fqdn | None = Field(
        default=None,
        description="the front-end pool that serves the users of this front-end pool while none of its servers answers",
    )
    takeover_after: Annotated[int, Field(ge=2, le=86_400)] = Field(
        default=TAKEOVER_AFTER_S,
        description="seconds for which no server may have answered before the backup pool serves the users",
    )
    storage: PoolStorage | None = Field(
        default=None,
        description="where this front-end pool stores its registrations; by default as the general `storage`",
    )
