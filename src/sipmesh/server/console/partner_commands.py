"""The operations on partners: as `sipmesh partner` does, the draft is changed, and published if it has no other change."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509

from sipmesh.errors import OperatorError, SipmeshError
from sipmesh.pki import files
from sipmesh.server.console.draft_commands import Asked, DraftCommands, read_changes
from sipmesh.server.console.operations import PARTNER_ADD, PARTNER_CHANGE, PARTNER_REMOVE, PARTNER_UNBLOCK
from sipmesh.server.console.planned import must_be_as_planned, planned_digest
from sipmesh.server.console.replies import BlockReply, PartnerChangeReply
from sipmesh.server.control_socket import ROLE, WHO
from sipmesh.server.management.replies import BLOCK, PLAN, PUBLISH
from sipmesh.server.process.off_loop import later, off_loop
from sipmesh.sip.text import ascii_lower
from sipmesh.topology.builder.assignments import Assignment, add_partner_with, assign, must_be_known
from sipmesh.topology.builder.outline import Outline
from sipmesh.topology.builder.removal import remove_partner
from sipmesh.topology.document.changes import PARTNER_FILES, block_partner, must_be_compared, unblock
from sipmesh.topology.document.named_files.read import UnusableFileError
from sipmesh.topology.document.named_files.trust_anchors import certificates_alone
from sipmesh.topology.document.parts.federation import Partner
from sipmesh.topology.versions.difference import difference
from sipmesh.trust.role import ClientUsage
from sipmesh.trust.x509.certificate import fingerprint

if TYPE_CHECKING:
    from sipmesh.server.control_socket import Command
    from sipmesh.server.management.replies import Plan
    from sipmesh.topology.document.changes import Edit

Change = Callable[[str, Asked, Path], str]


class PartnerCommands:
    """Changes partners in the *draft*, one change at a time, and publishes by the *commands* of management."""

    def __init__(self, draft: DraftCommands, commands: Mapping[str, Command]) -> None:
        self._draft, self._commands = draft, commands
        self._turn = asyncio.Lock()

    def commands(self) -> Mapping[str, Command]:
        """Return every operation by its name."""
        return {BLOCK.name: self._block, **{name: self._changing(name) for name in CHANGES}}

    async def _block(self, asked: Asked) -> BlockReply:
        """Block at once, and then in the draft too: else the next publication of the draft would undo the block."""
        done = await self._commands[BLOCK.name](asked)
        given, fault = {**asked, "dry_run": False}, ""
        try:
            await self._draft.edit(BLOCK.name, given, lambda text: block_partner(text, asked["name"], self._draft.file))
        except (SipmeshError, OSError) as wrong:  # the block is in force all the same
            fault = str(wrong)
        return BlockReply(done.version, done.changes, done.forced, done.closed, (), fault)

    def _changing(self, name: str) -> Command:
        async def changed(asked: Asked) -> PartnerChangeReply:
            async with self._turn:
                return await self._change(name, asked)

        return changed

    async def _change(self, name: str, asked: Asked) -> PartnerChangeReply:
        """Change the draft and publish it; if management refuses to publish it, draft and files are as before."""
        compared = await self._commands[PLAN.name]({})
        written = await off_loop(_write, _anchor_files(self._draft.file.parent, asked))
        keeps = False
        try:
            reply = await self._changed(name, asked, compared)
            keeps = not asked["dry_run"]
        finally:
            if not keeps:
                await off_loop(_remove, written)
        return reply

    async def _changed(self, name: str, asked: Asked, compared: Plan) -> PartnerChangeReply:
        """Make one change of the draft that was *compared*: what others write meanwhile is not published with it."""
        change, says = CHANGES[name]

        def made_of(text: str) -> str:
            must_be_compared(text, compared.digest)
            must_be_as_planned(name, asked, compared.base, text)
            return change(text, asked, self._draft.file)

        in_force = self._draft.in_force
        made, other = await self._draft.edit(name, asked, made_of), compared.changes
        changes = [line for line in await later(difference, in_force, made.loaded) if line not in other]
        what = says.format(ascii_lower(str(asked.get("domain") or asked.get("name") or asked["domains"][0])))
        stays = bool(asked["dry_run"] or other or made.after == made.before)
        version = 0 if stays else await self._publish(what, made, compared.base, asked)
        planned = planned_digest(name, asked, compared.base, made.before)
        return PartnerChangeReply(what, made.diff, version, other, changes, planned)

    async def _publish(self, why: str, made: Edit, base: int, asked: Asked) -> int:
        operator = {key: asked[key] for key in (WHO, ROLE)}
        draft = {"base": base, "digest": made.loaded.digest, "force": asked.get("force", False)}
        try:
            published = await self._commands[PUBLISH.name]({"why": why, **draft, **operator})
        except SipmeshError:
            await self._draft.take_back(made, asked)
            raise
        return int(published.version)


def _add(text: str, asked: Asked, file: Path) -> str:
    usage = ClientUsage(asked["client_usage"])
    entry = {key: asked[key] or None for key in ("edge", "address", "third_party", "media", "identity")}
    anchors = [str(name.relative_to(file.parent)) for name in _anchor_files(file.parent, asked)]
    named = {"domains": asked["domains"], "anchors": anchors, "crls": asked["crls"]}
    given = {**named, **entry, "client_usage": None if usage is ClientUsage.STRICT else str(usage)}
    return add_partner_with(text, given, changes_of_partner(asked))


def _anchor_files(folder: Path, asked: Asked) -> dict[Path, bytes]:
    """Return the content of each root certificate that was sent, by its file.

    A file has the name of its content, so no change replaces a file that another partner uses.
    """
    contents = [_certificates(str(pem)) for pem in asked.get("anchors", ())]
    _must_have(contents, {ascii_lower(str(one).replace(":", "")) for one in asked.get("fingerprints", ())})
    below = folder / PARTNER_FILES / str(asked.get("domains", [""])[0])
    return {below / f"{hashlib.sha256(content).hexdigest()[:16]}.pem": content for content in contents}


def _must_have(contents: Sequence[bytes], told: AbstractSet[str]) -> None:
    """Raise `OperatorError` if certificates have other fingerprints than those that the partner has *told*.

    It does not say which fingerprints they have: an operator would copy them.
    """
    found = {fingerprint(one) for content in contents for one in x509.load_pem_x509_certificates(content)}
    if told and told != found:
        remedy = "ask the partner for the certificate and for its fingerprint in two different ways"
        why = f"the fingerprint that was typed is not that of the root certificate; {remedy}"
        raise OperatorError(why, parameter="fingerprints")


def _certificates(pem: str) -> bytes:
    try:
        return certificates_alone(pem.encode())
    except UnusableFileError as wrong:
        why = f"the root certificate that was sent {wrong}; send certificates in PEM"
        raise OperatorError(why, parameter="anchors") from None


def _write(wanted: Mapping[Path, bytes]) -> list[Path]:
    """Write the files that are missing, and return them."""
    written = []
    for file, content in wanted.items():
        if not file.exists():
            files.make_readable_folder(file.parent)
            files.write(file, content)
            written.append(file)
    return written


def _remove(written: Sequence[Path]) -> None:
    for file in written:
        file.unlink(missing_ok=True)
        with suppress(OSError):
            file.parent.rmdir()  # it stays if it has other files


def _change(text: str, asked: Asked, file: Path) -> str:
    return assign(text, Outline(text, file).partner(asked["domain"]), changes_of_partner(asked))


def changes_of_partner(asked: Asked) -> list[Assignment]:
    """Read the changes of keys of a partner; raises `OperatorError`."""
    try:
        read = read_changes(asked)
        must_be_known(Partner, "partner", read)
    except OperatorError as wrong:
        raise OperatorError(wrong.message, wrong.problems, parameter="changes") from None
    return read


def _remove_partner(text: str, asked: Asked, file: Path) -> str:
    return remove_partner(text, asked["domain"], file)


def _unblock(text: str, asked: Asked, file: Path) -> str:
    return unblock(text, asked["name"], file)


CHANGES: Final[Mapping[str, tuple[Change, str]]] = {
    PARTNER_ADD: (_add, "{} is a partner"),
    PARTNER_CHANGE: (_change, "{} is changed"),
    PARTNER_REMOVE: (_remove_partner, "{} is no longer a partner"),
    PARTNER_UNBLOCK: (_unblock, "{} is no longer blocked"),
}
"""Each change, and the reason for the history."""
