"""Every principal of one server and what it takes: links, branches and octets, each within limits of its own."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from sipmesh.routing.authentication.backoff import network_of
from sipmesh.routing.budget import Budget
from sipmesh.server.quotas.usage import NOBODY, Usage
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.server.quotas.known_addresses import KnownAddresses
    from sipmesh.sip.message import Request
    from sipmesh.transport.limits import Limits
    from sipmesh.transport.link.link import Link


LOGIN_STEPS: Final = 2
"""A login takes two requests: a link may take `Limits.slow_s` for each before another link gets its place."""

DISPLACED: Final = "closed at a limit, without a login: a newer link from its address replaced it"


class CountedLink(Protocol):
    """What is counted of a flow: its link, the users who have logged in on it, and the account that it counts on."""

    link: Link
    account: Usage

    @property
    def users(self) -> frozenset[str]:
        """The addresses of record that were proved on this link."""


class Principals:
    """Gives each link the account that it counts on: its address's until a user has logged in on it, then the user's.

    A link of a server or a partner counts for the name that its certificate has proved. *strangers* are the links of
    clients that nobody has logged in on, by address; *of_users* the others, by user. A link of a server of ours carries
    requests of many: each user, and each partner, has an account of its own within that of the server. *partner_of* gives
    the name of the partner that a domain belongs to, or nothing.
    """

    def __init__(
        self,
        limits: Limits,
        neighbours: KnownAddresses,
        partner_of: Callable[[str], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits, self._neighbours, self._partner_of, self._clock = limits, neighbours, partner_of, clock
        self._held: dict[tuple[str, str], Usage] = {}
        self._carried: dict[tuple[str, str], Usage] = {}  # by server, and by identity or domain
        self.strangers: Budget[Link] = Budget(limits.strangers_per_address, limits.strangers_in_all)
        self.of_users: Budget[Link] = Budget(limits.links_per_user, 1 << 31)
        self.refused: Counter[str] = Counter()  # requests that got 503 since the start, by kind of principal

    def __repr__(self) -> str:
        return f"<Principals of {len(self)} principals, {self.strangers!r}, {self.of_users!r}>"

    def __len__(self) -> int:
        return len(self._held) + len(self._carried)

    def came_up(self, flow: CountedLink) -> None:
        """Count a link whose peer was accepted."""
        link = flow.link
        if flow.account is not NOBODY:
            return
        if link.kind is LinkKind.CLIENT:
            address = network_of(link.remote[0])
            self._move(flow, self._account("address", address))
            displaced = self.strangers.add(address, link)
            if displaced is not None:
                displaced.close(DISPLACED)
        else:
            self._neighbours.proved(link.remote[0])
            kind = "partner" if link.kind is LinkKind.PARTNER else "server"
            self._move(flow, self._account(kind, link.peer_name))

    def proved(self, flow: CountedLink, user: str) -> None:
        """Count a link for the *user* who has logged in on it; for the first one, where there are several."""
        if flow.account.kind == "address":
            self.strangers.remove(flow.account.name, flow.link)
            self._move(flow, self._account("user", user))
        displaced = self.of_users.add(user, flow.link)
        if displaced is not None:
            displaced.close("closed at a limit: a newer link of its user replaced it")

    def carried(self, server: Usage, identity: str | None, request: Request) -> Usage:
        """Give the account of a request that a server of ours has sent: of its *identity*, within that of the server.

        Without an identity it is that of the domain in From, which a partner's edge has checked; all domains that are
        no partner's have one together, since anybody may write them.
        """
        account = self._carried.get((server.name, identity or ""))
        if account is not None and identity is not None:
            return account
        domain = identity.rpartition("@")[2] if identity is not None else domain_of(request)
        partner = self._partner_of(domain)
        within = self._carried_for(server, "partner", partner) if partner else server
        if partner and identity is None:
            return within
        return self._carried_for(within, "user", identity or "", server)

    def _carried_for(self, within: Usage, kind: str, name: str, server: Usage | None = None) -> Usage:
        server = server or within
        account = self._carried.get((server.name, name))
        if account is None:
            told = f"{name or 'without an identity'} through {server.name}"
            account = self._carried[server.name, name] = Usage(kind, told, *self._most(kind), within)
        return account

    def set_aside(self, flow: CountedLink) -> None:
        """Count a link among the strangers no more: its attempt to log in waits, and such attempts are counted apart."""
        self.strangers.remove(flow.account.name, flow.link)

    def take_back(self, flow: CountedLink) -> None:
        """Count a link among the strangers again, once its attempt to log in has waited."""
        if flow.account.kind == "address":
            displaced = self.strangers.add(flow.account.name, flow.link)
            if displaced is not None:
                displaced.close(DISPLACED)

    def gone(self, flow: CountedLink) -> None:
        """A link is closed; what it has sent on counts until it is answered."""
        self.strangers.remove(flow.account.name, flow.link)
        for user in flow.users:
            self.of_users.remove(user, flow.link)
        self._move(flow, NOBODY)

    def has_room(self, address: str, coming: int, coming_in_all: int) -> bool:
        """Tell whether another link without a login may come up from *address*, which has *coming* handshakes.

        So a phone whose login is under way is not closed for the next one. Where there is no room, the oldest link gives way
        if it has had its time to log in.
        """
        strangers, limits = self.strangers, self._limits
        if strangers.count(address) + coming >= limits.strangers_per_address:
            return self._displace_slow(address)
        if len(strangers) + coming_in_all >= limits.strangers_in_all:
            return any(self._displace_slow(principal) for principal, _ in strangers.oldest_of_each())
        return True

    def _displace_slow(self, address: str) -> bool:
        """Close the oldest link without a login of *address*, if it has had its time to log in."""
        oldest = self.strangers.oldest(address)
        if oldest is None or self._clock() - oldest.opened_at < LOGIN_STEPS * self._limits.slow_s:
            return False
        self.strangers.displace(address)
        oldest.close(DISPLACED)
        return True

    def make_room(self) -> bool:
        """Close the oldest link without a login of the address that has most; False where there is none.

        A link that has not had its time to log in stays.
        """
        now, patience = self._clock(), LOGIN_STEPS * self._limits.slow_s
        for address, oldest in self.strangers.oldest_of_each():
            if now - oldest.opened_at >= patience:
                self.strangers.displace(address)
                oldest.close("closed at a limit, without a login: its file descriptor was needed")
                return True
        return False

    def refuse(self, account: Usage) -> None:
        """Count a request that was refused because its principal has too much under way."""
        account.refused += 1
        self.refused[account.kind] += 1

    def sweep(self) -> None:
        """Forget principals that have nothing here any more."""
        for accounts in (self._held, self._carried):
            for key in [key for key, account in accounts.items() if account.idle]:
                del accounts[key]

    def fullest(self) -> dict[str, Usage]:
        """Give for each kind of principal the account with the most branches, for the figures."""
        found: dict[str, Usage] = {}
        for account in (*self._held.values(), *self._carried.values()):
            if account.kind not in found or account.branches > found[account.kind].branches:
                found[account.kind] = account
        return found

    def _account(self, kind: str, name: str) -> Usage:
        account = self._held.get((kind, name))
        if account is None:
            account = self._held[kind, name] = Usage(kind, name, *self._most(kind))
        return account

    def _most(self, kind: str) -> tuple[int, int]:
        """Tell how many branches and octets a principal of *kind* may have."""
        limits = self._limits
        if kind == "server":
            return limits.branches_per_server, limits.octets_per_server
        if kind == "partner":
            return limits.branches_per_partner, limits.octets_per_partner
        return limits.branches_per_user, limits.octets_per_user

    @staticmethod
    def _move(flow: CountedLink, account: Usage) -> None:
        if flow.account is not NOBODY:
            flow.account.links -= 1
        flow.account = account
        if account is not NOBODY:
            account.links += 1


def domain_of(request: Request) -> str:
    """Give the domain of a request's From; nothing for an address that has none."""
    address = request.from_
    return address.sip_uri.host if address.is_sip else ""
