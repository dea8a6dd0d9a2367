"""`sipmesh ca root`: another root for the whole network, step by step and under traffic; and a root that is kept elsewhere."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sipmesh.cli.control_client import links_of, reload, say_reloaded
from sipmesh.cli.output import GOOD, WARN, cell, say, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.publish import management_socket
from sipmesh.errors import OperatorError, Problem
from sipmesh.pki.offline.request import OfflineKind

if TYPE_CHECKING:
    from sipmesh.pki.authority import EnterpriseCa
    from sipmesh.pki.offline.request import OfflineRequest

app = typer.Typer(
    help="Another root for the network: prepare, publish, activate, switch, publish, retire.", no_args_is_help=True
)


@app.command()
def status(*, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """Show every generation of the CA, and the step that comes next."""
    generations = Place(topology).generations()
    facts = [
        {
            "generation": number,
            "root": generations.open(number).root.subject.rfc4514_string(),
            "ends": generations.open(number).root.not_valid_after_utc.isoformat(),
            "state": _state(number, generations.number, generations.old),
        }
        for number in generations.numbers
    ]
    following = _following(Place(topology))
    if as_json:
        say_json({"generations": facts, "next": following, "crossed": generations.is_crossed})
        return
    made = table("", "generation", "root", "ends", "state")
    for one in facts:
        made.add_row(*map(cell, (one["generation"], one["root"], one["ends"], one["state"])))
    show(made)
    say(following)


def _state(number: int, current: int, old: list[int]) -> str:
    if number == current:
        return "issues"
    if number > current:
        return "prepared"
    return "trusted, issues nothing" if number in old else "retired"


def _following(place: Place) -> str:
    """What to do next."""
    generations = place.generations()
    if generations.next is not None:
        return "Publish the draft that names the new root; then, once all have it in force: sipmesh ca root activate"
    if generations.is_crossed:
        return "Give the new root to phones and partners; then: sipmesh ca root switch"
    if generations.old:
        return "Let go of the old root: sipmesh ca root retire"
    return "Nothing is under way."


@app.command()
def prepare(*, topology: TopologyFile = HERE) -> None:
    """Make another root with an issuing CA under it, which the present root vouches for as well; the draft names both.

    Nothing is issued by it yet. What comes next is said at the end, and by `ca root status`.
    """
    from sipmesh.topology.document.changes import add_root, edit

    place = Place(topology)
    made = place.generations().prepare(datetime.now(UTC))
    anchor, crls = _names(place, made)
    draft = edit(place.file, lambda text: add_root(text, anchor, crls))
    if not place.generations().is_vouched_for:
        say("The present root's key is elsewhere, and it has to vouch for the new issuing CA before that can issue:")
        say("  sipmesh ca root request cross errand.json", style=WARN)
    say(f"{made.root.subject.rfc4514_string()} is prepared, in {made.folder}.", style=GOOD)
    if draft.topology.federation.partners:
        say(
            f"Give {made.folder / 'issuing.crl'} to partners now: who has not named it refuses you once the new CA issues.",
            style=WARN,
        )
    say(f"The draft {place.file} trusts it beside the present root. Next:")
    say('  sipmesh topology publish -m "a new root"', "  sipmesh ca root activate")


@app.command()
def activate(*, topology: TopologyFile = HERE) -> None:
    """Have the new CA issue, once every server trusts its root: all servers then renew their certificates by themselves."""
    told = _ask(Place(topology), "activate")
    say(f"Generation {told['generation']} issues from now on; servers renew by themselves: sipmesh status", style=GOOD)
    say("Its certificates lead to the old root as well. Give the new one to phones and partners:")
    say(f"  {Place(topology).ca().folder / 'root.pem'}", "Then: sipmesh ca root switch")


@app.command()
def switch(*, topology: TopologyFile = HERE) -> None:
    """Have servers lead to the new root alone; who knows only the old one refuses them from then on."""
    told = _ask(Place(topology), "switch")
    say(f"Servers lead to {told['root']} alone from now on.", style=GOOD)
    say("Links that stand on the old root are replaced, half a minute after their last call at the latest.")
    say("Then: sipmesh ca root retire")


@app.command()
def retire(*, topology: TopologyFile = HERE) -> None:
    """Trust the old root no more: the first time the draft lets go of it, and once that is published, so does the CA."""
    from sipmesh.topology.document.changes import edit, remove_root

    place = Place(topology)
    generations = place.generations()
    if generations.next is not None or generations.is_crossed or not generations.old:
        raise OperatorError(f"there is no root to retire now. {_following(place)}")
    named = place.load().topology.authority
    for number in generations.old:
        anchor, crls = _names(place, generations.open(number))
        if anchor in named.anchors:
            edit(place.file, lambda text, a=anchor, c=crls: remove_root(text, a, c, place.file))  # type: ignore[misc]
            say(f"The draft {place.file} names {anchor} no more. Next:", style=WARN)
            say('  sipmesh topology publish -m "the old root goes"', "  sipmesh ca root retire")
            return
    told = _ask(place, "retire")
    say(f"Retired: generation {', '.join(map(str, told['retired']))}.", style=GOOD)


@app.command()
def detach(
    to: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to put key and certificate of the root.")],
    *,
    topology: TopologyFile = HERE,
) -> None:
    """Take the root's key away from this machine; from then on it signs what is carried to it."""
    from sipmesh.pki import files
    from sipmesh.pki.issuance.profiles import CertificateKind

    ca = Place(topology).ca()
    key = ca.folder / "root.key"
    if not ca.crls.has_key(CertificateKind.ROOT):
        raise OperatorError(f"{key} is not here any more")
    to.mkdir(parents=True, exist_ok=True)
    for name, mode in (("root.key", files.SECRET), ("root.pem", files.PUBLIC)):
        if (to / name).exists():
            raise OperatorError(f"{to / name} is there already; name another folder")
        files.write(to / name, (ca.folder / name).read_bytes(), mode)
    files.read_key(to / "root.key")
    key.unlink()
    say(f"The root's key is in {to}, and not here any more: put that away, and keep a copy.", style=GOOD)
    say("Its list has to be made anew within half a year: sipmesh ca root request")


