"""Each folder and each symbolic link on the way to a module counts: who can change one of them chooses the module."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sipmesh.pki.tokens.module_file import changeable_by_others, way_to


@pytest.fixture(name="module")
def _module(tmp_path: Path) -> Path:
    """A module below two folders."""
    module = tmp_path / "lib" / "vendor" / "module.so"
    module.parent.mkdir(parents=True)
    module.write_bytes(b"")
    module.chmod(0o644)
    return module


def test_way_has_each_folder_and_each_link(module: Path, tmp_path: Path) -> None:
    link, folder = tmp_path / "etc" / "module.so", tmp_path / "also"
    link.parent.mkdir()
    link.symlink_to("../also/module.so")
    folder.symlink_to(module.parent)
    way = list(way_to(link))
    assert way[0] == Path("/")
    assert [one for one in way if one.is_symlink()] == [link, folder]
    assert {module.parent.parent, module.parent, link.parent} < set(way)
    assert way[-1] == module


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_part_that_others_can_write_is_found(module: Path, mode: int) -> None:
    assert changeable_by_others(module) is None
    for part in (module.parent.parent, module.parent, module):
        before = part.stat().st_mode
        part.chmod(mode)
        assert changeable_by_others(module) == part
        part.chmod(before)
    assert changeable_by_others(module) is None


def test_folder_with_the_sticky_bit_may_be_open(module: Path) -> None:
    module.parent.chmod(0o1777)
    assert changeable_by_others(module) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_part_of_another_user_is_found(module: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.so"
    link.symlink_to(module)
    for part in (module.parent, module, link):
        os.chown(part, 4711, -1, follow_symlinks=False)
        assert changeable_by_others(link) == part
        os.chown(part, 0, -1, follow_symlinks=False)
    assert changeable_by_others(link) is None


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(OSError, match="symbolic links"):
        changeable_by_others(tmp_path / "one")
