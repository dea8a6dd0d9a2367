"""A disabled user cannot log in, and gets everything back; attacked over real TLS."""

from __future__ import annotations

import json
import time

import pytest

from cli.world import DOMAIN, FE1, MGMT, START_S, Organisation, Result

ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"
HELLO = (BOB, "hello", "--json")


def sent_until(organisation: Organisation, status: int) -> Result:
    """Send messages of alice until the front end has received the change from management.

    A change that comes between login and message closes the link: the command fails then, and prints no JSON.
    """
    ends = time.monotonic() + START_S
    while True:
        sent = organisation.acting("message", "alice", *HELLO)
        if sent.out and sent.json["status"] == status:
            return sent
        assert time.monotonic() < ends, sent.out + sent.err


@pytest.mark.wide
def test_disabled_user_is_shut_out_until_enabled(organisation: Organisation) -> None:
    """With the right password; the response is that to a wrong one. Others are not touched."""
    organisation.add_user("alice")
    organisation.add_user("bob")
    organisation.serve_together(MGMT, FE1)
    assert organisation.acting("message", "alice", *HELLO).json["status"] == 202
    assert organisation.type("user", "disable", "alice").code == 0
    refused = sent_until(organisation, 407)
    wrong = organisation.type("message", "--as", ALICE, "--password-stdin", *HELLO, typed="wrong\n")
    assert (refused.code, refused.json["status"]) == (wrong.code, wrong.json["status"]) == (1, 407)
    assert organisation.acting("message", "bob", ALICE, "are you there?", "--json").json["status"] == 202
    assert organisation.type("user", "enable", "alice").code == 0
    assert sent_until(organisation, 202).code == 0
    lines = [json.loads(line) for line in organisation.type("audit", "--json").out.splitlines()]
    assert [line["about"] for line in lines if line["act"] == "user"][-2:] == [{"disabled": ALICE}, {"enabled": ALICE}]


@pytest.mark.wide
def test_state_is_listed_and_changes_once(organisation: Organisation) -> None:
    organisation.add_user("alice")
    assert organisation.type("user", "enable", "alice").code == 1
    assert organisation.type("user", "disable", "ALICE").code == 0
    assert "disabled" in organisation.type("user", "list").out
    assert organisation.type("user", "list", "--json").json[0]["disabled"]
    again = organisation.type("user", "disable", "alice")
    assert (again.code, "sipmesh user enable" in again.err) == (1, True)
    assert organisation.type("user", "disable", "nobody").code == 1
