"""What `pip install` makes of this checkout where nothing can be compiled; `make test-compiled` tests the other install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from support.checkout import ROOT

NO_COMPILER = {"CC": "/nowhere/cc"}


def build(folder: Path, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Build a wheel into *folder*."""
    environment = {name: value for name, value in os.environ.items() if name not in {"CC", "SIPMESH_COMPILE"}}
    environment["SIPMESH_WEB_PHONE"] = "0"  # a test does not ask npm's registry; what is built already is shipped
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    return subprocess.run(
        command, cwd=ROOT, env=environment | settings, capture_output=True, text=True, check=False, timeout=120
    )


SHIPPED = {".json", ".py", ".typed", ".lua", ".html", ".css", ".js", ".svg", ".txt", ".template"}
"""Suffixes of the files that belong to the package."""


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (NO_COMPILER, "sipmesh is not compiled and runs from source: there is no /nowhere/cc"),
        ({"SIPMESH_COMPILE": "0"}, ""),
    ],
    ids=["no-compiler", "not-wanted"],
)
@pytest.mark.wide
def test_wheel_is_of_sources_alone_and_whole(tmp_path: Path, settings: dict[str, str], said: str) -> None:
    """Only such a wheel fits every Python and machine, and nothing of the sources may be missing in it."""
    done = build(tmp_path, settings)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout + done.stderr
    (wheel,) = tmp_path.iterdir()
    assert wheel.name.endswith("-py3-none-any.whl")
    inside = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    sources = (ROOT / "src").rglob("*")
    there = {path.relative_to(ROOT / "src").as_posix() for path in sources if path.suffix in SHIPPED}
    assert inside == there


def test_required_compilation_reports_what_is_missing(tmp_path: Path) -> None:
    done = build(tmp_path, NO_COMPILER | {"SIPMESH_COMPILE": "1"})
    assert done.returncode != 0
    assert "there is no /nowhere/cc" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_npm_the_web_phone_is_left_out(tmp_path: Path) -> None:
    """Exit code 3 tells the hook of the wheel that npm is missing, and nothing has failed."""
    (tmp_path / "bin").mkdir()
    dirname = shutil.which("dirname")
    assert dirname is not None
    (tmp_path / "bin" / "dirname").symlink_to(dirname)
    bundle = tmp_path / "bundle"
    ran = subprocess.run(
        [ROOT / "tools" / "web_phone", bundle], env={"PATH": str(tmp_path / "bin")}, check=False, capture_output=True
    )
    assert (ran.returncode, ran.stderr, bundle.exists()) == (3, b"", False)
