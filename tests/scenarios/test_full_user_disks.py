"""A real disk without room, or read-only, while users write contacts, rules, files and messages: nothing kept is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from attacks.test_told_places import CONTACT
from server.invitations.test_file_pages import FIELDS, upload
from server.proxy.events.test_message_history import tell
from sipmesh.topology.document.parts.files import FILES
from sipmesh.topology.document.parts.invitations import RULES
from support.account_tickets import LIST, TicketPage
from support.full_disk import read_only, small_disk
from support.history import keep_history, texts
from support.managed import MGMT
from support.network import FE1, Network
from support.running import on_loop, until

FILE = {name.replace("_", "-"): value for name, value in FIELDS.items()}


@pytest.mark.wide
@on_loop
async def test_contacts_rules_and_files_are_refused_for_now_on_a_full_disk(tmp_path: Path) -> None:
    """The log says what mends it. Once there is room, what was kept is there, and each change is kept again."""
    with small_disk(tmp_path / "disk", 64 << 20) as disk:
        async with TicketPage.opened(disk.folder, files={}) as page:
            ticket = page.ticket()

            async def seen(name: str) -> list[int]:
                contact = {**CONTACT, "name": name * 50}
                written = [
                    (await page.ask(ticket, "PUT", f"{LIST}/{name}{one}", json=contact)).status for one in range(40)
                ]
                rules = await page.ask(ticket, "PUT", RULES, json={"always": "bob", "ring_s": 10})
                file = await page.ask(ticket, "POST", FILES, data=upload(b"x"), headers=FILE)
                return [written[-1], rules.status, file.status]

            assert await seen("a") == [201, 200, 507]  # files leave 256 MB of the disk to other data
            disk.fill()
            assert await seen("b") == [503, 503, 503]
            told = page.network.told[MGMT]
            assert "make room on the disk" in told.last("request not served")["why"]
            assert "has no room for files" in told.last("file not stored")["why"]
            disk.empty()
            assert await seen("c") == [201, 200, 507]
            kept = (await page.ask(ticket)).text
            assert [kept.count(f'"id": "{name}') for name in "ac"] == [40, 40]


@on_loop
async def test_contacts_rules_and_files_are_refused_for_now_in_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    async with TicketPage.opened(tmp_path, files={}) as page:
        ticket = page.ticket()

        async def seen() -> list[int]:
            contact = await page.ask(ticket, "PUT", f"{LIST}/a", json=CONTACT)
            rules = await page.ask(ticket, "PUT", RULES, json={"always": "bob"})
            file = await page.ask(ticket, "POST", FILES, data=upload(b"x"), headers=FILE)
            return [contact.status, rules.status, file.status]

        assert await seen() == [201, 200, 200]
        with read_only(tmp_path / "o"):
            assert await seen() == [503] * 3
        why = page.network.told[MGMT].last("request not served")["why"]
        assert f"run this as the user who owns {tmp_path / 'o'}" in why
        assert await seen() == [204, 200, 200]


@on_loop
async def test_message_passes_while_its_history_has_no_room(home: Network, tmp_path: Path) -> None:
    """The log counts what is not in the history. What was kept before is there afterwards, and new messages are kept again."""
    state = home.organisations[0].folder / "state"
    before = state.rename(tmp_path / "before")
    with small_disk(state, 8 << 20) as disk:
        shutil.copytree(before, state, dirs_exist_ok=True)
        keep_history(home)
        async with home:
            alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
            history = home.nodes[FE1].events.history
            assert await tell(alice, bob, b"before") == 200
            await until(lambda: history.kept == 2)
            disk.fill()
            for number in range(30):
                assert await tell(alice, bob, b"%d" % number + b"x" * 2_000) == 200
            await until(lambda: history.lost + history.kept == 62)
            lost = history.lost
            assert lost > 0
            disk.empty()
            assert await tell(alice, bob, b"after") == 200
            await until(lambda: history.lost + history.kept == 64)
            found = await texts(bob, "alice@example.test")
            assert (found[0], found[-1], history.lost) == ("after", "before", lost)
            history.sweep()
            assert home.told[FE1].last("entries of message histories were lost")["entries"] == lost
