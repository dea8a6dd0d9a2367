"""A person of a domain in Chromium: the ticket logs in to the console, where the browser may send it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from interop.chromium import Chromium
from interop.console_page import ConsolePage
from server.console.access.test_kerberos_logins import LOGIN, console
from support.managed import MGMT
from support.running import on_loop

pytestmark = [
    pytest.mark.soak,
    pytest.mark.peer("chromium"),
    pytest.mark.peer("certutil"),
    pytest.mark.peer("kerberos"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a file of hosts for one browser needs root"),
]

HOSTS = 'mount --bind "$0" /etc/hosts && exec "$@"'
"""Chromium asks for a ticket for the name to which the name in the URL leads: this file has it for the browser alone."""


@on_loop
@pytest.mark.parametrize("allowed", [MGMT, "elsewhere.example.test"])
async def test_ticket_of_the_domain_logs_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: str) -> None:
    """A browser that may not send tickets to this name shows what else to do."""
    hosts = tmp_path / "hosts"
    hosts.write_text(f"127.0.0.1 {MGMT}\n127.0.0.1 localhost\n")
    async with console(tmp_path, monkeypatch) as domain:
        monkeypatch.setenv("KRB5CCNAME", domain.kdc.ticket("ada", tmp_path / "ada")["KRB5CCNAME"])
        flags = (f"--auth-server-allowlist={allowed}",)
        browser = Chromium(tmp_path / "c", domain.network.organisation.root, ("localhost",), more=flags)
        browser.program = ("unshare", "--mount", "sh", "-c", HOSTS, str(hosts), "chromium")
        async with browser:
            page = await ConsolePage.open(browser, domain.network, private=False)
            await page.show(
                LOGIN
            )  # the browser loads its library for Kerberos after the first page that asks for a ticket
            shown = await page.show(LOGIN)
            if allowed == MGMT:
                assert "ada@CORP.TEST (Kerberos), operator" in shown
                assert "ada@CORP.TEST (Kerberos)" in await page.show("/users")
            else:
                assert "no ticket of Kerberos" in shown
