"""The service around a server: what is slow or broken in one duty does not delay the others."""

from __future__ import annotations

import asyncio
import errno
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.pki.crl.builder import Reason
from sipmesh.server import service
from sipmesh.server.control_socket import STATE, ask
from sipmesh.server.proxy.login.user_stores import NoUsers
from sipmesh.server.refresh import inotify
from sipmesh.server.running.running_server import RunningServer
from sipmesh.server.service import Service
from support.network import FE1, Network
from support.running import on_loop, until
from support.service import service_here, serving_here
from support.telling import Told

WRITTEN = "other users could write to these files of the server: only its user can now; if they may have done so, "
WRITTEN += "join the server again, or restore its backup"
OUT_OF_DESCRIPTORS = "file descriptors have run out: new links of clients wait"


class Held(NoUsers):
    """Users in a database that does not answer until the test releases it."""

    def __init__(self) -> None:
        self.asked, self.let_go = threading.Event(), threading.Event()

    def refresh(self) -> frozenset[str]:
        self.asked.set()
        self.let_go.wait()
        return frozenset()


@on_loop
async def test_silent_database_delays_no_other_work(example: Organisation) -> None:
    """Deadlines and files are checked all the same."""
    told, held = Told(), Held()
    async with serving_here(example, told) as node:
        before, node.user_updates._users = node.user_updates._users, held
        try:
            await until(held.asked.is_set)
            example.file.write_text(example.file.read_text() + "# changed\n")
            await until(lambda: list(told.events("topology in force")))
        finally:
            node.user_updates._users = before
            held.let_go.set()


@on_loop
async def test_stopped_service_removes_its_socket_and_frees_its_ports(example: Organisation) -> None:
    told = Told()
    for _ in range(2):
        async with serving_here(example, told) as node:
            assert list(node.state.glob("*.sock"))
        assert not list(node.state.glob("*.sock"))
    assert len(list(told.events("stopped"))) == 2


@pytest.mark.parametrize("mode", [0o777, 0o755])
@on_loop
async def test_other_users_cannot_replace_the_control_socket(example: Organisation, mode: int) -> None:
    """The folder may be older than the server. A folder that others can only read stays as it is."""
    told, state = Told(), example.folder / STATE
    state.chmod(mode)
    async with serving_here(example, told):
        [socket] = state.glob("*.sock")
        assert socket.stat().st_mode & 0o777 == 0o600
        assert state.stat().st_mode & 0o777 == (0o700 if mode == 0o777 else mode)
    warned = [line["files"] for line in told.events(WRITTEN)]
    assert warned == ([[str(state)]] if mode == 0o777 else [])


@on_loop
async def test_other_users_cannot_write_to_the_state_of_a_server_and_no_database_of_theirs_is_used(
    example: Organisation,
) -> None:
    """In `state` a server takes the right from them at its start; the users are the operator's file."""
    told, state, users = Told(), example.folder / STATE, example.folder / "users.db"
    stored = state / "fe1.example.test.messages"
    stored.touch()
    stored.chmod(0o666)
    users.chmod(0o666)
    with pytest.raises(
        OperatorError, match=rf"{users}: has mode 0666: other users may have changed it; run `chmod 600"
    ):
        await Service(example.file, FE1, told.log).serve()
    assert stored.stat().st_mode & 0o777 == 0o600
    assert [line["files"] for line in told.events(WRITTEN)] == [[str(stored)]]
    users.chmod(0o600)
    async with serving_here(example, told) as node:
        assert node.users


@on_loop
async def test_replicated_users_that_others_may_have_read_are_not_used(example: Organisation) -> None:
    """The hashes of passwords are for the server alone. With the remedy, it starts."""
    users = example.folder / STATE / f"{FE1}.users"
    users.touch()
    users.chmod(0o644)
    with pytest.raises(OperatorError, match=rf"{users}: has mode 0644.*`chmod 600 {users}`.*sipmesh user password"):
        await Service(example.file, FE1, Told().log).serve()
    users.chmod(0o600)
    async with serving_here(example, Told()) as node:
        assert node.users


@on_loop
async def test_lack_of_descriptors_is_one_line_for_any_number_of_reports_of_asyncio(example: Organisation) -> None:
    """Its own listeners, such as that of the metrics, report each try; any other fault is a line of its own."""
    told, loop = Told(), asyncio.get_running_loop()
    async with serving_here(example, told):
        for _ in range(1_000):
            loop.call_exception_handler(
                {"message": "accept", "exception": OSError(errno.EMFILE, "too many open files")}
            )
        loop.call_exception_handler({"message": "another", "exception": OSError(errno.EIO, "input/output error")})
        await until(lambda: list(told.events(OUT_OF_DESCRIPTORS)))
    assert len(list(told.events(OUT_OF_DESCRIPTORS))) == 1
    assert [line["what"] for line in told.events("fault")] == ["another"]


