"""The forms of the pages: each names an operation that changes something, and fields that the operation has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sipmesh.server.console import operations
from sipmesh.server.console.operations import TABLE, operation_of
from sipmesh.server.console.pages.forms import FORMS, Form

TEMPLATES = Path(operations.__file__).with_name("templates")
OURS = {"form_token", "sure", "force"}


def test_each_operation_that_changes_something_has_a_form() -> None:
    assert {form.operation for form in FORMS} == {operation.name for operation in TABLE if operation.changes}
    assert len({form.path for form in FORMS}) == len(FORMS)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.path)
def test_fields_in_the_page_are_those_of_the_operation(form: Form) -> None:
    fields = set(operation_of(form.operation).given.model_fields)
    found = [
        set(re.findall(r'name="([^"]+)"', text))
        for page in TEMPLATES.glob("*.html")
        for text in re.findall(rf'<form[^>]* action="{form.path}".*?</form>', page.read_text(), re.DOTALL)
    ]
    assert found
    assert all(names - OURS <= fields for names in found)
