"""systemd starts the next server of a host when this one says that it serves."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sipmesh.server.process.service_manager import READY, notify


@contextmanager
def manager(monkeypatch: pytest.MonkeyPatch, address: str, named: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        listening.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", named)
        yield listening


def test_state_reaches_a_socket_that_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = str(tmp_path / "notify")
    with manager(monkeypatch, where, where) as listening:
        notify(READY)
        assert listening.recv(100) == b"READY=1"


def test_state_reaches_a_socket_without_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with manager(monkeypatch, f"\0{tmp_path}", f"@{tmp_path}") as listening:
        notify(READY)
        assert listening.recv(100) == b"READY=1"


def test_without_a_service_manager_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify(READY)
