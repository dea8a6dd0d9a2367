"""The table of limits in the documents is that of the code."""

import subprocess
import sys

from support.checkout import DOCS, ROOT


def test_page_has_the_limits_as_the_code_has_them() -> None:
    """If this fails: `make diagrams`."""
    tool = [sys.executable, str(ROOT / "tools" / "limits_table.py")]
    written = subprocess.run(tool, capture_output=True, text=True, check=True)
    assert (DOCS / "reference/limits.md").read_text() == written.stdout
