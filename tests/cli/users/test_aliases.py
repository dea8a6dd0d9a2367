"""`sipmesh user alias`."""

from __future__ import annotations

import pytest

from cli.world import DOMAIN, Organisation
from sipmesh.storage.audit_act import AuditAct
from sipmesh.storage.management_db import ManagementDb
from support.tiers import wide_after


@pytest.mark.wide
def test_alias_is_added_listed_and_removed_with_a_line_in_the_audit_log(organisation: Organisation) -> None:
    organisation.add_user("alice")
    added = organisation.type("user", "alias", "add", "alice", "+49 30 123")
    assert (added.code, added.out.split()[0]) == (0, "tel:+4930123")
    assert organisation.type("user", "alias", "add", "alice", f"Info@{DOMAIN}").code == 0
    rows = [{"user": f"alice@{DOMAIN}", "alias": alias} for alias in (f"info@{DOMAIN}", "tel:+4930123")]
    for arguments in ((), ("alice",)):
        assert organisation.type("user", "alias", "list", *arguments, "--json").json == rows
    assert "tel:+4930123" in organisation.type("user", "alias", "list").out
    assert organisation.type("user", "list", "--json").json[0]["aliases"] == [row["alias"] for row in rows]
    assert organisation.type("user", "alias", "remove", "alice", "tel:+49-30-123").code == 0
    assert organisation.type("user", "alias", "list", "--json").json == rows[:1]
    management_db = ManagementDb(organisation.file.parent)
    lines = [line for line in management_db.audit.read() if line.act == AuditAct.ALIAS]
    management_db.close()
    assert [line.about for line in lines] == [
        {"user": f"alice@{DOMAIN}", "added": "tel:+4930123"},
        {"user": f"alice@{DOMAIN}", "added": f"sip:info@{DOMAIN}"},
        {"user": f"alice@{DOMAIN}", "removed": "tel:+4930123"},
    ]


@pytest.mark.parametrize(
    ("alias", "why"),
    wide_after(
        2,
        [
            ("info@elsewhere.com", "not a SIP domain of the topology"),
            ("sip:info@elsewhere.com;user=phone", "not a SIP domain of the topology"),
            ("tel:42", "write it as"),
            ("bob", "is already a name of"),
        ],
    ),
)
def test_name_that_cannot_be_an_alias_is_refused(organisation: Organisation, alias: str, why: str) -> None:
    organisation.add_user("alice")
    organisation.add_user("bob")
    left = organisation.type("user", "alias", "add", "alice", alias)
    assert left.code == 1
    assert why in left.err
    assert "user alias add" in organisation.type("user", "alias", "list").out
