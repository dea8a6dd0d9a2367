"""Attacks on the console over HTTPS, each with a control: another host, another site, guessed secrets, floods, plain HTTP."""

from __future__ import annotations

import asyncio
import math
import ssl
from pathlib import Path

import pytest

from sipmesh.demo.ports import HOST
from sipmesh.server.console.access import guard
from sipmesh.server.console.access.guard import COOKIE, FAILURES_A_MINUTE, FORM, LEADS_HERE, REQUESTS_A_MINUTE
from sipmesh.server.console.access.secret_table import hash_of
from sipmesh.server.process import request_rate
from support.console import Visitor, management_with_console, operator_credentials
from support.managed import MGMT, Managed
from support.network import FE1
from support.running import on_loop


@on_loop
async def test_page_of_another_name_that_dns_leads_here_reads_nothing(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network, "vera-token") as program:
        for host in ("evil.test", f"evil.test:{program.port}", "", f"{MGMT}:1"):
            assert (await program.get("/api/v1/status", headers={"Host": host})).status in {400, 421}
        for host in (f"{MGMT}:{program.port}", f"localhost:{program.port}", f"127.0.0.1:{program.port}"):
            assert (await program.get("/api/v1/status", headers={"Host": host})).status == 200


@on_loop
async def test_form_of_another_site_does_nothing(tmp_path: Path) -> None:
    """The browser sends the cookie of a session; only a page of the session has its form token."""
    async with management_with_console(tmp_path) as network, Visitor(network) as victim, Visitor(network) as thief:
        await victim.log_in("operator")
        await thief.log_in("viewer")
        for forged in ("", "x", thief.form_token):
            refused = await victim.ask(
                "POST", "/block", data={"form_token": forged, "name": "evil.test", "sure": "yes"}
            )
            assert refused.status == 403
            sent = await victim.ask(
                "POST", "/api/v1/block", json={"name": "evil.test"}, headers={"X-Form-Token": forged}
            )
            assert sent.status == 403
        assert (await victim.ask("POST", "/logout", data={})).status == 403
        assert "evil.test" not in (await victim.get("/partners")).text
        done = await victim.post("/block", name="evil.test", sure="yes")
        assert (done.status, "evil.test is blocked" in done.text) == (200, True)
        assert "evil.test" in (await victim.get("/partners")).text


@on_loop
async def test_cookie_is_for_this_host_over_tls_and_not_for_scripts(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as visitor:
        code = (await network.ask(MGMT, "console-login", role="viewer"))["code"]
        answer = await visitor.ask("POST", "/login", data={"code": code})
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith(f"{COOKIE}=")
        assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        assert code not in str(answer.headers)


@on_loop
async def test_session_ends_when_the_operator_logs_out(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as visitor, Visitor(network) as copy:
        secret = await visitor.log_in("viewer")
        stolen = {"Cookie": f"{COOKIE}={secret}"}
        assert (await copy.get("/status", headers=stolen)).status == 200
        assert (await visitor.post("/logout")).status == 303
        assert (await copy.get("/status", headers=stolen)).status == 303


@on_loop
async def test_guesses_are_refused_and_what_is_right_counts_from_the_same_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_rate, "WINDOW_S", math.inf)  # no minute ends within the test
    async with management_with_console(tmp_path) as network, Visitor(network) as guesser:
        code = (await network.ask(MGMT, "console-login", role="viewer"))["code"]
        stored = hash_of("vera-token")
        guesses = ("wrong", stored, "vera-tokenx", "", code[:-1])
        for guess in guesses:
            assert (await guesser.ask("POST", "/login", data={"code": guess})).status == 401
            token = await guesser.get("/api/v1/status", headers={"Authorization": f"Bearer {guess}"})
            assert token.status == 401
        assert 2 * len(guesses) == FAILURES_A_MINUTE
        assert (await guesser.ask("POST", "/login", data={"code": code[:-1]})).status == 429
        wrong = await guesser.get("/api/v1/status", headers={"Authorization": "Bearer vera-tokenx"})
        assert (wrong.status, wrong.headers["Connection"]) == (429, "close")
        right = await guesser.get("/api/v1/status", headers={"Authorization": "Bearer vera-token"})
        assert right.status == 200
        assert (await guesser.ask("POST", "/login", data={"code": code})).status == 303


@on_loop
async def test_stranger_who_uses_up_all_requests_keeps_no_operator_of_the_same_address_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By token, by session and by a new code; and one operator uses up nothing of another."""
    monkeypatch.setattr(request_rate, "WINDOW_S", math.inf)
    monkeypatch.setattr(guard, "REQUESTS_A_MINUTE", 20)
    async with (
        management_with_console(tmp_path) as network,
        Visitor(network) as stranger,
        Visitor(network) as session,
        Visitor(network) as late,
        Visitor(network, "vera-token") as vera,
        Visitor(network, "otto-token") as otto,
    ):
        await session.log_in("viewer")
        for _ in range(20):
            await stranger.get("/")
        refused = await stranger.get("/")
        assert (refused.status, refused.headers["Retry-After"], refused.headers["Connection"]) == (429, "60", "close")
        assert (await session.get("/status")).status == 200
        form = await late.get("/login")
        assert (form.status, form.headers["Connection"]) == (200, "close")
        await late.log_in("viewer")
        for _ in range(20):
            assert (await vera.get("/api/v1/versions")).status == 200
        assert (await vera.get("/api/v1/versions")).status == 429
        assert (await otto.get("/api/v1/versions")).status == 200


@on_loop
async def test_certificate_that_fails_uses_up_its_own_attempts_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key of a stolen server, from the address of an operator."""
    monkeypatch.setattr(request_rate, "WINDOW_S", math.inf)
    async with management_with_console(tmp_path, client_certificates=True) as network:
        otto = operator_credentials(network, "otto", tmp_path)
        async with (
            Visitor(network, credentials=network.credentials(FE1)) as thief,
            Visitor(network, credentials=otto) as operator,
        ):
            tries = [(await thief.get("/api/v1/status")).status for _ in range(FAILURES_A_MINUTE + 1)]
            assert tries == [401] * FAILURES_A_MINUTE + [429]
            assert (await operator.get("/api/v1/status")).status == 200
            assert (await operator.ask("POST", "/login/certificate")).status == 303
            await Visitor.log_in(operator, "viewer")


@on_loop
async def test_page_of_another_site_uses_up_nothing_of_the_address_of_its_visitor(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as browser:
        frame = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
        for site in ("cross-site", "same-site"):
            for _ in range(FAILURES_A_MINUTE):
                said = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "empty"}
                sent = await browser.ask("POST", "/login", data={"code": "x"}, headers=said)
                framed = await browser.get("/login/openid/callback", headers={**said, **frame})
                assert (sent.status, framed.status) == (403, 403)
        posted = await browser.ask("POST", "/login", data={"code": "x"}, headers={**LEADS_HERE, "Sec-Fetch-Site": site})
        assert posted.status == 403
        await browser.log_in("viewer")
        for site in ("cross-site", "same-site", "same-origin", "none"):
            assert (await browser.get("/status", headers={**LEADS_HERE, "Sec-Fetch-Site": site})).status == 200


@on_loop
async def test_connection_ends_with_the_answer_that_there_were_too_many_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_rate, "WINDOW_S", math.inf)
    async with management_with_console(tmp_path) as network, Visitor(network) as known:
        trusted = ssl.create_default_context(cafile=str(network.organisation.root))
        reader, writer = await asyncio.open_connection(
            HOST, known.port, ssl=trusted, server_hostname=MGMT, local_addr=("127.0.0.2", 0)
        )
        request = b"HEAD / HTTP/1.1\r\nHost: %b:%d\r\n\r\n" % (MGMT.encode(), known.port)
        answered, count = b"HTTP/1.1 303 ", 0
        while answered.startswith(b"HTTP/1.1 303 ") and count <= REQUESTS_A_MINUTE:
            writer.write(request)
            answered, count = await reader.readuntil(b"\r\n\r\n"), count + 1
        assert count == REQUESTS_A_MINUTE + 1
        assert (answered.split()[1], b"Connection: close" in answered) == (b"429", True)
        assert await reader.read() == b""
        writer.close()
        assert (await known.get("/login")).status == 200


