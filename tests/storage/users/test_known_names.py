"""What a rule may name: users of ours by each name, applications, and people elsewhere, but no name that is free."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sipmesh.errors import OperatorError
from sipmesh.routing.registrar.address_of_record import read_address
from sipmesh.storage.users.known_names import is_of_application, may_call, must_be_known, named_watcher
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.document.model import Topology
from support.network import BOT, build_example

BOB, ECHO, FREE = "sip:bob@example.test", "sip:echo@example.test", "sip:bobb@example.test"


def topology_of(folder: Path, **application: Sequence[str]) -> Topology:
    """An organisation with users, whose application has further keys."""
    example = build_example(folder)
    pools: Any = example.document["pools"]
    next(pool for pool in pools if pool["name"] == BOT).update(application)
    example.write()
    return example.load().topology


@pytest.fixture(name="known")
def _known(url: str) -> Iterator[Users]:
    users = Users(url)
    users.add(BOB, "bob-secret")
    users.add_alias(BOB, "chief")
    users.add_alias(BOB, "+4930123")
    yield users
    users.close()


def test_watcher_is_a_user_by_each_name_or_a_person_elsewhere(known: Users, tmp_path: Path) -> None:
    topology = topology_of(tmp_path, sip_addresses=["echo@example.test"])
    wanted = dict.fromkeys((BOB, "sip:Bob@example.test", "sip:chief@example.test", "sip:+4930123@example.test"), BOB)
    wanted |= {name: name for name in ("*", "@example.test", "sip:erin@partner.test", ECHO)}
    with known.reading() as db:
        assert {name: named_watcher(db, name, topology=topology) for name in wanted} == wanted
        with pytest.raises(
            OperatorError, match=r"bobb@example\.test is neither a user nor an address of an application"
        ):
            named_watcher(db, FREE, topology=topology)
        assert named_watcher(db, FREE, topology=topology, is_new=False) == FREE


def test_application_that_speaks_for_a_domain_may_use_each_name_in_it(tmp_path: Path) -> None:
    topology = topology_of(tmp_path, speaks_for=["example.test"])
    may_call(topology, read_address(FREE))
    assert not is_of_application(topology, read_address(FREE))
    with pytest.raises(OperatorError):
        must_be_known(topology, read_address(FREE))
