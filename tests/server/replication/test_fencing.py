"""The highest fencing number of a server survives a restart, and only rises."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from sipmesh.database.number_ceilings import FENCING_NUMBERS
from sipmesh.errors import OperatorError, RemoteError
from sipmesh.server.replication.fencing import HighestFencing
from sipmesh.topology.versions.jose import Signed

NAME = "fe1.example.test"
NOW = datetime.now(UTC)


def led(fencing: int, chain: tuple[x509.Certificate, ...] = ()) -> Signed:
    return Signed(b"", chain, fencing)


@pytest.fixture(name="highest")
def _highest(tmp_path: Path) -> HighestFencing:
    (tmp_path / "servers").mkdir()
    return HighestFencing(tmp_path, NAME)


def test_number_rises_and_is_stored_beside_the_key(highest: HighestFencing, tmp_path: Path) -> None:
    highest.accept(led(0), NOW)
    assert not highest.file.exists()
    highest.accept(led(2), NOW)
    highest.accept(led(2), NOW)
    assert stat.S_IMODE(highest.file.stat().st_mode) == 0o600
    again = HighestFencing(tmp_path, NAME)
    assert again.number == 2
    with pytest.raises(RemoteError, match="fencing number 1"):
        again.accept(led(1), NOW)
    assert again.number == 2


def test_full_disk_keeps_the_number_in_memory_until_there_is_room(highest: HighestFencing, tmp_path: Path) -> None:
    highest.file.parent.rename(away := tmp_path / "away")
    highest.accept(led(2), NOW)
    with pytest.raises(RemoteError):
        highest.accept(led(1), NOW)
    away.rename(highest.file.parent)
    highest.accept(led(2), NOW)
    assert HighestFencing(tmp_path, NAME).number == 2


def test_unreadable_number_stops_the_server(highest: HighestFencing) -> None:
    highest.file.write_bytes(b"many")
    with pytest.raises(OperatorError, match="sipmesh join"):
        highest.accept(led(9), NOW)


def test_number_that_no_leader_can_have_is_refused_and_the_next_after_the_highest_counts(
    highest: HighestFencing, tmp_path: Path
) -> None:
    with pytest.raises(RemoteError, match="fencing number 9007199254740991 is beyond"):
        highest.accept(led(2**53 - 1), NOW)
    assert highest.number == 0
    top = FENCING_NUMBERS.at(NOW)
    for number in (top, top + 1, top + 2):
        highest.accept(led(number), NOW)
    assert HighestFencing(tmp_path, NAME).number == top + 2


def test_only_a_number_that_no_leader_can_have_is_lowered(highest: HighestFencing, tmp_path: Path) -> None:
    highest.accept(led(7), NOW)
    highest.forget_beyond(NOW)
    assert HighestFencing(tmp_path, NAME).number == 7
    highest.file.write_bytes(b"9007199254740991")
    again = HighestFencing(tmp_path, NAME)
    again.forget_beyond(NOW)
    again.accept(led(1), NOW)
    assert HighestFencing(tmp_path, NAME).number == 1
