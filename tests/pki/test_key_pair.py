"""A certificate and its key after a crash between the two."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from sipmesh.pki import files
from sipmesh.pki.authority import EnterpriseCa
from sipmesh.pki.issued import Issued
from sipmesh.pki.key_pair import differ, finish_pair, write_pair
from sipmesh.trust.role import Role

FE1 = "fe1.example.test"


@pytest.fixture(name="pairs")
def _pairs(tmp_path: Path, noon: datetime) -> tuple[Issued, Issued]:
    ca = EnterpriseCa.create(tmp_path / "ca", "Example", noon, crl_base="http://crl.example.test")
    first, second = (ca.issue((FE1,), Role.FRONT_END, noon) for _ in range(2))
    return first, second


@pytest.fixture(name="where")
def _where(tmp_path: Path, pairs: tuple[Issued, Issued]) -> tuple[Path, Path]:
    """The first certificate and its key, in their files."""
    where = tmp_path / "fe1.pem", tmp_path / "fe1.key"
    pairs[0].write(*where)
    return where


def test_certificate_follows_its_key_after_a_crash_between_the_two(
    pairs: tuple[Issued, Issued], where: tuple[Path, Path]
) -> None:
    certificate, key = where
    place_key = files.prepare(key, pairs[1].key, files.SECRET)
    files.prepare(certificate, pairs[1].chain, files.PUBLIC)
    assert not finish_pair(*where), "the key has not changed: the old pair stays"
    assert certificate.read_bytes() == pairs[0].chain
    place_key()
    assert differ(*where)
    assert finish_pair(*where)
    assert (differ(*where), certificate.read_bytes()) == (False, pairs[1].chain)
    assert not finish_pair(*where)


def test_process_that_is_between_the_two_can_go_on_after_another_one_has_finished(
    pairs: tuple[Issued, Issued], where: tuple[Path, Path]
) -> None:
    """A worker starts while its supervisor puts a new certificate in place."""
    certificate, key = where
    places = [files.prepare(key, pairs[1].key, files.SECRET), files.prepare(certificate, pairs[1].chain, files.PUBLIC)]
    places[0]()
    assert finish_pair(*where)
    places[1]()
    assert (differ(*where), certificate.read_bytes()) == (False, pairs[1].chain)
    write_pair(certificate, pairs[0].chain, key, pairs[0].key)
    assert (differ(*where), certificate.read_bytes()) == (False, pairs[0].chain)
    assert sorted(file.name for file in certificate.parent.glob("*fe1*")) == ["fe1.key", "fe1.pem"]


def test_certificate_of_another_key_is_never_put_in_place(
    pairs: tuple[Issued, Issued], where: tuple[Path, Path]
) -> None:
    certificate, key = where
    key.write_bytes(pairs[1].key)
    for content in (pairs[0].chain, b"", b"no certificate"):
        files.prepare(certificate, content, files.PUBLIC)
        assert not finish_pair(*where)
    files.prepare(certificate, pairs[1].chain, files.PUBLIC)
    assert finish_pair(*where)


def test_pair_that_cannot_be_read_is_left_as_it_is(pairs: tuple[Issued, Issued], where: tuple[Path, Path]) -> None:
    """Such as a key whose passphrase is missing, or that others can read: the error at the start names it."""
    certificate, key = where
    key.chmod(0o644)
    files.prepare(certificate, pairs[1].chain, files.PUBLIC)
    assert differ(*where) is None
    assert not finish_pair(*where)
    key.unlink()
    assert differ(*where) is None


def test_both_files_are_replaced_together(pairs: tuple[Issued, Issued], where: tuple[Path, Path]) -> None:
    certificate, key = where
    write_pair(certificate, pairs[1].chain, key, pairs[1].key)
    assert (differ(*where), key.stat().st_mode & 0o777) == (False, files.SECRET)
