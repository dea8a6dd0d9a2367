"""Which account a person has at a log-in, and that nothing is known while the database cannot be asked."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.console.access.account import account_at_log_in, accounts_of, user_of_principal
from sipmesh.storage.users.user_database import Users
from support.call_rules import change_rules
from support.network import build_example

ALICE, BOB, EVE = (f"{name}@example.test" for name in ("alice", "bob", "eve"))


@pytest.fixture(name="example")
def _example(tmp_path: Path) -> Organisation:
    return build_example(tmp_path / "o")


def change(example: Organisation, what: str, *given: object) -> None:
    users = Users(example.load().users_url)
    getattr(users, what)(*given)
    users.close()


def test_account_is_another_one_after_each_change_that_logs_phones_out(example: Organisation) -> None:
    loaded = example.load()
    seen = [accounts_of(loaded, [ALICE, "Bob@example.test", EVE])]
    assert {name: one and one.user for name, one in seen[0].items()} == {ALICE: ALICE, "Bob@example.test": BOB}
    for what, *given in (
        ("disable", ALICE, datetime.now(UTC)),
        ("enable", ALICE),
        ("set_password", ALICE, "another one"),
        ("remove", ALICE),
        ("add", ALICE, "another person"),
    ):
        change(example, str(what), *given)
        seen.append(accounts_of(loaded, [ALICE]))
    accounts = [one.get(ALICE) for one in seen]
    assert (accounts[1], accounts[4]) == (None, None)
    assert (ALICE in seen[1], ALICE in seen[4]) == (True, False)
    assert len({one for one in accounts if one is not None}) == 4
    change_rules(example, ALICE, do_not_disturb=True)
    assert accounts_of(loaded, [ALICE]) == seen[-1]


def test_operator_who_is_disabled_as_a_user_does_not_log_in_and_one_who_is_no_user_does(example: Organisation) -> None:
    loaded = example.load()
    change(example, "disable", ALICE, datetime.now(UTC))
    with pytest.raises(OperatorError, match="has left for the console too"):
        asyncio.run(account_at_log_in(loaded, ALICE))
    assert asyncio.run(account_at_log_in(loaded, EVE)) is None
    assert asyncio.run(account_at_log_in(loaded, "")) is None
    account = asyncio.run(account_at_log_in(loaded, BOB))
    assert account is not None
    assert account.user == BOB


def test_nothing_is_known_without_the_database(example: Organisation) -> None:
    loaded = example.load()
    (example.folder / "users.db").write_bytes(b"no database" * 100)
    with pytest.raises(OperatorError):
        asyncio.run(account_at_log_in(loaded, BOB))


@pytest.mark.parametrize(
    ("domains", "portal", "user"),
    [
        (["example.test"], None, "ada@example.test"),
        (["example.test", "second.test"], None, ""),
        (["example.test", "second.test"], {"realm": "CORP.TEST", "domain": "second.test"}, "ada@second.test"),
        (["example.test", "second.test"], {"realm": "ELSE.TEST", "domain": "second.test"}, ""),
    ],
)
def test_person_of_a_realm_is_the_user_of_the_portal_or_of_the_one_domain(
    tmp_path: Path, domains: list[str], portal: dict[str, str] | None, user: str
) -> None:
    example = build_example(tmp_path / "o")
    topology = example.load().topology
    pages: Any = None
    if portal is not None:
        from sipmesh.topology.document.parts.portal import PortalEntry, PortalRealm

        realm = PortalRealm.model_construct(keytab="k", realm=portal["realm"], domain=portal["domain"])
        pages = type("Pages", (), {"portal": PortalEntry.model_construct(kerberos=realm)})()
    changed = topology.model_copy(update={"sip_domains": tuple(domains), "invitations": pages})
    assert user_of_principal(changed, "ada@CORP.TEST") == user
