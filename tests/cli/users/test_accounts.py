"""Who may log in."""

import pytest

from cli.world import DOMAIN, FE1, MGMT, Organisation, end
from support.tiers import wide_after


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


def test_removal_says_how_records_of_calls_forget_the_user(organisation: Organisation) -> None:
    organisation.add_user("alice")
    assert organisation.type("user", "alias", "add", "alice", "sales").code == 0
    organisation.file.write_text(organisation.file.read_text() + "call_records: {days: 7}\n")
    organisation.publish("records")
    told = organisation.type("user", "remove", "alice").out
    assert "keep the user for 7 days" in told
    assert [line.strip() for line in told.splitlines() if "erase " in line][1:] == [
        f"sipmesh user erase alice@{DOMAIN}",
        f"sipmesh user erase sales@{DOMAIN}",
    ]


def test_long_list_comes_in_parts(organisation: Organisation) -> None:
    for name in ("alice", "bob", "carol"):
        organisation.add_user(name)
    first = organisation.type("user", "list", "--limit", "2").out
    assert (
        f"carol@{DOMAIN}" in first,
        f"More users: sipmesh user list --limit 2 --after bob@{DOMAIN}" in first,
    ) == (
        False,
        True,
    )
    last = organisation.type("user", "list", "--limit", "2", "--after", f"bob@{DOMAIN}", "--json").json
    assert [one["user"] for one in last] == [f"carol@{DOMAIN}"]


@pytest.mark.wide
def test_change_that_is_not_in_force_everywhere_is_reported(organisation: Organisation) -> None:
    """The control is in force everywhere, and nothing is reported."""
    organisation.add_user("alice")
    organisation.add_user("bob")
    organisation.serve(FE1)
    assert organisation.type("user", "disable", "alice").err == ""
    end(organisation.servers.pop(FE1))
    told = f"In force at 0 of 1 front end. NOT yet at {FE1}"
    for line in ("disable bob", "enable bob", "password bob --password-stdin", "remove bob"):
        typed = organisation.type("user", *line.split(), typed="new-secret\n")
        assert (typed.code, told in typed.err) == (0, True), line
    end(organisation.servers.pop(MGMT))
    typed = organisation.type("user", "add", "dora", "--password-stdin", typed="new-secret\n")
    assert (typed.code, f"Servers get this when management runs: sipmesh serve {MGMT}" in typed.err) == (0, True)


def test_a_new_password_keeps_the_digest_without_the_option(organisation: Organisation) -> None:
    organisation.add_user("alice", "--digest", "md5")
    organisation.type("user", "password", "alice", "--password-stdin", typed="new-secret\n")
    assert organisation.type("user", "list", "--json").json[0]["digest"] == ["MD5"]
    organisation.type("user", "password", "alice", "--password-stdin", "--digest", "sha-256", typed="new-secret\n")
    assert organisation.type("user", "list", "--json").json[0]["digest"] == ["SHA-256"]


@pytest.mark.parametrize(
    ("arguments", "typed", "why"),
    wide_after(
        2,
        [
            (("add", "alice@elsewhere.com"), "secret-one\n", "not a SIP domain of the topology"),
            (("add", "bob"), "", "no password"),
            (("add", "bob"), "\n", "no password"),
            (("password", "nobody"), "secret-one\n", "sipmesh user list"),
            (("add", "bob"), "secret\n", "has 6 characters; at least 8 are needed"),
            (("add", "alexander"), "Alexander\n", "is the name of the user"),
        ],
    ),
)
def test_what_cannot_be_a_user_is_refused(
    organisation: Organisation, arguments: tuple[str, ...], typed: str, why: str
) -> None:
    left = organisation.type("user", *arguments, "--password-stdin", typed=typed)
    assert left.code == 1
    assert why in left.err


def test_a_user_is_added_once(organisation: Organisation) -> None:
    organisation.add_user("alice")
    again = organisation.type("user", "add", "alice", "--password-stdin", typed="other-secret\n")
    assert again.code == 1
    assert "sipmesh user password" in again.err


