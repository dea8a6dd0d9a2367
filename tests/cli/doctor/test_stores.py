"""Whether the stores that the topology names can be reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.cli.doctor.check import State
from sipmesh.cli.doctor.stores import database_checks, file_checks, valkey_checks
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import Problem
from sipmesh.server.admin.replies import FilesReply
from sipmesh.topology.document.parts.files import Files
from sipmesh.topology.view import view
from support.network import EDGE, FE1
from support.valkey_server import ValkeyServer


def test_what_the_topology_check_finds_in_a_database_is_a_warning() -> None:
    [check] = database_checks([Problem(Path("topology.yaml"), 0, "storage.users", "cannot be used", "repair it")])
    assert (check.state, check.told, check.remedy) == (State.WARNING, "cannot be used", "repair it")


def test_room_of_the_files_is_shown_with_a_warning_before_it_is_full() -> None:
    limits = Files(total_mb=1_000, pool_mb=1_000)
    [little], [much] = (
        file_checks(limits, [FilesReply(1, 12_300_000)]),
        file_checks(limits, [FilesReply(50, 900_000_000)]),
    )
    assert (little.state, little.told) == (State.GOOD, "the files of users have 12 of 1,000 MB: 1 file")
    assert (much.state, "files.total_mb" in much.remedy) == (State.WARNING, True)
    assert [*file_checks(None, [FilesReply(0, 0)])] == [*file_checks(limits, [])] == []


@pytest.mark.peer("valkey")
def test_store_that_does_not_answer_is_a_fault_until_it_is_started(example: Organisation, valkey: ValkeyServer) -> None:
    """The remedy is followed. An edge stores no registrations, and is not asked."""
    example.document["storage"] = {"bindings": f"valkey://127.0.0.1:{valkey.port}"}
    example.write()
    views = {"pool1": view(example.load(), FE1), "edges": view(example.load(), EDGE)}
    [up] = valkey_checks(views)
    valkey.kill()
    [down] = valkey_checks(views)
    valkey.start()
    [again] = valkey_checks(views)
    assert [check.state for check in (up, down, again)] == [State.GOOD, State.BAD, State.GOOD]
    assert f"127.0.0.1:{valkey.port}" in down.told
