"""Checks of a draft: whether its user database opens, and what needs a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sipmesh.database.shared import SharedDatabase
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.management.publishing.publish_checks import (
    from_a_restart,
    listen_elsewhere,
    must_keep_name,
    must_open,
    must_share,
    users_left_behind,
)
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.document.load import Loaded
from support.managed import MGMT, build_managed
from support.network import FE1, FE2, FE3, FE4, POOL, POOL2, Network
from support.valkey_network import pool_entry

TLS = "?sslmode=verify-full&sslrootcert=ca/root.pem"


def with_users(example: Organisation, url: str) -> Loaded:
    """The draft with another user database."""
    example.document["storage"] = {"users": url}
    example.write()
    return example.load()


def test_database_that_opens_or_can_be_created_is_accepted(example: Organisation) -> None:
    must_open(example.load())
    must_open(with_users(example, "sqlite:///new.db"))
    assert not (example.folder / "new.db").exists()


@pytest.mark.parametrize("url", ["sqlite:///state/ca.db", "sqlite:///text.db"])
def test_database_that_does_not_open_is_refused_unless_it_is_in_force(example: Organisation, url: str) -> None:
    (example.folder / "state" / "ca.db").mkdir(parents=True)
    (example.folder / "text.db").write_text("no database\n" * 100)
    (example.folder / "text.db").chmod(0o600)
    new = with_users(example, url)
    with pytest.raises(OperatorError, match="user database of the draft cannot be used"):
        must_open(new)
    must_open(new, new)


def test_organisation_keeps_its_name(example: Organisation) -> None:
    before = example.load()
    must_keep_name(before, before)
    example.document["organisation"] = "Other"
    example.write()
    with pytest.raises(
        OperatorError, match=r"cannot change its name\n.*is Other, and every server belongs to example.test"
    ):
        must_keep_name(example.load(), before)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("metrics", 9105, "serve its metrics"),
        ("metrics_tls", True, "serve its metrics"),
        ("publish_lists", 9106, "publish CRLs"),
    ],
)
def test_server_with_another_port_for_metrics_or_crls_needs_a_restart(
    tmp_path: Path, key: str, value: object, told: str
) -> None:
    """A port of metrics that is open without TLS stays so until then."""
    example = build_managed(tmp_path / "e")
    viewer = {"name": "vera", "role": "viewer", "token_sha256": "a" * 64}
    example.document["console"] = {"listen": "127.0.0.1:8444", "operators": [viewer]}
    pools: Any = example.document["pools"]
    server = pools[0]["servers"][0]
    server["metrics"] = 9104
    example.write()
    before = example.load()
    server[key] = value
    example.write()
    assert list(from_a_restart(before, example.load())) == [f"{MGMT} must be restarted to {told} as published"]


def test_server_with_a_new_address_needs_a_restart(example: Organisation) -> None:
    before = example.load()
    assert list(from_a_restart(before, before)) == []
    servers = example.document["pools"][0]["servers"]  # type: ignore[index]  # as written by build_example
    servers[0]["ports"]["client"] = 5999
    example.write()
    [told] = from_a_restart(before, example.load())
    assert FE1 in told
    assert "5999" in told
    assert FE2 not in told
    assert "(server)" not in told  # this port stays
    assert listen_elsewhere(before, example.load()) == [FE1]
    assert "to stop listening on" not in told


def test_server_that_listens_on_less_has_its_loss_named_in_the_plan(example: Organisation) -> None:
    """The same change the other way round begins one port, and names that one."""
    without = example.load()
    example.document["websocket"] = {}
    servers = example.document["pools"][0]["servers"]  # type: ignore[index]  # as written by build_example
    for number, server in enumerate(servers):
        server["ports"]["websocket"] = 5990 + number
    example.write()
    [told, *_] = from_a_restart(example.load(), without)
    assert told.startswith(f"{FE1} must be restarted to stop listening on ")
    assert "(client)" in told
    [twin, *_] = from_a_restart(without, example.load())
    assert twin.startswith(f"{FE1} must be restarted to listen on its new addresses: ")


@pytest.mark.parametrize(
    ("storage", "told"),
    [
        (
            {"messages": "sqlite:///other.db"},
            f"{FE1}, {FE2} must be restarted to use the new database of stored messages",
        ),
        ({"bindings": "state/other.db"}, f"{FE1}, {FE2} must be restarted to use the new store of registrations"),
        ({"users": "sqlite:///other.db"}, f"{FE1}, {FE2} must be restarted to use the new database of users"),
        ({"users": "sqlite:///users.db"}, ""),
    ],
)
def test_new_store_needs_a_restart_of_who_uses_it(example: Organisation, storage: dict[str, str], told: str) -> None:
    before = example.load()
    example.document["storage"] = storage
    example.write()
    found = list(from_a_restart(before, example.load()))
    assert [line.startswith(told) for line in found] == ([True] if told else [])
    assert listen_elsewhere(before, example.load()) == []


@pytest.mark.parametrize(
    ("before", "after", "restarted"),
    [
        ({}, {POOL2: "state/two.db"}, f"{FE3}, {FE4}"),
        ({POOL2: "state/two.db"}, {}, f"{FE3}, {FE4}"),
        ({}, {POOL2: "state/bindings.db"}, ""),
        ({POOL2: "state/two.db"}, {POOL2: "state/two.db", "": "state/other.db"}, f"{FE1}, {FE2}"),
    ],
)
def test_store_of_a_pool_needs_a_restart_of_its_own_servers_only(
    two_pools: Network, before: dict[str, str], after: dict[str, str], restarted: str
) -> None:
    [organisation] = two_pools.organisations
    one, other = with_stores(organisation, before), with_stores(organisation, after)
    told = list(from_a_restart(one, other))
    line = f"{restarted} must be restarted to use the new store of registrations, one after the other"
    assert told == ([line] if restarted else [])


def with_stores(organisation: Organisation, stores: dict[str, str]) -> Loaded:
    """Give pools stores of their own, "" the general one; gives the topology."""
    pools = organisation.document["pools"]
    assert isinstance(pools, list)
    for pool in pools:
        pool.pop("storage", None)
        if pool["name"] in stores:
            pool["storage"] = {"bindings": stores[pool["name"]]}
    organisation.document["storage"] = {"bindings": stores.get("", "state/bindings.db")}
    organisation.write()
    return organisation.load()


def test_server_in_another_pool_needs_a_restart(two_pools: Network) -> None:
    """Its rows would be among those of the old pool, where no server of the new one looks."""
    [organisation] = two_pools.organisations
    before = organisation.load()
    first, second = (pool_entry(organisation, pool) for pool in (POOL, POOL2))
    first["servers"], moved = first["servers"][:1], first["servers"][1]
    second["servers"].append(moved)
    organisation.write()
    told = [line for line in from_a_restart(before, organisation.load()) if "must be restarted" in line]
    assert told == [f"{FE2} must be restarted to use the keys and registrations of {POOL2}"]


def test_new_number_of_workers_needs_a_restart(example: Organisation) -> None:
    before = example.load()
    servers = example.document["pools"][0]["servers"]  # type: ignore[index]  # as written by build_example
    servers[1]["workers"] = 2
    example.write()
    assert list(from_a_restart(before, example.load())) == [f"{FE2} must be restarted to use its new number of workers"]


def test_users_that_the_new_database_lacks_are_named_with_the_command(example: Organisation) -> None:
    """Without this, an organisation that moves to an empty database has no user after the next start of management."""
    before = example.load()
    new = with_users(example, "sqlite:///other.db")
    [told] = users_left_behind(before, new)
    assert "3 of 3 users are not in the new one" in told
    assert f"sipmesh user import users.db --into sqlite:///{example.folder / 'other.db'}" in told
    one, *others = aors_in(before)
    add(new, one)
    [told] = users_left_behind(before, new)
    assert "2 of 3 users" in told
    add(new, *others)
    assert list(users_left_behind(before, new)) == []
    assert list(users_left_behind(new, new)) == []


def aors_in(loaded: Loaded) -> list[str]:
    """Return the users of a topology."""
    users = Users(loaded.users_url)
    found = [user.aor for user in users.list()]
    users.close()
    return found


def add(loaded: Loaded, *aors: str) -> None:
    """Add users to the user database of a topology."""
    users = Users(loaded.users_url)
    for aor in aors:
        users.add(aor, "secret-of-a-user")
    users.close()


def test_draft_must_name_the_database_that_this_host_uses(example: Organisation) -> None:
    """User, password and options are those of a host."""
    shared = SharedDatabase(
        "postgresql+psycopg://sipmesh:secret@db.example.test/m?sslmode=verify-full", "mgmt.example.test"
    )
    must_share(example.load(), None)
    must_share(example.load(), shared)
    for url, uses in (("//db.example.test/m", shared), ("//me@db.example.test:5432/m", shared)):
        example.document["storage"] = {"management": f"postgresql+psycopg:{url}{TLS}"}
        example.write()
        must_share(example.load(), uses)
        with pytest.raises(OperatorError, match="move the data there first"):
            must_share(example.load(), None)
    for url in ("//other.example.test/m", "//db.example.test/n", "//db.example.test:5433/m"):
        example.document["storage"] = {"management": f"postgresql+psycopg:{url}{TLS}"}
        example.write()
        with pytest.raises(OperatorError, match=r"storage\.management") as refused:
            must_share(example.load(), shared)
        assert "secret" not in str(refused.value)
