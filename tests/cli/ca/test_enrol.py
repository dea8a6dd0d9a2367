"""`sipmesh ca enrol` makes a token for a name of the published topology, once the topology has enrolment."""

from __future__ import annotations

from cli.world import FE1, MGMT, Organisation
from sipmesh.storage.management_db import ManagementDb


def test_token_is_made_for_a_known_server_once_enrolment_is_published(organisation: Organisation) -> None:
    missing = organisation.type("ca", "enrol", FE1)
    assert (missing.code, "add `enrolment: {protocols: [est, acme]}` to `console`" in missing.err) == (1, True)
    text = organisation.file.read_text()
    console = "console: {listen: 18444, enrolment: {protocols: [est, acme]}}\n"
    organisation.file.write_text(text + console)
    published = organisation.type("topology", "publish", "-m", "servers enrol")
    assert published.code == 0, published.err
    done = organisation.type("ca", "enrol", FE1.upper(), "--hours", "2", "--json")
    assert done.code == 0, done.err
    made = done.json
    assert (made["server"], made["acme"]) == (FE1, f"https://{MGMT}:18444/acme/directory")
    shown = organisation.type("ca", "enrol", FE1)
    assert (shown.code, "password" in shown.out, "MAC key" in shown.out) == (0, True, True), shown.err
    for name, why in (("evil.test", "is not a server of the topology"), (MGMT, "is a management server")):
        refused = organisation.type("ca", "enrol", name)
        assert (refused.code, why in refused.err) == (1, True)
    for wrong in (
        ("--user", "nobody", "--device", "desk"),
        ("--user", "alice"),
        (FE1, "--user", "alice", "--device", "desk"),
    ):
        assert organisation.type("ca", "enrol", *wrong).code == 1
    management_db = ManagementDb(organisation.folder)
    lines = [line for line in management_db.audit.read() if line.act == "enrol"]
    assert [line.about["server"] for line in lines] == [FE1, FE1]
    assert made["password"] not in str(lines)
    management_db.close()


def test_tokens_that_can_be_used_are_listed_and_withdrawn(organisation: Organisation) -> None:
    console = "console: {listen: 18444, enrolment: {protocols: [est, acme]}}\n"
    organisation.file.write_text(organisation.file.read_text() + console)
    assert organisation.type("topology", "publish", "-m", "servers enrol").code == 0
    made = organisation.type("ca", "enrol", FE1, "--json").json
    listed = organisation.type("ca", "enrol")
    assert (FE1 in listed.out, made["key_id"] in listed.out, "0 ACME accounts" in listed.out) == (True, True, True)
    [token] = organisation.type("ca", "enrol", "--json").json["tokens"]
    assert (token["name"], token["key_id"]) == (FE1, made["key_id"])
    assert made["password"] not in listed.out
    assert "cannot be used any more" in organisation.type("ca", "enrol", "--withdraw", made["key_id"]).out
    assert organisation.type("ca", "enrol", "--json").json == {"tokens": [], "accounts": 0}
    again = organisation.type("ca", "enrol", "--withdraw", made["key_id"])
    assert (again.code, "can be used; to list them" in again.err) == (1, True)


def test_tokens_end_with_the_certificates_of_their_name(organisation: Organisation) -> None:
    console = "console: {listen: 18444, enrolment: {protocols: [est]}}\n"
    organisation.file.write_text(organisation.file.read_text() + console)
    organisation.add_user("alice")
    organisation.add_user("bob")
    assert organisation.type("topology", "publish", "-m", "devices enrol").code == 0
    for name in ((FE1,), *(("--user", user, "--device", one) for user in ("alice", "bob") for one in ("desk", "car"))):
        assert organisation.type("ca", "enrol", *name).code == 0
    serial = organisation.type("ca", "status", "--json").json["certificates"][-1]["serial"]
    assert organisation.type("ca", "revoke", "--serial", serial).code == 0
    assert len(organisation.type("ca", "enrol", "--json").json["tokens"]) == 5
    assert f"of {FE1}." in organisation.type("ca", "revoke", FE1).out
    assert (
        "of alice@example.com/desk." in organisation.type("ca", "revoke", "alice@example.com", "--device", "desk").out
    )
    assert "of bob@example.com/car." in organisation.type("user", "disable", "bob").out
    left = [token["name"] for token in organisation.type("ca", "enrol", "--json").json["tokens"]]
    assert left == ["alice@example.com/car"]
