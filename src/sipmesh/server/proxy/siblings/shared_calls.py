"""Calls between phones at two processes of this server: each of both processes knows of the call, and hears of its end.

A phone's link is kept while a call is up on it. So the process of the callee's link must know of a call whose INVITE another
process has forwarded; and the process that counts the call must hear of a BYE that passes another one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from sipmesh.server.proxy.siblings.channel import CALL, CALL_ENDED
from sipmesh.server.proxy.siblings.shared_state import SharedState

if TYPE_CHECKING:
    from sipmesh.server.proxy.call_table import CallTable
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.siblings.siblings import Siblings


class SharedCalls(SharedState):
    """Tells the other processes of the *calls* of this one, and *calls* of theirs; *clock* gives loop time in seconds."""

    __slots__ = ("_calls", "_clock", "_siblings")

    def __init__(self, siblings: Siblings, calls: CallTable, clock: Callable[[], float]) -> None:
        self._siblings, self._calls, self._clock = siblings, calls, clock
        calls.began_across, calls.ended_anywhere = self.began, self.ended
        siblings.share(self, CALL, CALL_ENDED)

    def __repr__(self) -> str:
        return f"<SharedCalls of {self._siblings!r}>"

    def began(self, key: str, callee: Flow) -> None:
        """Tell the process that has the link of *callee*."""
        self._siblings.tell_process_of(callee.link, CALL, json.dumps(key).encode())

    def ended(self, key: str) -> None:
        """Tell every process. Any of them may count the call, since phones change their links."""
        self._siblings.tell_all(CALL_ENDED, 0, json.dumps(key).encode())

    def told(self, process: int, kind: int, number: int, payload: bytes) -> None:  # noqa: ARG002 - any process may say it
        """A call with a phone here has begun at another process, or a BYE has passed there."""
        key = str(json.loads(payload))
        if kind == CALL:
            self._calls.began_elsewhere(key, number, self._clock())
        else:
            self._calls.ended_elsewhere(key)
