"""The topology of Skype for Business Server, as `Get-CsTopology -AsXml` prints it.

Clusters with a Registrar become front-end pools, those with an edge become edge pools, and trusted application pools
applications. Everything else (mediation, conferencing, stores, web services) has no counterpart here.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError

from sipmesh.bounded_xml import XmlBounds, feed_xml
from sipmesh.errors import OperatorError, RemoteError
from sipmesh.foreign_errors import reason_of
from sipmesh.topology.builder.additions import NewPool, NewServer
from sipmesh.topology.builder.importing.imported import LARGEST_FILE, MOST_SERVERS, Imported, site_label
from sipmesh.topology.document.names import is_ip
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from xml.etree.ElementTree import Element

NAMESPACE: Final = "urn:schema:Microsoft.Rtc.Management.Deploy.Topology.2008"
BOUNDS: Final = XmlBounds(elements=LARGEST_FILE, deepest=LARGEST_FILE, attributes=LARGEST_FILE)
"""The size of a file bounds its elements; the names of its namespaces, which the parser repeats, must not fill the memory."""

ROLE_OF: Final[Mapping[str, Role]] = {
    "Registrar": Role.FRONT_END,
    "EdgeServer": Role.EDGE,
    "ExternalServer": Role.APPLICATION,
}
NO_ADDRESS: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - an address in a file, which no socket is bound to

ClusterKey = tuple[str, str]
"""The site and the number of a cluster."""
ServiceKey = tuple[str, str, str]
"""The site, the role and the instance of a service."""


def read_topology(content: bytes) -> Imported:
    """Read an export; raises `OperatorError` if it is not one."""
    return _Reader(_root(content)).read()


def _root(content: bytes) -> Element:
    try:
        root = feed_xml(content, BOUNDS, rule="Namespaces in XML 1.0")
    except (ParseError, DefusedXmlException, ValueError, RemoteError) as wrong:
        raise OperatorError(
            f"this is not the XML of Get-CsTopology -AsXml ({reason_of(wrong)}); export it again"
        ) from None
    found = root if root.tag == f"{{{NAMESPACE}}}Topology" else root.find(f".//{{{NAMESPACE}}}Topology")
    if found is None:
        raise OperatorError(
            f"the XML has no Topology of the namespace {NAMESPACE}; export it by: Get-CsTopology -AsXml"
        )
    return found


class _Reader:
    """Reads one topology."""

    def __init__(self, root: Element) -> None:
        self._root, self._made = root, Imported()
        self._clusters = {_cluster_key(one): one for one in self._all("Clusters/Cluster")}
        if len(self._clusters) > MOST_SERVERS:
            raise OperatorError(f"the export has more than {MOST_SERVERS} clusters")
        self._sites: dict[str, str] = {}
        self._installed: dict[ServiceKey, ClusterKey] = {}
        self._services: dict[tuple[ClusterKey, str], list[Element]] = {}

    def read(self) -> Imported:
        self._read_domains()
        self._read_sites()
        roles = self._roles()
        found = [(role, key) for key in self._clusters for role in (self._role(key, roles),) if role is not None]
        order = [Role.FRONT_END, Role.EDGE, Role.APPLICATION]  # a next hop must be there first
        for role, key in sorted(found, key=lambda pair: order.index(pair[0])):
            self._made.pools.append(self._pool(role, key))
        if sum(len(pool.servers) for pool in self._made.pools) > MOST_SERVERS:
            raise OperatorError(f"the export has more than {MOST_SERVERS} servers")
        self._made.leave("allowed and blocked domains", "they are not in this export; see: sipmesh partner add --help")
        return self._made

    def _all(self, path: str, start: Element | None = None) -> list[Element]:
        steps = "/".join(f"{{{NAMESPACE}}}{step}" for step in path.split("/"))
        return (self._root if start is None else start).findall(steps)

    def _read_domains(self) -> None:
        for domains in self._all("InternalDomains"):
            if domains.get("AllowAllDomains") == "true":
                self._made.leave("AllowAllDomains", "each SIP domain has to be named")
        for domain in self._all("InternalDomains/InternalDomain"):
            name = domain.get("Name", "")
            self._made.domains.append(name)
            if domain.get("AllowSubDomains") == "true":
                self._made.leave(f"subdomains of {name}", "each SIP domain has to be named")

    def _read_sites(self) -> None:
        for tag in ("CentralSite", "BranchSite", "RemoteSite"):
            for site in self._all(f"Sites/{tag}"):
                name = next((one.text or "" for one in self._all("Name", site)), "")
                label = site_label(name)
                if label:
                    self._sites[site.get("SiteId", "")] = label
                    self._made.sites.append(label)
                else:
                    self._made.leave(f"site {name!r}", "its name has no letter or digit of ASCII")

    def _roles(self) -> Mapping[ClusterKey, Counter[str]]:
        """Count the roles on each cluster, and remember where each service is installed."""
        roles: dict[ClusterKey, Counter[str]] = {}
        for service in self._all("Services/Service"):
            identity = next(iter(self._all("ServiceId", service)), None)
            where = next(iter(self._all("InstalledOn/ClusterId", service)), None)
            if identity is None or where is None:
                continue
            name, key = identity.get("RoleName", ""), (where.get("SiteId", ""), where.get("Number", ""))
            if name == "Registrar" and any(one.get("IsDirector") == "true" for one in _settings(service)):
                name = "Director"
            self._installed[_service_key(identity)] = key
            self._services.setdefault((key, identity.get("RoleName", "")), []).append(service)
            roles.setdefault(key, Counter())[name] += 1
        return roles

    def _role(self, key: ClusterKey, roles: Mapping[ClusterKey, Counter[str]]) -> Role | None:
        names = roles.get(key, Counter())
        name = self._clusters[key].get("Fqdn", "")
        taken = [role for role in names if role in ROLE_OF]
        for other in sorted(set(names) - set(ROLE_OF)):
            self._made.leave(f"{other} on {name}", "this role has no counterpart")
        if not taken:
            self._made.leave(f"cluster {name}", "it has no Registrar, edge or trusted application")
            return None
        return ROLE_OF[taken[0]]

    def _pool(self, role: Role, key: ClusterKey) -> NewPool:
        cluster = self._clusters[key]
        name, site = cluster.get("Fqdn", "").lower(), self._sites.get(key[0], "")
        servers = [self._machine(machine, role) for machine in self._all("Machine", cluster)]
        if role is Role.FRONT_END:
            self._made.leave(
                f"ports of {name}", "front ends have 5061 for phones and 5062 for servers; see: topology change"
            )
        if role is Role.EDGE:
            return NewPool(role, self._outside_name(name), servers, name, self._next_hop(key, "EdgeServer"), site=site)
        return NewPool(role, name, servers, next_hop=self._next_hop(key, "ExternalServer"), site=site)

    def _outside_name(self, inside: str) -> str:
        """Give the name that partners use: the export has it in a part that differs by version, so it is derived."""
        domain = next(iter(self._made.domains), inside.partition(".")[2])
        self._made.leave(f"outside name of {inside}", f"it is taken to be sip.{domain}; see: topology rename")
        return f"sip.{domain}"

    def _machine(self, machine: Element, role: Role) -> NewServer:
        sides = {one.get("InterfaceSide", ""): one.get("IPAddress", "") for one in self._all("NetInterface", machine)}
        inside = sides.get("Primary", "") or sides.get("Internal", "")
        outside = sides.get("External", "") if role is Role.EDGE else ""
        return NewServer(machine.get("Fqdn", "").lower(), address=_address(inside), outside=_address(outside))

    def _next_hop(self, key: ClusterKey, role: str) -> str:
        """Give the front-end pool on which the service of a cluster depends; empty if it is not known."""
        for service in self._services.get((key, role), ()):
            for target in self._all("DependsOn/Dependency/ServiceId", service):
                cluster = self._clusters.get(self._installed.get(_service_key(target), ("", "")))
                if target.get("RoleName") == "Registrar" and cluster is not None:
                    return cluster.get("Fqdn", "").lower()
        return ""


def _cluster_key(cluster: Element) -> ClusterKey:
    found = cluster.find(f"{{{NAMESPACE}}}ClusterId")
    return ("", cluster.get("Fqdn", "")) if found is None else (found.get("SiteId", ""), found.get("Number", ""))


def _service_key(identity: Element) -> ServiceKey:
    return identity.get("SiteId", ""), identity.get("RoleName", ""), identity.get("Instance", "")


def _settings(service: Element) -> Iterator[Element]:
    return (one for one in service.iter() if one.tag.endswith("}RegistrarService"))


def _address(text: str) -> str:
    return text if text not in NO_ADDRESS and is_ip(text) else ""
