"""`sipmesh ca enrol` makes a token for a name of the published topology, once the topology has enrolment."""

from __future__ import annotations

from datetime import UTC, datetime

from cli.world import FE1, MGMT, Organisation
from sipmesh.storage.enrolment.acme_accounts import AcmeAccount
from sipmesh.storage.enrolment.enrolment_tokens import EnrolmentToken
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
    assert (FE1 in listed.out, made["key_id"] in listed.out) == (True, True)
    [token] = organisation.type("ca", "enrol", "--json").json["tokens"]
    assert (token["name"], token["key_id"]) == (FE1, made["key_id"])
    assert made["password"] not in listed.out
    assert "cannot be used any more" in organisation.type("ca", "enrol", "--withdraw", made["key_id"]).out
    assert organisation.type("ca", "enrol", "--json").json == {"tokens": [], "accounts": []}
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
    assert f"of {FE1}." in organisation.type("ca", "revoke", FE1).out
    assert (
        "of alice@example.com/desk." in organisation.type("ca", "revoke", "alice@example.com", "--device", "desk").out
    )
    assert "of bob@example.com/car." in organisation.type("user", "disable", "bob").out
    left = [token["name"] for token in organisation.type("ca", "enrol", "--json").json["tokens"]]
    assert left == ["alice@example.com/car"]


def add_account(organisation: Organisation, server: str) -> None:
    """Add an ACME account, as its client does with a token."""
    management_db, at = ManagementDb(organisation.folder), datetime.now(UTC).timestamp()
    token = EnrolmentToken(f"of {server}", server, "", "ada", at + 60)
    management_db.enrolment_tokens.add(token, at)
    account = AcmeAccount(f"id-{server}", server, token.id, "{}", server, "valid", '["mailto:ops@example.com"]', at)
    management_db.acme_accounts.add(account, token)
    management_db.close()


def names_of_accounts(organisation: Organisation) -> list[str]:
    """The names that have an ACME account."""
    return [account["name"] for account in organisation.type("ca", "enrol", "--json").json["accounts"]]


def test_accounts_are_listed_and_end_one_by_one_or_with_a_certificate_of_their_name(organisation: Organisation) -> None:
    console = "console: {listen: 18444, enrolment: {protocols: [acme]}}\n"
    organisation.file.write_text(organisation.file.read_text() + console)
    assert organisation.type("topology", "publish", "-m", "servers enrol").code == 0
    for name in ("bot.example.com", "other.example.com", FE1):
        add_account(organisation, name)
    listed = organisation.type("ca", "enrol").out
    assert ("mailto:ops@example.com" in listed, f"id-{FE1}" in listed) == (True, True)
    ended = organisation.type("ca", "enrol", "--withdraw", "id-other.example.com")
    assert "The account id-other.example.com of other.example.com cannot be used any more." in ended.out
    assert names_of_accounts(organisation) == ["bot.example.com", FE1]
    issued = organisation.type("ca", "status", "--json").json["certificates"]
    serials = [one["serial"] for one in issued if one["names"][:1] == [FE1]]
    assert f"Withdrawn: the account id-{FE1} of {FE1}." in organisation.type("ca", "revoke", "--serial", serials[0]).out
    assert names_of_accounts(organisation) == ["bot.example.com"]
    add_account(organisation, FE1.replace("fe1", "fe9"))
    assert organisation.type("ca", "revoke", FE1, "--serial", serials[0]).code == 0
    assert names_of_accounts(organisation) == ["bot.example.com", FE1.replace("fe1", "fe9")]
    management_db = ManagementDb(organisation.folder)
    lines = [line.about for line in management_db.audit.read() if "withdrawn" in line.about]
    management_db.close()
    assert [(line["account"], line["withdrawn"]) for line in lines] == [
        ("id-other.example.com", "by an operator"),
        (f"id-{FE1}", "with a certificate of its name"),
    ]