@on_loop
async def test_code_works_once(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network) as first, Visitor(network) as second:
        code = (await network.ask(MGMT, "console-login", role="viewer"))["code"]
        assert (await first.ask("POST", "/login", data={"code": code})).status == 303
        assert (await second.ask("POST", "/login", data={"code": code})).status == 401


@on_loop
async def test_plain_http_and_large_bodies_get_nothing(tmp_path: Path) -> None:
    async with management_with_console(tmp_path) as network, Visitor(network, "otto-token") as program:
        reader, writer = await asyncio.open_connection("127.0.0.1", program.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"HTTP" not in await reader.read()
        writer.close()
        assert (await program.ask("POST", "/api/v1/block", data=b"[" * 70_000)).status in {413, 415}
        large = await program.ask(
            "POST", "/api/v1/block", data=b"[" * 70_000, headers={"Content-Type": "application/json"}
        )
        assert large.status == 413
        deep = await program.ask(
            "POST", "/api/v1/block", data=b"[" * 60_000, headers={"Content-Type": "application/json"}
        )
        assert deep.status == 400


@on_loop
async def test_octets_that_are_not_text_are_a_wrong_secret_and_no_fault(tmp_path: Path) -> None:
    """A stranger sends them in each place where a secret is read; the control is a person with a session."""
    async with management_with_console(tmp_path) as network, Visitor(network) as stranger, Visitor(network) as known:
        await known.log_in("viewer")
        assert await _status(network, known, b"Authorization: Bearer \xff\xe9") == 401
        assert await _status(network, known, b"Cookie: " + COOKIE.encode() + b"=\xff") == 303
        for kind, body, status in (
            (FORM, b"code=\xff\xfe", 400),
            (f"{FORM}; charset=klingon", b"code=x", 400),
            ("multipart/form-data; boundary=b", b"no part", 401),
            ("multipart/form-data", b"no boundary", 401),
            ("multipart/form-data; boundary=b", b"--b\r\nContent-Transfer-Encoding: x\r\n\r\nx\r\n--b--\r\n", 401),
        ):
            sent = await stranger.ask("POST", "/login", data=body, headers={"Content-Type": kind})
            assert sent.status == status, (kind, body)
        assert (await known.ask("POST", "/logout", data={"form_token": "\xe9"})).status == 403
        sent = await known.ask("POST", "/api/v1/block", json={"name": "x"}, headers={"X-Form-Token": "\xe9"})
        assert sent.status == 403
        assert not [*network.told[MGMT].events("fault")]
        assert (await known.get("/")).status == 200
        assert (await known.post("/logout")).status == 303


async def _status(network: Managed, visitor: Visitor, field: bytes) -> int:
    """The status of a GET with a header field in octets that no HTTP client would send."""
    trusted = ssl.create_default_context(cafile=str(network.organisation.root))
    reader, writer = await asyncio.open_connection(HOST, visitor.port, ssl=trusted, server_hostname=MGMT)
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: %b:%d\r\n%b\r\n\r\n" % (MGMT.encode(), visitor.port, field))
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()
