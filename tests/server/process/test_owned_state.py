"""The state of a server has one owner, also among processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.server.process.owned_state import owned_state

NAME = "mgmt.example.test"
OTHER_PROCESS = """
import sys
from pathlib import Path
from sipmesh.server.process.owned_state import owned_state
with owned_state(Path(sys.argv[1]), sys.argv[2]):
    print("owned", flush=True)
    sys.stdin.read()
"""


def test_state_is_owned_once_and_free_at_the_end_of_the_block(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with owned_state(state, NAME):
        with pytest.raises(OperatorError, match="is starting, running or draining"), owned_state(state, NAME):
            pass
        with owned_state(state, "fe1.example.test"):
            pass
    with owned_state(state, NAME):
        assert state.stat().st_mode & 0o777 == 0o700


def test_killed_process_owns_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, str(tmp_path), NAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"owned\n"
        with pytest.raises(OperatorError), owned_state(tmp_path, NAME):
            pass
        other.kill()
        other.wait()
    with owned_state(tmp_path, NAME):
        pass


def test_lock_that_is_a_link_or_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.lock").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "file").write_text("")
    for state in (tmp_path, tmp_path / "file"):
        with pytest.raises(OperatorError, match="cannot be locked"), owned_state(state, NAME):
            pass
    assert not (tmp_path / "elsewhere").exists()
