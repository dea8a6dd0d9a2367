"""The CRLs that one server fetches from URLs: one job for each URL that the topology names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sipmesh.server.refresh.authorities import NamedAuthority, authorities_for
from sipmesh.server.refresh.backoff import Backoff
from sipmesh.server.refresh.fetch_jobs import CrlFetchJob

if TYPE_CHECKING:
    from cryptography import x509

    from sipmesh.server.refresh.fetch_schedule import FetchSchedule
    from sipmesh.server.refresh.intermediates import KnownIntermediates
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.document.named_files.crl_files import ListFile
    from sipmesh.trust.revocation.crl import RevocationList
    from sipmesh.trust.role import Role

FETCHED_AGAIN_S: Final = 60.0
"""Seconds between two fetches that a refused peer can cause by connecting again."""

MOST_OCTETS: Final = 64 << 20
"""Octets of all CRLs that the certificates of one authority name."""


class CrlSources:
    """The CRL jobs of one server of this *role*. *put* puts a fetched file in force; *chance* is for `Backoff`."""

    def __init__(
        self,
        role: Role,
        loaded: Loaded,
        schedule: FetchSchedule,
        issuers: KnownIntermediates,
        put: Callable[[Path], object],
        chance: Callable[[], float],
    ) -> None:
        self._role, self._loaded, self._schedule = role, loaded, schedule
        self._issuers, self._put, self._chance = issuers, put, chance
        self._jobs: dict[Path, CrlFetchJob] = {}
        self._wanted: dict[Path, tuple[NamedAuthority, ListFile]] = {}
        self._entries_of: dict[str, Sequence[ListFile]] = {}  # by the owner of the authority

    def follow(self, loaded: Loaded) -> None:
        """Fetch the URLs that *loaded* and certificates name now, and no others; a new URL is fetched at once."""
        self._carry(loaded)
        self._loaded = loaded
        self._entries_of = {named.owner: named.files.files for named in authorities_for(self._role, loaded)}
        self._wanted = wanted = self._wanted_by(loaded)
        for file in self._jobs.keys() - wanted.keys():
            self._schedule.stop(self._jobs.pop(file))
        for file, (named, entry) in wanted.items():
            if file not in self._jobs:
                self._start(named, entry)
            job = self._jobs[file]
            job.owner, job.grace = named.owner, named.entry.grace_time

    def fetch_again(self, owner: str) -> None:
        """Fetch the CRLs of an authority that are of no use: a peer was refused, and the CAs of its path are known now."""
        for entry in self._entries_of.get(owner, ()):
            job = self._jobs.get(entry.file)
            if job is not None and not job.is_of_use:
                self._schedule.run_again(job, FETCHED_AGAIN_S)

    def _start(self, named: NamedAuthority, entry: ListFile) -> None:
        self._jobs[entry.file] = job = CrlFetchJob(
            entry.name,
            named.owner,
            named.entry.grace_time,
            Backoff(self._chance),
            entry.file,
            self._in_force,
            self._issuers_for,
            self._is_elsewhere,
            self._put,
            most=self._most,
            point=entry.point,
        )
        self._schedule.start(job)

    def _most(self, file: Path) -> int:
        """Return the maximum octets of the CRL in *file*; those that certificates name share a maximum."""
        named, entry = self._wanted[file]
        if entry.point is None:
            return named.entry.largest_list
        others = (other.file for other in named.files.files if other.point is not None and other.file != file)
        return min(named.entry.largest_list, max(0, MOST_OCTETS - sum(map(_octets, others))))

    def _carry(self, loaded: Loaded) -> None:
        """Keep the CRLs in force until the first fetch from new URLs."""
        before = {named.owner: named.authority.lists for named in authorities_for(self._role, self._loaded)}
        for named in authorities_for(self._role, loaded):
            if self._loaded is not loaded and named.files.awaited and named.owner in before:
                named.files.carry(before[named.owner])
                named.authority.use_crls(named.files.held())

    def _wanted_by(self, loaded: Loaded) -> dict[Path, tuple[NamedAuthority, ListFile]]:
        """Return each fetched file with its authority; a URL that the topology names several times is fetched once."""
        return {
            entry.file: (named, entry)
            for named in authorities_for(self._role, loaded)
            for entry in named.files.files
            if entry.fetched
        }

    def _in_force(self, file: Path) -> RevocationList | None:
        """Return the CRL that was read from *file*, None if there is none."""
        return next((crl for held in self._loaded.list_files if (crl := held.found_in(file)) is not None), None)

    def _is_elsewhere(self, file: Path, crl: RevocationList) -> bool:
        """Return whether another file of the same authority has the CRL in *file* too, or a newer one."""
        return any(
            other.repeats(crl)
            for files in self._loaded.list_files
            if any(entry.file == file for entry in files.files)
            for entry in files.files
            if entry.file != file and (other := files.found_in(entry.file)) is not None
        )

    def _issuers_for(self, file: Path) -> list[x509.Certificate]:
        """Return the known CAs that may have signed the CRL in *file*."""
        found: dict[x509.Certificate, None] = {}
        for files in self._loaded.list_files:
            if any(entry.file == file for entry in files.files):
                found.update(dict.fromkeys((*files.issuers, *self._issuers.below(files.issuers))))
        return list(found)


def _octets(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
