"""The diagrams in the documents are those of the tables."""

import subprocess
import sys

from support.checkout import DOCS, ROOT


def test_page_shows_the_tables_as_they_are() -> None:
    """If this fails: `make diagrams`."""
    [page] = DOCS.rglob("state-machines.md")
    drawn = subprocess.run(
        [sys.executable, ROOT / "tools" / "state_diagrams.py"], capture_output=True, text=True, check=True
    )
    assert page.read_text() == drawn.stdout
