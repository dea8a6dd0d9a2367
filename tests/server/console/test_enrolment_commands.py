"""Tokens and ACME accounts are listed in the console and the API, and a security officer ends one of them."""

from __future__ import annotations

from pathlib import Path

from support.acme_client import AcmeClient
from support.console import Visitor
from support.enrolling import BOT, OTHER_BOT, certificates_in, enrol, enrolling, new_key, request, token
from support.running import on_loop


@on_loop
async def test_officer_ends_one_account_and_one_token_and_no_other(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "acme", "est") as network, Visitor(network) as officer, Visitor(network) as visitor:
        ended, kept = AcmeClient(visitor), AcmeClient(visitor)
        await ended.register(await token(network))
        await kept.register(await token(network, OTHER_BOT))
        lost, found = await token(network), await token(network, OTHER_BOT)
        await officer.log_in("security-officer")
        assert "/certificates/enrolment" in (await officer.get("/certificates")).text
        account = ended.account.rpartition("/")[2]
        shown = (await officer.get("/certificates/enrolment")).text
        assert all(f"/enrol/withdraw?id={one}" in shown for one in (account, lost["key_id"], found["key_id"]))
        assert not any(one["password"] in shown or one["mac_key"] in shown for one in (lost, found))
        for one in (account, lost["key_id"]):
            assert "cannot be used any more" in (await officer.get(f"/enrol/withdraw?id={one}")).text
            assert f"{one} of {BOT} has ended." in (await officer.post("/enrol/withdraw", id=one)).text
        assert ((await ended.order(BOT)).status, (await kept.order(OTHER_BOT)).status) == (401, 201)
        assert (await enrol(visitor, BOT, lost["password"], request(new_key()))).status == 401
        other = request(new_key(), common=OTHER_BOT)
        certificates_in(await enrol(visitor, OTHER_BOT, found["password"], other))


@on_loop
async def test_operator_and_viewer_list_and_end_nothing(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "acme") as network, Visitor(network) as viewer, Visitor(network) as operator:
        made = await token(network)
        for visitor, role in ((viewer, "viewer"), (operator, "operator")):
            await visitor.log_in(role)
            shown = (await visitor.get("/certificates/enrolment")).text
            assert (made["key_id"] in shown, "/enrol/withdraw" in shown) == (True, False)
            assert (await visitor.get(f"/enrol/withdraw?id={made['key_id']}")).status == 403
        async with Visitor(network, "sona-token") as officer:
            listed = (await officer.get("/api/v1/enrolments")).json
            assert [one["key_id"] for one in listed["tokens"]] == [made["key_id"]]
            done = await officer.ask("POST", "/api/v1/enrol/withdraw", json={"id": made["key_id"]})
            assert (done.status, done.json["name"]) == (200, BOT)
            gone = await officer.ask("POST", "/api/v1/enrol/withdraw", json={"id": made["key_id"]})
            assert (gone.status, "to list them: sipmesh ca enrol" in gone.text) == (409, True)
