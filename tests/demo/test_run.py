"""The demo in one process: it ends by itself, with the exit code that its results deserve."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from rich.console import Console

from attacks.theatre import Theatre
from sipmesh.demo import run
from sipmesh.demo.run import Pause, Wishes
from sipmesh.demo.score import COLUMNS


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "DemoNetwork", Theatre)


def played(findings: Path | None, *, keep: bool = False, pause: bool = False) -> tuple[int, str]:
    """Run the demo; gives its exit code and what it printed."""
    console = Console(file=io.StringIO(), width=COLUMNS)
    code = run.main(Wishes(keep=keep, pause=pause), findings=findings, console=console)
    assert isinstance(console.file, io.StringIO)
    return code, console.file.getvalue()


@pytest.mark.wide
def test_demo_ends_by_itself_with_0_and_names_its_findings(tmp_path: Path) -> None:
    code, printed = played(tmp_path / "findings.txt")
    assert code == 0, printed
    assert f"Full findings: {tmp_path / 'findings.txt'}" in printed
    assert "results are as expected" in printed.splitlines()[-1]


def instead_of_the_acts(monkeypatch: pytest.MonkeyPatch, act: Callable[[Pause], Awaitable[None]]) -> None:
    async def perform(_network: object, _score: object, _findings: Path, pause: Pause) -> None:
        await act(pause)

    monkeypatch.setattr(run, "_perform", perform)


@pytest.mark.wide
def test_demo_without_any_result_ends_with_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def nothing(_pause: Pause) -> None:
        return

    instead_of_the_acts(monkeypatch, nothing)
    assert played(tmp_path / "findings.txt")[0] == 1


@pytest.mark.wide
def test_demo_that_is_kept_says_how_a_phone_logs_in_and_stops_on_a_signal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def stop_soon(_pause: Pause) -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)

    instead_of_the_acts(monkeypatch, stop_soon)
    _, printed = played(tmp_path / "findings.txt", keep=True)
    assert "user carol@example.test, password carol-secret" in printed
    assert printed.splitlines()[-1] == "stopping"


@pytest.mark.wide
def test_pause_takes_one_line_of_the_standard_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def wait_twice(pause: Pause) -> None:
        await pause()
        await pause()

    instead_of_the_acts(monkeypatch, wait_twice)
    reading, writing = os.pipe()
    os.write(writing, b"\n\nleft")
    os.close(writing)
    with os.fdopen(reading, "r", buffering=1) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        played(tmp_path / "findings.txt", pause=True)
        assert stdin.read() == "left"
    assert capsys.readouterr().out.count("Press Enter for the next act.") == 2
