"""Events of the kernel: each watched file that is put in place is reported once, unfinished files are not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TextIO

import pytest
from inotify_simple import Event, INotify, flags

from sipmesh.server.refresh import inotify
from sipmesh.server.refresh.inotify import FileEvents
from support.running import on_loop, until
from support.telling import Told


class Heard:
    """The files of each call."""

    def __init__(self) -> None:
        self.calls: list[set[Path]] = []
        self.told = Told()

    def __call__(self, files: Collection[Path]) -> None:
        self.calls.append(set(files))

    @property
    def files(self) -> set[Path]:
        return set[Path]().union(*self.calls)


@asynccontextmanager
async def listening(*files: Path) -> AsyncIterator[tuple[Heard, FileEvents]]:
    heard = Heard()
    listener = FileEvents(asyncio.get_running_loop(), heard, heard.told.log)
    listener.watch(files)
    try:
        yield heard, listener
    finally:
        listener.close()


def put(file: Path, content: str = "new") -> None:
    """Put a file in place as we always do: write it beside its place, then rename it."""
    draft = file.with_name(f".{file.name}.new")
    draft.write_text(content)
    draft.replace(file)


def take_away(file: Path) -> None:
    """Remove a file."""
    file.unlink()


def writing(file: Path) -> TextIO:
    """Start to write a file again in its place."""
    return file.open("w")


async def only(heard: Heard, file: Path, sign: Path) -> None:
    """Wait for *sign*, which was put in place last, and check that only *file* was reported before."""
    put(sign)
    await until(lambda: sign in heard.files)
    assert heard.files == {file, sign}


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    file = tmp_path / "ca" / "issuing.crl"
    file.parent.mkdir()
    file.write_text("before")
    return file


@pytest.fixture(name="sign")
def _sign(tmp_path: Path) -> Path:
    """Another watched file, which changes after all others."""
    return tmp_path / "ca" / "sign"


@on_loop
async def test_file_renamed_into_place_is_reported_and_its_neighbours_are_not(file: Path, sign: Path) -> None:
    """The CA writes its ledger, its lock and its drafts into the same folder."""
    async with listening(file, sign) as (heard, _):
        put(file.with_name("ledger.db"))
        put(file)
        await only(heard, file, sign)


@on_loop
async def test_file_written_in_place_is_reported_when_it_is_closed(file: Path, sign: Path) -> None:
    """As `cp` and `scp` do it: neither truncation nor the first half is reported."""
    async with listening(file, sign) as (heard, _):
        with writing(file) as stream:
            stream.write("half")
            stream.flush()
            put(sign)
            await until(lambda: heard.calls)
            assert heard.files == {sign}
        await until(lambda: file in heard.files)


@on_loop
async def test_removed_file_is_not_reported(file: Path, sign: Path) -> None:
    """An operator who removes a CRL may be about to write the next one; otherwise the timer notices it."""
    async with listening(file, sign) as (heard, _):
        take_away(file)
        put(sign)
        await until(lambda: heard.calls)
        assert heard.files == {sign}


@on_loop
async def test_target_of_a_symbolic_link_is_reported_by_the_watched_name(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "issuing.crl"
    link.symlink_to(file)
    async with listening(link) as (heard, _):
        put(file)
        await until(lambda: heard.calls)
        assert heard.files == {link}


@on_loop
async def test_replaced_folder_is_reported_after_watching_again(file: Path, tmp_path: Path) -> None:
    async with listening(file) as (heard, listener):
        file.parent.rename(tmp_path / "old")
        file.parent.mkdir()
        listener.watch([file])
        put(tmp_path / "old" / file.name)
        put(file, "the one that counts")
        await until(lambda: heard.calls)
        assert heard.files == {file}


@on_loop
async def test_unwatched_file_is_not_reported(file: Path, tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    async with listening(file) as (heard, listener):
        listener.watch([sign])
        put(file)
        put(sign)
        await until(lambda: heard.calls)
        assert heard.files == {sign}


@on_loop
async def test_event_overflow_reports_all_watched_files(
    file: Path, sign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening(file, sign) as (heard, listener):
        overflow = [Event(-1, flags.Q_OVERFLOW, 0, "")]
        monkeypatch.setattr(INotify, "read", lambda *_, **__: overflow)
        listener._read_events()
        assert heard.calls == [{file, sign}]


@on_loop
async def test_unwatchable_folder_is_logged_once_and_others_are_watched(file: Path, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere" / "root.crl"
    async with listening(file, missing) as (heard, listener):
        listener.watch([file, missing])
        assert len(list(heard.told.events("inotify cannot watch a folder: it is checked at intervals only"))) == 1
        put(file)
        await until(lambda: heard.calls)


@on_loop
async def test_missing_inotify_is_logged_and_everything_else_works(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine may have used up its inotify instances."""

    def none_left(**_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(inotify, "INotify", none_left)
    async with listening(file) as (heard, _):
        assert "Too many" in heard.told.last("inotify does not work: files are checked at intervals only")["why"]
