"""Finds seeds under which the machine of identities notices soon that a rule is off: ``FOUND_SOON`` in its test module.

Usage: PYTHONPATH=tests:src python -m attacks.identity_seeds [RULE ...]; it prints a line for each rule, all by default. The
seeds are those of the code that runs: a change of what servers send and answer may make one useless.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Final
from unittest.mock import patch

from attacks.test_identity_machine import OFF, SOON, noticed
from attacks.wires import build
from sipmesh.demo.organisation import Organisation

SEEDS: Final = range(60)
ENOUGH_S: Final = 0.3


def seconds(example: Organisation, rule: str, chosen: int) -> float | None:
    """Tell how much CPU time the machine needs to notice that *rule* is off; None if it does not notice soon."""
    began = time.process_time()
    with ExitStack() as stack:
        for where, name, instead in OFF[rule]:
            stack.enter_context(patch.object(where, name, instead))
        stack.enter_context(redirect_stdout(io.StringIO()))
        stack.enter_context(redirect_stderr(io.StringIO()))
        found = noticed(example, SOON, chosen)
    return time.process_time() - began if found else None


def best(example: Organisation, rule: str) -> tuple[float, int] | None:
    """Give the first seed that is quick enough with its seconds, or the quickest of all."""
    found: list[tuple[float, int]] = []
    for chosen in SEEDS:
        took = seconds(example, rule, chosen)
        if took is not None:
            found.append((took, chosen))
            if took <= ENOUGH_S:
                break
    return min(found, default=None)


def main(rules: list[str]) -> None:
    """Print the seeds."""
    with tempfile.TemporaryDirectory(prefix="seeds-") as folder:
        example = build(Path(folder) / "wires")[0]
        for rule in rules or OFF:
            found = best(example, rule)
            told = f"{found[1]},  # {found[0]:.2f} s" if found else "none"
            sys.stdout.write(f'"{rule}": {told}\n')
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
