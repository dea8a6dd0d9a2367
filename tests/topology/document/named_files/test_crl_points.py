"""The file with the URLs of CRLs that certificates name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from sipmesh.errors import Problem
from sipmesh.topology.document.named_files.crl_files import ListFiles
from sipmesh.topology.document.named_files.crl_points import MOST_POINTS, CrlPoints
from sipmesh.trust.revocation.crl_point import CrlPoint
from trust.crls import CA, FORGE, distribution_point

UNTIL = datetime(2100, 1, 1, tzinfo=UTC)
HOSTS = ("crl.test",)


def points_of(folder: Path, *hosts: str) -> CrlPoints:
    fault = Problem(folder / "topology.yaml", 1, "crl_hosts", "", "")
    made = CrlPoints.of(folder, "partner.test", ("crl_hosts",), hosts or HOSTS, fault, 1 << 20)
    made.index.parent.mkdir(parents=True, exist_ok=True)
    return made


def point(n: int, host: str = "crl.test", issuer: bytes = CA.certificate.subject.public_bytes()) -> CrlPoint:
    url = f"http://{host}/{n}.crl"
    return CrlPoint(url, (url,), issuer, UNTIL)


def test_urls_are_read_as_they_were_written(tmp_path: Path) -> None:
    points = points_of(tmp_path)
    points.index.write_bytes(points.encode([point(1), point(2)]))
    assert [entry.point for entry in points.read()] == [point(1), point(2)]
    assert all(entry.fetched and entry.file.parent == points.index.parent for entry in points.read())


def test_same_url_of_two_cas_is_two_crls(tmp_path: Path) -> None:
    points = points_of(tmp_path)
    points.index.write_bytes(points.encode([point(1), point(1, issuer=b"other")]))
    assert len({entry.file for entry in points.read()}) == len({entry.loc for entry in points.read()}) == 2


def test_url_at_a_host_that_is_not_allowed_any_more_is_left_out(tmp_path: Path) -> None:
    points = points_of(tmp_path)
    points.index.write_bytes(points.encode([point(1), point(2, "old.test")]))
    assert [entry.point for entry in points.read()] == [point(1)]
    assert len(points_of(tmp_path, "old.test", "crl.test").read()) == 2


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"points": [{"url": 1}]}', b'{"points": 1}', b"\xff"])
def test_unreadable_file_has_no_urls(tmp_path: Path, content: bytes) -> None:
    points = points_of(tmp_path)
    assert points.read() == ()
    points.index.write_bytes(content)
    assert points.read() == ()


def test_number_of_urls_is_bounded(tmp_path: Path) -> None:
    points = points_of(tmp_path)
    points.index.write_bytes(points.encode(point(n) for n in range(MOST_POINTS + 1)))
    assert len(points.read()) == MOST_POINTS


def test_changed_file_brings_new_crls_and_takes_others_away(tmp_path: Path) -> None:
    points = points_of(tmp_path)
    files = ListFiles((), (), None, points)
    points.index.write_bytes(points.encode([point(1)]))
    [entry] = points.read()
    entry.file.write_bytes(FORGE.revocations(CA))
    files.read([points.index])
    assert [crl.number for _, crl in files.lists] == [1]
    points.index.write_bytes(points.encode([point(2)]))
    files.read([points.index])
    assert (files.lists, [entry.point for entry in files.awaited]) == ((), [point(2)])


def test_crl_of_another_part_in_the_file_of_a_url_is_a_fault(tmp_path: Path) -> None:
    points = points_of(tmp_path)
    points.index.write_bytes(points.encode([point(1)]))
    [entry] = points.read()
    other = distribution_point(full_name=[x509.UniformResourceIdentifier("http://crl.test/2.crl")])
    entry.file.write_bytes(FORGE.revocations(CA, extensions=other))
    files = ListFiles((), (), None, points)
    assert files.lists == ()
    assert "RFC 5280 6.3.3" in str(files.faults[0])
