"""The verdict codes are stable and documented."""

import re

import pytest

from sipmesh.trust.code import Code
from support.checkout import DOCS


@pytest.mark.parametrize("code", Code)
def test_every_code_is_kebab_case_and_has_a_row_in_the_page(code: Code) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
    assert f"`{code}`" in (DOCS / "reference" / "verdicts.md").read_text()
