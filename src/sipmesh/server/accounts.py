"""Every principal of one server and what it takes: links, branches and octets, each within limits of its own."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from sipmesh.routing.budget import Budget
from sipmesh.routing.failures import network_of
from sipmesh.server.account import NOBODY, Account
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.server.neighbours import Neighbours
    from sipmesh.server.session import Session
    from sipmesh.transport.limits import Limits
    from sipmesh.transport.link import Link


DISPLACED: Final = "a newer link from its address took its place: nobody had logged in on it"


class Accounts:
    """Gives each link the account that it counts on: its address's until a user has logged in on it, then the user's.

    A link of a server or a partner counts for the name that its certificate has proved. *strangers* are the links of
    clients that nobody has logged in on, by address; *of_users* the others, by user.
    """

    def __init__(self, limits: Limits, neighbours: Neighbours) -> None:
        self._limits, self._neighbours = limits, neighbours
        self._held: dict[tuple[str, str], Account] = {}
        self.strangers: Budget[Link] = Budget(limits.strangers_per_address, limits.strangers_in_all)
        self.of_users: Budget[Link] = Budget(limits.links_per_user, 1 << 31)
        self.refused: Counter[str] = Counter()  # requests that got 503 since the start, by kind of principal

    def __repr__(self) -> str:
        return f"<Accounts of {len(self._held)} principals, {self.strangers!r}, {self.of_users!r}>"

    def __len__(self) -> int:
        return len(self._held)

    def came_up(self, session: Session) -> None:
        """Count a link whose peer was accepted."""
        link = session.link
        if session.account is not NOBODY:
            return
        if link.kind is LinkKind.CLIENT:
            address = network_of(link.remote[0])
            self._move(session, self._account("address", address, server=False))
            displaced = self.strangers.add(address, link)
            if displaced is not None:
                displaced.close(DISPLACED)
        else:
            self._neighbours.proved(link.remote[0])
            kind = "partner" if link.kind is LinkKind.PARTNER else "server"
            self._move(session, self._account(kind, link.peer_name, server=True))

    def proved(self, session: Session, user: str) -> None:
        """Count a link for the *user* who has logged in on it; for the first one, where there are several."""
        if session.account.kind == "address":
            self.strangers.remove(session.account.name, session.link)
            self._move(session, self._account("user", user, server=False))
        displaced = self.of_users.add(user, session.link)
        if displaced is not None:
            displaced.close("a newer link of its user took its place")

    def set_aside(self, session: Session) -> None:
        """Count a link among the strangers no more: its attempt to log in waits, and such attempts are counted apart."""
        self.strangers.remove(session.account.name, session.link)

    def take_back(self, session: Session) -> None:
        """Count a link among the strangers again, once its attempt to log in has waited."""
        if session.account.kind == "address":
            displaced = self.strangers.add(session.account.name, session.link)
            if displaced is not None:
                displaced.close(DISPLACED)

    def gone(self, session: Session) -> None:
        """A link is closed; what it has sent on counts until it is answered."""
        self.strangers.remove(session.account.name, session.link)
        for user in session.users:
            self.of_users.remove(user, session.link)
        self._move(session, NOBODY)

    def make_room(self) -> bool:
        """Close the oldest link without a login of the address that has most; False where there is none."""
        displaced = self.strangers.displace_one()
        if displaced is None:
            return False
        displaced.close("its descriptor was needed: nobody had logged in on it")
        return True

    def refuse(self, account: Account) -> None:
        """Count a request that was refused because its principal has too much under way."""
        account.refused += 1
        self.refused[account.kind] += 1

    def sweep(self) -> None:
        """Forget principals that have nothing here any more."""
        for key in [key for key, account in self._held.items() if account.idle]:
            del self._held[key]

    def fullest(self) -> dict[str, Account]:
        """Give for each kind of principal the account with the most branches, for the figures."""
        found: dict[str, Account] = {}
        for account in self._held.values():
            if account.kind not in found or account.branches > found[account.kind].branches:
                found[account.kind] = account
        return found

    def _account(self, kind: str, name: str, *, server: bool) -> Account:
        held = self._held.get((kind, name))
        if held is None:
            limits = self._limits
            branches = limits.branches_per_server if server else limits.branches_per_user
            octets = limits.octets_per_server if server else limits.octets_per_user
            held = self._held[kind, name] = Account(kind, name, branches, octets)
        return held

    @staticmethod
    def _move(session: Session, account: Account) -> None:
        if session.account is not NOBODY:
            session.account.links -= 1
        session.account = account
        if account is not NOBODY:
            account.links += 1
