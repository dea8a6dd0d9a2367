"""Names and types of files are made harmless, and the XML has them as text."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from sipmesh.server.files.file_about import LONGEST_NAME, OCTETS, FileAbout, about_of, disposition, written_xml


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("plan.pdf", "plan.pdf"),
        ("r\u00e9sum\u00e9 \u65e5\u672c.txt", "r\u00e9sum\u00e9 \u65e5\u672c.txt"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/etc/", "file"),
        ("..", "file"),
        ("", "file"),
        (".bashrc", "bashrc"),
        ("a\r\nSet-Cookie: x", "a__Set-Cookie_ x"),
        ("a\x00b\x1b[2J", "a_b_[2J"),
        ("gpj\u202eexe.scr", "gpj_exe.scr"),
        ('"><script>.html', "___script_.html"),
        ("%2e%2e%2fx", "_2e_2e_2fx"),
        ("CON.txt", "_CON.txt"),
        ("\udcff.txt", "_.txt"),
        ("a" * 500 + ".pdf", "a" * (LONGEST_NAME - 17) + ".pdf"),
        ("a" * 500, "a" * LONGEST_NAME),
        ("a." + "b" * 500, "a." + "b" * (LONGEST_NAME - 2)),
    ],
)
def test_names_are_made_harmless(given: str, name: str) -> None:
    about = about_of(given, "text/plain")
    assert about.name == name
    assert about_of(about.name, about.type) == about


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("image/PNG; q=1", "image/png"),
        ("application/vnd.ms-excel", "application/vnd.ms-excel"),
        ("", OCTETS),
        ("text", OCTETS),
        ("text/html\r\nX: y", OCTETS),
        ("a/" + "b" * 65, OCTETS),
        ("<a>/b", OCTETS),
    ],
)
def test_types_are_types(given: str, kind: str) -> None:
    assert about_of("x", given).type == kind


def test_xml_has_what_a_phone_reads() -> None:
    about = FileAbout("a]]><b> & 'c'", "text/plain")
    info = ET.fromstring(written_xml(about, 7, "https://m.test/files/x", 0.0))[0]  # noqa: S314 - ours
    texts = [(one.tag.partition("}")[2], one.text) for one in info]
    assert texts == [("file-size", "7"), ("file-name", about.name), ("content-type", "text/plain"), ("data", None)]
    assert info[3].attrib == {"url": "https://m.test/files/x", "until": "1970-01-01T00:00:00Z"}


def test_browser_saves_the_file_under_its_name() -> None:
    assert disposition("\u00e9 1.txt") == "attachment; filename=\"_ 1.txt\"; filename*=UTF-8''%C3%A9%201.txt"
