"""Logging in with the certificate of an operator, over real TLS, and every certificate that must not log in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509

from sipmesh.server.console.access.operator import MOST_SESSIONS
from support.console import Visitor, management_with_console, operator_credentials
from support.managed import MGMT, second_pool
from support.network import FE1
from support.running import on_loop, until

LOGIN = "/login/certificate"
API = "/api/v1/status"


def console(tmp_path: Path) -> Any:
    return management_with_console(tmp_path, client_certificates=True)


def roles(**named: str) -> Any:
    """Change the roles of operators in a draft; "" removes one."""

    def change(document: dict[str, Any]) -> None:
        kept = [one for one in document["console"]["operators"] if named.get(one["name"]) != ""]
        for one in kept:
            one["role"] = named.get(one["name"], one["role"])
        document["console"]["operators"] = kept

    return change


@on_loop
async def test_operator_logs_in_with_the_certificate_and_acts_under_the_own_name(tmp_path: Path) -> None:
    async with console(tmp_path) as network:
        async with Visitor(network, credentials=operator_credentials(network, "otto", tmp_path)) as otto:
            assert "Log in as otto" in (await otto.get("/login")).text
            assert (await otto.ask("POST", LOGIN)).status == 303
            assert "otto (certificate), operator" in (await otto.get("/")).text
            assert (await otto.post("/block", name="evil.test", sure="yes")).status == 200
            assert (await otto.get(API)).status == 200
        assert network.master.management_db.audit.read()[-1].who == "otto (certificate)"


@on_loop
async def test_browser_without_a_certificate_logs_in_with_a_code(tmp_path: Path) -> None:
    async with console(tmp_path) as network, Visitor(network) as visitor:
        assert "has shown no certificate" in (await visitor.get("/login")).text
        assert (await visitor.ask("POST", LOGIN)).status == 401
        await visitor.log_in("viewer")


@on_loop
async def test_certificate_of_a_server_or_of_an_unknown_operator_does_not_log_in(tmp_path: Path) -> None:
    async with console(tmp_path) as network:
        shown = [network.credentials(name) for name in (FE1, MGMT)]
        shown.append(operator_credentials(network, "nobody", tmp_path))
        for credentials in shown:
            async with Visitor(network, credentials=credentials) as visitor:
                assert (await visitor.ask("POST", LOGIN)).status == 401
                assert (await visitor.get(API)).status == 401
                assert (await visitor.get("/")).headers["Location"] == "/login"
        reasons = [line["why"] for line in network.told[MGMT].events("operator refused")]
        assert len(reasons) == 2 * len(shown)
        assert reasons[-1] == "certificate: accepted: nobody is not an operator of the topology in force"


@on_loop
async def test_certificate_of_a_signer_ends_in_the_handshake(tmp_path: Path) -> None:
    async with (
        console(tmp_path) as network,
        Visitor(network, credentials=network.credentials(f"{MGMT}.signer")) as visitor,
    ):
        with pytest.raises(aiohttp.ClientError):
            await visitor.get(API)


@on_loop
@pytest.mark.wide
async def test_certificate_of_another_ca_ends_in_the_handshake(tmp_path: Path) -> None:
    async with (
        console(tmp_path / "a") as network,
        # Built by another plan, it has another CA.
        management_with_console(tmp_path / "b", second_pool(), client_certificates=True) as other,
    ):
        stranger = operator_credentials(other, "otto", tmp_path)
        async with Visitor(network, credentials=stranger) as visitor:
            with pytest.raises(aiohttp.ClientError):
                await visitor.get(API)
        async with Visitor(other, credentials=stranger) as visitor:
            assert (await visitor.get(API)).status == 200


@on_loop
async def test_revocation_ends_the_session_on_its_open_connection(tmp_path: Path) -> None:
    async with console(tmp_path) as network:
        otto, vera = (operator_credentials(network, name, tmp_path) for name in ("otto", "vera"))
        async with Visitor(network, credentials=otto) as gone, Visitor(network, credentials=vera) as stays:
            for visitor in (gone, stays):
                assert (await visitor.ask("POST", LOGIN)).status == 303
                assert (await visitor.get("/")).status == 200
            serial = x509.load_pem_x509_certificate(otto[0].read_bytes()).serial_number
            async with Visitor(network, "sona-token") as officer:
                body = {"serial": f"{serial:x}", "reason": "key-compromise"}
                assert (await officer.ask("POST", "/api/v1/revoke", json=body)).status == 200
            assert (await gone.get("/")).headers["Location"] == "/login"
            assert (await gone.get(API)).status == 401
            assert (await stays.get("/")).status == 200


@on_loop
async def test_role_is_that_of_the_topology_in_force_at_each_request(tmp_path: Path) -> None:
    async with console(tmp_path) as network:
        credentials = operator_credentials(network, "sona", tmp_path)
        async with Visitor(network, credentials=credentials) as sona:
            assert (await sona.ask("POST", LOGIN)).status == 303
            await sona.get("/certificates")
            await network.publish(roles(sona="viewer"))
            refused = await sona.post("/sign-crls")
            assert (refused.status, "needs the role operator" in refused.text) == (403, True)
            await network.publish(roles(sona=""))
            assert (await sona.get("/")).headers["Location"] == "/login"
            assert (await sona.get(API)).status == 401


@on_loop
async def test_cookie_of_a_session_is_worth_nothing_without_its_certificate(tmp_path: Path) -> None:
    async with console(tmp_path) as network:
        otto, vera = (operator_credentials(network, name, tmp_path) for name in ("otto", "vera"))
        for thief in (None, vera):
            async with Visitor(network, credentials=otto) as owner, Visitor(network, credentials=thief) as other:
                assert (await owner.ask("POST", LOGIN)).status == 303
                assert (await owner.get("/")).status == 200
                [cookie] = owner.session.cookie_jar
                stolen = {"Cookie": f"{cookie.key}={cookie.value}"}
                assert (await other.get("/", headers=stolen)).headers["Location"] == "/login"


@on_loop
@pytest.mark.wide
async def test_operator_who_logs_in_again_and_again_displaces_the_own_sessions_alone(tmp_path: Path) -> None:
    async with console(tmp_path) as network, Visitor(network) as officer:
        await officer.log_in("security-officer")
        async with Visitor(network, credentials=operator_credentials(network, "vera", tmp_path)) as vera:
            assert (await vera.ask("POST", LOGIN)).status == 303
            [first] = vera.session.cookie_jar
            for _ in range(MOST_SESSIONS):
                assert (await vera.ask("POST", LOGIN)).status == 303
            assert (await vera.get("/status")).status == 200
            vera.session.cookie_jar.clear()
            old = await vera.get("/status", headers={"Cookie": f"{first.key}={first.value}"})
            assert old.headers["Location"] == "/login"
        assert (await officer.get("/status")).status == 200


@on_loop
async def test_request_that_another_site_causes_does_not_act_with_the_certificate(tmp_path: Path) -> None:
    async with console(tmp_path) as network:
        credentials = operator_credentials(network, "otto", tmp_path)
        async with Visitor(network, credentials=credentials) as otto:
            body = {"name": "evil.test"}
            for site in ("cross-site", "same-site", "odd"):
                headers = {"Sec-Fetch-Site": site}
                refused = await otto.ask("POST", "/api/v1/block", json=body, headers=headers)
                assert refused.status == 403
            link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
            assert (await otto.get(API, headers=link)).status == 403
            assert (await otto.ask("POST", "/api/v1/block", data=body)).status == 415
            assert network.number(MGMT) == 1
            assert (await otto.ask("POST", "/api/v1/block", json=body)).status == 200


@on_loop
@pytest.mark.wide
async def test_console_that_asks_for_no_certificates_takes_none(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network:
        async with Visitor(network, credentials=operator_credentials(network, "otto", tmp_path)) as otto:
            assert (await otto.ask("POST", LOGIN)).status == 401
            await network.publish(lambda document: document["console"].update(client_certificates=True))
            await until(lambda: len([*network.told[MGMT].events("console")]) == 2)
        async with Visitor(network, credentials=(tmp_path / "otto.pem", tmp_path / "otto.key")) as otto:
            assert (await otto.ask("POST", LOGIN)).status == 303
