"""A user who leaves: each door that opens before is tried again afterwards, with what the user has kept.

The control is the same door of a colleague, which stays open.
"""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.cast import stolen
from sipmesh.demo.forge import Forged
from sipmesh.storage.users import user_tables as tables
from sipmesh.storage.users.invitation import PORTAL_LINK
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.x509.device_identity import DeviceIdentity
from support.console import Visitor
from support.enrolling import enrol, new_key, request
from support.managed import MGMT, Managed
from support.management_with_invitations import invite, invitee, management_with_invitations
from support.network import FE1, FE2
from support.openid_provider import OpenIdProvider
from support.peer import HungUpError, Peer
from support.portal import CLIENT, PortalBrowser
from support.running import until, within
from support.web_peer import WebPeer, open_websocket, web_address

LINK = "/portal/login/link"
EARLIER_S = 60
ANOTHER = {"password": "another person's password", "pool": ""}


async def operate(network: Managed, path: str, **given: Any) -> Any:
    """Do an operation as a security officer."""
    async with Visitor(network, "sona-token") as officer:
        answer = await officer.ask("POST", f"/api/v1/{path}", json=given)
    assert answer.status == 200, answer.text
    return answer.json


async def account(network: Managed, user: str) -> Any:
    """Read what operators see of a user."""
    async with Visitor(network, "vera-token") as viewer:
        answer = await viewer.ask("GET", "/api/v1/user", params={"user": user})
    assert answer.status == 200, answer.text
    return answer.json


@dataclass
class Kept:
    """What *user* has before leaving: secrets that were not used yet, and those of devices and sessions in use."""

    network: Managed
    provider: OpenIdProvider
    user: str
    password: str
    certificate: tuple[Path, Path]
    copied: str
    token: str
    invitation: str
    portal_link: str
    enrolment: str
    session: PortalBrowser

    @classmethod
    async def of(cls, network: Managed, provider: OpenIdProvider, user: str, session: PortalBrowser, desk: str) -> Kept:
        """Give *user* one of each; *desk* is the name of the device."""
        made = await operate(network, "user/device/password", user=user, device=desk)
        organisation = network.organisation
        issued = organisation.ca.issue_device(DeviceIdentity(f"sip:{user}@example.test", desk), datetime.now(UTC))
        pair = Forged(issued.certificate, issued.key, stolen(organisation, "devices"))
        files = pair.write(organisation.folder / "d", f"{user}.{desk}")
        token = await operate(network, "enrol", user=user, device=f"est-{desk}")
        link = (await invite(network, user, client=PORTAL_LINK)).partition("#")[2]
        issued_at = int(time.time()) - EARLIER_S
        copied, unused = [provider.access_token(user, jti=name, iat=issued_at) for name in ("copied", "unused")]
        return cls(
            network, provider, user, made["password"], files, copied, unused, await invite(network, user), link,
            token["password"], session,
        )  # fmt: skip

    def address(self, server: str) -> tuple[str, int]:
        return self.network.organisation.address(server, LinkKind.CLIENT)

    async def phone(self, server: str, **given: Any) -> Peer:
        return await Peer.open(self.address(server), f"{self.user}@example.test", **given)

    async def has_logged_in(self, peer: Peer, how: Any) -> bool:
        async with peer:
            try:
                return bool((await how(peer)).status == 200)
            except (HungUpError, OSError):
                return False

    async def doors(self) -> Mapping[str, bool]:
        """Try each door; says which of them open."""
        network, address = self.network, f"{self.user}@example.test"
        found = dict[str, bool]()
        for server in (FE1, FE2):
            found[f"password at {server}"] = await self.has_logged_in(await self.phone(server), Peer.register)
            app = await self.phone(server)
            app.login = f"{self.user}+{self.certificate[0].stem.rpartition('.')[2]}"
            found[f"app password at {server}"] = await self.has_logged_in(
                app, lambda it: it.register(password=self.password)
            )
        found["certificate"] = await self.has_logged_in(
            await self.phone(FE1, credentials=self.certificate), lambda it: it.ask(it._register(()))
        )
        by_copy, unused = [await self.phone(server) for server in (FE2, FE1)]
        found["copied token at another front end"] = await self.has_logged_in(
            by_copy, lambda it: it.register_by(self.copied)
        )
        found["token"] = await self.has_logged_in(unused, lambda it: it.register_by(self.token))
        web = await WebPeer.dial(web_address(network.organisation, FE1), address)
        found["web phone"] = await self.has_logged_in(web, WebPeer.register)
        found["portal session"] = (await self.session.get("/portal")).status == 200
        async with PortalBrowser(network) as browser:
            found["portal by link"] = (await browser.post(LINK, code=self.portal_link)).status == 200
        async with PortalBrowser(network) as browser:
            found["portal by provider"] = (await browser.sign_in(self.provider, self.user)).status == 200
        async with invitee(network) as person:
            base = self.invitation.partition("/i/")[0]
            login = f"{self.user}+{self.certificate[0].stem.rpartition('.')[2]}@example.test:{self.password}"
            headers = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}
            found["phonebook"] = (await person.get(f"{base}/b/json?q=bob", headers=headers)).status == 200
            found["invitation"] = (await person.take(self.invitation, "json")).status == 200
        async with Visitor(network) as device:
            der = request(new_key(), common=address)
            login = f"{address}/est-{self.certificate[0].stem.rpartition('.')[2]}"
            found["enrolment"] = (await enrol(device, login, self.enrolment, der)).status == 200
        return found


