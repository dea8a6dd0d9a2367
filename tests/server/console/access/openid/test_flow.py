"""Logging in by OpenID Connect, over real TLS, and each attack on the way with a valid log-in as the control."""

from __future__ import annotations

import asyncio
import base64
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.ports import HOST
from sipmesh.server.openid import code_flow
from sipmesh.server.process import request_rate
from support.console import Visitor, management_with_console
from support.managed import MGMT, Managed
from support.network import FE1
from support.openid_provider import OpenIdProvider, come, go, log_in
from support.running import on_loop
from support.tiers import wide_after


@asynccontextmanager
async def console(tmp_path: Path, **person: Any) -> AsyncIterator[tuple[Managed, OpenIdProvider]]:
    """A console, and the provider that its topology names."""
    async with management_with_console(tmp_path) as network:
        provider = OpenIdProvider(network.organisation.folder / "ca", tmp_path, **person)
        await network.publish(lambda document: document["console"].update(openid=provider.entry()))
        async with provider:
            yield network, provider


def refusals(network: Managed) -> list[str]:
    return [str(line["why"]) for line in network.told[MGMT].events("operator refused")]


@on_loop
@pytest.mark.wide
async def test_operator_logs_in_and_acts_with_the_role_of_the_group(tmp_path: Path) -> None:
    async with console(tmp_path) as (network, provider), Visitor(network) as ada:
        assert 'href="/login/openid"' in (await ada.get("/login")).text
        back = await log_in(ada, provider)
        assert (back.status, "You are logged in as ada (OpenID)" in back.text) == (200, True)
        assert "SameSite=Strict" in back.headers["Set-Cookie"]
        assert "ada (OpenID), operator" in (await ada.get("/")).text
        assert (await ada.post("/block", name="evil.test", sure="yes")).status == 200
        assert (await ada.post("/revoke", serial="1", sure="yes")).status == 403
        assert network.master.management_db.audit.read()[-1].who == "ada (OpenID)"


@on_loop
async def test_person_without_a_group_that_has_a_role_does_not_log_in(tmp_path: Path) -> None:
    async with console(tmp_path, groups=["cooks", 7]) as (network, provider):
        for groups, status in ((["cooks"], 401), ("admins-not", 401), ({"admins": 1}, 401), ("staff", 200)):
            provider.person["groups"] = groups
            async with Visitor(network) as person:
                assert (await log_in(person, provider)).status == status
                assert (await person.get("/")).status == (200 if status == 200 else 303)


@on_loop
async def test_role_ends_with_the_version_that_takes_it_away(tmp_path: Path) -> None:
    async with console(tmp_path) as (network, provider), Visitor(network) as ada:
        assert (await log_in(ada, provider)).status == 200
        viewer = [{"value": "admins", "role": "viewer"}]
        await ada.get("/certificates")
        await network.publish(lambda document: document["console"].update(openid=provider.entry(roles=viewer)))
        assert (await ada.post("/sign-crls")).status == 403
        await network.publish(lambda document: document["console"].pop("openid"))
        assert (await ada.get("/")).headers["Location"] == "/login"
        assert (await ada.get("/login/openid")).status == 401


@on_loop
async def test_state_counts_for_its_own_browser_and_the_code_once(tmp_path: Path) -> None:
    async with console(tmp_path) as (network, provider), Visitor(network) as victim, Visitor(network) as attacker:
        await go(victim)
        stranger = provider.authorize(await go(attacker))
        assert (await come(victim, stranger)).status == 401  # the attacker's log-in, pushed on the victim
        mine = provider.authorize(await go(victim))
        for state in ("x", "", mine["state"][:-1], f"9{mine['state']}", f"{'9' * 5_000}.{mine['state']}", "\u0663.x"):
            assert (await come(victim, {**mine, "state": state})).status == 401
        assert (await come(victim, mine)).status == 200
        assert (await come(victim, mine)).status == 401  # replayed, with code and state
        assert all("belongs to no log-in of this browser" in why for why in refusals(network))
        assert (await come(attacker, stranger)).status == 200


@on_loop
async def test_code_of_another_log_in_is_refused_by_pkce(tmp_path: Path) -> None:
    async with console(tmp_path) as (network, provider), Visitor(network) as victim, Visitor(network) as attacker:
        stolen = provider.authorize(await go(victim))
        mine = provider.authorize(await go(attacker))
        assert (await come(attacker, {**mine, "code": stolen["code"]})).status == 401
        assert "/token answers 400" in refusals(network)[-1]
        assert (await log_in(attacker, provider)).status == 200


@on_loop
async def test_answer_of_another_provider_is_refused(tmp_path: Path) -> None:
    """The mix-up attack of RFC 9207: the answer says who it is of, and must say so."""
    async with console(tmp_path) as (network, provider), Visitor(network) as ada:
        for named in ("https://evil.test", None, ""):
            provider.names = named
            assert (await log_in(ada, provider)).status == 401
            assert "of another provider" in refusals(network)[-1]
        provider.names = provider.issuer
        assert (await log_in(ada, provider)).status == 200


@on_loop
async def test_nothing_in_the_request_leads_the_browser_elsewhere(tmp_path: Path) -> None:
    async with console(tmp_path) as (network, provider), Visitor(network) as ada:
        elsewhere = {"next": "https://evil.test", "redirect_uri": "https://evil.test", "url": "//evil.test"}
        leads = await ada.get("/login/openid", params=elsewhere)
        assert leads.headers["Location"].startswith(f"{provider.issuer}/auth?")
        assert "evil.test" not in leads.headers["Location"]
        back = await come(ada, {**provider.authorize(leads.headers["Location"]), **elsewhere})
        assert (back.status, "evil.test" in back.text, "Location" in back.headers) == (200, False, False)


