"""Read a password: from the terminal, or from the first line of the standard input. It is never an argument."""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer

from sipmesh.cli.secret_prompt import prompt_secret
from sipmesh.errors import OperatorError

BY_STDIN: Final = "give it on the standard input, with --password-stdin"

FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from the standard input.")]


def new_password(whose: str, *, from_stdin: bool) -> str:
    """Return a new password; on a terminal the operator types it twice. Raises `OperatorError` without one."""
    if from_stdin:
        return _first_line()
    return prompt_secret(f"Password of {whose}", BY_STDIN, twice=True)


def known_password(whose: str, *, from_stdin: bool) -> str:
    """Return the password of a user who exists. Raises `OperatorError` without one."""
    if from_stdin:
        return _first_line()
    return prompt_secret(f"Password of {whose}", BY_STDIN)


def _first_line() -> str:
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise OperatorError("the standard input has no password; try: printf '%s\\n' PASSWORD | sipmesh ...")
    return line
