"""A change of the topology by a command: it is in force at once, or published at once in a network with management."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sipmesh.cli.control_client import links_of, reload, say_closed, say_reloaded
from sipmesh.cli.given_file import read_given
from sipmesh.cli.management_socket import running_management
from sipmesh.cli.output import WARN, say
from sipmesh.cli.topology.publish import publish_at_rest, publish_draft, say_rested, unpublished
from sipmesh.errors import OperatorError
from sipmesh.regular_file import read_regular
from sipmesh.topology.document.changes import PARTNER_FILES

if TYPE_CHECKING:
    from sipmesh.cli.place import Place
    from sipmesh.topology.document.changes import Edit


def must_have_draft(place: Place) -> None:
    """Raise `OperatorError` if the draft of this network is on another machine."""
    from sipmesh.server.replication.document_store import held_in

    if not place.file.exists() and held_in(place.folder):
        raise OperatorError("the draft is on the management server; run this command there")


class Change:
    """One change; it is made before the draft is edited, because it records the other changes of the draft.

    Raises `OperatorError` if the draft is on another machine.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        must_have_draft(place)
        self._before = links_of(place)
        self._draft = place.load()
        self._pending = unpublished(place, self._draft)
        self._made: Edit | None = None
        self._replaced: dict[Path, bytes | None] = {}  # the files that were written, each with its content from before

    @property
    def publishes(self) -> bool:
        """Whether this network has a published version."""
        return bool(self._pending.base)

    def files(self, partner: str, given: Sequence[Path]) -> list[Path]:
        """Return the files as the topology can name them: a copy below our folder if other machines need the file."""
        from sipmesh.pki import files

        home = self._place.folder.resolve()
        if not self.publishes or all(file.resolve().is_relative_to(home) for file in given):
            return list(given)
        below = self._place.folder / PARTNER_FILES / partner.lower()
        files.make_readable_folder(below)
        copies = []
        for file in given:
            copies.append(below / file.name)
            self._replaced[copies[-1]] = read_regular(copies[-1]) if copies[-1].exists() else None
            files.write(copies[-1], read_given(file, "nothing was changed", "name a PEM file"))
            say(f"{file} is copied to {copies[-1]}.", style="dim")
        return copies

    def written(self, partner: str, name: str, content: bytes) -> Path:
        """Return a new file of a partner, with that *content*; it is removed again if the change is refused."""
        from sipmesh.pki import files

        file = self._place.folder / PARTNER_FILES / partner.lower() / name
        files.make_readable_folder(file.parent)
        self._replaced[file] = read_regular(file) if file.exists() else None
        files.write(file, content)
        return file

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Put back the draft and the copied files as they were if the change is refused within."""
        try:
            yield
        except OperatorError:
            self._put_back()
            raise

    def _put_back(self) -> None:
        from sipmesh.pki import files
        from sipmesh.topology.document.changes import edit_text

        for file, content in self._replaced.items():
            if content is not None:
                files.write(file, content)
                continue
            file.unlink(missing_ok=True)
            with suppress(OSError):  # the folder has other files, or is gone already
                file.parent.rmdir()
        if (made := self._made) is not None:
            edit_text(self._place.file, lambda text: made.before if text == made.after else text)

    def edited(self, edit: Callable[[str], str], *, dry_run: bool = False) -> Edit:
        """Edit the draft that was compared, and no other: what another user writes into it meanwhile is not published with it."""
        from sipmesh.topology.document.changes import edit_text, must_be_compared

        def compared(text: str) -> str:
            must_be_compared(text, self._draft.digest)
            return edit(text)

        self._made = edit_text(self._place.file, compared, dry_run=dry_run)
        return self._made

    def take_effect(self, made: Edit, why: str, wait: float, *, force: bool = False) -> None:
        """Put the draft that was *made* in force; *force* also if it breaks what the refusal names.

        Raises `typer.Exit` with 1 if it is not in force on every server within *wait* seconds, or if a server cannot use a CRL
        that the change adds by URL.
        """
        if not self.publishes:
            say_reloaded(reload(self._place, self._before))
            return
        if self._pending.changes:
            say("NOT in force: the draft contains other changes that are not published:", style=WARN)
            say(*(f"  {change}" for change in self._pending.changes))
            say(f'  to publish them all: sipmesh topology publish -m "{why}"')
            raise typer.Exit(1)
        socket = running_management(self._place)
        if socket is None:
            base, digest = self._pending.base, made.loaded.digest
            say_rested(publish_at_rest(self._place, why, base, digest, force=force))
            return
        try:
            publish_draft(self._place, socket, why, wait, force=force, digest=made.loaded.digest)
        finally:
            say_closed(self._place, self._before)
        self._verify_crls(socket)

    def _verify_crls(self, socket: Path) -> None:
        """Have the servers fetch the CRLs that the change adds by URL, and say which of them they cannot use."""
        from sipmesh.cli.topology.planning.verification import run_crl_checks, say_checks
        from sipmesh.server.management.publishing.crl_checks import crl_checks

        results = run_crl_checks(crl_checks(self._place.in_force(), self._draft), socket)
        if not results:
            return
        say_checks(results)
        if not all(result.passed for result in results):
            say("The change stays in force. Servers without a CRL refuse the certificates of its CA.", style=WARN)
            say(f"  to go back: sipmesh topology rollback {self._pending.base}")
            raise typer.Exit(1)
