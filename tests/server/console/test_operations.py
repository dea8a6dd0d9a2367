"""The table of operations: each needs its role, and has a command behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from sipmesh.server.admin.replies import REFUSED_MESSAGES
from sipmesh.server.console.access.operator import Operator
from sipmesh.server.console.operations import TABLE, NotAllowedError, Operation, Operations, operation_of
from sipmesh.server.console.parameters import ToPublish
from sipmesh.topology.document.operators.console_role import ConsoleRole
from support.running import on_loop, until


async def answer(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    return asked


OPERATIONS = Operations({operation.name: answer for operation in TABLE})
PUBLISH = operation_of("publish")


def test_names_and_paths_are_different_and_each_change_needs_more_than_a_viewer() -> None:
    assert len({operation.name for operation in TABLE}) == len({operation.path for operation in TABLE}) == len(TABLE)
    reads = {operation.name for operation in TABLE if not operation.changes}
    assert {operation.name for operation in TABLE if operation.role is ConsoleRole.VIEWER} == reads - MESSAGES


MESSAGES = {REFUSED_MESSAGES.name}
"""What shows messages of users is read by operators, as a trace is."""


@pytest.mark.parametrize("operation", TABLE, ids=lambda operation: operation.name)
def test_role_below_the_needed_one_is_refused(operation: Operation) -> None:
    given = operation.given.model_construct()
    for role in ConsoleRole:
        run = OPERATIONS.run(operation, Operator("ada", role), given)
        if role.may(operation.role):
            assert asyncio.run(run)["who"] == "ada"
        else:
            with pytest.raises(NotAllowedError, match=f"needs the role {operation.role}"):
                asyncio.run(run)


def test_to_force_needs_a_security_officer() -> None:
    forced = ToPublish(why="because", base=1, digest="d", force=True)
    with pytest.raises(NotAllowedError, match="needs the role security-officer"):
        asyncio.run(OPERATIONS.run(PUBLISH, Operator("otto", ConsoleRole.OPERATOR), forced))
    done = asyncio.run(OPERATIONS.run(PUBLISH, Operator("sona", ConsoleRole.SECURITY_OFFICER), forced))
    assert (done["force"], done["who"]) == (True, "sona")


def test_unknown_operation_is_an_error() -> None:
    with pytest.raises(KeyError):
        operation_of("format-disk")


@on_loop
async def test_operator_reads_one_thing_at_a_time_and_changes_and_others_do_not_wait() -> None:
    """A viewer that asks for thirty plans holds up neither a revocation nor the reads of others."""
    running, release = list[str](), asyncio.Event()

    async def slow(asked: Mapping[str, Any]) -> None:
        running.append(str(asked["who"]))
        await release.wait()

    operations = Operations(dict.fromkeys(("plan", "block"), slow))
    vera, sona = Operator("vera", ConsoleRole.VIEWER), Operator("sona", ConsoleRole.SECURITY_OFFICER)
    asking = [asyncio.create_task(operations.read("plan", vera, {})) for _ in range(30)]
    asking.append(asyncio.create_task(operations.read("plan", sona, {})))
    asking.append(asyncio.create_task(operations.read("block", sona, {"name": "evil.test"})))
    await until(lambda: len(running) == 3)
    assert sorted(running) == ["sona", "sona", "vera"]
    release.set()
    await asyncio.gather(*asking)
    assert running.count("vera") == 30
