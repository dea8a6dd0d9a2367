"""`sipmesh explain`: why is this peer accepted or refused, and why can this user not log in?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.control_client import FromServer
from sipmesh.cli.diagnosis.links import answers_of, each
from sipmesh.cli.diagnosis.refused_message import explain_refused_message, is_meant
from sipmesh.cli.output import BAD, GOOD, WARN, say, say_explained, say_json, say_verdict
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.users.user_report import explain_user
from sipmesh.errors import OperatorError
from sipmesh.topology.user_address import full_address

if TYPE_CHECKING:
    from sipmesh.cli.diagnosis.offline_judge import ConnectsAs
    from sipmesh.cli.diagnosis.probe import ProbeResult
    from sipmesh.cli.diagnosis.probe_target import Target
    from sipmesh.cli.diagnosis.reports import AddressReport
    from sipmesh.server.admin.replies import LinkReply
    from sipmesh.topology.document.load import Loaded
    from sipmesh.trust.judgement.verdict_report import VerdictReport
    from sipmesh.trust.verdict import Verdict

LINK = re.compile(r"[csp][0-9]+")
NUMBER = re.compile(r"tel:.+|\+[0-9(][0-9().-]*", re.IGNORECASE)
WORD = re.compile(r"[\w-]+")
CERTIFICATE_SUFFIXES = {".pem", ".crt", ".cer", ".der"}
"""Endings of the names of certificate files; no name of a server has one of them."""


def explain(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="host:port, a user or a telephone number, a certificate file, a link id of `sipmesh links`, or the reference"
            " in a refusal.",
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
        str,
        typer.Option(
            "--server",
            metavar="NAME",
            help="The server that judges the file, that has the link, or that has refused the message.",
        ),
    ] = "",
    name: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="DOMAIN", help="The domain or server that you expect at an IP address."),
    ] = None,
    ca: Annotated[
        list[Path] | None,
        typer.Option("--ca", metavar="FILE", help="The root certificate (PEM) for the chain of that server."),
    ] = None,
    origin: Annotated[
        str,
        typer.Option(metavar="URL", help="At a WebSocket port, the site of the page that connects: https://HOST."),
    ] = "",
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Say why a peer is accepted or refused: each check, the wanted value, the seen value, and the remedy.

    For a user (bob@example.com, or an alias) it shows the home pool, the aliases, the registrations, and the last logins.
    It also shows the logins and links that failed, each with its reason, and the remedies.

    For a reference (c8-1) it shows the refusals that the servers of this machine have in memory. If none of them has it, it
    looks in the records of calls: at management they are those of all servers, if the topology has `call_records`.

    For servers/NAME.acme.pem it shows what has come of the last order at the public CA.

    Exit codes: 0 if the peer is accepted or the user is registered, 1 otherwise.
    """
    place = Place(topology)
    if what.endswith(".acme.pem"):
        good = _public(Path(what), place, as_json=as_json)
    elif Path(what).is_file():
        good = _file(Path(what), speaker, server, place, as_json=as_json)
    elif LINK.fullmatch(what):
        good = _link(what, server, place, as_json=as_json)
    elif is_meant(what):
        explain_refused_message(what, server, place, as_json=as_json)
        good = False
    elif "@" in what or NUMBER.fullmatch(what):
        good = explain_user(what, place, as_json=as_json)
    elif "/" in what or Path(what).suffix.lower() in CERTIFICATE_SUFFIXES:
        raise OperatorError(f"there is no file {what}; name a certificate, or a server as HOST:PORT")
    elif user := _user_of(what, loaded := place.found()):
        good = explain_user(user, place, as_json=as_json)
    else:
        from sipmesh.cli.diagnosis.probe_target import Target

        what = _in_full(what, loaded)
        good = _address(Target(what, speaker, tuple(name or ()), tuple(ca or ()), origin), place, as_json=as_json)
    raise typer.Exit(0 if good else 1)


def _in_full(what: str, loaded: Loaded | None) -> str:
    """Return the full name of the server of the topology whose first label *what* is; else *what*."""
    known = loaded.topology.server_names if loaded is not None else []
    named = [name for name in known if name.partition(".")[0] == what.lower()]
    return named[0] if len(named) == 1 else what


