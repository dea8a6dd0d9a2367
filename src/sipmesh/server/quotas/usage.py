"""What one principal uses on this server: branches that wait for a final response, and octets in memory."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final, Protocol

from sipmesh.routing.overload import PARTS_OF_SERVER, PARTS_OF_USER, Demand

if TYPE_CHECKING:
    from sipmesh.transport.link.link import Link

BRANCH_OCTETS: Final = 4_096
"""Octets that a branch takes beside its message: its transaction, its deadlines, the rows of its header."""


STEPS: Final = 16
"""A change of a limit's sixteenth is sent to the other processes of this server: they refuse by the sum. See `steps_among`."""


def steps_among(processes: int) -> int:
    """Return how many steps a limit has among so many processes: what all of them do not tell is half of it at most."""
    return max(STEPS, 2 * processes)


class CountedLink(Protocol):
    """What is counted of a flow: its link, the users who have logged in on it, and its account."""

    link: Link
    account: Usage

    @property
    def logged_in(self) -> frozenset[str]:
        """The addresses of record that logged in on this link, here or at another pool."""


class UsageObserver:
    """Gets every change of an account by one step; the other processes of this server count it.

    *steps* is how many steps a limit has.
    """

    steps: int = STEPS

    def changed(self, account: Usage) -> None:
        """The counts of *account* differ by a step from the counts that were sent last."""
        raise NotImplementedError

    def logged_in(self, flow: CountedLink, user: str) -> None:
        """A *user* has logged in on a link."""
        raise NotImplementedError

    def addressed(self, partner: str, finder: int, user: int) -> None:
        """A partner has addressed one user more: the hashes of the sender and of the user."""
        raise NotImplementedError


class Usage:
    """The counts of one principal, and their limits.

    *kind* is ``address``, ``user``, ``server`` or ``partner``; *name* is the principal's name. *links* are its links that
    are up. *branches* are those that wait for their final response. *octets* are in memory until its requests are over.
    *demand* is what it asks for under overload. *within* is the account of the server that sends this principal's requests to
    us; it counts them too. *elsewhere* are the counts at other processes of this server; *observer* tells them ours, and
    *told* are those that it told last. Callers change the counts when they open and end links and branches; a message of a
    client or a partner needs no look-up.
    """

    __slots__ = (
        "branches",
        "branches_elsewhere",
        "branches_told",
        "demand",
        "kind",
        "links",
        "most_branches",
        "most_octets",
        "name",
        "observer",
        "octets",
        "octets_elsewhere",
        "octets_told",
        "refused",
        "within",
    )

    def __init__(self, kind: str, name: str, most_branches: int, most_octets: int, within: Usage | None = None) -> None:
        self.kind, self.name, self.within = kind, name, within
        self.most_branches, self.most_octets = most_branches, most_octets
        self.links = self.branches = self.octets = self.refused = 0
        self.branches_elsewhere = self.branches_told = self.octets_elsewhere = self.octets_told = 0
        self.observer: UsageObserver | None = None
        self.demand = Demand(PARTS_OF_SERVER if kind == "server" else PARTS_OF_USER)

    @property
    def full(self) -> bool:
        """Whether new requests are refused until some of the principal's requests are answered."""
        return (
            self.branches + self.branches_elsewhere >= self.most_branches
            or self.octets + self.octets_elsewhere >= self.most_octets
        )

    @property
    def percent(self) -> int:
        """How much of the limit that is used most is used, at all processes of the server."""
        branches = (self.branches + self.branches_elsewhere) / max(self.most_branches, 1)
        octets = (self.octets + self.octets_elsewhere) / max(self.most_octets, 1)
        return min(ceil(100 * max(branches, octets)), 100)

    def add(self, branches: int, octets: int) -> None:
        """Add *branches* and *octets*, which may be negative, to this account and to those that it is within."""
        account: Usage | None = self
        while account is not None:
            account.branches += branches
            account.octets += octets
            if account.observer is not None:
                account.tell(account.observer)
            account = account.within

    def tell(self, observer: UsageObserver) -> None:
        """Tell the counts if they differ by a step, or are zero again; this runs for each change, so it does not call `abs`."""
        branches, octets = self.branches - self.branches_told, self.octets - self.octets_told
        if branches < 0:
            branches = -branches
        if octets < 0:
            octets = -octets
        is_over = self.branches == 0 and self.octets == 0 and (self.branches_told != 0 or self.octets_told != 0)
        steps = observer.steps
        if is_over or branches * steps >= self.most_branches or octets * steps >= self.most_octets:
            self.branches_told, self.octets_told = self.branches, self.octets
            observer.changed(self)

    def first_full(self) -> Usage | None:
        """Return the first full account: this one, or an account that it is within; None if no account is full."""
        account: Usage | None = self
        while account is not None and not account.full:
            account = account.within
        return account

    @property
    def idle(self) -> bool:
        """Whether nothing is counted, so that the account can be forgotten."""
        return not (self.links or self.branches or self.octets)


NOBODY: Final = Usage("nobody", "", 0, 0)
"""The account of a link whose peer is not known yet: it may send nothing."""
