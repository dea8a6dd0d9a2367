"""Documents about registrations and waiting messages."""

from __future__ import annotations

from defusedxml.ElementTree import fromstring

from routing.messages import BOB
from sipmesh.routing.events.reginfo import reginfo
from sipmesh.routing.registrar.binding import Binding

SPACE = "{urn:ietf:params:xml:ns:reginfo}"


def row(contact: str, agent: str = "") -> Binding:
    return Binding(BOB, contact, None, None, 0.5, 'c"1', 3, "fe1", 1, 2, "token", 100.0, agent)


def test_registered_user_is_active_with_its_contacts() -> None:
    root = fromstring(reginfo(BOB, [row("sip:bob@192.0.2.1;x=<&>", "phone <1>")], 4))
    assert (root.get("version"), root.get("state")) == ("4", "full")
    [registration] = root
    assert (registration.get("aor"), registration.get("state")) == (BOB, "active")
    [contact] = registration
    assert (contact.get("callid"), contact.get("cseq"), contact.get("q")) == ('c"1', "3", "0.5")
    assert contact.findtext(f"{SPACE}uri") == "sip:bob@192.0.2.1;x=<&>"
    assert contact.findtext(f"{SPACE}unknown-param") == "phone <1>"


def test_user_without_contacts_is_terminated() -> None:
    [registration] = fromstring(reginfo(BOB, [], 0))
    assert (registration.get("state"), len(registration)) == ("terminated", 0)


def test_octets_that_are_not_utf_8_do_not_break_the_document() -> None:
    fromstring(reginfo(BOB, [row("sip:caf\udce9@192.0.2.1")], 0))
