"""`sipmesh group`."""

from __future__ import annotations

from cli.world import DOMAIN, Organisation
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb

ALICE, BOB, SALES = f"sip:alice@{DOMAIN}", f"sip:bob@{DOMAIN}", f"sales@{DOMAIN}"


def test_groups_are_added_changed_shown_and_removed_with_lines_in_the_audit_log(organisation: Organisation) -> None:
    for user in ("alice", "bob"):
        organisation.add_user(user)
    assert "There are no groups" in organisation.type("group", "list").out
    made = organisation.type("group", "add", "sales", "--member", "alice", "--order", "in-turn", "--overflow", "bob")
    assert (made.code, "1 member" in made.out) == (0, True), made.err
    assert organisation.type("group", "set", "sales", "--add", "bob", "--leave", "alice", "--ring", "30").code == 0
    rules = {
        "busy": BOB,
        "no_answer": BOB,
        "away": BOB,
        "ring_s": 30,
        "order": "in-turn",
        "members": [BOB],
        "member_s": 15,
    }
    assert organisation.type("group", "list", "--json").json == [{"group": SALES, "rules": rules}]
    assert organisation.type("group", "show", "sales", "--json").json == {"group": SALES, "rules": rules}
    assert "in-turn" in organisation.type("group", "list").out
    listed = organisation.type("user", "list", "--json").json
    assert {one["user"] for one in listed if one["is_group"]} == {SALES}
    [shown] = [line for line in organisation.type("user", "list").out.splitlines() if "group" in line]
    assert "sales" in shown
    assert f"bob@{DOMAIN}" in organisation.type("group", "show", "sales").out
    assert organisation.type("user", "alias", "add", "sales", "+4930100").code == 0
    assert organisation.type("group", "remove", "sales").code == 0
    assert organisation.type("group", "list", "--json").json == []
    management_db = ManagementDb(organisation.file.parent)
    lines = [line.about for line in management_db.audit.read() if line.act == AuditAct.GROUP]
    management_db.close()
    assert lines[0] == {"added": SALES, "order": "in-turn", "add": ["alice"], "overflow": "bob"}
    assert lines[-1] == {"removed": SALES}


WRONG: list[tuple[tuple[str, ...], int, str]] = [
    (("group", "add", "other", "--member", "nobody"), 1, "nobody is not a user"),
    (("group", "add", "other", "--member", "sales"), 1, "is a group, and the members of a group are users"),
    (("group", "add", "alice"), 1, "exists already; to change the password: sipmesh user password alice@"),
    (("group", "add", "sales"), 1, "exists already; to change the group: sipmesh group set sales@"),
    (("group", "add", "other", "--overflow", "other"), 1, "to the user who forwards it"),
    (("group", "set", "alice", "--add", "alice"), 1, "is not a group"),
    (("group", "set", "other", "--add", "alice"), 1, "is not a group; to list the groups: sipmesh group list"),
    (("group", "set", "sales"), 2, "name a change"),
    (("group", "remove", "alice"), 1, "is not a group"),
    (("group", "show", "other"), 1, "is not a group; to list the groups: sipmesh group list"),
    (("group", "show", "alice"), 1, "is not a group"),
    (("user", "rules", "set", "sales", "--also", "alice"), 1, "nothing rings beside the group"),
    (("user", "rules", "clear", "sales"), 1, "is a group"),
]


def test_what_no_group_can_be_is_refused_and_changes_nothing(organisation: Organisation) -> None:
    organisation.add_user("alice")
    assert organisation.type("group", "add", "sales", "--member", "alice").code == 0
    before = organisation.type("group", "list", "--json").json
    for arguments, code, says in WRONG:
        done = organisation.type(*arguments)
        assert (done.code, says in done.err) == (code, True), (arguments, done.err)
        assert organisation.type("group", "list", "--json").json == before, arguments
        assert len(organisation.type("user", "list", "--json").json) == 2, arguments


def test_group_gets_no_password_from_an_operator(organisation: Organisation) -> None:
    organisation.add_user("alice")
    assert organisation.type("group", "add", "sales").code == 0
    done = organisation.type("user", "password", "sales", "--password-stdin", typed="a-long-secret\n")
    assert (done.code, "no device logs in as one" in done.err) == (1, True), done.err
    assert organisation.type("user", "password", "alice", "--password-stdin", typed="a-long-secret\n").code == 0
