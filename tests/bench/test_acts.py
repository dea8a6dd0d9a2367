"""What an operator lives through, with real processes and the real commands: a growing network, a split one, a lost host.

What the acts check themselves is in `bench/acts.py`; each takes a minute, and prints what was typed and what came of it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.acts import drill, grow, may_split, split


@pytest.fixture(name="told")
def _told() -> list[str]:
    return []


@pytest.mark.soak
def test_organisation_grows_to_eight_servers_goes_back_a_version_and_removes_a_server(
    tmp_path: Path, told: list[str]
) -> None:
    grow(tmp_path / "o", told.append)
    printed = "".join(told)
    assert "8 of 8 servers without a fault." in printed
    assert "7 of 7 servers without a fault." in printed
    assert "revoked (cessation-of-operation)" in printed


@pytest.mark.soak
def test_both_halves_of_a_split_network_end_on_the_last_version(tmp_path: Path, told: list[str]) -> None:
    """No server is left without a topology meanwhile, and the status shows who is cut off."""
    reason = may_split()
    if reason:
        if os.environ.get("CI") and os.geteuid() == 0:
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    split(tmp_path / "o", told.append)
    shown = " ".join("".join(told).split())
    assert "cut off, last report" in shown
    assert "(2 behind)" in shown
    assert "2 of 4 servers without a fault." in shown  # those that get no answer from the others are not the cause
    assert "4 of 4 servers without a fault." in shown


@pytest.mark.soak
def test_every_server_follows_management_that_was_restored_elsewhere(tmp_path: Path, told: list[str]) -> None:
    """Versions and the numbers of lists have jumped: nothing that was lost with the host can come again."""
    drill(tmp_path / "o", told.append)
    assert "4 of 4 servers without a fault." in "".join(told)
