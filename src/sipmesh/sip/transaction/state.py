"""The states, inputs and actions of the transaction tables. They are integers, because integers are fast to look up."""

from __future__ import annotations

from enum import IntEnum, auto

from sipmesh.errors import LocalError
from sipmesh.sip.status import FIRST_FINAL, FIRST_REDIRECTION


class TransactionState(IntEnum):
    """States of RFC 3261 figures 5 to 8 and RFC 6026 7.

    Only the server INVITE transaction has COMPLETED. Elsewhere it lasts for timer D, J or K, which are zero on reliable
    transports. CONFIRMED lasts for timer I, which is zero too, so it is left out.
    """

    CALLING = auto()
    TRYING = auto()
    PROCEEDING = auto()
    ACCEPTED = auto()
    COMPLETED = auto()
    TERMINATED = auto()


class Input(IntEnum):
    """The events of a transaction."""

    REQUEST = auto()  # a retransmission of the request
    ACK = auto()
    PROVISIONAL = auto()  # 1xx
    SUCCESS = auto()  # 2xx
    FAILURE = auto()  # 300-699
    TIMER_B = auto()
    TIMER_F = auto()
    TIMER_H = auto()
    TIMER_L = auto()
    TIMER_M = auto()
    GIVE_UP = auto()  # timer C of a proxy (16.8), or no response for 64*T1 after a CANCEL (9.1)
    LINK_LOST = auto()  # the link is closed, or did not accept the bytes (17.1.4, 17.2.4)


def of_status(status: int) -> Input:
    """Give the input of a response with that status."""
    if status < FIRST_FINAL:
        return Input.PROVISIONAL
    return Input.SUCCESS if status < FIRST_REDIRECTION else Input.FAILURE


class Do(IntEnum):
    """The action that the caller takes."""

    NOTHING = auto()
    SEND = auto()  # write the response that came with this input
    RESEND = auto()  # write the last response again
    PASS = auto()  # hand the message to the core: the proxy, the registrar, our own client
    ACK = auto()  # send an ACK for this response (ack_for), then hand the response to the core
    FAIL = auto()  # tell the core that no response will come: 408 after a timer, 503 after a lost link


def step(
    table: dict[tuple[TransactionState, Input], tuple[TransactionState, Do]], state: TransactionState, given: Input
) -> tuple[TransactionState, Do]:
    """Look up one transition; LocalError for a pair that is not in the table, which is a bug."""
    try:
        return table[state, given]
    except KeyError:
        raise LocalError(f"{given.name} is impossible in {state.name}") from None
