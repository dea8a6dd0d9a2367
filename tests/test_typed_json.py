"""Typed values as JSON: what is written is read back as it was, and other JSON is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from sipmesh.typed_json import LONGEST_FAULT, Base64, Json, UnreadableJsonError, members, plain, read, read_document

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Kind(StrEnum):
    CLIENT = "client"


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    number: int
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    class_: Annotated[str, Field(validation_alias="class")]
    at: AwareDatetime


@dataclass(frozen=True, slots=True)
class Whole:
    name: str
    kind: Kind | None
    parts: tuple[Part, ...]
    model: Model
    names: Sequence[str] = ()
    age_s: float = 0.0


WHOLE = Whole("ü", Kind.CLIENT, (Part("x", NOON),), Model(number=7, links=("s1",)), ["a"], 1.5)


def written(value: object) -> Any:
    return json.loads(json.dumps(value, default=plain))


def test_value_is_read_back_as_it_was_written() -> None:
    assert read(Whole, written(WHOLE)) == WHOLE
    assert read(list[Whole], written([WHOLE, WHOLE])) == [WHOLE, WHOLE]


def test_keys_are_the_names_of_the_fields_without_a_last_underscore() -> None:
    assert written(WHOLE) == {
        "name": "ü",
        "kind": "client",
        "parts": [{"class": "x", "at": "2026-11-24T12:00:00+00:00"}],
        "model": {"number": 7, "links": ["s1"]},
        "names": ["a"],
        "age_s": 1.5,
    }


def test_model_has_only_the_keys_that_were_set() -> None:
    assert members(Model(number=7)) == {"number": 7}


def test_value_with_members_of_its_own_is_written_by_them() -> None:
    class Flat:
        def to_json(self) -> Json:
            return {"server": "fe1", **members(Part("x", NOON))}

    assert written(Flat()) == {"server": "fe1", "class": "x", "at": "2026-11-24T12:00:00+00:00"}


def test_path_is_written_as_text_and_an_object_without_json_is_a_fault() -> None:
    assert written({"file": Path("a/b")}) == {"file": "a/b"}
    with pytest.raises(TypeError, match="no JSON for"):
        written(object())


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("name", 7, "name: is not text"),
        ("age_s", "1.5", "age_s: is no number"),
        ("kind", "server", "kind: is not one of its values"),
        ("parts", [{"class": "x", "at": "2026-11-24T12:00:00"}], "parts.0.at: is a time without a time zone"),
        ("parts", [{"class": "x", "at": "never"}], "parts.0.at: is no time"),
        ("parts", [{"at": "2026-11-24T12:00:00Z"}], "parts.0.class: is missing"),
        ("model", {"number": True}, "model.number: is no whole number"),
        ("names", "abc", "names: is not a list"),
    ],
)
def test_other_type_is_refused_and_its_place_is_named(key: str, value: object, fault: str) -> None:
    with pytest.raises(UnreadableJsonError) as refused:
        read(Whole, {**written(WHOLE), key: value})
    assert str(refused.value).startswith(fault)


def test_missing_key_is_refused_and_an_unknown_key_is_ignored() -> None:
    document = written(WHOLE)
    assert read(Whole, {**document, "newer": 1}) == WHOLE
    del document["kind"]
    with pytest.raises(UnreadableJsonError, match="kind: is missing"):
        read(Whole, document)


def test_document_of_another_shape_is_refused_in_few_characters() -> None:
    with pytest.raises(UnreadableJsonError):
        read(Whole, [1])
    with pytest.raises(UnreadableJsonError) as refused:
        read(Whole, {**written(WHOLE), "model": {"number": "\x1b[31m" * 200}})
    assert len(str(refused.value)) <= LONGEST_FAULT + 50
    assert str(refused.value).isprintable()


def test_octets_that_are_no_utf_8_are_read_as_their_escape() -> None:
    """A phone chooses its contact: one bad octet must not hide all registrations."""
    assert read(Whole, {**written(WHOLE), "name": "sip:\udcff@x \\ü"}).name == "sip:\\udcff@x \\ü"


@dataclass(frozen=True, slots=True)
class Rows:
    rows: list[tuple[Base64, int]]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b'{"rows": [["AA==", 1], ["AA==", "1"]]}', "rows.1.1: is no whole number"),
        (b'{"rows": [["A A=", 1]]}', "rows.0.0: "),
        (b'{"rows": [[7, 1]]}', "rows.0.0: not a text in base64"),
        (b'{"rows": [], "rows": []}', "a name is given twice"),
        (b"{}", "rows: is missing"),
        (b"\xff", "it is not UTF-8 text"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_document_of_a_wrong_shape_is_refused_with_the_path_of_the_value(text: bytes, fault: str) -> None:
    assert read_document(Rows, b'{"rows": [["AA==", 1]]}') == Rows([(b"\x00", 1)])
    with pytest.raises(UnreadableJsonError) as refused:
        read_document(Rows, text)
    assert fault in str(refused.value)


def test_every_key_that_does_not_fit_is_named_with_the_first_thing_that_is_wrong_there() -> None:
    with pytest.raises(UnreadableJsonError) as refused:
        read(Whole, {**written(WHOLE), "name": 7, "parts": [{"at": "x"}], "age_s": "x"})
    assert set(refused.value.misfits) == {"name", "parts", "age_s"}
    assert refused.value.misfits["name"] == "is not text"
