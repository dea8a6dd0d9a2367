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

from sipmesh.errors import LocalError, OperatorError
from sipmesh.topology.document.named_files.trust_anchors import LARGEST_ANCHORS
from sipmesh.topology.document.yaml_tree import LARGEST_DOCUMENT
from sipmesh.topology.versions.publication import (
    HIGHEST,
    LARGEST_PAYLOAD,
    LONGEST_BY,
    LONGEST_NAME,
    LONGEST_WHY,
    Draft,
    MalformedPublicationError,
    Publication,
)
from topology.world import ANCHORS, NOON, Place, published

PLAIN = Publication(
    organisation="Example",
    number=7,
    at=NOON,
    by="ada",
    why="fe3 has moved",
    topology="sipmesh: 1\r\n# ä\n",
    files={"ca/root.pem": b"\x00\xff", "partners/b/root.pem": b""},
    forced=True,
    previous="ab" * 32,
    audit="cd" * 32,
)


def told(**changes: Any) -> dict[str, Any]:
    return {**json.loads(PLAIN.encode()), **changes}


def problems(payload: bytes | dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(MalformedPublicationError) as refused:
        Publication.decode(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
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
        "files": {"ca/root.pem": "AP8=", "partners/b/root.pem": ""},
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
    (tmp_path / "partners" / "b" / "root.pem").unlink()
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


def test_fetched_crls_are_not_part_of_a_version(place: Place) -> None:
    """Each server that needs them fetches them; until they have come, nothing is wrong with the document."""
    place.spoil(
        (
            "crls: [partners/c/root.crl, partners/c/issuing.crl]",
            "crls: [partners/c/root.crl, 'http://crl.other.test/issuing.crl']",
        )
    )
    draft = Draft.read(place.file.read_bytes(), place.file)
    assert set(draft.files) == set(ANCHORS)
    assert draft.loaded.fetches
    assert "http://crl.other.test/issuing.crl" not in draft.loaded.list_names
    assert not draft.loaded.faults
    [told] = draft.loaded.partners[1].lists.faults
    assert "not fetched yet from http://crl.other.test/issuing.crl" in told
