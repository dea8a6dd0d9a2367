"""Enrolment by standard protocols, over the HTTPS server of the console."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from sipmesh.topology.document.names import Port
from sipmesh.topology.document.parts.part import Part

HTTP_PORT, TLS_PORT = 80, 443


class EnrolmentProtocol(StrEnum):
    """The protocols by which a server gets its certificate."""

    EST = "est"
    ACME = "acme"


Protocols = Annotated[tuple[EnrolmentProtocol, ...], Field(min_length=1, max_length=len(EnrolmentProtocol))]


class Enrolment(Part):
    """How servers, applications and gateways get a certificate of our CA by a standard protocol."""

    protocols: Protocols = Field(description="the protocols that management serves: est, acme, or both")
    http_port: Port = Field(
        default=HTTP_PORT, description="the port of a server to which the ACME challenge http-01 connects"
    )
    tls_alpn_port: Port = Field(
        default=TLS_PORT, description="the port of a server to which the ACME challenge tls-alpn-01 connects"
    )
