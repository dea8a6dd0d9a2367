"""The command: fuzz each target for some seconds; keep what breaks a property, and print how to replay it.

``python -m fuzz --seconds 60 --target framing`` fuzzes one target. ``python -m fuzz --replay FILE --target framing`` runs
one input. ``python -m fuzz --worst --tries 200`` searches for the inputs that cost most for each of their octets.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from fuzz import by_coverage, by_hypothesis
from fuzz.corpus import inputs_in, save
from fuzz.target import Target
from fuzz.targets import TARGETS
from fuzz.worst.readers import READERS
from fuzz.worst.report import report

ENGINES = ("atheris", "hypothesis")


def main(arguments: list[str] | None = None) -> int:
    """Return 1 if a property was broken."""
    asked = _parser().parse_args(arguments)
    if asked.worst:
        return 0 if report([READERS[name] for name in asked.reader or READERS], asked.tries, asked.seed) else 1
    targets = [TARGETS[name] for name in asked.target or TARGETS]
    if asked.replay:
        return _replay(targets, asked.replay)
    engine = asked.engine or ENGINES[0 if by_coverage.is_installed() else 1]
    run = _by_coverage if engine == "atheris" else _by_hypothesis
    return max([_fuzz(target, run, asked) for target in targets])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fuzz", description="Give the octets of an attacker to each reader."
    )
    parser.add_argument("--target", action="append", choices=TARGETS, help="fuzz this one; may be repeated (all)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to fuzz each target (%(default)s)")
    parser.add_argument(
        "--corpus", type=Path, action="append", default=[], help="a folder with more inputs to start from"
    )
    parser.add_argument("--engine", choices=ENGINES, help="by default Atheris where it is installed")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one input, and show why it fails")
    worst = parser.add_argument_group("the worst cost for each octet")
    worst.add_argument("--worst", action="store_true", help="search for the inputs that cost most for each octet")
    worst.add_argument("--reader", action="append", choices=READERS, help="search for this one; may be repeated (all)")
    worst.add_argument(
        "--tries", type=int, default=200, help="shapes to try for each, beside the simple ones (%(default)s)"
    )
    worst.add_argument("--seed", type=int, default=1, help="another one tries others (%(default)s)")
    return parser


def _fuzz(target: Target, run: Callable[[Target, argparse.Namespace], bytes | None], asked: argparse.Namespace) -> int:
    print(f"{target.name}: {target.holds}", flush=True)
    failed = run(target, asked)
    if failed is None:
        return 0
    place = save(failed, target.crashers)
    print(f"{target.name}: failed; to replay: make fuzz ARGS='--target {target.name} --replay {place}'", flush=True)
    return 1


def _by_coverage(target: Target, asked: argparse.Namespace) -> bytes | None:
    return by_coverage.fuzz(target, asked.corpus, asked.seconds)


def _by_hypothesis(target: Target, asked: argparse.Namespace) -> bytes | None:
    corpus = [*target.seeds, *inputs_in([target.crashers, *asked.corpus])]
    ran, failed = by_hypothesis.fuzz(target, corpus, asked.seconds)
    print(f"{target.name}: {ran} inputs")
    return failed


def _replay(targets: list[Target], file: Path) -> int:
    failed = 0
    for target in targets:
        try:
            target.run(file.read_bytes())
        except Exception:  # noqa: BLE001 - it is shown
            print(f"{target.name}: {traceback.format_exc()}")
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
