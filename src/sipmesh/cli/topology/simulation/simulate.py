"""`sipmesh topology simulate`: would this link, this message, this login be accepted, and by which rule?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from sipmesh.cli.output import BAD, GOOD, say, say_json
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile

if TYPE_CHECKING:
    from sipmesh.cli.topology.simulation.chains import Chain
    from sipmesh.cli.topology.simulation.decisions import Decision
    from sipmesh.routing.call_rules.call_rules import CallRules
    from sipmesh.topology.builder.hops import LinkHop, Party
    from sipmesh.topology.document.load import Loaded


@dataclass(frozen=True, slots=True)
class SimulationReport:
    """What ``sipmesh topology simulate --json`` prints: the decisions in their order, under *version*, 0 for the draft."""

    version: int
    accepted: bool
    decisions: Sequence[Decision]

    @classmethod
    def of(cls, version: int, decisions: Sequence[Decision]) -> SimulationReport:
        """Return the report of all *decisions*."""
        return cls(version, all(decision.accepted for decision in decisions), decisions)


def simulate(
    *,
    start: Annotated[
        str,
        typer.Option("--from", metavar="WHO", help="A server, a partner's domain or edge, `phone`, or any other name."),
    ] = "",
    end: Annotated[
        str, typer.Option("--to", metavar="WHERE", help="A server, pool, partner, or SIP domain of ours.")
    ] = "",
    call: Annotated[
        tuple[str, str],
        typer.Option(
            metavar="USER NUMBER", help="Decide about a call of a user to a number or another user, in place of links."
        ),
    ] = ("", ""),
    at: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%dT%H:%M%z", "%Y-%m-%dT%H:%M"],
            metavar="TIME",
            help="When the call begins, such as 2027-01-31T18:30+01:00. By default now; without an offset in UTC.",
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="The certificate chain of the end that is not ours. If both are ours: of the first end.",
        ),
    ] = None,
    role: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="ROLE",
            help="How the first end connects: server or partner. By default the role that it has.",
        ),
    ] = "",
    user: Annotated[
        str,
        typer.Option("--user", metavar="USER", help="Decide about a message of this user also; from `phone`, a login."),
    ] = "",
    version: Annotated[int, typer.Option(min=0, help="The version to use. By default 0, the draft.")] = 0,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Decide about links without a network: under the draft, or a version, by the judge that servers use.

    It follows the way of a request, link by link: from fe1 to partner.test over the edge. Certificates are those of this machine
    and of the ledger of the CA. Without a certificate of a partner, only the topology decides. With `--call` it follows a
    call of a user to a number or a user: where the caller is, what was typed, who may call it and how much, by which route,
    which trunks are tried, and which rules the callee has.

    Exit codes: 0 if everything is accepted, 1 otherwise.
    """
    from sipmesh.cli.topology.publish import loaded_version
    from sipmesh.topology.builder.hops import hops

    if role not in {"", "server", "partner"}:
        raise typer.BadParameter("write server or partner", param_hint="--as")
    if bool(start and end) == any(call):
        raise typer.BadParameter("give --from and --to, or --call USER NUMBER")
    place = Place(topology)
    loaded = loaded_version(place, version) if version else place.load()
    if any(call):
        _report(
            SimulationReport.of(version, list(_call(place, loaded, *call, at or datetime.now(UTC)))), as_json=as_json
        )
    way = hops(loaded.topology, start, end, as_partner=role == "partner")
    given = Given(place, loaded, certificate, way)
    found = [decision for hop in way for decision in given.decisions(hop, user)]
    _report(SimulationReport.of(version, found), as_json=as_json)


def _report(report: SimulationReport, *, as_json: bool) -> NoReturn:
    if as_json:
        say_json(report)
    else:
        _say(report)
    raise typer.Exit(0 if report.accepted else 1)