def test_two_domains_want_the_address_in_full(organisation: Organisation) -> None:
    text = organisation.file.read_text()
    organisation.file.write_text(text.replace(f"sip_domains: [{DOMAIN}]", f"sip_domains: [{DOMAIN}, example.net]"))
    organisation.publish("another domain")
    left = organisation.type("user", "add", "alice", "--password-stdin", typed="secret-one\n")
    assert "one of: example.com, example.net" in left.err
    organisation.add_user("alice@example.net")


@pytest.fixture(name="two_pools")
def _two_pools(organisation: Organisation) -> Organisation:
    """The organisation with a second front-end pool; nothing runs."""
    text = organisation.file.read_text()
    second = f"  - {{name: pool2.{DOMAIN}, role: front-end, servers: [fe9.{DOMAIN}]}}\n"
    organisation.file.write_text(_appended(text, second))
    organisation.publish("another pool")
    return organisation


def _appended(text: str, second: str) -> str:
    """Put the second pool behind the first."""
    head, _, tail = text.partition("pools:\n")
    lines = tail.splitlines(keepends=True)
    end = next((n for n, line in enumerate(lines) if line.strip() and not line.startswith((" ", "#"))), len(lines))
    return head + "pools:\n" + "".join(lines[:end]) + second + "".join(lines[end:])


def test_where_there_are_several_pools_a_home_has_to_be_named(two_pools: Organisation) -> None:
    left = two_pools.type("user", "add", "alice", "--password-stdin", typed="secret-one\n")
    assert left.code == 1
    assert f"choose one of: pool1.{DOMAIN}, pool2.{DOMAIN} (--pool)" in left.err
    near = two_pools.type("user", "add", "alice", "--pool", f"pol2.{DOMAIN}", "--password-stdin", typed="secret-one\n")
    assert f"did you mean 'pool2.{DOMAIN}'?" in near.err
    two_pools.add_user("alice", "--pool", f"pool2.{DOMAIN}")
    assert two_pools.type("user", "list", "--json").json[0]["pool"] == f"pool2.{DOMAIN}"


def test_a_user_moves_to_another_pool_once(two_pools: Organisation) -> None:
    two_pools.add_user("alice", "--pool", f"pool2.{DOMAIN}")
    moved = two_pools.type("user", "move", "alice", "--pool", f"pool1.{DOMAIN}")
    assert moved.code == 0
    assert f"from pool2.{DOMAIN} to pool1.{DOMAIN}" in moved.out
    assert f"pool1.{DOMAIN}" in two_pools.type("user", "list").out
    again = two_pools.type("user", "move", "alice", "--pool", f"pool1.{DOMAIN}")
    assert (again.code, "already" in again.err) == (1, True)
    assert two_pools.type("user", "move", "bob", "--pool", f"pool1.{DOMAIN}").code == 1


def test_a_user_of_the_only_pool_needs_no_home(organisation: Organisation) -> None:
    organisation.add_user("alice")
    assert organisation.type("user", "list", "--json").json[0]["pool"] == f"pool1.{DOMAIN}"


def test_users_move_to_another_database_before_a_version_names_it(organisation: Organisation) -> None:
    """A version that names a database without the users is refused: after the next start, no user could log in."""
    organisation.add_user("alice")
    url = f"sqlite:///{organisation.folder / 'other.db'}"
    named = organisation.type("topology", "change", "network", "storage.users=sqlite:///other.db")
    assert named.code == 0, named.err
    refused = organisation.type("topology", "publish", "-m", "another database")
    assert (refused.code, f"sipmesh user import users.db --into {url}" in refused.err) == (1, True)
    copied = organisation.type("user", "import", organisation.folder / "users.db", "--into", "-", typed=f"{url}\n")
    assert (copied.code, "1 users are copied" in copied.out) == (0, True), copied.err
    assert organisation.type("user", "import", organisation.folder / "users.db", "--into", url).code == 1
    published = organisation.type("topology", "publish", "-m", "another database")
    assert published.code == 0, published.err
    assert "must be restarted to use the new database of users" in published.out
    assert [user["user"] for user in organisation.type("user", "list", "--json").json] == [f"alice@{DOMAIN}"]


def test_table_of_users_goes_to_no_other_database(organisation: Organisation) -> None:
    (organisation.folder / "users.csv").write_text("user\nalice\n")
    refused = organisation.type("user", "import", organisation.folder / "users.csv", "--into", "sqlite:///x.db")
    assert (refused.code, "not for a table" in refused.err) == (1, True)
