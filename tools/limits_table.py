#!/usr/bin/env python3
"""Write the table of `Limits` in docs/reference/limits.md from `transport/limits.py`: the names, defaults and reasons.

Usage: limits_table.py [--write]; without it, the page is printed as it should be.
"""

from __future__ import annotations

import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sipmesh.transport.limits import Limits, reasons

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "reference" / "limits.md"
BEGIN: Final = "<!-- limits: tools/limits_table.py writes this table -->\n"
END: Final = "<!-- end of limits -->\n"


def table() -> Iterator[str]:
    """Give the lines of the table."""
    yield "| limit | default | why |"
    yield "| --- | --- | --- |"
    why = reasons()
    for limit in fields(Limits):
        yield f"| `{limit.name}` | {limit.default:,} | {why[limit.name]} |"


def page(text: str) -> str:
    """Give the page *text* with the table as the code has it."""
    lines = "\n".join(table())
    made = f"{BEGIN}\n{lines}\n\n{END}"
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _found: made, text, flags=re.DOTALL)


def main() -> int:
    """Print the page, or replace it."""
    text = page(PAGE.read_text("utf-8"))
    if "--write" in sys.argv[1:]:
        PAGE.write_text(text, "utf-8")
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
