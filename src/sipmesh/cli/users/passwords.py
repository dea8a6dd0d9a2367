"""Read a password: from the terminal, or from the first line of the standard input. It is never an argument."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sipmesh.errors import OperatorError

FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from the standard input.")]


def new_password(whose: str, *, from_stdin: bool) -> str:
    """Return a new password; on a terminal the operator types it twice. Raises `OperatorError` without one."""
    if from_stdin:
        return _first_line()
    prompted: str = typer.prompt(f"Password of {whose}", hide_input=True, confirmation_prompt=True, err=True)
    return prompted


def known_password(whose: str, *, from_stdin: bool) -> str:
    """Return the password of a user who exists. Raises `OperatorError` without one."""
    if from_stdin:
        return _first_line()
    prompted: str = typer.prompt(f"Password of {whose}", hide_input=True, err=True)
    return prompted


def _first_line() -> str:
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise OperatorError("the standard input has no password; try: printf '%s\\n' PASSWORD | sipmesh ...")
    return line
