"""Operations as Entra and Okta write them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from scim2_models import SCIMException

from sipmesh.server.scim.resources import Group, User, created, ids_of_members, kind_of, patched, replaced
from sipmesh.storage.users.scim_resource import ScimKind
from support.scim import GROUP, PATCH, USER


def after(before: User | Group, *operations: dict[str, Any]) -> Any:
    before.id = "1"
    return patched(kind_of(before), {"schemas": [PATCH], "Operations": list(operations)}, before)


@pytest.mark.parametrize(
    ("operation", "attribute", "value"),
    [
        ({"op": "Replace", "path": "active", "value": "False"}, "active", False),
        ({"op": "replace", "value": {"active": False}}, "active", False),
        ({"op": "replace", "value": {"id": "1", "displayName": "B"}}, "display_name", "B"),
        ({"op": "Add", "path": "nickName", "value": "x"}, "display_name", "A"),
        ({"op": "Remove", "path": "displayName"}, "display_name", None),
        ({"op": "Replace", "value": {"name.givenName": "C"}}, "active", True),
    ],
)
def test_operation_changes_one_attribute(operation: dict[str, Any], attribute: str, value: object) -> None:
    before = User(user_name="a", display_name="A", active=True)
    assert getattr(after(before, operation), attribute) == value
    assert (before.display_name, before.active) == ("A", True)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "Add", "path": 'emails[type eq "work"].value', "value": "a@b.local"},
        {"op": "Add", "value": {'emails[type eq "work"].value': "a@b.local"}},
        {"op": "add", "path": "emails", "value": [{"type": "work", "value": "a@b.local"}]},
    ],
)
def test_entry_that_is_not_there_is_added(operation: dict[str, Any]) -> None:
    (mail,) = after(User(user_name="a"), operation).emails
    assert (mail.type, mail.value) == ("work", "a@b.local")


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "Remove", "path": "members", "value": [{"value": "x"}]},
        {"op": "remove", "path": 'members[value eq "x"]'},
    ],
)
def test_one_member_is_removed(operation: dict[str, Any]) -> None:
    group: Any = created(
        ScimKind.GROUP, {"schemas": [GROUP], "displayName": "g", "members": [{"value": "x"}, {"value": "y"}]}
    )
    assert ids_of_members(after(group, operation)) == {"y"}


def test_id_of_another_resource_and_a_missing_name_are_refused() -> None:
    with pytest.raises(SCIMException):
        after(User(user_name="a"), {"op": "replace", "value": {"id": "2"}})
    with pytest.raises(ValidationError):
        after(User(user_name="a"), {"op": "remove", "path": "userName"})


def test_password_is_not_read() -> None:
    made: Any = replaced(ScimKind.USER, {"schemas": [USER], "userName": "a", "password": "secret"}, User(user_name="b"))
    assert "secret" not in str(made.model_dump())
