"""The contacts of users over HTTPS and real TLS: CardDAV for phones, JSON for the web phone, and who gets nothing."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from sipmesh.server.contacts.dav_xml import MOST_PROPERTIES
from sipmesh.server.invitations.contact_pages import BOOKS_A_MINUTE, FULL
from sipmesh.server.invitations.strangers import FAILURES_A_MINUTE
from sipmesh.storage.users.contact import made_contact
from sipmesh.storage.users.contact_rows import MOST_CONTACTS, contacts_of, put_contact
from sipmesh.storage.users.user_database import Users
from support.contacts import CARD, DAV, DavPhone, vcard
from support.management_with_invitations import invitee, management_with_invitations
from support.running import on_loop

BOOK = "/contacts/book/"


def prop(*names: str) -> str:
    return f'<d:propfind xmlns:d="DAV:" xmlns:card="{CARD[1:-1]}"><d:prop>{"".join(names)}</d:prop></d:propfind>'


@on_loop
async def test_phone_finds_its_book_by_the_well_known_path_and_keeps_contacts_there(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as person:
        phone = await DavPhone.set_up(network, person)
        moved = await phone.ask("PROPFIND", "/.well-known/carddav")
        assert (moved.status, moved.headers["Location"]) == (301, "/contacts/")
        home = await phone.ask("PROPFIND", "/contacts/", prop("<card:addressbook-home-set/>"), Depth="0")
        assert (home.status, ET.fromstring(home.text).findtext(f".//{CARD}addressbook-home-set/{DAV}href")) == (  # noqa: S314
            207,
            "/contacts/",
        )
        inside = await phone.ask("PROPFIND", "/contacts/", prop("<d:resourcetype/>"), Depth="1")
        books = [
            one.findtext(f"{DAV}href")
            for one in ET.fromstring(inside.text)  # noqa: S314
            if one.find(f".//{CARD}addressbook") is not None
        ]
        assert books == [BOOK]
        assert (
            await phone.put("bob", vcard("Bob", "BOB@example.test", "TEL:+49 30 1234", "CATEGORIES:Work,A\\,B")) == 201
        )
        assert await phone.put("bob", vcard("Bobby", "bob@example.test"), If_None_Match="*") == 412
        read = await phone.ask("GET", f"{BOOK}bob.vcf")
        assert (
            "FN:Bob\r\nIMPP:sip:bob@example.test\r\nTEL;VALUE=uri:tel:+49301234\r\nCATEGORIES:Work,A\\,B" in read.text
        )
        assert await phone.put("bob", vcard("Bobby", "bob@example.test"), If_Match=read.headers["Etag"]) == 204
        assert await phone.put("bob", vcard("Late", "bob@example.test"), If_Match=read.headers["Etag"]) == 412
        assert await phone.names() == ["Bobby"]
        assert (await phone.ask("DELETE", f"{BOOK}bob.vcf")).status == 204
        assert (await phone.ask("DELETE", f"{BOOK}bob.vcf")).status == 404
        assert await phone.names() == []


@on_loop
async def test_no_login_of_another_user_reaches_the_contacts_of_a_user(tmp_path: Path) -> None:
    """No path names a user: bob with his own login has his own list. A wrong login gets 401, and ends after some."""
    async with management_with_invitations(tmp_path) as network, invitee(network) as person:
        alice, bob = [await DavPhone.set_up(network, person, user) for user in ("alice", "bob")]
        assert await alice.put("carol", vcard("Carol", "carol@example.test")) == 201
        assert await bob.names() == []
        assert (await bob.ask("GET", f"{BOOK}carol.vcf")).status == 404
        assert (await bob.ask("DELETE", f"{BOOK}carol.vcf")).status == 404
        for path in ("/contacts/alice/", "/contacts/book/../../alice/carol.vcf", "/contacts/book/alice/carol.vcf"):
            assert (await bob.ask("GET", path)).status == 404, path
        thief = DavPhone(person, alice.base, bob.password, alice.login)
        own_password = DavPhone(person, alice.base, "alice-secret", "alice@example.test")
        partner = DavPhone(person, alice.base, bob.password, "bob+json@partner.test")
        stranger = DavPhone(person, alice.base, "", "")
        for other in (thief, own_password, partner, stranger):
            for method, path in (("PROPFIND", BOOK), ("GET", f"{BOOK}carol.vcf"), ("DELETE", f"{BOOK}carol.vcf")):
                assert (await other.ask(method, path)).status == 401, (other.login, method)
        seen = [(await thief.ask("PROPFIND", BOOK)).status for _ in range(2 * FAILURES_A_MINUTE + 1)]
        assert 429 in seen
        assert await alice.names() == ["Carol"]


BOMB = '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
FILE = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
BAD_XML = [
    BOMB + '<d:propfind xmlns:d="DAV:"><d:prop><d:displayname>&b;</d:displayname></d:prop></d:propfind>',
    FILE + '<d:propfind xmlns:d="DAV:"><d:prop><d:displayname>&x;</d:displayname></d:prop></d:propfind>',
    '<d:propfind xmlns:d="DAV:">' + "<d:prop>" * 50,
    '<d:propfind xmlns:d="DAV:"><d:prop>' + "<d:x/>" * 5_000 + "</d:prop></d:propfind>",
    "<propfind",
    "\xff\x00",
]


@on_loop
async def test_entities_bombs_and_cards_that_are_none_are_refused(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as person:
        phone = await DavPhone.set_up(network, person)
        for body in BAD_XML:
            assert (await phone.ask("PROPFIND", BOOK, body)).status == 400, body[:60]
        bad_cards = ["", "FN:x", vcard("x") * 2, "BEGIN:VCARD\nnonsense\nEND:VCARD", vcard("x" * 500), vcard("a\x1bb")]
        bad_cards += [vcard(""), vcard("x", "no address"), vcard("\u202egnp.exe")]
        for card in bad_cards:
            assert await phone.put("x", card) == 403, card[:60]
        assert await phone.put("x", "x" * 70_000) == 413
        assert (await phone.ask("PUT", f"{BOOK}a%2Fb.vcf", vcard("x"))).status in {403, 404}
        assert await phone.names() == []
        assert await phone.put("x", vcard("<b>&amp;", "bob@example.test", 'NOTE;X="a:b":<script>')) == 201
        assert await phone.names() == ["<b>&amp\\;"]  # a semicolon is escaped in a vCard
        assert "script" not in (await phone.ask("GET", f"{BOOK}x.vcf")).text


@on_loop
async def test_list_has_a_bound_and_a_full_one_can_be_changed(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as person:
        phone = await DavPhone.set_up(network, person)
        users = Users(network.organisation.load().users_url)
        with users.locked() as db:
            for n in range(MOST_CONTACTS):
                put_contact(db, "sip:alice@example.test", made_contact(f"c{n}", f"Contact {n}", "", (), ()))
        assert await phone.put("more", vcard("One more")) == FULL
        assert await phone.put("c7", vcard("Other")) == 204
        assert len(await phone.names()) == MOST_CONTACTS
        users.remove("sip:alice@example.test")
        with users.reading() as db:
            assert contacts_of(db, "sip:alice@example.test") == []
        users.close()
        assert await phone.put("c7", vcard("Ghost")) == 401


@on_loop
async def test_user_cannot_keep_management_busy_with_reads_of_all_contacts(tmp_path: Path) -> None:
    """2,000 properties of 500 contacts would take a second each time. Another user reads, and the user itself writes."""
    async with management_with_invitations(tmp_path) as network, invitee(network) as person:
        alice, bob = [await DavPhone.set_up(network, person, user) for user in ("alice", "bob")]
        assert await alice.put("bob", vcard("Bob", "bob@example.test")) == 201
        names = [f"<d:p{'x' * n}/>" for n in range(MOST_PROPERTIES)]
        assert (await alice.ask("PROPFIND", BOOK, prop(*names), Depth="1")).status == 207
        assert (await alice.ask("PROPFIND", BOOK, prop(*names, "<d:getetag/>"), Depth="1")).status == 400
        seen = [(await alice.ask("PROPFIND", BOOK, Depth="1")).status for _ in range(BOOKS_A_MINUTE + 1)]
        assert set(seen[: BOOKS_A_MINUTE // 2]) == {207}
        assert seen[-1] == 429
        query = f'<c:addressbook-query xmlns:c="{CARD[1:-1]}"/>'
        assert (
            (await alice.ask("REPORT", BOOK, query)).status == (await alice.ask("GET", "/contacts/list")).status == 429
        )
        assert (await bob.ask("PROPFIND", BOOK, Depth="1")).status == 207
        assert (await alice.ask("PROPFIND", BOOK, Depth="0")).status == 207
        assert await alice.put("carol", vcard("Carol", "carol@example.test")) == 201


@pytest.mark.parametrize("method", ["MKCOL", "COPY", "PROPPATCH", "POST"])
@on_loop
async def test_methods_that_no_phone_needs_are_not_answered(tmp_path: Path, method: str) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as person:
        phone = await DavPhone.set_up(network, person)
        assert (await phone.ask(method, BOOK)).status == 405
        assert (await phone.ask("REPORT", BOOK, prop("<d:getetag/>"))).status == 403


@on_loop
async def test_list_is_json_too_for_each_login_and_for_no_page_of_another_site(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as person:
        phone = await DavPhone.set_up(network, person)
        entry = '{"name": "Bob", "address": "bob@example.test"}'
        assert (await phone.ask("PUT", "/contacts/list/b1", entry)).status == 201
        assert (await phone.ask("PUT", "/contacts/list/b1", entry, If_Match='"other"')).status == 412
        assert (await phone.ask("DELETE", "/contacts/list/b1", If_Match='"other"')).status == 412
        assert (await phone.ask("PUT", "/contacts/list/b1", "[]")).status == 403
        assert '"address": "bob@example.test"' in (await phone.ask("GET", "/contacts/list")).text
        found = await phone.ask("PROPFIND", f"{BOOK}b1.vcf", prop("<d:getetag/>"))
        assert (found.status, (await phone.ask("PROPFIND", f"{BOOK}b2.vcf")).status) == (207, 404)
        assert (await phone.ask("PROPFIND", BOOK, Depth="1")).text.count("<d:response>") == 2
        named = (
            f'<card:addressbook-multiget xmlns:d="DAV:" xmlns:card="{CARD[1:-1]}"><d:prop><card:address-data/></d:prop>'
        )
        named += f"<d:href>{BOOK}b1.vcf</d:href><d:href>/etc/passwd</d:href></card:addressbook-multiget>"
        several = (await phone.ask("REPORT", BOOK, named)).text
        assert (several.count("FN:Bob"), several.count("404 Not Found")) == (1, 1)
        assert (await phone.ask("OPTIONS", BOOK)).headers["DAV"] == "1, 3, addressbook"
        assert (await phone.ask("OPTIONS", "/contacts/list", Origin="https://evil.test")).status == 403
        assert (await phone.ask("DELETE", "/contacts/list/b1")).status == 204
