"""Losing the host of an organisation, and having it back."""

from pathlib import Path

import pytest

from cli.world import DOMAIN, FE1, Organisation, sipmesh

PASSPHRASE = "correct horse battery staple"


@pytest.fixture(name="words")
def _words(tmp_path: Path) -> Path:
    """The passphrase in a file for its owner alone."""
    file = tmp_path / "words"
    file.write_text(f"{PASSPHRASE}\n")
    file.chmod(0o600)
    return file


@pytest.mark.wide
def test_an_organisation_is_lost_and_back_and_goes_on(organisation: Organisation, tmp_path: Path, words: Path) -> None:
    organisation.add_user("alice")
    file, folder = tmp_path / "one.backup", tmp_path / "back"
    made = organisation.type("backup", file, "--passphrase-file", words)
    assert (made.code, str(file) in made.out) == (0, True)
    restored = sipmesh("restore", file, "--dir", folder, "--passphrase-file", words)
    assert restored.code == 0, restored.err
    assert "if the address of this host differs from the old host" in restored.out
    assert "repeat later revocations" in restored.out
    assert "sipmesh serve" in restored.out
    there = folder / "topology.yaml"
    assert sipmesh("topology", "check", topology=there).code == 0
    assert sipmesh("user", "list", "--json", topology=there).json[0]["user"] == f"alice@{DOMAIN}"
    assert sipmesh("ca", "issue", FE1, topology=there).code == 0
    assert sipmesh("ca", "revoke", FE1, "--reason", "superseded", topology=there).code == 0
    assert PASSPHRASE not in made.out + made.err + restored.out + restored.err


@pytest.mark.wide
def test_the_passphrase_may_come_from_the_standard_input(organisation: Organisation, tmp_path: Path) -> None:
    file = tmp_path / "one.backup"
    made = organisation.type("backup", file, "--passphrase-file", "-", typed=f"{PASSPHRASE}\n")
    assert made.code == 0, made.err
    wrong = sipmesh("restore", file, "--dir", tmp_path / "x", "--passphrase-file", "-", typed="passphrase is wrong\n")
    assert (wrong.code, "passphrase is wrong" in wrong.err) == (1, True)
    assert not (tmp_path / "x").exists()
    right = sipmesh("restore", file, "--dir", tmp_path / "x", "--passphrase-file", "-", typed=f"{PASSPHRASE}\n")
    assert right.code == 0, right.err


@pytest.mark.parametrize(
    ("mode", "content", "why"),
    [
        (0o640, PASSPHRASE, "chmod 600"),
        (0o600, "", "first line"),
        (0o600, "\nsecond", "first line"),
        (0o600, "short", "12 characters"),
        (0o600, None, "cannot be read"),
    ],
)
def test_a_passphrase_that_protects_nothing_is_refused(
    organisation: Organisation, tmp_path: Path, words: Path, mode: int, content: str | None, why: str
) -> None:
    if content is None:
        words.unlink()
    else:
        words.write_text(content)
        words.chmod(mode)
    left = organisation.type("backup", tmp_path / "one.backup", "--passphrase-file", words)
    assert left.code == 1
    assert why in left.err
    assert not (tmp_path / "one.backup").exists()


@pytest.mark.wide
def test_a_backup_and_a_folder_that_are_there_are_left_alone(
    organisation: Organisation, tmp_path: Path, words: Path
) -> None:
    file = tmp_path / "one.backup"
    assert organisation.type("backup", file, "--passphrase-file", words).code == 0
    again = organisation.type("backup", file, "--passphrase-file", words)
    assert (again.code, "does not overwrite" in again.err) == (1, True)
    over = sipmesh("restore", file, "--dir", organisation.folder, "--passphrase-file", words)
    assert (over.code, "does not overwrite" in over.err) == (1, True)


def test_a_folder_that_is_missing_is_named_and_not_the_file_that_was_to_be_made_in_it(
    organisation: Organisation, tmp_path: Path, words: Path
) -> None:
    left = organisation.type("backup", tmp_path / "none" / "one.backup", "--passphrase-file", words)
    assert left.code == 1
    assert f"{tmp_path / 'none'}: is not a folder" in left.err


def test_passphrase_of_a_backup_that_is_not_there_is_not_asked_for(tmp_path: Path) -> None:
    left = sipmesh("restore", tmp_path / "none", "--dir", tmp_path / "x")
    assert left.code == 1
    assert "name a backup file" in left.err


def test_users_who_were_exported_are_imported_where_there_are_none(organisation: Organisation, tmp_path: Path) -> None:
    organisation.add_user("alice")
    export = tmp_path / "users-export.db"
    (organisation.folder / "users.db").rename(export)
    assert organisation.type("user", "import", export).code == 0
    assert f"alice@{DOMAIN}" in organisation.type("user", "list").out
    assert organisation.type("user", "import", export).code == 1
    assert "there is no regular file" in organisation.type("user", "import", tmp_path / "none.db").err
