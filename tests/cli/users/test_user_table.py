"""Users as a table: nothing secret goes out, and nothing secret comes in."""

from __future__ import annotations

import csv
import json
import stat
from pathlib import Path

import pytest

from cli.world import DOMAIN, Organisation, sipmesh
from sipmesh.storage.users.user_database import Users
from support.managed import Managed
from support.tiers import wide_after

ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"


def table(folder: Path, text: str) -> Path:
    file = folder / "users.csv"
    file.write_text(text)
    return file


def users(organisation: Organisation) -> dict[str, object]:
    return {one["user"]: one for one in organisation.type("user", "list", "--json").json}


def test_export_has_neither_password_nor_hash(organisation: Organisation, tmp_path: Path) -> None:
    organisation.add_user("alice", "--digest", "md5")
    organisation.type("user", "alias", "add", "alice", "+493012345")
    printed = organisation.type("user", "export")
    assert printed.code == 0
    head, row = csv.reader(printed.out.splitlines())
    assert head == ["user", "pool", "digest", "aliases", "disabled", "created"]
    assert row[:5] == [ALICE, f"pool1.{DOMAIN}", "MD5", "tel:+493012345", ""]
    held = Users(organisation.folder / "users.db")
    verifier = held.verifier(f"sip:{ALICE}")
    held.close()
    assert verifier is not None
    assert not any(ha1 in printed.out for ha1 in verifier.ha1.values())
    assert organisation.type("user", "export", tmp_path / "out.csv").code == 0
    assert (tmp_path / "out.csv").read_text() == printed.out
    assert organisation.type("user", "export", tmp_path / "out.csv").code == 1


def test_name_with_a_comma_stays_one_column_beside_its_password(organisation: Organisation, tmp_path: Path) -> None:
    """Without quotes, a part of the name would be read as the password."""
    given, passwords = table(tmp_path, f'user\n"a,b@{DOMAIN}"\n'), tmp_path / "passwords.csv"
    assert organisation.type("user", "import", given, "--passwords", passwords).code == 0
    [row] = csv.DictReader(passwords.read_text().splitlines())
    assert (row["user"], len(row["password"])) == (f"a,b@{DOMAIN}", 20)


@pytest.mark.parametrize("sign", wide_after(2, [",", ";", "\t"]))
def test_table_of_any_spreadsheet_is_imported(organisation: Organisation, tmp_path: Path, sign: str) -> None:
    text = sign.join(("user", "digest", "aliases")) + "\n" + sign.join(("carol", "md5", "+493012345")) + "\n"
    assert organisation.type("user", "import", table(tmp_path, text), "--passwords", tmp_path / "p.csv").code == 0
    [carol] = organisation.type("user", "list", "--json").json
    assert (carol["user"], carol["digest"], carol["aliases"]) == (f"carol@{DOMAIN}", ["MD5"], ["tel:+493012345"])


def test_no_cell_is_a_formula_and_each_name_comes_back(organisation: Organisation, tmp_path: Path) -> None:
    """A spreadsheet calculates what begins like a formula, and SIP permits such names."""
    addresses = {f"{name}@{DOMAIN}" for name in ("=1+1", "+1+cmd", "-2", "'=1+1", "''+1", "'x", "x=1")}
    for address in addresses:
        assert organisation.type("user", "add", "--password-stdin", "--", address, typed="secret-one\n").code == 0
    printed = organisation.type("user", "export").out
    cells = [cell for row in csv.reader(printed.splitlines()) for cell in row]
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    for address in addresses:
        assert organisation.type("user", "remove", "--", address).code == 0
    passwords = tmp_path / "p.csv"
    assert organisation.type("user", "import", table(tmp_path, printed), "--passwords", passwords).code == 0
    assert users(organisation).keys() == addresses
    assert not any(line.startswith(("=", "+", "-", "@")) for line in passwords.read_text().splitlines())


