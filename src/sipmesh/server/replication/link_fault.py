"""Why no link to a peer works: the code of the verdict that refused it, or the cause that kept it from being judged."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

from sipmesh.trust.code import Code

if TYPE_CHECKING:
    from sipmesh.transport.link.link import Link


class Cause(StrEnum):
    """Why something does not work about which no verdict decides. Beside them, the code of a fault is that of a verdict."""

    NOT_STARTED = "not-started"
    PORT_REFUSES = "port-refuses"
    NO_ADDRESS = "no-address"
    NO_ROUTE = "no-route"
    NO_ANSWER = "no-answer"
    SILENT = "silent"
    CALLS_REFUSED = "calls-refused"
    LOGIN_FAILS = "login-fails"
    CRL_EXPIRED = "crl-expired"
    CLOCK = "clock"
    STORE = "store"
    RTPENGINE = "rtpengine"
    RESTART = "restart"


OUT_OF_REACH: Final = frozenset({Cause.PORT_REFUSES, Cause.NO_ADDRESS, Cause.NO_ROUTE})
"""Causes that show at once that no server listens."""

_SAID: Final = {
    os.strerror(errno.ECONNREFUSED): Cause.PORT_REFUSES,
    " has no address": Cause.NO_ADDRESS,
    " cannot be reached": Cause.NO_ROUTE,
}
"""What `transport.connector` says of a dial that has failed, the most exact text first."""


@dataclass(frozen=True, slots=True)
class LinkFault:
    """*why* no link works, with its *code*: that of the verdict, or a `Cause` if no verdict has refused the link.

    *ahead_s* are the seconds by which the clock of the peer is ahead of ours, as two handshakes have shown; 0.0 if unknown.
    """

    why: str
    code: str
    ahead_s: float = 0.0

    @classmethod
    def of(cls, link: Link, why: str, ahead_s: float = 0.0) -> Self:
        """Return the fault of a *link* that has closed, or that gave no answer; *why* is what was seen."""
        verdict = link.verdict
        if verdict is None or verdict.code is Code.ACCEPTED:
            return cls(why, next((cause for said, cause in _SAID.items() if said in why), Cause.NO_ANSWER), ahead_s)
        saw = verdict.reason.saw if verdict.reason is not None else why
        return cls(f"{verdict.code}: {saw}", str(verdict.code), ahead_s)
