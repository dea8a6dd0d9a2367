"""A release of the past, taken from the history of this clone: its sources run in the interpreter of the tests."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from support.checkout import ROOT
from upgrades.recorded_folder import commit_of


def is_in_clone(release: str) -> bool:
    """Tell whether the history of this clone has *release*: a shallow clone may not."""
    asked = ["git", "-C", str(ROOT), "cat-file", "-e", commit_of(release)]
    return subprocess.run(asked, check=False, capture_output=True).returncode == 0


@dataclass(frozen=True, slots=True)
class EarlierRelease:
    """The sources of a *release* in *folder*. *before* is typed before each command, such as another clock."""

    release: str
    folder: Path
    before: tuple[str, ...] = ()

    @classmethod
    def taken(cls, release: str, folder: Path, commit: str) -> EarlierRelease:
        """Take *release* from the history, where it is *commit*, into *folder*."""
        packed = subprocess.run(["git", "-C", ROOT, "archive", commit, "src/sipmesh"], capture_output=True, check=True)
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(folder, filter="data")
        return cls(release, folder)

    def run(self, *arguments: str | Path, where: Path, typed: str = "") -> str:
        """Run a command in the folder *where*, with *typed* on its standard input; returns what it prints."""
        done = subprocess.run(
            self._command(arguments),
            check=False,
            cwd=where,
            env=self._environment(),
            input=typed,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, *arguments: str | Path, where: Path, log: IO[bytes], typed: str = "") -> subprocess.Popen[bytes]:
        """Start a command that stays, with *typed* on its standard input."""
        with tempfile.TemporaryFile() as keyboard:
            keyboard.write(typed.encode())
            keyboard.seek(0)
            return subprocess.Popen(
                self._command(arguments), cwd=where, env=self._environment(), stdin=keyboard, stdout=log, stderr=log
            )

    def _command(self, arguments: Iterable[str | Path]) -> list[str]:
        return [*self.before, sys.executable, "-m", "sipmesh", *map(str, arguments)]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.folder / "src")}
