"""Validations: one for each order at a time; an order that was begun goes on after a restart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sipmesh.server.enrolment.acme import validations as module
from sipmesh.server.enrolment.enrolment_host import EnrolmentHost
from sipmesh.storage.enrolment.acme_orders import AcmeOrders, ChallengeStatus
from sipmesh.trust.evidence import LinkKind
from support.acme_client import AcmeClient, web_server
from support.console import Visitor
from support.enrolling import BOT, enrolling, new_key, request, token
from support.managed import MGMT
from support.model_ports import model_port
from support.running import on_loop, until


@on_loop
async def test_order_and_account_survive_a_restart_and_its_validation_goes_on(tmp_path: Path) -> None:
    port = model_port()
    async with enrolling(tmp_path, "acme", http_port=port) as network:
        async with Visitor(network) as visitor:
            client = AcmeClient(visitor)
            await client.register(await token(network))
            begun = await client.order(BOT)
            orders: AcmeOrders = network.master.management_db.acme_orders
            found = orders.find(begun.headers["Location"].rpartition("/")[2])
            assert found is not None
            orders.change(found, replace(found, chosen="http-01", challenge=ChallengeStatus.PROCESSING))
        await network.stop(MGMT)
        await network.start(MGMT)
        async with Visitor(network) as visitor, web_server(client, port):
            again = AcmeClient(visitor, client.key, client.account)
            assert (await again.post(begun.headers["Location"])).json["status"] == "pending"
            assert (await again.post(begun.json["authorizations"][0])).json["status"] == "pending"
            order = await again.settled(begun.headers["Location"])
            assert (await again.finalized(order, request(new_key(), BOT))).json["status"] == "valid"


@on_loop
async def test_number_of_validations_at_a_time_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = model_port()
    async with enrolling(tmp_path, "acme", http_port=port) as network, Visitor(network) as visitor:
        client = AcmeClient(visitor)
        await client.register(await token(network))
        monkeypatch.setattr(module, "MOST", 0)
        begun = await client.order(BOT)
        challenge = await client.challenge_of(begun, "http-01")
        assert (await client.post(challenge["url"], {})).json["status"] == "processing"
        assert (await client.post(challenge["url"])).json["status"] == "processing"
        monkeypatch.setattr(module, "MOST", 1)
        async with web_server(client, port):
            await client.post(challenge["url"])
            assert (await client.settled(begun.headers["Location"]))["status"] == "ready"


@on_loop
async def test_order_of_a_server_that_left_the_topology_is_invalid(tmp_path: Path) -> None:
    port = model_port()
    async with enrolling(tmp_path, "acme", http_port=port) as network, Visitor(network) as visitor:
        client = AcmeClient(visitor)
        await client.register(await token(network))
        begun = await client.order(BOT)
        challenge = await client.challenge_of(begun, "http-01")
        await network.publish(lambda document: document["pools"].pop(), force=True)
        async with web_server(client, port) as asked:
            refused = await client.post(challenge["url"], {})
            assert (refused.status, "the account is revoked" in refused.text) == (401, True)
            accounts = network.master.management_db.acme_accounts
            accounts.change(client.account.rpartition("/")[2], status="valid")  # as if it could not be revoked
            assert (await client.post(challenge["url"], {})).status == 200
            assert (await client.settled(begun.headers["Location"]))["status"] == "invalid"
        assert asked == []
        refused = await client.order(BOT)
        assert (refused.status, "is not a server of the topology" in refused.text) == (403, True)


@on_loop
async def test_outcome_of_an_order_that_was_given_up_meanwhile_is_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with enrolling(tmp_path, "acme", http_port=model_port()) as network, Visitor(network) as visitor:
        client = AcmeClient(visitor)
        await client.register(await token(network))
        begun = await client.order(BOT)
        challenge = await client.challenge_of(begun, "http-01")

        async def gives_up(_kind: str, _challenge: object) -> None:
            await client.post(begun.json["authorizations"][0], {"status": "deactivated"})

        monkeypatch.setattr(module, "validate", gives_up)
        await client.post(challenge["url"], {})
        await until(lambda: [*network.told[MGMT].events("challenge not stored")] != [])
        assert (await client.post(begun.headers["Location"])).json["status"] == "invalid"


@on_loop
async def test_challenge_fails_if_enrolment_is_turned_off_meanwhile(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "acme", http_port=model_port()) as network, Visitor(network) as visitor:
        client = AcmeClient(visitor)
        await client.register(await token(network))
        begun = await client.order(BOT)
        orders: AcmeOrders = network.master.management_db.acme_orders
        found = orders.find(begun.headers["Location"].rpartition("/")[2])
        assert found is not None
        begun_order = orders.change(found, replace(found, chosen="http-01", challenge=ChallengeStatus.PROCESSING))
        account = network.master.management_db.acme_accounts.find(found.account)
        assert account is not None
        host = EnrolmentHost(
            view=lambda: network.nodes[MGMT].view,
            management_db=network.master.management_db,
            now=network.nodes[MGMT].gatekeeper.clock,
            steady=network.nodes[MGMT].loop.time,
            leads=lambda: True,
            look=lambda: None,
            count=network.nodes[MGMT].counters.enrolled,
            log=network.nodes[MGMT].log,
            leaf_of=lambda _host: network.nodes[MGMT].certificates.presented.of(LinkKind.SERVER).leaf,
        )
        validations = module.Validations(host)
        await network.publish(lambda document: document["console"].pop("enrolment"))
        validations.begin(begun_order, account)
        await until(lambda: (orders.find(found.id) or found).detail != "")
        await validations.close()
        assert (orders.find(found.id) or found).detail == "the topology has no enrolment any more"
