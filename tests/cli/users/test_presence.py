"""`sipmesh user presence`."""

from __future__ import annotations

import pytest

from cli.world import DOMAIN, Organisation
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb


@pytest.mark.wide
def test_rule_is_set_listed_and_removed_with_a_line_in_the_audit_log(organisation: Organisation) -> None:
    organisation.add_user("alice")
    organisation.add_user("bob")
    assert "Without a rule: allow" in organisation.type("user", "presence", "list").out
    for watcher, rule in (("Bob", "block"), ("@partner.test", "allow"), ("*", "polite-block"), ("bob", "polite-block")):
        done = organisation.type("user", "presence", "set", "alice", watcher, rule)
        assert (done.code, f": {rule}." in done.out) == (0, True)
    rows = [
        {"user": f"alice@{DOMAIN}", "watcher": watcher, "rule": rule}
        for watcher, rule in (("*", "polite-block"), ("@partner.test", "allow"), (f"bob@{DOMAIN}", "polite-block"))
    ]
    for arguments in ((), ("alice",)):
        assert organisation.type("user", "presence", "list", *arguments, "--json").json == rows
    assert "@partner.test" in organisation.type("user", "presence", "list").out
    assert organisation.type("user", "presence", "remove", "alice", "*").code == 0
    assert organisation.type("user", "presence", "list", "--json").json == rows[1:]
    management_db = ManagementDb(organisation.file.parent)
    lines = [line.about for line in management_db.audit.read() if line.act == AuditAct.PRESENCE]
    management_db.close()
    assert lines[0] == {"user": f"alice@{DOMAIN}", "watcher": f"sip:bob@{DOMAIN}", "rule": "block"}
    assert lines[-1] == {"user": f"alice@{DOMAIN}", "watcher": "*", "removed": True}


def test_rule_that_is_not_there_or_cannot_be_read_is_refused(organisation: Organisation) -> None:
    organisation.add_user("alice")
    missing = organisation.type("user", "presence", "remove", "alice", "bob")
    assert (missing.code, "sipmesh user presence list alice" in missing.err) == (1, True)
    assert organisation.type("user", "presence", "set", "alice", "mailto:bob@x.test", "block").code == 1
    assert organisation.type("user", "presence", "set", "alice", "bob", "hide").code == 2
    unknown = organisation.type("user", "presence", "set", "alice", "bob", "allow")
    assert (unknown.code, f"bob@{DOMAIN} is neither a user" in unknown.err) == (1, True)
