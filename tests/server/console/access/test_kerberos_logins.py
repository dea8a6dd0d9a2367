"""Operators log in to the console by tickets of a real KDC, with the role that the topology gives them."""

from __future__ import annotations

import asyncio
import base64
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gssapi
import pytest

from support.console import Visitor, management_with_console
from support.kdc import Kdc
from support.managed import MGMT, Managed
from support.running import on_loop

pytestmark = pytest.mark.peer("kerberos")

LOGIN = "/login/kerberos"


@dataclass
class Domain:
    """A console, and the realm that its topology names."""

    network: Managed
    kdc: Kdc
    folder: Path

    def header(self, person: str) -> dict[str, str]:
        """Give the header with a new ticket of *person*."""
        cache = self.kdc.ticket(person, self.folder / person)["KRB5CCNAME"]
        target = gssapi.Name(f"HTTP/{MGMT}@{self.kdc.realm}", gssapi.NameType.kerberos_principal)
        client = gssapi.SecurityContext(
            name=target, creds=gssapi.Credentials(usage="initiate", store={"ccache": cache}), usage="initiate"
        )
        token = client.step()
        assert token is not None
        return {"Authorization": f"Negotiate {base64.b64encode(token).decode()}"}

    def refusals(self) -> list[str]:
        """Give why log-ins were refused."""
        return [str(line["why"]) for line in self.network.told[MGMT].events("operator refused")]

    async def give(self, **roles: str) -> None:
        """Publish which person has which role."""
        rows = [{"principal": f"{name}@CORP.TEST", "role": role} for name, role in roles.items()]
        entry: dict[str, Any] = {"realm": "CORP.TEST", "keytab": "secrets/console.keytab", "roles": rows}
        await self.network.publish(lambda document: document["console"].update(kerberos=entry))


@asynccontextmanager
async def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Domain]:
    """A console where ada is an operator; eve has a ticket and no role."""
    with Kdc(tmp_path / "kdc") as kdc:
        monkeypatch.setenv("KRB5_CONFIG", kdc.environment["KRB5_CONFIG"])
        for person in ("ada", "eve"):
            kdc.person(person)
        async with management_with_console(tmp_path) as network:
            secrets = network.organisation.folder / "secrets"
            secrets.mkdir(exist_ok=True)
            kdc.service(f"HTTP/{MGMT}", secrets / "console.keytab")
            domain = Domain(network, kdc, tmp_path)
            await domain.give(ada="operator")
            yield domain


@on_loop
async def test_operator_logs_in_by_a_ticket_and_has_the_role_of_the_topology(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with console(tmp_path, monkeypatch) as domain, Visitor(domain.network) as ada:
        assert f'href="{LOGIN}"' in (await ada.get("/login")).text
        asked = await ada.get(LOGIN)
        assert (asked.status, asked.headers["WWW-Authenticate"]) == (401, "Negotiate")
        header = domain.header("ada")
        begun = await ada.get(LOGIN, headers=header)
        assert (begun.status, begun.headers["Location"]) == (303, "/")
        assert begun.headers["WWW-Authenticate"].startswith("Negotiate ")
        assert "ada@CORP.TEST (Kerberos), operator" in (await ada.get("/")).text
        assert (await ada.post("/block", name="evil.test", sure="yes")).status == 200
        assert (await ada.post("/revoke", serial="1", sure="yes")).status == 403
        assert domain.network.master.management_db.audit.read()[-1].who == "ada@CORP.TEST (Kerberos)"
        async with Visitor(domain.network) as thief:
            assert (await thief.get(LOGIN, headers=header)).status == 403
            assert (await thief.get("/")).status == 303
        assert "replay" in domain.refusals()[-1]
        await domain.give(eve="viewer")  # the session of a person without a role ends
        assert (await ada.get("/")).status == 303


@on_loop
async def test_ticket_of_a_person_without_a_role_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So are other headers; a right ticket is accepted after them."""
    async with console(tmp_path, monkeypatch) as domain, Visitor(domain.network) as person:
        refused = await person.get(LOGIN, headers=domain.header("eve"))
        assert (refused.status, "Set-Cookie" in refused.headers) == (403, False)
        assert domain.refusals() == ["Kerberos: eve@CORP.TEST has no role in `console.kerberos.roles`"]
        for given in ("Negotiate", "Negotiate !", "Basic YTpi", "Negotiate YWJj", "Negotiate  "):
            assert (await person.get(LOGIN, headers={"Authorization": given})).status == 403
        assert (await person.get(LOGIN, headers=domain.header("ada"))).status == 303


@on_loop
async def test_console_without_a_realm_has_no_such_log_in(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as person:
        assert LOGIN not in (await person.get("/login")).text
        assert (await person.get(LOGIN, headers={"Authorization": "Negotiate YWJj"})).status == 404


@on_loop
@pytest.mark.peer("curl")
async def test_curl_logs_in_with_its_ticket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with console(tmp_path, monkeypatch) as domain, Visitor(domain.network) as visitor:
        environment = domain.kdc.ticket("ada", tmp_path / "ada")
        place = ("--resolve", f"{MGMT}:{visitor.port}:127.0.0.1", "--cacert", str(domain.network.organisation.root))
        command = ("curl", "-s", "-L", "--negotiate", "-u", ":", "-c", "jar", "-b", "jar", *place)
        done = await asyncio.to_thread(
            subprocess.run,
            (*command, f"https://{MGMT}:{visitor.port}{LOGIN}"),
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "ada@CORP.TEST (Kerberos), operator" in done.stdout, done.stdout + done.stderr
