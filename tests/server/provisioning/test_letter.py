"""The letter of an invitation: a QR code has the link, and no letter is made without pages."""

from __future__ import annotations

import sys

import pytest

from sipmesh.server.provisioning.letter import qr_for_terminal, qr_svg

LINK = "https://join.example.test:8445/i/" + "A" * 32


def test_qr_code_is_made_for_terminals_and_pages() -> None:
    lines = qr_for_terminal(LINK).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == (len(lines[0]) + 1) // 2
    assert set("".join(lines)) <= set("█▀▄ ")
    assert qr_svg(LINK).startswith("<svg ")


def test_without_segno_there_is_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segno", None)
    assert (qr_svg(LINK), qr_for_terminal(LINK)) == ("", "")
