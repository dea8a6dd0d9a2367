"""Where the generations of a CA are."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.pki.ca_folder import generation_of, organisation_of


@pytest.mark.parametrize(("folder", "generation"), [("example/ca", 1), ("example/ca/2", 2), ("example/ca/11", 11)])
def test_generations_after_the_first_are_in_numbered_subfolders(folder: str, generation: int) -> None:
    assert generation_of(Path(folder)) == generation
    assert organisation_of(Path(folder)) == Path("example")
