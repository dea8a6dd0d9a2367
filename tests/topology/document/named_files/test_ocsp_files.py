"""OCSP answers on disk: each authority has its own, and what cannot be used is left out."""

from __future__ import annotations

from pathlib import Path

from sipmesh.demo.forge import Forge
from sipmesh.topology.document.named_files.ocsp_files import MOST_ANSWERS, answer_file, answers_on_disk
from trust.answers import Wish, single
from trust.network import NOON

FORGE = Forge(NOON)
CA = FORGE.organisation("Example")
ANSWER = Wish(CA, (single(FORGE.server(CA, "fe1.example.test")),)).der()


def put(folder: Path, authority: str, mark: str, content: bytes = ANSWER) -> None:
    file = answer_file(folder, authority, mark)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def test_answer_is_found_by_authority_and_mark(tmp_path: Path) -> None:
    put(tmp_path, "Example", "ab12")
    put(tmp_path, "partner.test", "cd34")
    assert list(answers_on_disk(tmp_path, "Example")) == ["ab12"]
    assert list(answers_on_disk(tmp_path, "partner.test")) == ["cd34"]
    assert answers_on_disk(tmp_path, "other.test") == {}


def test_answer_that_cannot_be_used_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, "Example", "ab12", b"nothing")
    put(tmp_path, "Example", "cd34")
    answer_file(tmp_path, "Example", "ef56").mkdir()
    assert list(answers_on_disk(tmp_path, "Example")) == ["cd34"]


def test_answers_of_one_authority_are_bounded(tmp_path: Path) -> None:
    for number in range(MOST_ANSWERS + 1):
        put(tmp_path, "Example", f"{number:04}")
    assert len(answers_on_disk(tmp_path, "Example")) == MOST_ANSWERS