@on_loop
async def test_server_that_is_not_in_the_topology_does_not_start(example: Organisation) -> None:
    service = Service(example.file, "fe9.example.test", Told().log)
    with pytest.raises(OperatorError, match=r"fe9\.example\.test"):
        await service.serve()


def never_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an hour pass between two timer checks."""
    monkeypatch.setattr(service, "TICK_S", 3600.0)


def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let inotify report nothing."""

    def none_left(**_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(inotify, "INotify", none_left)


@on_loop
async def test_new_crl_is_in_force_by_inotify_without_the_timer(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_by_the_clock(monkeypatch)
    told = Told()
    async with serving_here(example, told):
        example.ca.crls.publish(datetime.now(UTC))
        await until(lambda: list(told.events("CRLs in force")))
        assert told.last("CRLs in force")["files"] == [str(example.folder / "ca" / "issuing.crl")]
        assert not list(told.events("topology in force"))


@on_loop
@pytest.mark.wide
async def test_new_crl_is_in_force_by_the_timer_without_inotify(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example a change by another machine on a network file system."""
    deaf(monkeypatch)
    told = Told()
    async with serving_here(example, told):
        example.ca.crls.publish(datetime.now(UTC))
        await until(lambda: list(told.events("CRLs in force")))


@on_loop
async def test_new_crl_is_in_force_by_the_control_socket_alone(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_by_the_clock(monkeypatch)
    deaf(monkeypatch)
    told = Told()
    async with serving_here(example, told) as node:
        example.ca.crls.publish(datetime.now(UTC))
        answer = await ask(node.state / f"{FE1}.sock", "files-changed")
        assert answer == {"taken": True, "digest": example.load().digest, "closed": []}
        assert len(list(told.events("CRLs in force"))) == 1
        await ask(node.state / f"{FE1}.sock", "files-changed")
        assert len(list(told.events("CRLs in force"))) == 1


@on_loop
async def test_new_topology_is_in_force_by_inotify(example: Organisation, monkeypatch: pytest.MonkeyPatch) -> None:
    never_by_the_clock(monkeypatch)
    told = Told()
    async with serving_here(example, told):
        example.document["organisation"] = "Example, renamed"
        example.write()
        await until(lambda: list(told.events("topology in force")))


@on_loop
async def test_new_crl_is_in_force_while_the_topology_has_problems(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Correcting the topology can wait; a revocation cannot."""
    never_by_the_clock(monkeypatch)
    told = Told()
    async with serving_here(example, told) as node:
        example.file.write_text(example.file.read_text() + "nonsense: 1\n")
        await until(lambda: list(told.events("topology rejected: the old version stays in force")))
        example.ca.crls.publish(datetime.now(UTC))
        await until(lambda: list(told.events("CRLs in force")))
        assert (await ask(node.state / f"{FE1}.sock", "reload"))["taken"] is False


@on_loop
async def test_crl_that_changes_during_the_start_is_read_again(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CRL was read before it was watched."""
    never_by_the_clock(monkeypatch)

    class Overtaken(RunningServer):
        def __init__(self, *given: Any, **more: Any) -> None:
            super().__init__(*given, **more)
            example.ca.revoke(example.ca.issuing.serial_number, Reason.UNSPECIFIED, at)

    at = datetime.now(UTC)
    monkeypatch.setattr(service, "RunningServer", Overtaken)
    async with serving_here(example, Told()) as node:
        [root] = node.view.loaded.authority.lists.of(example.ca.root.subject.public_bytes())
        assert root.serials == {example.ca.issuing.serial_number}


@on_loop
async def test_service_ends_when_it_has_drained_and_refuses_its_name_to_another_until_then(
    example: Organisation,
) -> None:
    told = Told()
    async with Network((example,)) as network, service_here(example, told, FE1) as (running, node):
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        came = await bob.request_in("MESSAGE")
        running.drain()
        await until(lambda: node.core.state.is_draining)
        running.drain()  # to say so again ends nothing
        with pytest.raises(OperatorError, match="is starting, running or draining"):
            await Service(example.file, FE1, Told().log).serve()
        await bob.reply(came, 200)
        assert (await alice.final()).status == 200
        await until(lambda: list(told.events("stopped")))
        assert told.last("drained")["given_up"] == 0


@on_loop
async def test_service_with_two_orders_to_stop_ends_at_once(example: Organisation) -> None:
    told = Told()
    async with Network((example,)) as network, service_here(example, told, FE1) as (running, node):
        alice, bob = await network.phone("alice", FE1), await network.phone("bob", FE1)
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        await bob.request_in("MESSAGE")
        running.stop()
        await until(lambda: node.core.state.is_draining)
        running.stop()
        assert (await alice.final()).status == 503
        await until(lambda: list(told.events("stopped")))
