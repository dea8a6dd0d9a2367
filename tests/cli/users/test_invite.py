"""`sipmesh user invite` and `invitations`: a link is printed once, and each row of a table gets one."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from cli.world import sipmesh
from support.managed import build_published
from support.tiers import wide_after

ALICE = "alice@example.test"


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return build_published(tmp_path / "o", invitations={"listen": 8445, "name": "join.example.test",
        "certificate": "servers/join.pem", "key": "servers/join.key"}).file  # fmt: skip


def test_invitation_is_printed_with_code_and_fingerprint(file: Path) -> None:
    made = sipmesh("user", "invite", "alice", "--topology", file)
    assert made.code == 0, made.err
    assert all(part in made.out for part in (ALICE, "https://join.example.test:8445/i/", "█", "SHA-256"))


def test_link_is_never_listed_again(file: Path) -> None:
    letter = json.loads(sipmesh("user", "invite", "alice", "--device", "desk", "--json", "--topology", file).out)
    listed = sipmesh("user", "invitations", "--json", "--topology", file).out
    [one] = json.loads(listed)
    assert (one["id"], one["device"], one["is_ticket"]) == (letter["invitation"], "desk", False)
    assert letter["link"].rpartition("/")[2] not in listed
    shown = sipmesh("user", "invitations", "alice", "--topology", file).out
    assert (letter["invitation"] in shown, "sent" in shown) == (True, True)
    assert sipmesh("user", "invitations", "--revoke", letter["invitation"], "--topology", file).code == 0
    assert "no open invitation" in sipmesh("user", "invitations", "--topology", file).out
    assert sipmesh("user", "invitations", "--revoke", letter["invitation"], "--topology", file).code == 1


@pytest.mark.parametrize(
    ("options", "why"),
    wide_after(
        3,
        [
            ((), "name a user"),
            (("carol",), "is not a user"),
            (("alice", "--for", "31d"), "30 days"),
            (("alice", "--for", "soon"), "30 days"),
            (("alice", "--mac", "001565aabbcc"), "desk phone"),
            (("alice", "--phone", "yealink"), "desk phone"),
            (("alice", "--csv", "x.csv", "--to", "y.csv"), "and no user"),
            (("--csv", "nothing.csv", "--to", "y.csv"), "the table cannot be read"),
        ],
    ),
)
def test_wrong_use_names_what_is_wrong_and_makes_no_invitation(file: Path, options: tuple[str, ...], why: str) -> None:
    refused = sipmesh("user", "invite", *options, "--topology", file)
    assert (refused.code, why in refused.err) == (1, True), refused.err
    assert "no open invitation" in sipmesh("user", "invitations", "--topology", file).out


def test_topology_without_pages_is_named_before_an_invitation_is_made(tmp_path: Path) -> None:
    refused = sipmesh("user", "invite", "alice", "--topology", build_published(tmp_path / "o").file)
    assert (refused.code, "add `invitations:" in refused.err) == (1, True)


def test_each_row_of_a_table_gets_a_link_in_a_file_for_its_owner(file: Path, tmp_path: Path) -> None:
    table, links = tmp_path / "phones.csv", tmp_path / "links.csv"
    table.write_text("user,device,phone,mac\nalice,mobile,linphone,\nbob,desk,yealink,00:15:65:aa:bb:cc\n")
    made = sipmesh("user", "invite", "--csv", table, "--to", links, "--topology", file)
    assert (made.code, "2 invitations" in made.out) == (0, True), made.err
    rows = list(csv.DictReader(links.read_text().splitlines()))
    assert [(row["user"], row["device"]) for row in rows] == [(ALICE, "mobile"), ("bob@example.test", "desk")]
    assert ("/i/" in rows[0]["link"], "/d/" in rows[1]["link"]) == (True, True)
    assert links.stat().st_mode & 0o077 == 0
    again = sipmesh("user", "invite", "--csv", table, "--to", links, "--topology", file)
    assert (again.code, rows == list(csv.DictReader(links.read_text().splitlines()))) == (1, True)


@pytest.mark.parametrize("text", ["name\nalice\n", "user,password\nalice,x\n", "user\n\n,\n", 'user\n"alice\n', ""])
def test_table_that_is_none_is_refused(file: Path, tmp_path: Path, text: str) -> None:
    table = tmp_path / "phones.csv"
    table.write_text(text)
    refused = sipmesh("user", "invite", "--csv", table, "--to", tmp_path / "links.csv", "--topology", file)
    assert refused.code == 1, refused.out


def test_links_of_the_rows_before_a_wrong_one_are_kept(file: Path, tmp_path: Path) -> None:
    """Their invitations count, so the file must have them."""
    table, links = tmp_path / "phones.csv", tmp_path / "links.csv"
    table.write_text("user\nalice\nnobody\n")
    assert sipmesh("user", "invite", "--csv", table, "--to", links, "--topology", file).code == 1
    assert [row["user"] for row in csv.DictReader(links.read_text().splitlines())] == [ALICE]


def test_code_is_written_as_svg_for_its_owner(file: Path, tmp_path: Path) -> None:
    svg = tmp_path / "alice.svg"
    assert sipmesh("user", "invite", "alice", "--svg", svg, "--topology", file).code == 0
    assert svg.read_text().startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert svg.stat().st_mode & 0o077 == 0
