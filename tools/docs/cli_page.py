"""The reference of all commands, made from the commands themselves by typer."""

from __future__ import annotations

import subprocess
import sys

INTRODUCTION = """
Each command prints its section with `--help`. Exit code 0: all is well. 1: something is wrong. 2: the command line cannot be
read. A command works on `topology.yaml` in the current folder, or on the file that `--topology` or `SIPMESH_TOPOLOGY` names.
"""


def page() -> str:
    """Give the page as Markdown: one section for each command. Raises CalledProcessError where typer fails."""
    words = (
        sys.executable,
        "-m",
        "typer",
        "sipmesh.cli.main",
        "utils",
        "docs",
        "--name",
        "sipmesh",
        "--title",
        "Commands",
    )
    made = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    title, _, rest = made.partition("\n")
    return f"{title}\n{INTRODUCTION}{rest}"