@on_loop
async def test_text_of_a_request_is_in_no_page_and_in_no_second_line_of_the_log(tmp_path: Path) -> None:
    async with console(tmp_path) as (network, provider), Visitor(network) as ada:
        answer = {**provider.authorize(await go(ada)), "error": "<script>\r\nSet-Cookie: a=b\x1b[2J"}
        refused = await come(ada, answer)
        assert (refused.status, "<script>" in refused.text, "a" in refused.headers.get("Set-Cookie", "")) == (
            401,
            False,
            False,
        )
        assert "\n" not in refusals(network)[-1]
        assert "\x1b" not in refusals(network)[-1]


@on_loop
async def test_provider_with_another_certificate_than_the_topology_wants_is_not_asked(tmp_path: Path) -> None:
    async with console(tmp_path) as (network, provider), Visitor(network) as ada:
        entry = provider.entry(authority="public")
        await network.publish(lambda document: document["console"].update(openid=entry))
        assert (await ada.get("/login/openid")).status == 401
        assert "cannot be asked" in refusals(network)[-1]


@on_loop
async def test_provider_with_the_certificate_of_a_server_of_the_topology_is_not_asked(tmp_path: Path) -> None:
    """A thief of a front end's key has a certificate of the enterprise CA. The control has another name."""
    async with management_with_console(tmp_path) as network, Visitor(network) as ada:
        ca = network.organisation.folder / "ca"
        async with OpenIdProvider(ca, tmp_path, FE1) as thief, OpenIdProvider(ca, tmp_path) as provider:
            await network.publish(lambda document: document["console"].update(openid=thief.entry()))
            assert (await ada.get("/login/openid")).status == 401
            assert f"role-not-allowed: name wanted {HOST}, and no server of the topology" in refusals(network)[-1]
            assert thief.asked == 0
            await network.publish(lambda document: document["console"].update(openid=provider.entry()))
            assert (await log_in(ada, provider)).status == 200


@pytest.mark.parametrize("authority", wide_after(1, ["enterprise", "public"]))
@on_loop
async def test_provider_is_not_asked_any_more_once_its_certificate_is_revoked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, authority: str
) -> None:
    """Also if the machine trusts our root, so that OpenSSL accepts it as one of a public CA."""
    async with (
        console(tmp_path) as (network, provider),
        Visitor(network) as ada,
        Visitor(network, "sona-token") as officer,
    ):
        monkeypatch.setenv("SSL_CERT_FILE", str(network.organisation.root))
        entry = provider.entry(authority=authority)
        await network.publish(lambda document: document["console"].update(openid=entry))
        assert (await log_in(ada, provider)).status == 200
        body = {"serial": f"{provider.serial:x}", "reason": "key-compromise"}
        assert (await officer.ask("POST", "/api/v1/revoke", json=body)).status == 200
        async with Visitor(network) as late:
            while (await log_in(late, provider)).status != 401:  # until the new CRL is in force, within a second
                await asyncio.sleep(0)
            before = provider.asked
            assert (await log_in(late, provider)).status == 401
        assert "revoked: " in refusals(network)[-1]
        assert provider.asked == before


@pytest.mark.parametrize(
    "said",
    wide_after(
        2,
        [
            {"issuer": "https://evil.test"},
            {"token_endpoint": "http://127.0.0.1/token"},
            {"jwks_uri": None},
            {"authorization_endpoint": "javascript:alert(1)"},
        ],
    ),
)
@on_loop
async def test_metadata_that_does_not_fit_leads_no_browser_anywhere(tmp_path: Path, said: dict[str, Any]) -> None:
    async with console(tmp_path) as (network, provider), Visitor(network) as ada:
        provider.said = said
        assert (await ada.get("/login/openid")).status == 401
        provider.said = {}
        assert (await log_in(ada, provider)).status == 200


@on_loop
async def test_log_ins_that_others_begin_at_the_same_address_displace_no_log_in(tmp_path: Path) -> None:
    async with console(tmp_path) as (network, provider), Visitor(network) as victim, Visitor(network) as attacker:
        mine = provider.authorize(await go(victim))
        for _ in range(50):
            await go(attacker)
        assert (await come(victim, mine)).status == 200


@on_loop
async def test_log_in_that_takes_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with console(tmp_path) as (network, provider), Visitor(network) as ada:
        late = provider.authorize(await go(ada))
        monkeypatch.setattr(code_flow, "PENDING_S", 0.0)
        assert (await come(ada, late)).status == 401
        monkeypatch.undo()
        assert (await log_in(ada, provider)).status == 200


@on_loop
async def test_private_key_of_a_provider_stops_only_its_log_ins(tmp_path: Path) -> None:
    """The primes of such a key are looked for in vain: before, this took all the time of the server."""
    async with (
        console(tmp_path) as (network, provider),
        Visitor(network) as ada,
        Visitor(network, "vera-token") as program,
    ):
        number = base64.urlsafe_b64encode(b"\xff" * 256).rstrip(b"=").decode()
        provider.further_keys = [{"kty": "RSA", "n": number, "e": "AQAB", "d": number, "kid": "two"}]
        assert (await log_in(ada, provider)).status == 401
        assert "shows a private key" in refusals(network)[-1]
        assert (await program.get("/api/v1/status")).status == 200
        del provider.further_keys[0]["d"]
        assert (await log_in(ada, provider)).status == 200


@on_loop
async def test_guesses_of_states_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_rate, "WINDOW_S", math.inf)  # no minute ends within the test
    async with console(tmp_path) as (network, _), Visitor(network) as attacker:
        statuses = [(await come(attacker, {"state": str(n), "code": "x"})).status for n in range(12)]
        assert statuses == [401] * 10 + [429] * 2
