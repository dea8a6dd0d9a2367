"""Numbered requests on all pairs of phones, and the list of those that were not answered.

Each phone answers by itself what comes to it. So a request without a final response was lost on its way, or its response was.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, permutations

from sipmesh.client.dialog import Dialog
from sipmesh.sip.message import Request, Response
from sipmesh.sip.transaction.ack import cancel_for
from support.peer import HungUpError, Peer
from support.running import until
from support.talking import inside_of

PATIENCE_S = 30.0
"""Seconds for one attempt. Timer F and timer C are longer: a request that only such a timer ends counts as unanswered."""

BETWEEN_S = 0.02
"""Seconds between two attempts of a series."""

RINGS = "rings"
"""The Subject of an INVITE that is not to be accepted."""

_numbers = count(1)


class Phone:
    """A phone that answers each request that comes in, and tells of the responses to its own. *where* names its server."""

    def __init__(self, peer: Peer, where: str, *, is_application: bool = False) -> None:
        self.peer, self.where, self.is_application = peer, where, is_application
        self.user = peer.user.partition("@")[0]
        self.name = f"{self.user}@{where}"
        self._waits: dict[tuple[str, str], asyncio.Queue[Response]] = {}
        self._rings: dict[str, Request] = {}
        self._reads = asyncio.get_running_loop().create_task(self._read())

    def __repr__(self) -> str:
        return f"<Phone {self.name}>"

    async def close(self) -> None:
        """Hang up."""
        self._reads.cancel()
        with suppress(asyncio.CancelledError):
            await self._reads
        await self.peer.__aexit__()

    async def send(self, request: Request) -> asyncio.Queue[Response]:
        """Send a request; its responses come into the queue that is returned."""
        heard = self._waits[request.call_id, request.method] = asyncio.Queue()
        await self.peer.send(request)
        return heard

    @property
    def is_connected(self) -> bool:
        """Whether its link is up."""
        return not self._reads.done()

    async def _read(self) -> None:
        with suppress(HungUpError, OSError):
            while True:
                message = await self.peer.receive()
                if isinstance(message, Request):
                    await self._answer(message)
                elif (message.call_id, message.cseq.method) in self._waits:
                    self._waits[message.call_id, message.cseq.method].put_nowait(message)

    async def _answer(self, request: Request) -> None:
        if request.method == "INVITE":
            await self.peer.reply(request, 180)
            if request.first("subject") == RINGS:
                self._rings[request.call_id] = request
            else:
                await self.peer.reply(request, 200)
        elif request.method == "CANCEL":
            await self.peer.reply(request, 200)
            invite = self._rings.pop(request.call_id, None)
            if invite is not None:
                await self.peer.reply(invite, 487)
        elif request.method != "ACK":
            await self.peer.reply(request, 200)


async def final(heard: asyncio.Queue[Response]) -> Response:
    """Wait for the final response."""
    while (response := await heard.get()).status < 200:
        pass
    return response


async def message(sender: Phone, receiver: Phone) -> int:
    """Send a MESSAGE."""
    return (await final(await sender.send(sender.peer.request("MESSAGE", f"sip:{receiver.peer.user}")))).status


async def options(sender: Phone, receiver: Phone) -> int:
    """Ask a phone for what it can."""
    return (await final(await sender.send(sender.peer.request("OPTIONS", f"sip:{receiver.peer.user}")))).status


async def call(sender: Phone, receiver: Phone) -> int:
    """Call, hear 180 and 200, and hang up; gives the status of the BYE, or of a call that does not come up."""
    invite = sender.peer.request("INVITE", f"sip:{receiver.peer.user}")
    heard = await sender.send(invite)
    while (response := await heard.get()).status < 180:
        pass
    if response.status < 200:
        response = await final(heard)
    if response.status != 200:
        return response.status
    dialog = Dialog.of_caller(invite, response)
    await sender.peer.send(inside_of(dialog, sender.peer, "ACK"))
    return (await final(await sender.send(inside_of(dialog, sender.peer, "BYE")))).status


async def cancelled_call(sender: Phone, receiver: Phone) -> int:
    """Call, hear 180, and cancel; 200 if both transactions end as they should."""
    invite = sender.peer.request("INVITE", f"sip:{receiver.peer.user}", [("subject", RINGS)])
    heard = await sender.send(invite)
    while (response := await heard.get()).status < 180:
        pass
    if response.status != 180:
        return response.status
    cancel = await final(await sender.send(cancel_for(invite)))
    ended = await final(heard)
    return 200 if (cancel.status, ended.status) == (200, 487) else ended.status


Act = Callable[[Phone, Phone], Awaitable[int]]
ACTS: tuple[Act, ...] = (message, options, call, cancelled_call)


@dataclass
class Answered:
    """What became of the attempts: how many ended with which status, and which have heard nothing."""

    statuses: dict[int, int] = field(default_factory=dict)
    unanswered: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    async def some(self, most: int = 50) -> None:
        """Wait until *most* attempts have ended."""
        await until(lambda: sum(self.statuses.values()) >= most)

    async def attempt(self, act: Act, sender: Phone, receiver: Phone) -> None:
        """Do one thing; a sender whose link has closed meanwhile was not left waiting."""
        number = next(_numbers)
        what = f"{number}: {getattr(act, '__name__', '')} from {sender.name} to {receiver.name}"
        try:
            async with asyncio.timeout(PATIENCE_S):
                status = await act(sender, receiver)
        except TimeoutError:
            if sender.is_connected:
                self.unanswered.append(what)
        except OSError:
            return
        else:
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if status != 200:
                self.failed.append(f"{what}: {status}")

    async def until(self, event: asyncio.Event, phones: Sequence[Phone], acts: Sequence[Act] = ACTS) -> None:
        """Do *acts* on one pair after the other until *event*, several at once; phones that are not connected are left out."""
        chosen = random.Random(1)  # noqa: S311 - which phones
        running: set[asyncio.Task[None]] = set()
        while not event.is_set():
            there = [phone for phone in phones if phone.is_connected]
            senders = [phone for phone in there if not phone.is_application]
            if senders and len(there) > 1:
                sender = chosen.choice(senders)
                receiver = chosen.choice([phone for phone in phones if phone is not sender])
                running.add(asyncio.create_task(self.attempt(chosen.choice(acts), sender, receiver)))
            await asyncio.sleep(BETWEEN_S)
            running = {task for task in running if not task.done()}
        await asyncio.gather(*running)

    async def all_pairs(self, phones: Iterable[Phone], acts: Iterable[Act] = ACTS, times: int = 1) -> None:
        """Do each of *acts* on every pair of *phones*, *times* over. An application is only called."""
        pairs = [pair for pair in permutations(phones, 2) if not pair[0].is_application]
        attempts = [(act, *pair) for _ in range(times) for act in acts for pair in pairs]
        await asyncio.gather(*(self.attempt(*attempt) for attempt in attempts))
