"""An export of Skype for Business: written here by its public schema, with names of our own."""

from __future__ import annotations

import pytest

from sipmesh.errors import OperatorError
from sipmesh.topology.builder.importing.skype_for_business import BOUNDS, NAMESPACE, read_topology
from sipmesh.trust.role import Role


def cluster(site: int, number: int, name: str, *machines: tuple[str, str, str]) -> str:
    inner = "".join(
        f'<Machine OrdinalInCluster="1" Fqdn="{fqdn}"><NetInterface InterfaceSide="Primary" IPAddress="{inside}"/>'
        f'<NetInterface InterfaceSide="External" IPAddress="{outside}"/></Machine>'
        for fqdn, inside, outside in machines
    )
    return f'<Cluster Fqdn="{name}"><ClusterId SiteId="{site}" Number="{number}"/>{inner}</Cluster>'


def service(role: str, site: int, instance: int, number: int, *, on: str = "", director: bool = False) -> str:
    depends = f"<Dependency>{on}</Dependency>" if on else ""
    setting = '<x:RegistrarService xmlns:x="urn:x" IsDirector="true"/>' if director else ""
    return (
        f'<Service><ServiceId SiteId="{site}" RoleName="{role}" Instance="{instance}"/><DependsOn>{depends}</DependsOn>'
        f'<InstalledOn><ClusterId SiteId="{site}" Number="{number}"/></InstalledOn>{setting}</Service>'
    )


REGISTRAR = '<ServiceId SiteId="1" RoleName="Registrar" Instance="1"/>'
EXPORT = f"""\
<?xml version="1.0" encoding="utf-8"?>
<Topology xmlns="{NAMESPACE}" Signature="0">
  <InternalDomains AllowAllDomains="true" DefaultDomain="contoso.test">
    <InternalDomain Name="contoso.test" AllowSubDomains="false"/>
    <InternalDomain Name="fabrikam.test" AllowSubDomains="true"/>
  </InternalDomains>
  <Sites>
    <CentralSite SiteId="1"><Name>Berlin Mitte</Name></CentralSite>
    <CentralSite SiteId="2"><Name>東京</Name></CentralSite>
  </Sites>
  <Clusters>
    {cluster(1, 1, "Pool.ad.contoso.test", ("fe1.ad.contoso.test", "192.0.2.1", ""))}
    {cluster(1, 2, "edge.ad.contoso.test", ("e1.ad.contoso.test", "::", "198.51.100.1"))}
    {cluster(2, 1, "app.ad.contoso.test", ("app.ad.contoso.test", "x", ""))}
    {cluster(1, 3, "dir.ad.contoso.test", ("dir.ad.contoso.test", "192.0.2.9", ""))}
    {cluster(1, 4, "sql.ad.contoso.test", ("sql.ad.contoso.test", "192.0.2.8", ""))}
  </Clusters>
  <Services>
    {service("Registrar", 1, 1, 1)}{service("UserServices", 1, 1, 1)}
    {service("EdgeServer", 1, 1, 2, on=REGISTRAR)}
    {service("ExternalServer", 2, 1, 1, on=REGISTRAR)}
    {service("Registrar", 1, 2, 3, director=True)}
  </Services>
</Topology>
"""


def test_pools_servers_domains_and_sites_are_taken() -> None:
    made = read_topology(EXPORT.encode())
    assert (made.domains, made.sites) == (["contoso.test", "fabrikam.test"], ["berlin-mitte"])
    front, edge, application = made.pools
    assert (front.role, front.name, front.site) == (Role.FRONT_END, "pool.ad.contoso.test", "berlin-mitte")
    assert [(one.name, one.address, one.outside) for one in front.servers] == [("fe1.ad.contoso.test", "192.0.2.1", "")]
    assert (edge.role, edge.name, edge.internal_name) == (Role.EDGE, "sip.contoso.test", "edge.ad.contoso.test")
    assert [(one.address, one.outside) for one in edge.servers] == [("", "198.51.100.1")]
    assert (application.role, application.site) == (Role.APPLICATION, "")
    assert edge.next_hop == application.next_hop == "pool.ad.contoso.test"


@pytest.mark.parametrize(
    "reason",
    [
        "AllowAllDomains: each SIP domain has to be named",
        "subdomains of fabrikam.test: each SIP domain has to be named",
        "UserServices on pool.ad.contoso.test: this role has no counterpart",
        "Director on dir.ad.contoso.test: this role has no counterpart",
        "cluster sql.ad.contoso.test: it has no Registrar, edge or trusted application",
        "site '東京': its name has no letter or digit of ASCII",
    ],
)
def test_what_has_no_counterpart_is_named(reason: str) -> None:
    assert reason.lower() in [line.lower() for line in read_topology(EXPORT.encode()).left]


def test_topology_inside_another_document_is_found() -> None:
    inner = EXPORT.partition("?>\n")[2]
    wrapped = f'<TopologyBuilder xmlns="urn:other"><NewTopology>{inner}</NewTopology></TopologyBuilder>'
    assert len(read_topology(wrapped.encode()).pools) == 3


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not xml",
        b"<Topology/>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
        b"\xff\xfe\x00",
    ],
)
def test_other_documents_and_entities_are_refused(content: bytes) -> None:
    with pytest.raises(OperatorError, match="Get-CsTopology"):
        read_topology(content)


@pytest.mark.parametrize(("length", "is_refused"), [(BOUNDS.namespace, False), (BOUNDS.namespace + 1, True)])
def test_namespace_that_fills_the_memory_is_refused(length: int, *, is_refused: bool) -> None:
    """The parser repeats it in the name of each attribute: one megabyte would take gigabytes."""
    text = f'<a xmlns:p="{"n" * length}"><b p:x="1" p:y="1"/></a>'
    with pytest.raises(OperatorError, match="Get-CsTopology") as refused:
        read_topology(text.encode())
    assert ("a namespace with more than 256 characters" in refused.value.message) is is_refused


def test_number_of_servers_is_bounded() -> None:
    machines = [(f"m{n}.contoso.test", "", "") for n in range(2_001)]
    text = f'<Topology xmlns="{NAMESPACE}"><Clusters>{cluster(1, 1, "p.contoso.test", *machines)}</Clusters>'
    text += f"<Services>{service('Registrar', 1, 1, 1)}</Services></Topology>"
    with pytest.raises(OperatorError, match="more than 2000 servers"):
        read_topology(text.encode())


@pytest.mark.parametrize(("clusters", "is_refused"), [(2_000, False), (2_001, True)])
def test_number_of_clusters_is_bounded(clusters: int, *, is_refused: bool) -> None:
    """Each is looked up among the services: without a bound, the time rose with the square of the file."""
    text = f'<Topology xmlns="{NAMESPACE}"><Clusters>'
    text += "".join(cluster(1, n, f"p{n}.contoso.test") for n in range(clusters))
    text += "</Clusters></Topology>"
    if is_refused:
        with pytest.raises(OperatorError, match="more than 2000 clusters"):
            read_topology(text.encode())
    else:
        assert read_topology(text.encode()).pools == []
