"""Fuzz with Atheris: libFuzzer changes inputs, and keeps those that reach code which no other input has reached.

``python -m fuzz.by_coverage TARGET ...`` is one process of it: libFuzzer ends the process when it is done.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fuzz.corpus import FOUND, LARGEST, save_seeds
from fuzz.target import Target

SLOWEST_S = 20
"""Seconds after which libFuzzer calls an input endless. Work is counted (`Target.run`); this ends what never ends."""


def is_installed() -> bool:
    """Tell whether Atheris is there: it has wheels for some interpreters only."""
    return find_spec("atheris") is not None


def fuzz(target: Target, folders: list[Path], seconds: float) -> bytes | None:
    """Run a process for *seconds*, from the corpus and *folders*. Give the input that fails, or None."""
    found = FOUND / target.name
    seeds, failed = save_seeds(target, found / "seeds"), found / "failed"
    failed.unlink(missing_ok=True)
    corpus = found / "corpus"
    corpus.mkdir(exist_ok=True)
    options = [f"-max_total_time={max(1, round(seconds))}", f"-max_len={LARGEST}", f"-timeout={SLOWEST_S}"]
    options += [f"-exact_artifact_path={failed}", "-verbosity=0", "-print_final_stats=1"]
    kept = [target.crashers] if target.crashers.is_dir() else []
    command = [sys.executable, "-m", "fuzz.by_coverage", target.name, *options]
    ended = subprocess.run([*command, *map(str, (corpus, seeds, *kept, *folders))], check=False)
    if ended.returncode == 0:
        return None
    return failed.read_bytes() if failed.exists() else b""


def _guided(arguments: list[str]) -> None:
    """Run libFuzzer in this process, which it ends. Modules are instrumented when they are imported."""
    import atheris

    with atheris.instrument_imports(include=["sipmesh", "wsproto", "h11"], enable_loader_override=False):
        from fuzz.targets import TARGETS
    target = TARGETS[arguments[0]]

    def run(data: Any) -> None:
        target.run(bytes(data))

    atheris.Setup([sys.argv[0], *arguments[1:]], run)
    atheris.Fuzz()


if __name__ == "__main__":
    _guided(sys.argv[1:])
