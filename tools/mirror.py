#!/usr/bin/env python3
"""Measure how much of each module of src/sipmesh its own test module reaches.

The own test module of ``src/sipmesh/a/b.py`` is ``tests/a/test_b.py``. It runs alone, in a new process, with coverage.py;
branches count. A module that reaches less than 90 % needs a line in ``tests/mirror.txt``: module, least percentage, reason.
``-`` in place of the percentage says that the module has no test module. The modules of `HEART` need 95 %.

Usage: mirror.py [--names | --heart] [-j JOBS] [MODULE ...]; MODULE is a path below src/sipmesh, a folder stands for all in it.
``--names`` runs nothing and checks only that each module has a test module or a line in the list.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCE: Final = ROOT / "src" / "sipmesh"
TESTS: Final = ROOT / "tests"
LIST: Final = TESTS / "mirror.txt"
ENOUGH: Final = 90
HEART_ENOUGH: Final = 95
HEART: Final = frozenset(
    {
        "server/proxy/dispatch.py",
        "server/proxy/proxy_core.py",
        "server/proxy/relay.py",
        "server/proxy/responder.py",
        "server/proxy/serving/step.py",
        "server/proxy/serving/user_targets.py",
    }
)
"""What each message passes: its own tests hand events to it and compare what it writes, without a network."""

NO_TESTS: Final = "-"
LIBRARIES: Final = (
    *("pytest", "coverage", "OpenSSL.SSL", "cryptography.x509", "aiohttp.web"),
    *("dns.asyncresolver", "pydantic", "ruamel.yaml", "sqlalchemy.orm", "jwt", "typer", "rich.console"),
)
"""Loaded once and forked: they are the larger part of what a start costs. Nothing of sipmesh may be among them."""


@dataclass(frozen=True, slots=True)
class Exemption:
    """One line of the list: the least percentage that is accepted, None where there is no test module; and the reason."""

    least: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Measured:
    """What the own tests of *module* reached, in per cent; *failure* is the output of tests that did not pass."""

    module: str
    percent: float
    failure: str = ""


def modules() -> list[str]:
    """List the modules by their paths below src/sipmesh; what only starts a package has no tests of its own."""
    found = (file.relative_to(SOURCE) for file in SOURCE.rglob("*.py"))
    return sorted(str(file) for file in found if file.name not in {"__init__.py", "__main__.py"})


def own_tests(module: str) -> Path:
    """Name the test module of a module."""
    path = TESTS / module
    return path.with_name(f"test_{path.name}")


def read_list(text: str) -> dict[str, Exemption]:
    """Read the list; raises ValueError for a line without its three parts."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        parts = line.split(maxsplit=2)
        if len(parts) != 3:  # noqa: PLR2004
            raise ValueError(f"{LIST.name}:{number}: module, least percentage and reason are needed")
        module, least, reason = parts
        found[module] = Exemption(None if least == NO_TESTS else int(least), reason)
    return found


def wrong_names(known: Iterable[str], exempt: Mapping[str, Exemption], tested: Mapping[str, bool]) -> Iterator[str]:
    """Give what is wrong with the names alone; *tested* says for each module whether its test module exists."""
    for module in known:
        listed = exempt.get(module)
        without_tests = listed is not None and listed.least is None
        if not tested[module] and not without_tests:
            yield f"{module} has no test module: write {own_tests(module).relative_to(ROOT)}"
        if tested[module] and without_tests:
            yield f"{module} has a test module now: correct its line in {LIST.relative_to(ROOT)}"
    for module in exempt:
        if module not in tested:
            yield f"{module} does not exist: remove its line from {LIST.relative_to(ROOT)}"


def fault(measured: Measured, listed: Exemption | None) -> str | None:
    """Say what is wrong with one result, None if nothing is."""
    enough = HEART_ENOUGH if measured.module in HEART else ENOUGH
    least = enough if listed is None or listed.least is None else listed.least
    if measured.failure:
        return "its tests fail"
    if measured.percent < least:
        return f"below {least} %"
    if listed is not None and measured.percent >= ENOUGH:
        return f"reaches {ENOUGH} %: remove its line from {LIST.relative_to(ROOT)}"
    return None


def measure(module: str) -> Measured:
    """Run the own tests of a module in this process, which is used for this only."""
    import pytest
    from coverage import Coverage

    printed = io.StringIO()
    with TemporaryDirectory(prefix="mirror") as folder, redirect_stdout(printed):
        coverage = Coverage(
            data_file=f"{folder}/coverage",
            data_suffix=True,
            include=[str(SOURCE / module)],
            config_file=str(ROOT / "pyproject.toml"),
            messages=False,
        )
        coverage.start()
        code = pytest.main(["-q", "-p", "no:cacheprovider", "-m", "not soak", str(own_tests(module))])
        coverage.stop()
        coverage.save()
        coverage.combine()
        percent = coverage.report(file=io.StringIO(), ignore_errors=True)
    passed = code in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
    return Measured(module, percent, "" if passed else printed.getvalue())


def measured_all(wanted: Iterable[str], jobs: int) -> Iterator[Measured]:
    """Measure modules, each in a process of its own, as they come."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(LIBRARIES))
    with ProcessPoolExecutor(jobs, mp_context=context, max_tasks_per_child=1) as pool:
        for done in as_completed([pool.submit(measure, module) for module in wanted]):
            yield done.result()


def selected(known: Iterable[str], named: list[str]) -> list[str]:
    """Choose the modules that the command line names, or all."""
    return [module for module in known if not named or any(f"{module}/".startswith(f"{one}/") for one in named)]


def report(wanted: list[str], exempt: Mapping[str, Exemption], jobs: int) -> int:
    """Print a line for each module; give the number of faults."""
    faults, results = 0, []
    for measured in measured_all(wanted, jobs):
        listed = exempt.get(measured.module)
        wrong = fault(measured, listed)
        note = f"FAULT: {wrong}" if wrong else listed.reason if listed else ""
        print(f"{measured.percent:5.1f} %  {measured.module}  {note}".rstrip(), flush=True)
        if measured.failure:
            print(measured.failure)
        results.append(measured.percent)
        faults += wrong is not None
    reached = sum(percent >= ENOUGH for percent in results)
    print(f"{reached} of {len(results)} modules are reached to {ENOUGH} % or more by their own tests; {faults} faults")
    return faults


def main(given: list[str]) -> int:
    """Check the names, then measure; 1 where there is a fault."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="path below src/sipmesh; all if none is given")
    parser.add_argument("--names", action="store_true", help="check only that the test modules exist")
    parser.add_argument("--heart", action="store_true", help="measure what each message passes")
    parser.add_argument("-j", "--jobs", type=int, default=2, help="how many modules at once (default: 2)")
    asked = parser.parse_args(given)
    known, exempt = modules(), read_list(LIST.read_text("utf-8"))
    tested = {module: own_tests(module).exists() for module in known}
    wrong = list(wrong_names(known, exempt, tested))
    print(*wrong, sep="\n", end="\n" if wrong else "")
    if asked.names:
        return int(bool(wrong))
    named = sorted(HEART) if asked.heart else asked.modules
    wanted = [module for module in selected(known, named) if tested[module]]
    return int(bool(report(wanted, exempt, asked.jobs) + len(wrong)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
