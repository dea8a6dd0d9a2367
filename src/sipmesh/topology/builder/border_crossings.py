"""What crosses the border of a machine under a topology: each connection, who is at its other end, and what protects it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sipmesh.topology.document.listeners import TRUNK_PORT, ListenerSpec, listeners
from sipmesh.topology.document.names import is_url, split_port
from sipmesh.topology.document.parts.acme import ACME, AcmeChallenge
from sipmesh.topology.document.parts.trunk import Keying
from sipmesh.topology.document.storage.database_url import POSTGRESQL, DatabaseUrl
from sipmesh.topology.document.storage.valkey_url import is_loopback, valkey_url
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import ClientAuth, Role

if TYPE_CHECKING:
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.authority import AuthorityEntry
    from sipmesh.topology.document.parts.server import Server

MUTUAL: Final = "TLS in which both ends prove themselves"
SIGNED: Final = "no TLS; the content is signed, and the host is named"
HTTPS: Final = "HTTPS; its name is checked"


@dataclass(frozen=True, slots=True)
class Crossing:
    """One connection. *key* is the key of the document that names it; *weakness* says what is not protected, "" if nothing."""

    key: str
    what: str
    where: str
    protection: str
    weakness: str = ""


NOT_CONTACTED: Final[Mapping[str, str]] = {
    "pools.servers.outside.bind": "where a server listens; the port is in `ports`",
    "pools.servers.bind": "where a server listens; the port is in `ports`",
    "pools.servers.outside.address": "where partners connect to; the port is in `ports`",
    "pools.servers.address": "where our servers connect to; the port is in `ports`",
    "pools.servers.ports.client": "the port of clients is listed with its default",
    "pools.servers.ports.websocket": "the port of browsers is listed with its default",
    "pools.servers.ports.server": "the port of our servers is listed with its default",
    "pools.servers.ports.partner": "the port of partners is listed with its default",
    "pools.servers.client_certificates.port": "which of the ports presents a certificate",
    "pools.rtpengine": "a port of 127.0.0.1: rtpengine runs beside the server",
    "acme.bind": "where challenges are answered; they are listed as `acme.challenge`",
    "acme.port": "where challenges are answered; they are listed as `acme.challenge`",
    "invitations.port": "another port of the same pages, in their links",
    "caa.account": "the name of an account in our DNS; nothing connects to it",
    "websocket.origins": "sites whose pages may connect; no server connects to them",
    "directory.servers.address": "the address of `name`",
    "federation.partners.trunk.stir.sign.url": "where others fetch our certificate; no server of ours connects to it",
    "federation.partners.address": "the address of `edge`",
    "federation.partners.trunk.challenge.networks": "networks from which a trunk connects to its port",
    "federation.networks": "networks into which names of others may lead",
}
"""The keys with an address that cause no connection of their own, with the reason."""


def crossings(topology: Topology) -> Iterator[Crossing]:
    """Yield everything that crosses the border of a machine, in the order of the document's parts."""
    for each in _PARTS:
        yield from each(topology)


def _ports(topology: Topology) -> Iterator[Crossing]:
    for pool in topology.pools:
        for server in pool.servers:
            for spec in listeners(topology, pool, server):
                if spec.key.startswith(TRUNK_PORT):
                    yield from _port_of_trunk(topology, server, spec)
                elif not is_loopback(spec.host):
                    where = f"{server.name} port {spec.port}"
                    yield Crossing(
                        f"pools.servers.ports ({spec.key})", _WHAT[spec.kind], where, _tls(spec.kind, server)
                    )


def _port_of_trunk(topology: Topology, server: Server, spec: ListenerSpec) -> Iterator[Crossing]:
    """Tell how a trunk with a port of its own proves itself there."""
    name = spec.key.removeprefix(TRUNK_PORT)
    partner = next(one for one in topology.federation.partners if one.name == name)
    is_challenged = partner.trunk is not None and partner.trunk.challenge is not None
    protection = "TLS by the server's certificate, then a password from its networks" if is_challenged else MUTUAL
    weakness = f"{name} has no certificate: its password and an address are enough" if is_challenged else ""
    if not is_loopback(spec.host):
        where = f"{server.name} port {spec.port}"
        yield Crossing("federation.partners.trunk.port", f"SIP of the trunk {name}", where, protection, weakness)


