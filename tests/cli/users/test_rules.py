"""`sipmesh user rules`."""

from __future__ import annotations

import pytest

from cli.world import DOMAIN, Organisation
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb


def test_rules_are_set_shown_and_cleared_with_lines_in_the_audit_log(organisation: Organisation) -> None:
    for user in ("alice", "bob"):
        organisation.add_user(user)
    assert "No rules" in organisation.type("user", "rules", "show").out
    done = organisation.type("user", "rules", "set", "alice", "--no-answer", "bob", "--ring", "15", "--also", "bob")
    assert (done.code, "no-answer bob@" in done.out, "ring-s 15" in done.out) == (0, True, True)
    assert organisation.type("user", "rules", "set", "alice", "--do-not-disturb", "--unlisted").code == 0
    assert organisation.type("user", "rules", "caller", "alice", "@partner.test", "block").code == 0
    bob = f"sip:bob@{DOMAIN}"
    rules = {
        "no_answer": bob,
        "ring_s": 15,
        "also": [bob],
        "do_not_disturb": True,
        "unlisted": True,
        "callers": {"@partner.test": "block"},
    }
    for arguments in ((), ("alice",)):
        shown = organisation.type("user", "rules", "show", *arguments, "--json").json
        assert shown == [{"user": f"alice@{DOMAIN}", "rules": rules}]
    assert "block @partner.test" in organisation.type("user", "rules", "show", "alice").out
    assert organisation.type("user", "rules", "clear", "alice").code == 0
    assert organisation.type("user", "rules", "show", "--json").json == []
    management_db = ManagementDb(organisation.file.parent)
    lines = [line.about for line in management_db.audit.read() if line.act == AuditAct.RULES]
    management_db.close()
    assert lines[0] == {"user": f"alice@{DOMAIN}", "no_answer": "bob", "ring_s": 15, "also": ["bob"]}
    assert lines[-1] == {"user": f"alice@{DOMAIN}", "removed": True}


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("set", "alice", "--always", "dora"), 1, "is neither a user nor an address of an application"),
        (("set", "dora", "--always", "alice"), 1, "is not a user"),
        (("set", "alice", "--ring", "300"), 1, "5 to 180 seconds"),
        (("caller", "alice", "bob", "hide"), 2, "allow, block or none"),
        (("clear", "dora"), 1, "is not a user"),
        (("set", "alice"), 2, "name a rule"),
    ],
)
def test_rule_that_cannot_be_is_refused(
    organisation: Organisation, arguments: tuple[str, ...], code: int, says: str
) -> None:
    organisation.add_user("alice")
    done = organisation.type("user", "rules", *arguments)
    assert (done.code, says in done.err) == (code, True), done.err


def test_call_is_forwarded_to_an_address_of_an_application(organisation: Organisation) -> None:
    """As unanswered calls to voice mail."""
    organisation.add_user("alice")
    address = f"voicemail@{DOMAIN}"
    added = ("topology", "add", "application", "vm", "--sip-address", address)
    assert organisation.type("user", "rules", "set", "alice", "--no-answer", address).code == 1
    assert organisation.type(*added).code == 0
    organisation.publish("voice mail")
    done = organisation.type("user", "rules", "set", "alice", "--no-answer", "voicemail")
    assert (done.code, f"no-answer {address}" in done.out) == (0, True), done.err