def test_exported_table_is_imported_with_new_passwords(organisation: Organisation, tmp_path: Path) -> None:
    given = table(tmp_path, "User,aliases,digest,disabled\nalice,+493012345 info,md5,\nBob,,,yes\n")
    passwords = tmp_path / "passwords.csv"
    imported = organisation.type("user", "import", given, "--passwords", passwords)
    assert imported.code == 0, imported.err
    assert stat.S_IMODE(passwords.stat().st_mode) == 0o600
    rows = list(csv.DictReader(passwords.read_text().splitlines()))
    assert [row["user"] for row in rows] == [ALICE, f"Bob@{DOMAIN}"]
    assert len({row["password"] for row in rows}) == 2
    assert all(row["password"] not in imported.out + imported.err for row in rows)
    made = organisation.type("user", "list", "--json").json
    assert [(one["user"], one["digest"], one["aliases"], bool(one["disabled"])) for one in made] == [
        (ALICE, ["MD5"], [f"info@{DOMAIN}", "tel:+493012345"], False),
        (BOB, ["SHA-256", "MD5"], [], True),
    ]
    again = organisation.type("user", "import", given, "--passwords", tmp_path / "more.csv")
    assert (again.code, "2 users existed already" in again.out) == (0, True)
    assert not (tmp_path / "more.csv").exists()


@pytest.mark.parametrize(
    ("text", "why"),
    wide_after(
        4,
        [
            ("user,password\nalice,secret\n", "a table has no passwords"),
            ("user,HA1_md5\nalice,0\n", "a table has no passwords"),
            ("name\nalice\n", "no column 'user'"),
            ("user\nalice@elsewhere.test\n", "users.csv:2: elsewhere.test is not a SIP domain"),
            ("user,pool\nalice,pool9.example.com\n", "is not a pool of the topology"),
            ("user,digest\nalice,sha1\n", "'SHA1' is not a digest algorithm"),
            ("user\nalice\nALICE\n", "is on line 2 already"),
            ('user\n"x', "is not a table"),
            ("user\nal\0ce\n", "is not a SIP address"),
            ("user\ncarol\n@example.com\n", "users.csv:3: '@example.com' is not a SIP address"),
            ("user\nalice\n%61lice\n", "is on line 2 already"),
            ("user\nalice\nsip:alice@example.com\n", "is on line 2 already"),
            ("user,aliases\nalice,tel:x\n", "is not a telephone number"),
            (f"user,aliases\nalice,{' '.join(map(str, range(33)))}\n", "a user has 32 at most"),
        ],
    ),
)
def test_wrong_table_adds_no_user(organisation: Organisation, tmp_path: Path, text: str, why: str) -> None:
    passwords = tmp_path / "passwords.csv"
    refused = organisation.type("user", "import", table(tmp_path, text), "--passwords", passwords)
    assert refused.code == 1
    assert why in refused.err
    assert (users(organisation), passwords.exists()) == ({}, False)


def test_passwords_go_to_a_new_file_only(organisation: Organisation, tmp_path: Path) -> None:
    given = table(tmp_path, "user\nalice\n")
    assert "--passwords FILE" in organisation.type("user", "import", given).err
    (tmp_path / "there.csv").write_text("mine")
    assert organisation.type("user", "import", given, "--passwords", tmp_path / "there.csv").code == 1
    assert (users(organisation), (tmp_path / "there.csv").read_text()) == ({}, "mine")


def test_name_that_is_taken_is_reported_and_the_others_are_added(organisation: Organisation, tmp_path: Path) -> None:
    organisation.add_user("carol")
    organisation.type("user", "alias", "add", "carol", "info")
    given = table(tmp_path, "user\ninfo\nalice\n")
    imported = organisation.type("user", "import", given, "--passwords", tmp_path / "p.csv")
    assert "line 2: " in imported.out
    assert sorted(users(organisation)) == [ALICE, f"carol@{DOMAIN}"]


def test_each_imported_user_is_a_line_of_the_audit_log(managed: Managed, tmp_path: Path) -> None:
    given = table(tmp_path, "user,pool\ncarol@example.test,pool1.example.test\ndora@example.test,pool1.example.test\n")
    file = managed.organisation.file
    imported = sipmesh("user", "import", given, "--passwords", tmp_path / "p.csv", topology=file)
    assert imported.code == 0, imported.err
    told = sipmesh("audit", "--json", "--action", "user", topology=file).out
    assert [line["about"]["added"] for line in map(json.loads, told.splitlines())] == [
        "carol@example.test",
        "dora@example.test",
    ]
