"""The command: run one seed, or seeds until the time is over; print what was found and how to replay it.

``python -m simulation --seed 7 --trace`` replays one run. ``python -m simulation --minutes 10`` runs seed after seed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from simulation.faults import ALL_KINDS, KINDS, FaultSettings
from simulation.findings import Findings
from simulation.mutations import MUTATIONS
from simulation.organisations import Folders, memory
from simulation.simulation import PROFILES, USUAL, Result, settings_of, shrink, simulate


def main(arguments: list[str] | None = None) -> int:
    """Return 1 if an invariant was broken."""
    asked = _parser().parse_args(arguments)
    mutation = MUTATIONS[asked.mutation].applied if asked.mutation else None
    with tempfile.TemporaryDirectory(prefix="sipmesh-simulation-", dir=memory()) as folder:
        folders = Folders(Path(folder))
        folders.build()
        if mutation is not None:
            with mutation():
                return _run(folders, asked)
        return _run(folders, asked)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulation", description="Run the network on virtual time.")
    parser.add_argument("--seed", type=int, help="the first seed, or the only one")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds to run, from --seed on")
    parser.add_argument("--minutes", type=float, default=0.0, help="run seed after seed for so long instead")
    parser.add_argument("--faults", type=int, help=f"the most faults of one run ({USUAL.most})")
    kinds = f"the kinds of faults, of {', '.join(dict.fromkeys(ALL_KINDS))}; by default some of them, by the seed"
    parser.add_argument("--kinds", nargs="+", choices=ALL_KINDS, metavar="KIND", help=kinds)
    parser.add_argument(
        "--profile", choices=PROFILES, help="the faults of one profile; by default they change by the seed"
    )
    parser.add_argument("--stop", action="store_true", help="stop at the first seed that fails")
    parser.add_argument("--trace", action="store_true", help="print every event")
    parser.add_argument("--shrink", action="store_true", help="drop faults of a failing seed while it still fails")
    faults = f"run with this fault in the product: {', '.join(sorted(MUTATIONS))}"
    parser.add_argument("--mutation", choices=MUTATIONS, metavar="NAME", help=faults)
    return parser


def _run(folders: Folders, asked: argparse.Namespace) -> int:
    findings, until = Findings(), time.monotonic() + 60 * asked.minutes
    chosen = FaultSettings(asked.faults or USUAL.most, tuple(asked.kinds or KINDS))
    is_chosen = asked.faults is not None or asked.kinds is not None
    if asked.profile:
        chosen, is_chosen = PROFILES[asked.profile].settings, True
    seed = asked.seed if asked.seed is not None else 1
    last = seed + asked.seeds
    while seed < last or time.monotonic() < until:
        settings = chosen if is_chosen else settings_of(seed)
        result = simulate(folders, seed, settings=settings, keep_trace=asked.trace)
        findings.add(result)
        _show(result, asked)
        if asked.shrink and not result.passed:
            _show_shrunk(folders, result, settings)
        if asked.stop and not result.passed:
            break
        seed += 1
    print(findings.summary())
    return 1 if findings.failed else 0


def _show(result: Result, asked: argparse.Namespace) -> None:
    if asked.trace:
        print("\n".join(result.lines))
    for violation in result.violations:
        print(f"seed {result.seed}: {violation}")
    if not result.passed:
        options = f" --faults {asked.faults}" if asked.faults is not None else ""
        options += f" --profile {asked.profile}" if asked.profile else ""
        options += f" --kinds {' '.join(asked.kinds)}" if asked.kinds else ""
        print(f"seed {result.seed}: to replay: make simulate ARGS='--seed {result.seed}{options} --trace'", flush=True)


def _show_shrunk(folders: Folders, result: Result, settings: FaultSettings) -> None:
    for fault in shrink(folders, result.seed, result.rule, settings):
        print(f"seed {result.seed}: needs {fault}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
