"""A thief of the management host has its keys and its link; without the operators no server loads what it publishes.

The servers and links are real; the control of each refusal is a version that enough operators have approved.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.errors import OperatorError
from sipmesh.topology.versions.approval import Proposal
from sipmesh.topology.versions.jose import open_signed
from sipmesh.topology.versions.publication import KIND, Publication
from support.approving import Approver, approve, drafted, rule
from support.giver import Giver
from support.managed import MGMT, MGMT2, MGMT_POOL, Managed, servers_of
from support.network import EDGE, FE1
from support.pool import MANAGERS
from support.running import on_loop, until
from transport.authority import Authority

ADA, BEN, CYD = Approver("ada"), Approver("ben"), Approver("cyd")
MALLORY = Approver("mallory")


def turned_on(network: Managed, **more: Any) -> None:
    """Publish the first version with approvals: two of three operators."""
    network.edit(lambda document: document.update(approvals=rule(ADA, BEN, CYD, **more)))


async def with_approvals(network: Managed, *servers: str, **more: Any) -> None:
    """Start with a version that requires approvals from then on."""
    await network.start(MGMT, *servers)
    turned_on(network, **more)
    approve(network, 1, ADA, BEN)
    assert (await network.publish())["version"] == 2
    await network.in_force(2, *servers)


def crafted(network: Managed, number: int, serial: int, *operators: Approver, signed: Proposal | None = None) -> bytes:
    """A version that is signed by management, with approvals under *signed*, by default those of the draft."""
    octets = (signed or drafted(network, serial)).encode()
    approvals = {operator.name: operator.signs(octets) for operator in operators}
    return network.version(number, serial=serial, approvals=approvals)


@pytest.mark.parametrize("server", [FE1, EDGE])
@on_loop
async def test_version_without_enough_operators_is_refused_over_tls(managed: Managed, server: str) -> None:
    async with managed:
        await with_approvals(managed, FE1, EDGE)
        await managed.stop(MGMT, *({FE1} if server == EDGE else ()))
        giver = await Giver.meet(managed._stack, managed, server, FE1 if server == EDGE else MGMT)
        managed.edit(lambda document: document["sip_domains"].append("evil.test"))
        other = replace(drafted(managed, 2), topology=drafted(managed, 2).topology + "# more\n")
        attempts = {
            "none": crafted(managed, 11, 2),
            "one": crafted(managed, 12, 2, ADA),
            "one twice": managed.version(
                13, serial=2, approvals={name: ADA.signs(drafted(managed, 2).encode()) for name in ("ada", "ben")}
            ),
            "a stranger": crafted(managed, 14, 2, ADA, MALLORY),
            "another content": crafted(managed, 15, 2, ADA, BEN, signed=other),
            "another serial number": crafted(managed, 16, 2, ADA, BEN, signed=drafted(managed, 3)),
            "another purpose": managed.version(
                17, serial=2, approvals={o.name: o.signs(drafted(managed, 2).encode(), "git") for o in (ADA, BEN)}
            ),
            "no serial number": crafted(managed, 18, 0, ADA, BEN, signed=drafted(managed, 0)),
        }
        for what, version in attempts.items():
            assert (await giver.topology(version)).status == 488, what
            assert managed.number(server) == 2
        assert (await giver.topology(crafted(managed, 20, 2, CYD, ADA))).status == 200
        await managed.in_force(20, server)


@on_loop
async def test_who_has_the_management_host_can_neither_turn_approvals_off_nor_name_other_operators(
    managed: Managed,
) -> None:
    async with managed:
        await with_approvals(managed, FE1)
        await managed.stop(MGMT)
        giver = await Giver.meet(managed._stack, managed, FE1)
        managed.edit(lambda document: document.pop("approvals"))
        assert (await giver.topology(crafted(managed, 11, 2))).status == 488
        managed.edit(lambda document: document.update(approvals=rule(MALLORY, publish=1)))
        assert (await giver.topology(crafted(managed, 12, 2, MALLORY))).status == 488
        managed.edit(lambda document: document.update(approvals=rule(ADA, BEN, publish=1)))
        assert (await giver.topology(crafted(managed, 13, 2, ADA))).status == 488
        managed.edit(lambda document: document.pop("approvals"))
        assert (await giver.topology(crafted(managed, 14, 2, ADA, BEN))).status == 200
        await managed.in_force(14, FE1)


@on_loop
async def test_old_content_with_its_old_approvals_is_not_put_in_force_again(managed: Managed) -> None:
    async with managed:
        await with_approvals(managed, FE1)
        old = Publication.decode(_payload(managed.published(2)))
        managed.edit(lambda document: document.update(presence={"partners": "polite-block"}))
        approve(managed, 2, BEN, CYD)
        await managed.publish()
        await managed.in_force(3, FE1)
        await managed.stop(MGMT)
        giver = await Giver.meet(managed._stack, managed, FE1)
        again = managed.signed(replace(old, number=11).encode())
        assert (await giver.topology(again)).status == 488
        renamed = managed.signed(replace(old, number=12, serial=3).encode())
        assert (await giver.topology(renamed)).status == 488
        newest = Publication.decode(_payload(managed.published(3)))
        assert (await giver.topology(managed.signed(replace(newest, number=13).encode()))).status == 200
        await managed.in_force(13, FE1)


@on_loop
async def test_one_operator_may_block_only(managed: Managed) -> None:
    """The content that only blocks needs fewer approvals, if the rule says so: an emergency must not wait."""
    async with managed:
        await with_approvals(managed, FE1, block=1)
        await managed.stop(MGMT)
        giver = await Giver.meet(managed._stack, managed, FE1)
        managed.edit(lambda document: document.setdefault("federation", {}).update(blocked=["evil.test"]))
        more = drafted(managed, 2)
        root = Authority.create(managed.where / "mallory", "Mallory").root.public_bytes(Encoding.PEM)
        roots = dict.fromkeys(more.files, root)
        exchanged = replace(more, files=roots)
        version = managed.version(11, serial=2, files=roots, approvals={"ada": ADA.signs(exchanged.encode())})
        assert (await giver.topology(version)).status == 488
        managed.edit(lambda document: document["sip_domains"].append("evil.test"))
        managed.edit(lambda document: document["federation"].update(blocked=["other.test"]))
        assert (await giver.topology(crafted(managed, 12, 2, ADA))).status == 488
        managed.edit(lambda document: document["sip_domains"].remove("evil.test"))
        assert (await giver.topology(crafted(managed, 13, 2))).status == 488
        assert (await giver.topology(crafted(managed, 14, 2, ADA))).status == 200
        await managed.in_force(14, FE1)
        managed.edit(lambda document: document["federation"].update(blocked=[]))
        assert (await giver.topology(crafted(managed, 15, 3, ADA))).status == 488
        assert (await giver.topology(crafted(managed, 16, 3, ADA, CYD))).status == 200
        await managed.in_force(16, FE1)


@on_loop
async def test_who_has_one_management_host_cannot_change_roots_or_managers_but_an_emergency_needs_fewer(
    managed: Managed,
) -> None:
    """A new root and a new manager need all approvals; to shut a manager out, those of a block are enough."""
    async with managed:
        await managed.start(FE1)
        giver = await Giver.meet(managed._stack, managed, FE1)
        managed.edit(two_managers)
        managed.edit(lambda document: document.update(approvals=rule(ADA, BEN, CYD, block=1)))
        assert (await giver.topology(managed.version(2, serial=1))).status == 200
        await managed.in_force(2, FE1)
        both = list(managers_of(managed.organisation.document))
        managed.edit(lambda document: managers_of(document).append({"name": "evil.example.test"}))
        assert (await giver.topology(crafted(managed, 11, 2, ADA))).status == 488
        managed.edit(lambda document: managers_of(document).__setitem__(slice(None), both))
        root = Authority.create(managed.where / "mallory", "Mallory").root.public_bytes(Encoding.PEM)
        files = {**drafted(managed, 2).files, **dict.fromkeys(drafted(managed, 2).files, root)}
        with_root = replace(drafted(managed, 2), files=files)
        version = managed.version(12, serial=2, files=files, approvals={"ada": ADA.signs(with_root.encode())})
        assert (await giver.topology(version)).status == 488
        managed.edit(lambda document: managers_of(document).__setitem__(slice(None), both[:1]))
        assert (await giver.topology(crafted(managed, 13, 2))).status == 488
        assert (await giver.topology(crafted(managed, 14, 2, MALLORY))).status == 488
        assert MGMT2 in managed.nodes[FE1].view.trusted
        assert (await giver.topology(crafted(managed, 15, 2, ADA))).status == 200
        await managed.in_force(15, FE1)
        assert MGMT2 not in managed.nodes[FE1].view.trusted
        managed.edit(lambda document: managers_of(document).append(both[1]))
        assert (await giver.topology(crafted(managed, 16, 3, ADA))).status == 488
        assert (await giver.topology(crafted(managed, 17, 3, ADA, BEN))).status == 200
        await managed.in_force(17, FE1)


def two_managers(document: dict[str, Any]) -> None:
    """Make management a pool of two servers, with a database that they share."""
    database = "postgresql+psycopg://192.0.2.5/m?sslmode=verify-full&sslrootcert=ca/root.pem"
    document["storage"] = {**document.get("storage", {}), "management": database, "users": database}
    pool = next(pool for pool in document["pools"] if pool["name"] == MGMT_POOL)
    pool["name"] = MANAGERS
    pool["servers"].append({"name": MGMT2, "address": "192.0.2.6"})


def managers_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The servers of the management pool in a draft."""
    return servers_of(document, MANAGERS)


