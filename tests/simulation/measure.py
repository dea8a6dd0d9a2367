"""The command that measures the simulator: which wrong edits of the source it finds, by which promise, and at what cost.

``python -m simulation.measure --seconds 600`` makes each edit of `source_mutations`, and runs seed after seed until one breaks a
promise. It prints a row of the table in ``docs/simulation.md`` for each edit, and what was broken on the standard error output.
"""

from __future__ import annotations

import argparse
import os
import pickle
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from simulation.organisations import Folders, memory
from simulation.simulation import PROFILES, simulate
from simulation.source_mutations import SOURCE_MUTATIONS, SourceMutation

if TYPE_CHECKING:
    from collections.abc import Sequence

CRASHED: Final = "no exception reaches the loop"
"""What tells of a fault, but not of a promise that is broken."""

PROFILES_OF: Final = {
    "stored messages": ("stores", "calm"),
    "management pool": ("late", "restored", "pool"),
    "revocation": ("operators", "full", "behind", "replaced"),
    "workers": ("replaced", "workers"),
    "topology versions": ("storing", "behind", "late", "full"),
    "registrations": ("crashes", "calm", "stores", "usual"),
    "documents of users": ("storing", "behind"),
    "transactions": ("calm", "usual", "stores"),
    "dialogs": ("calm", "usual"),
    "outages": ("cuts", "crashes"),
    "quotas": ("stores", "calm"),
    "overload": ("usual", "cuts"),
    "privacy": ("calm", "usual"),
    "limits": ("workers", "usual"),
    "joins": ("pool", "late"),
    "CRL fetch": ("operators", "usual"),
    "hand-over": ("workers", "replaced"),
    "moved users": ("operators", "calm"),
    "names": ("operators", "calm"),
}
"""The profiles that are tried for an area, in turn."""


@dataclass
class Found:
    """What the runs with one edit have shown: the promise that was broken in the *run*, if one was, and what that took."""

    rule: str = ""
    what: str = ""
    run: str = ""
    seeds: int = 0
    virtual_s: float = 0.0
    cpu_s: float = field(default=0.0)

    def row(self, name: str) -> str:
        """Return the row of the table for the edit *name*."""
        return f"| `{name}` | {self.rule or 'not found'} | {self.run} | {self.virtual_s:.0f} | {self.cpu_s:.0f} |"


def find(folders: Folders, mutation: SourceMutation, seconds: float) -> Found:
    """Run seeds with the edit, of the profiles of its area, until a promise is broken or *seconds* of CPU are over.

    A promise that the seed breaks without the edit too is a fault of the source, and tells nothing of the edit.
    """
    profiles = [name for name in PROFILES_OF[mutation.area] if name in PROFILES]
    began, found = time.process_time(), Found()
    while not found.rule and time.process_time() - began < seconds:
        profile, seed = profiles[found.seeds % len(profiles)], 1 + found.seeds // len(profiles)
        found.seeds += 1
        with mutation.applied():
            rule, what, virtual_s = _run(folders, profile, seed)
        found.virtual_s += virtual_s
        if rule and _run(folders, profile, seed)[0] != rule:
            found.rule, found.what, found.run = rule, what, f"{profile} {seed}"
    found.cpu_s = time.process_time() - began
    return found


def _run(folders: Folders, profile: str, seed: int) -> tuple[str, str, float]:
    """Return the promise that a seed breaks, "" if it breaks none, with what has happened, and the virtual seconds."""
    try:
        result = simulate(folders, seed, settings=PROFILES[profile].settings)
    except Exception as wrong:  # noqa: BLE001 - the run itself has failed, which is no promise
        return CRASHED, repr(wrong), 0.0
    return result.rule, next(iter(result.violations), ""), result.seconds


def _in_a_process(folders: Folders, mutation: SourceMutation, seconds: float) -> Found:
    """Do so in a process of its own: a fault may leave anything behind."""
    with tempfile.TemporaryFile() as told:
        process = os.fork()
        if not process:
            status = 1
            try:
                told.write(pickle.dumps(find(folders, mutation, seconds)))
                told.flush()
                status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(process, 0)
        told.seek(0)
        return pickle.load(told) if status == 0 else Found(CRASHED, "the process has failed")  # noqa: S301 - our own


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was found of each edit; return 1 if one was not."""
    parser = argparse.ArgumentParser(prog="python -m simulation.measure", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="the edits to measure; by default all of them")
    parser.add_argument("--seconds", type=float, default=600.0, help="of CPU for each edit (%(default)s)")
    asked = parser.parse_args(arguments)
    count, names = 0, asked.names or list(SOURCE_MUTATIONS)
    with tempfile.TemporaryDirectory(prefix="sipmesh-simulation-", dir=memory()) as folder:
        folders = Folders(Path(folder))
        folders.build()
        for name in names:
            found = _in_a_process(folders, SOURCE_MUTATIONS[name], asked.seconds)
            count += bool(found.rule)
            print(found.row(name), flush=True)
            print(f"{name}: {found.what or 'nothing was broken'}", file=sys.stderr, flush=True)
    print(f"{count} of {len(names)} found")
    return 0 if count == len(names) else 1


if __name__ == "__main__":
    sys.exit(main())
