"""The navigation: each page has its place in it."""

from __future__ import annotations

import pytest

from sipmesh.server.console.pages.forms import FORMS
from sipmesh.server.console.pages.navigation import GROUPS, place_of


@pytest.mark.parametrize(
    ("path", "group", "label"),
    [
        ("/", "Network", "Overview"),
        ("/servers/fe1.example.test", "Network", "Servers"),
        ("/links/fe1/7", "Network", "Links"),
        ("/users/alice@example.test", "People", "Users"),
        ("/user/alias/add", "People", "Users"),
        ("/directory", "People", "Directory"),
        ("/group/add", "People", "Users"),
        ("/enrol", "Trust", "Certificates"),
        ("/unblock", "Trust", "Partners"),
        ("/rollback", "Changes", "Draft and versions"),
        ("/audit/check", "Changes", "Audit log"),
    ],
)
def test_page_belongs_to_its_entry(path: str, group: str, label: str) -> None:
    place = place_of(path)
    assert place is not None
    assert (place[0], place[1].label) == (group, label)


def test_path_outside_of_the_navigation_has_no_place() -> None:
    assert place_of("/usersx") is None
    assert len({entry.path for _, entries in GROUPS for entry in entries}) == sum(len(entries) for _, entries in GROUPS)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.path)
def test_each_form_leads_back_to_a_page_of_the_navigation(form: object) -> None:
    assert place_of(str(getattr(form, "above", ""))) is not None