_WHAT: Final = {
    LinkKind.CLIENT: "SIP of phones and browsers",
    LinkKind.SERVER: "SIP and the control plane between our servers",
    LinkKind.PARTNER: "SIP of partners and trunks",
}


def _tls(kind: LinkKind, server: Server) -> str:
    if kind is not LinkKind.CLIENT:
        return MUTUAL
    proof = "a password" if server.client_auth is ClientAuth.PASSWORD else f"proof by {server.client_auth}"
    return f"TLS by the server's certificate, then {proof}"


def _of_metrics(server: Server) -> tuple[str, str]:
    if server.metrics_tls:
        return f"{HTTPS}, and a token or a certificate of an operator", ""
    return "none", "plain HTTP, and who reaches the port reads the figures"


def _of_servers(topology: Topology) -> Iterator[Crossing]:
    for server in topology.servers:
        for key, listen, what, protection, weakness in (
            ("metrics", server.metrics, "metrics", *_of_metrics(server)),
            ("publish_lists", server.publish_lists, "our CRLs, CA certificates and OCSP", SIGNED, ""),
        ):
            if listen and not _is_local(listen):
                where = f"{server.name}, {listen}"
                yield Crossing(f"pools.servers.{key}", what, where, protection, weakness)


def _pages(topology: Topology) -> Iterator[Crossing]:
    console, pages = topology.console, topology.invitations
    if console is not None and not _is_local(console.listen):
        yield Crossing("console.listen", "console and HTTP API, with metrics", console.listen, f"{HTTPS}, and a log-in")
    if console is not None and console.enrolment is not None:
        for key, port, how in (
            ("http_port", console.enrolment.http_port, "no TLS; the answer is a signature of the account"),
            ("tls_alpn_port", console.enrolment.tls_alpn_port, "TLS whose certificate holds a digest of the account"),
        ):
            yield Crossing(f"console.enrolment.{key}", "proofs of servers that enrol", f"port {port}", how)
    if topology.oauth is not None:
        yield Crossing("oauth.issuer", "logins of users by access tokens", topology.oauth.issuer, HTTPS)
    if console is not None and console.openid is not None:
        yield Crossing("console.openid.issuer", "log-in of operators", console.openid.issuer, HTTPS)
    if pages is not None and not _is_local(pages.listen):
        yield Crossing("invitations.listen", "invitations of devices", pages.listen, f"{HTTPS}, and a one-time link")


def _stores(topology: Topology) -> Iterator[Crossing]:
    stored = topology.storage
    for key, what in (
        ("users", "users"),
        ("management", "versions and the audit log"),
        ("messages", "stored messages"),
        ("calls", "records of calls"),
    ):
        url = getattr(stored, key)
        if url is None or not url.startswith(POSTGRESQL):
            continue
        read = DatabaseUrl.read(url)
        if read.leaves_this_machine:
            tls = "TLS by verify-full under a named root"
            weakness = "sslmode=verify-full and sslrootcert are missing" if read.lacks_tls else ""
            yield Crossing(f"storage.{key}", what, ",".join(read.hosts), "none" if weakness else tls, weakness)
    yield from _bindings("storage.bindings", stored.bindings)
    for pool in topology.pools:
        if pool.storage is not None:
            yield from _bindings("pools.storage.bindings", pool.storage.bindings)


def _bindings(key: str, text: str) -> Iterator[Crossing]:
    if is_url(text) and not (url := valkey_url(text)).is_on_this_machine:
        weakness = "" if url.tls else "valkey:// has no TLS: write valkeys://"
        yield Crossing(
            key, "registrations", str(url), "TLS under the anchors of `valkey`" if url.tls else "none", weakness
        )


def _authorities(topology: Topology) -> Iterator[Crossing]:
    yield from _fetched("authority", topology.authority)
    for partner in topology.federation.partners:
        yield from _fetched("federation.partners", partner)
        stir = partner.trunk.stir if partner.trunk is not None else None
        if stir is not None:
            for key, places, what in (
                ("hosts", stir.hosts, "certificates of signers of calls"),
                ("crls", tuple(filter(is_url, stir.crls)), "CRLs of signers of calls"),
                ("crl_hosts", stir.crl_hosts, "CRLs of signers of calls"),
            ):
                for place in places:
                    yield Crossing(f"federation.partners.trunk.stir.{key}", what, place, SIGNED)
        yield Crossing(
            "federation.partners.edge" if partner.edge else "federation.partners.domains",
            "SIP with this partner",
            partner.edge or f"{partner.name}, found by SRV",
            f"{MUTUAL}; the name is that of the topology, not of DNS",
        )


