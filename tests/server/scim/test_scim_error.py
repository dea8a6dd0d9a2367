"""Errors as clients read them."""

from __future__ import annotations

import json

from aiohttp import web

from sipmesh.server.scim.scim_error import error_text, in_scim, is_of_scim


def test_error_has_status_kind_and_detail() -> None:
    found = json.loads(error_text(409, "why", "uniqueness"))
    assert (found["status"], found["scimType"], found["detail"]) == ("409", "uniqueness", "why")
    refusal = in_scim(web.HTTPNotFound(text="no such path\n"))
    assert json.loads(refusal.text or "")["detail"] == "no such path"


def test_paths_of_scim_are_known() -> None:
    assert is_of_scim("/scim/v2/Users")
    assert not is_of_scim("/scim/v2x")
    assert not is_of_scim("/api/v1/users")
