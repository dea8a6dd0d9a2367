"""`sipmesh topology propose`, `review`, `approve` and `reject`: a version counts with the signatures of operators only."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.given_file import read_given
from sipmesh.cli.output import BAD, GOOD, WARN, say, say_document
from sipmesh.cli.place import HERE, Place, TopologyFile
from sipmesh.cli.secret_prompt import prompt_secret
from sipmesh.errors import OperatorError, Problem, SipmeshError
from sipmesh.foreign_errors import reason_of

if TYPE_CHECKING:
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.versions.approval import Proposal
    from sipmesh.topology.versions.publication import Draft, Publication

ProposalFile = Annotated[Path, typer.Argument(metavar="PROPOSAL", help="The file that `topology propose` has written.")]


def propose(
    *,
    block: Annotated[
        str, typer.Option("--block", metavar="NAME", help="Propose the version in force with this name blocked.")
    ] = "",
    back_to: Annotated[
        int, typer.Option("--version", min=0, metavar="N", help="Propose the content of this version again.")
    ] = 0,
    topology: TopologyFile = HERE,
) -> None:
    """Write the file that operators sign before the draft can be published.

    The file has the whole content: the document, and the roots that it names. Give it to the operators. Put their signatures
    into the folder `approvals` beside the topology, and publish.
    """
    from sipmesh.pki.files import make_readable_folder
    from sipmesh.server.management.publishing.approvals import FOLDER, proposal
    from sipmesh.server.management.publishing.offline_publish import opened

    place = Place(topology)
    with opened(place.folder) as management_db:
        made = proposal(_newest(management_db), _draft(place, management_db, block, back_to))
    folder = place.folder / FOLDER
    make_readable_folder(folder)
    file = folder / f"proposal-{made.serial}.json"
    file.write_bytes(made.encode())
    say(f"{file} has to be signed by the operators. Its digest:", made.digest)
    say(
        f"Each operator runs: sipmesh topology review {file.name}, then sipmesh topology approve {file.name} --key FILE"
    )


def _newest(management_db: ManagementDb) -> Publication | None:
    from sipmesh.server.replication.published_version import document_in_force
    from sipmesh.topology.versions.jose import open_signed
    from sipmesh.topology.versions.publication import KIND
    from sipmesh.topology.versions.publication import Publication as Decoded

    if management_db.history.head() is None:
        return None
    return Decoded.decode(open_signed(document_in_force(management_db), KIND).payload)


def _draft(place: Place, management_db: ManagementDb, block: str, back_to: int) -> Draft:
    from sipmesh.server.management.publishing.emergency_block import blocking
    from sipmesh.server.management.publishing.publish import read_draft
    from sipmesh.server.replication.published_version import version_of
    from sipmesh.topology.versions.load_published import load_published
    from sipmesh.topology.versions.publication import Draft as NewDraft

    newest = _newest(management_db)
    if newest is None:
        return read_draft(place.file)
    if block:
        made = blocking(newest, block, place.folder)
        if made is None:
            raise OperatorError(f"{block} is blocked already")
        return made
    if back_to:
        old = version_of(management_db, back_to)
        return NewDraft(load_published(old, place.folder), old.topology, old.files)
    return read_draft(place.file)


def review(
    file: ProposalFile,
    *,
    before: Annotated[
        Path | None,
        typer.Option(
            "--before", metavar="PROPOSAL", help="The proposal that you have approved last: shows what changes."
        ),
    ] = None,
) -> None:
    """Show what a proposal would put in force. It needs no access to management.

    Compare the digest with the other operators. Without `--before` the command shows the whole document. Keep each proposal that
    you approve: then the next review shows only what changes.
    """
    made = _read(file)
    loaded = _loaded(made, file)
    say(f"Proposal {made.serial} of {made.organisation}. Its digest:", made.digest)
    if before is None:
        say_document(made.topology)
        return
    from sipmesh.topology.versions.difference import difference
    from sipmesh.topology.versions.grants.rules import grants

    old = _read(before)
    if (old.organisation, old.serial + 1) != (made.organisation, made.serial):
        say(f"{before.name} is proposal {old.serial} of {old.organisation}, and not the one just before.", style=WARN)
    known = _loaded(old, before)
    changes = difference(known, loaded)
    say(*([f"  {line}" for line in changes] or ["Nothing changes in its meaning."]))
    say(*(f"  DANGER: {grant.sentence}" for grant in grants(known, loaded)), style=BAD)
    say("The lines of the document that change, and the roots:")
    say_document("".join(_changed_lines(old, made)))


def _changed_lines(old: Proposal, made: Proposal) -> Iterator[str]:
    """Return the changed lines of the document with those around them, and each embedded file that changes."""
    from sipmesh.database.masked import masked

    lines = (masked(old.topology).splitlines(keepends=True), masked(made.topology).splitlines(keepends=True))
    yield from (line if line.endswith("\n") else f"{line}\n" for line in unified_diff(*lines, "before", "proposed"))
    for name in sorted(old.files.keys() | made.files.keys()):
        before, after = old.files.get(name), made.files.get(name)
        if before != after:
            state = "is removed" if after is None else "is new" if before is None else "has another content"
            yield f"the embedded file {name!r} {state}\n"


Key = Annotated[
    Path,
    typer.Option(
        "--key", metavar="FILE", help="Your Ed25519 key of OpenSSH; a .pub file for a key in an agent or a token."
    ),
]


def approve(file: ProposalFile, *, key: Key) -> None:
    """Sign a proposal with your key, after you have reviewed it.

    The signature is a file beside the proposal. Bring it into the folder `approvals` of management. The signature counts for
    this content and this serial number only.
    """
    from sipmesh.server.management.publishing.approvals import SUFFIX
    from sipmesh.topology.document.operators.sshsig import armoured
    from sipmesh.topology.versions.approval import NAMESPACE

    made = _read(file)
    _loaded(made, file)
    blob = _signed(made.encode(), NAMESPACE, key)
    fingerprint, signed = _signer_of(blob, file, SUFFIX)
    signed.write_text(armoured(blob))
    say(f"Approved: proposal {made.serial} of {made.organisation}, with {fingerprint}.", style=GOOD)
    say(f"The signature is in {signed}.")


def reject(
    file: ProposalFile,
    *,
    key: Key,
    why: Annotated[str, typer.Option("-m", "--message", metavar="WHY", help="Why you are against it.")],
) -> None:
    """Sign with your key that you are against a proposal, and why. `sipmesh topology plan` and the console show it.

    The rejection is a file beside the proposal. Bring it into the folder `approvals` of management. It does not count against
    operators who approve: if enough of them do, the content can be published.
    """
    from sipmesh.server.management.publishing.approvals import REJECTION_SUFFIX
    from sipmesh.topology.document.operators.sshsig import armoured
    from sipmesh.topology.versions.approval import REJECTION, rejection_octets
    from sipmesh.topology.versions.publication import LONGEST_WHY

    made, why = _read(file), why.strip()
    if not 0 < len(why) <= LONGEST_WHY:
        raise OperatorError(f"a reason has 1 to {LONGEST_WHY} characters")
    blob = _signed(rejection_octets(made, why), REJECTION, key)
    fingerprint, written = _signer_of(blob, file, REJECTION_SUFFIX)
    written.write_text(json.dumps({"why": why, "signature": armoured(blob)}) + "\n")
    say(f"Rejected: proposal {made.serial} of {made.organisation}, with {fingerprint}.", style=WARN)
    say(f"The rejection is in {written}.")


def _signed(octets: bytes, namespace: str, key: Path) -> bytes:
    return _by_agent(octets, namespace, key) if key.suffix == ".pub" else _by_file(octets, namespace, key)


def _signer_of(blob: bytes, file: Path, suffix: str) -> tuple[str, Path]:
    """Return the fingerprint of the key of a signature, and the file for it beside the proposal."""
    from sipmesh.topology.document.operators.sshsig import Signature

    fingerprint = Signature.read(blob).key.fingerprint
    short = "".join(letter for letter in fingerprint.removeprefix("SHA256:") if letter.isalnum())[:8]
    return fingerprint, file.with_name(f"{file.stem}-{short}{suffix}")


def _read(file: Path) -> Proposal:
    from sipmesh.topology.versions.approval import Proposal as Approvable

    remedy = "name a proposal, or make one: sipmesh topology propose"
    return Approvable.decode(read_given(file, "there is no proposal", remedy))


def _loaded(made: Proposal, file: Path) -> Loaded:
    """Load the document of a proposal; raises `OperatorError` with all its problems."""
    from sipmesh.topology.document.load import load_text
    from sipmesh.topology.document.named_files.trust_anchors import embedded_anchors

    return load_text(made.topology.encode(), file, embedded_anchors(made.files))


def _by_file(octets: bytes, namespace: str, file: Path) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    from sipmesh.topology.document.operators.sshsig import sign

    content = _key_file(file)
    try:
        try:
            key = load_ssh_private_key(content, None)
        except (ValueError, TypeError):
            passphrase = prompt_secret(f"Passphrase of {file}", f"load the key into ssh-agent: ssh-add {file}")
            key = load_ssh_private_key(content, passphrase.encode())
    except (ValueError, TypeError) as wrong:
        remedy = "make a key by ssh-keygen -t ed25519, or give the right passphrase"
        raise OperatorError("the key cannot be used", (Problem(file, 0, "", reason_of(wrong), remedy),)) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise OperatorError(f"{file} is not an Ed25519 key: make one by ssh-keygen -t ed25519")
    return sign(octets, namespace, key)


def _key_file(file: Path) -> bytes:
    remedy = "name your Ed25519 key of OpenSSH, or make one by ssh-keygen -t ed25519"
    return read_given(file, "the key cannot be used", remedy)


def _by_agent(octets: bytes, namespace: str, key: Path) -> bytes:
    """Let `ssh-keygen` sign with the agent or the token; raises `SipmeshError` with what it says."""
    from sipmesh.topology.document.operators.sshsig import unarmoured

    _key_file(key)  # ssh-keygen would wait for a pipe
    command = ["ssh-keygen", "-Y", "sign", "-n", namespace, "-f", str(key)]
    try:
        done = subprocess.run(command, input=octets, capture_output=True, check=False)
    except FileNotFoundError:
        raise SipmeshError("ssh-keygen is not installed: it signs with keys in an agent or a token") from None
    if done.returncode:
        raise SipmeshError(f"ssh-keygen did not sign: {done.stderr.decode(errors='replace').strip()}")
    return unarmoured(done.stdout.decode("ascii"))
