"""The fields of forms: what a person reads of each."""

from __future__ import annotations

from sipmesh.server.console.pages.forms import FORMS


def test_each_field_that_a_person_sees_has_a_label_and_a_select_has_choices() -> None:
    fields = [field for form in FORMS for field in form.fields if field.kind != "hidden"]
    assert fields
    for field in fields:
        assert field.label
        assert bool(field.choices or field.of_network) is (field.kind == "select"), field
