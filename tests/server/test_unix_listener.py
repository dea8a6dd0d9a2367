"""A listening Unix socket: each connection reaches its owner, also the last accepted one."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sipmesh.server.unix_listener import UnixListener
from support.running import on_loop
from support.telling import Told


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "fe1.sock"


@pytest.fixture(name="phones")
def _phones() -> Iterator[list[socket.socket]]:
    """Sockets of ours that connect; they are closed after the test."""
    phones = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    yield phones
    for phone in phones:
        phone.close()


@on_loop
async def test_each_connection_is_given_to_the_owner(path: Path, phones: list[socket.socket]) -> None:
    taken: asyncio.Queue[socket.socket] = asyncio.Queue()
    listener = UnixListener(path, taken.put_nowait, Told().log)
    for phone in phones:
        phone.connect(str(path))
        with await taken.get() as connected:
            assert not connected.getblocking()
    listener.close()


@on_loop
async def test_nothing_is_accepted_after_the_close(path: Path, phones: list[socket.socket]) -> None:
    taken: list[socket.socket] = []
    listener = UnixListener(path, taken.append, Told().log)
    phones[0].connect(str(path))
    listener.close()
    await asyncio.sleep(0)
    assert taken == []
    with pytest.raises(ConnectionResetError):
        phones[0].recv(1)
    with pytest.raises(ConnectionRefusedError):
        phones[1].connect(str(path))


@on_loop
async def test_without_free_descriptors_it_waits_and_then_goes_on(
    path: Path, phones: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sipmesh.server.unix_listener.PAUSE_S", 0.05)
    taken: asyncio.Queue[socket.socket] = asyncio.Queue()
    told = Told()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    listener = UnixListener(path, taken.put_nowait, told.log)
    phones[0].connect(str(path))
    resource.setrlimit(resource.RLIMIT_NOFILE, (phones[0].fileno(), hard))
    try:
        while not told.lines:
            await asyncio.sleep(0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    (await taken.get()).close()
    listener.close()
