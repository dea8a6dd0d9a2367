"""Checks after a publication: real links from each server concerned, and the report of every server.

This command opens the links of a server whose key is on this machine. Management has the other servers open theirs.

A link counts as broken if it should work now and does not, unless the same link did not work before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import typer

from sipmesh.cli.output import BAD, GOOD, WARN, say, say_json
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.publish import running_management
from sipmesh.errors import OperatorError
from sipmesh.topology.document.listeners import listeners
from sipmesh.topology.view import view
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from sipmesh.server.management.replies import MemberReply, ProbedReply
    from sipmesh.topology.builder.link_changes import AllowedLink
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.model import Topology


PROBED_S: Final = 30.0
"""Seconds that servers on other machines have for their links; most take some hundredths of a second."""

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
            if pool.role is Role.EDGE:
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


def _is_here(loaded: Loaded, name: str) -> bool:
    pool = loaded.topology.pool_of(name)
    return pool is not None and any(
        server.name == name and (loaded.folder / server.key_file).exists() for server in pool.servers
    )


def _can_open(loaded: Loaded, opener: str) -> bool:
    pool = loaded.topology.pool_of(opener)
    return _is_here(loaded, opener) or (pool is not None and pool.role in {Role.FRONT_END, Role.EDGE})


def run_checks(place: Place, checks: Sequence[Check], socket: Path | None) -> list[Checked]:
    """Probe each link once, under the version in force; management behind *socket* asks the servers of other machines.

    Without a running management server these links are left out.
    """
    loaded = place.in_force()
    local = [check for check in checks if not check.opener or _is_here(loaded, check.opener)]
    remote = [check for check in checks if check not in local]
    results = [_run(place, check) for check in local]
    return sorted(results + (_run_elsewhere(remote, socket) if remote and socket is not None else []), key=_by_check)


def _by_check(checked: Checked) -> Check:
    return checked.check


def _run_elsewhere(checks: Sequence[Check], socket: Path) -> list[Checked]:
    from sipmesh.cli.control_client import ask_one
    from sipmesh.server.management.replies import PROBE_LINKS

    links: dict[str, list[str]] = {}
    for check in checks:
        links.setdefault(check.opener, []).append(check.target_name)
    replies = ask_one(socket, PROBE_LINKS, PROBED_S + 5, links=links, wait_s=PROBED_S)
    found = {(reply.server, reply.target): reply for reply in replies}
    return [Checked(check, *_told(found.get((check.opener, check.target_name)))) for check in checks]


def _told(reply: ProbedReply | None) -> tuple[bool, str]:
    return (reply.passed, reply.told) if reply is not None else (False, "management has no result")


def _run(place: Place, check: Check) -> Checked:
    from sipmesh.cli.diagnosis.explain import probed
    from sipmesh.cli.diagnosis.probe_target import Target

    try:
        report, result = probed(Target(check.target, check.opener, (check.name,) if check.name else (), ()), place)
    except OperatorError as wrong:
        return Checked(check, passed=False, told=wrong.message)
    last = result.stages[-1].told if result.stages else "nothing was probed"
    reason = result.verdict.reason if result.verdict is not None and not report.good else None
    return Checked(check, report.good, f"{last}; {reason.saw}" if reason else last)


def broken(before: Sequence[Checked], after: Sequence[Checked]) -> list[Checked]:
    """Give the checks that fail now, and did not fail before."""
    failed = {checked.check for checked in before if not checked.passed}
    return [checked for checked in after if not checked.passed and checked.check not in failed]


def touched_by(
    before: Loaded, after: Loaded, issued: Collection[str], appear: Collection[AllowedLink]
) -> frozenset[str]:
    """Give the servers that a change concerns: ends of new links, new certificates, and all if our own authority changes."""
    names = {server.name for pool in after.topology.pools for server in pool.servers}
    old, new = before.topology, after.topology
    if old.authority != new.authority or before.authority.anchors != after.authority.anchors:
        return frozenset(names)
    concerned = {*issued, *_changed(old, new), *(end for link in appear for end in (link.opener, link.server))}
    if old.federation != new.federation and (route := new.pool(new.federation.route)) is not None:
        concerned |= {server.name for server in route.servers}
    return frozenset(concerned & names)


def _changed(old: Topology, new: Topology) -> Iterator[str]:
    """Give the servers whose entry has changed, such as their address or a port."""
    before = {server.name: server for pool in old.pools for server in pool.servers}
    yield from (
        server.name for pool in new.pools for server in pool.servers if before.get(server.name, server) != server
    )


def worse_reports(before: Sequence[MemberReply], after: Sequence[MemberReply]) -> list[str]:
    """Say which servers report an error, or a server that does not answer, that they did not report before."""
    known = {member.server: member for member in before}
    found = []
    for member in after:
        old = known.get(member.server)
        if member.error and (old is None or old.error != member.error):
            found.append(f"{member.server} reports: {member.error}")
        silent = set(member.unanswered) - set(old.unanswered if old is not None else ())
        if silent:
            found.append(f"{member.server} gets no answer from {', '.join(sorted(silent))}")
    return found


def verify(*, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """Probe every link that the version in force allows, from the server that opens it.

    Management asks the front ends and edges of other machines, if it runs here.

    Exit codes: 0 if every link works, 1 otherwise.
    """
    place = Place(topology)
    loaded = place.in_force()
    every = [server.name for pool in loaded.topology.pools for server in pool.servers]
    checks = checks_for(loaded, (), every)
    results = run_checks(place, checks[:MOST_CHECKS], running_management(place))
    if as_json:
        say_json(results)
    else:
        say_checks(results)
        say_left_out(len(checks))
    raise typer.Exit(0 if all(result.passed for result in results) else 1)


def say_checks(results: Sequence[Checked]) -> None:
    """Print the result of each check."""
    for result in results:
        say(f"  {'✓' if result.passed else '✗'} {result.check}: {result.told}", style=GOOD if result.passed else BAD)
    if not results:
        say("No link can be probed from this machine.", style="dim")


def say_left_out(count: int) -> None:
    """Print how many of *count* checks are beyond the limit, if any."""
    if count > MOST_CHECKS:
        say(
            f"{count - MOST_CHECKS} further links are not probed: one command probes {MOST_CHECKS} at most.", style=WARN
        )
