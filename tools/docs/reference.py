#!/usr/bin/env python3
"""Write the pages of docs/reference that are made from the code: commands, log events, topology, header fields at trunks.

Usage: reference.py [--check]. With ``--check`` nothing is written; exit code 1 if a page is not current.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
REFERENCE: Final = ROOT / "docs" / "reference"
sys.path.insert(0, str(ROOT))

from tools.docs import cli_page, log_page, topology_page, trunk_page  # noqa: E402 - the tool runs from any folder


def pages() -> dict[str, str]:
    """Give each page by its path below docs/reference."""
    return {
        **cli_page.pages(),
        "log-events.md": log_page.page(),
        "trunk-messages.md": trunk_page.page(),
        **topology_page.pages(),
    }


def outdated(made: dict[str, str]) -> list[str]:
    """Name the pages that differ from *made*, and those that are no longer made."""
    differ = [name for name, text in made.items() if not _is(REFERENCE / name, text)]
    there = (file.relative_to(REFERENCE).as_posix() for file in (REFERENCE / "commands").glob("*.md"))
    return [*differ, *(name for name in there if name not in made)]


def _is(file: Path, text: str) -> bool:
    return file.exists() and file.read_text("utf-8") == text


def write(made: dict[str, str]) -> None:
    """Write the pages, and remove those that are no longer made."""
    for name in outdated(made):
        file = REFERENCE / name
        if name in made:
            file.parent.mkdir(exist_ok=True)
            file.write_text(made[name], "utf-8")
        else:
            file.unlink()


def main() -> int:
    """Write or check."""
    made = pages()
    if "--check" not in sys.argv:
        write(made)
    elif old := outdated(made):
        print(f"docs/reference is not current ({', '.join(old)}); run: make reference")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
