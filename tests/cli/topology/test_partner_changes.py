"""A partner is changed, removed and unblocked; each is in force by the one command if the draft has no other change."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cli.world import Organisation, sipmesh
from support.tiers import wide_after

PARTNER = "partner.test"


@pytest.fixture(name="federated_model", scope="module")
def _federated_model(organisation_model: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    """An organisation with an edge and a partner."""
    theirs = tmp_path_factory.mktemp("p") / "p"
    assert sipmesh("init", PARTNER, "--dir", theirs).code == 0
    made = organisation_model.copied(tmp_path_factory.mktemp("o") / "o")
    assert made.type("topology", "add", "pool", "--role", "edge").code == 0
    made.publish("an edge")
    ca = theirs / "ca"
    credentials = ("--ca", ca / "root.pem", "--crl", ca / "root.crl", "--crl", ca / "issuing.crl")
    added = made.type("partner", "add", PARTNER, "--edge", f"sip.{PARTNER}", *credentials)
    assert added.code == 0, added.err
    return made


@pytest.fixture(name="federated")
def _federated(federated_model: Organisation, tmp_path: Path) -> Organisation:
    return federated_model.copied(tmp_path / "o")


def in_force(organisation: Organisation) -> object:
    listed = organisation.type("partner", "list", "--json").json
    return [(one["domains"], one["edge"], one["client_usage"]) for one in listed["partners"]], listed["blocked"]


@pytest.mark.wide
def test_partner_is_changed_key_by_key(federated: Organisation) -> None:
    changes = ("domains+=second.test", "edge=border.partner.test:5070", "client_usage=server-ok")
    changed = federated.type("partner", "change", "Partner.test", *changes)
    assert changed.code == 0, changed.err
    assert "is published" in changed.out
    one = ([PARTNER, "second.test"], "border.partner.test:5070", "server-ok")
    assert in_force(federated) == ([one], [])


def test_partner_is_removed_and_not_blocked(federated: Organisation) -> None:
    before = federated.file.read_bytes(), in_force(federated)
    refused = federated.type("partner", "remove", PARTNER)
    assert (refused.code, "links use it" in refused.err) == (1, True)
    assert (federated.file.read_bytes(), in_force(federated)) == before
    assert federated.type("partner", "remove", PARTNER, "--force").code == 0
    assert in_force(federated) == ([], [])


@pytest.mark.wide
def test_blocked_partner_is_a_partner_again_whole_once_it_is_unblocked(federated: Organisation) -> None:
    """With its files and its other keys; by one of its names."""
    before = federated.type("partner", "list", "--json").json
    assert federated.type("partner", "block", PARTNER).code == 0
    assert federated.type("partner", "list", "--json").json["partners"] == []
    unblocked = federated.type("partner", "unblock", f"sip.{PARTNER}")
    assert unblocked.code == 0, unblocked.err
    assert "Still blocked" not in unblocked.out
    after = federated.type("partner", "list", "--json").json
    left = {"left_s": 0}
    assert [{**one, **left} for one in after["partners"]] == [{**one, **left} for one in before["partners"]]
    assert after["blocked"] == before["blocked"] == []


def test_partner_that_cannot_be_added_leaves_nothing(federated: Organisation, tmp_path: Path) -> None:
    """Neither in the draft nor in the folder for files of partners; the control is a partner that can be added."""
    files = [tmp_path / name for name in ("root.pem", "root.crl")]
    for file in files:
        shutil.copy(federated.folder / "ca" / file.name, file)
    text, folder = federated.file.read_text(), federated.folder / "partners"
    before = sorted(folder.rglob("*"))
    refused = federated.type("partner", "add", "example.com", "--ca", files[0], "--crl", files[1])
    assert (refused.code, federated.file.read_text(), sorted(folder.rglob("*"))) == (1, text, before)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    wide_after(
        3,
        [
            (("change", PARTNER, "egde=x.test"), "did you mean 'edge'"),
            (("change", "partnr.test", "edge=x.test"), f"did you mean '{PARTNER}'"),
            (("change", PARTNER, "domains+=example.com"), "is a name of our own"),
            (("change", PARTNER, "anchors=[no.pem]"), "no.pem"),
            (("change", PARTNER, "domains=[]"), "is empty"),
            (("remove", "other.test"), "is not a partner"),
            (("unblock", PARTNER), "is not a blocked name"),
        ],
    ),
)
def test_wrong_change_leaves_draft_and_network_alone(
    federated: Organisation, arguments: tuple[str, ...], reason: str
) -> None:
    before = federated.file.read_bytes(), in_force(federated)
    refused = federated.type("partner", *arguments)
    assert refused.code == 1
    assert reason in refused.err
    assert (federated.file.read_bytes(), in_force(federated)) == before


def test_dry_run_publishes_nothing(federated: Organisation) -> None:
    before = federated.file.read_bytes()
    shown = federated.type("partner", "change", PARTNER, "edge=", "--dry-run")
    assert (shown.code, federated.file.read_bytes()) == (0, before)
    assert f"-      edge: sip.{PARTNER}\n" in shown.out


def test_change_waits_where_the_draft_has_others(federated: Organisation) -> None:
    """The control of a block, which does not wait."""
    assert federated.type("topology", "add", "domain", "example.net").code == 0
    changed = federated.type("partner", "change", PARTNER, "edge=border.partner.test")
    assert changed.code == 1
    assert "NOT in force" in changed.out
    assert federated.type("partner", "block", PARTNER).code == 0
    assert in_force(federated) == ([], [PARTNER, f"sip.{PARTNER}"])
