"""The gate on test modules: what it measures, and what it accepts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.checkout import ROOT
from tools import mirror
from tools.mirror import Exemption, Measured


def test_own_test_module_has_the_path_of_its_module() -> None:
    assert mirror.own_tests("server/agent/agent.py") == ROOT / "tests/server/agent/test_agent.py"
    assert "server/agent/agent.py" in mirror.modules()
    assert not any(name.endswith(("__init__.py", "__main__.py")) for name in mirror.modules())


def test_list_has_module_least_percentage_and_reason() -> None:
    text = "# a comment\n\nserver/a.py 62 runs in another process\nsip/b.py - has no code\n"
    assert mirror.read_list(text) == {
        "server/a.py": Exemption(62, "runs in another process"),
        "sip/b.py": Exemption(None, "has no code"),
    }
    with pytest.raises(ValueError, match=r"mirror\.txt:1"):
        mirror.read_list("server/a.py 62")


@pytest.mark.parametrize(
    ("exempt", "tested", "told"),
    [
        ({}, True, ""),
        ({}, False, "has no test module"),
        ({"a.py": Exemption(None, "why")}, False, ""),
        ({"a.py": Exemption(62, "why")}, False, "has no test module"),
        ({"a.py": Exemption(None, "why")}, True, "has a test module now"),
        ({"gone.py": Exemption(62, "why")}, True, "does not exist"),
    ],
)
def test_module_without_tests_needs_a_line_and_no_line_is_left_over(
    exempt: dict[str, Exemption], told: str, *, tested: bool
) -> None:
    found = list(mirror.wrong_names(["a.py"], exempt, {"a.py": tested}))
    assert len(found) == bool(told)
    assert told in "".join(found)


@pytest.mark.parametrize(
    ("percent", "listed", "failure", "told"),
    [
        (90.0, None, "", None),
        (89.9, None, "", "below 90 %"),
        (62.0, Exemption(62, "why"), "", None),
        (61.9, Exemption(62, "why"), "", "below 62 %"),
        (90.0, Exemption(62, "why"), "", "reaches 90 %"),
        (100.0, None, "1 failed", "its tests fail"),
    ],
)
def test_module_below_its_least_percentage_is_a_fault(
    percent: float, listed: Exemption | None, failure: str, told: str | None
) -> None:
    found = mirror.fault(Measured("a.py", percent, failure), listed)
    assert (found or "").startswith(told or "")
    assert (found is None) is (told is None)


def test_what_each_message_passes_needs_more() -> None:
    assert set(mirror.modules()) >= mirror.HEART
    for module in mirror.HEART:
        assert mirror.fault(Measured(module, 94.9), None) == "below 95 %"
        assert mirror.fault(Measured(module, 95.0), None) is None


def test_folder_stands_for_all_modules_in_it() -> None:
    known = ["sip/uri.py", "sip/transaction/ack.py", "sipx/a.py"]
    assert mirror.selected(known, []) == known
    assert mirror.selected(known, ["sip"]) == known[:2]
    assert mirror.selected(known, ["sip/uri.py"]) == known[:1]


@pytest.mark.wide
def test_module_is_measured_by_its_own_tests_alone() -> None:
    """In a process of its own: what this one has imported is not counted again."""
    command = [sys.executable, str(ROOT / "tools" / "mirror.py"), "trust/role.py"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, "100.0 %  trust/role.py" in ran.stdout) == (0, True), ran.stdout + ran.stderr
