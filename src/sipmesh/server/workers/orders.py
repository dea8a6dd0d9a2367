"""Commands between the supervisor and a worker, and their replies, in frames of the channel that the two have."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from sipmesh.errors import SipmeshError
from sipmesh.server.control_socket import Command, carry_out, encode, result_of
from sipmesh.server.proxy.outside import OrderTaker
from sipmesh.server.proxy.siblings.channel import ORDER, REPLY, SUPERVISOR

if TYPE_CHECKING:
    from sipmesh.server.proxy.outside import Channel
    from sipmesh.server.proxy.siblings.siblings import Siblings

THE_SUPERVISOR: Final = "the supervisor"


class WorkerEndedError(SipmeshError):
    """The worker that was asked has ended."""


class Orders(OrderTaker):
    """Asks other processes, and answers them: *commands* in any order, *in_order* one after the other.

    *also_ended* is called at the end of a process too.
    """

    def __init__(
        self,
        siblings: Siblings,
        commands: Mapping[str, Command],
        in_order: Mapping[str, Command] | None = None,
        also_ended: Callable[[int], None] | None = None,
    ) -> None:
        self._siblings, self._commands, self._in_order = siblings, commands, in_order or {}
        self._also_ended = also_ended
        self._numbers = count(1)
        self._asked: dict[int, tuple[int, asyncio.Future[Any]]] = {}
        self._waiting: asyncio.Queue[tuple[Channel, int, bytes]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """Carry out what is to be done in order."""
        self._run(self._carry_out_in_order())

    def close(self) -> None:
        """Stop answering."""
        for task in self._tasks:
            task.cancel()

    async def ask(self, process: int, command: str, timeout_s: float | None, **given: Any) -> Any:
        """Ask *process*, and return its result.

        Raises `WorkerEndedError` if it ends meanwhile, `TimeoutError` after *timeout_s* seconds (None: never), `OperatorError`
        for an error.
        """
        channel = self._siblings.channel(process)
        if channel is None:
            raise WorkerEndedError(f"worker {process} has ended")
        number, future = next(self._numbers), asyncio.get_running_loop().create_future()
        self._asked[number] = process, future
        channel.send(ORDER, number, json.dumps({"command": command, **given}).encode())
        try:
            return await asyncio.wait_for(future, timeout_s)
        finally:
            del self._asked[number]

    def ended(self, process: int) -> None:
        """A process has ended: it answers nothing any more."""
        for asked, future in self._asked.values():
            if asked == process and not future.done():
                future.set_exception(WorkerEndedError(f"worker {process} has ended"))
        if self._also_ended is not None:
            self._also_ended(process)

    def take(self, channel: Channel, kind: int, number: int, payload: bytes) -> None:
        """Carry out a command, or take the reply to one of ours."""
        if kind == REPLY:
            self._replied(channel.number, number, payload)
        elif channel.number != SUPERVISOR:
            return  # workers give no orders
        elif json.loads(payload)["command"] in self._in_order:
            self._waiting.put_nowait((channel, number, payload))
        else:
            self._run(self._carry_out(self._commands, channel, number, payload))

    def _replied(self, process: int, number: int, payload: bytes) -> None:
        asked, future = self._asked.get(number, (0, None))
        if future is None or future.done() or asked != process:
            return
        try:
            future.set_result(result_of(json.loads(payload)))
        except SipmeshError as wrong:
            future.set_exception(wrong)

    def _run(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out_in_order(self) -> None:
        while True:
            await self._carry_out(self._in_order, *await self._waiting.get())

    @staticmethod
    async def _carry_out(commands: Mapping[str, Command], channel: Channel, number: int, payload: bytes) -> None:
        answer = encode(await carry_out(commands, payload, THE_SUPERVISOR))
        channel.send(REPLY, number, answer)
