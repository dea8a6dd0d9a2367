"""Whether systemd runs the servers of this host, and starts them again after a boot."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sipmesh.cli.doctor.check import bad, good, skipped, warning

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sipmesh.cli.doctor.check import Check

UNITS: Final = "units"
SYSTEMD: Final = Path("/run/systemd/system")
"""It is there if systemd has started this machine (sd_booted(3))."""

_ASKED: Final = ("LoadState", "ActiveState", "UnitFileState")
ANSWER_S: Final = 5.0


def unit_checks(servers: Iterable[str], running: frozenset[str]) -> Iterator[Check]:
    """Judge the unit of each of *servers*; those of *running* answer on their control socket."""
    if not SYSTEMD.is_dir():
        yield skipped(
            UNITS, "systemd does not run here: make sure that another program starts the servers after a boot"
        )
        return
    for server in servers:
        yield unit_check(server, unit_of(server), runs=server in running)


def unit_of(server: str) -> Mapping[str, str]:
    """Ask systemd for the unit of a server; empty if it does not answer."""
    command = ["systemctl", "show", f"sipmesh@{server}.service", *(f"--property={name}" for name in _ASKED)]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=ANSWER_S)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return dict(line.partition("=")[::2] for line in asked.stdout.splitlines())


def unit_check(server: str, unit: Mapping[str, str], *, runs: bool) -> Check:
    """Judge what systemd says of the unit of *server*."""
    name, active = f"sipmesh@{server}", unit.get("ActiveState", "")
    if unit.get("LoadState") != "loaded":
        return warning(
            UNITS,
            f"systemd has no unit {name}",
            "install the package, or copy packaging/systemd/ to /etc/systemd/system/",
        )
    if active == "failed":
        return bad(
            UNITS, f"the unit {name} has failed", f"read why: journalctl -u {name}; then: systemctl restart {name}"
        )
    if unit.get("UnitFileState") != "enabled":
        return warning(UNITS, f"{server} does not start after a boot", f"systemctl enable --now {name}")
    if runs and active != "active":
        return warning(UNITS, f"{server} runs, and not by its unit", f"stop it, and run: systemctl start {name}")
    return good(UNITS, f"the unit {name} is {active}")
