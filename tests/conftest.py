from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sipmesh.demo.organisation import Organisation, PoolPlan
from sipmesh.storage.location_service import bindings
from sipmesh.trust.role import Role
from support.managed import Managed, build_managed, second_pool
from support.model_ports import model_port
from support.network import (
    BOT,
    EDGE,
    EDGE2,
    EDGES,
    FE1,
    FE2,
    FE3,
    FE4,
    PARTNER_EDGE,
    PARTNER_EDGES,
    PARTNER_FE,
    POOL,
    Network,
    build_example,
    build_partner,
    build_two_edges,
    build_two_pools,
    copied,
    copied_with_ports,
    federate,
    federate_by_srv,
    let_remote_users_in,
)
from support.trunks import PBX, PROVIDER, PlayedTrunk, build_models

if TYPE_CHECKING:
    from client.home import Certificates
    from support.postgres import Cluster
    from support.valkey_server import ValkeyServer


RESERVE = {name: getattr(bindings, name) for name in ("ROOM", "LOG_ROOM")}
"""The octets that a server reserves on the disk for registrations."""


@pytest.fixture(autouse=True, scope="session")
def _no_reserve() -> Iterator[None]:
    """Servers in this process reserve no room on the disk: to write it is a sixth of their start.

    Servers in processes of their own do, and those of tests with the fixture `reserve`.
    """
    with pytest.MonkeyPatch.context() as settings:
        for name in RESERVE:
            settings.setattr(bindings, name, 0)
        yield


