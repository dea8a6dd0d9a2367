"""The roles of servers in the topology. `sipmesh.topology.view` says which role may open which link."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """The role of a server."""

    FRONT_END = "front-end"
    EDGE = "edge"
    APPLICATION = "application"
    MANAGEMENT = "management"
    GATEWAY = "gateway"


BORDERS: Final = frozenset({Role.EDGE, Role.GATEWAY})
"""The roles that have links to other organisations: an edge to those of users, a gateway to telephone trunks."""


class ClientAuth(StrEnum):
    """How clients prove their users on a client port."""

    PASSWORD = "password"  # noqa: S105 - the word of the topology
    CERTIFICATE = "certificate"
    EITHER = "either"


class ClientUsage(StrEnum):
    """Whether the side that opens a link may present a certificate with the usage serverAuth only."""

    STRICT = "strict"
    SERVER_OK = "server-ok"
