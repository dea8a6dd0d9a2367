"""`sipmesh doctor` tells of public CAs that a partner is trusted by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cli.public_ca import ROOTS, trust
from cli.topology.test_trusted_authority import add
from cli.world import Organisation
from sipmesh.cli.doctor.check import State
from sipmesh.cli.doctor.third_party import preset_checks
from sipmesh.topology.document.load import load

NOW = datetime.now(UTC)


def states(organisation: Organisation, at: datetime = NOW) -> list[State]:
    return [check.state for check in preset_checks(load(organisation.file), at)]


def test_doctor_has_no_check_without_a_partner_of_a_public_ca(open_: Organisation, system: Path) -> None:
    assert states(open_) == []


def test_missing_root_and_old_presets_are_warnings(open_: Organisation, system: Path) -> None:
    """The control is first: the root is there, and the presets are of today."""
    assert add(open_, "public").code == 0
    assert states(open_) == [State.GOOD]
    assert states(open_, NOW + timedelta(days=181)) == [State.WARNING]
    trust(system, ROOTS[0])
    assert states(open_) == [State.WARNING]
    system.unlink()
    assert states(open_) == [State.WARNING]
