"""The words of the transaction tables: states, inputs, and what is to be done; numbers, since they are looked up."""

from __future__ import annotations

from enum import IntEnum, auto

from sipmesh.errors import LocalError


class TransactionState(IntEnum):
    """States of RFC 3261 figures 5 to 8 and RFC 6026 7.

    COMPLETED stands only in a server's INVITE transaction: everywhere else it lasts for timers D, J and K, and those
    are zero on reliable links. CONFIRMED lasts for timer I, which is zero too, so it does not stand at all.
    """

    CALLING = auto()
    TRYING = auto()
    PROCEEDING = auto()
    ACCEPTED = auto()
    COMPLETED = auto()
    TERMINATED = auto()


class Input(IntEnum):
    """What can happen to a transaction."""

    REQUEST = auto()  # a copy of the request that made it
    ACK = auto()
    PROVISIONAL = auto()  # 1xx
    SUCCESS = auto()  # 2xx
    FAILURE = auto()  # 300-699
    TIMER_B = auto()
    TIMER_F = auto()
    TIMER_H = auto()
    TIMER_L = auto()
    TIMER_M = auto()
    GIVE_UP = auto()  # timer C of a proxy (16.8), or 64*T1 after a CANCEL without an answer (9.1)
    LINK_LOST = auto()  # the link that carries it is gone, or would not take the bytes (17.1.4, 17.2.4)


def of_status(status: int) -> Input:
    """Sort a response by its status."""
    if status < 200:  # noqa: PLR2004 - RFC 3261 7.2
        return Input.PROVISIONAL
    return Input.SUCCESS if status < 300 else Input.FAILURE  # noqa: PLR2004 - RFC 3261 7.2


class Do(IntEnum):
    """What the caller does now."""

    NOTHING = auto()
    SEND = auto()  # write the response that came with this input
    RESEND = auto()  # write the last response again
    PASS = auto()  # hand the message to the core: the proxy, the registrar, our own client
    ACK = auto()  # write an ACK for this refusal (ack_for), then hand it to the core
    FAIL = auto()  # tell the core that no answer comes: 408 after a timer, 503 after a lost link


def step(
    table: dict[tuple[TransactionState, Input], tuple[TransactionState, Do]], state: TransactionState, given: Input
) -> tuple[TransactionState, Do]:
    """Look one transition up; LocalError for a pair that only a fault of our own can bring about."""
    try:
        return table[state, given]
    except KeyError:
        raise LocalError(f"{given.name} is impossible in {state.name}") from None
