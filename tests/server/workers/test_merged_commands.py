"""The replies of a server of several processes: here its workers are two servers of a pool, as far as replies go."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import pytest

from server.admin.test_commands import operator_of, parts_of
from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.server.admin.replies import WorkerReply, WorkerState
from sipmesh.server.control_socket import encode
from sipmesh.server.workers.merged_commands import MergedCommands
from sipmesh.server.workers.supervisor import Supervisor
from support.network import FE1, FE2, Network
from support.running import on_loop


class Workers:
    """Two workers, which answer as the two servers of *network* do; *closed* are links that they have closed."""

    def __init__(self, network: Network) -> None:
        self.commands = {1: operator_of(network, FE1).commands(), 2: operator_of(network, FE2).commands()}
        self.closed = ["a-link-of-a-worker"]
        self.waited = 0

    async def ask_all(self, command: str, **given: Any) -> Mapping[int, Any]:
        """Ask both; raises `OperatorError` if both refuse."""
        found, wrong = dict[int, Any](), None
        for number, commands in self.commands.items():
            try:
                found[number] = json.loads(encode(await commands[command](given)))
            except SipmeshError as refusal:
                wrong = OperatorError(str(refusal))
        if wrong is not None and not found:
            raise wrong
        return found

    async def tell_all(self, command: str, **given: Any) -> Mapping[int, Any]:
        """Tell both."""
        return await self.ask_all(command, **given)

    def workers(self) -> list[WorkerReply]:
        """Say that the second was replaced once, and that a third one is starting."""
        starting = WorkerReply(3, 33, 0.1, 0, 4, WorkerState.STARTING, "it did not answer, and was killed")
        return [WorkerReply(1, 11, 9.0, 0, 1), WorkerReply(2, 22, 9.0, 0, 2), starting]

    async def quiet(self) -> None:
        """Count who waits until every worker has followed."""
        self.waited += 1

    def take_closed(self) -> list[str]:
        """Give the links that were closed."""
        closed, self.closed = self.closed, []
        return closed


def merged(network: Network) -> tuple[MergedCommands, Workers]:
    """The commands of a server whose own process is the third server of the network."""
    workers = Workers(network)
    return MergedCommands(*parts_of(network, FE1), cast("Supervisor", workers)), workers


@on_loop
async def test_status_is_that_of_the_server_with_a_line_for_each_worker(pool: Network) -> None:
    async with pool:
        await pool.phone("alice", FE1)
        await pool.phone("bob", FE2)
        commands, _ = merged(pool)
        status = await commands.status({})
        assert (status.server, status.links) == (FE1, 3)
        told = [(worker.number, worker.links, worker.starts, worker.state) for worker in status.workers]
        assert told == [(1, 1, 1, "serving"), (2, 1, 2, "serving"), (3, 0, 4, "starting")]
        accepted = {listener.kind: listener.accepted for listener in status.listeners}
        assert accepted["client"] == 3


@on_loop
async def test_links_registrations_and_logins_of_all_processes_are_joined(pool: Network) -> None:
    async with pool:
        await pool.phone("alice", FE1)
        await pool.phone("bob", FE2)
        commands, _ = merged(pool)
        assert len(await commands.links({})) == 3
        assert len(await commands.links({"most": 1})) == 1
        first = await commands.registrations({})
        assert ([row.user for row in first.bindings], first.registers) == (["alice@example.test"], True)
        assert first.next == ["", "", "2"]
        second = await commands.registrations({"after": first.next})
        assert ([row.user for row in second.bindings], second.next) == (["bob@example.test"], None)
        user = await commands.user({"user": "sip:alice@example.test"})
        assert len(user.bindings) == 1


@on_loop
async def test_failures_of_all_processes_come_newest_first(pool: Network) -> None:
    async with pool:
        for server, name in ((FE1, "alice"), (FE2, "bob")):
            assert (await (await pool.peer(server, name)).register(password="wrong")).status == 401
        commands, _ = merged(pool)
        failures = await commands.login_failures({})
        assert [failure.last_at for failure in failures] == sorted((one.last_at for one in failures), reverse=True)
        assert len(failures) == 2
        assert len(await commands.login_failures({"most": 1})) == 1
        assert await commands.client_refusals({}) == []
        assert await commands.refused({}) == []
        assert await commands.refused_messages({}) == []


@on_loop
async def test_link_is_explained_by_the_process_that_has_it(pool: Network) -> None:
    async with pool:
        await pool.phone("bob", FE2)
        [link] = pool.nodes[FE2].pool.all()
        commands, _ = merged(pool)
        assert (await commands.explain({"id": link.id})).lines
        with pytest.raises(SipmeshError):
            await commands.explain({"id": "no-such-link"})


@on_loop
async def test_reload_waits_until_every_worker_has_followed(pool: Network) -> None:
    async with pool:
        commands, workers = merged(pool)
        assert list((await commands.reload({})).closed) == ["a-link-of-a-worker"]
        assert list((await commands.files_changed({})).closed) == []
        assert workers.waited == 2
        assert (await commands.users_changed({})).closed == 0


@on_loop
async def test_work_of_all_processes_is_added_up(pool: Network) -> None:
    async with pool:
        pool.nodes[FE2].outages.silent(FE1, "test")
        commands, _ = merged(pool)
        work = (await commands.status({})).work
        assert [outage.server for outage in work.servers_down] == [FE1]
        drained = await commands.prepare_drain({})
        assert (drained.requests_waiting, drained.calls_up) == (0, 0)
        assert all(pool.nodes[name].registrations.is_shortened for name in (FE1, FE2))
        assert set(commands.commands()) == set(operator_of(pool).commands())


@on_loop
async def test_user_is_unknown_where_no_worker_answers(pool: Network) -> None:
    async with pool:
        commands, workers = merged(pool)
        workers.commands.clear()
        with pytest.raises(SipmeshError, match="no worker"):
            await commands.user({"user": "alice@example.test"})
