"""Root and the folder of another user: each command refuses before it has written anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.world import sipmesh

NOBODY, UNKNOWN = 65534, 64321
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
COMMANDS = [
    ("user", "add", "alice", "--password-stdin"),
    ("ca", "issue", "fe1.example.com"),
    ("ca", "crl"),
    ("topology", "publish", "-m", "why"),
    ("status",),
    ("serve", "fe1.example.com"),
]


def written(folder: Path) -> dict[Path, float]:
    return {file: file.stat().st_mtime for file in folder.rglob("*")}


@pytest.fixture(name="theirs")
def _theirs(tmp_path: Path) -> Path:
    """An organisation whose files belong to another user."""
    folder = tmp_path / "o"
    assert sipmesh("init", "example.com", "--dir", folder).code == 0
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    return folder


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_root_does_not_work_in_the_folder_of_another_user(command: tuple[str, ...], theirs: Path) -> None:
    before = written(theirs)
    refused = sipmesh(*command, typed="alice-secret\n", topology=theirs / "topology.yaml")
    assert refused.code == 1
    assert "belongs to nobody" in refused.err
    assert "runuser -u nobody -- sipmesh" in refused.err
    assert written(theirs) == before


@pytest.mark.parametrize("command", [("init", "example.com"), ("join", "request", "fe2.example.com")], ids=" ".join)
def test_root_makes_nothing_in_the_folder_of_another_user(command: tuple[str, ...], tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, UNKNOWN, UNKNOWN)
    refused = sipmesh(*command, "--dir", folder)
    assert (refused.code, f"belongs to {UNKNOWN}" in refused.err) == (1, True)
    assert list(folder.iterdir()) == []


def test_root_works_in_a_folder_of_root(tmp_path: Path) -> None:
    """The control."""
    folder = tmp_path / "o"
    assert sipmesh("init", "example.com", "--dir", folder).code == 0
    added = sipmesh(
        "user", "add", "alice", "--password-stdin", typed="alice-secret\n", topology=folder / "topology.yaml"
    )
    assert added.code == 0, added.err


def test_root_types_a_command_without_an_organisation_in_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a folder of another user that has no organisation, as the current one, keeps root from nothing."""
    os.chown(tmp_path, NOBODY, NOBODY)
    monkeypatch.chdir(tmp_path)
    shown = sipmesh("topology", "schema")
    assert shown.code == 0, shown.err
