"""Asks on the terminal for a password or a passphrase, which is not shown."""

from __future__ import annotations

import os
import sys

import typer

from sipmesh.errors import OperatorError


def prompt_secret(what: str, otherwise: str, *, twice: bool = False) -> str:
    """Return what the operator types; *twice* asks for it again. Without a terminal, the standard input has it in as many lines.

    *what* is the prompt, and *otherwise* the remedy: how else the command gets the secret. Raises `OperatorError` without one.
    """
    if not has_terminal():
        return _piped(what, otherwise, 2 if twice else 1)
    typed: str = typer.prompt(what, hide_input=True, confirmation_prompt=twice, err=True)
    return typed


def _piped(what: str, otherwise: str, times: int) -> str:
    """Read equal lines; `getpass` would do the same with two warnings, and end with nothing but "Aborted"."""
    lines = {sys.stdin.readline().rstrip("\r\n") for _ in range(times)}
    secret = lines.pop()
    if not secret or lines:
        raise OperatorError(f"there is no terminal to ask for the {what[:1].lower()}{what[1:]}; {otherwise}")
    return secret


def has_terminal() -> bool:
    """Tell whether a secret can be typed without being shown, as `getpass` finds out."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return sys.stdin.isatty()
    return True