@app.command()
def request(
    what: Annotated[
        OfflineKind, typer.Argument(help="list: the root's next list; cross: its word for the next issuing CA.")
    ],
    to: Annotated[Path, typer.Argument(metavar="FILE", help="The errand, to be carried to where the key is.")],
    *,
    topology: TopologyFile = HERE,
) -> None:
    """Write what a root whose key is elsewhere has to sign."""
    from sipmesh.pki import files

    generations = Place(topology).generations()
    at = datetime.now(UTC)
    if what is OfflineKind.LIST:
        errand = generations.current.offline_root.request_crl(at)
    else:
        coming = generations.next
        if coming is None:
            raise OperatorError("no next root is prepared; first: sipmesh ca root prepare")
        errand = generations.current.offline_root.request_cross(coming, at)
    files.write(to, errand.encode())
    say(f"{to} asks the root for:", *(f"  {line}" for line in errand.told), style=GOOD)
    say(f"Carry it to where its key is: sipmesh ca root sign {to.name} --key root.key --root root.pem")


@app.command()
def sign(
    errand_file: Annotated[Path, typer.Argument(metavar="FILE", help="What `ca root request` has written.")],
    *,
    key: Annotated[Path, typer.Option(help="The root's key.")] = Path("root.key"),
    root: Annotated[Path, typer.Option(help="The root's certificate.")] = Path("root.pem"),
    yes: Annotated[bool, typer.Option("--yes", help="Sign without asking.")] = False,
) -> None:
    """Where the root's key is: show what is to be signed, and sign it. This needs neither network nor topology."""
    from sipmesh.pki import files
    from sipmesh.topology.document.files import UnusableFileError
    from sipmesh.topology.document.trust_anchors import read_certificates

    errand = _errand(errand_file)
    try:
        certificate = read_certificates(root)[0]
    except UnusableFileError as wrong:
        raise OperatorError(f"{root} {wrong}; name the root's certificate with --root") from None
    say("To be signed:", *(f"  {line}" for line in errand.told))
    if not yes:
        typer.confirm("Sign it?", abort=True)
    signed = errand.signed(certificate, files.read_key(key))
    to = errand_file.with_name(f"{errand_file.name}.signed")
    files.write(to, signed.encode())
    say(f"{to} is signed: carry it back, and: sipmesh ca root take {to.name}", style=GOOD)


@app.command()
def take(
    signed_file: Annotated[Path, typer.Argument(metavar="FILE", help="OfflineKind the root has signed.")],
    *,
    topology: TopologyFile = HERE,
) -> None:
    """Put in place what the root has signed, if it is what it was asked for; a list is in force at once."""
    place = Place(topology)
    generations = place.generations()
    errand = _errand(signed_file)
    before = links_of(place)
    file = generations.current.offline_root.accept(errand, generations.next)
    say(f"{file} is in place.", style=GOOD)
    if errand.what is OfflineKind.LIST:
        say_reloaded(reload(place, before, "files-changed"))
    else:
        say(_following(place))


def _errand(file: Path) -> OfflineRequest:
    """Read an errand; raises `OperatorError`."""
    from sipmesh.pki.offline.request import OfflineRequest

    try:
        return OfflineRequest.read(file.read_bytes(), file)
    except OSError as wrong:
        remedy = "name the file that `sipmesh ca root request` or `sign` has written"
        problem = Problem(file, 0, "", f"cannot be read ({wrong.strerror})", remedy)
        raise OperatorError("there is no errand", (problem,)) from None


def _names(place: Place, ca: EnterpriseCa) -> tuple[str, tuple[str, ...]]:
    """The files of a generation, as the topology names them."""

    def name(file: Path) -> str:
        return os.fspath(file.relative_to(place.folder))

    return name(ca.folder / "root.pem"), (name(ca.folder / "root.crl"), name(ca.folder / "issuing.crl"))


def _ask(place: Place, step: str) -> Any:
    from sipmesh.server.control_socket import ask

    return asyncio.run(ask(management_socket(place), "root", timeout_s=30.0, step=step))
