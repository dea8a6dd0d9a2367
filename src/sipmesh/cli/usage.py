"""Wrong values on the command line, in our own words: typer quotes the library that has read the value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sipmesh.foreign_errors import misfit_of

if TYPE_CHECKING:
    import typer

LONGEST: Final = 80
"""Characters of a wrong value that an error repeats."""


def in_our_words(wrong: typer.BadParameter) -> None:
    """Say in *wrong* what is wrong with the value, and what to write, if a library has said it."""
    from pydantic import ValidationError

    found = wrong.__cause__
    if isinstance(found, ValidationError):
        wrong.message = _told(found.errors(include_url=False)[0])


def _told(error: Any) -> str:
    """Return a text of sipmesh for one error of pydantic; a ``ValueError`` of ours, or of typer, repeats the value already."""
    if error["type"] in {"value_error", "assertion_error"}:
        return misfit_of(error)
    given = str(error["input"])
    shown = repr(given if len(given) <= LONGEST else f"{given[:LONGEST]}...")
    return f"{shown} {misfit_of(error)}; see --help"
