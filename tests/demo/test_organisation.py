"""An organisation that the demo builds can be loaded by a server."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.sip.digest import Algorithm
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

FE1, EDGE, MGMT = "fe1.o.test", "edge1.o.test", "mgmt.o.test"
PLANS = (
    PoolPlan("mgmt.o.test", Role.MANAGEMENT, (MGMT,)),
    PoolPlan("pool1.o.test", Role.FRONT_END, (FE1,)),
    PoolPlan("sip.o.test", Role.EDGE, (EDGE,), {"next_hop": "pool1.o.test"}),
)


@pytest.fixture(name="built")
def _built(tmp_path: Path) -> Organisation:
    organisation = Organisation.build(tmp_path / "o", "o.test", PLANS)
    organisation.write()
    return organisation


def test_topology_has_each_server_with_the_ports_of_its_role(built: Organisation) -> None:
    assert {name: set(ports) for name, ports in built.ports.items()} == {
        MGMT: {LinkKind.SERVER},
        FE1: {LinkKind.CLIENT, LinkKind.SERVER},
        EDGE: {LinkKind.SERVER, LinkKind.PARTNER},
    }
    loaded = built.load()
    assert [pool.name for pool in loaded.topology.pools] == [plan.name for plan in PLANS]
    assert built.address(FE1, LinkKind.CLIENT) == (built.host, built.ports[FE1][LinkKind.CLIENT])
    assert loaded.faults == ()


def test_every_server_gets_a_certificate_and_management_a_signer(built: Organisation) -> None:
    built.issue_all()
    for name in (MGMT, FE1, EDGE, f"{MGMT}.signer"):
        chain, key = built.credentials(name)
        leaf = x509.load_pem_x509_certificates(chain.read_bytes())[0]
        leaf.verify_directly_issued_by(built.ca.issuing)
        assert key.stat().st_mode & 0o777 == 0o600
    assert not built.credentials(f"{FE1}.signer")[0].exists()
    with pytest.raises(ValueError, match="fe9"):
        built.issue("fe9.o.test")


def test_certificates_are_issued_at_the_instant_of_the_organisation(built: Organisation) -> None:
    built.issued_at = datetime.now(UTC).replace(microsecond=0)
    built.issue(FE1)
    leaf = x509.load_pem_x509_certificates(built.credentials(FE1)[0].read_bytes())[0]
    assert leaf.not_valid_before_utc <= built.issued_at < leaf.not_valid_after_utc


def test_users_have_their_algorithms_and_their_home(built: Organisation) -> None:
    built.add_users("alice")
    built.add_users("carol", algorithms=(Algorithm.MD5,), pool="pool1.o.test")
    users = Users(built.load().users_url)
    found = {user.aor: (user.algorithms, user.pool or "") for user in users.list()}
    users.close()
    assert set(found["sip:alice@o.test"][0]) == {Algorithm.SHA_256, Algorithm.MD5}
    assert (set(found["sip:carol@o.test"][0]), found["sip:carol@o.test"][1]) == ({Algorithm.MD5}, "pool1.o.test")


def test_partner_has_what_another_organisation_writes_of_it(built: Organisation, tmp_path: Path) -> None:
    other = Organisation.build(tmp_path / "p", "p.test", (PoolPlan("sip.p.test", Role.FRONT_END, ("fe1.p.test",)),))
    built.federate("sip.o.test", [other.as_partner(edge="sip.p.test:5061")], blocked=("evil.test",))
    built.write()
    federation = built.load().topology.federation
    [partner] = federation.partners
    assert (partner.domains, partner.edge, federation.blocked) == (("p.test",), "sip.p.test:5061", ("evil.test",))
    assert partner.anchors == ("partners/p.test/root.pem",)
    assert (built.folder / partner.anchors[0]).resolve() == other.root.resolve()
