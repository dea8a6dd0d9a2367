"""The service around a server: what is slow or broken in one of its duties holds up none of the others."""

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
from sipmesh.server.control_socket import ask
from sipmesh.server.proxy.login.user_stores import NoUsers
from sipmesh.server.refresh import inotify
from sipmesh.server.running_server import RunningServer
from sipmesh.server.service import Service
from support.network import FE1
from support.running import on_loop, until
from support.service import serving_here
from support.telling import Told

OUT_OF_DESCRIPTORS = "file descriptors have run out: new links of clients wait"


class Held(NoUsers):
    """Users in a database that does not answer until it is let go."""

    def __init__(self) -> None:
        self.asked, self.let_go = threading.Event(), threading.Event()

    def refresh(self) -> frozenset[str]:
        self.asked.set()
        self.let_go.wait()
        return frozenset()


@on_loop
async def test_database_that_does_not_answer_holds_up_nothing_else(example: Organisation) -> None:
    """Deadlines are swept and files are looked at all the same."""
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
async def test_service_takes_its_socket_and_its_ports_away_with_it(example: Organisation) -> None:
    told = Told()
    for _ in range(2):
        async with serving_here(example, told) as node:
            assert list(node.state.glob("*.sock"))
        assert not list(node.state.glob("*.sock"))
    assert len(list(told.events("stopped"))) == 2


@on_loop
async def test_lack_of_descriptors_is_one_line_however_often_asyncio_tells_of_it(example: Organisation) -> None:
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
    """Let an hour pass between two looks."""
    monkeypatch.setattr(service, "TICK_S", 3600.0)


def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernel tell of nothing."""

    def none_left(**_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(inotify, "INotify", none_left)


@on_loop
async def test_new_list_is_in_force_by_the_kernels_word_without_the_clock(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_by_the_clock(monkeypatch)
    told = Told()
    async with serving_here(example, told):
        example.ca.crls.publish(datetime.now(UTC))
        await until(lambda: list(told.events("revocation lists in force")))
        assert told.last("revocation lists in force")["files"] == [str(example.folder / "ca" / "issuing.crl")]
        assert not list(told.events("topology in force"))


@on_loop
async def test_new_list_is_in_force_by_the_clock_where_the_kernel_tells_nothing(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as of what another machine writes to a network file system."""
    deaf(monkeypatch)
    told = Told()
    async with serving_here(example, told):
        example.ca.crls.publish(datetime.now(UTC))
        await until(lambda: list(told.events("revocation lists in force")))


@on_loop
async def test_new_list_is_in_force_on_the_control_sockets_word_alone(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_by_the_clock(monkeypatch)
    deaf(monkeypatch)
    told = Told()
    async with serving_here(example, told) as node:
        example.ca.crls.publish(datetime.now(UTC))
        answer = await ask(node.state / f"{FE1}.sock", "files-changed")
        assert answer == {"taken": True, "digest": example.load().digest, "closed": []}
        assert len(list(told.events("revocation lists in force"))) == 1
        await ask(node.state / f"{FE1}.sock", "files-changed")
        assert len(list(told.events("revocation lists in force"))) == 1


@on_loop
async def test_new_topology_is_in_force_by_the_kernels_word(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_by_the_clock(monkeypatch)
    told = Told()
    async with serving_here(example, told):
        example.document["organisation"] = "Example, renamed"
        example.write()
        await until(lambda: list(told.events("topology in force")))


@on_loop
async def test_new_list_is_in_force_though_the_topology_is_not_in_order(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever mends the document has time; whom the list names has none."""
    never_by_the_clock(monkeypatch)
    told = Told()
    async with serving_here(example, told) as node:
        example.file.write_text(example.file.read_text() + "nonsense: 1\n")
        await until(lambda: list(told.events("topology rejected: the old version stays in force")))
        example.ca.crls.publish(datetime.now(UTC))
        await until(lambda: list(told.events("revocation lists in force")))
        assert (await ask(node.state / f"{FE1}.sock", "reload"))["taken"] is False


@on_loop
async def test_list_that_changes_while_the_server_starts_is_not_missed(
    example: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was read already, and is watched only then."""
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
