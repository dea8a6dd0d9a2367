"""One user's registration, kept: refreshed before it expires, and made anew when the link is gone (RFC 5626 section 4).

The agent itself sends keepalives and closes a link that answers none (section 4.4.1); a link that is gone takes its binding with
it at the server, so that the next one registers anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from sipmesh.client.agent import LinkLostError
from sipmesh.errors import RemoteError, SipmeshError
from sipmesh.sip.text import is_digits

if TYPE_CHECKING:
    from sipmesh.client.agent import UserAgent
    from sipmesh.client.answering import Event
    from sipmesh.client.outcome import Outcome
    from sipmesh.sip.message import Response

MARGIN_S: Final = 60.0
"""A refresh begins so long before the end: its answer may take timer F, which is 32 s."""

FINAL_REFUSALS: Final = frozenset({400, 401, 403, 404, 407, 420, 423})
"""Answers that the next try would get as well; to go on would only count as further failed logins."""

TOO_BRIEF: Final = 423
LONGEST_WAIT_S: Final = 3600.0


class Watcher(Protocol):
    """Hears what becomes of a registration."""

    def registered(self, agent: UserAgent, outcome: Outcome, seconds: int) -> None:
        """The server holds a binding of ours for so many *seconds* from now on."""

    def event(self, event: Event) -> None:
        """A message or a call has come in."""

    def lost(self, why: str, wait_s: float) -> None:
        """The link is gone, or could not be opened; the next try is in *wait_s* seconds."""


@dataclass(slots=True)
class RetryDelay:
    """How long to wait before the next try, as RFC 5626 section 4.5 has it, but with a shorter base for a tool of one user.

    *entropy* gives a number from 0 to 1: a wait is between half and all of the bound, so that many clients do not come at once.
    """

    entropy: Callable[[], float]
    base_s: float = 2.0
    most_s: float = 60.0
    failures: int = 0

    def next_s(self) -> float:
        """The wait after one more failure."""
        bound = min(self.most_s, self.base_s * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return bound * (0.5 + self.entropy() / 2)

    def reset(self) -> None:
        """The last try has succeeded."""
        self.failures = 0


class KeptRegistration:
    """Keeps one user registered. *connect* opens a link to a server that it may choose anew each time."""

    def __init__(
        self, connect: Callable[[], Awaitable[UserAgent]], expires_s: int, watcher: Watcher, backoff: RetryDelay
    ) -> None:
        self._connect, self._expires_s, self._watcher, self._backoff = connect, expires_s, watcher, backoff

    def __repr__(self) -> str:
        return f"<KeptRegistration for {self._expires_s} s, {self._backoff.failures} failures>"

    async def keep(self) -> Outcome:
        """Stay registered until a server refuses for good; gives that answer.

        Raises what refused the first link: only a registration that once was is worth waiting for.
        """
        agent: UserAgent | None = await self._connect()
        while True:
            why, wait_s = "", 0.0
            try:
                agent = agent or await self._connect()
                outcome, why = await self._hold(agent)
                if outcome is not None and outcome.status in FINAL_REFUSALS:
                    return outcome
                wait_s = retry_after_s(outcome.response) if outcome is not None else 0.0
            except SipmeshError as wrong:
                why = str(wrong)
            finally:
                if agent is not None:
                    await agent.close()
                agent = None
            wait_s = max(wait_s, self._backoff.next_s())
            self._watcher.lost(why, wait_s)
            await asyncio.sleep(wait_s)

    async def _hold(self, agent: UserAgent) -> tuple[Outcome | None, str]:
        """Register and refresh; gives the answer that was no success, or None with why the link is gone."""
        pump = asyncio.ensure_future(self._pump(agent))
        try:
            while (outcome := await self._register(agent)).ok:
                seconds = granted_s(outcome.response, agent.party.instance, self._expires_s)
                if not seconds:
                    raise LinkLostError(f"{outcome} names no registration of this client")
                self._backoff.reset()
                self._watcher.registered(agent, outcome, seconds)
                if await _gone_within(agent, refresh_in_s(seconds)):
                    return None, f"the link was closed: {agent.link.why if agent.link is not None else ''}"
            return outcome, f"the server answered {outcome}"
        finally:
            pump.cancel()
            with suppress(asyncio.CancelledError):
                await pump

    async def _register(self, agent: UserAgent) -> Outcome:
        """Register, and once more for as long as the server wants where it finds our time too short (RFC 3261 section 10.2.8)."""
        outcome = await agent.register(self._expires_s)
        least = _seconds(outcome.response.first("min-expires"))
        if outcome.status == TOO_BRIEF and least > self._expires_s:
            self._expires_s = least
            outcome = await agent.register(least)
        return outcome

    async def _pump(self, agent: UserAgent) -> None:
        while True:
            self._watcher.event(await agent.events.get())


def granted_s(response: Response, instance: str, asked_s: int) -> int:
    """For how many seconds the server holds our binding: the expires of our Contact, else Expires, else what we asked for.

    0 where the 200 lists contacts and ours is not among them (RFC 3261 section 10.2.4).
    """
    try:
        contacts = response.contacts
        ours = [one for one in contacts if one.param("+sip.instance") == instance]
        ours = ours or [one for one in contacts if one.param("+sip.instance") is None]
        if contacts and not ours:
            return 0
        named = ours[0].param("expires") if ours else None
        if named is None and response.expires is not None:
            return response.expires
        return asked_s if named is None else _seconds(named)
    except RemoteError:
        return 0


def refresh_in_s(granted: int) -> float:
    """When to refresh: a minute before the end, or at half the time where that is later."""
    return max(granted / 2, granted - MARGIN_S)


def retry_after_s(response: Response) -> float:
    """The wait that a server asks for, in seconds (RFC 3261 section 20.33); 0 where it says nothing."""
    said = (response.first("retry-after") or "").partition(";")[0].partition("(")[0]
    return min(float(_seconds(said)), LONGEST_WAIT_S)


def _seconds(text: str | None) -> int:
    """Digits as a number, 0 for anything else."""
    plain = (text or "").strip(" \t")
    return int(plain) if is_digits(plain) and len(plain) < 11 else 0  # noqa: PLR2004 - delta-seconds


async def _gone_within(agent: UserAgent, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await agent.gone()
    except TimeoutError:
        return False
    return True
