"""Requests of CardDAV are read within bounds, and answers say what is there and what is missing."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from sipmesh.errors import RemoteError
from sipmesh.server.contacts.dav_xml import CARD, DAV, MULTIGET, PROPFIND, multistatus, read_request

NAME = f"{{{DAV}}}displayname"


def test_request_has_its_properties_and_resources() -> None:
    text = f'<c:addressbook-multiget xmlns="DAV:" xmlns:c="{CARD}"><prop><getetag/></prop>'
    text += "<href> /a </href></c:addressbook-multiget>"
    asked = read_request(text.encode())
    assert (asked.root, asked.properties, asked.hrefs) == (MULTIGET, (f"{{{DAV}}}getetag",), ("/a",))
    assert read_request(b" ") == read_request(b'<propfind xmlns="DAV:"><allprop/></propfind>')
    assert read_request(b"").root == PROPFIND


def test_answer_tells_missing_properties_and_repeats_no_unknown_namespace() -> None:
    asked = (NAME, f"{{{DAV}}}quota", "{urn:x}evil", NAME)
    text = multistatus([("/a&b", {NAME: "A"}), ("/gone", None)], asked)
    root = ET.fromstring(text)  # noqa: S314 - our own document
    assert [one.findtext(f"{{{DAV}}}href") for one in root] == ["/a&b", "/gone"]
    told = {one.findtext(f"{{{DAV}}}status", "").split()[1]: [p.tag for p in one[0]] for one in root[0][1:]}
    assert told == {"200": [NAME], "404": [f"{{{DAV}}}quota"]}
    assert "evil" not in text


@pytest.mark.parametrize("body", [b"<", b"<!DOCTYPE x><propfind/>", b"<a>" * 20, b"<a>" + b"<b/>" * 3_000 + b"</a>"])
def test_what_is_out_of_bounds_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteError):
        read_request(body)
