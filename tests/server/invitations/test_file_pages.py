"""Files beside messages over HTTPS and real TLS: who may send one, who may fetch it, and what is refused."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import pytest

from sipmesh.demo.ports import HOST
from sipmesh.server.invitations.file_pages import REQUESTS_A_MINUTE, UPLOADS_OF_USER
from sipmesh.server.invitations.strangers import FAILURES_A_MINUTE
from sipmesh.server.process.clock import now_utc
from sipmesh.storage.sent_files import PART, SentFiles
from support.account_tickets import ALICE, TicketPage
from support.contacts import DavPhone
from support.invited import Answer, Invitee
from support.managed import MGMT, Managed
from support.management_with_invitations import invitee, management_with_invitations
from support.network import FE2
from support.running import on_loop, within
from support.web_peer import open_websocket, web_address

FILE = "{urn:gsma:params:xml:ns:rcs:rcs:fthttp}"
BOUNDARY = "---------------------------14737809831466499882746641449"
FIELDS = {"Content_Type": f'multipart/form-data; boundary="{BOUNDARY}"'}


def upload(content: bytes, name: str = "note.txt", kind: str = "text/plain") -> bytes:
    """A body as linphone writes it."""
    about = f'Content-Disposition: form-data; name="File"; filename="{name}"\r\nContent-Type: {kind}'
    return f"--{BOUNDARY}\r\n{about}\r\n\r\n".encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


async def send(phone: DavPhone, content: bytes = b"hello", name: str = "note.txt", kind: str = "text/plain") -> Answer:
    return await phone.ask("POST", "/files", upload(content, name, kind), **FIELDS)


def told(answer: Answer) -> dict[str, str]:
    """What the XML for the message says."""
    assert answer.status == 200, answer.text
    info = ET.fromstring(answer.text).find(f"{FILE}file-info")  # noqa: S314 - of our own server
    assert info is not None
    data = info.find(f"{FILE}data")
    assert data is not None
    return {one.tag.removeprefix(FILE): one.text or "" for one in info} | dict(data.attrib)


def usage(network: Managed) -> tuple[int, int]:
    """How many files are kept, and their octets."""
    store = SentFiles(network.organisation.load().files_url)
    try:
        return store.usage()
    finally:
        store.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.05)


@on_loop
async def test_file_of_a_user_is_fetched_by_who_has_its_link_until_the_user_removes_it(tmp_path: Path) -> None:
    """The link needs no login: users of partners have none here. A range and a HEAD give no more than the file."""
    async with management_with_invitations(tmp_path, files={}) as network, invitee(network) as person:
        alice, bob = [await DavPhone.set_up(network, person, user) for user in ("alice", "bob")]
        assert (await alice.ask("POST", "/files")).status == 204
        content = b"0123456789" * 60_000
        answer = await send(alice, content, "../../r\u00e9sum\u00e9.txt", "text/plain; charset=utf-8")
        assert answer.headers["Content-Type"] == "application/vnd.gsma.rcs-ft-http+xml; charset=utf-8"
        about = told(answer)
        assert len(content) > 2 * PART
        assert (about["file-size"], about["file-name"], about["content-type"]) == (
            "600000",
            "r\u00e9sum\u00e9.txt",
            "text/plain",
        )
        path = about["url"].removeprefix(alice.base)
        for fields in ({}, {"Range": "bytes=0-0,5-9"}, {"Accept-Encoding": "gzip"}):
            fetched = await person.get(about["url"], headers=fields)
            assert (fetched.status, fetched.text) == (200, content.decode())
        head = await person.ask("HEAD", about["url"])
        assert (head.status, head.text, head.headers["Content-Length"]) == (200, "", "600000")
        assert (await person.ask("DELETE", about["url"])).status == 401
        assert (await bob.ask("DELETE", path)).status == 404
        assert (await alice.ask("DELETE", path)).status == 204
        assert (await person.get(about["url"])).status == 404
        assert usage(network) == (0, 0)


@pytest.mark.parametrize(
    ("name", "kind", "content"),
    [
        ("page.html", "text/html", b"<script>alert(document.domain)</script>"),
        ("picture.svg", "image/svg+xml", b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'),
        ('x"\r\nContent-Type: text/html', "text/html\r\nX-A: b", b"<b>"),
    ],
)
@on_loop
async def test_browser_runs_and_shows_nothing_of_a_file(tmp_path: Path, name: str, kind: str, content: bytes) -> None:
    async with management_with_invitations(tmp_path, files={}) as network, invitee(network) as person:
        alice = await DavPhone.set_up(network, person)
        fetched = await person.get(told(await send(alice, content, name, kind))["url"])
        assert fetched.status == 200
        assert fetched.headers["Content-Type"] == "application/octet-stream"
        assert fetched.headers["Content-Disposition"].startswith("attachment; ")
        assert fetched.headers["X-Content-Type-Options"] == "nosniff"
        assert fetched.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert (fetched.headers["Cache-Control"], fetched.headers["Referrer-Policy"]) == ("no-store", "no-referrer")


@on_loop
async def test_stranger_thief_and_own_password_send_no_file(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path, files={}) as network, invitee(network) as person:
        alice, bob = [await DavPhone.set_up(network, person, user) for user in ("alice", "bob")]
        thief = DavPhone(person, alice.base, bob.password, alice.login)
        own_password = DavPhone(person, alice.base, "alice-secret", "alice@example.test")
        partner = DavPhone(person, alice.base, bob.password, "bob+json@partner.test")
        for other in (thief, own_password, partner, DavPhone(person, alice.base, "", "")):
            assert (await other.ask("POST", "/files")).status == 401, other.login
            assert (await send(other)).status == 401, other.login
        assert not (tmp_path / "o" / "state" / "files.db").exists()
        assert (await send(alice)).status == 200


@on_loop
async def test_guessed_links_lead_nowhere_and_are_counted(tmp_path: Path) -> None:
    """A right link is served after any number of wrong links, and nothing lists the files."""
    async with management_with_invitations(tmp_path, files={}) as network, invitee(network) as person:
        alice = await DavPhone.set_up(network, person)
        url = told(await send(alice))["url"]
        wrong = [
            f"{url[:-1]}{'A' if url[-1] != 'A' else 'B'}",
            f"{url}/x",
            url[:-1],
            f"{url}A",
            f"{url}%2e%2e",
            f"{url}/../",
        ]
        for link in wrong:
            assert (await person.get(link)).status == 404, link
        for path in ("/files", "/files/", "/files/*"):
            assert (await person.get(f"{alice.base}{path}")).status in {404, 405}, path
        seen = [(await person.get(wrong[0])).status for _ in range(2 * FAILURES_A_MINUTE + 1)]
        assert 429 in seen
        assert (await person.get(url)).status == 200


@on_loop
async def test_files_are_off_by_default_and_gone_once_they_are_turned_off(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as person:
        alice = await DavPhone.set_up(network, person)
        assert (await alice.ask("POST", "/files")).status == 404
        assert (await send(alice)).status == 404
        assert (await person.get(f"{alice.base}/files/{'A' * 43}")).status == 404
        assert not (tmp_path / "o" / "state" / "files.db").exists()


@on_loop
async def test_files_have_bounds_of_size_and_room(tmp_path: Path) -> None:
    """A file of 5 GB is refused by its length, before an octet of it is read."""
    async with (
        management_with_invitations(tmp_path, files={"largest_mb": 1, "user_mb": 2}) as network,
        invitee(network) as person,
    ):
        alice, bob = [await DavPhone.set_up(network, person, user) for user in ("alice", "bob")]
        reader, writer = await connected(person, alice.base)
        writer.write(head_of(alice, 5 << 30))
        assert (await reader.readline()).startswith(b"HTTP/1.1 413")
        writer.transport.abort()
        assert (await send(alice, b"x" * 1_010_000)).status == 400  # as little more as the lines around it may have
        assert usage(network) == (0, 0)
        assert (await send(alice, b"x" * 999_800)).status == 200
        assert (await send(alice, b"x" * 999_800)).status == 200
        full = await send(alice, b"x" * 500)
        assert (full.status, "you may not store more" in full.text) == (507, True)
        assert (await send(bob)).status == 200
        assert network.nodes[MGMT].counters.files.refused == {413: 1, 400: 1, 507: 1}


@on_loop
async def test_body_that_is_no_upload_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path, files={}) as network, invitee(network) as person:
        alice = await DavPhone.set_up(network, person)
        assert (await alice.ask("POST", "/files", b"hello", Content_Type="text/plain")).status == 400
        for body in (b"hello", upload(b"x")[:-80], b"--" + b"x" * 20_000):
            assert (await alice.ask("POST", "/files", body, **FIELDS)).status == 400, body[:40]
        assert usage(network) == (0, 0)
        assert (await send(alice, b"")).status == 200
        assert usage(network) == (1, 0)


async def connected(
    person: Invitee, base: str, address: str = HOST
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection to the pages from *address*, for a client that writes what it likes."""
    context = ssl.create_default_context(cafile=str(person.root))
    parts = urlsplit(base)
    return await asyncio.open_connection(
        HOST, parts.port, ssl=context, server_hostname=parts.hostname, local_addr=(address, 0)
    )