@on_loop
async def test_management_refuses_before_it_signs_and_says_what_is_missing(managed: Managed) -> None:
    async with managed:
        await managed.start(MGMT, FE1)
        turned_on(managed)
        with pytest.raises(OperatorError, match="0 of 2 operators of the new rule"):
            await managed.publish()
        approve(managed, 1, ADA, MALLORY)
        with pytest.raises(OperatorError, match="1 of 2 operators of the new rule"):
            await managed.publish()
        approve(managed, 1, BEN)
        assert (await managed.publish())["version"] == 2
        with pytest.raises(OperatorError, match="0 of 2 operators have approved"):
            await managed.ask(MGMT, "block", name="evil.test")
        managed.edit(lambda document: document.update(presence={"partners": "polite-block"}))
        approve(managed, 2, ADA)
        with pytest.raises(OperatorError, match="1 of 2 operators have approved its content: ada"):
            await managed.publish()
        approve(managed, 2, CYD)
        assert (await managed.publish())["version"] == 3
        await managed.in_force(3, FE1)


@on_loop
async def test_operators_change_by_the_approval_of_the_old_and_of_the_new_operators(managed: Managed) -> None:
    async with managed:
        await with_approvals(managed, FE1)
        dan, eve = Approver("dan"), Approver("eve")
        managed.edit(lambda document: document.update(approvals=rule(dan, eve)))
        approve(managed, 2, dan, eve)
        with pytest.raises(OperatorError, match="0 of 2 operators have approved"):
            await managed.publish()
        approve(managed, 2, ADA, BEN)
        assert (await managed.publish())["version"] == 3
        await managed.in_force(3, FE1)
        managed.edit(lambda document: document.update(presence={"partners": "polite-block"}))
        approve(managed, 3, ADA, BEN)
        with pytest.raises(OperatorError, match="0 of 2 operators have approved"):
            await managed.publish()
        approve(managed, 3, dan, eve)
        assert (await managed.publish())["version"] == 4
        await managed.in_force(4, FE1)


@on_loop
async def test_after_the_loss_of_all_keys_each_server_joins_again_and_follows_the_new_operators(
    managed: Managed,
) -> None:
    async with managed:
        await with_approvals(managed, FE1)
        await managed.stop(MGMT)
        dan = Approver("dan")
        managed.edit(lambda document: document.update(approvals=rule(dan, publish=1)))
        told = await managed.type("topology", "publish", "-m", "all keys are lost", "--without-approvals")
        assert "Version 3 is published" in told
        await managed.start(MGMT)
        await until(lambda: any(fault.what for fault in managed.master.network.status(3).members[0].faults))
        assert managed.number(FE1) == 2
        await managed.stop(FE1)
        managed.join(FE1)
        await managed.start(FE1)
        assert managed.number(FE1) == 3
        managed.edit(lambda document: document.update(presence={"partners": "polite-block"}))
        approve(managed, 3, dan)
        assert (await managed.publish())["version"] == 4
        await managed.in_force(4, FE1)


def _payload(jws: bytes) -> bytes:
    return open_signed(jws, KIND).payload
