"""The CPU time of each test and of each test module, in the summary of a run.

Wall-clock time says little on a machine that does other work, and a test that waits costs other tests nothing. A test is
charged with this process, with its threads, and with all processes that descend from it. A fixture of a module or of a
session is charged to the first test that asks for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping
from os import O_RDONLY, close, listdir, read, sysconf
from os import open as open_
from resource import RUSAGE_CHILDREN, getrusage
from time import process_time
from typing import Any, Final

import pytest

TICK_S: Final = 1 / sysconf("SC_CLK_TCK")
LONGEST_FILE: Final = 65_536
ATTRIBUTE: Final = "cpu_s"
"""By this name a report, and what a worker of pytest-xdist gives at its end, carries seconds of CPU time."""

SHOWN_MODULES: Final = 15
SHOWN_TESTS: Final = 10
WORTH_SHOWING_S: Final = 0.5


def _descendants(pid: str) -> Iterator[str]:
    for thread in _names(f"/proc/{pid}/task"):
        for child in _read(f"/proc/{pid}/task/{thread}/children").split():
            yield child
            yield from _descendants(child)


def _names(folder: str) -> list[str]:
    try:
        return listdir(folder)  # noqa: PTH208 - called around each test
    except OSError:  # the process has ended
        return []


def _read(path: str) -> str:
    """Read a file of the kernel by functions that were imported: a test may have replaced those of `os` and `pathlib`."""
    try:
        descriptor = open_(path, O_RDONLY)
    except OSError:
        return ""
    try:
        return read(descriptor, LONGEST_FILE).decode("ascii", "replace")
    except OSError:
        return ""
    finally:
        close(descriptor)


def _used_by(pid: str) -> float:
    """Tell what a process has used, with the children that it has waited for (proc_pid_stat(5), fields 14 to 17)."""
    fields = _read(f"/proc/{pid}/stat").rpartition(") ")[2].split()
    return sum(map(int, fields[11:15])) * TICK_S


def cpu_time() -> float:
    """Tell the seconds of CPU time of this process and of its descendants, except those that were not waited for."""
    waited_for = getrusage(RUSAGE_CHILDREN)
    living = sum(map(_used_by, _descendants("self")))
    return process_time() + waited_for.ru_utime + waited_for.ru_stime + living


class CpuTimes:
    """The pytest plugin: measures in each process that tests, and prints in the process that reports."""

    def __init__(self) -> None:
        self._tests = defaultdict[str, float](float)
        self._processes: list[dict[str, float]] = []
        self._collected_s = 0.0
        self._before = 0.0

    @pytest.hookimpl
    def pytest_collection_finish(self) -> None:
        """Note what imports and collection have cost in this process."""
        self._collected_s = self._before = cpu_time()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Charge a test, at its end, with what was used since the end of the test before."""
        report = yield
        if report.when == "teardown":
            now = cpu_time()
            setattr(report, ATTRIBUTE, now - self._before)
            self._before = now
        return report

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a test has used; the report of its teardown has it."""
        if report.when == "teardown":
            self._tests[report.nodeid] += getattr(report, ATTRIBUTE, 0.0)

    @pytest.hookimpl
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Give the totals of this process to the process that reports."""
        totals = {"all": cpu_time(), "collection": self._collected_s}
        worker_output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
        if worker_output is not None:
            worker_output[ATTRIBUTE] = totals
        elif self._collected_s:
            self._processes.append(totals)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take the totals of a worker of pytest-xdist."""
        totals = getattr(node, "workeroutput", {}).get(ATTRIBUTE)
        if totals is not None:
            self._processes.append(totals)

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the modules and the tests that cost most."""
        modules = defaultdict[str, float](float)
        for test, seconds in self._tests.items():
            modules[test.partition("::")[0]] += seconds
        shown = [*_most(modules, SHOWN_MODULES), *_most(self._tests, SHOWN_TESTS)]
        if shown:
            terminalreporter.section(self._heading())
        for name, seconds in shown:
            terminalreporter.line(f"{seconds:6.1f} s  {name}")

    def _heading(self) -> str:
        total = sum(process["all"] for process in self._processes)
        collection = sum(process["collection"] for process in self._processes)
        return f"CPU time: {total:.0f} s, {collection:.0f} s of it for imports and collection"


def _most(used: Mapping[str, float], count: int) -> list[tuple[str, float]]:
    """Give the names that used most, with their seconds."""
    most = sorted(used.items(), key=lambda item: -item[1])[:count]
    return [(name, seconds) for name, seconds in most if seconds >= WORTH_SHOWING_S]
