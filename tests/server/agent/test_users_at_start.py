"""A managed server starts with its stored users, and says which of them must wait for management."""

from __future__ import annotations

from sipmesh.routing.authentication.verifier import Verifier
from sipmesh.server.agent.users_at_start import load_users
from sipmesh.server.proxy.login.user_stores import NoUsers
from sipmesh.server.replication.stored_users import USERS
from sipmesh.sip.digest import Algorithm
from sipmesh.storage.users.replicated_users import ReplicatedUsers
from sipmesh.storage.users.user_document import UserDocument
from support.managed import Managed
from support.network import EXAMPLE, FE1, POOL
from support.telling import Told

ALICE, BOB = (f"sip:{name}@{EXAMPLE}" for name in ("alice", "bob"))


def keep(managed: Managed, number: int, since: int, *aors: str) -> None:
    """Store users of fe1."""
    verifiers = {aor: Verifier(aor, number, {Algorithm.MD5: "a" * 32}) for aor in aors}
    signed = managed.signed(UserDocument(EXAMPLE, POOL, number, since, verifiers=verifiers).encode(), kind=USERS)
    stored = managed.holding(FE1).users
    stored.open()
    stored.keep([signed], whole=not since)


def test_users_who_may_have_changed_wait_and_the_log_names_them(managed: Managed) -> None:
    managed.join(FE1)
    keep(managed, 3, 0, ALICE, BOB)
    keep(managed, 4, 3, ALICE)
    file = managed.holding(FE1).users.file
    file.write_bytes(file.read_bytes()[:-1])
    users, told = ReplicatedUsers(EXAMPLE, POOL), Told()
    load_users(managed.holding(FE1).users, users, told.log)
    assert (users.is_withheld(ALICE), users.is_withheld(BOB), users.number) == (True, False, 3)
    [line] = told.lines
    assert (line["level"], line["file"], line["refused"]) == ("error", str(file), [ALICE])
    assert "octets are damaged" in line["why"]


def test_server_without_logins_has_no_users(managed: Managed) -> None:
    managed.join(FE1)
    told = Told()
    load_users(managed.holding(FE1).users, NoUsers(), told.log)
    assert told.lines == []
