"""A secret is asked for on the terminal, and is not shown; without a terminal, it is piped."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import typer

from sipmesh.cli import secret_prompt
from sipmesh.cli.secret_prompt import prompt_secret

ASK = (
    "import sys\nfrom sipmesh.cli.secret_prompt import prompt_secret\nfrom sipmesh.errors import OperatorError\n"
    "try:\n    print('got', prompt_secret('Password of alice', 'use a file', twice=True))\n"
    "except OperatorError as wrong:\n    sys.exit(str(wrong))"
)


def asking(stdin: int) -> subprocess.Popen[bytes]:
    """A process that asks, in a session without another terminal than its *stdin*."""
    command = (sys.executable, "-c", ASK)
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=stdin, stdout=pipe, stderr=pipe, start_new_session=True)


def read_up_to(process: subprocess.Popen[bytes], end: bytes) -> None:
    """Read what *process* says until it has said *end*; it must not end before."""
    seen = b""
    while not seen.endswith(end):
        assert process.stderr is not None
        more = os.read(process.stderr.fileno(), 1000)
        assert more, seen
        seen += more


def test_secret_is_typed_twice_on_the_terminal_and_not_shown() -> None:
    outer, inner = os.openpty()
    with asking(inner) as process:
        for end in (b"alice: ", b"confirmation: "):  # the last space comes once what was typed before is gone
            read_up_to(process, end)
            os.write(outer, b"pass word\n")
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, b"got pass word\n")
    os.set_blocking(outer, False)
    with open(outer, "rb") as screen:  # noqa: PTH123 - a descriptor, which has no path
        assert b"pass" not in (screen.read(1000) or b"")
    os.close(inner)


@pytest.mark.parametrize("piped", [b"", b"\n", b"secret\n", b"secret\nanother\n"])
def test_remedy_is_reported_where_there_is_neither_a_terminal_nor_the_secret_twice(piped: bytes) -> None:
    with asking(subprocess.PIPE) as process:
        out, err = process.communicate(piped, timeout=60)
    assert (process.returncode, out) == (1, b"")
    assert err == b"there is no terminal to ask for the password of alice; use a file\n"


def test_secret_may_be_piped() -> None:
    with asking(subprocess.PIPE) as process:
        assert process.communicate(b"pass word\npass word\n", timeout=60) == (b"got pass word\n", b"")


@pytest.mark.parametrize("twice", [True, False])
def test_only_a_new_secret_is_typed_twice(monkeypatch: pytest.MonkeyPatch, *, twice: bool) -> None:
    asked: list[dict[str, object]] = []

    def prompt(text: str, **options: object) -> str:
        asked.append({"text": text, **options})
        return "typed"

    monkeypatch.setattr(secret_prompt, "has_terminal", lambda: True)
    monkeypatch.setattr(typer, "prompt", prompt)
    assert prompt_secret("Passphrase", "use a file", twice=twice) == "typed"
    assert asked == [{"text": "Passphrase", "hide_input": True, "confirmation_prompt": twice, "err": True}]
