"""Keeps what is in force in step with what lies on disk: lists at once and alone, all else whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.server.file_stamps import WatchedFiles
from sipmesh.server.refresh.inotify import FileEvents
from sipmesh.server.refresh.reload_result import ReloadResult
from sipmesh.topology.document.crl_cache import is_file_read, large_lists_later, prepare_file

if TYPE_CHECKING:
    from sipmesh.server.log import Log
    from sipmesh.server.replication.topology_source import TopologySource
    from sipmesh.server.running_server import RunningServer
    from sipmesh.topology.document.crl_files import ListFile
    from sipmesh.topology.document.load import Loaded


class Reloader:
    """Reads for one running server what has changed; *source* says where its topology comes from."""

    def __init__(self, node: RunningServer, source: TopologySource, loop: asyncio.AbstractEventLoop, log: Log) -> None:
        self._node, self._source, self._log = node, source, log
        self._loop = loop
        self._ahead: dict[Path, asyncio.Task[None]] = {}
        self._watched = WatchedFiles([])
        self._notices = FileEvents(loop, self.look, log)
        self._follow()

    def __repr__(self) -> str:
        return f"<Reloader for {self._node.view.name} from {self._source!r}>"

    def close(self) -> None:
        """Hear of no change any more, and read nothing."""
        for task in self._ahead.values():
            task.cancel()
        self._notices.close()

    def look(self, at: Collection[Path] | None = None) -> ReloadResult:
        """Take over what has changed, of all files or of those *at* which to look."""
        return self._accept(self._watched.changed(at))

    def look_again(self) -> None:
        """Take over what the kernel has told nothing of, once it looks the same twice."""
        if changed := self._watched.settled():
            self._accept(changed)
            self._notices.watch(self._prompt_files())  # it has not told of this, and may tell of the next

    def reload(self) -> ReloadResult:
        """Read topology, lists and certificates anew; a bad document leaves the old one in force and says so."""
        return self._read_all(self._accept_crls(self._watched.changed()))

    def put_in_force(self, loaded: Loaded) -> list[str]:
        """Put a topology in force that did not come from its source by itself; returns the ids of the closed links.

        Raises `OperatorError`, and changes nothing, where this server cannot live by it.
        """
        return [*self._node.put_in_force(loaded), *self._follow()]

    def _accept(self, changed: list[Path]) -> ReloadResult:
        """Read only revocation lists where nothing else has changed, and first in any case: they wait for nothing else."""
        closed = self._accept_crls(changed)
        if self._node.view.loaded.lists.issuperset(changed):
            return ReloadResult(taken=True, closed=closed, digest=self._node.view.loaded.digest)
        return self._read_all(closed)

    def _accept_crls(self, changed: Collection[Path]) -> list[str]:
        """Put those of *changed* in force that are revocation lists; returns the ids of the links that they close.

        A large one that was not read yet is read by a thread first, and put in force when that is done.
        """
        files = set(self._node.view.loaded.lists.intersection(changed) if changed else ())
        for one in self._node.view.loaded.list_entries:
            if one.file in files and not is_file_read(one.file):
                files.discard(one.file)
                self._read_ahead(one)
        if not files:
            return []
        closed = self._node.revocation.accept_crls(files)
        faults = [str(fault) for fault in self._node.view.loaded.faults_of_lists]
        tell = self._log.warning if faults else self._log.info
        tell("revocation lists in force", files=sorted(map(str, files)), closed=closed, faults=faults)
        return closed

    def _read_ahead(self, one: ListFile) -> None:
        """Have a thread read a large list, unless one does."""
        if one.file not in self._ahead:
            self._ahead[one.file] = self._loop.create_task(self._prepared(one))

    async def _prepared(self, one: ListFile) -> None:
        try:
            await asyncio.to_thread(prepare_file, one.file, one.largest)
        finally:
            del self._ahead[one.file]
        self._accept_prepared(one.file)

    def _accept_prepared(self, file: Path) -> None:
        """Put a list in force that a thread has read; what has changed meanwhile is read once more."""
        self._accept_crls([file])

    async def prepared(self) -> None:
        """Wait until every large list that is being read is in force."""
        while self._ahead:
            await asyncio.wait([*self._ahead.values()])

    def _read_all(self, closed: list[str]) -> ReloadResult:
        """Read everything anew; *closed* are links that have gone down by new lists already."""
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
        kept = list(self._node.certificates.presented.faults)  # why certificates on disk are not in use
        return ReloadResult(taken=True, closed=closed, digest=loaded.digest, kept=kept)

    def _follow(self, others: Iterable[Path] = ()) -> list[str]:
        """Watch our files, and *others*, from now on; a list that may have changed since its reading is read once more.

        Returns the ids of the links that are closed by that.
        """
        new = self._watched.follow([*self._files(), *others])
        self._notices.watch(self._prompt_files())
        for one in self._node.view.loaded.lists_left_for_later:
            self._read_ahead(one)
        lists = self._node.view.loaded.lists.intersection(new) - self._ahead.keys()
        return self._node.revocation.accept_crls(lists) if lists else []

    def _files(self) -> list[Path]:
        """Every file whose change means reading anew."""
        view = self._node.view
        own = [path for spec in view.listeners for path in view.identity(spec.kind)]
        return [*view.loaded.files, *dict.fromkeys(own)]

    def _prompt_files(self) -> list[Path]:
        """The document and the lists: each says something by itself, where a certificate is nothing without its key."""
        loaded = self._node.view.loaded
        return [file for file in loaded.files if file == loaded.file or file in loaded.lists]
