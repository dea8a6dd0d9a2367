"""A change by a command: which files it names, and when it is in force."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from sipmesh.cli.place import Place
from sipmesh.cli.topology.change import Change
from sipmesh.demo.organisation import Organisation
from sipmesh.errors import OperatorError
from sipmesh.server.management.replies import Acknowledgement, Plan, PutInForce
from sipmesh.server.refresh.reload_result import ReloadResult
from support.managed import MGMT, Managed
from support.network import EDGES, FE1
from support.prepared import answered


@pytest.fixture(name="place")
def _place(managed: Managed) -> Place:
    return Place(managed.organisation.file)


def test_network_without_a_version_reads_its_files_again(
    example: Organisation, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Place(example.file)
    with answered(place.state, {FE1: {"links": [], "reload": ReloadResult(taken=True, closed=[])}}) as asked:
        change = Change(place)
        assert not change.publishes
        change.take_effect(change.edited(str), "because", 0)
    assert [one["command"] for one in asked] == ["links", "reload", "links"]
    assert capsys.readouterr().out == f"In force on {FE1}.\n"


def test_change_is_published_at_rest_without_management(
    managed: Managed, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    change = Change(place)
    assert change.publishes
    federation = {"route": EDGES, "partners": [], "blocked": ["evil.test"]}
    made = change.edited(lambda text: f"{text}\nfederation: {json.dumps(federation)}\n")
    change.take_effect(made, "because", 0)
    assert "Version 2 is published." in capsys.readouterr().out
    assert "evil.test" in place.in_force().topology.federation.blocked


def test_change_is_published_by_management_where_it_runs(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    change = Change(place)
    made = change.edited(str)
    replies = {
        "links": [],
        "plan": Plan("topology.yaml", 1, made.loaded.digest, ["a change"], []),
        "publish": PutInForce(2, ["a change"]),
        "acknowledged": Acknowledgement(2, [], [], 6),
    }
    with answered(place.state, {MGMT: replies}) as asked:
        change.take_effect(made, "because", 1)
    [published] = [one for one in asked if one["command"] == "publish"]
    assert (published["why"], published["base"], published["digest"]) == ("because", 1, made.loaded.digest)
    assert "In force on 6 servers after" in capsys.readouterr().out


def test_draft_that_another_operator_has_changed_meanwhile_is_not_published(managed: Managed, place: Place) -> None:
    """Neither before this command edits the draft, nor between that and the publication."""
    change = Change(place)
    made = change.edited(str)
    managed.edit(lambda document: document.update(sip_domains=["example.test", "example.net"]))
    with pytest.raises(OperatorError, match="has changed while it was compared"):
        change.edited(str)
    replies = {"links": [], "plan": Plan("topology.yaml", 1, place.load().digest, ["a change"], [])}
    with (
        answered(place.state, {MGMT: replies}) as asked,
        pytest.raises(OperatorError, match="has changed since this command has written it"),
    ):
        change.take_effect(made, "because", 1)
    assert "publish" not in {one["command"] for one in asked}


def test_change_waits_where_the_draft_has_others(
    managed: Managed, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """The changes of the draft were not made by this command."""
    managed.edit(lambda document: document.update(sip_domains=["example.test", "example.net"]))
    change = Change(place)
    with pytest.raises(typer.Exit) as left:
        change.take_effect(change.edited(str), "because", 0)
    assert left.value.exit_code == 1
    printed = capsys.readouterr().out
    assert "NOT in force: the draft contains other changes that are not published:" in printed
    assert 'to publish them all: sipmesh topology publish -m "because"' in printed
    assert place.in_force().number == 1


def test_draft_is_changed_on_its_own_machine_only(managed: Managed) -> None:
    managed.join(FE1)
    with pytest.raises(OperatorError, match="the draft is on the management server"):
        Change(Place(managed.folder(FE1) / "topology.yaml"))


def test_files_from_elsewhere_are_copied_for_other_machines(place: Place, tmp_path: Path) -> None:
    given = [tmp_path / "root.pem", tmp_path / "issuing.crl"]
    for file in given:
        file.write_bytes(file.name.encode())
    copies = Change(place).files("Partner.test", given)
    assert copies == [place.folder / "partners" / "partner.test" / file.name for file in given]
    assert [file.read_bytes() for file in copies] == [b"root.pem", b"issuing.crl"]


def test_files_below_the_folder_keep_their_place(place: Place, example: Organisation, tmp_path: Path) -> None:
    """In a network without a published version no other machine needs a file."""
    below = place.folder / "ca" / "root.pem"
    assert Change(place).files("partner.test", [below]) == [below]
    elsewhere = tmp_path / "root.pem"
    assert Change(Place(example.file)).files("partner.test", [elsewhere]) == [elsewhere]
    assert not (place.folder / "partners").exists()
