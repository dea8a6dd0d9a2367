"""Each file that a topology names is found, with its kind; a new key that names a file cannot be forgotten."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, StringConstraints

from sipmesh.topology.document.file_kind import ANCHOR, CRL, HOST_KEY, OUR_ANCHOR, OUR_CRL, SECRET
from sipmesh.topology.document.file_names import _keys, named_files
from sipmesh.topology.document.model import Topology
from sipmesh.topology.document.names import FileName
from topology.world import Place


def test_files_have_their_place_kind_and_server(place: Place) -> None:
    pair = "client_certificates: [{certificate: servers/p.pem, key: servers/p.key}]"
    place.spoil(
        ("{name: fe2.example.test,", f"{{name: fe2.example.test, {pair},"),
        ("federation:\n", "turn: {servers: ['turn:t.test'], secret_file: secrets/turn}\nfederation:\n"),
    )
    found = {file.loc: file for file in named_files(place.load().topology)}
    kinds = {
        ("authority", "anchors", 0): OUR_ANCHOR,
        ("authority", "crls", 1): OUR_CRL,
        ("federation", "partners", 1, "anchors", 0): ANCHOR,
        ("federation", "partners", 1, "crls", 0): CRL,
        ("pools", 0, "servers", 1, "client_certificates", 0, "key"): HOST_KEY,
        ("turn", "secret_file"): SECRET,
    }
    assert {loc: found[loc].kind for loc in kinds} == kinds
    assert found["pools", 0, "servers", 1, "client_certificates", 0, "key"].server == "fe2.example.test"
    assert found["turn", "secret_file"].server == ""
    assert len(found) == 13


def test_url_is_no_file(place: Place) -> None:
    place.spoil(("crls: [partners/c/root.crl, partners/c/issuing.crl]", "crls: ['http://crl.other.test/x.crl']"))
    assert not any("://" in file.name for file in named_files(place.load().topology))


def test_each_key_with_the_type_of_a_file_name_has_a_kind() -> None:
    [constraints] = get_args(FileName)[1:]
    seen: set[type[BaseModel]] = set()
    without = [place for place in _places(Topology, seen) if _kind_is_missing(*place, constraints)]
    assert without == []
    assert len(seen) > 10


def _places(model: type[BaseModel], seen: set[type[BaseModel]]) -> list[tuple[type[BaseModel], str]]:
    if model in seen:
        return []
    seen.add(model)
    found = [(model, key) for key in model.model_fields]
    for field in model.model_fields.values():
        for part in _parts(field.annotation):
            found += _places(part, seen)
    return found


def _parts(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [part for inner in get_args(annotation) for part in _parts(inner)]


def _kind_is_missing(model: type[BaseModel], key: str, constraints: StringConstraints) -> bool:
    field = model.model_fields[key]
    return _has((field.annotation, *field.metadata), constraints) and _keys(model).get(key) is None


def _has(annotation: Any, constraints: StringConstraints) -> bool:
    inner = annotation if isinstance(annotation, tuple) else get_args(annotation)
    return annotation == constraints or any(_has(one, constraints) for one in inner)
