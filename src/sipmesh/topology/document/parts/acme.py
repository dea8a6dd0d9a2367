"""Our accounts at a public CA, from which servers get certificates for phones and browsers by ACME (RFC 8555)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from sipmesh.topology.document.names import Address, AddressAndPort, AnchorFile, Fqdn, HttpUrl, Port, SecretFile
from sipmesh.topology.document.parts.part import Part

ACME: Literal["acme"] = "acme"
"""The value of `client_certificates` of a server that gets its certificate by ACME."""

Contact = Annotated[str, StringConstraints(pattern=r"^mailto:[!-?A-~]{1,64}@[A-Za-z0-9.-]{1,253}$")]
KeyId = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,256}$")]


class AcmeChallenge(StrEnum):
    """How a server proves its names to the CA."""

    HTTP_01 = "http-01"
    TLS_ALPN_01 = "tls-alpn-01"
    DNS_01 = "dns-01"


PORTS = {AcmeChallenge.HTTP_01: 80, AcmeChallenge.TLS_ALPN_01: 443}
"""The port that a CA connects to (RFC 8555 8.3, RFC 8737 3)."""


class DnsUpdates(Part):
    """The DNS server that takes the records of dns-01, by dynamic updates (RFC 2136) signed with a TSIG key (RFC 8945)."""

    server: AddressAndPort = Field(description="address or address:port of the DNS server that takes the updates")
    zone: Fqdn = Field(description="zone in which the records are written")
    key_file: SecretFile = Field(
        description="file on each server with the TSIG key, as ALGORITHM:NAME:SECRET in one line, mode 0600"
    )
    wait_s: int = Field(
        default=10, ge=0, le=600, strict=True, description="seconds until all servers of the zone have a new record"
    )


class ExternalAccount(Part):
    """The account at the CA to which an ACME account is bound (RFC 8555 7.3.4), where the CA needs one."""

    id: KeyId = Field(description="identifier of the key, from the CA")
    key_file: SecretFile = Field(description="file on each server with the MAC key in base64url, mode 0600")


class Acme(Part):
    """The public CA, and how servers prove their names to it. Its terms of service are agreed to by naming it."""

    directory: HttpUrl = Field(description="https URL of the directory of the CA")
    challenge: AcmeChallenge = Field(
        default=AcmeChallenge.HTTP_01,
        description="http-01 and tls-alpn-01 prove the name of one server, dns-01 also our SIP domains",
    )
    contacts: tuple[Contact, ...] = Field(
        default=(), max_length=8, description="mailto: URLs at which the CA reaches us"
    )
    anchors: tuple[AnchorFile, ...] = Field(
        default=(),
        max_length=16,
        description="PEM files on each server with the roots of the CA and of its directory; by default those of the machine",
    )
    bind: Address | None = Field(
        default=None, description="address at which a server answers challenges; by default that for clients"
    )
    port: Port | None = Field(
        default=None,
        description="port at which a server answers challenges; by default 80 for http-01, 443 for tls-alpn-01",
    )
    dns: DnsUpdates | None = Field(default=None, description="the DNS server for dns-01")
    external_account: ExternalAccount | None = Field(
        default=None, description="our account at the CA; by default the CA needs none"
    )

    @property
    def challenge_port(self) -> int:
        """The port at which challenges are answered; 0 for dns-01."""
        return self.port or PORTS.get(self.challenge, 0)