def head_of(phone: DavPhone, length: int) -> bytes:
    """The head of an upload that promises *length* octets."""
    fields = {**phone.credentials, "Host": urlsplit(phone.base).netloc, "Content-Length": str(length)}
    fields |= {"Content-Type": FIELDS["Content_Type"]}
    return "".join(
        ["POST /files HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in fields.items()), "\r\n"]
    ).encode()


@on_loop
async def test_upload_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path, files={}) as network, invitee(network) as person:
        alice = await DavPhone.set_up(network, person)
        _, writer = await connected(person, alice.base)
        writer.write(head_of(alice, 1_000_000) + upload(b"x" * 500_000)[:400_000])
        await until(lambda: usage(network)[0] == 1)
        writer.transport.abort()
        await until(lambda: usage(network)[0] == 0)


@pytest.mark.wide
@within(60.0)
async def test_slow_uploads_end_and_keep_no_place_of_others(tmp_path: Path) -> None:
    """A user has two uploads at once; those that stand still end with 408, and their room is free again."""
    async with management_with_invitations(tmp_path, files={}) as network, invitee(network) as person:
        alice, bob = [await DavPhone.set_up(network, person, user) for user in ("alice", "bob")]
        slow = [await connected(person, alice.base) for _ in range(UPLOADS_OF_USER)]
        for _, writer in slow:
            writer.write(head_of(alice, 1_000_000) + upload(b"x")[:200])
        await until(lambda: usage(network)[0] == UPLOADS_OF_USER)
        assert (await send(alice)).status == 429
        assert (await send(bob)).status == 200
        for reader, writer in slow:
            assert (await reader.readline()).startswith(b"HTTP/1.1 408")
            writer.transport.abort()
        await until(lambda: usage(network)[0] == 1)
        assert (await send(alice)).status == 200


