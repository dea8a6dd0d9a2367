"""Who harms management by the files that users send: beside each attack, a user sends and fetches one."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from server.invitations.test_file_pages import FIELDS, connected, head_of, send, told, until, upload, usage
from sipmesh.server.invitations.file_pages import DOWNLOADS, DOWNLOADS_OF_OWNER
from sipmesh.storage.file_cipher import FileCipher
from sipmesh.storage.sent_files import KEPT_FREE, PART, SentFiles, erase_files
from sipmesh.storage.users.device_rows import remove_device
from support.account_tickets import ALICE, TicketPage
from support.contacts import DavPhone
from support.full_disk import small_disk
from support.managed import MGMT
from support.management_with_invitations import invitee, management_with_invitations
from support.network import FE1
from support.running import LOOK_AGAIN_S, on_loop, within

HALF = 400_000
SENT = {"Content-Type": FIELDS["Content_Type"]}


def parts(folder: Path) -> int:
    """How many parts the database has, also those of no file."""
    with closing(sqlite3.connect(folder / "o" / "state" / "files.db")) as db:
        return int(db.execute("SELECT count(*) FROM sent_file_parts").fetchone()[0])


@on_loop
async def test_upload_of_a_user_who_is_erased_meanwhile_leaves_nothing(tmp_path: Path) -> None:
    """No file would count what came later, and no bound."""
    async with TicketPage.opened(tmp_path, files={}) as page:
        alice, bob = [await DavPhone.set_up(page.network, page.person, user) for user in ("alice", "bob")]
        reader, writer = await connected(page.person, alice.base)
        body = upload(b"x" * 3_000_000)
        writer.write(head_of(alice, len(body)) + body[:HALF])
        await until(lambda: usage(page.network)[0] == 1)
        users = page.users()
        users.remove(ALICE)
        users.close()
        assert erase_files(page.network.organisation.load().files_url, [ALICE]) == 1
        writer.write(body[HALF:])
        assert (await reader.readline()).startswith(b"HTTP/1.1 507")
        writer.transport.abort()
        store = SentFiles(page.network.organisation.load().files_url)
        store.expire()
        store.close()
        assert parts(tmp_path) == 0
        assert (await send(bob)).status == 200
        assert parts(tmp_path) == 1


@on_loop
async def test_uploads_that_are_under_way_have_their_room_on_the_disk(tmp_path: Path) -> None:
    """Each alone would fit. Other data of management keeps its room."""
    with small_disk(tmp_path / "disk", KEPT_FREE + (30 << 20)) as disk:
        async with management_with_invitations(disk.folder, files={}) as network, invitee(network) as person:
            alice, bob = [await DavPhone.set_up(network, person, user) for user in ("alice", "bob")]
            _, writer = await connected(person, alice.base)
            writer.write(head_of(alice, 18_000_000) + upload(b"x")[:200])
            await until(lambda: usage(network)[0] == 1)
            full = await send(bob, b"x" * 18_000_000)
            assert (full.status, "the disk of management" in full.text) == (507, True)
            writer.transport.abort()
            await until(lambda: usage(network)[0] == 0)
            assert (await send(bob, b"x" * 18_000_000)).status == 200


@on_loop
async def test_link_of_a_file_that_a_stranger_wants_to_remove_is_in_no_log(tmp_path: Path) -> None:
    """So with a phone that shows its login only once it is asked, and with a ticket that has ended."""
    async with management_with_invitations(tmp_path, files={}) as network, invitee(network) as person:
        alice = await DavPhone.set_up(network, person)
        path = told(await send(alice))["url"].removeprefix(alice.base)
        for login in ("", "mallory+json@example.test"):
            assert (await DavPhone(person, alice.base, "wrong", login).ask("DELETE", path)).status == 401
        said = json.dumps([str(line) for line in network.told[MGMT].lines])
        assert ("'path': '/files/{token}'" in said, path.rpartition("/")[2] in said) == (True, False)
        assert (await alice.ask("DELETE", path)).status == 204


@on_loop
async def test_user_of_a_partner_fetches_by_the_link_and_sends_and_removes_nothing(tmp_path: Path) -> None:
    """The link is the permission, for who has no login here. No ticket of the partner counts, even if it names alice."""
    async with TicketPage.opened(tmp_path / "n", files={}) as page:
        alice = await DavPhone.set_up(page.network, page.person)
        url = told(await send(alice))["url"]
        path = url.removeprefix(alice.base)
        for ticket in (page.of_partner(tmp_path / "other"), page.forged(FE1, user="sip:alice@partner.test")):
            assert (await page.ask(ticket, "POST", "/files", data=upload(b"x"), headers=SENT)).status == 401
            assert (await page.ask(ticket, "DELETE", path)).status == 401
        assert (await page.person.get(url)).status == 200
        assert (await page.ask(page.ticket(), "POST", "/files", data=upload(b"x"), headers=SENT)).status == 200
        assert (await page.ask(page.ticket(), "DELETE", path)).status == 204
        assert (await page.person.get(url)).status == 404


@on_loop
async def test_device_that_was_removed_sends_and_removes_nothing_and_its_user_does(tmp_path: Path) -> None:
    """It has the links of messages that it got, as each of their receivers has. They end with the file."""
    async with TicketPage.opened(tmp_path, files={}) as page:
        stolen = await DavPhone.set_up(page.network, page.person)
        ticket = page.ticket(generation=page.verifier().devices["json"].generation)
        url = told(await send(stolen))["url"]
        path, users = url.removeprefix(stolen.base), page.users()
        assert (await page.ask(ticket, "POST", "/files", data=upload(b"x"), headers=SENT)).status == 200
        with users.locked() as db:
            remove_device(db, ALICE, "json")
        users.close()
        assert [(await send(stolen)).status, (await stolen.ask("DELETE", path)).status] == [401, 401]
        assert (await page.ask(ticket, "POST", "/files", data=upload(b"x"), headers=SENT)).status == 401
        assert (await page.ask(ticket, "DELETE", path)).status == 401
        assert (await page.person.get(url)).status == 200
        assert (await page.ask(page.ticket(), "DELETE", path)).status == 204
        assert (await page.person.get(url)).status == 404


@on_loop
async def test_file_that_was_cut_off_in_the_database_is_not_served(tmp_path: Path) -> None:
    """Who can write there and has no link: each part is as it was, and some are gone."""
    async with management_with_invitations(tmp_path, files={}) as network, invitee(network) as person:
        alice = await DavPhone.set_up(network, person)
        urls = [told(await send(alice, b"x" * (PART + HALF)))["url"] for _ in range(2)]
        with closing(sqlite3.connect(tmp_path / "o" / "state" / "files.db")) as db:
            cut = FileCipher(urls[0].rpartition("/")[2]).id
            db.execute("UPDATE sent_files SET parts = 1, size = ? WHERE id = ?", (PART, cut))
            db.commit()
        assert [(await person.get(url)).status for url in urls] == [404, 200]


@on_loop
async def test_links_lead_nowhere_at_once_when_files_are_turned_off(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path, files={}) as network, invitee(network) as person:
        alice = await DavPhone.set_up(network, person)
        url = told(await send(alice))["url"]
        assert (await person.get(url)).status == 200
        del network.organisation.document["files"]
        network.organisation.write()
        await network.publish()
        assert (await person.get(url)).status == 404


@on_loop
async def test_connection_ends_with_its_transfer(tmp_path: Path) -> None:
    """It may last for hours, which half a request after the transfer must not."""
    async with management_with_invitations(tmp_path, files={}) as network, invitee(network) as person:
        alice = await DavPhone.set_up(network, person)
        sent = await send(alice)
        path = told(sent)["url"].removeprefix(alice.base)
        for method in ("HEAD", "GET"):
            reader, writer = await connected(person, alice.base)
            host = alice.base.partition("//")[2]
            writer.write(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\nGET / HTTP/1.1\r\n".encode())
            answer = await reader.read()
            assert (answer.startswith(b"HTTP/1.1 200"), b"Connection: close" in answer) == (True, True)
            writer.transport.abort()
        assert sent.headers["Connection"] == "close"


@on_loop
async def test_slow_downloads_leave_places_to_others_behind_the_same_nat(tmp_path: Path) -> None:
    """All come from one address. Who has links of alice takes the places for files of alice, and not those for files of bob."""
    async with management_with_invitations(tmp_path, files={}) as network, invitee(network) as person:
        alice, bob = [await DavPhone.set_up(network, person, user) for user in ("alice", "bob")]
        large, small, of_bob = [told(await send(*one))["url"] for one in ((alice, b"x" * (16 << 20)), (alice,), (bob,))]
        slow = list[asyncio.StreamWriter]()
        for _ in range(DOWNLOADS_OF_OWNER):
            reader, writer = await connected(person, alice.base)
            writer.write(f"GET {urlsplit(large).path} HTTP/1.1\r\nHost: {urlsplit(large).netloc}\r\n\r\n".encode())
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")  # the rest is not read
            slow.append(writer)
        assert [(await person.get(url)).status for url in (small, of_bob)] == [429, 200]
        slow.pop().transport.abort()
        while (await person.get(small)).status == 429:
            await asyncio.sleep(LOOK_AGAIN_S)
        for writer in slow:
            writer.transport.abort()


@within(90.0)
async def test_slow_downloads_of_one_link_from_many_addresses_leave_places_to_the_files_of_others(
    tmp_path: Path,
) -> None:
    """Eight addresses, each with its eight places, had all of them, for as long as a slow client may need."""
    async with management_with_invitations(tmp_path, files={}) as network, invitee(network) as person:
        alice, bob = [await DavPhone.set_up(network, person, user) for user in ("alice", "bob")]
        large, of_bob = told(await send(alice, b"x" * (16 << 20)))["url"], told(await send(bob))["url"]
        slow, taken = list[asyncio.StreamWriter](), 0
        for number in range(DOWNLOADS):
            reader, writer = await connected(person, alice.base, f"127.0.0.{10 + number // DOWNLOADS_OF_OWNER}")
            writer.write(f"GET {urlsplit(large).path} HTTP/1.1\r\nHost: {urlsplit(large).netloc}\r\n\r\n".encode())
            taken += (await reader.readline()).startswith(b"HTTP/1.1 200")  # the rest is not read
            slow.append(writer)
        assert (await person.get(of_bob)).status == 200
        assert taken == DOWNLOADS // 2
        for writer in slow:
            writer.transport.abort()


@pytest.mark.soak
@within(90.0)
async def test_client_has_its_time_also_where_the_database_is_slow(tmp_path: Path) -> None:
    """Another process has the database for some seconds; the client needs most of its time for each part."""
    async with management_with_invitations(tmp_path, files={}) as network, invitee(network) as person:
        alice = await DavPhone.set_up(network, person)
        body = upload(b"x" * (PART + HALF))
        reader, writer = await connected(person, alice.base)
        writer.write(head_of(alice, len(body)) + body[: PART - 10])
        await asyncio.sleep(16)
        with closing(sqlite3.connect(tmp_path / "o" / "state" / "files.db", isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            writer.write(body[PART - 10 : PART + 1_000])
            await asyncio.sleep(4.5)
            db.execute("ROLLBACK")
        writer.write(body[PART + 1_000 :])
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.transport.abort()
