"""The entry of a user."""

from __future__ import annotations

import pytest

from sipmesh.server.directory.group_rules import GivenByGroups
from sipmesh.server.scim.resources import User
from sipmesh.server.scim.scim_entry import entry_of
from sipmesh.storage.users.directory_entry import DirectoryEntry

DOMAINS = ("example.test",)


def entry(**given: object) -> DirectoryEntry:
    return entry_of(
        User.model_validate({"id": "1", "userName": "Carol", **given}), GivenByGroups("p", ("c",)), DOMAINS
    )[0]


def test_entry_has_what_a_directory_gives() -> None:
    found = entry(
        externalId="x",
        name={"givenName": "Ca", "familyName": "Rol"},
        emails=[{"value": "a@else.test"}, {"value": "c@example.test", "primary": True}],
        phoneNumbers=[{"value": "tel:+4930-1"}, {"value": "+49302", "type": "fax"}, {"value": "odd"}],
    )
    aliases = ("tel:+49301", "sip:c@example.test")
    assert found == DirectoryEntry(
        "1", "sip:carol@example.test", "x", "Ca Rol", "c@example.test", aliases, "", "p", ("c",)
    )
    assert (entry(active=False).ended_by, entry(displayName="\x1bC").name) == ("disabled", "\\x1bC")


@pytest.mark.parametrize("name", ["a b", "a+desk", "a@else.test", "", "a@example.test@example.test"])
def test_name_that_no_user_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="userName"):
        entry(userName=name)
