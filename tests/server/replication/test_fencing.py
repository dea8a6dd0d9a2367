"""The highest fencing number of a server survives a restart, and only rises."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography import x509

from sipmesh.errors import OperatorError, RemoteError
from sipmesh.server.replication.fencing import HighestFencing
from sipmesh.topology.versions.jose import Signed

NAME = "fe1.example.test"


def led(fencing: int, chain: tuple[x509.Certificate, ...] = ()) -> Signed:
    return Signed(b"", chain, fencing)


@pytest.fixture(name="highest")
def _highest(tmp_path: Path) -> HighestFencing:
    (tmp_path / "servers").mkdir()
    return HighestFencing(tmp_path, NAME)


def test_number_rises_and_is_stored_beside_the_key(highest: HighestFencing, tmp_path: Path) -> None:
    highest.accept(led(0))
    assert not highest.file.exists()
    highest.accept(led(2))
    highest.accept(led(2))
    assert stat.S_IMODE(highest.file.stat().st_mode) == 0o600
    again = HighestFencing(tmp_path, NAME)
    assert again.number == 2
    with pytest.raises(RemoteError, match="fencing number 1"):
        again.accept(led(1))
    assert again.number == 2


def test_full_disk_keeps_the_number_in_memory_until_there_is_room(highest: HighestFencing, tmp_path: Path) -> None:
    highest.file.parent.rename(away := tmp_path / "away")
    highest.accept(led(2))
    with pytest.raises(RemoteError):
        highest.accept(led(1))
    away.rename(highest.file.parent)
    highest.accept(led(2))
    assert HighestFencing(tmp_path, NAME).number == 2


def test_unreadable_number_stops_the_server(highest: HighestFencing) -> None:
    highest.file.write_bytes(b"many")
    with pytest.raises(OperatorError, match="sipmesh join"):
        highest.accept(led(9))
