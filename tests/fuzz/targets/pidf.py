"""Presence documents: what is written for them is well-formed, within bounds, and read back as the same parts."""

from __future__ import annotations

from typing import Final

from defusedxml.ElementTree import fromstring

from fuzz.target import Target, require
from sipmesh.errors import RemoteError
from sipmesh.routing.events.pidf import MAX_COMPOSED, MAX_ELEMENTS, PIDF, ROOT, compose, parse_pidf

AOR: Final = "sip:bob@example.test"


def check(data: bytes) -> None:
    """Read *data* as a document, and compose it with itself."""
    try:
        read = parse_pidf(data, "p1-")
    except RemoteError as wrong:
        require(wrong.status == 400, f"status {wrong.status}")
        return
    composed = compose(AOR, [read, read], is_there=True)
    require(len(composed) <= MAX_COMPOSED + len("</presence>\n"), f"{len(composed)} octets")
    require(fromstring(composed).tag == ROOT, "another root")
    require(len(fromstring(compose(AOR, [read], is_there=False))) == 1, "presence of a user who is not there")
    alone = compose(AOR, [read], is_there=True)
    if len(list(fromstring(alone).iter())) <= MAX_ELEMENTS and len(alone) < MAX_COMPOSED // 2:
        _check_read_back(read.parts, alone)


def _check_read_back(parts: tuple[str, ...], composed: bytes) -> None:
    again = parse_pidf(composed, "").parts
    require(again[len(again) - len(parts) :] == parts, f"{parts} are read back as {again}")


def _document(inside: str) -> bytes:
    return (
        f'<?xml version="1.0"?><presence xmlns="{PIDF}" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"'
        f' xmlns:v="urn:vendor" entity="{AOR}">{inside}</presence>'
    ).encode()


TUPLE: Final = '<tuple id="t1"><status><basic>open</basic></status><contact priority="0.8">sip:bob@h</contact></tuple>'

TARGET: Final = Target(
    name="pidf",
    holds="raises RemoteError only; what is composed is well-formed, bounded, and read back as the same parts",
    check=check,
    seeds=(
        _document(TUPLE),
        _document(TUPLE + '<dm:person id="p"><v:mood a="&lt;1&gt;">so &amp; so</v:mood></dm:person>'),
        _document('<note xml:lang="de">Tsch\u00fcs&#13;&#10;</note>'),
        _document(f'{TUPLE}<!-- c --><?pi x?><![CDATA[<a>]]><v:x v:a="1" b="&quot;"/>'),
        _document(TUPLE).decode().encode("utf-16"),
        b'<!DOCTYPE p [<!ENTITY e "x">]><p>&e;</p>',
    ),
    work=200,
)
