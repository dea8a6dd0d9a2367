"""What one principal has under way on this server: branches that wait for an answer, and octets that are held for it."""

from __future__ import annotations

from typing import Final

BRANCH_OCTETS: Final = 4_096
"""What a branch takes beside the octets of its message: its transaction, its deadlines, the rows of its header."""


class Usage:
    """The counts of one principal, and how far they may go.

    *kind* is ``address``, ``user``, ``server`` or ``partner``, *name* the principal's name of that kind. *links* are its
    links that are up, *branches* those that wait for their final response, *octets* what its requests take until they are
    over. *within* is the account of the server that sends this principal's requests to us: it counts them as well. The
    counts are changed by whoever opens and ends these; nothing is looked up for a message of a client or a partner.
    """

    __slots__ = ("branches", "kind", "links", "most_branches", "most_octets", "name", "octets", "refused", "within")

    def __init__(self, kind: str, name: str, most_branches: int, most_octets: int, within: Usage | None = None) -> None:
        self.kind, self.name, self.within = kind, name, within
        self.most_branches, self.most_octets = most_branches, most_octets
        self.links = self.branches = self.octets = self.refused = 0

    def __repr__(self) -> str:
        return f"<Usage {self.kind} {self.name}: {self.links} links, {self.branches} branches, {self.octets} octets>"

    @property
    def full(self) -> bool:
        """Whether the principal has to wait until some of its requests are answered."""
        return self.branches >= self.most_branches or self.octets >= self.most_octets

    def add(self, branches: int, octets: int) -> None:
        """Count so many *branches* and *octets* more, or less, here and in the account that this one is within."""
        account: Usage | None = self
        while account is not None:
            account.branches += branches
            account.octets += octets
            account = account.within

    def first_full(self) -> Usage | None:
        """Give the account that is full: this one or one that it is within; None if each has room."""
        account: Usage | None = self
        while account is not None and not account.full:
            account = account.within
        return account

    @property
    def idle(self) -> bool:
        """Whether nothing is counted, so that it can be forgotten."""
        return not (self.links or self.branches or self.octets)


NOBODY: Final = Usage("nobody", "", 0, 0)
"""The account of a link whose peer is not known yet: it may send nothing on."""
