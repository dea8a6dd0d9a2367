"""The servers that run on this machine, asked by their control sockets: the commands and the console ask them here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from sipmesh.errors import SipmeshError
from sipmesh.server.control_socket import SOCKET_SUFFIX, running

if TYPE_CHECKING:
    from sipmesh.server.control_socket import ControlCommand

T = TypeVar("T")

ANSWER_S = 5.0
"""Seconds in which a server has to answer."""


@dataclass(frozen=True, slots=True)
class ServerAnswer(Generic[T]):
    """The answer of one server: its *reply*, or the *fault* for which there is none."""

    server: str
    reply: T | None = None
    fault: str = ""


async def ask_running(
    state: Path, command: ControlCommand[T], given: Mapping[str, object], timeout_s: float = ANSWER_S
) -> list[ServerAnswer[T]]:
    """Ask every server whose control socket is in *state*, all at the same time; a killed server has no answer.

    A server that refuses, or does not answer within *timeout_s* seconds, is an answer with a fault.
    """
    answers = await asyncio.gather(*(_ask(socket, command, timeout_s, given) for socket in running(state)))
    return [answer for answer in answers if answer is not None]


async def _ask(
    socket: Path, command: ControlCommand[T], timeout_s: float, given: Mapping[str, object]
) -> ServerAnswer[T] | None:
    server = socket.name.removesuffix(SOCKET_SUFFIX)
    try:
        return ServerAnswer(server, await command.ask(socket, timeout_s, **given))
    except SipmeshError as wrong:
        gone = isinstance(wrong.__cause__, ConnectionRefusedError | FileNotFoundError)
        return None if gone else ServerAnswer(server, fault=str(wrong))