@asynccontextmanager
async def organisation(folder: Path) -> AsyncIterator[tuple[Managed, OpenIdProvider]]:
    """Management with each door of users, and two front ends."""
    async with management_with_invitations(folder, portal={"links": True}) as network:
        database = Users(network.organisation.load().users_url)
        with database.locked() as db:
            db.execute(tables.USERS.update().values(created=datetime.now(UTC) - timedelta(days=2)))
        database.close()
        provider = OpenIdProvider(network.organisation.folder / "ca", folder)
        organisation = network.organisation
        organisation.certify_devices()
        open_websocket(organisation)
        document: Any = organisation.document
        for pool in document["pools"]:
            for server in pool["servers"]:
                if server["name"] == FE1:
                    server["client_auth"] = "either"
        document["console"]["enrolment"] = {"protocols": ["est"]}
        document["oauth"] = provider.oauth(portal=CLIENT)
        organisation.write()
        await network.publish()
        await until(lambda: len([*network.told[MGMT].events("console")]) == 2)
        async with provider:
            await network.start(FE1, FE2)
            for server in (FE1, FE2):
                await until(lambda name=server: network.nodes[name].users.ready)  # type: ignore[misc]
            yield network, provider


async def logged_in(kept: Kept) -> list[Peer]:
    """Log a phone in by each proof of the user, for links that must close."""
    typed, token, app, device = [
        await kept.phone(server, **given)
        for server, given in ((FE1, {}), (FE1, {}), (FE2, {}), (FE1, {"credentials": kept.certificate}))
    ]
    web = await WebPeer.dial(web_address(kept.network.organisation, FE1), f"{kept.user}@example.test")
    app.login = f"{kept.user}+{kept.certificate[0].stem.rpartition('.')[2]}"
    statuses = [
        (await typed.register()).status,
        (await token.register_by(kept.copied)).status,
        (await app.register(password=kept.password)).status,
        (await device.ask(device._register(()))).status,
        (await web.register()).status,
    ]
    assert statuses == [200] * 5
    return [typed, token, app, device, web]


@pytest.mark.parametrize(
    "end", ["disable", *(pytest.param(end, marks=pytest.mark.wide) for end in ("remove", "remove and add again"))]
)
@within(240.0)
async def test_no_door_opens_for_a_user_who_has_left(tmp_path: Path, end: str) -> None:
    """The links close; of a second user of the same name, what the first one has kept opens nothing either."""
    async with (
        organisation(tmp_path) as (network, provider),
        PortalBrowser(network) as first,
        PortalBrowser(network) as second,
        PortalBrowser(network) as third,
    ):
        await first.sign_in(provider, "alice")
        await second.sign_in(provider, "alice")
        await third.sign_in(provider, "bob")
        before = await (await Kept.of(network, provider, "alice", first, "desk")).doors()
        assert before == dict.fromkeys(before, True)
        kept = await Kept.of(network, provider, "alice", second, "car")
        bob = await Kept.of(network, provider, "bob", third, "desk")
        links = await logged_in(kept)
        await operate(network, f"user/{end.partition(' ')[0]}", user="alice")
        for link in links:
            await link.hung_up()
            await link.__aexit__()
        if end.endswith("again"):
            await operate(network, "user/add", user="alice", **ANOTHER)
        after = await kept.doors()
        meant = {"portal by provider"} if end.endswith("again") else set[str]()  # the provider says who is alice now
        assert {name for name, opens in after.items() if opens} == meant
        colleague = await bob.doors()
        assert colleague == dict.fromkeys(colleague, True)
        open_ones = json.loads(json.dumps(await account(network, "bob")))
        assert open_ones["account"]["disabled"] is None
