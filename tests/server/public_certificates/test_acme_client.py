"""An account that the CA has lost is made again, renewal information is read, and each wait is bounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sipmesh.demo.organisation import Organisation
from sipmesh.server.public_certificates.acme_account import AcmeAccount
from support.pebble import pebble
from support.public_ca import ISSUED, Cheat, Site, cheating
from support.running import on_loop, until
from support.service import serving_here
from support.tiers import wide_after

pytestmark = pytest.mark.peer("pebble")


@on_loop
async def test_account_that_the_ca_has_lost_is_made_again_with_the_next_order(
    example: Organisation, tmp_path: Path
) -> None:
    site, again = Site(example), Site(example)
    async with pebble(tmp_path / "ca") as ca:
        await site.orders_from(ca)
        lost = AcmeAccount.at(site.account, ca.directory)
        site.account.parent.mkdir(exist_ok=True)
        AcmeAccount(lost.file, lost.directory, lost.key, f"https://127.0.0.1:{ca.port}/my-account/0").write()
        async with serving_here(example, site.told):
            assert "accountDoesNotExist" in await site.failed()
        async with serving_here(example, again.told):
            await again.issued()


def window(start: datetime, end: datetime) -> Any:
    """Renewal information with this window."""

    async def tamper(_request: web.Request, _body: bytes, _signed: dict[str, Any]) -> web.StreamResponse:
        times = {"start": start.isoformat(), "end": end.isoformat()}
        return web.json_response({"suggestedWindow": times}, headers={"Retry-After": "1"})

    return tamper


@pytest.mark.parametrize("days", wide_after(1, [-1, 10]))
@on_loop
async def test_ca_that_wants_its_certificate_renewed_now_is_asked_again(
    example: Organisation, tmp_path: Path, days: int
) -> None:
    """After a start, the CA is asked about the certificate in use. The control is a window in the future."""
    at = datetime.now(UTC) + timedelta(days=days)
    async with pebble(tmp_path / "ca", certificateValidityPeriod=7776000) as real, cheating(real) as ca:
        site, again = Site(example), Site(example)
        await site.orders_from(real, directory=ca.directory)
        async with serving_here(example, site.told):
            await site.issued()
        ca.tampers["/draft-ietf-acme-ari"] = window(at, at + timedelta(hours=1))
        async with serving_here(example, again.told):
            await until(lambda: asked_for_renewal(ca) if days > 0 else list(again.told.events(ISSUED)))
        assert bool(list(again.told.events(ISSUED))) is (days < 0)


def asked_for_renewal(ca: Cheat) -> bool:
    """Whether the client has asked for renewal information after the proxy began to answer it."""
    return "/draft-ietf-acme-ari" in (ca.pebble.folder / "pebble.log").read_text().rpartition("GET /dir")[2]
