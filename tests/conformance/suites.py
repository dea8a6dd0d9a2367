"""Where the suites from other hands lie: read in place, never copied into the project."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.utils import CryptographyDeprecationWarning

# SIPMESH_SUITES names the folder; without it, ``shared/suites`` beside the checkout is looked at.
_CHECKOUT = Path(__file__).resolve().parents[2]
SUITES = Path(os.environ.get("SIPMESH_SUITES") or _CHECKOUT.parent / "shared" / "suites")


def suite(name: str) -> Path:
    """Give the folder of one suite; the test is skipped where it is not on this machine."""
    folder = SUITES / name
    if not folder.is_dir():
        pytest.skip(f"the suite {name} is not at {folder} (set SIPMESH_SUITES)")
    return folder


def files(name: str) -> list[Path]:
    """Give the messages of a suite that has no table of its own; an empty list where it is not on this machine."""
    return sorted(path for path in (SUITES / name).glob("*.*") if path.suffix != ".md")


@contextmanager
def as_on_links() -> Iterator[None]:
    """Take no warning of cryptography's for an error: old certificates have serials that it will refuse one day."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        yield
