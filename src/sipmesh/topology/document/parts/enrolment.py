"""Enrolment by standard protocols, over the HTTPS server of the console."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from sipmesh.topology.document.names import Fqdn, Port, SecretFile
from sipmesh.topology.document.operators.kerberos import MachinePrincipal, Realm
from sipmesh.topology.document.parts.part import Part

HTTP_PORT, TLS_PORT = 80, 443
MOST_MACHINES: Final = 1_000


class EnrolmentProtocol(StrEnum):
    """The protocols by which a server gets its certificate."""

    EST = "est"
    ACME = "acme"


Protocols = Annotated[tuple[EnrolmentProtocol, ...], Field(min_length=1, max_length=len(EnrolmentProtocol))]


class Machine(Part):
    """The account of a computer in the domain, and the server that runs on it."""

    principal: MachinePrincipal = Field(
        description="account with its realm, as `klist -k` spells it, such as BOT1$@CORP.EXAMPLE.COM"
    )
    server: Fqdn = Field(description="the server of the topology whose certificate it gets")


class MachineRealm(Part):
    """The realm whose tickets prove by EST that a computer is a server of the topology."""

    realm: Realm = Field(description="the realm, in capitals; tickets of other realms are refused")
    keytab: SecretFile = Field(description="keytab of the service HTTP/NAME of this management server, mode 0600")
    machines: tuple[Machine, ...] = Field(
        min_length=1, max_length=MOST_MACHINES, description="which account is which server; others are refused"
    )

    def server_of(self, principal: str) -> str | None:
        """Return the server of an account, None if it has none."""
        return next((one.server for one in self.machines if one.principal == principal), None)


class Enrolment(Part):
    """How servers, applications and gateways get a certificate of our CA by a standard protocol."""

    protocols: Protocols = Field(description="the protocols that management serves: est, acme, or both")
    http_port: Port = Field(
        default=HTTP_PORT, description="the port of a server to which the ACME challenge http-01 connects"
    )
    tls_alpn_port: Port = Field(
        default=TLS_PORT, description="the port of a server to which the ACME challenge tls-alpn-01 connects"
    )
    kerberos: MachineRealm | None = Field(
        default=None, description="the realm whose computers enrol by EST with a ticket; by default there is none"
    )
