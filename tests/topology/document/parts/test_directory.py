"""The directory in the topology: servers by name, a filter that is one, and attributes of its kind."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sipmesh.topology.document.parts.directory import Directory

KEYS: dict[str, Any] = {
    "kind": "openldap",
    "servers": ["dc1.corp.test", {"name": "dc2.corp.test:1636", "address": "192.0.2.1"}],
    "bind": "cn=a",
    "password_file": "secrets/d",
    "base": "dc=corp",
}


def test_server_is_written_as_a_name_or_with_an_address() -> None:
    servers = Directory.model_validate(KEYS).servers
    assert [(str(one), one.address) for one in servers] == [
        ("dc1.corp.test", None),
        ("dc2.corp.test:1636", "192.0.2.1"),
    ]


@pytest.mark.parametrize(
    ("given", "attribute"),
    [({}, "uid"), ({"kind": "active-directory"}, "sAMAccountName"), ({"user": "mail"}, "mail")],
)
def test_name_of_a_user_has_the_attribute_of_its_kind(given: dict[str, Any], attribute: str) -> None:
    assert Directory.model_validate({**KEYS, **given}).user_attribute == attribute


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "ldap"},
        {"servers": []},
        {"servers": ["192.0.2.1"]},
        {"servers": ["*.corp.test"]},
        {"tls": "none"},
        {"filter": "uid=*"},
        {"filter": "(uid=*"},
        {"filter": "(uid=*))("},
        {"filter": "(uid=\n*)"},
        {"user": "uid)(x"},
        {"base": "nothing"},
        {"bind": "kerberos"},
        {"principal": "sipmesh"},
        {"principal": "sipmesh@corp.test"},
        {"principal": "si pmesh@CORP.TEST"},
        {"most_loss": 0},
        {"most_loss": 101},
        {"most_loss": "20"},
        {"password": "secret"},
    ],
)
def test_wrong_key_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Directory.model_validate({**KEYS, **given})


@pytest.mark.parametrize(
    ("key", "value", "reason", "remedy"),
    [
        ("base", "x", "'x' is no distinguished name", "such as ou=people,dc=example,dc=com"),
        ("base", "x=\x00", "is no distinguished name", "such as ou=people,dc=example,dc=com"),
        ("user", "a b", "'a b' is no name of an attribute", "such as uid"),
        ("filter", "((((", "'((((' is no LDAP filter", "such as (objectClass=person)"),
    ],
)
def test_wrong_value_has_the_remedy_of_its_kind(key: str, value: str, reason: str, remedy: str) -> None:
    keys = {"kind": "openldap", "servers": ["dc1.corp.test"], "bind": "cn=x", "base": "dc=corp", key: value}
    with pytest.raises(ValidationError) as raised:
        Directory.model_validate({**keys, "password_file": "secrets/ldap"})
    [context] = [one["ctx"] for one in raised.value.errors()]
    assert reason in context["reason"]
    assert remedy in context["remedy"]
