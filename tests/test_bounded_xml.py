"""XML from others is read up to its bounds, and no further."""

from __future__ import annotations

import pytest

from sipmesh.bounded_xml import XmlBounds, parse_xml
from sipmesh.errors import RemoteError

BOUNDS = XmlBounds(elements=3, deepest=2, attributes=2, namespace=5)


def parse(text: str) -> str:
    return str(parse_xml(text.encode(), BOUNDS, what="a letter", rule="here").tag)


@pytest.mark.parametrize("text", ["<a/>", '<a x="1" y="2"><b/><b/></a>', '<a xmlns="12345"/>'])
def test_document_at_its_bounds_is_read(text: str) -> None:
    assert parse(text).endswith("a")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<a><b/><b/><b/></a>", "3 elements"),
        ("<a><b><c/></b></a>", "2 inside"),
        ('<a x="1" y="2" z="3"/>', "2 attributes"),
        ('<a xmlns="123456"/>', "5 characters"),
        ("<a>", "not a letter"),
        ('<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "not a letter"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "not a letter"),
    ],
)
def test_document_beyond_them_is_refused(text: str, why: str) -> None:
    with pytest.raises(RemoteError, match=why):
        parse(text)
