"""`sipmesh explain`: why is this peer accepted or refused, and why can this user not log in?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sipmesh.cli.control_client import ServerAnswer
from sipmesh.cli.diagnosis.links import answers_of
from sipmesh.cli.output import BAD, GOOD, WARN, say, say_explained, say_json, say_verdict
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.users.user_report import explain_user
from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from sipmesh.cli.diagnosis.offline_judge import Knocks
    from sipmesh.cli.diagnosis.probe import Probed
    from sipmesh.cli.diagnosis.probe_target import Asked

LINK = re.compile(r"[csp][0-9]+")
PAPERS = {".pem", ".crt", ".cer", ".der"}
"""What names of certificate files end in, and names of servers do not."""

REFERENCE = re.compile(r"[csp][0-9]+-[0-9]+")


def explain(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="host:port, a user, a certificate file, a link id of `sipmesh links`, or the reference in a refusal.",
        ),
    ],
    *,
    speaker: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="ROLE",
            help="For host:port, our server that connects (by default a client). For a file, the role of its owner:"
            " server, partner, front-end, edge or application.",
        ),
    ] = "",
    server: Annotated[
        str, typer.Option("--server", metavar="NAME", help="The server that judges the file, or that has the link.")
    ] = "",
    name: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="DOMAIN", help="The domain or server that you expect at an IP address."),
    ] = None,
    ca: Annotated[
        list[Path] | None,
        typer.Option("--ca", metavar="FILE", help="The root certificate (PEM) for the chain of that server."),
    ] = None,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Say why a peer is accepted or refused: each check, the wanted value, the seen value, and the remedy.

    For a user (bob@example.com) it shows the home pool, the registrations, the failed logins with their reason, and the remedy.

    Exit codes: 0 if the peer is accepted or the user is registered, 1 otherwise.
    """
    place = Place(topology)
    if Path(what).is_file():
        good = _file(Path(what), speaker, server, place, as_json=as_json)
    elif LINK.fullmatch(what):
        good = _link(what, server, place, as_json=as_json)
    elif REFERENCE.fullmatch(what):
        good = _reference(what, server, place, as_json=as_json)
    elif "@" in what:
        good = explain_user(what, place, as_json=as_json)
    elif "/" in what or Path(what).suffix.lower() in PAPERS:
        raise OperatorError(f"there is no file {what}; name a certificate, or a server as HOST:PORT")
    else:
        from sipmesh.cli.diagnosis.probe_target import Asked

        good = _address(Asked(what, speaker, tuple(name or ()), tuple(ca or ())), place, as_json=as_json)
    raise typer.Exit(0 if good else 1)


def _address(asked: Asked, place: Place, *, as_json: bool) -> bool:
    from sipmesh.cli.diagnosis.probe import Aim, Probe
    from sipmesh.cli.diagnosis.probe_target import aim
    from sipmesh.transport.event_loop import run

    aimed, told = aim(asked, place)

    async def look(at: Aim) -> Probed:
        return await Probe(at).run()

    probed = run(look(aimed))
    if as_json:
        say_json({"what": told, **probed.to_json()})
    else:
        say(told, style="bold")
        _say_probed(probed)
    return probed.good


def _say_probed(probed: Probed) -> None:
    for stage in probed.stages:
        say(f"  {'✓' if stage.passed else '✗'} {stage.name:<8} {stage.told}", style=GOOD if stage.passed else BAD)
    if probed.verdict is not None:
        say("")
        say_verdict(probed.verdict)


def _file(file: Path, speaker: str, server: str, place: Place, *, as_json: bool) -> bool:
    from sipmesh.cli.diagnosis.offline_judge import judge_file
    from sipmesh.trust.judgement.explain import to_json

    judged = judge_file(file, place.in_force(), _knocks(speaker), server)
    if as_json:
        said = {"file": str(file), "server": judged.server, "surprise": judged.surprise}
        say_json({**said, "verdict": to_json(judged.verdict)})
        return judged.good
    say(f"{file}, at the {judged.kind} port of {judged.server}", style="bold")
    say_verdict(judged.verdict)
    if judged.surprise:
        say(f"  {judged.surprise}", style=WARN)
    return judged.good


def _knocks(speaker: str) -> Knocks | None:
    from sipmesh.cli.diagnosis.offline_judge import Knocks

    if not speaker:
        return None
    try:
        return Knocks(speaker)
    except ValueError:
        raise OperatorError(f"a certificate belongs to one of {', '.join(Knocks)}, and not to {speaker!r}") from None


def _link(link: str, server: str, place: Place, *, as_json: bool) -> bool:
    """Ask the running server; link ids are each server's own, so that two may have the same."""
    holders = [one for one in answers_of(place, "links", server) if any(held["id"] == link for held in one.result)]
    answer = _only(link, holders)
    told = answers_of(place, "explain", answer.server, id=link)[0].result
    if as_json:
        say_json({"server": answer.server, "link": link, **told["verdict"]})
    else:
        say(f"{answer.server}, link {link}", style="bold")
        say_explained(told["lines"])
    return bool(told["verdict"]["accepted"])


def _only(what: str, holders: list[ServerAnswer]) -> ServerAnswer:
    if not holders:
        raise OperatorError(f"no running server has a live link {what}; to see the live links: sipmesh links")
    if len(holders) > 1:
        names = ", ".join(one.server for one in holders)
        raise OperatorError(f"{names} have a link {what}; name the server with --server")
    return holders[0]


def _reference(reference: str, server: str, place: Place, *, as_json: bool) -> bool:
    """A refused message: its sender was told a reference, we know the reason."""
    found: list[dict[str, Any]] = [
        {"server": one.server, **told}
        for one in answers_of(place, "refused-messages", server)
        for told in one.result
        if told["reference"] == reference
    ]
    if not found:
        raise OperatorError(
            f"no running server has the reference {reference} in memory; search for it in the logs of the servers"
        )
    if as_json:
        say_json(found)
        return False
    for told in found:
        say(f"{told['code']}: {told['method']} from {told['peer']} got {told['status']} at {told['server']}", style=BAD)
        say(f"  {told['why']}")
    return False
