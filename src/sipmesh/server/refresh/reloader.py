"""Puts changed files in force: a CRL at once and separately, everything else completely or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.server.process.file_stamps import NO_STAMPS, Stamps, WatchedFiles, stamp
from sipmesh.server.process.off_loop import off_loop
from sipmesh.server.refresh.inotify import FileEvents
from sipmesh.server.refresh.reload_result import ReloadResult
from sipmesh.topology.document.named_files.crl_cache import is_file_read, large_lists_later, prepare_file

if TYPE_CHECKING:
    from sipmesh.server.in_force.in_force import InForce
    from sipmesh.server.log import Log
    from sipmesh.server.replication.topology_source import TopologySource
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.named_files.crl_files import ListFile


class Reloader:
    """Reads changed files for one running server; *source* gives its topology."""

    def __init__(self, node: RunningServer, source: TopologySource, loop: asyncio.AbstractEventLoop, log: Log) -> None:
        self._node, self._source, self._log = node, source, log
        self._loop = loop
        self._ahead: dict[Path, asyncio.Task[None]] = {}
        self._watched = WatchedFiles([])
        self._notices = FileEvents(loop, self.look, log)
        self._follow()

    def close(self) -> None:
        """Stop watching, and stop reading CRLs."""
        for task in self._ahead.values():
            task.cancel()
        self._notices.close()

    def look(self, at: Collection[Path] | None = None) -> ReloadResult:
        """Put changes in force: of all files, or only of the files *at*."""
        return self._accept(self._watched.changed(at))

    def look_again(self) -> None:
        """Put changes in force that the kernel did not report, once a file is the same at two checks."""
        if changed := self._watched.settled():
            self._accept(changed)
            # The kernel did not report this change; watch again, so that it reports the next one.
            self._notices.watch(self._prompt_files())

    def reload(self) -> ReloadResult:
        """Read topology, CRLs and certificates again; if the document has problems, the old one stays in force."""
        return self._read_all(self._accept_crls(self._watched.changed()))

    def put_in_force(self, loaded: Loaded) -> list[str]:
        """Put a topology in force that was not read from the source; returns the ids of the closed links.

        Raises `OperatorError`, and changes nothing, if this server cannot use it.
        """
        return self.put_prepared(self.prepare(loaded))

    def prepare(self, loaded: Loaded) -> InForce:
        """Compute what `put_prepared` needs; a thread may do so. Raises `OperatorError` if this server is not in *loaded*."""
        return self._node.prepare(loaded)

    def put_prepared(self, version: InForce, since: Stamps = NO_STAMPS) -> list[str]:
        """Put a prepared topology in force as `put_in_force` does.

        *since* are the stamps of CRL files from before the topology was loaded: a CRL that has changed meanwhile is read again.
        """
        loaded = version.view.loaded
        changed = [file for file, before in since.items() if file in loaded.lists and stamp(file) != before]
        with large_lists_later():
            for authority, lists in loaded.read_lists(changed):
                authority.use_crls(lists)
        return [*self._node.put_prepared(version), *self._follow()]

    def _accept(self, changed: list[Path]) -> ReloadResult:
        """Put changed CRLs in force first; read everything again only if another file has changed too."""
        closed = self._accept_crls(changed)
        if self._node.view.loaded.lists.issuperset(changed):
            return self._taken(closed)
        return self._read_all(closed)

    def _accept_crls(self, changed: Collection[Path]) -> list[str]:
        """Put the CRLs among *changed* in force; returns the ids of the links that they close.

        A large CRL that was not read before is read by a thread first, and put in force after that.
        """
        files = set(self._node.view.loaded.lists.intersection(changed) if changed else ())
        for list_file in self._node.view.loaded.list_entries:
            if list_file.file in files and not is_file_read(list_file.file):
                files.discard(list_file.file)
                self._read_ahead(list_file)
        if not files:
            return []
        before = self._node.view.loaded.lists
        closed = self._node.revocation.accept_crls(files)
        if self._node.view.loaded.lists != before:
            closed += self._follow()
        faults = [str(fault) for fault in self._node.view.loaded.faults_of_lists]
        tell = self._log.warning if faults else self._log.info
        tell("CRLs in force", files=sorted(map(str, files)), closed=closed, faults=faults)
        return closed

    def _read_ahead(self, list_file: ListFile) -> None:
        """Read a large CRL in a thread, unless a thread is reading it already."""
        if list_file.file not in self._ahead:
            self._ahead[list_file.file] = self._loop.create_task(self._prepared(list_file))

    async def _prepared(self, list_file: ListFile) -> None:
        try:
            await off_loop(prepare_file, list_file.file, list_file.largest)
        finally:
            del self._ahead[list_file.file]
        self._accept_prepared(list_file.file)

    def _accept_prepared(self, file: Path) -> None:
        """Put a CRL in force that a thread has read; if it has changed meanwhile, it is read again."""
        self._accept_crls([file])

    async def prepared(self) -> None:
        """Wait until every large CRL that is being read is in force."""
        while self._ahead:
            await asyncio.wait([*self._ahead.values()])

    def _read_all(self, closed: list[str]) -> ReloadResult:
        """Read everything again; *closed* are the links that changed CRLs have closed already."""
        self._watched.restart(self._files())
        try:
            with large_lists_later():
                loaded = self._source.load()
            closed = [*closed, *self._node.put_in_force(loaded)]
        except OperatorError as wrong:
            problems = [str(problem) for problem in wrong.problems]
            closed += self._follow(problem.file for problem in wrong.problems)
            self._log.error("topology rejected: the old version stays in force", why=wrong.message, problems=problems)
            return ReloadResult(taken=False, closed=closed, why=wrong.message, problems=problems)
        closed += self._follow()
        self._log.info("topology in force", digest=loaded.digest[:12], closed=closed)
        return self._taken(closed)

    def _taken(self, closed: list[str]) -> ReloadResult:
        """Return the result; it names the certificates on disk that are not in use, even if they were read earlier."""
        kept = list(self._node.certificates.faults)
        return ReloadResult(taken=True, closed=closed, digest=self._node.view.loaded.digest, kept=kept)

    def _follow(self, others: Iterable[Path] = ()) -> list[str]:
        """Watch our files, and *others*, from now on; a CRL that may have changed since it was read is read again.

        Returns the ids of the links that this closes.
        """
        new = self._watched.follow([*self._files(), *others])
        self._notices.watch(self._prompt_files())
        for list_file in self._node.view.loaded.lists_left_for_later:
            self._read_ahead(list_file)
        lists = self._node.view.loaded.lists.intersection(new) - self._ahead.keys()
        return self._node.revocation.accept_crls(lists) if lists else []

    def _files(self) -> list[Path]:
        """Return every file that is watched."""
        view = self._node.view
        own = [path for spec in view.listeners for path in view.identity(spec.kind)]
        own += [path for files in view.client_certificates for path in (files.certificate, files.key)]
        own += [path for files in view.partner_certificates for path in (files.certificate, files.key)]
        return [*view.loaded.files, *dict.fromkeys(own)]

    def _prompt_files(self) -> list[Path]:
        """Return the document and the CRLs: each is complete alone, while a certificate needs its key."""
        loaded = self._node.view.loaded
        return [file for file in loaded.files if file == loaded.file or file in loaded.lists]
