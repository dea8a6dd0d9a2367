"""Which links must work after a publication, and which of them are broken by it.

A link counts as broken if it should work now and does not, unless the same link did not work before. A server or a partner
that the publication adds, and that has never connected, breaks nothing: it is not started yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipmesh.topology.document.listeners import listeners
from sipmesh.topology.view import view
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import BORDERS, Role

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sipmesh.server.management.replies import MemberReply
    from sipmesh.topology.builder.link_changes import AllowedLink
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import Topology

MOST_CHECKS: Final = 400
"""Links that one command probes: each takes some hundredths of a second."""


@dataclass(frozen=True, order=True, slots=True)
class Check:
    """One link to probe: from *opener*, empty for a phone, to *target*, a host with its port or a partner's domain.

    *name* is the name that a phone expects.
    """

    opener: str
    target: str
    name: str = ""

    @property
    def target_name(self) -> str:
        """The server or partner at the other end."""
        return self.target.partition(":")[0]

    def __str__(self) -> str:
        return f"{self.opener or 'a phone'} → {self.target}{f' as {self.name}' if self.name else ''}"


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of one check: *told* says what was found at the stage that failed, else the response."""

    check: Check
    passed: bool
    told: str


def checks_for(loaded: Loaded, appear: Collection[AllowedLink], touched: Collection[str]) -> list[Check]:
    """Give what must work in a topology: links that *appear*, each link of a *touched* server, phones at touched front ends.

    Only openers with their key on this machine are in the result, and front ends and edges on other machines: management asks
    those.
    """
    return sorted({*_between_servers(loaded, appear, touched), *_of_phones(loaded, touched)})


def _between_servers(loaded: Loaded, appear: Collection[AllowedLink], touched: Collection[str]) -> Iterator[Check]:
    for pool in loaded.topology.pools:
        for server in pool.servers:
            seen = view(loaded, server.name)
            for opener in seen.accept_policy(LinkKind.SERVER).may_open:
                fresh = any(link.opener == opener and link.server == server.name for link in appear)
                if (fresh or {opener, server.name} & set(touched)) and _can_open(loaded, opener):
                    yield Check(opener, f"{server.name}:{server.server_port}")
            if pool.role in BORDERS:
                yield from _to_partners(loaded, server.name, appear, touched)


def _to_partners(
    loaded: Loaded, edge: str, appear: Collection[AllowedLink], touched: Collection[str]
) -> Iterator[Check]:
    for partner in view(loaded, edge).partners:
        fresh = any(link.opener == partner.peer.name and link.server == edge for link in appear)
        if fresh or edge in touched:
            yield Check(edge, partner.edge[0] if partner.edge else partner.name)


def _of_phones(loaded: Loaded, touched: Collection[str]) -> Iterator[Check]:
    for pool in loaded.topology.pools:
        for server in pool.servers:
            if pool.role is Role.FRONT_END and server.name in touched:
                port = next(spec.port for spec in listeners(loaded.topology, pool, server) if spec.key == "client")
                yield from (Check("", f"{server.name}:{port}", domain) for domain in loaded.topology.sip_domains)


def is_here(loaded: Loaded, name: str) -> bool:
    """Tell whether the key of the server *name* is on this machine."""
    pool = loaded.topology.pool_of(name)
    return pool is not None and any(
        server.name == name and (loaded.folder / server.key_file).exists() for server in pool.servers
    )


def _can_open(loaded: Loaded, opener: str) -> bool:
    pool = loaded.topology.pool_of(opener)
    return is_here(loaded, opener) or (pool is not None and pool.role in {Role.FRONT_END, *BORDERS})


def broken(before: Sequence[Checked], after: Sequence[Checked], new: Collection[str] = ()) -> list[Checked]:
    """Give the checks that fail now, and did not fail before; without those of *new* servers and partners (`Newcomers`)."""
    failed = {checked.check for checked in before if not checked.passed}
    return [one for one in after if not (one.passed or one.check in failed or is_check_of(one.check, new))]


def is_check_of(check: Check, names: Collection[str]) -> bool:
    """Tell whether one of the servers or partners *names* is an end of the link."""
    return check.opener in names or check.target_name in names


def touched_by(
    before: Loaded, after: Loaded, issued: Collection[str], appear: Collection[AllowedLink]
) -> frozenset[str]:
    """Give the servers that a change concerns: ends of new links, new certificates, and all if our own authority changes."""
    names = frozenset(after.topology.server_names)
    old, new = before.topology, after.topology
    if old.authority != new.authority or before.authority.anchors != after.authority.anchors:
        return frozenset(names)
    concerned = {*issued, *_changed(old, new), *(end for link in appear for end in (link.opener, link.server))}
    if old.federation != new.federation and (route := new.pool(new.federation.route)) is not None:
        concerned |= {server.name for server in route.servers}
    return frozenset(concerned & names)


def _changed(old: Topology, new: Topology) -> Iterator[str]:
    """Give the servers whose entry has changed, such as their address or a port."""
    before = {server.name: server for server in old.servers}
    yield from (server.name for server in new.servers if before.get(server.name, server) != server)


def without_contact(members: Sequence[MemberReply]) -> frozenset[str]:
    """Give the servers with which management has no contact: they have no link to it, and no recent report by another server."""
    return frozenset(member.server for member in members if not member.reached)


def connected(members: Sequence[MemberReply]) -> frozenset[str]:
    """Give the servers and partners with a link: to management, or to a server that reports to it."""
    return frozenset({one.server for one in members if one.reached}.union(*(one.peers for one in members)))


def out_of_contact(
    before: Sequence[MemberReply], after: Sequence[MemberReply], missing: Collection[str]
) -> Sequence[str]:
    """Give those of the *missing* servers, which have not confirmed a version, that need not: they had no contact, and have none.

    If there was contact with no server at all, the result is empty: then nothing shows whether the version works.
    """
    silent = without_contact(before)
    if len(silent) == len(before):
        return []
    still = silent & without_contact(after)
    return [name for name in missing if name in still]


def worse_reports(
    before: Sequence[MemberReply], after: Sequence[MemberReply], unreached: Collection[str] = ()
) -> list[str]:
    """Say which servers report an error, or that a server with a link does not answer any more.

    The last reports of *unreached* servers (`out_of_contact`) do not count.
    """
    known, had_link = {member.server: member for member in before}, connected(before)
    found = []
    for member in (one for one in after if one.server not in unreached):
        old = known.get(member.server)
        if member.error and (old is None or old.error != member.error):
            found.append(f"{member.server} reports: {member.error}")
        silent = (set(member.unanswered) & had_link) - set(old.unanswered if old is not None else ()) - set(unreached)
        if silent:
            found.append(f"{member.server} gets no answer from {', '.join(sorted(silent))}")
    return found
