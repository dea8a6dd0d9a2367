"""A large list is read once, by a thread; the loop of a server takes the finished one."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sipmesh.demo.forge import Forge
from sipmesh.errors import Problem
from sipmesh.topology.document.named_files.crl_cache import (
    LARGE,
    is_file_read,
    large_lists_later,
    prepare,
    prepare_file,
    read_content,
    read_list,
)
from sipmesh.topology.document.named_files.crl_files import ListFile, ListFiles
from sipmesh.topology.document.named_files.read import UnusableFileError
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_decoding import UnusableListError
from trust.network import NOON

FORGE = Forge(NOON)
CA = FORGE.organisation("Partner")
ENOUGH = 64 << 20


@pytest.fixture(name="large", scope="module")
def _large() -> bytes:
    """A list that is just large enough to be read by a thread."""
    return of_size(LARGE)


def of_size(octets: int, **changes: Any) -> bytes:
    """A list in PEM of some octets, or a few more, with serials that no other has."""
    made = FORGE.revocations(CA, range(1 << 100, (1 << 100) + octets // 40), **changes)
    assert octets <= len(made) < 2 * octets
    return made


@pytest.fixture(name="readers")
def _readers(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each list that is read from its octets from now on, whether the main thread did it."""
    told: list[bool] = []
    load = RevocationList.load

    def recorded(data: bytes, *rest: Any) -> RevocationList:
        told.append(threading.current_thread() is threading.main_thread())
        return load(data, *rest)

    monkeypatch.setattr(RevocationList, "load", recorded)
    return told


def in_thread(call: Any, *arguments: Any) -> None:
    thread = threading.Thread(target=call, args=arguments)
    thread.start()
    thread.join()


def entry(file: Path, **changes: Any) -> ListFile:
    return ListFile(("crls", 0), file.name, file, Problem(file, 0, "crls", "", "fetch it"), **changes)


def test_file_parsed_by_a_thread_is_not_read_again(tmp_path: Path, large: bytes, readers: list[bool]) -> None:
    file = tmp_path / "a.crl"
    file.write_bytes(large + b"\n" * 1)
    assert not is_file_read(file)
    in_thread(prepare_file, file, ENOUGH)
    assert is_file_read(file)
    files = ListFiles([entry(file)], [], None)
    assert read_list(file, ENOUGH) is files.lists[0][1]
    assert readers == [False]
    file.write_bytes(large + b"\n" * 2)  # another state, and another content
    assert not is_file_read(file)
    assert read_list(file, ENOUGH) is not files.lists[0][1]
    assert readers == [False, True]


def test_content_that_was_read_is_not_read_again_from_a_file(tmp_path: Path, large: bytes, readers: list[bool]) -> None:
    content = large + b"\n" * 3
    assert readers == []
    in_thread(prepare, content)
    assert readers == [False]
    file = tmp_path / "a.crl"
    file.write_bytes(content)
    assert read_list(file, ENOUGH) is read_content(content)
    assert readers == [False]


def test_error_of_a_large_crl_is_cached(tmp_path: Path, readers: list[bool]) -> None:
    file = tmp_path / "a.crl"
    file.write_bytes(b"\x30" * LARGE)
    in_thread(prepare_file, file, ENOUGH)
    for _ in range(2):
        with pytest.raises(UnusableListError, match="not a readable"):
            read_list(file, ENOUGH)
    assert readers == [False]


def test_small_crl_is_read_at_once(tmp_path: Path, readers: list[bool]) -> None:
    file = tmp_path / "a.crl"
    file.write_bytes(FORGE.revocations(CA))
    assert is_file_read(file)
    with large_lists_later():
        assert ListFiles([entry(file)], [], None).lists
    assert readers == [True]


def test_document_that_is_read_while_a_server_runs_leaves_large_crls_to_a_thread(
    tmp_path: Path, large: bytes, readers: list[bool]
) -> None:
    """Until then the CRL is awaited: certificates that need it are refused, and earlier CRLs are still used."""
    file = tmp_path / "a.crl"
    file.write_bytes(large + b"\n" * 4)
    with large_lists_later():
        files = ListFiles([entry(file)], [], None)
    assert (files.lists, files.faults, [one.file for one in files.left_for_later]) == ((), (), [file])
    before = RevocationList.load(FORGE.revocations(CA, [7]))
    files.carry([before])
    assert list(files.held()) == [before]
    assert "still reading it" in files.held().faults[0]
    in_thread(prepare_file, file, ENOUGH)
    files.read([file])
    assert files.left_for_later == ()
    assert len(next(iter(files.held())).serials) == LARGE // 40
    assert readers == [True, False]


@pytest.mark.parametrize("more", [0, 1])
def test_crl_of_the_largest_allowed_size_is_read_and_a_larger_one_is_not(
    tmp_path: Path, large: bytes, more: int
) -> None:
    file = tmp_path / "a.crl"
    file.write_bytes(large)
    largest = len(large) - more
    files = ListFiles([entry(file, largest=largest)], [], None)
    if more:
        assert f"is larger than {largest} octets" in files.faults[0].reason
        with pytest.raises(UnusableFileError):
            read_list(file, largest)
    else:
        assert files.lists
        assert read_list(file, largest)


def test_older_crl_in_the_same_file_does_not_replace_a_newer_crl(tmp_path: Path) -> None:
    """It would undo revocations of the newer CRL. It is a fault, and the newer CRL stays in use while the server runs."""
    file = tmp_path / "a.crl"
    file.write_bytes(FORGE.revocations(CA, [7], number=5))
    files = ListFiles([entry(file)], [], None)
    for changes in ({"number": 4}, {"number": 5, "begins": -timedelta(hours=1)}):
        file.write_bytes(FORGE.revocations(CA, [], **changes))
        files.read([file])
        assert next(iter(files.held())).serials == {7}
        assert "is older than CRL 5" in files.faults[0].reason
    file.write_bytes(FORGE.revocations(CA, [8], number=6, begins=-timedelta(hours=1)))  # its clock was ahead before
    files.read([file])
    assert not files.faults
    assert next(iter(files.held())).serials == {8}
