"""The control socket: commands for a running server from operators of this machine.

Each request and each answer is one JSON object on one line.

The socket has mode 0600, in a folder that only our own user may enter: a user who can open it may use it.
"""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from sipmesh.errors import NotLeadingError, OperatorError, Problem, SipmeshError
from sipmesh.foreign_errors import reason_of
from sipmesh.server.unix_listener import UnixListener
from sipmesh.strict_json import read_json
from sipmesh.topology.document.operators.console_role import ConsoleRole
from sipmesh.typed_json import Json, UnreadableJsonError, plain, read

if TYPE_CHECKING:
    from sipmesh.server.log import Log

LONGEST_REQUEST = 65_536
"""Octets of one request: a request is a command with a few words."""

STATE = "state"
"""The folder beside the topology in which servers store their state and their control sockets."""

SOCKET_SUFFIX = ".sock"

WHO = "who"
"""The key under which a command finds the asking user, such as ``root (0)``; the client cannot set it."""

ROLE = "role_of_operator"
"""The key under which a command finds the role of the asking operator (`ConsoleRole`); the client cannot set it.

A user who can open the control socket is a security officer: that user has the keys.
"""

_CREDENTIALS = struct.Struct("3i")  # pid, uid and gid: see unix(7), SO_PEERCRED

NO_LOGIN: Final = 2**32 - 1
"""The login of a process that no user has started, such as a service."""

Command = Callable[[Mapping[str, Any]], Awaitable[Any]]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ControlCommand(Generic[T]):
    """One command of the control socket: its *name*, and the type of its reply."""

    name: str
    reply: type[T]

    async def ask(self, path: Path, timeout_s: float = 5.0, **given: object) -> T:
        """Ask the running server behind *path*, as `ask` does; raises `SipmeshError` also if the reply has another type."""
        return self.parse(await ask(path, self.name, timeout_s, **given), path.stem)

    def parse(self, answer: object, server: str) -> T:
        """Read the JSON that *server* has answered; raises `SipmeshError` if it has another type."""
        try:
            return read(self.reply, answer)
        except UnreadableJsonError as wrong:
            why = f"the reply of {server} to {self.name!r} cannot be read ({wrong})"
            raise SipmeshError(f"{why}; run the same release of sipmesh on the server and here") from wrong


