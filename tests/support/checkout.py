"""Where this checkout lies, for tests that read its documents and tools."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