def _user_of(what: str, loaded: Loaded | None) -> str:
    """Return the address of a user who is named without the only SIP domain, as `user add` takes it; "" for another WHAT."""
    is_word = WORD.fullmatch(what) is not None and what != "localhost"
    if loaded is None or not is_word or _in_full(what, loaded) != what:
        return ""
    return full_address(what, loaded.topology)


def _address(target: Target, place: Place, *, as_json: bool) -> bool:
    report, result = probed(target, place)
    if as_json:
        say_json(report)
    else:
        say_probed(report.what, result)
    return result.good


def probed(target: Target, place: Place) -> tuple[AddressReport, ProbeResult]:
    """Probe an address, and return the result; raises `OperatorError` if the target makes no sense."""
    from sipmesh.cli.diagnosis.probe import probe_with_clock
    from sipmesh.cli.diagnosis.probe_target import aim
    from sipmesh.cli.diagnosis.reports import AddressReport
    from sipmesh.transport.reactor.event_loop import run

    aimed, what = aim(target, place)

    result = run(probe_with_clock(aimed))
    verdict = _report(result.verdict) if result.verdict is not None else None
    return AddressReport(what, result.address, result.good, result.stages, verdict), result


def _report(verdict: Verdict) -> VerdictReport:
    from sipmesh.trust.judgement.verdict_report import VerdictReport

    return VerdictReport.of(verdict)


def say_probed(what: str, result: ProbeResult) -> None:
    """Print the stages of a probe and the verdict; *what* says what was probed, and as which client."""
    say(what, style="bold")
    for stage in result.stages:
        say(f"  {'✓' if stage.passed else '✗'} {stage.stage:<8} {stage.told}", style=GOOD if stage.passed else BAD)
    if result.verdict is not None:
        say("")
        say_verdict(result.verdict)


def _file(file: Path, speaker: str, server: str, place: Place, *, as_json: bool) -> bool:
    from sipmesh.cli.diagnosis.offline_judge import judge_file
    from sipmesh.cli.diagnosis.reports import FileReport

    judged = judge_file(file, place.in_force(), _connects_as(speaker), server)
    if as_json:
        say_json(FileReport(file, judged.server, judged.surprise, _report(judged.verdict)))
        return judged.good
    say(f"{file}, at the {judged.kind} port of {judged.server}", style="bold")
    say_verdict(judged.verdict)
    if judged.surprise:
        say(f"  {judged.surprise}", style=WARN)
    return judged.good


def _public(file: Path, place: Place, *, as_json: bool) -> bool:
    from sipmesh.cli.diagnosis.public_certificate import explain_public_certificate

    return explain_public_certificate(file, place, as_json=as_json)


def _connects_as(speaker: str) -> ConnectsAs | None:
    from sipmesh.cli.diagnosis.offline_judge import ConnectsAs

    if not speaker:
        return None
    try:
        return ConnectsAs(speaker)
    except ValueError:
        names = ", ".join(ConnectsAs)
        raise OperatorError(
            f"{speaker!r} has no certificate to judge; write one of these after --as: {names}"
        ) from None


def _link(link: str, server: str, place: Place, *, as_json: bool) -> bool:
    """Explain a live link of a running server; two servers may have a link with the same id."""
    from sipmesh.server.admin.replies import EXPLAIN, LINKS
    from sipmesh.typed_json import members

    found = [row for row in each(answers_of(place, LINKS, server)) if row.value.id == link]
    holder = _only(link, found).server
    reply = answers_of(place, EXPLAIN, holder, id=link)[0].value
    if as_json:
        say_json({"server": holder, "link": link, **members(reply.verdict)})
    else:
        say(f"{holder}, link {link}", style="bold")
        say_explained(reply.lines)
    return reply.verdict.accepted


def _only(what: str, found: list[FromServer[LinkReply]]) -> FromServer[LinkReply]:
    if not found:
        raise OperatorError(f"no running server has a live link {what}; to see the live links: sipmesh links")
    if len(found) > 1:
        names = ", ".join(row.server for row in found)
        raise OperatorError(f"{names} have a link {what}; name the server with --server")
    return found[0]
