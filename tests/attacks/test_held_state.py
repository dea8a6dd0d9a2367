"""What a server holds on its disk, attacked by who can write there; each time the server as it was left starts.

The attacker writes below ``state``, which has the documents, or everywhere but to the keys in ``servers``; what he cannot be kept
from is in docs/threat-model.md.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.forge import Forge, Forged, Wish
from sipmesh.distribution.items import Item, ItemKind
from sipmesh.errors import OperatorError
from sipmesh.routing.authentication.verifier import Verifier
from sipmesh.server.replication.stored_users import USERS
from sipmesh.sip.digest import Algorithm, ha1
from sipmesh.storage.management_db import ManagementDb
from sipmesh.storage.users.user_document import UserDocument
from sipmesh.trust.x509.certificate import DOCUMENT_SIGNING
from support.giver import Giver
from support.managed import MGMT, Credentials, Managed
from support.network import EDGE, EXAMPLE, FE1, FE2, POOL
from support.running import on_loop, until

NOW = datetime.now(UTC)
MALLORY = Forge(NOW).organisation("example.test")
"""A CA of the attacker's, whose names are ours."""


async def refused(network: Managed, server: str, *words: str) -> None:
    """See that a server does not start, and says what to do."""
    with pytest.raises(OperatorError) as wrong:
        await network.start(server)
    told = str(wrong.value)
    assert "sipmesh join" in told or "sipmesh restore" in told, told
    assert all(word in told for word in words), told


def state(network: Managed, server: str) -> Path:
    return network.folder(server) / "state"


def kept(network: Managed, server: str) -> dict[Path, bytes]:
    """What a server has in its state, to put it back."""
    return {file: file.read_bytes() for file in state(network, server).glob(f"{server}.*") if file.is_file()}


def put(files: dict[Path, bytes]) -> None:
    for file, content in files.items():
        file.write_bytes(content)


@pytest.mark.parametrize("server", [FE1, EDGE])
@on_loop
async def test_older_version_with_the_number_that_goes_with_it_is_not_loaded(managed: Managed, server: str) -> None:
    """Version 2 in the place of version 1002: the topology and the highest number, or all that is in the state."""
    async with managed:
        managed.join(server)
        await managed.start(server)
        giver = await Giver.meet(managed._stack, managed, server, FE1 if server == EDGE else MGMT)
        assert (await giver.topology(managed.version(2))).status == 200
        await until(lambda: managed.number(server) == 2)
        old = kept(managed, server)
        assert (await giver.topology(managed.version(1002))).status == 200
        await until(lambda: managed.number(server) == 1002)
        await managed.stop(server)
        new = kept(managed, server)
        for names in ((".topology", ".highest"), (".topology", ".highest", ".anchors", ".users")):
            put({file: content for file, content in old.items() if file.suffix in names})
            await refused(managed, server, "1002")
            put(new)
        await managed.start(server)
        assert managed.number(server) == 1002


@on_loop
async def test_publication_of_another_ca_with_its_own_anchors_is_not_loaded(managed: Managed) -> None:
    """All of the state is the attacker's, and in itself in order."""
    async with managed:
        managed.join(FE1)
        good = kept(managed, FE1)
        credentials = signer(managed, MALLORY)
        root = MALLORY.issuer
        assert root is not None
        put(
            {
                state(managed, FE1) / f"{FE1}.topology": managed.signed(managed.payload(1), credentials),
                state(managed, FE1) / f"{FE1}.anchors": root.pem_chain,
            }
        )
        await refused(managed, FE1)
        put(good)
        await managed.start(FE1)
        assert managed.number(FE1) == 1


def signer(network: Managed, issuer: Forged, **changes: Any) -> Credentials:
    """A signer's certificate under any issuer."""
    wish = Wish(MGMT, dns=(MGMT,), usages=(DOCUMENT_SIGNING,), ends=timedelta(days=90))
    return Forge(NOW).forge(wish, issuer, **changes).write(network.where / "forged", "signer")


def front_end(network: Managed) -> Forged:
    """The credentials of a front end that was taken over, with the CA above it."""
    folder = network.organisation.folder
    root = Forged.read(folder / "ca" / "root.pem", folder / "ca" / "root.key")
    issuing = Forged.read(folder / "ca" / "issuing.pem", folder / "ca" / "issuing.key", root)
    return Forged.read(*network.credentials(FE2), issuing)


@pytest.mark.parametrize(
    "credentials",
    [
        lambda network: network.credentials(FE2),
        lambda network: signer(network, front_end(network)),
        lambda network: signer(network, front_end(network), ca=True),
    ],
    ids=["a front end", "issued by a front end", "a CA issued by a front end"],
)
@on_loop
async def test_publication_that_a_front_end_signed_is_loaded_by_no_server(
    managed: Managed, credentials: Callable[[Managed], Credentials]
) -> None:
    """Neither with the record of what was taken nor, as after an update from an earlier release, without."""
    async with managed:
        managed.join(FE1)
        good = kept(managed, FE1)
        record = managed.folder(FE1) / "servers" / f"{FE1}.held"
        for without_record in (False, True):
            if without_record:
                record.unlink(missing_ok=True)
            put({state(managed, FE1) / f"{FE1}.topology": managed.signed(managed.payload(1), credentials(managed))})
            await refused(managed, FE1)
        put(good)
        await managed.start(FE1)
        assert record.exists()


