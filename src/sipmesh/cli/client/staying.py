"""What `sipmesh register --stay` prints: registrations, messages, calls, and lost links."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from sipmesh.cli.output import BAD, GOOD, QUIET, say, say_json_lines
from sipmesh.client.outcome import Text

if TYPE_CHECKING:
    from sipmesh.client.agent import UserAgent
    from sipmesh.client.answering import Event
    from sipmesh.client.call import Call
    from sipmesh.client.outcome import Outcome


Sender = Annotated[str, Field(validation_alias="from")]


@dataclass(frozen=True, slots=True)
class RegistrationReport:
    """A registration that was made or refreshed; it lasts so many *seconds*."""

    what: str
    seconds: int


@dataclass(frozen=True, slots=True)
class LossReport:
    """A lost registration; the next try is in *wait_s* seconds."""

    what: str
    why: str
    wait_s: float


@dataclass(frozen=True, slots=True)
class MessageReport:
    """A message that has arrived; *identity* is the identity that the server has asserted, None if none."""

    what: str
    from_: Sender
    identity: str | None
    text: str


@dataclass(frozen=True, slots=True)
class CallReport:
    """A call that has arrived; *identity* is the identity that the server has asserted, None if none."""

    what: str
    from_: Sender
    identity: str | None


@dataclass(frozen=True, slots=True)
class CallEndReport:
    """A call that is over."""

    what: str
    from_: Sender


class Staying:
    """The printer of the events of a registration; *tell* prints the first response as `sipmesh register` does."""

    def __init__(self, tell: Callable[[UserAgent, Outcome], None], *, as_json: bool) -> None:
        self._tell, self._as_json = tell, as_json
        self._agent: UserAgent | None = None
        self._greeted = False
        self._calls: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """Stop waiting for the ends of calls."""
        for call in self._calls:
            call.cancel()

    def registered(self, agent: UserAgent, outcome: Outcome, seconds: int) -> None:
        """Print the first registration in full, and a later one in one line; *seconds* is how long it lasts."""
        until = f"{datetime.now(UTC) + timedelta(seconds=seconds):%H:%M:%S}Z"
        anew, self._agent = agent is not self._agent, agent
        if not self._greeted:
            self._greeted = True
            self._tell(agent, outcome)
            self._say(f"Registered for {seconds} s, until {until}.", GOOD, RegistrationReport("registered", seconds))
            self._say("Waiting for messages and calls. To stop: Ctrl-C", QUIET)
        elif anew:
            where = f"at {agent.link.remote[0]}:{agent.link.remote[1]}" if agent.link is not None else ""
            self._say(f"Registered again {where}, until {until}.", GOOD, RegistrationReport("registered", seconds))
        else:
            self._say(f"Refreshed, until {until}.", QUIET, RegistrationReport("refreshed", seconds))

    def event(self, event: Event) -> None:
        """Print a message or a call."""
        if isinstance(event, Text):
            head = f"message from {event.sender}, identity asserted by the server: {event.identity or 'none'}"
            self._say(head, report=MessageReport("message", event.sender, event.identity, event.text))
            self._say(f"  {event.text}")
            return
        head = f"call from {event.remote}, identity asserted by the server: {event.identity or 'none'}"
        self._say(head, report=CallReport("call", event.remote, event.identity))
        task = asyncio.ensure_future(self._say_end(event))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _say_end(self, call: Call) -> None:
        await call.over()
        self._say(f"call with {call.remote} is over", report=CallEndReport("call over", call.remote))

    def lost(self, why: str, wait_s: float) -> None:
        """Print that the registration is lost, and when the next try is."""
        line = f"NOT registered: {why}; next try in {wait_s:.1f} s"
        self._say(line, BAD, LossReport("lost", why, wait_s))

    def _say(self, line: str, style: str = "", report: object = None) -> None:
        """Print a line, or with --json its *report*; a line without a report is for people only."""
        if not self._as_json:
            say(line, style=style)
        elif report is not None:
            say_json_lines([report])