class ControlSocket:
    """Answers commands on the Unix socket of one server."""

    def __init__(self, path: Path, commands: Mapping[str, Command], log: Log) -> None:
        self.path, self._commands, self._log = path, commands, log
        self._listener: UnixListener | None = None
        self._accepted: set[asyncio.Task[None]] = set()  # they have no writer yet
        self._serving: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        """Listen, and replace the socket of an earlier run; raises `OperatorError` if that is impossible."""
        try:
            self.path.unlink(missing_ok=True)
            self._listener = UnixListener(self.path, self._took, self._log)
        except OSError as wrong:
            remedy = f"allow the user of sipmesh to write to {self.path.parent}, and use a path of at most 107 bytes"
            raise OperatorError(
                "the control socket cannot be opened", (Problem(self.path, 0, "", str(wrong), remedy),)
            ) from wrong

    async def close(self) -> None:
        """Stop listening, close open connections, and remove the socket file; do nothing if this object never listened."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        listener.close()
        if self._accepted:
            await asyncio.wait(self._accepted)
        for writer in self._writers:
            writer.close()
        self.path.unlink(missing_ok=True)

    def _took(self, connected: socket.socket) -> None:
        task = asyncio.create_task(self._begin(connected))
        self._accepted.add(task)
        task.add_done_callback(self._accepted.discard)

    async def _begin(self, connected: socket.socket) -> None:
        """Serve a connection that was accepted, in a task of its own."""
        reader, writer = await asyncio.open_unix_connection(sock=connected, limit=LONGEST_REQUEST)
        self._writers.add(writer)
        serving = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            who = _peer_of(writer.get_extra_info("socket"))
            while line := await reader.readline():
                writer.write(encode(await carry_out(self._commands, line, who)))
                await writer.drain()
        except (ValueError, ConnectionError) as wrong:
            self._log.warning("control connection ended", why=str(wrong))
        finally:
            self._writers.discard(writer)
            writer.close()


async def carry_out(commands: Mapping[str, Command], line: bytes, who: str) -> Json:
    """Answer one request, which *who* has made; an error of the command is its answer."""
    try:
        request = {**read_json(line), WHO: who, ROLE: ConsoleRole.SECURITY_OFFICER}
        command = commands.get(str(request["command"]))
        if command is None:
            return {"error": f"unknown command {request['command']!r}", "known": sorted(commands)}
        return {"result": await command(request)}
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as wrong:
        return {"error": f"the request cannot be read: {wrong}"}
    except NotLeadingError as wrong:
        return {"error": wrong.message, "leader": wrong.leader}
    except OperatorError as wrong:
        return {"error": wrong.message, "problems": [[*_strings(problem)] for problem in wrong.problems]}
    except SipmeshError as wrong:
        return {"error": str(wrong)}


@dataclass(frozen=True, slots=True)
class Encoded:
    """The result of a command that is JSON already: a thread has encoded it, because it is large."""

    json: bytes


def encode(answer: object) -> bytes:
    """Return an answer as one line of JSON; a typed value in it becomes an object (`sipmesh.typed_json`)."""
    if isinstance(answer, Encoded):
        return answer.json + b"\n"
    if isinstance(answer, dict) and isinstance(result := answer.get("result"), Encoded):
        return b'{"result": ' + result.json + b"}\n"
    return json.dumps(answer, default=plain).encode() + b"\n"


def _strings(problem: Problem) -> tuple[str, int, str, str, str]:
    return str(problem.file), problem.line, problem.field, problem.reason, problem.remedy


def _peer_of(connected: socket.socket) -> str:
    """Return the user at the other end, name and number, from the credentials that the kernel stores (SO_PEERCRED)."""
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _ = _CREDENTIALS.unpack(credentials)
    return who_acts(user, process)


def who_acts(user: int, process: int) -> str:
    """Return the name of the user of a process; after `sudo` or `su` also the user who has logged in.

    The kernel keeps the login of each process, and only root can change it (proc_pid_loginuid(5)).
    """
    login = _login_of(process)
    return name_of(user) if login in {user, NO_LOGIN} else f"{name_of(user)}, logged in as {name_of(login)}"


def this_operator() -> str:
    """Return who runs this process, as `who_acts` names them."""
    return who_acts(os.getuid(), os.getpid())


def _login_of(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/loginuid").read_text())
    except (OSError, ValueError):  # a kernel without audit, or another process namespace
        return NO_LOGIN


def name_of(user: int) -> str:
    """Return the name of a user of this machine, with the user's number."""
    try:
        return f"{pwd.getpwuid(user).pw_name} ({user})"
    except KeyError:
        return f"user {user}"


async def ask(path: Path, command: str, timeout_s: float = 5.0, **given: Any) -> Any:
    """Send *command* to the server behind *path*, and return its result.

    Raises `SipmeshError` if the server does not answer within *timeout_s* seconds, `OperatorError` if it answers with an error.
    """
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_unix_connection(path, limit=1 << 26)
            try:
                writer.write(json.dumps({"command": command, **given}).encode() + b"\n")
                await writer.drain()
                answer = read_json(await reader.readline())
            finally:
                writer.close()
                await writer.wait_closed()
    except (OSError, TimeoutError, ValueError) as wrong:
        server = path.name.removesuffix(SOCKET_SUFFIX)
        raise SipmeshError(f"{server} {_silence(wrong, server, timeout_s)}") from wrong
    return result_of(answer)


def _silence(wrong: Exception, server: str, timeout_s: float) -> str:
    """Say why *server* has given no answer, and what to do."""
    if isinstance(wrong, TimeoutError):
        return f"does not answer within {timeout_s:g} s; see its log, and try again"
    if isinstance(wrong, FileNotFoundError | ConnectionRefusedError):
        return f"does not run on this machine; start it: sipmesh serve {server}"
    return f"does not answer: {reason_of(wrong)}; see its log"


def result_of(answer: Mapping[str, Any]) -> Any:
    """Return the result in an answer; raises `OperatorError` if it has an error, and `NotLeadingError` if it names a leader."""
    if answer.get("leader"):
        raise NotLeadingError(str(answer["error"]), str(answer["leader"]))
    if "error" in answer:
        problems = (Problem(Path(file), *rest) for file, *rest in answer.get("problems", ()))
        raise OperatorError(answer["error"], tuple(problems))
    return answer["result"]


def is_answered(path: Path) -> bool:
    """Return whether a process listens on a control socket: a killed process leaves its socket file behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError as wrong:  # for example no permission to open it: a process exists
            return wrong.errno is not None  # Python itself refuses a path that is too long: no process can listen there
    return True


def running(state: Path) -> list[Path]:
    """Return the control sockets in a state folder, sorted by name; some may belong to killed servers."""
    return sorted(state.glob(f"*{SOCKET_SUFFIX}"))
