"""vCards of real phones are read as contacts, and what others have written stays text."""

from __future__ import annotations

import pytest

from sipmesh.errors import OperatorError
from sipmesh.server.contacts.vcard import MOST_LINES, read_vcard, write_vcard
from sipmesh.storage.users.contact import made_contact


def card(*lines: str) -> str:
    return "\r\n".join(["BEGIN:VCARD", *lines, "END:VCARD", ""])


def test_card_of_version_3_is_read_as_other_phones_write_it() -> None:
    text = card(
        "VERSION:3.0",
        "N:Berg;Bob;;;", 'item1.TEL;TYPE="a:b",work:+49 30\r\n  1234', "IMPP;X-SERVICE-TYPE=SIP:sip:bob@example.test",
        "CATEGORIES:Work,Choir\\, old", "PHOTO;ENCODING=b:AAAA", "EMAIL:bob@example.test", "uid:u1",
    )  # fmt: skip
    read = read_vcard(text, "c1")
    assert (read.name, read.address, read.uid) == ("Bob Berg", "bob@example.test", "u1")
    assert (read.numbers, read.groups) == (("+49301234",), ("Work", "Choir, old"))


def test_written_card_is_read_as_the_same_contact() -> None:
    made = made_contact("c1", "A;B,C\\D <b>", "bob@example.test", ["+4930", "112"], ["x,y", "z;"], "urn:uuid:1")
    assert read_vcard(write_vcard(made), "c1") == made


def test_target_may_be_in_other_properties() -> None:
    assert read_vcard(card("FN:x", "TEL;VALUE=uri:sip:bob@example.test;user=phone"), "c").address == "bob@example.test"
    assert read_vcard(card("FN:x", "X-SIP:bob@example.test"), "c").address == "bob@example.test"
    assert read_vcard(card("FN:x", "TEL;VALUE=uri:tel:+49301234;ext=5"), "c").numbers == ("+49301234",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "FN:x",
        card("FN:x") * 2,
        f"{card('FN:x')}FN:y",
        card("FN"),
        card("FN:x", "\x00"),
        card(*["NOTE:x"] * MOST_LINES),
        card("NOTE:nobody is named"),
        card("FN:a", "IMPP:sip:"),
        card("FN:a\x1b[2J"),
    ],
)
def test_what_is_no_card_of_one_contact_is_refused(text: str) -> None:
    with pytest.raises(OperatorError):
        read_vcard(text, "c1")
