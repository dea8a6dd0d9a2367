"""The contacts of the portal over real TLS: a user sees and changes the own list, and no request reaches another one."""

from __future__ import annotations

from pathlib import Path

from support.portal import PortalBrowser, portal
from support.running import on_loop

PAGE, REMOVE = "/portal/contacts", "/portal/contacts/remove"


@on_loop
async def test_user_adds_changes_and_removes_contacts_that_no_other_user_sees(tmp_path: Path) -> None:
    async with portal(tmp_path) as (network, provider), PortalBrowser(network) as alice, PortalBrowser(network) as bob:
        assert (await alice.get(PAGE)).status == 303
        await alice.sign_in(provider)
        markup = "<script>alert(1)</script>"
        kept = await alice.fill(
            PAGE, name=markup, address="bob@example.test", numbers="+49 30 1, x", groups="Work, Choir"
        )
        assert "The contact is kept" in kept.text
        assert markup not in kept.text
        assert all(part in kept.text for part in ("&lt;script&gt;", "+49301", "Work, Choir"))
        contact = kept.text.partition("/portal/contacts?id=")[2].partition('"')[0]
        changed = await alice.fill(PAGE, f"?id={contact}", id=contact, name="Bob", address="bob@example.test")
        assert (changed.text.count("/portal/contacts?id="), "&lt;script&gt;" in changed.text) == (1, False)
        refused = await alice.fill(PAGE, name="x", address="no address")
        assert (refused.status, "is not a SIP address" in refused.text) == (409, True)
        await bob.sign_in(provider, "bob")
        theirs = await bob.get(PAGE)
        assert (theirs.status, contact in theirs.text) == (200, False)
        await bob.post(REMOVE, id=contact, user="alice@example.test")
        assert contact in (await alice.get(PAGE)).text
        assert "is removed" in (await alice.post(REMOVE, id=contact)).text
        assert contact not in (await alice.get(PAGE)).text
