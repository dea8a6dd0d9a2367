"""The file that is carried to the root's key and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.pki.offline.request import OfflineKind, OfflineRequest

REQUEST = OfflineRequest(OfflineKind.LIST, "ab" * 32, b"\x30\x00")


def test_request_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    assert OfflineRequest.read(REQUEST.encode(), tmp_path) == REQUEST


@pytest.mark.parametrize(
    "change", [{"format": 99}, {"what": "all"}, {"body": "no base64!"}, {"body": 7}, {"root": None, "what": None}]
)
def test_request_that_cannot_be_read_names_its_file(tmp_path: Path, change: dict[str, object]) -> None:
    content = json.dumps({**json.loads(REQUEST.encode()), **change}).encode()
    with pytest.raises(OperatorError) as refused:
        OfflineRequest.read(content, tmp_path / "request.json")
    assert [problem.file for problem in refused.value.problems] == [tmp_path / "request.json"]


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"{}"])
def test_file_that_holds_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(OperatorError):
        OfflineRequest.read(content, tmp_path)


def test_body_of_another_kind_is_refused() -> None:
    with pytest.raises(OperatorError):
        REQUEST.list()
    with pytest.raises(OperatorError):
        REQUEST.certificate()
