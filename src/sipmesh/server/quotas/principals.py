"""All principals of one server and what they use: links, branches and octets, each within its own limits."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sipmesh.routing.authentication.backoff import network_of
from sipmesh.routing.budget import Budget
from sipmesh.server.quotas.distinct_users import DistinctUsers
from sipmesh.server.quotas.usage import NOBODY, CountedLink, Usage, UsageObserver
from sipmesh.transport.pace import Pace
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.server.quotas.known_addresses import KnownAddresses
    from sipmesh.sip.message import Request
    from sipmesh.transport.limits import Limits
    from sipmesh.transport.link.link import Link


LOGIN_STEPS: Final = 2
"""A login takes two requests: where places are scarce, a link may take `Limits.slow_s` for each, and not `Limits.login_s`."""

CROWD: Final = 8
"""An address is a crowd if it has more than so many times the links without a login that the address that waits will have."""

LOGINS: Final = 8
"""So many logins take as long as a link may stay without one: none makes the pace of logins look slower."""

DELAYED: Final = 2.0
"""While octets of a link wait for this server, its peer has so many times as long: not for ever, because a flood never ends."""

THROUGH: Final = " through "
WITHOUT_IDENTITY: Final = "without an identity"
"""How the account of a principal is named that a server carries."""

DISPLACED: Final = "closed at a limit, without a login: a newer link from its address replaced it"
REPLACED: Final = "closed at a limit: a newer link of its user replaced it"

WATCHER: Final = "watcher"
"""The kind of an account whose branches are subscriptions."""


def answers_for(user: str, partner_of: Callable[[str], str]) -> str:
    """Name who answers for *user*: the user, or its partner, which may use any name in its domains.

    *partner_of* returns the name of the partner that a domain belongs to, or "".
    """
    partner = partner_of(user.rpartition("@")[2])
    return f"partner {partner}" if partner else user


class Principals:
    """Gives each link its account: the account of its address until a user has logged in, then the user's.

    A link of a server or a partner has the account of the name in its certificate. *strangers* are the links without a
    certificate and without a login, by address; *of_users* are those with a login, by user or trunk. A link of one of our servers
    carries requests of many: each user and each partner has an account within the account of the server. *partner_of* returns
    the name of the partner that a domain belongs to, or "". *addressed* are the users of ours whom partners have addressed.
    """

    def __init__(
        self,
        limits: Limits,
        neighbours: KnownAddresses,
        partner_of: Callable[[str], str],
        clock: Callable[[], float] = time.monotonic,
        observer: UsageObserver | None = None,
    ) -> None:
        self._limits, self._neighbours, self._partner_of, self._clock = limits, neighbours, partner_of, clock
        self._observer = observer
        self._direct: dict[tuple[str, str], Usage] = {}
        self._carried: dict[tuple[str, str], Usage] = {}  # by server, and by identity or partner
        self.strangers: Budget[Link] = Budget(limits.strangers_per_address, limits.strangers_in_all)
        self.of_users: Budget[Link] = Budget(limits.links_per_user, 1 << 31)
        self._crowded: set[str] = set()  # users who have logged in at several processes at once, on too many links
        self.pace = Pace(limits.authenticate_s / LOGINS)  # from a link that is up to its login
        self.addressed = DistinctUsers(limits.users_per_partner, limits.users_per_sender, clock, observer)
        self._elsewhere: dict[tuple[str, str], dict[int, tuple[int, int]]] = {}  # by principal, then by process
        self.refused: Counter[str] = Counter()  # requests that got 503, since the start, by kind of principal

    def __len__(self) -> int:
        return len(self._direct) + len(self._carried)

    def came_up(self, flow: CountedLink) -> None:
        """Count a link whose peer was accepted."""
        link = flow.link
        if flow.account is not NOBODY:
            return
        if link.kind is LinkKind.CLIENT or not link.peer.has_certificate:
            address = network_of(link.remote[0])
            self._move(flow, self._account("address", address))
            displaced = self.strangers.add(address, link)
            if displaced is not None:
                displaced.close(DISPLACED)
        else:
            self._server_proved(flow)

    def _server_proved(self, flow: CountedLink) -> None:
        self._neighbours.proved(flow.link.remote[0])
        kind = "partner" if flow.link.kind is LinkKind.PARTNER else "server"
        self._move(flow, self._account(kind, flow.link.peer_name))

    def trunk_proved(self, flow: CountedLink) -> None:
        """Count a link for the trunk that has logged in on it without a certificate."""
        self.strangers.remove(flow.account.name, flow.link)
        self._server_proved(flow)
        displaced = self.of_users.add(flow.account.name, flow.link)
        if displaced is not None:
            displaced.close(REPLACED)

    def proved(self, flow: CountedLink, user: str) -> None:
        """Count a link for the *user* who has logged in on it; its account is that of its first user."""
        if flow.account.kind == "address":
            self.strangers.remove(flow.account.name, flow.link)
            self._move(flow, self._account("user", user))
            self.pace.took(self._clock() - flow.link.opened_at)
        elif flow.account.kind == "server":  # a carried flow, which is not counted before its login
            flow.account = NOBODY
            self._move(flow, self._account("user", user))
        if self._observer is not None:
            self._observer.logged_in(flow, user)
        displaced = self.of_users.add(user, flow.link)
        if displaced is not None:
            displaced.close(REPLACED)

    # Other processes of this server

    def came_up_elsewhere(self, flow: CountedLink) -> None:
        """Count a link of another process, which displaces one if there are too many.

        That process hands some requests over, such as a SUBSCRIBE that another server has sent: they count here, for that server.
        """
        if flow.account is not NOBODY:
            return
        if flow.link.kind is LinkKind.CLIENT:
            address = network_of(flow.link.remote[0])
            self._move(flow, self._account("address", address))
            self.strangers.hold(address, flow.link)
        elif flow.link.kind is LinkKind.SERVER:
            self._move(flow, self._account("server", flow.link.peer_name))

    def proved_elsewhere(self, flow: CountedLink, user: str) -> None:
        """Count a link of another process for the *user* who has logged in on it."""
        if flow.account.kind == "address":
            self.strangers.remove(flow.account.name, flow.link)
            self._move(flow, self._account("user", user))
        self.of_users.hold(user, flow.link)
        if self.of_users.count(user) > self.of_users.each:
            self._crowded.add(user)

    def _close_excess(self) -> None:
        """Close our share of the links of users who have too many: they logged in at several processes at once.

        Each process has closed none, since it did not know of the others yet. All of them choose the same links.
        """
        for user in list(self._crowded):
            links = sorted(self.of_users.of(user), key=lambda link: link.number)
            excess = links[: max(0, len(links) - self.of_users.each)]
            if not excess:
                self._crowded.remove(user)
            for link in excess:
                if link.is_here:
                    self.of_users.remove(user, link)
                    self.of_users.displaced += 1
                    link.close(REPLACED)

    def used_here(self) -> list[Usage]:
        """Return the accounts that were reported to the other processes: a process that starts later gets them too."""
        return [
            account
            for account in (*self._direct.values(), *self._carried.values())
            if account.branches_told or account.octets_told
        ]

    def used_elsewhere(self, process: int, kind: str, name: str, branches: int, octets: int) -> None:
        """Count what a principal uses at another process; that process tells of it in steps."""
        uses = self._elsewhere.setdefault((kind, name), {})
        uses[process] = (branches, octets)
        if not branches and not octets:
            del uses[process]
        if not uses:
            del self._elsewhere[kind, name]
        self._sum_up(kind, name)

    def addressed_elsewhere(self, partner: str, finder: int, user: int) -> None:
        """Count a user whom a partner has addressed at another process."""
        self.addressed.addressed_elsewhere(partner, finder, user)

    def process_ended(self, process: int) -> None:
        """Forget what was used at a process that has ended."""
        for kind, name in [key for key, uses in self._elsewhere.items() if process in uses]:
            self.used_elsewhere(process, kind, name, 0, 0)

    def _sum_up(self, kind: str, name: str) -> None:
        """Put the counts of other processes into each account of a principal."""
        who, _, server = name.partition(THROUGH)
        carried = self._carried.get((server, "" if who == WITHOUT_IDENTITY else who))
        for account in (self._direct.get((kind, name)), carried):
            if account is not None:
                self._add_elsewhere(account)

    def _add_elsewhere(self, account: Usage) -> None:
        uses = self._elsewhere.get((account.kind, account.name), {}).values()
        account.branches_elsewhere = sum(branches for branches, _ in uses)
        account.octets_elsewhere = sum(octets for _, octets in uses)

    def _observed(self, account: Usage) -> Usage:
        """Tell the other processes of *account* from now on, if there are any."""
        if self._observer is not None:
            account.observer = self._observer
            self._add_elsewhere(account)
        return account

    def carried(self, server: Usage, identity: str | None, request: Request) -> Usage:
        """Return the account of a request from one of our servers: that of its *identity*, within the server's account.

        Without an identity, it is the account of the partner whose domain is in From, which the partner's edge has checked. All
        other domains share one account, because any sender may write them.
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
            label = f"{name or WITHOUT_IDENTITY}{THROUGH}{server.name}"
            account = self._carried[server.name, name] = self._observed(Usage(kind, label, *self._most(kind), within))
        return account

    def set_aside(self, flow: CountedLink) -> None:
        """Stop counting a link as a stranger: its login waits, and waiting logins have their own limit."""
        self.strangers.remove(flow.account.name, flow.link)

    def count_as_stranger(self, flow: CountedLink) -> None:
        """Count a link as a stranger again, after its login has waited."""
        if flow.account.kind == "address":
            displaced = self.strangers.add(flow.account.name, flow.link)
            if displaced is not None:
                displaced.close(DISPLACED)

    def gone(self, flow: CountedLink) -> None:
        """Stop counting a closed link; the requests that it sent count until they are answered."""
        self.strangers.remove(flow.account.name, flow.link)
        for name in (flow.account.name, *flow.logged_in):
            self.of_users.remove(name, flow.link)
        self._move(flow, NOBODY)

    def has_room(self, address: str, coming: int, coming_in_all: int) -> bool:
        """Tell whether another link without a login may come up from *address*, which has *coming* handshakes.

        So a phone whose login is under way is not closed for the next one. Where there is no room, the oldest link gives way
        if it has had its time to log in.
        """
        strangers, limits = self.strangers, self._limits
        if strangers.count(address) + coming >= limits.strangers_per_address:
            return self._displace_slow(address, limits.login_s)
        if len(strangers) + coming_in_all >= limits.strangers_in_all:
            has = strangers.count(address) + coming + 1
            return any(
                self._displace_slow(other, self._least_s if strangers.count(other) > CROWD * has else limits.login_s)
                for other, _ in strangers.oldest_of_each()
            )
        return True

    @property
    def _least_s(self) -> float:
        """How long a link without a login has at least."""
        return min(self._limits.login_s, LOGIN_STEPS * self._limits.slow_s)

    def _has_had(self, time_s: float, link: Link) -> bool:
        """Tell whether *link* has had so long to log in, or four times what others take.

        What waits to be read is our delay, not that of its peer.
        """
        has_s = self._clock() - link.opened_at
        time_s = self.pace.patience(time_s) if time_s else 0.0
        return has_s >= time_s and (has_s >= DELAYED * time_s or not link.unread)

    def _displace_slow(self, address: str, time_s: float) -> bool:
        """Close the oldest link without a login of *address*, if it has had *time_s* to log in."""
        oldest = self.strangers.oldest(address)
        if oldest is None or not self._has_had(time_s, oldest):
            return False
        self.strangers.displace(address)
        oldest.close(DISPLACED)
        return True

    def make_room(self) -> bool:
        """Close the oldest link without a login, of those that this process has, of the address that has most; False without one.

        A link that has not had its time to log in stays.
        """
        for address, _ in self.strangers.oldest_of_each():
            oldest = next((link for link in self.strangers.of(address) if link.is_here), None)
            if oldest is not None and self._has_had(self._least_s, oldest):
                self.strangers.remove(address, oldest)
                self.strangers.displaced += 1
                oldest.close("closed at a limit, without a login: its file descriptor was needed")
                return True
        return False

    def refuse(self, account: Usage) -> None:
        """Count a request that was refused because its account is full."""
        account.refused += 1
        self.refused[account.kind] += 1

    def sweep(self) -> None:
        """Forget the accounts that count nothing any more, and close links that are too many."""
        self._close_excess()
        for accounts in (self._direct, self._carried):
            for key in [key for key, account in accounts.items() if account.idle]:
                del accounts[key]

    def fullest(self) -> dict[str, Usage]:
        """Return, for each kind of principal, the account with the most branches, for the metrics."""
        found: dict[str, Usage] = {}
        for account in (*self._direct.values(), *self._carried.values()):
            if account.kind == WATCHER:
                continue
            if account.kind not in found or account.branches > found[account.kind].branches:
                found[account.kind] = account
        return found

    def percent_used(self, link: Link) -> int:
        """Return how much of its limits the server or partner at the other end of *link* uses."""
        account = self._direct.get(("partner" if link.kind is LinkKind.PARTNER else "server", link.peer_name))
        return account.percent if account is not None else 0

    def watcher(self, name: str, most: int) -> Usage:
        """Return the account of a watcher; its branches are subscriptions, *most* at all processes."""
        return self._direct.get((WATCHER, name)) or self._opened(WATCHER, name, most, 1)

    def _account(self, kind: str, name: str) -> Usage:
        return self._direct.get((kind, name)) or self._opened(kind, name, *self._most(kind))

    def _opened(self, kind: str, name: str, most_branches: int, most_octets: int) -> Usage:
        account = self._direct[kind, name] = self._observed(Usage(kind, name, most_branches, most_octets))
        return account

    def _most(self, kind: str) -> tuple[int, int]:
        """Return how many branches and octets a principal of *kind* may have."""
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
        flow.link.demand = account.demand
        if account is not NOBODY:
            account.links += 1


def domain_of(request: Request) -> str:
    """Return the domain of a request's From, "" if it has none."""
    address = request.from_
    return address.sip_uri.host if address.is_sip else ""
