"""Changes of the console, of OpenID and of approvals."""

from __future__ import annotations

from typing import Any

import pytest

from sipmesh.topology.document.parts.approvals import Approvals
from sipmesh.topology.document.parts.console import Console
from sipmesh.topology.document.parts.oauth import OAuth
from sipmesh.topology.versions.part_changes.operator_changes import approval_changes, console_changes, oauth_changes

KERBEROS = {"realm": "CORP.TEST", "keytab": "secrets/k", "roles": [{"principal": "ada@CORP.TEST", "role": "viewer"}]}
OPENID = {
    "issuer": "https://id.example.test",
    "client_id": "console",
    "roles": [{"value": "admins", "role": "operator"}],
}
ASKED = {"client_id": "servers", "secret_file": "s/i"}
ADA, BEN = {"name": "ada", "key": "ssh-ed25519 AAAA"}, {"name": "ben", "key": "ssh-ed25519 BBBB"}


def console(**keys: Any) -> Console:
    """A console with more *keys* than its address."""
    return Console.model_validate({"listen": "127.0.0.1:8444", **keys})


def approvals(*operators: dict[str, str], publish: int = 1) -> Approvals:
    """Approvals by *operators*."""
    return Approvals.model_validate({"publish": publish, "operators": operators})


def test_console_that_comes_or_goes_is_named_by_its_address() -> None:
    assert list(console_changes(None, console())) == ["the console's address changes from none to 127.0.0.1:8444"]
    assert list(console_changes(console(), None)) == ["the console's address changes from 127.0.0.1:8444 to none"]
    assert list(console_changes(None, None)) == list(console_changes(console(), console())) == []


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ({}, {"client_certificates": True}, ["the console asks for certificates of operators"]),
        ({}, {"operators": [{"name": "ada", "role": "viewer"}]}, ["operator ada may use the console as viewer"]),
        (
            {"operators": [{"name": "ada", "role": "viewer"}]},
            {"operators": [{"name": "ada", "role": "operator", "token_sha256": "0" * 64}]},
            [
                "operator ada's role changes from viewer to operator",
                "operator ada gets another token for the console's API",
            ],
        ),
        (
            {"operators": [{"name": "ada", "role": "viewer"}]},
            {},
            ["operator ada may not use the console any more"],
        ),
        (
            {},
            {"openid": OPENID},
            ["operators may log in to the console by https://id.example.test, as console: admins is operator"],
        ),
        (
            {},
            {"kerberos": KERBEROS},
            ["operators may log in to the console by Kerberos of CORP.TEST, with secrets/k: ada@CORP.TEST is viewer"],
        ),
        ({"kerberos": KERBEROS}, {}, ["operators may not log in to the console by Kerberos any more"]),
        (
            {"openid": OPENID},
            {},
            ["operators may not log in to the console by https://id.example.test any more"],
        ),
        (
            {"openid": OPENID},
            {"openid": {**OPENID, "client_id": "desk", "roles": [{"value": "admins", "role": "viewer"}]}},
            [
                "the roles of operators who log in by OpenID change from admins is operator to admins is viewer",
                "openid.client_id of the console changes from console to desk",
            ],
        ),
    ],
)
def test_access_to_the_console_has_words(old: dict[str, Any], new: dict[str, Any], lines: list[str]) -> None:
    assert list(console_changes(console(**old), console(**new))) == lines


def test_logins_by_tokens_have_words() -> None:
    none: dict[str, Any] = {"issuer": "https://id.example.test", "audience": "sip"}
    old, new = OAuth.model_validate(none), OAuth.model_validate({**none, "audience": "voice", "introspection": ASKED})
    assert list(oauth_changes(None, old)) == [
        "users may log in by access tokens of https://id.example.test for sip; sub names the user"
    ]
    assert list(oauth_changes(old, None)) == [
        "users may not log in by access tokens of https://id.example.test any more"
    ]
    assert list(oauth_changes(old, new)) == [
        "oauth.audience changes from sip to voice",
        "oauth.introspection changes from none to client_id servers, secret_file s/i",
    ]


def test_approvals_are_named_by_number_and_operator() -> None:
    assert list(approval_changes(None, approvals(ADA))) == [
        "approvals for a version change from none to 1",
        "operator ada may approve versions, with ssh-ed25519 AAAA",
    ]
    assert list(approval_changes(approvals(ADA), None)) == ["versions need no approval of operators any more"]
    assert list(approval_changes(approvals(ADA), approvals(BEN))) == [
        "operator ada approves no version any more",
        "operator ben may approve versions, with ssh-ed25519 BBBB",
    ]
    assert list(approval_changes(approvals(ADA), approvals({**ADA, "key": "ssh-ed25519 CCCC"}))) == [
        "operator ada approves with another key: ssh-ed25519 CCCC"
    ]
