"""Words for the changes of the directory."""

from __future__ import annotations

from typing import Any

from sipmesh.topology.document.parts.directory import Directory
from sipmesh.topology.versions.part_changes.directory_changes import directory_changes

KEYS: dict[str, Any] = {
    "kind": "openldap",
    "servers": ["dc1.corp.test"],
    "bind": "cn=a",
    "password_file": "secrets/d",
    "base": "dc=corp",
}


def directory(**given: Any) -> Directory:
    return Directory.model_validate({**KEYS, **given})


def test_directory_is_new_or_gone() -> None:
    assert list(directory_changes(None, directory())) == ["users come from the directory dc1.corp.test, below dc=corp"]
    (gone,) = directory_changes(directory(), None)
    assert gone == "users do not come from the directory dc1.corp.test any more, and stay as they are"
    assert not list(directory_changes(None, None)) + list(directory_changes(directory(), directory()))


def test_change_of_a_key_names_both_values() -> None:
    (changed,) = directory_changes(directory(), directory(filter="(uid=*)"))
    assert changed == "the filter of the users in the directory changes from (objectClass=person) to (uid=*)"
