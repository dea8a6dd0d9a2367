"""The roles of servers in the topology. `sipmesh.topology.view` says which role may open which link."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """The role of a server."""

    FRONT_END = "front-end"
    EDGE = "edge"
    APPLICATION = "application"
    MANAGEMENT = "management"


class ClientUsage(StrEnum):
    """Whether the side that opens a link may present a certificate with the usage serverAuth only."""

    STRICT = "strict"
    SERVER_OK = "server-ok"
