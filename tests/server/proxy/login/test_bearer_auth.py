"""Users log in by access tokens of a provider over real links; each attack has a control in which the same token counts."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sipmesh.server.openid import token_issuer
from sipmesh.server.proxy.login import bearer_auth
from sipmesh.sip.message import Response
from support.managed import MGMT, Managed, build_managed
from support.network import FE1
from support.openid_provider import CLIENT, SECRET, SERVERS, OpenIdProvider
from support.running import on_loop, until
from support.tiers import wide_after

ALICE = "alice@example.test"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
INTROSPECTION = {"client_id": SERVERS, "secret_file": "secrets/introspection"}


@asynccontextmanager
async def signed_in(tmp_path: Path, **oauth: Any) -> AsyncIterator[tuple[Managed, OpenIdProvider]]:
    """Management and a front end, whose users log in by tokens of a provider."""
    organisation = build_managed(tmp_path / "o")
    secret = organisation.folder / INTROSPECTION["secret_file"]
    secret.parent.mkdir(mode=0o700, exist_ok=True)
    secret.write_text(SECRET)
    secret.chmod(0o600)
    async with OpenIdProvider(organisation.folder / "ca", tmp_path) as provider:
        organisation.document["oauth"] = provider.oauth(**oauth)
        organisation.write()
        async with Managed(organisation, tmp_path) as network:
            await network.start(MGMT, FE1)
            copy = network.folder(FE1) / INTROSPECTION["secret_file"]
            copy.parent.mkdir(mode=0o700, exist_ok=True)
            copy.write_text(SECRET)
            copy.chmod(0o600)
            await until(lambda: network.nodes[FE1].users.ready)
            yield network, provider


def _rest_is_over(network: Managed) -> None:
    """Let the front end ask for keys again."""
    issuer = network.nodes[FE1].logins.bearer.issuer()
    assert issuer is not None
    issuer._asked_at = float("-inf")


def offers(answer: Response) -> list[str]:
    return [value for value in answer.values("www-authenticate") if value.startswith("Bearer")]


def _b64(value: object) -> str:
    octets = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _unsigned(provider: OpenIdProvider) -> str:
    return jwt.encode(jwt.decode(provider.access_token(ALICE), options={"verify_signature": False}), "", "none")


def _with_public_key_as_secret(provider: OpenIdProvider) -> str:
    """The attack of RFC 8725 section 2.1: the public key of the provider, as the secret of an HMAC."""
    _, claims, _ = provider.access_token(ALICE).split(".")
    head = _b64({"alg": "HS256", "kid": provider.key_id, "typ": "at+jwt"})
    pem = provider.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    mac = hmac.HMAC(pem, hashes.SHA256())
    mac.update(f"{head}.{claims}".encode())
    return f"{head}.{claims}.{_b64(mac.finalize())}"


def _of_another_key(provider: OpenIdProvider) -> str:
    claims = jwt.decode(provider.access_token(ALICE), options={"verify_signature": False})
    return jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256", {"kid": provider.key_id})


def _granted_s(answer: Response) -> int:
    """The seconds for which a registration is granted."""
    return int(answer.values("contact")[0].rpartition("expires=")[2].partition(";")[0])


ATTACKS: dict[str, Callable[[OpenIdProvider], str]] = {
    "none": _unsigned,
    "hs256": _with_public_key_as_secret,
    "another key": _of_another_key,
    "unknown key": lambda one: one.access_token(ALICE, headers={"kid": "three"}),
    "audience": lambda one: one.access_token(ALICE, aud="mail"),
    "client": lambda one: one.access_token(ALICE, aud=CLIENT),
    "no audience": lambda one: one.access_token(ALICE, aud=None),
    "issuer": lambda one: one.access_token(ALICE, iss="https://id.other.test"),
    "tenant": lambda one: one.access_token(ALICE, iss=f"{one.issuer}/other-tenant"),
    "expired": lambda one: one.access_token(ALICE, lifetime_s=-1),
    "long expired": lambda one: one.access_token(ALICE, lifetime_s=-100),
    "no end": lambda one: one.access_token(ALICE, exp=None),
    "not yet": lambda one: one.access_token(ALICE, nbf=int(time.time()) + 100),
    "type": lambda one: one.access_token(ALICE, headers={"typ": "logout+jwt"}),
    "another user": lambda one: one.access_token("bob@example.test"),
    "no user": lambda one: one.access_token(ALICE, sub=None),
    "other domain": lambda one: one.access_token("alice@partner.test"),
    "list of users": lambda one: one.access_token(ALICE, sub=[ALICE]),
    "too long": lambda one: one.access_token(ALICE, junk="x" * 9_000),
    "no token": lambda _: "x.y.z",
    "empty": lambda _: "",
}


@pytest.mark.parametrize("attack", wide_after(9, ATTACKS))
@on_loop
async def test_token_that_does_not_count_is_refused_and_the_right_one_is_taken_on_the_same_link(
    tmp_path: Path, attack: str
) -> None:
    async with signed_in(tmp_path) as (network, provider):
        phone = await network.phone(FE1, "alice")
        refused = await phone.register_by(ATTACKS[attack](provider))
        assert refused.status == 401
        assert offers(refused) == [f'Bearer scope="sip", authz_server="{provider.issuer}", error="invalid_token"']
        [failure] = (await network.ask(FE1, "user", user=f"sip:{ALICE}"))["failures"]
        assert failure["class"] == "token-refused", failure
        assert (await phone.register_by(provider.access_token(ALICE))).status == 200
        [login] = (await network.ask(FE1, "user", user=f"sip:{ALICE}"))["logins"]
        assert login["digest"] == "token"


@on_loop
async def test_challenge_offers_tokens_beside_passwords_which_stay_as_they_are(tmp_path: Path) -> None:
    async with signed_in(tmp_path) as (network, provider):
        phone, bob = await network.phone(FE1, "alice"), await network.phone(FE1, "bob")
        challenged = await phone.ask(phone._register(()))
        assert offers(challenged) == [f'Bearer scope="sip", authz_server="{provider.issuer}"']
        assert len(challenged.values("www-authenticate")) == 3
        assert (await bob.register()).status == 200
        agent = await network.agent("alice", FE1)
        assert (await agent.register()).status == 200
        assert provider.asked == 0
        await network.publish(lambda document: document.pop("oauth"))
        assert not offers(await phone.ask(phone._register(())))
        assert (await phone.register_by(provider.access_token(ALICE))).status == 401


@on_loop
async def test_token_counts_on_the_link_on_which_it_came_alone(tmp_path: Path) -> None:
    """Also after that link has ended: the phone gets another token from its provider."""
    async with signed_in(tmp_path) as (network, provider):
        token, phone, thief = provider.access_token(ALICE), *[await network.phone(FE1, "alice") for _ in range(2)]
        assert (await phone.register_by(token)).status == 200
        assert (await phone.register_by(token)).status == 200
        assert (await thief.register_by(token)).status == 401
        await phone.__aexit__()
        await until(lambda: not network.nodes[FE1].registrations.count())
        assert (await thief.register_by(token)).status == 401
        assert (await thief.register_by(provider.access_token(ALICE))).status == 200


def _with_other_number(token: str) -> str:
    """Give the same signature of ECDSA with the negative of its second number: it counts too."""
    signed, _, signature = token.rpartition(".")
    octets = base64.urlsafe_b64decode(f"{signature}==")
    other = P256_ORDER - int.from_bytes(octets[32:], "big")
    return f"{signed}.{_b64(octets[:32] + other.to_bytes(32, 'big'))}"


@pytest.mark.parametrize("written", [lambda token: f"{token}==", _with_other_number])
@on_loop
async def test_copy_of_a_token_with_its_signature_written_otherwise_counts_on_no_other_link(
    tmp_path: Path, written: Callable[[str], str]
) -> None:
    async with signed_in(tmp_path) as (network, provider):
        token, phone, thief = provider.access_token(ALICE), *[await network.phone(FE1, "alice") for _ in range(2)]
        assert (await phone.register_by(token)).status == 200
        assert (await thief.register_by(written(token))).status == 401
        assert (await phone.register_by(token)).status == 200
        assert (await thief.register_by(provider.access_token(ALICE))).status == 200


@on_loop
async def test_registration_ends_with_its_token_and_a_later_token_renews_it(tmp_path: Path) -> None:
    async with signed_in(tmp_path) as (network, provider):
        phones = [await network.phone(FE1, user) for user in ("alice", "bob")]
        granted = await phones[0].register_by(provider.access_token(ALICE, lifetime_s=8))
        assert 0 < _granted_s(granted) <= 8
        assert (await phones[1].register_by(provider.access_token("bob@example.test", lifetime_s=8))).status == 200
        renewed = await phones[1].register_by(provider.access_token("bob@example.test"))
        assert _granted_s(renewed) > 8
        await phones[0].hung_up()
        bindings = (await network.ask(FE1, "registrations"))["bindings"]
        assert [one["user"] for one in bindings] == ["bob@example.test"]
        assert (await phones[1].register_by(provider.access_token("bob@example.test"))).status == 200


@on_loop
async def test_key_rotation_lets_new_tokens_in_and_the_old_key_is_refused(tmp_path: Path) -> None:
    async with signed_in(tmp_path) as (network, provider):
        old, unused = await network.phone(FE1, "alice"), provider.access_token("bob@example.test")
        assert (await old.register_by(provider.access_token(ALICE))).status == 200
        provider.rotate()
        _rest_is_over(network)
        new = await network.phone(FE1, "bob")
        assert (await new.register_by(provider.access_token("bob@example.test"))).status == 200
        stranger = await network.phone(FE1, "bob")
        assert (await stranger.register_by(unused)).status == 401
        assert (await old.register_by(provider.access_token(ALICE))).status == 200


@on_loop
async def test_unknown_keys_cause_one_question_in_ten_seconds(tmp_path: Path) -> None:
    async with signed_in(tmp_path) as (network, provider):
        for _ in range(3):
            phone = await network.phone(FE1, "alice")
            assert (await phone.register_by(provider.access_token(ALICE, headers={"kid": "three"}))).status == 401
        assert provider.asked == 2  # metadata and keys


@on_loop
async def test_revoked_token_is_refused_and_its_live_link_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bearer_auth, "RECHECK_S", 0.2)
    monkeypatch.setattr(token_issuer, "ANSWER_COUNTS_S", 0.1)
    async with signed_in(tmp_path, introspection=INTROSPECTION) as (network, provider):
        token, other, dead = (provider.access_token(user) for user in (ALICE, "bob@example.test", ALICE))
        provider.revoked.add(dead)
        phone, bob = await network.phone(FE1, "alice"), await network.phone(FE1, "bob")
        assert (await phone.register_by(dead)).status == 401
        assert (await phone.register_by(token)).status == 200
        assert (await bob.register_by(other)).status == 200
        provider.revoked.add(token)
        await phone.hung_up()
        assert (await bob.register_by(other)).status == 200
        stranger = await network.phone(FE1, "alice")
        assert (await stranger.register_by(provider.access_token(ALICE, aud="mail"))).status == 401
        assert not [one for one in provider.introspected if one not in {token, other, dead}]


@on_loop
async def test_users_stay_while_the_provider_is_away_and_new_logins_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bearer_auth, "RECHECK_S", 0.2)
    async with signed_in(tmp_path, introspection=INTROSPECTION) as (network, provider):
        phone, token = await network.phone(FE1, "alice"), provider.access_token(ALICE)
        assert (await phone.register_by(token)).status == 200
        monkeypatch.setattr(token_issuer, "ANSWER_COUNTS_S", 600.0)
        asked = len(provider.introspected)
        await until(lambda: len(provider.introspected) > asked)
        await provider.__aexit__(None, None, None)
        late = await network.phone(FE1, "bob")
        refused = await late.register_by(provider.access_token("bob@example.test"))
        assert (refused.status, refused.reason) == (503, "Token Issuer Cannot Be Asked")
        [failure] = (await network.ask(FE1, "user", user="sip:bob@example.test"))["failures"]
        assert (failure["class"], "cannot be asked" in failure["flaw"]) == ("token-issuer-away", True)
        assert (await phone.register_by(token)).status == 200
        assert (await late.register()).status == 200  # by password


@on_loop
async def test_removed_user_and_another_provider_end_logins_by_tokens(tmp_path: Path) -> None:
    async with signed_in(tmp_path) as (network, provider):
        phones = [await network.phone(FE1, user) for user in ("alice", "bob", "bob")]
        assert (await phones[0].register_by(provider.access_token(ALICE))).status == 200
        assert (await phones[1].register_by(provider.access_token("bob@example.test"))).status == 200
        assert (await phones[2].register()).status == 200
        await network.type("user", "disable", "alice")
        await phones[0].hung_up()
        again = await network.phone(FE1, "alice")
        assert (await again.register_by(provider.access_token(ALICE))).status == 401
        await network.publish(lambda document: document["oauth"].update(audience="sip2"))
        await phones[1].hung_up()
        assert (await phones[2].register()).status == 200
        assert (await phones[2].register_by(provider.access_token("bob@example.test"))).status == 401
        assert (await phones[2].register_by(provider.access_token("bob@example.test", aud="sip2"))).status == 200
