"""Who may log in."""

import pytest

from cli.world import DOMAIN, Organisation


def test_a_user_may_be_named_without_the_only_domain(organisation: Organisation) -> None:
    organisation.add_user("alice")
    organisation.add_user("carol", "--digest", "md5")
    found = organisation.type("user", "list", "--json").json
    assert [(one["user"], one["digest"]) for one in found] == [
        (f"alice@{DOMAIN}", ["SHA-256", "MD5"]),
        (f"carol@{DOMAIN}", ["MD5"]),
    ]


def test_a_removed_user_is_gone_from_the_list(organisation: Organisation) -> None:
    organisation.add_user("alice")
    assert f"alice@{DOMAIN}" in organisation.type("user", "list").out
    assert organisation.type("user", "remove", "alice").code == 0
    assert organisation.type("user", "list", "--json").json == []
    assert "sipmesh user add" in organisation.type("user", "list").out


def test_a_new_password_keeps_the_digest_unless_told(organisation: Organisation) -> None:
    organisation.add_user("alice", "--digest", "md5")
    organisation.type("user", "password", "alice", "--password-stdin", typed="new\n")
    assert organisation.type("user", "list", "--json").json[0]["digest"] == ["MD5"]
    organisation.type("user", "password", "alice", "--password-stdin", "--digest", "sha-256", typed="new\n")
    assert organisation.type("user", "list", "--json").json[0]["digest"] == ["SHA-256"]


@pytest.mark.parametrize(
    ("arguments", "typed", "why"),
    [
        (("add", "alice@elsewhere.com"), "secret\n", "no SIP domain of ours"),
        (("add", "bob"), "", "no password"),
        (("add", "bob"), "\n", "no password"),
        (("password", "nobody"), "secret\n", "sipmesh user list"),
    ],
)
def test_what_cannot_be_a_user_is_refused(
    organisation: Organisation, arguments: tuple[str, ...], typed: str, why: str
) -> None:
    left = organisation.type("user", *arguments, "--password-stdin", typed=typed)
    assert left.code == 1
    assert why in left.err


def test_a_user_is_added_once(organisation: Organisation) -> None:
    organisation.add_user("alice")
    again = organisation.type("user", "add", "alice", "--password-stdin", typed="other\n")
    assert again.code == 1
    assert "sipmesh user password" in again.err


def test_two_domains_want_the_address_in_full(organisation: Organisation) -> None:
    text = organisation.file.read_text()
    organisation.file.write_text(text.replace(f"sip_domains: [{DOMAIN}]", f"sip_domains: [{DOMAIN}, example.net]"))
    left = organisation.type("user", "add", "alice", "--password-stdin", typed="secret\n")
    assert "one of: example.com, example.net" in left.err
    organisation.add_user("alice@example.net")
