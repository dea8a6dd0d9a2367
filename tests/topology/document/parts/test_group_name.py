"""Names of groups."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from sipmesh.topology.document.parts.group_name import MOST, GroupName

NAME = TypeAdapter[str](GroupName)


def test_distinguished_names_and_ids_are_names() -> None:
    for name in ("cn=a,dc=b", "9d41-x", "x" * MOST):
        assert NAME.validate_python(name) == name


@pytest.mark.parametrize("name", ["", "a\nb", "x" * (MOST + 1)])
def test_other_text_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        NAME.validate_python(name)