def _fetched(key: str, authority: AuthorityEntry) -> Iterator[Crossing]:
    for name, urls, what in (
        ("crls", tuple(filter(is_url, authority.crls)), "CRLs"),
        ("crl_hosts", authority.crl_hosts, "CRLs that certificates name"),
        ("ocsp", authority.ocsp, "OCSP"),
    ):
        for url in urls:
            is_tls = urlsplit(url).scheme == "https" if is_url(url) else False
            yield Crossing(f"{key}.{name}", what, url, f"{HTTPS}; the content is signed" if is_tls else SIGNED)


def _acme(topology: Topology) -> Iterator[Crossing]:
    acme = topology.acme
    if acme is None or all(server.client_certificates != ACME for server in topology.servers):
        return
    yield Crossing("acme.directory", "orders at the public CA", acme.directory, f"{HTTPS}, at one host")
    if acme.dns is not None:
        server = acme.dns.server
        yield Crossing("acme.dns.server", "records for dns-01", server, "no TLS; signed in both directions by TSIG")
    else:
        is_http = acme.challenge is AcmeChallenge.HTTP_01
        how = "no TLS; the answer is a signature of the account" if is_http else "TLS with a digest of the account"
        yield Crossing("acme.challenge", "proofs for the public CA", f"port {acme.challenge_port}", how)


def _directory(topology: Topology) -> Iterator[Crossing]:
    directory = topology.directory
    for server in directory.servers if directory is not None else ():
        yield Crossing(
            "directory.servers.name", "users, by LDAP", server.name, "TLS; its name and its CRLs are checked"
        )


def _collectors(topology: Topology) -> Iterator[Crossing]:
    records = topology.call_records
    if records is None:
        return
    if records.syslog and records.syslog != "local":
        yield Crossing("call_records.syslog", "records of calls", records.syslog, "TLS; its name is checked")
    for key, url in (("hook", records.hook), ("otlp", records.otlp)):
        if url:
            yield Crossing(f"call_records.{key}", "records of calls", url, HTTPS)


def _dns(topology: Topology) -> str:
    """Tell what protects answers of DNS: where TLSA records say who a partner is, our own validation."""
    is_proved = topology.dns is not None and bool(topology.dns.trust_anchors)
    tlsa = "; TLSA records by DNSSEC, validated here" if is_proved else ""
    return f"none is needed: DNS decides no identity (rule R9){tlsa}"


def _helpers(topology: Topology) -> Iterator[Crossing]:
    for server in topology.dns.servers if topology.dns is not None else ("the DNS servers of the machine",):
        if not _is_local(server):
            yield Crossing("dns.servers", "names to addresses", server, _dns(topology))
    for uri in topology.turn.servers if topology.turn is not None else ():
        yield Crossing("turn.servers", "media of users", uri, "SRTP of the phones; passwords expire")
    if any(pool.role is Role.FRONT_END for pool in topology.pools):
        yield Crossing("", "media between phones", "phone to phone", f"SRTP, as `media` says: {topology.media.default}")
    for partner in topology.federation.partners:
        if partner.trunk is not None and partner.trunk.keying is not None:
            yield _media_of_trunk(partner.name, partner.trunk.keying)
    yield Crossing("", "packets of sipmesh trace --hep", "the collector that the command names", "none", _HEP)
    yield Crossing("", "time (NTP)", "the time service of the machine", "not ours: use NTS", "sipmesh trusts the clock")


def _media_of_trunk(name: str, keying: Keying) -> Crossing:
    """Tell how the media between our rtpengine and a trunk are keyed."""
    key, is_clear = "federation.partners.trunk.keying", keying is Keying.NONE
    weakness = "RTP in the clear: who is on the way listens" if is_clear else ""
    return Crossing(key, "media of a trunk", name, "none" if is_clear else f"SRTP, keyed by {keying}", weakness)


_HEP: Final = "HEP has no protection: name a collector on this machine"


def _is_local(listen: str) -> bool:
    host, _ = split_port(listen)
    return host == "" or is_loopback(host)


_PARTS: Final[tuple[Callable[[Topology], Iterator[Crossing]], ...]] = (
    _ports,
    _of_servers,
    _pages,
    _stores,
    _authorities,
    _acme,
    _directory,
    _collectors,
    _helpers,
)
