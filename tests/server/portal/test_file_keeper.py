"""Files of users at management: those of users who are gone, and those of a topology without files, are removed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.server.files.file_about import FileAbout
from sipmesh.server.portal.file_keeper import FileKeeper
from sipmesh.server.process.clock import now_utc
from sipmesh.storage.file_cipher import FileCipher
from sipmesh.storage.sent_files import NoRoomError, Owner, Room, SentFiles
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.document.parts.files import Files
from sipmesh.topology.view import view
from support.managed import MGMT, build_published
from support.running import on_loop

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"
ABOUT = FileAbout("plan.txt", "text/plain")
OWNER, ROOM = Owner(ALICE, 1, "pool1"), Room(*[1 << 30] * 3)


class Place:
    """The files of an organisation that does not run."""

    def __init__(self, folder: Path) -> None:
        self.organisation = build_published(folder / "o", files={}, invitations={"listen": "127.0.0.1:8445"})
        self.view = view(self.organisation.load(), MGMT)
        self.keeper = FileKeeper(lambda: self.view)
        self.users = Users(self.view.loaded.users_url)

    @classmethod
    @asynccontextmanager
    async def opened(cls, folder: Path) -> AsyncIterator[Place]:
        place = cls(folder)
        try:
            yield place
        finally:
            await place.keeper.close()
            place.users.close()

    async def keep(self, aor: str = ALICE, wanted: Files | None = None) -> FileCipher:
        """Have a user send a file."""
        wanted = wanted or Files()
        file = await self.keeper.begin(aor, 5, wanted)
        await self.keeper.write(file, 0, b"hello")
        await self.keeper.finish(file, 5, 1, ABOUT, wanted.days)
        return file

    async def has(self, file: FileCipher) -> bool:
        return await self.keeper.find(file.token) is not None


@on_loop
async def test_file_is_found_by_its_token_alone(tmp_path: Path) -> None:
    async with Place.opened(tmp_path) as place:
        assert await place.keeper.sweep() == 0
        assert await place.keeper.find("A" * 43) is None
        file = await place.keep()
        found = await place.keeper.find(file.token)
        assert found is not None
        assert (found[1].size, found[2], await place.keeper.part(file, 0)) == (5, ABOUT, b"hello")
        assert await place.keeper.part(file, 1) is None
        for token in (file.id, "A" * 43, "../x"):
            assert await place.keeper.find(token) is None, token
        assert (await place.keeper.remove(file.token, BOB), await place.keeper.remove(file.token, ALICE)) == (
            False,
            True,
        )


@on_loop
async def test_row_that_was_put_in_the_place_of_another_opens_nothing(tmp_path: Path) -> None:
    """Who may write to the database gives no receiver another content."""
    async with Place.opened(tmp_path) as place:
        file, other = await place.keep(), await place.keep(BOB)
        store = SentFiles(place.view.loaded.files_url)
        octets = store.part(other.id, 0)
        store.remove(file.id)
        store.begin(file.id, OWNER, 5, ROOM, 60.0)
        store.write(file.id, 0, octets, 60.0)
        store.finish(file.id, 5, 1, b"", 60.0)
        store.close()
        assert await place.keeper.find(file.token) is None
        assert await place.keeper.part(file, 0) is None


@on_loop
async def test_upload_of_no_user_and_beyond_the_room_is_refused_and_a_dropped_one_is_gone(tmp_path: Path) -> None:
    async with Place.opened(tmp_path) as place:
        with pytest.raises(OperatorError, match="gone"):
            await place.keeper.begin("sip:nemo@example.test", 5, Files())
        with pytest.raises(NoRoomError):
            await place.keeper.begin(ALICE, 1_000_001, Files(largest_mb=1, user_mb=1, pool_mb=1, total_mb=1))
        file = await place.keeper.begin(ALICE, 5, Files())
        await place.keeper.write(file, 0, b"hel")
        assert not await place.has(file)
        await place.keeper.drop(file)
        with pytest.raises(OperatorError):
            await place.keeper.finish(file, 3, 1, ABOUT, 1)


@on_loop
async def test_file_is_not_served_of_a_disabled_user_and_goes_with_a_removed_one(tmp_path: Path) -> None:
    async with Place.opened(tmp_path) as place:
        file, other = await place.keep(), await place.keep(BOB)
        place.users.disable(ALICE, now_utc())
        assert (await place.has(file), await place.keeper.sweep()) == (False, 0)
        place.users.enable(ALICE)
        assert await place.has(file)
        place.users.remove(ALICE)
        place.users.add(ALICE, "another-secret")
        assert not await place.has(file)
        assert (await place.keeper.sweep(), await place.has(other)) == (1, True)


@on_loop
async def test_files_go_once_the_topology_has_none(tmp_path: Path) -> None:
    async with Place.opened(tmp_path) as place:
        file = await place.keep()
        assert await place.keeper.sweep() == 0
        place.organisation.document.pop("files")
        place.organisation.write()
        place.view = view(place.organisation.load(), MGMT)
        assert await place.keeper.sweep() == 1
        assert not await place.has(file)
