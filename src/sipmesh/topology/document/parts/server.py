"""One server: its addresses, ports, files and processes."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from sipmesh.topology.document.names import (
    Address,
    ChainFile,
    Fqdn,
    HostChainFile,
    HostKeyFile,
    KeyFile,
    Label,
    ListenOn,
    Port,
)
from sipmesh.topology.document.parts.acme import ACME
from sipmesh.topology.document.parts.part import Part
from sipmesh.trust.role import ClientAuth

CLIENT_PORT = 5061  # sips default, RFC 3261 19.1.2
REMOTE_CLIENT_PORT = 443  # most networks of others let it pass
WEBSOCKET_PORT = 8443
SERVER_PORT = 5062
PARTNER_PORT = 5061
MOST_CLIENT_CERTIFICATES = 16
MOST_NAMES = 100
MOST_PARTNER_CERTIFICATES = 100
MOST_WORKERS = 64


class Ports(Part):
    """The ports of one server. A missing port has the default of its role."""

    client: Port | None = Field(
        default=None,
        description="phones log in on this port over TLS (front ends, default 5061; edges with remote_users, default 443)",
    )
    websocket: Port | None = Field(
        default=None,
        description="browsers connect to this port by secure WebSocket (front ends, edges with remote_users; default 8443)",
    )
    server: Port | None = Field(default=None, description="our own servers connect to this port (default 5062)")
    partner: Port | None = Field(
        default=None,
        description="partners or trunks connect to this port (outside of an edge or a gateway; default 5061)",
    )


class PartnerCertificate(Part):
    """What an edge or a gateway presents to one partner or trunk, whose CA may be trusted by no other partner."""

    partner: Fqdn = Field(description="a domain of the partner")
    certificate: HostChainFile = Field(description="certificate chain, leaf first, of a CA that this partner trusts")
    key: HostKeyFile = Field(description="private key of that certificate")


class Outside(Part):
    """The side of an edge or a gateway that partners or trunks connect to."""

    address: Address | None = Field(
        default=None, description="the address that partners connect to; by default DNS is used"
    )
    bind: Address | None = Field(
        default=None, description="the address to listen on; by default `address`, else every address"
    )
    certificate: ChainFile | None = Field(
        default=None, description="certificate chain for partners; by default that of the inside"
    )
    key: KeyFile | None = Field(default=None, description="private key of that certificate")
    partners: tuple[PartnerCertificate, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_PARTNER_CERTIFICATES,
        description="certificates for single partners; every other partner gets `certificate`",
    )


class ClientPort(StrEnum):
    """The two ports of a server that clients connect to, named as in `ports`."""

    CLIENT = "client"
    WEBSOCKET = "websocket"


class CertificateFiles(Part):
    """A certificate chain and its private key, for phones and browsers, with the names and the port where they get it."""

    certificate: HostChainFile = Field(description="certificate chain, leaf first, of any CA")
    key: HostKeyFile = Field(description="private key of that certificate")
    port: ClientPort | None = Field(
        default=None,
        description="client for phones, websocket for browsers: the port that presents it; by default both",
    )
    names: tuple[Fqdn, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_NAMES,
        description="names in the SNI that get it, of those that it holds; by default each of them",
    )


class Server(Part):
    """One server: a mapping, or only its name if the defaults are right."""

    name: Fqdn = Field(description="full name of the server, its identity in this network")
    site: Label | None = Field(default=None, description="its site; by default that of its pool")
    address: Address | None = Field(
        default=None, description="the address that our servers connect to; by default DNS is used"
    )
    bind: Address | None = Field(
        default=None, description="the address to listen on; by default `address`, else every address"
    )
    machine: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = Field(
        default=None, description="name of the machine that it runs on, if `address` does not show it"
    )
    ports: Ports = Field(default=Ports(), description="ports that differ from the defaults")
    outside: Outside | None = Field(
        default=None, description="the side of an edge or a gateway that faces partners or trunks"
    )
    certificate: ChainFile | None = Field(
        default=None, description="certificate chain, leaf first; by default servers/NAME.pem"
    )
    key: KeyFile | None = Field(default=None, description="private key; by default servers/NAME.key")
    client_certificates: (
        Annotated[tuple[CertificateFiles, ...], Field(max_length=MOST_CLIENT_CERTIFICATES)] | Literal["acme"]
    ) = Field(
        default=(),
        description="more certificates for phones and browsers, chosen by SNI and key type; or acme: the server gets one from "
        "the public CA of `acme`",
    )
    publish_lists: ListenOn | None = Field(
        default=None,
        description="on a management server: address:port of HTTP for our CRLs, CA certificates and OCSP; by default none",
    )
    client_auth: ClientAuth = Field(
        default=ClientAuth.PASSWORD,
        description="how phones prove their user on the client port: by password, by the certificate of a device, or by either; "
        "an edge may ask for a certificate beside the password",
    )
    metrics: ListenOn | None = Field(
        default=None,
        description="address:port of its metrics (Prometheus over HTTP), or a port on loopback; by default none",
    )
    metrics_tls: bool = Field(
        default=False,
        description="serve the metrics over HTTPS by the certificate of the server, to operators of `console.operators` alone",
    )
    workers: Annotated[int, Field(ge=1, le=MOST_WORKERS)] | Literal["auto"] = Field(
        default=1,
        description="processes that share the ports of a front end, an edge or a gateway; auto: one for each CPU core",
    )

    @property
    def partner_certificates(self) -> tuple[PartnerCertificate, ...]:
        """What single partners get."""
        return (self.outside.partners or ()) if self.outside is not None else ()

    @property
    def certificate_file(self) -> str:
        """The file of the certificate chain, relative to the topology's folder."""
        return self.certificate or f"servers/{self.name}.pem"

    @property
    def key_file(self) -> str:
        """The file of the private key, relative to the topology's folder."""
        return self.key or f"servers/{self.name}.key"

    @property
    def key_files(self) -> tuple[str, ...]:
        """The files of all private keys for its certificates: its own, those for partners and those for clients."""
        outside = [self.outside.key] if self.outside is not None and self.outside.key else []
        outside += [pair.key for pair in self.partner_certificates]
        return (self.key_file, *outside, *(pair.key for pair in self.files_for_clients))

    @property
    def files_for_clients(self) -> tuple[CertificateFiles, ...]:
        """The certificates for phones and browsers: those of an operator, or that of the public CA."""
        if self.client_certificates == ACME:
            return (CertificateFiles(certificate=f"servers/{self.name}.acme.pem", key=f"servers/{self.name}.acme.key"),)
        return self.client_certificates

    @property
    def signer_certificate_file(self) -> str:
        """The file of the certificate chain with which a management server signs publications."""
        return f"servers/{self.name}.signer.pem"

    @property
    def signer_key_file(self) -> str:
        """The file of the private key of that certificate."""
        return f"servers/{self.name}.signer.key"

    @property
    def server_port(self) -> int:
        """The port on which this server accepts links from our other servers."""
        return self.ports.server or SERVER_PORT

    @property
    def runs_on(self) -> str:
        """The machine of this server: declared, or else its address. All loopback addresses are one machine.

        A server with neither has a machine of its own: servers that listen on every address rarely share one.
        """
        if self.machine is not None:
            return self.machine
        host = self.address or self.bind
        if host is None or ip_address(host).is_unspecified:
            return self.name
        return "loopback" if ip_address(host).is_loopback else host


def _in_full(given: object) -> object:
    """Give the mapping for a server that is written as its name only."""
    return {"name": given} if isinstance(given, str) else given


AnyServer = Annotated[Server, BeforeValidator(_in_full, json_schema_input_type=str | Server)]
