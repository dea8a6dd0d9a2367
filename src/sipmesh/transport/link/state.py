"""The states of a link, as a table: every input in every state."""

from __future__ import annotations

from enum import Enum
from typing import Final

from sipmesh.errors import LocalError


class LinkState(Enum):
    """The state of a link; UP and DRAINING are the states in which it delivers messages."""

    CONNECTING = "connecting"
    HANDSHAKE = "handshake"
    UP = "up"
    DRAINING = "draining"
    CLOSED = "closed"


class LinkInput(Enum):
    """What can happen to a link."""

    CONNECT = "connect"  # a TCP connection is being opened: to the first candidate, or to the next one
    GREET = "greet"  # the TLS handshake begins
    ACCEPT = "accept"  # the verdict on the peer accepts it
    REFUSE = "refuse"  # the verdict on the peer of an accepted link refuses it
    FAIL = "fail"  # no candidate is left, or the handshake has failed
    DRAIN = "drain"  # take no new message, write what waits, then close
    CLOSE = "close"  # for any other reason, by either side


# Used for every message: a module constant is faster than an attribute of the enum.
UP: Final = LinkState.UP
DRAINING: Final = LinkState.DRAINING
CLOSED: Final = LinkState.CLOSED

TRANSITIONS: Final[dict[tuple[LinkState, LinkInput], LinkState]] = {
    (LinkState.CONNECTING, LinkInput.CONNECT): LinkState.CONNECTING,
    (LinkState.CONNECTING, LinkInput.GREET): LinkState.HANDSHAKE,
    (LinkState.CONNECTING, LinkInput.FAIL): LinkState.CLOSED,
    (LinkState.CONNECTING, LinkInput.DRAIN): LinkState.CLOSED,
    (LinkState.CONNECTING, LinkInput.CLOSE): LinkState.CLOSED,
    (LinkState.HANDSHAKE, LinkInput.CONNECT): LinkState.CONNECTING,
    (LinkState.HANDSHAKE, LinkInput.ACCEPT): LinkState.UP,
    (LinkState.HANDSHAKE, LinkInput.REFUSE): LinkState.CLOSED,
    (LinkState.HANDSHAKE, LinkInput.FAIL): LinkState.CLOSED,
    (LinkState.HANDSHAKE, LinkInput.DRAIN): LinkState.CLOSED,
    (LinkState.HANDSHAKE, LinkInput.CLOSE): LinkState.CLOSED,
    (LinkState.UP, LinkInput.DRAIN): LinkState.DRAINING,
    (LinkState.UP, LinkInput.CLOSE): LinkState.CLOSED,
    (LinkState.DRAINING, LinkInput.DRAIN): LinkState.DRAINING,
    (LinkState.DRAINING, LinkInput.CLOSE): LinkState.CLOSED,
    # CLOSED: inputs that may still come after the link has ended.
    (LinkState.CLOSED, LinkInput.REFUSE): LinkState.CLOSED,
    (LinkState.CLOSED, LinkInput.FAIL): LinkState.CLOSED,
    (LinkState.CLOSED, LinkInput.DRAIN): LinkState.CLOSED,
    (LinkState.CLOSED, LinkInput.CLOSE): LinkState.CLOSED,
}


def state_after(state: LinkState, given: LinkInput) -> LinkState:
    """Return the state after *given*; raises LocalError for a pair that only a bug of ours can cause."""
    found = TRANSITIONS.get((state, given))
    if found is None:
        raise LocalError(f"{given.name} is impossible in {state.name}")
    return found
