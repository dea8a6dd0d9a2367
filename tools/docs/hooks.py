"""Pages of the site that lie in the root folder of a clone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]

PAGES: dict[str, str] = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Each file of the root folder with its page."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add these pages, with their links as they are seen from the folder of the pages."""
    for name, page in PAGES.items():
        text = (ROOT / name).read_text("utf-8").replace("](docs/", "](")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - as MkDocs calls it
    """Link to these pages where a page of the clone links to the file."""
    for name, made in PAGES.items():
        markdown = markdown.replace(f"](../{name})", f"]({made})")
    return markdown
