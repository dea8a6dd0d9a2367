"""Ends the sessions of operators who have left as users: disabled, removed or renamed, by hand, by a directory or by SCIM."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sipmesh.errors import SipmeshError
from sipmesh.server.console.access.account import accounts_of
from sipmesh.server.process.off_loop import off_loop

if TYPE_CHECKING:
    from sipmesh.server.console.access.operator import Operators, Session
    from sipmesh.server.log import Log
    from sipmesh.topology.document.load import Loaded

LOOK_S: Final = 1.0
"""Seconds between two looks at the accounts, while an operator with an account has a session."""

LONGEST_SILENCE_S: Final = 60.0
"""Seconds after which these sessions end if the user database cannot be asked: it is not known then who has left."""


class Leavers:
    """Looks after the sessions of *operators*; *loaded* returns the topology in force, *clock* seconds that never go back."""

    def __init__(
        self, loaded: Callable[[], Loaded], operators: Operators, clock: Callable[[], float], log: Log
    ) -> None:
        self._loaded, self._operators, self._clock, self._log = loaded, operators, clock, log
        self._asked_at = clock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look from now on."""
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self) -> None:
        """End the looks."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """End the session of each operator whose account is not what it was at the log-in."""
        held = {account.user for account in self._operators.accounts()}
        if not held:
            self._asked_at = self._clock()
            return
        try:
            found = await off_loop(accounts_of, self._loaded(), held)
        except SipmeshError as wrong:
            if self._clock() - self._asked_at < LONGEST_SILENCE_S:
                return
            found, why = {}, f"the user database cannot be asked: {wrong}"
        else:
            self._asked_at, why = self._clock(), "the account is not that of the log-in any more"

        def has_left(session: Session) -> bool:
            account = session.login.account
            return account is not None and account.user in held and found.get(account.user) != account

        for ended in self._operators.end(has_left):
            self._log.info("operator logged out", who=ended.login.owner, why=why)
