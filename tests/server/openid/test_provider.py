"""The questions to a provider: answers are bounded, and redirections are not followed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509

from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.openid.metadata import OpenIdError
from sipmesh.server.openid.provider import KEPT_S, LARGEST, OpenIdProvider
from sipmesh.server.process.clock import now_utc
from sipmesh.server.process.https_server_check import HttpsServerCheck
from sipmesh.topology.document.load import load
from sipmesh.topology.document.operators.openid import OpenId
from support import openid_provider
from support.managed import MGMT, build_managed
from support.running import on_loop
from support.tiers import wide_after


@asynccontextmanager
async def asked(
    tmp_path: Path, now: list[float]
) -> AsyncIterator[tuple[openid_provider.OpenIdProvider, OpenIdProvider[OpenId]]]:
    """A provider, and what asks it; *now* is the time."""
    organisation = build_managed(tmp_path / "o")
    provider = openid_provider.OpenIdProvider(organisation.folder / "ca", tmp_path)
    anchors = tuple(x509.load_pem_x509_certificates(organisation.root.read_bytes()))
    ca = CaGenerations(organisation.folder / "ca")
    loaded = load(organisation.file)
    check = HttpsServerCheck(MGMT, lambda: loaded, lambda: [one.issuing for one in ca.alive], now_utc)
    async with provider:
        yield provider, OpenIdProvider(OpenId.model_validate(provider.entry()), anchors, check, lambda: now[0])


@on_loop
async def test_metadata_are_read_again_after_some_minutes(tmp_path: Path) -> None:
    now = [1000.0]
    async with asked(tmp_path, now) as (provider, client):
        assert (await client.metadata()).token_endpoint == f"{provider.issuer}/token"
        assert [key.key_id for key in await client.keys()] == ["one"]
        provider.said = {"issuer": "https://evil.test"}
        await client.metadata()
        now[0] += KEPT_S
        with pytest.raises(OpenIdError, match="says that it is"):
            await client.metadata()


@pytest.mark.parametrize(
    ("answer", "why"),
    wide_after(
        3,
        [
            (web.Response(status=302, headers={"Location": "https://evil.test"}), "answers 302"),
            (web.Response(status=500), "answers 500"),
            (web.Response(body=b" " * (LARGEST + 1)), "more than"),
            (web.Response(text="[" * 100_000), "no JSON object"),
            (web.Response(text="[]"), "no JSON object"),
            (web.Response(text='{"id_token": "a", "id_token": "b"}'), "a name is given twice"),
            (web.Response(text="{}"), "without an ID token"),
            (web.Response(text='{"id_token": 7}'), "without an ID token"),
        ],
    ),
)
@on_loop
async def test_odd_answer_of_the_provider_is_an_error(tmp_path: Path, answer: web.Response, why: str) -> None:
    async with asked(tmp_path, [0.0]) as (provider, client):
        provider.odd = answer
        provider.said = {"token_endpoint": f"{provider.issuer}/odd"}
        with pytest.raises(OpenIdError, match=why):
            await client.id_token_for("console", "code", "verifier", "https://mgmt.example.test/login/openid/callback")
