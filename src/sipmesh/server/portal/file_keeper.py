"""The files of users at management: what `storage.sent_files` has, for users whose account counts, in a thread of its own."""

from __future__ import annotations

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar, TypeVarTuple

from sipmesh.database.connection import is_missing_file
from sipmesh.errors import OperatorError
from sipmesh.routing.identity.alias import alias_keys
from sipmesh.server.console.access.account import opened
from sipmesh.server.files.file_about import FileAbout, about_of
from sipmesh.server.process.off_loop import within
from sipmesh.storage.file_cipher import ENTROPY, FileCipher, is_token, new_file
from sipmesh.storage.sent_files import Owner, Room, SentFile, SentFiles
from sipmesh.storage.users.device_rows import row_with_devices
from sipmesh.storage.users.password_hashes import verifier_of
from sipmesh.storage.users.user_rows import owner_of, user_like
from sipmesh.strict_json import read_object
from sipmesh.topology.document.parts.files import MEGABYTE
from sipmesh.topology.home_pools import home_by_default

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.database.lazy_module import sql
    from sipmesh.routing.authentication.verifier import Verifier
    from sipmesh.topology.document.parts.files import Files
    from sipmesh.topology.view import ServerView

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

DATABASE_S: Final = 20.0
"""Seconds in which the database has to answer."""

LEASE_S: Final = 120.0
"""Seconds for which an upload holds its room after each part: 20 s for a part of its client, and what the database takes.

A server that is killed leaves no room taken for longer.
"""

DAY_S: Final = 86_400.0


class FileKeeper:
    """Keeps the files of the organisation of *view*; the database is opened with the first file."""

    def __init__(self, view: Callable[[], ServerView]) -> None:
        self._view = view
        self._thread = ThreadPoolExecutor(1, "sipmesh-files")
        self._store: SentFiles | None = None
        self._url = ""

    async def begin(self, aor: str, size: int, wanted: Files) -> FileCipher:
        """Take the room for a file of *aor*; raises `NoRoomError`, and `OperatorError` for a user who is gone."""
        file = new_file(secrets.token_bytes(ENTROPY))
        room = Room(wanted.user_mb * MEGABYTE, wanted.pool_mb * MEGABYTE, wanted.total_mb * MEGABYTE)
        await self._run(self._begin, file.id, aor, size, room)
        return file

    def _begin(self, file: str, aor: str, size: int, room: Room) -> None:
        loaded = self._view().loaded
        with opened(loaded) as users, users.reading() as db:
            row = row_with_devices(db, aor)
        account = verifier_of(row) if row is not None else None
        if row is None or account is None or account.is_disabled:
            raise OperatorError("this user is gone")
        owner = Owner(aor, account.created, row["pool"] or home_by_default(loaded.topology))
        self._opened().begin(file, owner, size, room, LEASE_S)

    async def write(self, file: FileCipher, number: int, octets: bytes) -> None:
        """Store a part of a file."""
        await self._run(lambda: self._opened().write(file.id, number, file.sealed(octets, number), LEASE_S))

    async def finish(self, file: FileCipher, size: int, parts: int, about: FileAbout, days: int) -> float:
        """Let a file count, and return until when."""
        told = json.dumps({"name": about.name, "type": about.type, "size": size, "parts": parts}).encode()
        return await self._run(lambda: self._opened().finish(file.id, size, parts, file.sealed(told), days * DAY_S))

    async def drop(self, file: FileCipher) -> None:
        """Remove what an upload has left; what cannot be removed now goes with its time."""
        with suppress(OperatorError):
            await self._run(lambda: self._opened().remove(file.id))

    async def find(self, token: str) -> tuple[FileCipher, SentFile, FileAbout] | None:
        """Return the file with this token, None unless it counts, and its user too."""
        if not is_token(token):
            return None
        return await self._run(self._find, FileCipher(token))

    def _find(self, file: FileCipher) -> tuple[FileCipher, SentFile, FileAbout] | None:
        loaded = self._view().loaded
        if is_missing_file(loaded.files_url):
            return None
        found = self._opened().find(file.id)
        about = file.opened(found.about) if found is not None else None
        if found is None or about is None:
            return None
        with opened(loaded) as users, users.reading() as db:
            account = account_of(db, found.owner.aor)
        if account is None or account.is_disabled or account.created != found.owner.account:
            return None
        told = read_object(about)
        if (told.get("size"), told.get("parts")) != (found.size, found.parts):  # parts were removed, with the end of it
            return None
        return file, found, about_of(str(told.get("name", "")), str(told.get("type", "")))

    async def part(self, file: FileCipher, number: int) -> bytes | None:
        """Return a part of a file, None if it is gone or was changed."""
        return await self._run(lambda: file.opened(self._opened().part(file.id, number), number))

    async def remove(self, token: str, aor: str) -> bool:
        """Remove a file of *aor*; False if it is none of this user."""
        found = await self.find(token)
        if found is None or not await self._run(self._is_of, found[1].owner, aor):
            return False
        return await self._run(lambda: self._opened().remove(found[0].id))

    def _is_of(self, owner: Owner, aor: str) -> bool:
        """Tell whether a file is of *aor*, also after *aor* was renamed: the earlier address is an alias then."""
        with opened(self._view().loaded) as users, users.reading() as db:
            return _aor_of(db, owner.aor) == _aor_of(db, aor) != ""

    async def sweep(self) -> int:
        """Remove what is too old, what an interrupted upload has left, and the files of users who are gone; gives how many.

        Where the topology has no files, all go.
        """
        return await self._run(self._sweep)

    def _sweep(self) -> int:
        loaded = self._view().loaded
        if is_missing_file(loaded.files_url):
            return 0
        store = self._opened()
        removed, owners = store.expire(), store.owners()
        if loaded.topology.files is None:
            return removed + store.forget(owners)
        with opened(loaded) as users, users.reading() as db:
            known = {(aor, account) for aor, account in owners if _is_account(account_of(db, aor), account)}
        return removed + store.forget({*owners} - known)

    async def usage(self) -> tuple[int, int]:
        """Give how many files there are, with those that are under way, and their octets."""
        return await self._run(
            lambda: (0, 0) if is_missing_file(self._view().loaded.files_url) else self._opened().usage()
        )

    async def close(self) -> None:
        """Close the database."""
        if self._store is not None:
            store, self._store = self._store, None
            await within(DATABASE_S, "the files", store.close, thread=self._thread)
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        return await within(DATABASE_S, "the file", work, *args, thread=self._thread)

    def _opened(self) -> SentFiles:
        url = self._view().loaded.files_url
        if self._store is None or url != self._url:
            if self._store is not None:
                self._store.close()
            self._store, self._url = None, url
            self._store = SentFiles(url)
        return self._store


def account_of(db: sql.Connection, aor: str) -> Verifier | None:
    """Return the account of *aor*, or of who had this address before; None if there is none."""
    row = row_with_devices(db, _aor_of(db, aor))
    return verifier_of(row) if row is not None else None


def _aor_of(db: sql.Connection, aor: str) -> str:
    return user_like(db, aor) or owner_of(db, alias_keys(aor))


def _is_account(found: Verifier | None, account: int) -> bool:
    return found is not None and found.created == account