def _call(place: Place, loaded: Loaded, user: str, typed: str, at: datetime) -> Iterator[Decision]:
    """Yield the decisions about a call of *user*, with the users in force."""
    from sipmesh.cli.topology.simulation.calls import SimulatedCall
    from sipmesh.routing.identity.alias import alias_keys
    from sipmesh.server.in_force.call_defaults import call_defaults, in_effect
    from sipmesh.storage.users.user_database import Users
    from sipmesh.topology.home_pools import home_by_default
    from sipmesh.topology.user_address import full_address

    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    caller = full_address(user, loaded.topology)
    users = Users(place.in_force().users_url)

    def owner_of(name: str) -> str:
        if users.home(name) is not None:
            return name
        return next(filter(None, (users.owner(key) for key in alias_keys(name))), "")

    def home_of(user: str) -> str:
        return users.home(user) or home_by_default(loaded.topology)

    def rules_of(called: str) -> CallRules | None:
        return in_effect(users.call_rules(called), call_defaults(loaded.topology).get(home_of(called)), called)

    try:
        aor = f"sip:{caller}"
        known = users.verifier(aor)
        classes = known.classes if known is not None else ()
        simulated = SimulatedCall(loaded, caller, typed, users.aliases(aor), owner_of, rules_of, home_of, at, classes)
        yield from simulated.decisions()
    finally:
        users.close()


class Given:
    """What a simulation decides by: a topology, the certificates of this machine, and one of another party."""

    def __init__(self, place: Place, loaded: Loaded, certificate: Path | None, way: Sequence[LinkHop]) -> None:
        from sipmesh.cli.topology.simulation.chains import read_chain
        from sipmesh.topology.builder.hops import PartyKind

        self._place, self._loaded = place, loaded
        self._other = read_chain(certificate) if certificate is not None else []
        others = {party.kind for hop in way for party in (hop.opener, hop.target)} & {
            PartyKind.PARTNER,
            PartyKind.STRANGER,
        }
        self._used = bool(others)

    def decisions(self, hop: LinkHop, user: str) -> Iterator[Decision]:
        """Yield the decisions about one link, and about a message or login of *user* on it."""
        from sipmesh.cli.topology.simulation.decisions import (
            accepted_link,
            link_seen_by_partner,
            login,
            message,
            opened_link,
            ours,
        )
        from sipmesh.trust.evidence import LinkKind

        opener_is_ours, target_is_ours = ours(hop)
        if target_is_ours:
            yield accepted_link(self._loaded, hop, self._chain(hop, hop.opener, first=True))
        if opener_is_ours:
            yield opened_link(self._loaded, hop, self._chain(hop, hop.target, first=False))
        if opener_is_ours and not target_is_ours:
            yield link_seen_by_partner(self._loaded, hop, self._chain(hop, hop.opener, first=True))
        if user and hop.kind is LinkKind.CLIENT:
            yield login(self._loaded, hop, user, self._home(user))
        elif user and target_is_ours:
            yield message(self._loaded, hop, user)

    def _chain(self, hop: LinkHop, party: Party, *, first: bool) -> Chain:
        """Return the chain of one end; the given certificate is that of an end that is not ours, else of the first end."""
        from sipmesh.cli.topology.simulation.chains import chain_of
        from sipmesh.topology.builder.hops import PartyKind

        if party.kind in (PartyKind.PARTNER, PartyKind.STRANGER):
            return self._other
        if party.kind is PartyKind.PHONE:
            return []
        both_are_ours = {hop.opener.kind, hop.target.kind} == {PartyKind.SERVER}
        if self._other and first and both_are_ours and not self._used:
            self._used = True  # further links of the way are opened by other servers
            return self._other
        return chain_of(self._place, self._loaded, party.name, hop.kind, hop.target.name if party is hop.opener else "")

    def _home(self, user: str) -> str | None:
        """Return the explicit home pool of a user in force, empty if there is none; None for an unknown user.

        A database that only a draft names is not opened.
        """
        from sipmesh.routing.registrar.address_of_record import read_address
        from sipmesh.storage.users.user_database import Users

        in_force = self._place.in_force()
        file = in_force.users_file
        if file is not None and not file.exists():
            return None
        users = Users(in_force.users_url)
        try:
            return users.home(read_address(user).aor)
        finally:
            users.close()


def _say(report: SimulationReport) -> None:
    say(f"Under {f'version {report.version}' if report.version else 'the draft'}:", style="bold")
    for decision in report.decisions:
        mark, style = ("✓", GOOD) if decision.accepted else ("✗", BAD)
        say(f"  {mark} {decision.decider}: {decision.about}: {decision.code}", style=style)
        reason = "; ".join(filter(None, (decision.wanted and f"wanted {decision.wanted}", f"saw {decision.saw}")))
        say(f"      {decision.rule}: {reason}")
        say(
            *(f"      → {remedy}" for remedy in decision.remedies if not decision.accepted or not decision.judged),
            style="cyan",
        )
