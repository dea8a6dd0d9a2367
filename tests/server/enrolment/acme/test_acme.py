"""ACME over real TLS: what each request has to pass, and each attack with the valid request beside it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from sipmesh.server.enrolment.acme import nonces
from sipmesh.server.enrolment.acme.acme import FAILURES_A_MINUTE
from sipmesh.server.enrolment.acme.jws import LARGEST
from sipmesh.server.enrolment.paths import ACME
from sipmesh.server.process import request_rate
from support.acme_client import JOSE, AcmeClient, jwk, jws
from support.console import Visitor
from support.enrolling import BOT, EST, enrolling, token
from support.managed import MGMT
from support.running import on_loop


@on_loop
async def test_directory_requires_a_binding_and_is_gone_without_the_setting(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "acme") as network, Visitor(network) as visitor:
        directory = (await visitor.get(f"{ACME}/directory")).json
        assert directory["newOrder"] == f"https://{MGMT}:{visitor.port}{ACME}/new-order"
        assert directory["meta"] == {"externalAccountRequired": True}
        assert (await visitor.get(f"{ACME}/new-nonce")).status == 204
        assert (await visitor.get(f"{EST}/cacerts")).status == 404
        await network.publish(lambda document: document["console"].pop("enrolment"))
        gone = await visitor.get(f"{ACME}/directory")
        assert (gone.status, "malformed" in gone.text) == (404, True)
        assert (await AcmeClient(visitor).send(f"{ACME}/new-order", b"{}")).status == 404


@on_loop
async def test_replayed_nonce_and_unknown_nonce_are_refused_with_a_new_one(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "acme") as network, Visitor(network) as visitor:
        client = AcmeClient(visitor)
        await client.register(await token(network))
        nonce = await client.nonce()
        header = {"alg": "ES256", "nonce": nonce, "url": client.account, "kid": client.account}
        signed, path = jws(header, None, client.key), client.account.removeprefix(client.base)
        assert (await client.send(path, signed)).status == 200
        for answer in (await client.send(path, signed), await client.post(client.account, nonce="AAAA")):
            assert (answer.status, answer.json["type"]) == (400, "urn:ietf:params:acme:error:badNonce")
        again = await client.post(client.account, nonce=answer.headers["Replay-Nonce"])
        assert again.status == 200


@on_loop
async def test_many_strangers_do_not_use_up_the_nonces_of_a_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each signs with a key of its own, which costs it nothing."""
    monkeypatch.setattr(nonces, "MOST_USED", 40)
    async with enrolling(tmp_path, "acme") as network, Visitor(network) as visitor:
        client = AcmeClient(visitor)
        await client.register(await token(network))
        answers = []
        for source in ("127.0.0.2", "127.0.0.3", "127.0.0.4"):
            async with Visitor(network, source=source) as stranger:
                answers += [await AcmeClient(stranger).post("new-account", {}) for _ in range(FAILURES_A_MINUTE)]
        assert sum("externalAccountRequired" in answer.text for answer in answers) >= nonces.MOST_USED
        wanted, nonce = {"identifiers": [{"type": "dns", "value": BOT}]}, await client.nonce()
        while "badNonce" in (answer := await client.post("new-order", wanted, nonce=nonce)).text:
            nonce = answer.headers["Replay-Nonce"]  # as each client does (RFC 8555 6.5)
        assert answer.status == 201, answer.text
        assert "badNonce" in (await client.post("new-order", wanted, nonce=nonce)).text


@on_loop
async def test_request_that_proves_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_rate, "WINDOW_S", math.inf)
    async with enrolling(tmp_path, "acme") as network, Visitor(network) as visitor:
        client = AcmeClient(visitor)
        await client.register(await token(network))
        thief = AcmeClient(visitor, account=client.account)
        both = await client.post("new-order", {}, jwk=jwk(client.key))
        refused = {
            "another key": await thief.post(client.account),
            "another url": await client.post(client.account, url=f"{client.base}{ACME}/new-order"),
            "both": both,
            "no account": await client.post("new-order", {}, kid=f"{client.base}{ACME}/account/none"),
            "no URL": await client.post("new-order", {}, kid="https://[::1/acme/account/none"),
            "another algorithm": await client.post(client.account, alg="none"),
            "an unknown field": await client.post(client.account, b64=False),
        }
        kinds = {what: answer.json["type"].rpartition(":")[2] for what, answer in refused.items()}
        assert kinds == {
            "another key": "malformed",
            "another url": "unauthorized",
            "both": "malformed",
            "no account": "accountDoesNotExist",
            "no URL": "accountDoesNotExist",
            "another algorithm": "badSignatureAlgorithm",
            "an unknown field": "malformed",
        }
        assert (await client.post(client.account)).status == 200
        for _ in range(FAILURES_A_MINUTE - 3):
            assert (await thief.post(client.account, url="x")).status == 403
        assert (await thief.post(client.account, url="x")).status == 429
        assert (await client.post(client.account)).status == 200


@on_loop
async def test_oversized_and_unreadable_requests_are_refused(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "acme") as network, Visitor(network) as visitor:
        client, path = AcmeClient(visitor), f"{ACME}/new-account"
        for body, status in ((b"x" * (LARGEST + 1), 413), (b"[]", 400), (b"{", 400), (b'{"a":1,"a":2}', 400)):
            answer = await client.send(path, body)
            assert (answer.status, answer.json["status"]) == (status, status)
        signed = json.dumps(jws({"alg": "ES256"}, {}, client.key)).encode()
        assert (await visitor.ask("POST", path, data=signed, headers={"Content-Type": "text/plain"})).status == 415
        assert (await visitor.ask("GET", path, headers=JOSE)).status == 405
        assert (await client.register(await token(network))).status == 201


@on_loop
async def test_server_that_does_not_lead_its_pool_issues_nothing(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "acme") as network, Visitor(network) as visitor:
        client, made = AcmeClient(visitor), await token(network)
        leadership = network.master.leadership
        leadership.leads = False
        refused = await client.register(made)
        assert (refused.status, "another management server leads" in refused.text) == (503, True)
        leadership.leads = True
        assert (await client.register(made)).status == 201
        assert (await client.order(BOT)).status == 201


@on_loop
async def test_fault_of_management_has_no_detail_in_the_answer_and_is_in_the_log(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "acme") as network, Visitor(network) as visitor:
        client, made = AcmeClient(visitor), await token(network)
        secret = network.organisation.folder / "ca/enrolment.json"
        kept = secret.read_bytes()
        secret.write_text("{")
        refused = await client.register(made)
        assert (refused.status, "its log says why" in refused.text, "enrolment.json" in refused.text) == (
            503,
            True,
            False,
        )
        assert "cannot be read" in str([*network.told[MGMT].events("enrolment refused")])
        secret.write_bytes(kept)
        assert (await client.register(made)).status == 201


@on_loop
async def test_token_of_a_server_that_left_the_topology_makes_no_account(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "acme") as network, Visitor(network) as visitor:
        client, made = AcmeClient(visitor), await token(network)
        assert (await visitor.get(f"{ACME}/renewal-info/x")).status == 400
        await network.publish(lambda document: document["pools"].pop(), force=True)
        refused = await client.register(made)
        assert (refused.status, "used already" in refused.text) == (403, True)
