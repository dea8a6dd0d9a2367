"""The forms of the portal name no user, and do only what a user may do."""

from __future__ import annotations

import pytest

from sipmesh.server.console.pages.form import Form
from sipmesh.server.portal.own_operations import OWN
from sipmesh.server.portal.portal_forms import PORTAL_FORMS
from sipmesh.topology.document.parts.oauth import PORTAL


@pytest.mark.parametrize("form", PORTAL_FORMS, ids=lambda form: str(form.path))
def test_form_is_about_the_own_account(form: Form) -> None:
    assert form.operation in OWN
    assert form.path.startswith(f"{PORTAL}/")
    assert "user" not in {field.name for field in form.fields}
