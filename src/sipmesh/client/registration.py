"""Keeps one user registered: refreshes the registration, and registers again when the link has closed (RFC 5626 4).

The agent sends keepalives, and closes a link without an answer to them (4.4.1). The server removes the binding of a closed
link, so the agent registers again on the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from sipmesh.client.agent import LinkLostError
from sipmesh.errors import RemoteError, SipmeshError
from sipmesh.sip.status import Status
from sipmesh.sip.text import is_digits

if TYPE_CHECKING:
    from sipmesh.client.agent import UserAgent
    from sipmesh.client.answering import Event
    from sipmesh.client.outcome import Outcome
    from sipmesh.sip.message import Response

MARGIN_S: Final = 60.0
"""A refresh starts this many seconds before the end: its response may take timer F, which is 32 s."""

FINAL_REFUSALS: Final = frozenset({400, 401, 403, 404, 407, 420, 423})
"""Responses that the next attempt would get too; further attempts would only be further failed logins."""

LONGEST_WAIT_S: Final = 3600.0


class Watcher(Protocol):
    """Receives the state of a registration."""

    def registered(self, agent: UserAgent, outcome: Outcome, seconds: int) -> None:
        """The server has stored our binding for *seconds* from now on."""

    def event(self, event: Event) -> None:
        """A message or a call has arrived."""

    def lost(self, why: str, wait_s: float) -> None:
        """The link has closed, or could not be opened; the next attempt is in *wait_s* seconds."""


@dataclass(slots=True)
class RetryDelay:
    """The wait before the next attempt (RFC 5626 4.5), but with a shorter base, for a tool of one user.

    *entropy* returns a number from 0 to 1: a wait is between half and all of its bound, so that clients spread out.
    """

    entropy: Callable[[], float]
    base_s: float = 2.0
    most_s: float = 60.0
    failures: int = 0

    def next_s(self) -> float:
        """Return the wait in seconds after one more failure."""
        bound = min(self.most_s, self.base_s * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return bound * (0.5 + self.entropy() / 2)

    def reset(self) -> None:
        """The last attempt has succeeded."""
        self.failures = 0


class KeptRegistration:
    """Keeps one user registered. *connect* opens a link to a server, which may be another one each time."""

    def __init__(
        self, connect: Callable[[], Awaitable[UserAgent]], expires_s: int, watcher: Watcher, backoff: RetryDelay
    ) -> None:
        self._connect, self._expires_s, self._watcher, self._backoff = connect, expires_s, watcher, backoff

    async def keep(self) -> Outcome:
        """Stay registered until a server refuses finally; returns that response.

        Raises the error of the first link: retries start only after a first link.
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
        """Register and refresh; return the response that was no success, or None with the reason why the link closed."""
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
        """Register; after a 423 register again for the time that the server wants (RFC 3261 10.2.8)."""
        outcome = await agent.register(self._expires_s)
        least = _seconds(outcome.response.first("min-expires"))
        if outcome.status == Status.INTERVAL_TOO_BRIEF and least > self._expires_s:
            self._expires_s = least
            outcome = await agent.register(least)
        return outcome

    async def _pump(self, agent: UserAgent) -> None:
        while True:
            self._watcher.event(await agent.events.get())


def granted_s(response: Response, instance: str, asked_s: int) -> int:
    """Return the seconds of our binding: the expires of our Contact, else Expires, else what we asked for.

    0 if the 200 lists contacts and ours is not among them (RFC 3261 10.2.4).
    """
    try:
        contacts = response.contacts
        ours = [contact for contact in contacts if contact.param("+sip.instance") == instance]
        ours = ours or [contact for contact in contacts if contact.param("+sip.instance") is None]
        if contacts and not ours:
            return 0
        named = ours[0].param("expires") if ours else None
        if named is None and response.expires is not None:
            return response.expires
        return asked_s if named is None else _seconds(named)
    except RemoteError:
        return 0


def refresh_in_s(granted: int) -> float:
    """Return the seconds until the refresh: a minute before the end, or half of the time if that is later."""
    return max(granted / 2, granted - MARGIN_S)


def retry_after_s(response: Response) -> float:
    """Return the wait that a server asks for, in seconds (RFC 3261 20.33); 0 if it asks for none."""
    value = (response.first("retry-after") or "").partition(";")[0].partition("(")[0]
    return min(float(_seconds(value)), LONGEST_WAIT_S)


def _seconds(text: str | None) -> int:
    """Return digits as a number, 0 for any other text."""
    plain = (text or "").strip(" \t")
    return int(plain) if is_digits(plain) and len(plain) < 11 else 0  # noqa: PLR2004 - delta-seconds


async def _gone_within(agent: UserAgent, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await agent.gone()
    except TimeoutError:
        return False
    return True
