"""Pages of the site that are made when it is built: topology, and two of the root."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

from tools.docs import topology_page

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parents[2]


def of_root(name: str) -> Callable[[], str]:
    """Give a page that lies in the root folder, with its links as they are seen from the folder of the pages."""
    return lambda: (ROOT / name).read_text("utf-8").replace("](docs/", "](")


PAGES: dict[str, Callable[[], str]] = {
    "reference/topology.md": topology_page.page,
    "contributing.md": of_root("CONTRIBUTING.md"),
    "changelog.md": of_root("CHANGELOG.md"),
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made here."""
    for name, page in PAGES.items():
        files.append(File.generated(config, name, content=page()))
    return files
