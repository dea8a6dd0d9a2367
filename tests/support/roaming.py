"""A phone that stays reachable: where its link ends, or its server refuses it, it logs in at the next server at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress

from sipmesh.client.agent import LinkLostError, Settings, UserAgent
from sipmesh.client.answering import Event
from sipmesh.client.judge import Trust
from sipmesh.client.outcome import Text
from sipmesh.client.party import new_instance
from sipmesh.errors import SipmeshError
from support.running import LOOK_AGAIN_S


class RoamingPhone:
    """One user at one of *servers*, first of all at the first one.

    *received* counts each text that came in, *delivered* are the texts that it has sent and that were answered with 200.
    """

    def __init__(self, address: str, trust: Trust, servers: list[tuple[str, int]]) -> None:
        self.address, self._trust, self._servers = address, trust, servers
        self._instance, self._up = new_instance(), asyncio.Event()
        self.agent: UserAgent | None = None
        self.received: Counter[str] = Counter()
        self.delivered: list[str] = []
        self.logins = self.refreshes = self.tries = 0

    def __repr__(self) -> str:
        return f"<RoamingPhone {self.address}: {len(self.delivered)} delivered>"

    async def stay(self) -> None:
        """Be logged in until this is cancelled."""
        while True:
            agent = UserAgent(
                self.address,
                f"{self.address.partition('@')[0]}-secret",
                trust=self._trust,
                settings=Settings(),
                instance=self._instance,
            )
            try:
                with suppress(SipmeshError):
                    await self._stay_with(agent)
            finally:
                self._up.clear()
                while not agent.events.empty():
                    self._happened(agent.events.get_nowait())
                await agent.close()
            self._servers = [*self._servers[1:], self._servers[0]]
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _stay_with(self, agent: UserAgent) -> None:
        await agent.connect(*self._servers[0])
        if not (await agent.register()).ok:
            return
        self.agent, self.logins = agent, self.logins + 1
        self._up.set()
        reading = asyncio.create_task(self._read(agent))
        try:
            await agent.gone()
        finally:
            reading.cancel()

    async def _read(self, agent: UserAgent) -> None:
        while True:
            self._happened(await agent.events.get())

    def _happened(self, event: Event) -> None:
        if isinstance(event, Text):
            self.received[event.text] += 1

    async def deliver(self, to: str, text: str) -> None:
        """Send *text* until it is answered with 200, as a user would who sees that it was not delivered."""
        while True:
            await self._up.wait()
            self.tries += 1
            with suppress(LinkLostError):
                if self.agent is not None and (await self.agent.message(to, text)).ok:
                    self.delivered.append(text)
                    return
            await asyncio.sleep(LOOK_AGAIN_S)

    async def refresh(self) -> None:
        """Register again on the same link; a link that ends meanwhile has a successor."""
        await self._up.wait()
        with suppress(LinkLostError):
            if self.agent is not None and (await self.agent.register()).ok:
                self.refreshes += 1
