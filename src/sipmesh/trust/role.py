"""The roles a server of the topology may have, and which of them may open which link (the table of links)."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a server is for."""

    FRONT_END = "front-end"
    EDGE = "edge"
    APPLICATION = "application"
    MANAGEMENT = "management"


class ClientUsage(StrEnum):
    """Whether the side that opens a link may show a certificate with the serverAuth usage only."""

    STRICT = "strict"
    SERVER_OK = "server-ok"