@on_loop
async def test_server_whose_state_was_deleted_loads_no_draft(managed: Managed) -> None:
    """The draft names no management, so that nothing in it says that it should be signed."""
    async with managed:
        managed.join(FE1)
        await managed.start(FE1)
        await managed.stop(FE1)
        away = managed.where / "away"
        state(managed, FE1).rename(away)
        draft(managed.folder(FE1))
        await refused(managed, FE1)
        shutil.rmtree(state(managed, FE1), ignore_errors=True)
        away.rename(state(managed, FE1))
        await managed.start(FE1)
        assert managed.number(FE1) == 1


@on_loop
async def test_record_that_was_spoiled_is_repaired_by_joining_again_only(managed: Managed) -> None:
    async with managed:
        managed.join(FE1)
        record = managed.folder(FE1) / "servers" / f"{FE1}.held"
        good = record.read_bytes()
        for spoiled in (b"", b"{}", b"[1]", good[:-5]):
            record.write_bytes(spoiled)
            await refused(managed, FE1)
        managed.join(FE1)
        assert record.read_bytes() == good
        await managed.start(FE1)
        record.unlink()  # a server that runs goes on by what it knows
        assert managed.member(FE1)._documents.highest == 1


@on_loop
async def test_management_whose_history_was_deleted_loads_no_draft(managed: Managed) -> None:
    async with managed:
        await managed.start(MGMT)
        await managed.stop(MGMT)
        folder = managed.organisation.folder
        away = managed.where / "management.db"
        away.parent.mkdir(exist_ok=True)
        (folder / "management.db").rename(away)
        text = managed.organisation.file.read_text()
        managed.organisation.file.write_text(text.replace("role: management", "role: application"))
        await refused(managed, MGMT)
        away.rename(folder / "management.db")
        managed.organisation.file.write_text(text)
        await managed.start(MGMT)
        assert managed.number(MGMT) == 1


def draft(folder: Path) -> None:
    """The network as the attacker wants it: one front end, and no management."""
    text = (
        f"sipmesh: 1\norganisation: example.test\nsip_domains: [{EXAMPLE}]\n"
        "authority: {anchors: [mallory.pem], crls: []}\n"
        f"pools: [{{name: {POOL}, role: front-end, servers: [{FE1}]}}]\n"
    )
    root = MALLORY.issuer
    assert root is not None
    (folder / "mallory.pem").write_bytes(root.pem_chain)
    (folder / "topology.yaml").write_text(text)


@on_loop
async def test_history_of_another_network_is_not_followed(managed: Managed) -> None:
    """A database beside the server that makes it management, or that has other versions."""
    async with managed:
        managed.join(FE1)
        await managed.start(FE1)
        await managed.stop(FE1)
        folder = managed.folder(FE1)
        management_db = ManagementDb(folder)
        management_db.history.publish(0, lambda _: managed.version(1), "mallory (66)", "because", at=NOW)
        management_db.close()
        await refused(managed, FE1)
        for file in folder.glob("management.db*"):
            file.unlink()
        await managed.start(FE1)


def users(network: Managed, number: int) -> Item:
    """Bob's account in a document of users."""
    aor = f"sip:bob@{EXAMPLE}"
    proof = Verifier(aor, 1, {Algorithm.SHA_256: ha1("bob", EXAMPLE, "bob-secret", Algorithm.SHA_256)})
    roster = UserDocument(organisation=EXAMPLE, pool=POOL, number=number, since=0, verifiers={aor: proof})
    return Item(ItemKind.USERS, network.signed(roster.encode(), None, USERS), "0", number)


@on_loop
async def test_users_of_an_earlier_version_log_in_no_phone(managed: Managed) -> None:
    """A user who was removed with number 9 must not come back by the documents of number 8, as they were signed."""
    async with managed:
        managed.join(FE1)
        await managed.start(FE1)
        giver = await Giver.meet(managed._stack, managed, FE1)
        assert (await giver.give(users(managed, 8))).status == 200
        file = state(managed, FE1) / f"{FE1}.users"
        old = file.read_bytes()
        assert (await giver.give(users(managed, 9))).status == 200
        await managed.stop(FE1)
        new = file.read_bytes()
        for content, number in ((old, 0), (new, 9)):
            file.write_bytes(content)
            await managed.start(FE1)
            assert managed.nodes[FE1].user_updates.number == number
            await managed.stop(FE1)
