"""http-01: the token and the host of an order under way are answered, and no others."""

from __future__ import annotations

import secrets
import threading
from pathlib import Path

import aiohttp
import pytest
from acme.challenges import HTTP01

from sipmesh.demo.ports import HOST, free_port
from sipmesh.server.public_certificates.acme_account import AcmeAccount
from sipmesh.server.public_certificates.acme_error import AcmeError
from sipmesh.server.public_certificates.http_challenges import REQUESTS_A_MINUTE, HttpChallenges
from support.public_ca import reached
from support.running import on_loop
from support.telling import Told

NAME = "fe1.example.test"


async def asked(port: int, path: str, host: str = NAME, method: str = "GET") -> tuple[int, bytes]:
    """Ask as a CA does, or as an attacker."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://{HOST}:{port}{path}", headers={"Host": host}) as answer,
    ):
        return answer.status, await answer.read()


@on_loop
async def test_only_the_token_and_the_host_of_the_order_are_answered(tmp_path: Path) -> None:
    account = AcmeAccount.at(tmp_path / "account.json", "https://ca.test/dir")
    challenge, port = HTTP01(token=secrets.token_bytes(16)), free_port()
    path = challenge.path
    async with HttpChallenges(HOST, port, Told().log) as solver:
        assert (await asked(port, path))[0] == 404
        solver.publish(NAME, challenge, account.jwk)
        solver.settle(threading.Event())
        right = (200, challenge.key_authorization(account.jwk).encode())
        assert await asked(port, path) == right
        assert await asked(port, path, f"{NAME.upper()}:80") == right
        assert (await asked(port, path, "evil.test"))[0] == 404
        assert (await asked(port, path, HOST))[0] == 404
        assert (await asked(port, f"{path[:-1]}x"))[0] == 404
        assert (await asked(port, "/.well-known/acme-challenge/../../etc/passwd"))[0] == 404
        assert (await asked(port, "/"))[0] == 404
        assert (await asked(port, path, method="POST"))[0] == 405
        solver.retract()
        assert (await asked(port, path))[0] == 404
    assert not reached(port)


@on_loop
async def test_address_that_asks_too_often_is_refused(tmp_path: Path) -> None:
    account = AcmeAccount.at(tmp_path / "account.json", "https://ca.test/dir")
    challenge, port = HTTP01(token=secrets.token_bytes(16)), free_port()
    async with HttpChallenges(HOST, port, Told().log) as solver:
        solver.publish(NAME, challenge, account.jwk)
        found = [(await asked(port, challenge.path))[0] for _ in range(REQUESTS_A_MINUTE + 1)]
    assert found.count(200) >= REQUESTS_A_MINUTE - 1  # a minute may begin in between
    assert found[-1] in {200, 429}


@on_loop
async def test_taken_port_says_which(tmp_path: Path) -> None:
    port = free_port()
    async with HttpChallenges(HOST, port, Told().log):
        with pytest.raises(AcmeError, match="address already in use") as refused:
            await HttpChallenges(HOST, port, Told().log).__aenter__()
    assert f"free port {port}" in refused.value.remedy
