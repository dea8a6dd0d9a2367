"""The command finds what breaks a property, keeps it, and replays it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from fuzz import target as target_module
from fuzz.__main__ import main
from fuzz.by_hypothesis import edited, run_round
from fuzz.corpus import LARGEST, inputs_in, save
from fuzz.target import PropertyError, Target, require
from fuzz.targets import TARGETS


def no_quote(data: bytes) -> None:
    require(b'"' not in data, "a quote")


BROKEN = Target("broken", "no quote comes", no_quote, (b"abc", b"de"))


@pytest.fixture(name="crashers", autouse=True)
def _crashers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(target_module, "CRASHERS", tmp_path)
    return tmp_path


def test_broken_property_is_found_and_shrunk() -> None:
    ran, failed = run_round(BROKEN, BROKEN.seeds, 1)
    assert ran > 1
    assert failed is not None
    assert b'"' in failed
    assert len(failed) <= len(BROKEN.seeds[0]) + 1


def test_same_number_makes_the_same_inputs() -> None:
    def seen(start: int) -> list[bytes]:
        found: list[bytes] = []
        run_round(replace(BROKEN, check=found.append), BROKEN.seeds, start, 20)
        return found

    assert seen(3) == seen(3)
    assert seen(3) != seen(4)


@pytest.mark.parametrize(("size", "passed"), [(255, True), (400, False)])
def test_work_is_counted_for_long_inputs(size: int, passed: bool) -> None:  # noqa: FBT001
    def search(data: bytes) -> None:
        for _ in data:
            data.find(b"x")

    quadratic = replace(BROKEN, check=search)
    if passed:
        quadratic.run(bytes(size))
    else:
        with pytest.raises(PropertyError, match="steps for 400 octets"):
            quadratic.run(bytes(size))


def test_failing_input_is_kept_and_replayed(
    crashers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = replace(BROKEN, name="uri", seeds=(b'"abc"', b'""'))  # each run has other inputs, nearly all with a quote
    monkeypatch.setitem(dict_of_targets(), "uri", broken)
    one = ["--target", "uri"]
    assert main([*one, "--seconds", "0", "--engine", "hypothesis"]) == 1
    (file,) = (crashers / "uri").iterdir()
    assert f"--replay {file}" in capsys.readouterr().out
    assert main([*one, "--replay", str(file)]) == 1
    assert "PropertyError: a quote" in capsys.readouterr().out
    monkeypatch.undo()
    assert main([*one, "--replay", str(file)]) == 0


def dict_of_targets() -> dict[str, Target]:
    assert isinstance(TARGETS, dict)
    return TARGETS


@pytest.mark.parametrize(
    ("edits", "expected"),
    [([], b"abc"), ([(1, 1, b"X")], b"aXc"), ([(4, 0, b"X"), (0, 9, b"")], b""), ([(3, 0, b"X")], b"abcX")],
)
def test_edits_replace_octets(edits: Sequence[tuple[int, int, bytes]], expected: bytes) -> None:
    assert edited(b"abc", edits) == expected


def test_corpus_is_read_from_folders_within_the_limit(tmp_path: Path) -> None:
    save(b"one", tmp_path / "a" / "b")
    save(b"x" * (LARGEST + 1), tmp_path)
    assert list(inputs_in([tmp_path, tmp_path / "missing"])) == [b"one"]
