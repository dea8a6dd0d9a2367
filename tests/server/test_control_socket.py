"""The control socket: every request of its user gets an answer, and no other user can open it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.server import control_socket
from sipmesh.server.admin.replies import BindingReply, ClosedReply, RegistrationsReply
from sipmesh.server.control_socket import (
    LONGEST_REQUEST,
    ControlCommand,
    ControlSocket,
    Encoded,
    ask,
    encode,
    is_answered,
    running,
)
from support.running import on_loop
from support.telling import Told

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
KERNEL_LIMIT = 107  # bytes of a path in sockaddr_un, without its zero (unix(7))


class Desk:
    """Commands for these tests; *gate* delays one of them."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    def commands(self) -> dict[str, Any]:
        return {"echo": self.echo, "wait": self.wait, "refuse": self.refuse, "need": self.need}

    async def echo(self, asked: Mapping[str, Any]) -> Any:
        return asked["said"]

    async def wait(self, _asked: Mapping[str, Any]) -> str:
        await self.gate.wait()
        return "waited"

    async def refuse(self, _asked: Mapping[str, Any]) -> None:
        raise SipmeshError("no live link x")

    async def need(self, asked: Mapping[str, Any]) -> int:
        return int(asked["number"])


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Desk]:
    """A control socket at *path* with these commands."""
    desk = Desk()
    control = ControlSocket(path, desk.commands(), Told().log)
    await control.open()
    try:
        yield desk
    finally:
        await control.close()


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "fe1.sock"


@on_loop
async def test_question_is_answered_with_what_the_command_gives(path: Path) -> None:
    async with opened(path):
        assert await ask(path, "echo", said={"a": [1, None, "ü"]}) == {"a": [1, None, "ü"]}


@on_loop
async def test_typed_command_gives_a_value_and_a_reply_of_another_type_is_an_error(path: Path) -> None:
    async with opened(path):
        echo = ControlCommand("echo", ClosedReply)
        assert await echo.ask(path, said={"closed": 7}) == ClosedReply(7)
        with pytest.raises(SipmeshError) as refused:
            await echo.ask(path, said={"closed": "7"})
        assert str(refused.value).startswith("the reply of fe1 to 'echo' cannot be read (closed: ")
        assert str(refused.value).endswith("run the same release of sipmesh on the server and here")


@on_loop
async def test_refusal_of_a_command_is_reported_in_its_own_words(path: Path) -> None:
    async with opened(path):
        with pytest.raises(SipmeshError, match="no live link x"):
            await ask(path, "refuse")


@on_loop
async def test_unknown_command_gets_the_known_commands(path: Path) -> None:
    async with opened(path):
        answer = await told(path, b'{"command": "dance"}\n')
        assert "dance" in answer["error"]
        assert answer["known"] == ["echo", "need", "refuse", "wait"]


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"not json\n",
        b'{"command": \n',
        b"[]\n",
        b'"echo"\n',
        b"7\n",
        b"null\n",
        b"{}\n",
        b"\xff\xfe\n",
        b"[" * 60_000 + b"\n",
        b'{"command": "need"}\n',
        b'{"command": "need", "number": "x"}\n',
        b'{"command": "need", "number": null}\n',
        b'{"command": "need", "number": 1e999}\n',
        b'{"command": ["echo"]}\n',
    ],
)
@on_loop
async def test_invalid_line_gets_an_error_and_the_next_line_is_answered(path: Path, line: bytes) -> None:
    async with opened(path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(line + b'{"command": "echo", "said": 1}\n')
        error = json.loads(await reader.readline())["error"]
        assert error.startswith(("the request cannot be read", "unknown command"))
        assert json.loads(await reader.readline()) == {"result": 1}
        writer.close()


@pytest.mark.parametrize("over", [0, 1])
@on_loop
async def test_line_length_is_limited(path: Path, over: int) -> None:
    """One octet more ends the connection; the next connection is served."""
    frame = len(json.dumps({"command": "echo", "said": ""}).encode())
    async with opened(path):
        if over:
            with pytest.raises(SipmeshError, match="does not answer"):
                await ask(path, "echo", said="x" * (LONGEST_REQUEST - frame + over))
        else:
            said = "x" * (LONGEST_REQUEST - frame)
            assert await ask(path, "echo", said=said) == said
        assert await ask(path, "echo", said=1) == 1


@on_loop
async def test_slow_command_does_not_delay_others(path: Path) -> None:
    async with opened(path) as desk:
        slow = asyncio.create_task(ask(path, "wait"))
        answers = await asyncio.gather(*(ask(path, "echo", said=number) for number in range(50)))
        assert answers == list(range(50))
        assert not slow.done()
        desk.gate.set()
        assert await slow == "waited"


@on_loop
async def test_request_without_an_answer_times_out(path: Path) -> None:
    async with opened(path) as desk:
        with pytest.raises(SipmeshError, match=r"does not answer within .* s; see its log"):
            await ask(path, "wait", timeout_s=0.05)
        desk.gate.set()
        assert await ask(path, "wait") == "waited"


@on_loop
async def test_client_that_closes_within_a_line_affects_no_other(path: Path) -> None:
    async with opened(path):
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"command": "ec')
        writer.close()
        assert await ask(path, "echo", said=1) == 1


@on_loop
async def test_only_our_own_user_may_open_it(path: Path) -> None:
    async with opened(path):
        assert mode_of(path) == 0o600


@on_loop
async def test_socket_of_a_killed_run_is_replaced_and_ours_is_removed(path: Path) -> None:
    leave_behind(path)
    with pytest.raises(SipmeshError, match=f"does not run on this machine; start it: sipmesh serve {path.stem}"):
        await ask(path, "echo", said=1)
    async with opened(path):
        assert await ask(path, "echo", said=1) == 1
    assert not running(path.parent)


@pytest.mark.parametrize("turns", range(6))
@on_loop
async def test_connection_that_is_accepted_while_it_closes_is_closed(path: Path, turns: int) -> None:
    """Wait for the listening socket to get the connection: *turns* of the event loop."""
    control = ControlSocket(path, Desk().commands(), Told().log)
    await control.open()
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(path))
        for _ in range(turns):
            await asyncio.sleep(0)
        await control.close()
        asking.settimeout(0)
        for _ in range(3):
            await asyncio.sleep(0)
        with suppress(ConnectionResetError):  # it was not accepted before
            assert asking.recv(1) == b""


