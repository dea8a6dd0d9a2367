"""The fields of forms: what a person reads of each."""

from __future__ import annotations

from sipmesh.server.console.pages.fields import items, servers
from sipmesh.server.console.pages.forms import FORMS


def test_each_field_that_a_person_sees_has_a_label_and_a_select_has_choices() -> None:
    fields = [field for form in FORMS for field in form.fields if field.kind != "hidden"]
    assert fields
    for field in fields:
        assert field.label
        assert bool(field.choices or field.of_network) or field.kind != "select", field


def test_items_and_servers_are_read_from_what_a_person_types() -> None:
    assert items(" a.test,b.test \r\n c.test\n") == ["a.test", "b.test", "c.test"]
    assert servers("fe1 127.0.0.1\r\n\r\nfe2, ::1 ,192.0.2.1 more\n") == [
        {"name": "fe1", "address": "127.0.0.1"},
        {"name": "fe2", "address": "::1", "outside": "192.0.2.1"},
    ]
