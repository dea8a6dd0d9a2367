"""Questions to the servers of this machine: each answers for itself, and a killed server does not answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sipmesh.errors import OperatorError
from sipmesh.server.admin.local_servers import ask_running
from sipmesh.server.admin.replies import USERS_CHANGED, ClosedReply
from sipmesh.server.control_socket import SOCKET_SUFFIX, ControlSocket
from support.running import on_loop
from support.telling import Told


async def closes_two(_asked: Mapping[str, Any]) -> ClosedReply:
    return ClosedReply(2)


async def refuses(_asked: Mapping[str, Any]) -> ClosedReply:
    raise OperatorError("not now")


@on_loop
async def test_each_running_server_answers_or_has_a_fault_and_a_killed_one_is_left_out(tmp_path: Path) -> None:
    log = Told().log
    sockets = [
        ControlSocket(tmp_path / f"{name}{SOCKET_SUFFIX}", {USERS_CHANGED.name: command}, log)
        for name, command in (("fe1", closes_two), ("fe2", refuses))
    ]
    (tmp_path / f"killed{SOCKET_SUFFIX}").touch()
    for socket in sockets:
        await socket.open()
    try:
        answers = await ask_running(tmp_path, USERS_CHANGED, {})
    finally:
        for socket in sockets:
            await socket.close()
    assert [(answer.server, answer.reply, answer.fault) for answer in answers] == [
        ("fe1", ClosedReply(2), ""),
        ("fe2", None, "not now"),
    ]
