"""A published version is loaded with what it embeds, and without files from the disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sipmesh.errors import OperatorError, Problem
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.versions.publication import (
    Publication,
)
from sipmesh.topology.view import view
from topology.world import ANCHORS, Place, published


def refused_load(publication: Publication, folder: Path) -> tuple[Problem, ...]:
    with pytest.raises(OperatorError) as refused:
        load_published(publication, folder)
    return refused.value.problems


def test_a_published_version_is_the_topology_of_its_draft(place: Place, tmp_path: Path) -> None:
    loaded, draft = load_published(published(place), tmp_path), place.load()
    assert loaded.topology == draft.topology
    assert loaded.authority.anchors == draft.authority.anchors
    assert [one.anchors for one in loaded.partners] == [one.anchors for one in draft.partners]
    assert (loaded.number, draft.number) == (3, 0)
    assert (loaded.digest, loaded.folder) == (draft.digest, tmp_path)
    assert loaded.users_url == draft.users_url
    assert view(loaded, "fe1.example.test").certificate == tmp_path / "servers" / "fe1.example.test.pem"
    assert load_published(published(place), tmp_path, "ab" * 32).digest == "ab" * 32
    assert "version 3" in repr(loaded)


def test_anchors_on_disk_are_not_looked_at(place: Place, tmp_path: Path) -> None:
    """An attacker who can write to a server's folder cannot add a CA. Only a draft is read from the folder."""
    made = published(place)
    for file, other in (
        ("ca/root.pem", "partners/c/root.pem"),
        ("partners/b/root.pem", None),
        ("partners/c/root.pem", None),
    ):
        content = (tmp_path / other).read_bytes() if other else None
        (tmp_path / file).unlink() if content is None else (tmp_path / file).write_bytes(content)
    (before,) = load_published(made, tmp_path).authority.anchors
    assert before.subject.rfc4514_string() == "CN=Example Root CA,O=Example"
    assert {problem.field for problem in place.problems()} >= {"federation.partners[0].anchors[0]"}


@pytest.mark.parametrize("name", ANCHORS)
def test_an_anchor_that_is_not_embedded_is_a_problem_though_it_lies_on_disk(
    place: Place, tmp_path: Path, name: str
) -> None:
    made = published(place)
    lacking = replace(made, files={file: content for file, content in made.files.items() if file != name})
    (problem,) = [one for one in refused_load(lacking, tmp_path) if "anchors" in one.field]
    assert problem.reason == f"{name}: is not in this version"
    assert (tmp_path / name).exists()


def test_an_embedded_anchor_must_be_one(place: Place, tmp_path: Path) -> None:
    made = published(place)
    spoilt = replace(made, files={**made.files, "partners/b/root.pem": b"nonsense"})
    (problem,) = refused_load(spoilt, tmp_path)
    assert "contains no readable certificate" in problem.reason
    assert problem.file == tmp_path / "topology version 3"


def test_refusal_names_the_version_once(place: Place, tmp_path: Path) -> None:
    made = published(place)
    with pytest.raises(OperatorError) as refused:
        load_published(replace(made, files={**made.files, "partners/b/root.pem": b"nonsense"}), tmp_path)
    assert str(refused.value).startswith(f"{tmp_path}/topology version 3 has ")


def test_crls_come_from_disk_and_only_they_are_watched(place: Place, tmp_path: Path) -> None:
    loaded = load_published(published(place), tmp_path)
    lists = {tmp_path / ca / file for ca in ("ca", "partners/b", "partners/c") for file in ("root.crl", "issuing.crl")}
    assert set(loaded.files) == lists == loaded.lists
    assert loaded.faults == ()
    assert len(loaded.authority.lists) == 2
    (tmp_path / "partners" / "b" / "issuing.crl").unlink()
    assert [fault.field for fault in load_published(published(place), tmp_path).faults] == [
        "federation.partners[0].crls[1]"
    ]
    assert [authority.name for authority, _ in loaded.read_lists([tmp_path / "partners" / "b" / "issuing.crl"])] == [
        "partner.test"
    ]


def test_publication_of_another_organisation_than_its_document_is_refused(place: Place, tmp_path: Path) -> None:
    (problem,) = refused_load(replace(published(place), organisation="Other"), tmp_path)
    assert problem.field == "organisation"
    assert "'Other'" in problem.reason


def test_unnamed_files_are_refused(place: Place, tmp_path: Path) -> None:
    made = published(place)
    (problem,) = refused_load(replace(made, files={**made.files, "partners/d/root.pem": b""}), tmp_path)
    assert "'partners/d/root.pem', which the document does not name" in problem.reason


def test_a_document_with_problems_is_not_taken_when_it_is_published(place: Place, tmp_path: Path) -> None:
    """Such as one by a newer management server, with a key that this server does not know."""
    made = published(place)
    spoilt = replace(made, topology=made.topology.replace("  route:", "  rout:"), organisation="Other")
    assert {problem.field for problem in refused_load(spoilt, tmp_path)} >= {"federation.rout", "organisation"}


def test_anchors_of_an_earlier_release_are_found_by_their_names_and_no_draft_may_name_such_files(
    place: Place, tmp_path: Path
) -> None:
    """An earlier release took anchors from anywhere. A server goes on with such a version; the next one must name others."""
    made, elsewhere = published(place), str(tmp_path / "elsewhere.pem")
    old, text = "partners/b/root.pem", made.topology.replace("partners/b/root.pem", elsewhere)
    earlier = replace(
        made, topology=text, files={elsewhere if name == old else name: one for name, one in made.files.items()}
    )
    assert load_published(earlier, tmp_path).partners[0].anchors
    place.file.write_text(text)
    (problem,) = place.problems()
    assert problem.field == "federation.partners[0].anchors[0]"
    assert "is an absolute path" in problem.reason
    assert problem.remedy.endswith("then write partners/elsewhere.pem here")
