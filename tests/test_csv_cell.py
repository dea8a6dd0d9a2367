"""A text comes back from its cell, and no spreadsheet calculates it."""

from __future__ import annotations

import pytest

from sipmesh.csv_cell import csv_cell, csv_text


@pytest.mark.parametrize("text", ["=1+1", "+4930123", "-1", "@sum", "\tx", "\rx", "'=1", "''+1", "'quoted'", "bob", ""])
def test_text_comes_back_and_is_no_formula(text: str) -> None:
    assert csv_text(csv_cell(text)) == text
    assert not csv_cell(text).startswith(("=", "+", "-", "@", "\t", "\r"))
