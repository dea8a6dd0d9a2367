"""Presence documents: what is read, what is refused, and what is composed of several."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from contextlib import suppress

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.errors import RemoteError
from sipmesh.routing.events.pidf import (
    MAX_ATTRIBUTES,
    MAX_COMPOSED,
    MAX_DEPTH,
    MAX_ELEMENTS,
    MAX_NAMESPACE,
    PIDF,
    compose,
    parse_pidf,
)

BOB = "sip:bob@example.test"


def document(inside: str) -> bytes:
    return (
        f'<?xml version="1.0"?><presence xmlns="{PIDF}" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"'
        f' xmlns:v="urn:vendor" entity="{BOB}">{inside}</presence>'
    ).encode()


def composed(*bodies: bytes, is_there: bool = True) -> ET.Element:
    parsed = [parse_pidf(body, f"p{number}-") for number, body in enumerate(bodies)]
    return fromstring(compose(BOB, parsed, is_there=is_there))


def basics(root: ET.Element) -> list[str | None]:
    return [one.text for one in root.iter(f"{{{PIDF}}}basic")]


TUPLE = '<tuple id="t1"><status><basic>open</basic></status><contact priority="0.8">sip:bob@192.0.2.1</contact></tuple>'


def test_user_without_a_document_is_open_or_closed_by_its_registration() -> None:
    assert basics(composed()) == ["open"]
    assert basics(composed(is_there=False)) == ["closed"]
    assert composed().get("entity") == BOB


def test_documents_of_two_devices_are_composed_with_different_ids() -> None:
    root = composed(document(TUPLE), document(TUPLE.replace("open", "closed")))
    assert basics(root) == ["open", "closed"]
    assert len({one.get("id") for one in root.iter(f"{{{PIDF}}}tuple")}) == 2


def test_published_documents_of_who_is_gone_do_not_count() -> None:
    assert basics(composed(document(TUPLE), is_there=False)) == ["closed"]


def test_person_notes_and_foreign_elements_survive() -> None:
    inside = (
        '<dm:person id="p"><v:mood a="&lt;1&gt;">so &amp; so</v:mood></dm:person><note xml:lang="de">Tsch\u00fcs</note>'
    )
    root = composed(document(TUPLE + inside))
    mood = root.find(".//{urn:vendor}mood")
    assert mood is not None
    assert (mood.text, mood.get("a")) == ("so & so", "<1>")
    note = root.find(f"{{{PIDF}}}note")
    assert note is not None
    assert (note.text, note.get("{http://www.w3.org/XML/1998/namespace}lang")) == ("Tsch\u00fcs", "de")


def test_elements_of_pidf_have_no_prefix() -> None:
    """Some phones compare names as they are written."""
    body = document(TUPLE).replace(b"<tuple", b"<p:tuple").replace(b"</tuple", b"</p:tuple")
    body = body.replace(b"xmlns:dm", f'xmlns:p="{PIDF}" xmlns:dm'.encode())
    assert b"<tuple id=" in compose(BOB, [parse_pidf(body, "")], is_there=True)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no xml",
        b"<presence/>",
        b"\xff\xfe",
        b'<?xml version="1.0" encoding="no-such"?><a/>',
        document("<tuple>").replace(b"</presence>", b""),
        b'<!DOCTYPE presence><presence xmlns="urn:ietf:params:xml:ns:pidf"/>',
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><presence xmlns="urn:ietf:params:xml:ns:pidf">&b;</presence>',
        b'<!DOCTYPE x SYSTEM "http://192.0.2.1/x.dtd"><presence xmlns="urn:ietf:params:xml:ns:pidf"/>',
    ],
)
def test_what_is_no_presence_document_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteError):
        parse_pidf(body, "")


def test_depth_and_number_of_elements_have_a_limit() -> None:
    def deep(levels: int) -> bytes:
        return document("<v:a>" * levels + "</v:a>" * levels)

    parse_pidf(deep(MAX_DEPTH - 1), "")
    with pytest.raises(RemoteError):
        parse_pidf(deep(MAX_DEPTH), "")
    parse_pidf(document("<v:a/>" * (MAX_ELEMENTS - 1)), "")
    with pytest.raises(RemoteError):
        parse_pidf(document("<v:a/>" * MAX_ELEMENTS), "")
    with pytest.raises(RemoteError):
        parse_pidf(deep(4000), "")


def test_composed_document_has_a_limit() -> None:
    large = parse_pidf(document(f"{TUPLE}<note>{'x' * 15_000}</note>"), "")
    assert len(compose(BOB, [large] * 10, is_there=True)) < MAX_COMPOSED + 100


def element(name: str, *attributes: str) -> str:
    return " ".join([f"<{name}", *(attribute + '="1"' for attribute in attributes), "/>"])


@pytest.mark.parametrize(("length", "is_read"), [(MAX_NAMESPACE, True), (MAX_NAMESPACE + 1, False)])
def test_name_of_a_namespace_has_a_limit(length: int, *, is_read: bool) -> None:
    """The parser repeats it in each name: 790 attributes in a namespace of 7,900 characters took 30 ms."""
    inside = element("z:a", *(f"z:b{number}" for number in range(400)))
    body = f'<presence xmlns="{PIDF}" xmlns:z="{"u" * length}"><note>{inside}</note></presence>'.encode()
    if is_read:
        assert parse_pidf(body, "").size < MAX_COMPOSED
    else:
        with pytest.raises(RemoteError, match="namespace"):
            parse_pidf(body, "")


@pytest.mark.parametrize(("count", "is_read"), [(MAX_ATTRIBUTES - 1, True), (MAX_ATTRIBUTES, False)])
def test_number_of_attributes_has_a_limit(count: int, *, is_read: bool) -> None:
    """Those of all elements count: the root has one."""
    first, second = (element("v:a", *(f"b{number}" for number in range(part))) for part in (100, count - 100))
    body = document(first + second)
    if is_read:
        assert parse_pidf(body, "").parts
    else:
        with pytest.raises(RemoteError, match="attributes"):
            parse_pidf(body, "")


def test_namespace_that_each_element_declares_again_counts() -> None:
    """A document of 10 KiB becomes one of 80 KiB."""
    body = f'<presence xmlns="{PIDF}" xmlns:z="{"u" * MAX_NAMESPACE}"><note>{"<z:a/>" * 250}</note></presence>'.encode()
    with pytest.raises(RemoteError, match="octets"):
        parse_pidf(body, "")


def test_element_of_the_namespace_of_xml_keeps_its_prefix() -> None:
    note = composed(f'<presence xmlns="{PIDF}"><note><xml:a/></note></presence>'.encode()).find(f"{{{PIDF}}}note")
    assert note is not None
    assert note[0].tag == "{http://www.w3.org/XML/1998/namespace}a"


def test_carriage_return_in_a_text_is_no_line_feed_afterwards() -> None:
    note = composed(document(f"{TUPLE}<note>a&#13;b</note>")).find(f"{{{PIDF}}}note")
    assert note is not None
    assert note.text == "a\rb"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=50))
def test_text_comes_back_as_it_was(text: str) -> None:
    """No text of a user becomes an element of the composed document."""
    root = ET.Element(f"{{{PIDF}}}presence")
    ET.SubElement(root, f"{{{PIDF}}}note").text = text
    note = composed(ET.tostring(root)).find(f"{{{PIDF}}}note")
    assert note is not None
    assert (note.text or "") == text


@given(st.binary(max_size=200))
def test_any_octets_are_parsed_or_refused(body: bytes) -> None:
    with suppress(RemoteError):
        parse_pidf(body, "")