@pytest.mark.soak
@within(150.0)
async def test_transfer_may_last_longer_than_other_requests(tmp_path: Path) -> None:
    """Other connections end after a minute in any state."""
    async with management_with_invitations(tmp_path, files={}) as network, invitee(network) as person:
        alice = await DavPhone.set_up(network, person)
        body = upload(b"x" * 8 * PART)
        reader, writer = await connected(person, alice.base)
        writer.write(head_of(alice, len(body)))
        for at in range(0, len(body), PART):
            writer.write(body[at : at + PART])
            await writer.drain()
            await asyncio.sleep(10)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.transport.abort()


@on_loop
async def test_files_of_a_disabled_and_of_a_removed_user_are_not_served(tmp_path: Path) -> None:
    """A later user of the same name has none of them."""
    async with TicketPage.opened(tmp_path, files={}) as page:
        alice = await DavPhone.set_up(page.network, page.person)
        url = told(await send(alice))["url"]
        users = page.users()
        for change, status in ((users.disable, 404), (lambda aor, _: users.enable(aor), 200)):
            change(ALICE, now_utc())
            assert (await page.person.get(url)).status == status
        users.remove(ALICE)
        assert (await page.person.get(url)).status == 404
        assert (await send(alice)).status == 401
        users.add(ALICE, "another-secret")
        assert (await page.person.get(url)).status == 404
        users.close()


@on_loop
async def test_web_phone_sends_a_file_by_its_ticket_and_reads_each_answer(tmp_path: Path) -> None:
    async with TicketPage.opened(tmp_path, files={"largest_mb": 1}) as page:
        open_websocket(page.network.organisation, phone=True)
        await page.network.publish()
        origin = f"https://{FE2}:{web_address(page.network.organisation, FE2)[1]}"
        asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        allowed = await page.ask("", "OPTIONS", "/files", headers=asks)
        assert (allowed.status, "POST" in allowed.headers["Access-Control-Allow-Methods"]) == (204, True)
        headers = {"Origin": origin, "Content-Type": FIELDS["Content_Type"]}
        for ticket, body, status in (
            (page.ticket(), upload(b"x"), 200),
            ("stolen", upload(b"x"), 401),
            (page.ticket(), b"nonsense", 400),
            (page.ticket(), upload(b"x" * 1_100_000), 413),
        ):
            answer = await page.ask(ticket, "POST", "/files", data=body, headers=headers)
            assert (answer.status, answer.headers.get("Access-Control-Allow-Origin")) == (status, origin), answer.text
        evil = {**headers, "Origin": "https://evil.test"}
        assert (await page.ask(page.ticket(), "POST", "/files", data=upload(b"x"), headers=evil)).status == 403
        assert usage(page.network)[0] == 1


@on_loop
async def test_requests_of_one_user_are_counted(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path, files={}) as network, invitee(network) as person:
        alice, bob = [await DavPhone.set_up(network, person, user) for user in ("alice", "bob")]
        seen = [(await alice.ask("POST", "/files")).status for _ in range(2 * REQUESTS_A_MINUTE + 1)]
        assert (seen[0], 429 in seen) == (204, True)
        assert (await bob.ask("POST", "/files")).status == 204


@on_loop
async def test_stored_rows_and_log_have_neither_name_nor_content_nor_link(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path, files={}) as network, invitee(network) as person:
        alice = await DavPhone.set_up(network, person)
        about = told(await send(alice, b"the-secret-content", "the-secret-name.txt"))
        await person.get(about["url"])
        kept = b"".join(file.read_bytes() for file in (tmp_path / "o" / "state").glob("files.db*"))
        token = about["url"].rpartition("/")[2]
        for secret in (b"the-secret-content", b"the-secret-name", token.encode()):
            assert secret not in kept
        said = json.dumps([str(line) for line in network.told[MGMT].lines])
        assert ("file stored" in said, token in said, "secret-name" in said) == (True, False, False)
