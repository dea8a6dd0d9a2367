"""linphone keeps its contact list at management by CardDAV, with the password of its device."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from interop.hosts_file import require_namespaces, with_hosts
from support.checkout import ROOT
from support.contacts import DavPhone, vcard
from support.managed import MGMT
from support.management_with_invitations import invite, invitee, management_with_invitations
from support.running import within

pytestmark = [pytest.mark.wide, pytest.mark.peer("linphone")]

PROGRAM = ROOT / "tests" / "interop" / "linphone_contacts.py"


async def ran(
    folder: Path, root: Path, phone: DavPhone, password: str, *lines: str, login: str | None = None
) -> list[dict[str, Any]]:
    """Have the phone carry out *lines*; gives what it has after each."""
    folder.mkdir()  # noqa: ASYNC240 - a folder of this test
    command = (
        "env",
        f"PYTHONPATH={ROOT / 'tests'}",
        "python3",
        str(PROGRAM),
        str(folder),
        str(root),
        f"{phone.base}/contacts/book",
        phone.login.partition("@")[0] if login is None else login,
        password,
    )
    program = with_hosts(folder, shlex.join(command), MGMT)
    process = await asyncio.create_subprocess_exec(
        *program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    out, _ = await process.communicate("".join(f"{line}\n" for line in lines).encode())
    return [json.loads(line) for line in out.decode().splitlines() if line.startswith("{")]


@within(120.0)
async def test_linphone_reads_adds_and_removes_contacts_that_another_device_sees(tmp_path: Path) -> None:
    """A wrong password gets nothing; the right one after it does."""
    require_namespaces()
    async with management_with_invitations(tmp_path / "n") as network, invitee(network) as person:
        other, root = await DavPhone.set_up(network, person), network.organisation.root
        assert await other.put("bob", vcard("Bob", "bob@example.test")) == 201
        refused = await ran(tmp_path / "thief", root, other, "wrong", "sync")
        assert [(one["ok"], one["friends"]) for one in refused] == [(False, [])]
        seen = await ran(
            tmp_path / "own", root, other, other.password, "sync", "add Carol sip:carol@example.test", "remove Bob"
        )
        bob, carol = ["Bob", "sip:bob@example.test"], ["Carol", "sip:carol@example.test"]
        assert [one["friends"] for one in seen] == [[bob], [bob, carol], [carol]], seen
        assert await other.names() == ["Carol"]


@within(120.0)
async def test_linphone_that_took_an_invitation_needs_no_password_for_its_contacts(tmp_path: Path) -> None:
    """It looks for one by the host of the list, not by the SIP domain."""
    require_namespaces()
    async with management_with_invitations(tmp_path / "n") as network, invitee(network) as person:
        other, root = await DavPhone.set_up(network, person), network.organisation.root
        assert await other.put("bob", vcard("Bob", "bob@example.test")) == 201
        page = (await person.take(await invite(network), "linphone")).text
        [url] = re.findall('<code id="url">([^<]+)</code>', page)
        [seen] = await ran(tmp_path / "own", root, other, url, "sync", login="")
        assert (seen["ok"], seen["friends"]) == (True, [["Bob", "sip:bob@example.test"]]), seen
