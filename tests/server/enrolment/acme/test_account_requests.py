"""Accounts: bound to one name by a token, which counts once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sipmesh.server.enrolment.paths import ACME
from sipmesh.storage.enrolment.acme_accounts import MOST_OF_NAME
from support.acme_client import AcmeClient, jwk, jws
from support.console import Answer, Visitor
from support.enrolling import BOT, OTHER_BOT, enrol, enrolling, new_key, request, token
from support.running import on_loop


def kind(answer: Answer) -> str:
    return str(answer.json["type"]).rpartition(":")[2]


@on_loop
async def test_token_binds_one_account_to_its_name_and_counts_once_for_both_protocols(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "acme", "est") as network, Visitor(network) as visitor:
        made, client = await token(network), AcmeClient(visitor)
        answer = await client.register(made, contact=["mailto:ops@example.test"])
        assert (answer.status, answer.json["contact"]) == (201, ["mailto:ops@example.test"])
        assert (await AcmeClient(visitor, client.key).register(made)).status == 200
        second = await AcmeClient(visitor).register(made)
        assert (second.status, kind(second), "used already" in second.text) == (403, "unauthorized", True)
        assert (await enrol(visitor, BOT, made["password"], request(new_key()))).status == 401
        [account] = [line for line in network.master.management_db.audit.read() if "account" in line.about]
        assert (account.who, account.act, account.about["token"]) == (BOT, "enrol", made["key_id"])


@on_loop
async def test_binding_that_is_missing_guessed_or_of_another_key_makes_no_account(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "acme") as network, Visitor(network) as visitor:
        made, client, other = await token(network), AcmeClient(visitor), AcmeClient(visitor)
        foreign = await token(network, OTHER_BOT)
        bindings: dict[str, Any] = {
            "externalAccountRequired": None,
            "unauthorized": client.binding({**made, "mac_key": foreign["mac_key"]}),
            "malformed": client.binding(made, nonce="x"),
        }
        for wanted, binding in bindings.items():
            payload = {} if binding is None else {"externalAccountBinding": binding}
            assert kind(await client.post("new-account", payload)) == wanted
        for binding in (other.binding(made), client.binding(made, kid="none"), client.binding(made, alg="none")):
            assert kind(await client.post("new-account", {"externalAccountBinding": binding})) == "unauthorized"
        missing = await client.post("new-account", {"onlyReturnExisting": True})
        assert kind(missing) == "accountDoesNotExist"
        assert (await client.register(made)).status == 201


@on_loop
async def test_account_is_changed_and_deactivated_by_its_own_key_alone(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "acme") as network, Visitor(network) as visitor:
        client, other = AcmeClient(visitor), AcmeClient(visitor)
        await client.register(await token(network))
        await other.register(await token(network, OTHER_BOT))
        assert kind(await other.post(client.account, {"status": "deactivated"})) == "unauthorized"
        changed = await client.post(client.account, {"contact": ["mailto:new@example.test"]})
        assert changed.json["contact"] == ["mailto:new@example.test"]
        assert kind(await client.post(client.account, {"contact": ["tel:1"]})) == "unsupportedContact"
        assert kind(await client.post(client.account, {"contact": "mailto:a@b"})) == "invalidContact"
        assert kind(await client.post(client.account, {"status": "valid"})) == "malformed"
        assert (await client.post(client.account, {"status": "deactivated"})).json["status"] == "deactivated"
        assert kind(await client.order(BOT)) == "unauthorized"
        assert (await client.post("new-account", {}, kid=None, jwk=jwk(client.key))).status == 401
        assert (await other.order(OTHER_BOT)).status == 201


@on_loop
async def test_key_of_an_account_is_changed_by_both_keys_together(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "acme") as network, Visitor(network) as visitor:
        client, other = AcmeClient(visitor), AcmeClient(visitor)
        await client.register(await token(network))
        await other.register(await token(network, OTHER_BOT))
        url, new = f"{client.base}{ACME}/key-change", new_key()

        def inner(key: Any, account: str = client.account, **header: object) -> dict[str, str]:
            payload = {"account": account, "oldKey": jwk(client.key)}
            return jws({"alg": "ES256", "jwk": jwk(key), "url": url, **header}, payload, key)

        for wrong in (inner(new, other.account), inner(new, nonce="x"), {**inner(new), "signature": "AAAA"}):
            assert kind(await client.post("key-change", wrong)) == "malformed"
        taken = await client.post("key-change", inner(other.key))
        assert (taken.status, "another account" in taken.text) == (409, True)
        assert (await client.post("key-change", inner(new))).status == 200
        assert kind(await client.post(client.account)) == "malformed"
        assert (await AcmeClient(visitor, new, client.account).post(client.account)).status == 200


@on_loop
async def test_name_has_a_bounded_number_of_accounts(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "acme") as network, Visitor(network) as visitor:
        clients = [AcmeClient(visitor) for _ in range(MOST_OF_NAME + 1)]
        answers = [await client.register(await token(network)) for client in clients]
        assert [answer.status for answer in answers] == [201] * MOST_OF_NAME + [429]
        assert (await clients[0].post(clients[0].account, {"status": "deactivated"})).status == 200
        assert (await clients[-1].register(await token(network))).status == 201
