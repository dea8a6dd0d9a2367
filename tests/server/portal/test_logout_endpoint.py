"""Back-channel logout over real TLS: which phones and sessions it ends, and which tokens end nothing."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from sipmesh.database.shared import DATABASE
from sipmesh.server.portal.logout_endpoint import LOGOUT
from support.console import Answer
from support.managed import MGMT, Managed
from support.network import FE1, FE2
from support.openid_provider import AUDIENCE, CLIENT, KEY_ID, OpenIdProvider
from support.portal import PortalBrowser, portal
from support.running import on_loop, until, within
from support.tiers import wide_after

Made = Callable[[OpenIdProvider], str]
EVENT = "http://schemas.openid.net/event/backchannel-logout"
PROMISED_S = 1.0
LATER_S = 1


async def send(browser: PortalBrowser, token: str, **further: Any) -> Answer:
    """Send a logout token as a provider does: no browser, no cookie."""
    return await browser.ask("POST", LOGOUT, data={"logout_token": token}, **further)


def refusals(network: Managed) -> list[str]:
    return [str(one["why"]) for one in network.told[MGMT].events("portal refused")]


async def is_in(browser: PortalBrowser) -> bool:
    return (await browser.get("/portal")).status == 200


@within(120.0)
async def test_logout_of_a_user_ends_the_links_of_tokens_at_each_server_and_no_others(tmp_path: Path) -> None:
    """Those of passwords and of other users stay, a copy of the old token is refused, and a later sign-in counts."""
    async with portal(tmp_path) as (network, provider), PortalBrowser(network) as told:
        await network.start(FE1, FE2)
        for server in (FE1, FE2):
            await until(lambda name=server: network.nodes[name].users.ready)  # type: ignore[misc]
        one, other, typed, bob = [
            await network.phone(server, user)
            for server, user in ((FE1, "alice"), (FE2, "alice"), (FE1, "alice"), (FE2, "bob"))
        ]
        for phone, user in ((one, "alice"), (other, "alice"), (bob, "bob")):
            assert (await phone.register_by(provider.access_token(user))).status == 200
        assert (await typed.register()).status == 200
        kept = provider.access_token("alice")
        began = time.monotonic()
        assert (await send(told, provider.logout_token(sub="alice"))).status == 200
        await asyncio.gather(one.hung_up(), other.hung_up())
        assert time.monotonic() - began < 10 * PROMISED_S
        [line] = [line for line in network.master.management_db.audit.read() if "logged_out" in line.about]
        assert (line.who, line.about["logged_out"]) == ("OpenID provider", "alice@example.test")
        assert (await typed.register()).status == 200
        assert (await bob.register_by(provider.access_token("bob"))).status == 200
        late = await network.phone(FE2, "alice")
        assert (await late.register_by(kept)).status == 401
        later = provider.access_token("alice", iat=int(time.time()) + LATER_S)
        assert (await late.register_by(later)).status == 200


@within(120.0)
async def test_logout_of_a_session_ends_its_tokens_and_those_that_name_no_session(tmp_path: Path) -> None:
    async with portal(tmp_path) as (network, provider), PortalBrowser(network) as told:
        await network.start(FE1)
        await until(lambda: network.nodes[FE1].users.ready)
        meant, another, unnamed = [await network.phone(FE1, "alice") for _ in range(3)]
        for phone, session in ((meant, "s1"), (another, "s2"), (unnamed, None)):
            assert (await phone.register_by(provider.access_token("alice", sid=session))).status == 200
        assert (await send(told, provider.logout_token(sub="alice", sid="s1"))).status == 200
        await asyncio.gather(meant.hung_up(), unnamed.hung_up())
        assert (await another.register_by(provider.access_token("alice", sid="s2"))).status == 200
        again = await network.phone(FE1, "alice")
        renewed = provider.access_token("alice", sid="s1", iat=int(time.time()) + LATER_S)
        assert (await again.register_by(renewed)).status == 401  # a session that has ended does not come back


@on_loop
async def test_logout_ends_the_sessions_of_the_portal_that_it_names(tmp_path: Path) -> None:
    async with (
        portal(tmp_path) as (network, provider),
        PortalBrowser(network) as one,
        PortalBrowser(network) as other,
        PortalBrowser(network) as bob,
    ):
        await one.sign_in(provider, sid="s1")
        await other.sign_in(provider, sid="s2")
        await bob.sign_in(provider, "bob", sid="s3")
        assert (await send(bob, provider.logout_token(sid="s1"))).status == 200
        assert [await is_in(browser) for browser in (one, other, bob)] == [False, True, True]
        assert (await send(bob, provider.logout_token(sub="alice"))).status == 200
        assert [await is_in(browser) for browser in (one, other, bob)] == [False, False, True]
        assert (await one.sign_in(provider, sid="s4")).status == 200
        assert await is_in(one)


def _foreign_key(provider: OpenIdProvider) -> str:
    claims = jwt.decode(provider.logout_token(sub="alice"), options={"verify_signature": False})
    return jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256", {"kid": KEY_ID, "typ": "logout+jwt"})


def _unsigned(provider: OpenIdProvider) -> str:
    claims = jwt.decode(provider.logout_token(sub="alice"), options={"verify_signature": False})
    return jwt.encode(claims, "", "none", {"kid": KEY_ID, "typ": "logout+jwt"})


WRONG: dict[str, Made] = {
    "another issuer": lambda it: it.logout_token(sub="alice", iss="https://id.evil.test"),
    "another client": lambda it: it.logout_token(sub="alice", aud="another-app"),
    "a client of operators": lambda it: it.logout_token(sub="alice", aud=CLIENT),
    "no audience": lambda it: it.logout_token(sub="alice", aud=None),
    "another key": _foreign_key,
    "no signature": _unsigned,
    "an unknown key": lambda it: it.logout_token(sub="alice", headers={"kid": "nine"}),
    "no event": lambda it: it.logout_token(sub="alice", events=None),
    "another event": lambda it: it.logout_token(sub="alice", events={"http://example.test/event": {}}),
    "an event that is no object": lambda it: it.logout_token(sub="alice", events={EVENT: "yes"}),
    "events as a list": lambda it: it.logout_token(sub="alice", events=[EVENT]),
    "a nonce": lambda it: it.logout_token(sub="alice", nonce="n"),
    "an ID token": lambda it: it.sign(
        {"iss": it.issuer, "aud": "sipmesh-portal", "sub": "alice", "iat": 1, "exp": 2**33, "nonce": "n"}, it.key
    ),
    "an access token": lambda it: it.access_token("alice"),
    "an access token with an event": lambda it: it.access_token("alice", aud="sipmesh-portal", events={EVENT: {}}),
    "the audience of access tokens": lambda it: it.logout_token(sub="alice", aud=AUDIENCE),
    "expired": lambda it: it.logout_token(sub="alice", exp=int(time.time()) - 60),
    "old": lambda it: it.logout_token(sub="alice", iat=int(time.time()) - 400),
    "of the future": lambda it: it.logout_token(sub="alice", iat=int(time.time()) + 400),
    "no end": lambda it: it.logout_token(sub="alice", exp=None),
    "no id": lambda it: it.logout_token(sub="alice", jti=None),
    "an empty id": lambda it: it.logout_token(sub="alice", jti=""),
    "a list as id": lambda it: it.logout_token(sub="alice", jti=["a"]),
    "neither user nor session": lambda it: it.logout_token(),
    "an unknown user": lambda it: it.logout_token(sub="nobody"),
    "a user of another domain": lambda it: it.logout_token(sub="alice@other.test"),
    "a list as user": lambda it: it.logout_token(sub=["alice"]),
    "an unknown session": lambda it: it.logout_token(sid="s9"),
    "nothing": lambda _: "",
    "text": lambda _: "a.b.c",
    "too long": lambda it: it.logout_token(sub="alice", more="x" * 9_000),
}


@on_loop
async def test_token_that_does_not_count_ends_nothing_and_the_right_one_does(tmp_path: Path) -> None:
    async with portal(tmp_path) as (network, provider), PortalBrowser(network) as alice, PortalBrowser(network) as told:
        await alice.sign_in(provider)
        answers = dict[str, int]()
        for number, (name, made) in enumerate(WRONG.items()):
            async with PortalBrowser(network, source=f"127.0.1.{1 + number // 8}") as provider_or_not:
                answers[name] = (await send(provider_or_not, made(provider))).status
        assert answers == dict.fromkeys(WRONG, 400) | {"too long": 413}
        assert await is_in(alice)
        assert len(refusals(network)) == len(WRONG) - 1
        assert (await send(told, provider.logout_token(sub="alice"))).status == 200
        assert not await is_in(alice)


@on_loop
async def test_token_is_taken_once(tmp_path: Path) -> None:
    async with portal(tmp_path) as (network, provider), PortalBrowser(network) as alice, PortalBrowser(network) as told:
        token = provider.logout_token(sub="alice")
        assert (await send(told, token)).status == 200
        await alice.sign_in(provider)
        assert (await send(told, token)).status == 400
        assert await is_in(alice)
        assert "it was used (jti)" in refusals(network)[0]


@pytest.mark.parametrize("claim", wide_after(1, ["sub", "email"]))
@within(120.0)
async def test_token_that_could_not_be_carried_out_may_be_sent_again(tmp_path: Path, claim: str) -> None:
    """The audit log takes no line, as on a full disk. The session of the portal ends at once, the tokens with the next try."""
    person: dict[str, Any] = {"email": "alice@example.test", "email_verified": True} if claim == "email" else {}
    async with (
        portal(tmp_path, claim=claim) as (network, provider),
        PortalBrowser(network) as alice,
        PortalBrowser(network) as told,
    ):
        await alice.sign_in(provider, **person)
        token = provider.logout_token(sub="alice")
        with shut(network.organisation.folder / DATABASE):
            assert (await send(told, token)).status == 400
        assert not await is_in(alice)
        assert (await send(told, token)).status == 200
        [line] = [line for line in network.master.management_db.audit.read() if "logged_out" in line.about]
        assert line.about["logged_out"] == "alice@example.test"
        assert (await send(told, token)).status == 400


@contextmanager
def shut(file: Path) -> Iterator[None]:
    """Refuse each other write to a database."""
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


@on_loop
async def test_logout_of_another_user_leaves_the_first_one_in(tmp_path: Path) -> None:
    async with portal(tmp_path) as (network, provider), PortalBrowser(network) as alice, PortalBrowser(network) as bob:
        await alice.sign_in(provider)
        await bob.sign_in(provider, "bob")
        assert (await send(alice, provider.logout_token(sub="bob"))).status == 200
        assert (await is_in(alice), await is_in(bob)) == (True, False)


@pytest.mark.parametrize("claim", ["sub", "email"])
@on_loop
async def test_user_is_found_by_the_claim_or_by_a_session_of_the_portal(tmp_path: Path, claim: str) -> None:
    """The provider may name users here by another claim than in its logout tokens."""
    names = {"sub": "alice"} if claim == "sub" else {"sub": "42", "email": "alice@example.test", "email_verified": True}
    async with portal(tmp_path, claim=claim) as (network, provider), PortalBrowser(network) as alice:
        unknown = await send(alice, provider.logout_token(sub="42"))
        assert unknown.status == 400
        assert (await alice.sign_in(provider, names.pop("sub"), **names)).status == 200  # type: ignore[arg-type]
        known = await send(alice, provider.logout_token(sub="alice" if claim == "sub" else "42"))
        assert known.status == 200
        assert not await is_in(alice)
