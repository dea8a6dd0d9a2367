"""The phonebook of desk phones, over real TLS: who finds whom, in which format, and who gets nothing."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from sipmesh.server.invitations.phonebook import ROOTS
from sipmesh.server.invitations.strangers import FAILURES_A_MINUTE
from sipmesh.server.proxy.events.user_search import MOST_FOUND
from sipmesh.server.quotas.search_rates import SEARCHES_A_MINUTE
from sipmesh.storage.users.call_rule_edit import CallRuleEdit
from sipmesh.storage.users.user_database import Users
from support.console import Visitor
from support.invited import Answer, Invitee
from support.managed import Managed
from support.management_with_invitations import invite, invitee, management_with_invitations
from support.running import on_loop

ALICE = "alice+json@example.test"


async def with_phone(network: Managed, person: Invitee) -> tuple[str, str]:
    """Have alice set up a phone; gives the address of the pages, and the password of the phone."""
    link = await invite(network)
    account = json.loads((await person.take(link, "json")).text)["account"]
    return link.partition("/i/")[0], str(account["password"])


async def search(
    person: Invitee, base: str, password: str, query: str, kind: str = "json", login: str = ALICE
) -> Answer:
    headers = {"Authorization": f"Basic {b64encode(f'{login}:{password}'.encode()).decode()}"} if login else {}
    return await person.get(f"{base}/b/{kind}?q={query}", headers=headers)


def names(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.text
    return [one["address"] for one in json.loads(answer.text)["users"]]


def change(network: Managed, *users: str, unlisted: str = "") -> None:
    loaded = network.organisation.load()
    database = Users(loaded.users_url)
    for user in users:
        database.add(f"sip:{user}@example.test", "secret")
    if users:
        database.add_alias(f"sip:{users[0]}@example.test", "+493012345")
    if unlisted:
        CallRuleEdit(database, loaded.topology).change(f"{unlisted}@example.test", {"unlisted": True})
    database.close()


@on_loop
async def test_phone_finds_users_by_name_and_number_in_the_format_of_its_make(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as person:
        base, password = await with_phone(network, person)
        change(network, "dirk", "dirkje")
        assert names(await search(person, base, password, "DIRK")) == ["dirk@example.test", "dirkje@example.test"]
        assert names(await search(person, base, password, "030%201234")) == ["dirk@example.test"]
        for kind, root in ROOTS.items():
            answer = await search(person, base, password, "dirk", kind)
            assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (200, "text/xml")
            tree = ET.fromstring(answer.text)  # noqa: S314 - our own document
            assert tree.tag == root
            dialled = [one.text for one in tree.iter("Telephone")]
            assert dialled == ["dirk@example.test", "+493012345", "dirkje@example.test"]
        assert (await search(person, base, password, "dirk", "other")).status == 404


@on_loop
async def test_whole_book_wildcards_and_unlisted_users_are_not_found(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as person:
        base, password = await with_phone(network, person)
        change(network, *(f"clerk{n}" for n in range(MOST_FOUND + 5)), unlisted="clerk7")
        for query in ("", "a", "cl", "***", "%25%25%25", "___", "example", "sip"):
            assert names(await search(person, base, password, query)) == [], query
        found = names(await search(person, base, password, "clerk"))
        assert (len(found), "clerk7@example.test" in found) == (MOST_FOUND, False)
        assert names(await search(person, base, password, "clerk7")) == []


@on_loop
async def test_nothing_without_the_password_of_a_device(tmp_path: Path) -> None:
    """Neither with the own password of the user, which a person has chosen, nor with that of a device which was removed."""
    async with management_with_invitations(tmp_path) as network, invitee(network) as person:
        base, password = await with_phone(network, person)
        wrong = [
            ("", ""),
            (ALICE, "x"),
            (ALICE, ""),
            ("alice@example.test", "alice-secret"),
            ("alice@example.test", password),
        ]
        wrong += [("bob+json@example.test", password), ("alice+json", password), ("alice+desk@example.test", password)]
        for login, given in wrong:
            answer = await search(person, base, given, "bob", login=login)
            assert (answer.status, answer.headers["WWW-Authenticate"].partition(" ")[0]) == (401, "Digest"), login
            assert "bob" not in answer.text
        assert (await search(person, base, password, "alice")).status == 200
        async with Visitor(network, "otto-token") as operator:
            gone = await operator.ask("POST", "/api/v1/user/device/revoke", json={"user": "alice", "device": "json"})
            assert gone.status == 200, gone.text
        assert (await search(person, base, password, "alice")).status == 401


@on_loop
async def test_copying_and_guessing_end_and_a_right_login_before_them_is_served(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as person:
        base, password = await with_phone(network, person)
        seen = [(await search(person, base, password, "alice")).status for _ in range(2 * SEARCHES_A_MINUTE + 1)]
        assert (seen[0], 429 in seen) == (200, True)
        wrong = [
            await search(person, base, "x", "alice", login="bob+x@example.test")
            for _ in range(2 * FAILURES_A_MINUTE + 1)
        ]
        guessed = [answer.status for answer in wrong]
        assert (guessed[0], 429 in guessed) == (401, True)


@on_loop
async def test_stranger_keeps_no_phone_out_by_wrong_passwords_of_its_user(tmp_path: Path) -> None:
    async with (
        management_with_invitations(tmp_path) as network,
        invitee(network) as person,
        invitee(network, "127.0.0.9") as stranger,
    ):
        base, password = await with_phone(network, person)
        guessed = [(await search(stranger, base, "x", "bob")).status for _ in range(2 * FAILURES_A_MINUTE + 1)]
        assert (guessed[0], 429 in guessed) == (401, True)
        assert names(await search(person, base, password, "alice")) == ["alice@example.test"]


@pytest.mark.parametrize("scheme", ["Bearer x", "Basic", "Basic ===", "Basic \u00ff", "Digest username=alice"])
@on_loop
async def test_other_credentials_are_refused(tmp_path: Path, scheme: str) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as person:
        base, password = await with_phone(network, person)
        assert (await person.get(f"{base}/b/json?q=alice", headers={"Authorization": scheme})).status == 401
        assert (await search(person, base, password, "alice")).status == 200