@pytest.fixture(name="reserve")
def _reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the servers of a test reserve room on the disk for registrations."""
    for name, octets in RESERVE.items():
        monkeypatch.setattr(bindings, name, octets)


@pytest.fixture(name="cluster", scope="session")
def _cluster() -> Iterator[Cluster]:
    """A PostgreSQL server, one for each process that tests."""
    from support.postgres import Cluster

    with Cluster() as cluster:
        yield cluster


@pytest.fixture(name="postgres_url")
def _postgres_url(cluster: Cluster) -> Iterator[str]:
    """The URL of an empty database in PostgreSQL."""
    with cluster.database() as url:
        yield url


def _model(build: Callable[[Path], Organisation], folders: pytest.TempPathFactory) -> Organisation:
    """Build an organisation that is copied with its ports (`support.model_ports`)."""
    return copied(build(folders.mktemp("built")), folders.mktemp("model"), model_port)


@pytest.fixture(name="trunk_models", scope="session")
def _trunk_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Organisation]:
    """example.test with a gateway, a provider and a PBX, by their names; `with_trunks` copies the first for each test."""
    return build_models(tmp_path_factory.mktemp("trunks"))


@pytest.fixture(name="provider")
def _provider(trunk_models: dict[str, Organisation]) -> PlayedTrunk:
    """A provider of telephone numbers, which is started by ``async with``."""
    return PlayedTrunk(PROVIDER, trunk_models[PROVIDER])


@pytest.fixture(name="pbx")
def _pbx(trunk_models: dict[str, Organisation]) -> PlayedTrunk:
    """A PBX that has the numbers from +4989 on."""
    return PlayedTrunk(PBX, trunk_models[PBX])


@pytest.fixture(name="example_model", scope="session")
def _example_model(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    """example.test as it is copied for each test: a CA, certificates and users cost a third of a second."""
    return _model(build_example, tmp_path_factory)


@pytest.fixture(name="partner_model", scope="session")
def _partner_model(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    return _model(build_partner, tmp_path_factory)


@pytest.fixture(name="example")
def _example(example_model: Organisation, tmp_path: Path) -> Organisation:
    """example.test in a folder of its own; nothing runs."""
    return copied_with_ports(example_model, tmp_path / "e")


@pytest.fixture(name="pool")
def _pool(example: Organisation) -> Network:
    """The two front ends of example.test, started by ``async with``."""
    return Network((example,), starts=(FE1, FE2))


@pytest.fixture(name="home")
def _home(example: Organisation) -> Network:
    """One front end of example.test."""
    return Network((example,), starts=(FE1,))


@pytest.fixture(name="two_pools_model", scope="session")
def _two_pools_model(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    return _model(build_two_pools, tmp_path_factory)


@pytest.fixture(name="two_pools")
def _two_pools(two_pools_model: Organisation, tmp_path: Path) -> Network:
    """Two pools of front ends in one organisation, two servers each."""
    return Network((copied_with_ports(two_pools_model, tmp_path / "e"),), starts=(FE1, FE2, FE3, FE4))


@pytest.fixture(name="federated_pools")
def _federated_pools(two_pools_model: Organisation, partner_model: Organisation, tmp_path: Path) -> Network:
    """The two pools behind an edge, and partner.test."""
    example, partner = (
        copied_with_ports(two_pools_model, tmp_path / "e"),
        copied_with_ports(partner_model, tmp_path / "p"),
    )
    federate(example, partner)
    network = Network((example, partner), starts=(FE1, FE2, FE3, FE4, EDGE, PARTNER_FE, PARTNER_EDGE))
    for name in (EDGES, PARTNER_EDGES):
        network.dns.records[name, "A"] = ["127.0.0.1"]
    return network


@pytest.fixture(name="remote")
def _remote(federated_pools: Network) -> Network:
    """The two pools, behind an edge that has a client port for remote users; and partner.test."""
    let_remote_users_in(federated_pools.organisations[0])
    return federated_pools


@pytest.fixture(name="federation")
def _federation(example: Organisation, partner_model: Organisation, tmp_path: Path) -> Network:
    """example.test and partner.test, who know each other by `edge:`."""
    partner = copied_with_ports(partner_model, tmp_path / "p")
    federate(example, partner)
    network = Network((example, partner), starts=(FE1, FE2, EDGE, PARTNER_FE, PARTNER_EDGE))
    for name in (EDGES, PARTNER_EDGES):
        network.dns.records[name, "A"] = ["127.0.0.1"]
    return network


@pytest.fixture(name="two_edges_model", scope="session")
def _two_edges_model(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    return _model(build_two_edges, tmp_path_factory)


@pytest.fixture(name="two_edges")
def _two_edges(two_edges_model: Organisation, partner_model: Organisation, tmp_path: Path) -> Network:
    """example.test behind two edges of one pool, and partner.test, which prefers the first."""
    example, partner = (
        copied_with_ports(two_edges_model, tmp_path / "e"),
        copied_with_ports(partner_model, tmp_path / "p"),
    )
    records = federate_by_srv(example, partner)
    network = Network((example, partner), starts=(FE1, EDGE, EDGE2, PARTNER_FE, PARTNER_EDGE))
    network.dns.records.update(records)
    return network


@pytest.fixture(name="managed_model", scope="session")
def _managed_model(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    application = PoolPlan(BOT, Role.APPLICATION, (BOT,), {"next_hop": POOL})
    return build_managed(tmp_path_factory.mktemp("model") / "m", second_pool(), application)


@pytest.fixture(name="published_model", scope="session")
def _published_model(managed_model: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    """The same, at version 1. Its copies have the same ports (`support.model_ports`), so that the version fits them."""
    folder = tmp_path_factory.mktemp("published")
    return Managed(copied(managed_model, folder / "m", model_port), folder).organisation


@pytest.fixture(name="managed")
def _managed(published_model: Organisation, tmp_path: Path) -> Managed:
    """example.test with management, an edge, an application and two pools of front ends, at version 1; nothing runs."""
    return Managed(copied_with_ports(published_model, tmp_path / "m"), tmp_path)


@pytest.fixture(name="certificates", scope="session")
def _certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The certificate of the home server of example.test: its domain and its own name."""
    from client.home import Certificates

    return Certificates.make(tmp_path_factory.mktemp("home"), "home.example.test", "example.test")


@pytest.fixture(name="valkey")
def _valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A Valkey of this test, without a login."""
    from support.valkey_server import ValkeyServer

    with ValkeyServer(tmp_path / "valkey") as server:
        yield server
