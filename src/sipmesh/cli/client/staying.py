"""What `sipmesh register --stay` prints: registrations, messages, calls, and links that are gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sipmesh.cli.output import BAD, GOOD, QUIET, say, say_json_lines
from sipmesh.client.outcome import Text

if TYPE_CHECKING:
    from sipmesh.client.agent import UserAgent
    from sipmesh.client.answering import Event
    from sipmesh.client.call import Call
    from sipmesh.client.outcome import Outcome


class Staying:
    """The watcher of a registration; *tell* prints the first answer as `sipmesh register` does."""

    def __init__(self, tell: Callable[[UserAgent, Outcome], None], *, as_json: bool) -> None:
        self._tell, self._as_json = tell, as_json
        self._agent: UserAgent | None = None
        self._greeted = False
        self._calls: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Staying {self._agent!r}, {len(self._calls)} calls>"

    def close(self) -> None:
        """Wait for the end of no more calls."""
        for call in self._calls:
            call.cancel()

    def registered(self, agent: UserAgent, outcome: Outcome, seconds: int) -> None:
        """Tell the first registration in full, and later ones in one line."""
        until = f"{datetime.now(UTC) + timedelta(seconds=seconds):%H:%M:%S}Z"
        anew, self._agent = agent is not self._agent, agent
        if not self._greeted:
            self._greeted = True
            self._tell(agent, outcome)
            self._say(f"Registered for {seconds} s, until {until}.", GOOD, what="registered", seconds=seconds)
            self._say("Waiting for messages and calls. To stop: Ctrl-C", QUIET)
        elif anew:
            where = f"at {agent.link.remote[0]}:{agent.link.remote[1]}" if agent.link is not None else ""
            self._say(f"Registered again {where}, until {until}.", GOOD, what="registered", seconds=seconds)
        else:
            self._say(f"Refreshed, until {until}.", QUIET, what="refreshed", seconds=seconds)

    def event(self, event: Event) -> None:
        """Tell a message or a call."""
        if isinstance(event, Text):
            told: dict[str, Any] = {"from": event.sender, "identity": event.identity, "text": event.text}
            head = f"message from {event.sender}, identity asserted by the server: {event.identity or 'none'}"
            self._say(head, what="message", **told)
            self._say(f"  {event.text}")
            return
        told = {"from": event.remote, "identity": event.identity}
        self._say(
            f"call from {event.remote}, identity asserted by the server: {event.identity or 'none'}",
            what="call",
            **told,
        )
        task = asyncio.ensure_future(self._say_end(event))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _say_end(self, call: Call) -> None:
        await call.over()
        self._say(f"call with {call.remote} is over", what="call over", **{"from": call.remote})

    def lost(self, why: str, wait_s: float) -> None:
        """Tell that there is no registration for the moment."""
        self._say(f"NOT registered: {why}; next try in {wait_s:.1f} s", BAD, what="lost", why=why, wait_s=wait_s)

    def _say(self, line: str, style: str = "", **told: Any) -> None:
        if not self._as_json:
            say(line, style=style)
        elif told:
            say_json_lines([told])
