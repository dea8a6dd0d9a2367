"""A version of the topology: what is published is what was read, and is read as it was meant or not at all."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.errors import LocalError, OperatorError, Problem
from sipmesh.topology.document.trust_anchors import LARGEST_ANCHORS
from sipmesh.topology.document.yaml_tree import LARGEST_DOCUMENT
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.versions.publication import (
    HIGHEST,
    LARGEST_PAYLOAD,
    LONGEST_BY,
    LONGEST_NAME,
    LONGEST_WHY,
    Draft,
    MalformedPublicationError,
    Publication,
    compile_publication,
)
from sipmesh.topology.view import view
from topology.world import NOON, Place

PLAIN = Publication(
    organisation="Example",
    number=7,
    at=NOON,
    by="ada",
    why="fe3 has moved",
    topology="sipmesh: 1\r\n# ä\n",
    files={"ca/root.pem": b"\x00\xff", "b/root.pem": b""},
    forced=True,
    previous="ab" * 32,
    audit="cd" * 32,
)
ANCHORS = ("ca/root.pem", "b/root.pem", "c/root.pem")


def told(**changes: Any) -> dict[str, Any]:
    return {**json.loads(PLAIN.encode()), **changes}


def problems(payload: bytes | dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(MalformedPublicationError) as refused:
        Publication.decode(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
    return refused.value.problems


def published(place: Place, number: int = 3) -> Publication:
    return compile_publication(place.file.read_bytes(), place.file.parent, number, "ada", "because", at=NOON)


def refused_load(publication: Publication, folder: Path) -> tuple[Problem, ...]:
    with pytest.raises(OperatorError) as refused:
        load_published(publication, folder)
    return refused.value.problems


def test_what_was_published_is_read_back() -> None:
    assert Publication.decode(PLAIN.encode()) == PLAIN
    assert repr(PLAIN) == "<Publication 7 of Example by ada, 2 files>"


def test_payload_is_the_json_that_others_can_read() -> None:
    assert told() == {
        "format": 1,
        "organisation": "Example",
        "number": 7,
        "at": "2026-11-24T12:00:00+00:00",
        "by": "ada",
        "why": "fe3 has moved",
        "forced": True,
        "previous": "ab" * 32,
        "audit": "cd" * 32,
        "topology": "sipmesh: 1\r\n# ä\n",
        "files": {"ca/root.pem": "AP8=", "b/root.pem": ""},
    }


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=LONGEST_NAME)


@given(
    st.builds(
        Publication,
        organisation=TEXT,
        number=st.integers(1, HIGHEST),
        at=st.datetimes(timezones=st.just(UTC)).map(lambda at: at.replace(microsecond=0)),
        by=TEXT,
        why=TEXT,
        topology=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
        files=st.dictionaries(st.text(st.characters(exclude_characters="\0"), min_size=1), st.binary()),
        forced=st.booleans(),
    )
)
def test_every_version_is_read_back_as_it_was(publication: Publication) -> None:
    assert Publication.decode(publication.encode()) == publication


@given(
    st.binary() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_any_octets_are_read_or_refused(payload: bytes) -> None:
    assert problems(payload)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("format", 2, "is not 1"),
        ("format", True, "is not 1"),
        ("format", 1.0, "is not 1"),
        ("organisation", "", "1 to 64 letters"),
        ("organisation", "x" * (LONGEST_NAME + 1), "1 to 64 letters"),
        ("organisation", None, "1 to 64 letters"),
        ("number", 0, "whole number"),
        ("number", -1, "whole number"),
        ("number", HIGHEST + 1, "whole number"),
        ("number", True, "whole number"),
        ("number", "7", "whole number"),
        ("number", 7.0, "whole number"),
        ("at", "2026-11-24T12:00:00Z", "not a time"),
        ("at", "2026-11-24T12:00:00", "not a time"),
        ("at", "2026-11-24T12:00:00+01:00", "not a time"),
        ("at", "2026-11-24T12:00:00.000001+00:00", "not a time"),
        ("at", "yesterday", "not a time"),
        ("at", 1, "not a time"),
        ("by", "", "1 to 200 letters"),
        ("by", "x" * (LONGEST_BY + 1), "1 to 200 letters"),
        ("by", "a\x1b[2J", "control characters"),
        ("why", "", "1 to 2000 letters"),
        ("why", "x" * (LONGEST_WHY + 1), "1 to 2000 letters"),
        ("why", "\ud800", "control characters"),
        ("forced", 1, "neither true nor false"),
        ("forced", None, "neither true nor false"),
        ("previous", "AB" * 32, "not a SHA-256"),
        ("previous", "ab" * 31, "not a SHA-256"),
        ("previous", "ab" * 32 + "\n", "not a SHA-256"),
        ("audit", None, "not a SHA-256"),
        ("topology", "", "has 0 octets"),
        ("topology", "x" * (LARGEST_DOCUMENT + 1), f"has {LARGEST_DOCUMENT + 1} octets"),
        ("topology", {}, "is not a text"),
        ("topology", "\ud800", "not Unicode"),
        ("files", [], "not an object"),
        ("files", {"": ""}, "'' is not a file name"),
        ("files", {"a\0b": ""}, "is not a file name"),
        ("files", {"a": "A"}, "'a' is not canonical base64"),
        ("files", {"a": "QR=="}, "'a' is not canonical base64"),
        ("files", {"a": "QQ==\n"}, "'a' is not canonical base64"),
        ("files", {"a": "Q_=="}, "'a' is not canonical base64"),
        ("files", {"a": None}, "'a' is not canonical base64"),
        ("files", {"a": "Q", "b": 1}, "'a' is not canonical base64, 'b' is not canonical base64"),
    ],
)
def test_one_other_value_is_one_problem(name: str, value: object, reason: str) -> None:
    (problem,) = problems(told(**{name: value}))
    assert problem.startswith(f"`{name}` ")
    assert reason in problem


def test_values_at_their_limits_are_read() -> None:
    changes = {"by": "x" * LONGEST_BY, "why": "x" * LONGEST_WHY, "number": HIGHEST, "previous": "", "audit": ""}
    changes |= {"organisation": "x" * LONGEST_NAME, "topology": "x" * LARGEST_DOCUMENT}
    assert Publication.decode(json.dumps(told(**changes)).encode()).number == HIGHEST


def test_a_file_has_the_limit_that_it_has_on_disk() -> None:
    for length, fits in ((LARGEST_ANCHORS, True), (LARGEST_ANCHORS + 1, False)):
        payload = json.dumps(told(files={"a": base64.b64encode(bytes(length)).decode()})).encode()
        if fits:
            assert len(Publication.decode(payload).files["a"]) == length
        else:
            assert f"'a' has {length} octets" in problems(payload)[0]


def test_all_faults_are_reported_together() -> None:
    given = {**told(number=0, forced="no", extra=1), "another": 2}
    del given["why"]
    assert [problem.split("`")[1] for problem in problems(given)] == ["another", "extra", "number", "why", "forced"]


def test_duplicate_name_is_refused() -> None:
    text = PLAIN.encode()
    assert problems(b'{"number":8,' + text[1:]) == ("a name is given twice",)


@pytest.mark.parametrize("changes", [{"number": 0}, {"previous": "x"}, {"files": {"": b""}}, {"why": ""}])
def test_invalid_publication_is_not_encoded(changes: dict[str, Any]) -> None:
    with pytest.raises(LocalError, match="cannot be made"):
        replace(PLAIN, **changes).encode()


def test_too_large_publication_is_not_encoded() -> None:
    """Each file is within its limit; together they are more than a signed document may be."""
    spare = LARGEST_PAYLOAD - len(replace(PLAIN, files={"a": b"", "b": b"", "c": b""}).encode())
    third = spare // 12 * 3
    fits = {"a": bytes(third), "b": bytes(third), "c": bytes(third)}
    assert len(replace(PLAIN, files=fits).encode()) <= LARGEST_PAYLOAD
    with pytest.raises(OperatorError, match="smaller files"):
        replace(PLAIN, files=fits | {"c": bytes(third + 60)}).encode()


def test_files_do_not_change_once_it_is_made() -> None:
    files = {"a": b"1"}
    made = replace(PLAIN, files=files)
    files["a"] = b"2"
    assert made.files == {"a": b"1"}
    with pytest.raises(TypeError):
        made.files["a"] = b"2"  # type: ignore[index]


def test_a_compiled_version_holds_the_document_and_every_anchor_it_names(place: Place, tmp_path: Path) -> None:
    made = published(place)
    assert made.topology == place.file.read_text()
    assert made.files == {name: (tmp_path / name).read_bytes() for name in ANCHORS}
    assert (made.number, made.by, made.why, made.at, made.organisation) == (3, "ada", "because", NOON, "Example")
    assert (made.forced, made.previous, made.audit) == (False, "", "")


def test_instants_are_kept_in_utc_and_whole_seconds(place: Place) -> None:
    draft = Draft.read(place.file.read_bytes(), place.file)
    local = NOON.astimezone(timezone(timedelta(hours=9))) + timedelta(microseconds=5)
    assert draft.compiled(1, "ada", "because", at=local).at.isoformat() == "2026-11-24T12:00:00+00:00"
    with pytest.raises(ValueError, match="timezone"):
        draft.compiled(1, "ada", "because", at=datetime(2026, 1, 1))  # noqa: DTZ001 - the fault is the point


def test_a_document_with_problems_is_not_compiled(place: Place, tmp_path: Path) -> None:
    (tmp_path / "b" / "root.pem").unlink()
    place.spoil(("role: edge", "role: edgy"))
    with pytest.raises(OperatorError) as refused:
        published(place)
    assert [problem.field for problem in refused.value.problems] == [
        "pools[2].role",
        "federation.partners[0].anchors[0]",
    ]
    assert refused.value.problems[0].file == place.file


@pytest.mark.parametrize("why", ["", "x" * (LONGEST_WHY + 1), "\x1b[2J"])
def test_invalid_reason_is_an_operator_error(place: Place, why: str) -> None:
    draft = Draft.read(place.file.read_bytes(), place.file)
    with pytest.raises(OperatorError, match="`why`"):
        draft.compiled(1, "ada", why, at=NOON)


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
    for file, other in (("ca/root.pem", "c/root.pem"), ("b/root.pem", None), ("c/root.pem", None)):
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
    spoilt = replace(made, files={**made.files, "b/root.pem": b"nonsense"})
    (problem,) = refused_load(spoilt, tmp_path)
    assert "contains no readable certificate" in problem.reason
    assert problem.file == tmp_path / "topology version 3"


def test_lists_come_from_disk_and_are_all_that_is_watched(place: Place, tmp_path: Path) -> None:
    loaded = load_published(published(place), tmp_path)
    lists = {tmp_path / ca / file for ca in ("ca", "b", "c") for file in ("root.crl", "issuing.crl")}
    assert set(loaded.files) == lists == loaded.lists
    assert loaded.faults == ()
    assert len(loaded.authority.lists) == 2
    (tmp_path / "b" / "issuing.crl").unlink()
    assert [fault.field for fault in load_published(published(place), tmp_path).faults] == [
        "federation.partners[0].crls[1]"
    ]
    assert [authority.name for authority, _ in loaded.read_lists([tmp_path / "b" / "issuing.crl"])] == ["partner.test"]


def test_publication_of_another_organisation_than_its_document_is_refused(place: Place, tmp_path: Path) -> None:
    (problem,) = refused_load(replace(published(place), organisation="Other"), tmp_path)
    assert problem.field == "organisation"
    assert "'Other'" in problem.reason


def test_unnamed_files_are_refused(place: Place, tmp_path: Path) -> None:
    made = published(place)
    (problem,) = refused_load(replace(made, files={**made.files, "d/root.pem": b""}), tmp_path)
    assert "'d/root.pem', which the document does not name" in problem.reason


def test_a_document_with_problems_is_not_taken_when_it_is_published(place: Place, tmp_path: Path) -> None:
    """Such as one by a newer management server, with a key that this server does not know."""
    made = published(place)
    spoilt = replace(made, topology=made.topology.replace("  route:", "  rout:"), organisation="Other")
    assert {problem.field for problem in refused_load(spoilt, tmp_path)} >= {"federation.rout", "organisation"}


def test_anchors_may_lie_anywhere_and_are_found_by_the_name_in_the_document(place: Place, tmp_path: Path) -> None:
    (tmp_path / "b" / "root.pem").rename(tmp_path / "elsewhere.pem")
    place.spoil(("b/root.pem", str(tmp_path / "elsewhere.pem")))
    made = published(place)
    (tmp_path / "elsewhere.pem").unlink()
    assert str(tmp_path / "elsewhere.pem") in made.files
    assert load_published(made, tmp_path).partners[0].anchors


def test_fetched_crls_are_not_part_of_a_version(place: Place) -> None:
    """Each server that needs them fetches them; until they have come, nothing is wrong with the document."""
    place.spoil(("crls: [c/root.crl, c/issuing.crl]", "crls: [c/root.crl, 'http://crl.other.test/issuing.crl']"))
    draft = Draft.read(place.file.read_bytes(), place.file)
    assert set(draft.files) == set(ANCHORS)
    assert draft.loaded.fetches
    assert "http://crl.other.test/issuing.crl" not in draft.loaded.list_names
    assert not draft.loaded.faults
    [told] = draft.loaded.partners[1].lists.faults
    assert "not fetched yet from http://crl.other.test/issuing.crl" in told
