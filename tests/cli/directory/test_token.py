"""A token of a SCIM client: shown once, and the draft has its hash."""

from __future__ import annotations

from pathlib import Path

from cli.world import sipmesh
from sipmesh.server.console.access.secret_table import hash_of
from support.managed import build_published


def test_token_is_shown_once_and_the_draft_has_its_hash(tmp_path: Path) -> None:
    organisation = build_published(tmp_path / "o", console={"listen": "127.0.0.1:8444"})
    place = ("--topology", organisation.file)
    lines = sipmesh("directory", "token", "entra", *place).out.splitlines()
    token = next(line for line in lines if len(line) == 43)
    text = organisation.file.read_text()
    assert (hash_of(token) in text, token in text) == (True, False)
    assert token not in sipmesh("directory", "token", "okta", *place).out


def test_wrong_name_and_a_missing_console_change_nothing(tmp_path: Path) -> None:
    organisation = build_published(tmp_path / "o")
    before = organisation.file.read_text()
    refused = sipmesh("directory", "token", "entra", "--topology", organisation.file)
    assert (refused.code, refused.out, "needs the HTTPS port of management" in refused.err) == (1, "", True)
    assert sipmesh("directory", "token", "En Tra", "--topology", organisation.file).code == 1
    assert organisation.file.read_text() == before