@on_loop
async def test_socket_that_was_never_opened_is_not_removed(path: Path) -> None:
    """Closing a socket that could not be opened must not remove the socket of the running server."""
    async with opened(path):
        await ControlSocket(path, {}, Told().log).close()
        assert await ask(path, "echo", said=1) == 1


@pytest.mark.parametrize("over", [0, 1])
@on_loop
async def test_path_that_is_too_long_for_the_kernel_is_the_operators_problem(tmp_path: Path, over: int) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    path = folder / ("x" * (KERNEL_LIMIT - len(str(folder)) - len("/.sock") + over) + ".sock")
    assert len(str(path)) == KERNEL_LIMIT + over
    if over:
        with pytest.raises(OperatorError) as refused:
            await ControlSocket(path, {}, Told().log).open()
        [problem] = refused.value.problems
        assert "107" in problem.remedy
    else:
        async with opened(path):
            assert await ask(path, "echo", said=1) == 1


@on_loop
async def test_folder_that_is_not_there_is_the_operators_problem(tmp_path: Path) -> None:
    control = ControlSocket(tmp_path / "none" / "fe1.sock", {}, Told().log)
    with pytest.raises(OperatorError, match="the control socket cannot be opened"):
        await control.open()
    await control.close()


def test_running_servers_are_found_by_their_sockets(tmp_path: Path) -> None:
    for name in ("fe2.sock", "fe1.sock", "fe1.token-key"):
        (tmp_path / name).touch()
    assert [path.name for path in running(tmp_path)] == ["fe1.sock", "fe2.sock"]
    assert running(tmp_path / "none") == []


async def told(path: Path, line: bytes) -> dict[str, Any]:
    """Write one line and read the answer."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(line)
    answer: dict[str, Any] = json.loads(await reader.readline())
    writer.close()
    return answer


def mode_of(path: Path) -> int:
    """Return the mode of the file."""
    return path.stat().st_mode & 0o777


def leave_behind(path: Path) -> None:
    """Leave a socket without a listener, as kill -9 does."""
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))


def test_dataclass_in_an_answer_is_written_by_the_names_of_its_fields() -> None:
    reply = RegistrationsReply((BindingReply("alice", "fe1", None, None, "<sip:a>", "phone", NOON),), None, True)  # noqa: FBT003
    told = json.loads(encode({"result": [reply]}))
    assert told["result"][0]["registers"] is True
    [binding] = told["result"][0]["bindings"]
    assert (binding["user"], binding["expires"]) == ("alice", "2026-11-24T12:00:00+00:00")


def test_answer_without_a_json_form_is_an_error() -> None:
    with pytest.raises(TypeError, match="no JSON for"):
        encode({"result": object()})


def test_no_process_answers_behind_a_path_that_is_too_long_for_a_socket(tmp_path: Path) -> None:
    """So the start of the server tells of the path, and not of another process."""
    with socket.socket(socket.AF_UNIX) as listening:
        short = tmp_path / "s"
        listening.bind(str(short))
        assert not is_answered(short)
        listening.listen()
        assert is_answered(short)
    assert not is_answered(tmp_path / ("x" * 120))


def test_encoded_result_is_sent_as_it_is() -> None:
    assert encode(Encoded(b'{"a": 1}')) == b'{"a": 1}\n'
    assert json.loads(encode({"result": Encoded(b'{"a": 1}')})) == {"result": {"a": 1}}


def test_user_behind_sudo_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel keeps the login of a process; one without a login, or of the same user, has nothing to add."""
    for login, name in (
        (0, "root (0)"),
        (control_socket.NO_LOGIN, "root (0)"),
        (4711, "root (0), logged in as user 4711"),
    ):
        monkeypatch.setattr(control_socket, "_login_of", lambda _process, login=login: login)
        assert control_socket.who_acts(0, os.getpid()) == name
    monkeypatch.undo()
    assert control_socket._login_of(-1) == control_socket.NO_LOGIN
